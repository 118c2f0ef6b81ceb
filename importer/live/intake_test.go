package live

import (
	"strings"
	"testing"
	"time"
)

// closed is the payload of a conversation that was closed while an agent, or the bot, had it.
func closed(id string, conversation int64, assignee string) []byte {
	return payload(map[string]any{"event_id": id, "event_fqn": "CONVERSATION_CLOSED", "event_timestamp": time.Now().UTC().Format(time.RFC3339),
		"data": map[string]any{"conversation": map[string]any{"csid": conversation, "assignee": map[string]any{"id": assignee, "name": "Ann", "user_type": "Member"}}}})
}

// TestClosedConversation: the closing that is part of an import is an echo; one of a conversation that was handed over is not, whoever has it.
func TestClosedConversation(t *testing.T) {
	each(t, func(w *world) {
		in := w.intake(nil)
		w.imported("closed", 100)
		w.imported("handed", 101)
		w.imported("nobody", 102)
		query := "update dixa_import.transcripts set handover_state = 'waiting' where transcript_id in ('handed', 'nobody')"
		if strings.HasPrefix(w.url, "sqlite:") {
			query = strings.ReplaceAll(query, "dixa_import.", "")
		}
		if _, err := w.db.ExecContext(w.Context(), query); err != nil {
			w.Fatal(err)
		}
		for _, tt := range []struct {
			id           string
			conversation int64
			assignee     string
			want         Outcome
		}{
			{"e-1", 100, testAgent, Echo},
			{"e-2", 999, testAgent, Echo}, // the import is not recorded yet
			{"e-3", 101, "agent-1", Stored},
			{"e-4", 102, strings.ToUpper(testAgent), Stored},
		} {
			if outcome, err := in.Take(w.Context(), closed(tt.id, tt.conversation, tt.assignee)); err != nil || outcome != tt.want {
				w.Errorf("%s: %v, %v, want %v", tt.id, outcome, err, tt.want)
			}
		}
		for id, want := range map[string][2]string{"closed": {"", ""}, "handed": {"closed", "agent-1"}, "nobody": {"closed", ""}} {
			h, err := w.store.Handover(w.Context(), testSource, id)
			if err != nil || h.State != want[0] || h.ClosedBy != want[1] {
				w.Errorf("%s: %+v, %v, want %v", id, h, err, want)
			}
		}
	})
}

// TestReorder: an event that arrives shortly after a later one of its conversation is forwarded before it, also after others were forwarded.
func TestReorder(t *testing.T) {
	each(t, func(w *world) {
		w.imported("t-1", 100)
		signal := NewSignal()
		in := w.intake(func(c *IntakeConfig) { c.Reorder, c.Stored = time.Second, signal })
		b := newBot(w, nil)
		_, stop := w.forwarder(b, func(c *ForwarderConfig) { c.Stored = signal })
		base := time.Now().Add(-time.Minute)
		want := map[string][]string{"t-1": {"0", "1", "2", "3"}}
		for _, pair := range [][2]int{{1, 0}, {3, 2}} {
			for _, n := range pair {
				if outcome, err := in.Take(w.Context(), message(want["t-1"][n], 100, base.Add(time.Duration(n)*time.Second))); err != nil || outcome != Stored {
					w.Fatal(outcome, err)
				}
			}
			b.accepted(max(pair[0], pair[1]) + 1)
		}
		stop()
		b.inOrder(want)
	})
}
