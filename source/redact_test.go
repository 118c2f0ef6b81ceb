package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRedactedRecords requires that no way to a record leads around the redactor: reading, fetching by id and by place, and what is shown of it.
func TestRedactedRecords(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.jsonl")
	line := `{"id":"t-1","closed_at":"2025-11-19T08:00:00Z","end_user":{"email":"ann@example.org"},"attributes":{"note":"call 12 34 56 78","list":["bo@example.org"]},"messages":[` +
		`{"role":"user","text":"I am ann@example.org, again ann@example.org","attachments":[{"url":"https://cdn.example.org/a","name":"of ann@example.org"}]},{"role":"bot","format":"markdown","text":"bo@example.org"},{"role":"bot","format":"html","text":"<b>bo@example.org</b>"}]}`
	if err := os.WriteFile(path, []byte(line+"\n"+`{"id":"t-2","closed_at":"soon","messages":[{"text":"carl@example.org"}]}`+"\nbroken dora@example.org\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := OpenJSONL(JSONLConfig{Paths: []string{path}, Now: func() time.Time { return presetNow }})
	if err != nil {
		t.Fatal(err)
	}
	mapped, err := OpenMapped(JSONLConfig{Paths: []string{path}, Now: func() time.Time { return presetNow }}, Mapping{Transform: `. + {id: "m-\(.id)"}`})
	if err != nil {
		t.Fatal(err)
	}
	red, err := NewRedactor([]RedactRule{{Name: "EMAIL_ADDRESS"}, {Name: "PHONE_NUMBER"}}, "DK")
	if err != nil {
		t.Fatal(err)
	}
	for name, inner := range map[string]Reader{"files": files, "mapped": mapped} {
		r := Redacted(inner, red)
		n := 0
		check := func(rec *Record, err error) {
			if err != nil {
				t.Fatal(err)
			}
			if rec.EndOfFile {
				return
			}
			n++
			shown := string(rec.Shown()) + string(rec.Origin())
			if tr, err := rec.Transcript(); err == nil {
				if tr.EndUser.Email != "ann@example.org" || tr.Redacted["EMAIL_ADDRESS"] != 6 || tr.Redacted["PHONE_NUMBER"] != 1 {
					t.Errorf("%s: %+v, %v", name, tr.EndUser, tr.Redacted)
				}
				if m := tr.Messages; m[0].Text != "I am <EMAIL_ADDRESS_1>, again <EMAIL_ADDRESS_1>" || m[0].Attachments[0].Name != "of <EMAIL_ADDRESS_1>" || m[1].Text != `\<EMAIL_ADDRESS_2>` || m[2].Text != "<b>&lt;EMAIL_ADDRESS_2&gt;</b>" {
					t.Errorf("%s: %+v", name, m)
				}
				if tr.Attributes["note"].Text != "call <PHONE_NUMBER_1>" || tr.Attributes["list"].List[0] != "<EMAIL_ADDRESS_2>" {
					t.Errorf("%s: %+v", name, tr.Attributes)
				}
				shown = strings.ReplaceAll(shown, `"email":"ann@example.org"`, "") // it identifies the end-user
				shown = strings.ReplaceAll(shown, `"email":"<EMAIL_ADDRESS_1>"`, "")
			}
			if strings.Contains(shown, "@example.org") {
				t.Errorf("%s: shown is %s", name, shown)
			}
		}
		for rec, err := range r.Read(t.Context(), time.Time{}) {
			check(rec, err)
		}
		for rec, err := range r.Fetch(t.Context(), []string{"t-1", "m-t-1", "t-2", path + ":2", path + ":3"}) {
			check(rec, err)
		}
		if n < 5 {
			t.Errorf("%s: only %d records", name, n)
		}
	}
}
