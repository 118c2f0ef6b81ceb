package importer

import (
	"fmt"
	"testing"
	"time"

	"dixa-import/importer/internal/session"
	"dixa-import/source"

	"dixa-import/importer/internal/people"
)

// BenchmarkPayload builds the request for a transcript of nine messages.
func BenchmarkPayload(b *testing.B) {
	cfg := Config{Source: "bot", AgentID: "7d1f3c52-1f0c-4b52-9c0e-5a4f2f6f9b10", Region: "DK"}.WithDefaults()
	s, matcher := &session.Session{Config: cfg}, people.NewMatcher(cfg)
	t := &source.Transcript{ID: "t-1", CreatedAt: time.Unix(1e9, 0), ClosedAt: time.Unix(1e9+600, 0),
		EndUser: source.EndUser{Email: "ann@example.org", Phone: "12345678", Name: "Ann Lee"}}
	for i := range 9 {
		role := source.RoleUser
		if i%2 == 1 {
			role = source.RoleBot
		}
		t.Messages = append(t.Messages, source.Message{Role: role, Text: fmt.Sprintf("Where is my order %d?", i), Format: source.FormatText,
			At: t.CreatedAt.Add(time.Duration(i) * time.Second)})
	}
	b.ReportAllocs()
	for b.Loop() {
		if p := matcher.Person(t); len(p.IDs) != 2 {
			b.Fatal(p)
		}
		if in := s.Bot().Payload(t, "7d1f3c52-1f0c-4b52-9c0e-5a4f2f6f9b11", false); len(in.Messages) != 9 {
			b.Fatal(in)
		}
	}
}
