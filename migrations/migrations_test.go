package migrations_test

import (
	"io/fs"
	"slices"
	"strconv"
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
	number, err := strconv.ParseInt(postgres[len(postgres)-1][:5], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	for name, fsys := range map[string]fs.FS{"postgres": migrations.Postgres(), "sqlite": migrations.SQLite()} {
		if v, err := migrations.Latest(fsys); err != nil || v != number {
			t.Errorf("%s: latest version is %d (%v), the last file is %s", name, v, err, postgres[len(postgres)-1])
		}
	}
}
