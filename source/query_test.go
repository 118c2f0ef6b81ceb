package source

import (
	"strings"
	"testing"
)

func TestParseQuery(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ sql, want string }{
		{"select 1", "select 1"},
		{"select 1 ; ; -- done\n /* x /* y */ ; */ ", "select 1"},
		{"select 1 -- a 'comment\n, 2", "select 1 -- a 'comment\n, 2"},
		{"where a >= @since and b > @SINCE", "where a >= ? and b > ?"},
		{"where a >=@since::date;", "where a >=?::date"},
		{"@since", "?"},
		{"'@since' \"@since\" $$@since$$ $x$@since $$ $x$ --@since\n/*@since*/ 1", "'@since' \"@since\" $$@since$$ $x$@since $$ $x$ --@since\n/*@since*/ 1"},
		{`select 'it''s; @since', e'\'@since', E'\\', @since`, `select 'it''s; @since', e'\'@since', E'\\', ?`},
		{`select 'back\', @since`, `select 'back\', ?`},
		{"select @sinces, @since_x, a @@since, a @> b, @-5", "select @sinces, @since_x, a @@since, a @> b, @-5"},
		{"select a$1, tag$x$ from t$x", "select a$1, tag$x$ from t$x"},
		{"select 'ø', ø", "select 'ø', ø"},
	} {
		q, err := parseQuery(tt.sql)
		if err != nil || q.text("?") != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.sql, q.text("?"), err, tt.want)
		}
	}
	for sql, want := range map[string]string{
		"":                             "empty",
		" ; -- nothing":                "empty",
		"select 1; select 2":           "more than one statement",
		"select 'x":                    "add the closing quote",
		"select \"x":                   "add the closing quote",
		"select e'x\\'":                "add the closing quote",
		"select /* /* */ 1":            "add */",
		"select $a$ x":                 "add the closing $a$",
		"select * from t where a > $1": "only @since",
	} {
		if _, err := parseQuery(sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", sql, err, want)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	f.Add("select e'\\'' @since $a$ $a$ -- x\n;")
	f.Fuzz(func(t *testing.T, sql string) {
		q, err := parseQuery(sql)
		if err != nil {
			return
		}
		if again, err := parseQuery(q.text("@since")); err != nil || again.text("?") != q.text("?") {
			t.Fatalf("%q changes when it is parsed again: %q, %v", q.text("?"), again.text("?"), err)
		}
	})
}
