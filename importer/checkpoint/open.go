package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// Options are how Open opens a checkpoint.
type Options struct {
	// Create creates a missing SQLite file; without it, a missing file is an error. A Postgres database must exist.
	Create bool
}

// Open opens the checkpoint at a URL: "sqlite:PATH" (as written, or sqlite:///ABSOLUTE/PATH), postgres:// or postgresql://.
// It connects, so that a wrong URL, a missing file and an unavailable database fail at once, but does not check the schema: see
// Store.Migrate and Store.CheckSchema. Errors never contain the password from the URL.
func Open(ctx context.Context, databaseURL string, opts Options) (*Store, error) {
	scheme, rest, ok := strings.Cut(databaseURL, ":")
	switch {
	case ok && strings.EqualFold(scheme, "sqlite"):
		path, err := sqlitePath(rest)
		if err != nil {
			return nil, err
		}
		return openSQLite(ctx, path, opts)
	case ok && (strings.EqualFold(scheme, "postgres") || strings.EqualFold(scheme, "postgresql")):
		return openPostgres(ctx, databaseURL)
	}
	return nil, errors.New("the database must be sqlite:PATH, such as sqlite:dixa-import.db, " +
		"or postgres://USER:PASSWORD@HOST/DATABASE")
}

// sqlitePath returns the absolute path of what follows "sqlite:".
func sqlitePath(rest string) (string, error) {
	path := rest
	if strings.HasPrefix(rest, "//") {
		u, err := url.Parse("sqlite:" + rest)
		if err != nil || u.Host != "" || u.RawQuery != "" {
			return "", errors.New("a SQLite database is written sqlite:PATH or sqlite:///ABSOLUTE/PATH, without host and parameters")
		}
		path = u.Path
	}
	switch {
	case path == "" || strings.HasSuffix(path, "/"):
		return "", errors.New("the SQLite database has no file name: write sqlite:PATH, such as sqlite:dixa-import.db")
	case strings.Contains(path, ":memory:"):
		return "", errors.New("a checkpoint in memory would lose track of what was imported: name a file, such as sqlite:dixa-import.db")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find the SQLite database: %w", err)
	}
	return path, nil
}
