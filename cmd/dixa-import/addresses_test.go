package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/checkpoint/pgtest"
)

// TestDatabaseURLsOfFrameworks connects with the addresses that frameworks write, as the configuration has them.
func TestDatabaseURLsOfFrameworks(t *testing.T) {
	t.Parallel()
	plain := pgtest.New(t)
	base, _, _ := strings.Cut(plain, "?")
	conn, err := pgx.Connect(t.Context(), plain)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), `create schema bot; create schema "Odd ""Name"; create table bot.r as select 'in bot' as id, now() - interval '1h' as closed_at, '[]'::json as messages;
		create table "Odd ""Name".r as select 'in odd' as id, now() - interval '1h' as closed_at, '[]'::json as messages; create table public.r as select 'in public' as id, now() - interval '1h' as closed_at, '[]'::json as messages;
		create schema dixa_import`)
	if err == nil {
		err = conn.Close(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		base + "?schema=bot&pgbouncer=true&connection_limit=1&pool_timeout=10&sslmode=disable":                                                                                                         "in bot",
		"'" + strings.Replace(base, "postgres://", "postgresql+psycopg2://", 1) + "?sslmode=disable&prepared_statement_cache_size=0'\r\n":                                                              "in public",
		"  " + strings.Replace(base, "postgres://", "postgres+asyncpg://", 1) + "?ssl=disable\n":                                                                                                       "in public",
		"jdbc:" + strings.Replace(strings.Replace(base, "postgres:", "postgresql:", 1), "postgres@", "", 1) + "?user=postgres&currentSchema=bot,public&ssl=false&prepareThreshold=0&ApplicationName=x": "in bot",
		base + "?sslmode=disable&channel_binding=prefer&schema=Odd%20%22Name":                                                                                                                          "in odd",
		"\"" + base + "?sslmode=disable&uselibpqcompat=true&statement_timeout=9000\"\n":                                                                                                                "in public",
		base + "?encoding=utf8&pool=5&timeout=5000&reconnect=true&serverVersion=16&charset=utf8":                                                                                                       "in public",
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "c.yaml")
		text := "database: ${D}\nsource:\n  name: bot\n  postgres: {url: \"${D}\", query: select * from r}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(file, func(string) (string, bool) { return address, true })
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Source()
		if err != nil {
			t.Fatal(err)
		}
		p := &program{log: slog.New(slog.DiscardHandler)}
		reader, closeReader, err := p.openSource(t.Context(), s, time.Second)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		var ids []string
		for r, err := range reader.Read(t.Context(), time.Time{}) {
			if err != nil {
				t.Errorf("%s: %v", address, err)
				break
			}
			ids = append(ids, r.ID)
		}
		closeReader()
		if !slices.Equal(ids, []string{want}) {
			t.Errorf("%s: read %v, want %s", address, ids, want)
		}
		database, err := c.DatabaseURL()
		if err != nil {
			t.Fatal(err)
		}
		store, err := openCheckpointAnew(t.Context(), database)
		if err != nil {
			t.Errorf("%s as the checkpoint: %v", address, err)
			continue
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// openCheckpointAnew opens a checkpoint and creates its tables where there are none.
func openCheckpointAnew(ctx context.Context, database string) (*checkpoint.Store, error) {
	store, err := checkpoint.Open(ctx, database, checkpoint.Options{})
	if err != nil {
		return nil, err
	}
	_, _, err = store.Migrate(ctx)
	return store, err
}
