package connect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// Access describes what a command does with a checkpoint.
type Access int

// The kinds of access.
const (
	Create Access = iota // write, and create a SQLite file if there is none
	Update               // write
	Read                 // read
	Look                 // read, if there is a checkpoint
)

// Checkpoint opens the checkpoint. For writing, it migrates a SQLite database; Postgres must have been migrated. One that was
// moved is refused with a *checkpoint.MovedError, except for reading. With Look, the store is
// nil if there is no SQLite file or no schema.
func Checkpoint(ctx context.Context, url string, use Access) (*checkpoint.Store, error) {
	if path, ok := SQLiteFile(url); ok && use == Look {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	store, err := Open(ctx, url, use == Create)
	if err != nil {
		return nil, err
	}
	if use != Read {
		err = store.CheckMoved(ctx)
	}
	switch {
	case err != nil:
	case IsSQLite(url) && (use == Create || use == Update):
		_, _, err = store.Migrate(ctx)
	default:
		err = store.CheckSchema(ctx)
	}
	switch {
	case errors.Is(err, checkpoint.ErrSchemaMissing) && use == Look:
		return nil, store.Close()
	case err != nil:
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

// Open opens the checkpoint at an address without checking its schema. If create is set, it creates a missing SQLite file. If there is no
// connection to Postgres, the error says why, and what to do.
func Open(ctx context.Context, url string, create bool) (*checkpoint.Store, error) {
	store, err := checkpoint.Open(ctx, url, checkpoint.Options{Create: create})
	if err != nil && !IsSQLite(url) {
		err = unreachable("database", err)
	}
	return store, err
}

// Source opens a Postgres database as the source of the transcripts, whose rows m may map; close releases it. If there is no connection, the error says
// why, and what to do.
func Source(ctx context.Context, c source.PostgresConfig, m source.Mapping) (r source.Reader, close func(), err error) {
	if m == (source.Mapping{}) {
		rows, failure := source.OpenPostgres(ctx, c)
		if failure == nil {
			return rows, rows.Close, nil
		}
		err = failure
	} else {
		rows, failure := source.OpenPostgresMapped(ctx, c, m)
		if failure == nil {
			return rows, rows.Close, nil
		}
		err = failure
	}
	if reason := unreachable("source.postgres.url", err); reason != err { //nolint:errorlint // unreachable returns other errors unchanged
		return nil, nil, reason
	}
	return nil, nil, fmt.Errorf("source.postgres: %w", err)
}

// IsSQLite reports whether an address is that of a SQLite database.
func IsSQLite(url string) bool { return strings.HasPrefix(strings.ToLower(url), "sqlite:") }

// SQLiteFile returns the path in a SQLite URL.
func SQLiteFile(databaseURL string) (string, bool) {
	if !IsSQLite(databaseURL) {
		return "", false
	}
	path := databaseURL[len("sqlite:"):]
	if strings.HasPrefix(path, "//") {
		u, err := url.Parse(databaseURL)
		return u.Path, err == nil
	}
	return path, true
}

// Shown returns a database URL without user, password and parameters, for display.
func Shown(databaseURL string) string {
	if IsSQLite(databaseURL) {
		return databaseURL
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "postgres"
	}
	return fmt.Sprintf("%s://%s%s", u.Scheme, u.Host, u.Path)
}
