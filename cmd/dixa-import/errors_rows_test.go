package main

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

func TestWithError(t *testing.T) {
	t.Parallel()
	reason := recordError{"a", checkpoint.Failed, "refused", `said "no"`, "", "t:1"}
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

var anyTime time.Time

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
