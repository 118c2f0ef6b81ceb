package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// newClient returns a client of the API, paced as configured, or by limiter if that is not nil.
func (p *program) newClient(s dixaSettings, attempts, workers int, limiter dixa.Limiter) (*dixa.Client, error) {
	if limiter == nil {
		limiter = dixa.NewLimiter(s.Rate, s.Burst)
	}
	return dixa.New(dixa.Config{
		BaseURL: s.BaseURL, Token: s.Token, Timeout: s.Timeout, MaxAttempts: attempts,
		Limiter: limiter, Connections: max(128, 2*workers, min(int(8*s.Rate), 512)), // beside the workers, people are looked up
		UserAgent: "dixa-import/" + strings.Fields(version())[0], Logger: p.log,
	})
}

// sharedLimiter returns a limiter that shares the token's rate with the other processes at the checkpoint, nil where there
// can be none or nothing is to be shared.
func (p *program) sharedLimiter(store checkpoint.Store, s dixaSettings) dixa.Limiter {
	budget, ok := store.(checkpoint.Budget)
	if !ok || s.Rate <= 0 {
		return nil
	}
	return importer.NewSharedLimiter(budget, dixa.TokenHash(s.Token), s.Rate, s.Burst, p.log)
}

// agentID returns the bot user: the configured one, else the one that the token names.
func agentID(s dixaSettings) (string, error) {
	if s.AgentID != "" {
		return s.AgentID, nil
	}
	if id, ok := dixa.TokenAgentID(s.Token); ok {
		return id, nil
	}
	if strings.Count(s.Token, ".") != 2 {
		return "", errors.New("the token names no bot user, and it is no JWT, as the tokens of bot users are: copy the whole token into dixa.token, " +
			"or, for a general API token, set dixa.agent_id to the UUID of the bot user")
	}
	return "", errors.New("the token names no bot user: set dixa.agent_id to the UUID of the bot user (the agentId that Dixa showed with the bot's token)")
}

// checkpointUse says what a command does with a checkpoint.
type checkpointUse int

const (
	createCheckpoint   checkpointUse = iota // write; a SQLite file is created where there is none
	existingCheckpoint                      // write
	lookAtCheckpoint                        // read; what is not there is nil
)

// openCheckpoint opens the checkpoint. For writing, SQLite is upgraded and Postgres must have been migrated.
func openCheckpoint(ctx context.Context, url string, use checkpointUse) (checkpoint.Store, error) {
	if path, ok := sqliteFile(url); ok && use == lookAtCheckpoint {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	store, err := checkpoint.Open(ctx, url, checkpoint.Options{Create: use == createCheckpoint})
	if err != nil {
		return nil, away(url, err)
	}
	if isSQLite(url) && use != lookAtCheckpoint {
		_, _, err = store.Migrate(ctx)
	} else {
		err = store.CheckSchema(ctx)
	}
	switch {
	case errors.Is(err, checkpoint.ErrSchemaMissing) && use == lookAtCheckpoint:
		return nil, store.Close()
	case err != nil:
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

// away adds to an error of the network what can be done about it, and says once what a driver says that tried twice.
func away(url string, err error) error {
	if _, ok := errors.AsType[net.Error](err); !ok || isSQLite(url) {
		return err
	}
	var lines []string
	for line := range strings.Lines(err.Error()) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return fmt.Errorf("%s: start Postgres there, or correct database", strings.Join(slices.Compact(lines), " "))
}

// readCheckpoint opens a checkpoint that is there already, for commands that only look.
func readCheckpoint(ctx context.Context, url string) (checkpoint.Store, error) {
	store, err := checkpoint.Open(ctx, url, checkpoint.Options{})
	if err != nil {
		return nil, away(url, err)
	}
	if err := store.CheckSchema(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

func isSQLite(url string) bool { return strings.HasPrefix(strings.ToLower(url), "sqlite:") }

// openSource opens the source of the transcripts; close releases it. Patience is how long a read waits for a database
// that is away.
func (p *program) openSource(ctx context.Context, s sourceSettings, patience time.Duration) (r importer.Reader, close func(), err error) {
	if s.Query != "" {
		rows, err := source.OpenPostgres(ctx, source.PostgresConfig{URL: s.URL, Query: s.Query, Patience: patience, Logger: p.log})
		if err != nil {
			return nil, nil, fmt.Errorf("source.postgres: %w", err)
		}
		return rows, rows.Close, nil
	}
	files, err := source.OpenJSONL(source.JSONLConfig{Paths: s.Paths, Stdin: p.stdin})
	if err != nil {
		return nil, nil, fmt.Errorf("source.jsonl: %w", err)
	}
	return files, func() {}, nil
}

// bareNetError returns the cause of an error of package net, which says operation and address once more.
func bareNetError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// advised adds to an answer of Dixa, or to the lack of one, what can be done about it.
func advised(err error) error {
	if lost, ok := errors.AsType[*dixa.TransportError](err); ok && !lost.Written {
		return fmt.Errorf("%w: correct dixa.base_url, or see what keeps this machine from reaching it", err)
	}
	var api *dixa.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.Status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%w: the token is wrong or was revoked, put a valid one into dixa.token", err)
	case http.StatusForbidden:
		return fmt.Errorf("%w: the token may not read this, use one with more rights or look in Dixa's settings", err)
	}
	return err
}

// configuredCheckpoint opens, to be looked at, the checkpoint that the configuration names.
func (p *program) configuredCheckpoint(ctx context.Context) (*configFile, checkpoint.Store, error) {
	file, err := loadConfig(p.configPath, p.lookup)
	if err != nil {
		return nil, nil, err
	}
	url, err := file.databaseURL()
	if err != nil {
		return nil, nil, err
	}
	store, err := readCheckpoint(ctx, url)
	return file, store, err
}
