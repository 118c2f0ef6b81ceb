package source

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// idTypes are types of ids with some ids that they may hold, all of which must be told apart.
var idTypes = map[string][]string{
	"citext":         {"abc", "ABC", "Abc", "b", "a b"},
	"numeric":        {"1", "1.0", "1.00", "10", "2", "123456789012345678901234567890", "-5"},
	"numeric(12,2)":  {"1.00", "10.00", "2.50"},
	"mood":           {"zz", "aa", "a b"}, // an enum, in an order of its own
	"pair":           {"(1,a)", "(1,b)", `(2,"a b")`},
	"bytea":          {`\x`, `\x00ff`, `\x01`, `\x0100`},
	"short":          {"x", "y"}, // a domain
	"code":           {"AB-1", "AB-2"},
	"char(6)":        {"a", "ab", "abc"},
	"name":           {"a", "B"},
	"inet":           {"10.0.0.1/32", "10.0.0.0/24", "::1/128"},
	"varchar(20)[]":  {"{a}", "{a,b}"},
	"\"Odd Type\"":   {"one", "two"},
	"other.citext2":  {"q", "Q"},
	"bigserial_like": {"9007199254740993", "-7"},
}

const idTypesSchema = `create extension citext; create type mood as enum ('zz', 'aa', 'a b'); create type pair as (n int, t text);
	create domain short as varchar(5); create domain code as citext check (value ~ '^[a-z]+-[0-9]$'); create type "Odd Type" as enum ('two', 'one');
	create schema other; create domain other.citext2 as citext; create domain bigserial_like as bigint;`

// TestPostgresOddIDs pages through ids of all kinds of types, all closed at one moment or at several, and fetches each by its text.
func TestPostgresOddIDs(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	url := database(t, idTypesSchema)
	for typ, ids := range idTypes {
		table := fmt.Sprintf(`"t %s"`, strings.ReplaceAll(typ, `"`, ""))
		execute(t, url, fmt.Sprintf("create table %s (id %s, closed_at timestamptz, messages jsonb)", table, typ))
		want := []string{}
		inserts := ""
		for i, id := range ids {
			literal := strings.ReplaceAll(id, "'", "''")
			inserts += fmt.Sprintf(`insert into %s values ('%s', timestamptz '2025-01-01Z' + interval '%d s', '[{"role":"user","text":"x"}]');`, table, literal, i/4)
			want = append(want, id)
		}
		execute(t, url, inserts)
		if typ == "bytea" {
			execute(t, url, "alter database "+url[strings.LastIndex(url, "/")+1:strings.Index(url, "?")]+" set bytea_output = 'escape'")
		}
		slices.Sort(want)
		for _, size := range []int{1, 2, 3, 100} {
			s := openPostgres(t, PostgresConfig{URL: url, Query: "select * from " + table, PageSize: size})
			got := all(t, s.Read(t.Context(), time.Time{}))
			s.Close() // the server has a hundred connections
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, pages of %d: %s", typ, size, diff)
			}
		}
		s := openPostgres(t, PostgresConfig{URL: url, Query: "select * from " + table})
		for _, id := range ids {
			if got := all(t, s.Fetch(t.Context(), []string{id, "nothing", "999", `\xzz`})); !slices.Equal(got, []string{id}) {
				t.Errorf("%s: fetched %v for %s", typ, got, id)
			}
		}
		got := all(t, s.Fetch(t.Context(), ids))
		s.Close()
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, fetched: %s", typ, diff)
		}
	}
}

func TestPostgresRefusedIDs(t *testing.T) {
	t.Parallel()
	url := database(t, "")
	for _, id := range []string{"'{}'::jsonb", "'{}'::json", "now()", "now()::date", "true", "1.5::float8", "'<a/>'::xml", "interval '1h'"} {
		s, err := OpenPostgres(t.Context(), PostgresConfig{URL: url, Query: "select " + id + " as id, now() as closed_at, '[]'::json as messages"})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "column id has the wrong type: make it text") {
			t.Errorf("%s: %v", id, err)
		}
	}
}
