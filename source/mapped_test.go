package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// presetNow is the present of the tests of presets.
var presetNow = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// mapped opens a file with a text under a mapping.
func mapped(t testing.TB, text string, m Mapping) *Mapped {
	t.Helper()
	path := filepath.Join(t.TempDir(), "export.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := OpenMapped(JSONLConfig{Paths: []string{path}, Now: func() time.Time { return presetNow }}, m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shown writes what a reader yields, a line for each transcript and message.
func shown(t testing.TB, s Reader) string {
	t.Helper()
	var b strings.Builder
	for r, err := range s.Read(t.Context(), time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.EndOfFile {
			continue
		}
		tr, err := r.Transcript()
		if err != nil {
			fmt.Fprintf(&b, "rejected line %d: %v\n", r.Place.Line, err)
			continue
		}
		closed := "open"
		if !tr.ClosedAt.IsZero() {
			closed = tr.ClosedAt.Format("2006-01-02T15:04:05.000")
		}
		fmt.Fprintf(&b, "%s closed %s by %+v\n", tr.ID, closed, tr.EndUser)
		for _, m := range tr.Messages {
			fmt.Fprintf(&b, "  %s %s: %q %v\n", m.At.Format("15:04:05.000"), m.Role, m.Text, m.Attachments)
		}
	}
	return b.String()
}

func TestTry(t *testing.T) {
	row := func(id int, sender, kind string, at float64, data string) string {
		return fmt.Sprintf(`{"id":%d,"sender_id":%q,"type_name":%q,"timestamp":%f,"data":%q}`, id, sender, kind, at, data)
	}
	rows := []string{
		row(1, "a", "action", 1763539200.1, `{"event":"action","name":"action_session_start"}`),
		row(2, "a", "user", 1763539201.123456, `{"event":"user","text":"hi \u00e6","message_id":"m1"}`),
		row(3, "b", "user", 1763539201.2, `{"event":"user","text":"/affirm"}`),
		row(4, "a", "bot", 1763539202.2, `{"event":"bot","text":"hello","data":{"buttons":[{"title":"Yes","payload":"/affirm"}]}}`),
		row(5, "a", "slot", 1763539202.3, `{"event":"slot","name":"email","value":"ann@example.org"}`),
		row(6, "a", "user", 1763549201.1, `{"event":"user","text":"again"}`),
		row(7, "b", "bot", 1763539201.3, `{"event":"bot","text":null,"data":{"image":"https://x.example.org/a.png","attachment":"https://x.example.org/a.png"}}`),
		`{"x":1}`,
	}
	s := mapped(t, strings.Join(rows, "\n"), Mapping{Format: "rasa"})
	t.Log("\n" + shown(t, s))
	t.Logf("%+v", s.Counts())
	s = mapped(t, `[{"role":"system","content":"secret"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://a.b/c.png"}}]},{"role":"assistant","content":"x","tool_calls":[]}]`, Mapping{Format: "openai-chat"})
	t.Log("\n" + shown(t, s))
	s = mapped(t, `[{"id":5,"messages":[{"role":"user","content":"hi"}],"created_at":1763539200}, {"id":"c","user":"u1","messages":[{"role":"user","content":"hi", "timestamp": "2025-11-19 08:00:01+00"}],"created_at":1763539200}]`, Mapping{Format: "openai-chat"})
	t.Log("\n" + shown(t, s))
	s = mapped(t, `{"id":5}`+"\n"+`{"id":6,"m":null}`+"\n"+`{"id":6,"m":"ja"}`, Mapping{Transform: `def f: .m | keys; {id, x: ("1" + "2"), messages: [f]}`})
	t.Log("\n" + shown(t, s))
}
