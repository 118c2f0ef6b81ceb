package checkpoint

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"dixa-import/importer/checkpoint/pgtest"
	"dixa-import/migrations"

	"golang.org/x/sync/errgroup"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ url, want string }{
		{"", "sqlite:PATH"},
		{"checkpoint.db", "postgres://USER:PASSWORD@HOST/DATABASE"},
		{"mysql://root:secret@host/db", "sqlite:PATH"},
		{"sqlite:", "no file name"},
		{"sqlite:" + dir + "/", "no file name"},
		{"sqlite::memory:", "in memory would lose track"},
		{"sqlite://host/secret.db", "without host"},
		{"sqlite:" + dir, "is a folder"},
		{"sqlite:" + dir + "/none/x.db", "its folder does not exist"},
		{"sqlite:" + garbage, "is not a SQLite database"},
		{"postgres://me:sec%ret@host/db", "percent-encoded"},
		{"postgres://me:secret@host:port/db", "percent-encoded"},
		{"postgres://me:secret@host/db?sslmode=sometimes", "sslmode"},
		{"postgres://me:secret@127.0.0.1:1/db?connect_timeout=1", "connect to Postgres at 127.0.0.1"},
	} {
		s, err := Open(t.Context(), test.url, Options{Create: true})
		if err == nil {
			_ = s.Close()
			t.Errorf("%q was opened", test.url)
			continue
		}
		if text := err.Error(); !strings.Contains(text, test.want) || strings.Contains(text, "secret@") || strings.Contains(text, "sec%ret") ||
			strings.Contains(text, "\n") || strings.Contains(text, "failed to open") {
			t.Errorf("%q: %v", test.url, err)
		}
		if want := strings.Contains(test.want, "connect to"); Retryable(err) != want {
			t.Errorf("%q: retryable is %v", test.url, !want)
		}
	}
}

func TestOpenSQLite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a b?c#d%20.db")
	if s, err := Open(t.Context(), "sqlite:"+path, Options{}); err == nil || !strings.Contains(err.Error(), "`dixa-import run` creates it") {
		t.Fatalf("a missing file: %v, %v", s, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("refusing to open created %v", entries)
	}
	s := open(t, "sqlite:"+path)
	if _, _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StartRun(t.Context(), bot, "run"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 2 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), fi.Mode())
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the write-ahead log is still there: %v", err)
	}
	if again, err := Open(t.Context(), "sqlite://"+strings.NewReplacer("?", "%3f", "#", "%23", "%", "%25", " ", "%20").Replace(path), Options{}); err != nil {
		t.Error(err)
	} else if err := errors.Join(again.CheckSchema(t.Context()), again.Close()); err != nil {
		t.Error(err)
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	for name, newURL := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, url := t.Context(), newURL(t)
			latest, err := migrations.Latest(migrations.SQLite())
			if also, otherErr := migrations.Latest(migrations.Postgres()); err != nil || otherErr != nil || also != latest {
				t.Fatalf("the migrations end with %d and %d, %v, %v", latest, also, err, otherErr)
			}
			s := open(t, url)
			if err := s.CheckSchema(ctx); !errors.Is(err, ErrSchemaMissing) {
				t.Fatalf("empty database: %v", err)
			}
			if name == "postgres" {
				if _, err := s.Runs(ctx, "", 1); !errors.Is(err, ErrSchemaMissing) {
					t.Errorf("reading an empty database: %v", err)
				}
			}
			// Several processes migrate at once: one creates the schema, and all find it at the end.
			var g errgroup.Group
			for range 3 {
				store := s
				if name == "postgres" {
					store = open(t, url)
				}
				g.Go(func() error {
					if _, to, err := store.Migrate(ctx); err != nil || to != latest {
						t.Errorf("migrated to %d: %v", to, err)
					}
					return store.CheckSchema(ctx)
				})
			}
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			if from, to, err := s.Migrate(ctx); from != latest || to != latest || err != nil {
				t.Errorf("repeated: from %d to %d: %v", from, to, err)
			}
			f := &fixture{Store: s, url: url, db: openDB(t, url)}
			truth := map[bool]string{true: "1", false: "true"}[f.sqlite()]
			f.sql(t, "insert into dixa_import.goose_db_version (version_id, is_applied) values (77, "+truth+")")
			_, _, err = s.Migrate(ctx)
			for what, err := range map[string]error{"check": s.CheckSchema(ctx), "migrate": err} {
				if newer, ok := errors.AsType[*SchemaError](err); !ok || *newer != (SchemaError{Have: 77, Want: latest}) {
					t.Errorf("%s of a newer schema: %v", what, err)
				}
			}
		})
	}
}

// TestNoSessionState checks for state that a pooler in transaction mode would lose or pass on to other clients.
func TestNoSessionState(t *testing.T) {
	t.Parallel()
	s := setup(t, pgtest.New(t)+"&pool_max_conns=1")
	run := s.start(t)
	for i, status := range Statuses {
		put(t, s, run, string(status), status, int64(i+1))
	}
	s.reserve(t, run, identifiers("a"))
	if err := s.FinishRun(t.Context(), run, "complete", Beat{}); err != nil {
		t.Fatal(err)
	}
	pool := s.database.(*postgresStore).pool
	for query, want := range map[string]string{
		"select count(*)::text from pg_prepared_statements where name <> ''":                                    "0",
		"select count(*)::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()":            "0",
		"select string_agg(name, ' ') from pg_settings where source = 'session' and name <> 'application_name'": "",
	} {
		var got *string
		if err := pool.QueryRow(t.Context(), query).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != nil && *got != want {
			t.Errorf("%s: %s", query, *got)
		}
	}
}

// TestUnusualPostgresSettings uses settings under which careless SQL fails.
func TestUnusualPostgresSettings(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	conn := connectPostgres(t, url)
	for _, setting := range []string{"timezone to 'XXX-05:30'", "datestyle to 'SQL, DMY'", "intervalstyle to 'sql_standard'",
		"search_path to ''", "synchronous_commit to off", "bytea_output to 'escape'", "extra_float_digits to 0"} {
		if _, err := conn.Exec(t.Context(), "do $$ begin execute format('alter database %I set "+strings.ReplaceAll(setting, "'", "''")+"', current_database()); end $$"); err != nil {
			t.Fatal(err)
		}
	}
	s := setup(t, url)
	run := s.start(t)
	for i, status := range Statuses {
		put(t, s, run, string(status), status, int64(i+1))
	}
	if got := s.row(t, string(Complete)); !got.ClosedAt.Equal(t0) {
		t.Errorf("closed at %v", got.ClosedAt)
	}
}
