package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/dixa"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
	"dixa-import/source"
)

// newClient returns a client of the API, paced as configured, or by limiter if that is not nil.
func (p *program) newClient(s config.Dixa, attempts, workers int, limiter dixa.Limiter) (*dixa.Client, error) {
	if limiter == nil {
		limiter = dixa.NewLimiter(s.Rate, s.Burst)
	}
	return dixa.New(dixa.Config{
		BaseURL: s.BaseURL, Token: s.Token, Auth: s.Auth, Timeout: s.Timeout, MaxAttempts: attempts,
		Limiter: limiter, Connections: max(128, 2*workers, min(int(8*s.Rate), 512)), // beside the workers, people are looked up
		UserAgent: "dixa-import/" + strings.Fields(version())[0], Logger: p.log, Observe: p.observe,
	})
}

// sharedLimiter returns a limiter that shares the token's rate with the other processes at the checkpoint, nil where there
// is nothing to share.
func (p *program) sharedLimiter(store *checkpoint.Store, s config.Dixa) dixa.Limiter {
	if store == nil || s.Rate <= 0 {
		return nil
	}
	return importer.NewSharedLimiter(store.RateSlots(), dixa.TokenHash(s.Token), s.Rate, s.Burst, p.log)
}

// openSource opens the source of the transcripts; close releases it. Patience is how long a read waits for a database
// that is away.
func (p *program) openSource(ctx context.Context, s config.Source, patience time.Duration) (r source.Reader, close func(), err error) {
	if s.Query != "" {
		r, close, err = connect.Source(ctx, source.PostgresConfig{URL: s.URL, Query: s.Query, TimeZone: s.TimeZone, Patience: patience, Logger: p.log}, s.Mapping)
		if err != nil {
			return nil, nil, err
		}
		return source.Redacted(r, s.Redact), close, nil
	}
	files := source.JSONLConfig{Paths: s.Paths, Records: s.Records, Encoding: s.Encoding, CSV: s.CSV, TimeZone: s.TimeZone, Stdin: p.stdin, Logger: p.log}
	if s.Mapping != (source.Mapping{}) {
		r, err = source.OpenMapped(files, s.Mapping)
	} else {
		r, err = source.OpenJSONL(files)
	}
	if err != nil {
		section := "source.jsonl"
		if s.CSV != nil {
			section = "source.csv"
		}
		return nil, nil, fmt.Errorf("%s: %w", section, err)
	}
	return source.Redacted(r, s.Redact), func() {}, nil
}

// configuredCheckpoint opens, to be looked at, the checkpoint that the configuration names.
func (p *program) configuredCheckpoint(ctx context.Context) (*config.File, *checkpoint.Store, error) {
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return nil, nil, err
	}
	url, err := file.DatabaseURL()
	if err != nil {
		return nil, nil, err
	}
	store, err := connect.Checkpoint(ctx, url, connect.Read)
	return file, store, err
}
