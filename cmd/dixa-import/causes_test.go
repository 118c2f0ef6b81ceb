package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

func TestNormalise(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ message, want string }{
		{"", ""},
		{"import: Dixa answered 422: nothing", "import: Dixa answered 422: nothing"},
		{"message 17 of conversation 5000000001", "message N of conversation N"},
		{"agent 7d1f3c52-1f0c-4b52-9c0e-5a4f2f6f9b10 is away", "agent <id> is away"},
		{"Invalid attachment url in message. externalId: bot/t-1:2", "Invalid attachment url in message. externalId: <id>"},
		{"could not fetch https://cdn.example/a?sig=1 in time", "could not fetch <url> in time"},
		{strings.Repeat("ø", 300), strings.Repeat("ø", messageMax) + "..."},
	} {
		if got := normalise(tt.message); got != tt.want {
			t.Errorf("%q became %q, want %q", tt.message, got, tt.want)
		}
	}
}

func TestTheReasonOfARejectionHasNoPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ id, text, want string }{
		{"a", "t.jsonl:3: closed_at has no time zone: write it", "closed_at has no time zone: write it"},
		{"a", "C:/t t/x.jsonl:3: messages[0].role is unknown", "messages[0].role is unknown"},
		{"t.jsonl:3", "t.jsonl:3: id is missing", "id is missing"},
		{"a", "postgres:7: messages is no array", "messages is no array"},
		{"a", "no place at all", "no place at all"},
	} {
		if got := withoutPlace(checkpoint.Row{ID: tt.id, Error: tt.text}); got != tt.want {
			t.Errorf("%q became %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestWithError(t *testing.T) {
	t.Parallel()
	reason := recordError{"a", checkpoint.Failed, "refused", `said "no"`, "t:1"}
	const why = `{"_error":{"transcript_id":"a","status":"failed","code":"refused","reason":"said \"no\"","place":"t:1"}`
	for _, tt := range []struct{ line, want string }{
		{`{"id": "<a>", "n": 12345678901234567890}`, why + `,"id": "<a>", "n": 12345678901234567890}`},
		{`  {"id":"a"}  `, why + `,"id":"a"}`},
		{`{ }`, why + `}`},
		{`{"_error": {"code": "old"}, "id": "a", "x": [1, 2]}`, why + `,"id": "a", "x": [1, 2]}`},
		{`{"_error": 1}`, why + `}`},
		{`{"id": "a", "text": "\"_error\""}`, why + `,"id": "a", "text": "\"_error\""}`},
		{`[1]`, why + `,"_raw":"[1]"}`},
		{`{"id": "a`, why + `,"_raw":"{\"id\": \"a"}`},
		{"\xff", why + `,"_raw":"` + `\ufffd` + `"}`},
	} {
		path := t.TempDir() + "/t.jsonl"
		writeFile(t, path, tt.line+"\n")
		files, err := source.OpenJSONL(source.JSONLConfig{Paths: []string{path}})
		if err != nil {
			t.Fatal(err)
		}
		for rec, err := range files.Read(t.Context(), anyTime) {
			if err != nil {
				t.Fatal(err)
			}
			if rec.EndOfFile {
				continue
			}
			got, err := withError(rec, reason)
			if err != nil || string(got) != tt.want || !json.Valid(got) {
				t.Errorf("%s became\n%s, want\n%s (%v)", tt.line, got, tt.want, err)
			}
		}
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	text := strings.TrimSpace(strings.Repeat("ære være ", 40))
	lines := wrap(text, 30)
	for i, line := range lines {
		if n := utf8.RuneCountInString(line); n > 30 || n < 20 && i < len(lines)-1 {
			t.Errorf("a line has %d characters: %s", n, line)
		}
	}
	if got := strings.Join(lines, " "); got != text {
		t.Errorf("the text became %q", got)
	}
	if got := wrap("", 10); len(got) != 1 || got[0] != "" {
		t.Errorf("nothing became %q", got)
	}
}

func TestShellQuoted(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"t-1": "t-1", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "$(x)": "'$(x)'"} {
		if got := shellQuoted(in); got != want {
			t.Errorf("%q became %s", in, got)
		}
	}
}

func TestEveryKindOfPartialErrorHasAdvice(t *testing.T) {
	t.Parallel()
	for _, kind := range []checkpoint.PartialErrorKind{checkpoint.KindMessage, checkpoint.KindAttachment, checkpoint.KindAssignment,
		checkpoint.KindAttribute, checkpoint.KindAdopted, checkpoint.KindDuplicate, checkpoint.KindOther} {
		if c := partialCures[kind]; c.means == "" || c.advice == "" {
			t.Errorf("there is no advice on %s", kind)
		}
	}
	for code, c := range cures {
		if c.means == "" || c.advice == "" {
			t.Errorf("there is something missing about %s", code)
		}
	}
	if got := cureOf(checkpoint.Failed, "refused", "import: Dixa answered 400: Decoding failure in request").advice; !strings.Contains(got, "could not read") {
		t.Errorf("the advice is %q", got)
	}
}

var anyTime time.Time

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
