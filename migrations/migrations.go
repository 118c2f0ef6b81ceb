// Package migrations contains the schema of the checkpoint as goose migrations, in one folder for each database.
package migrations

import (
	"embed"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed postgres/*.sql sqlite/*.sql
var files embed.FS

// Postgres returns the migrations for Postgres. They create everything in the schema dixa_import.
func Postgres() fs.FS { return sub("postgres") }

// SQLite returns the migrations for SQLite. Times are TEXT: RFC 3339 in UTC, with milliseconds.
func SQLite() fs.FS { return sub("sqlite") }

func sub(dir string) fs.FS {
	s, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // impossible with a valid name
	}
	return s
}

// Latest returns the highest version among migrations.
func Latest(migrations fs.FS) (int64, error) {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return 0, err
	}
	latest := int64(0)
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		v, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, err
		}
		latest = max(latest, v)
	}
	return latest, nil
}
