package checkpoint

import (
	"fmt"
	"slices"
	"testing"
)

// TestComplete requires that only complete transcripts of the source with the same content are reported, whatever the order and repetitions.
func TestComplete(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		add := func(source, id, status string, conversation any, hash any) {
			t.Helper()
			s.sql(t, "insert into dixa_import.transcripts (source, transcript_id, status, conversation_id, content_hash, created_at, updated_at) "+
				"values ($1, $2, $3, $4, $5, '2026-11-19T08:00:00.000Z', '2026-11-19T08:00:00.000Z')", source, id, status, conversation, hash)
		}
		add(bot, "b", "complete", 1, "h1")
		add(bot, "a", "complete", 2, "h2")
		add(bot, "partial", "partial", 3, "h1")
		add(bot, "imported", "imported", 4, "h1")
		add(bot, "skipped", "skipped", nil, "h1")
		add(bot, "unknown content", "complete", 5, nil)
		add(bot, "\uFFFDx", "complete", 6, "h1") // an id with a NUL byte, as it is stored
		add("other", "c", "complete", 7, "h1")
		ids := []string{"b", "a", "b", "partial", "imported", "skipped", "unknown content", "\x00x", "c", "nobody", "a", "unknown content"}
		hashes := []string{"h1", "h1", "h1", "h1", "h1", "h1", "", "h1", "h1", "h1", "h2", "h1"}
		want := []int64{1, 0, 1, 0, 0, 0, 0, 6, 0, 0, 2, 0}
		if got, err := s.Complete(t.Context(), bot, ids, hashes); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
		if got, err := s.Complete(t.Context(), bot, nil, nil); err != nil || len(got) != 0 {
			t.Errorf("of none: %v, %v", got, err)
		}
	})
}

// TestCompleteOfMany has more ids than one statement takes.
func TestCompleteOfMany(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		s.fill(t, 3000, 10, Failed)
		var ids, hashes []string
		for i := range 3000 {
			ids = append(ids, fmt.Sprintf("t-%07d", i))
		}
		rows, err := s.Lookup(t.Context(), bot, 0, ids)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			hashes = append(hashes, rows[id].ContentHash)
		}
		got, err := s.Complete(t.Context(), bot, ids, hashes)
		if err != nil {
			t.Fatal(err)
		}
		for i, complete := range got {
			if (complete != 0) != (rows[ids[i]].Status == Complete) || complete != rows[ids[i]].ConversationID {
				t.Fatalf("%s is %s, but its conversation is %d", ids[i], rows[ids[i]].Status, complete)
			}
		}
	})
}
