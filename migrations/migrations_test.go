package migrations_test

import (
	"io/fs"
	"slices"
	"testing"

	"dixa-import/migrations"
)

func TestBothDatabasesHaveTheSameVersions(t *testing.T) {
	t.Parallel()
	postgres, err := fs.Glob(migrations.Postgres(), "*")
	if err != nil {
		t.Fatal(err)
	}
	sqlite, err := fs.Glob(migrations.SQLite(), "*")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(postgres, sqlite) {
		t.Errorf("Postgres has %q, SQLite has %q", postgres, sqlite)
	}
	for name, fsys := range map[string]fs.FS{"postgres": migrations.Postgres(), "sqlite": migrations.SQLite()} {
		if v, err := migrations.Latest(fsys); err != nil || v != int64(len(postgres)) {
			t.Errorf("%s: latest version is %d (%v) of %d files", name, v, err, len(postgres))
		}
	}
}
