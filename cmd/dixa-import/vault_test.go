package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// vault is a place where everything is secret, and what was written outside of it.
type vault struct {
	dir    string
	token  string
	format string

	mu      sync.Mutex
	outputs []outputOf
	shown   string // on standard output, where it belongs
}

type outputOf struct{ what, text string }

// do runs a command line. What it writes is kept for search, its standard output only if that is not meant to show secrets.
func (v *vault) do(ctx context.Context, shows bool, args ...string) {
	var stdout, stderr bytes.Buffer
	args = append(args, "--config", filepath.Join(v.dir, "config.yaml"), "--log-level", "debug", "--log-format", v.format)
	err := run(ctx, args, strings.NewReader(""), &stdout, &stderr)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.outputs = append(v.outputs, outputOf{args[0] + ": standard error", stderr.String() + message(err)})
	if shows {
		v.shown += stdout.String()
		return
	}
	v.outputs = append(v.outputs, outputOf{args[0] + ": standard output", stdout.String()})
}

// search reports every secret that is in an output, the checkpoint's tables or its file.
func (v *vault) search(t *testing.T) {
	t.Helper()
	secrets := append(append([]string{v.token}, identifierSecrets...), otherSecrets...)
	if parts := strings.Split(v.token, "."); len(parts) == 3 {
		secrets = append(secrets, parts[1], parts[2])
	}
	found := func(where, text string, secrets []string) {
		for _, secret := range secrets {
			at := strings.Index(strings.ToLower(text), strings.ToLower(secret))
			if secret == "" || at < 0 {
				continue
			}
			t.Errorf("%s: %q is in %q", where, secret, text[max(0, at-200):min(len(text), at+len(secret)+100)])
			return
		}
	}
	for _, output := range v.outputs {
		found(output.what, output.text, secrets)
	}
	for _, name := range []string{"bot.db", "bot.db-wal"} {
		data, err := os.ReadFile(filepath.Join(v.dir, name))
		if err == nil {
			found(name, string(data), append([]string{v.token}, otherSecrets...))
		}
	}
	if _, err := os.Stat(filepath.Join(v.dir, "bot.db")); err == nil {
		for table, text := range dump(t, filepath.Join(v.dir, "bot.db")) {
			if table != "end_users" {
				found("table "+table, text, secrets)
			}
		}
	}
}

// dump returns the text of every table.
func dump(t *testing.T, path string) map[string]string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var tables []string
	each(t, db, "select name from sqlite_master where type = 'table'", func(row []any) { tables = append(tables, fmt.Sprint(row[0])) })
	texts := map[string]string{}
	for _, table := range tables {
		each(t, db, `select * from "`+table+`"`, func(row []any) { texts[table] += fmt.Sprintln(row...) })
	}
	return texts
}

func each(t *testing.T, db *sql.DB, query string, visit func([]any)) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for i, value := range row {
			if b, ok := value.([]byte); ok {
				row[i] = string(b)
			}
		}
		visit(row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
