package checkpoint

import (
	"maps"
	"slices"
	"testing"
	"time"
)

// TestLastSuccess requires that runs that failed, are under way or belong to another source, and retries, do not count.
func TestLastSuccess(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		at := func() time.Time {
			t.Helper()
			at, err := s.LastSuccess(t.Context(), bot)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		finish := func(source, command, outcome string) {
			t.Helper()
			run, err := s.StartRun(t.Context(), source, command)
			if err == nil && outcome != "" {
				err = s.FinishRun(t.Context(), run, outcome, Beat{})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		finish("other", "run", "ok")
		finish(bot, "retry", "ok")
		finish(bot, "run", "incomplete")
		if !at().IsZero() {
			t.Errorf("before the first success: %s", at())
		}
		finish(bot, "run", "ok")
		first := at()
		if age := time.Since(first); age < -time.Minute || age > time.Minute {
			t.Errorf("the success is %s old", age)
		}
		finish(bot, "run", "aborted")
		finish(bot, "run", "")
		if !at().Equal(first) {
			t.Errorf("%s became %s", first, at())
		}
	})
}

func TestMonitoringCounts(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		s.bound(t)
		if b, err := s.Backlog(t.Context(), bot); err != nil || len(b.Counts) != 0 || !b.Oldest.IsZero() {
			t.Errorf("without events: %+v, %v", b, err)
		}
		s.imported(t, bot, "a", 1)
		s.imported(t, bot, "b", 2)
		s.imported(t, "rehearsal", "c", 3)
		for _, q := range []string{
			"update dixa_import.transcripts set handover_state = 'waiting' where transcript_id in ('a', 'c')",
			"insert into dixa_import.steps (source, transcript_id, step, state, updated_at) values ('" + bot + "', 'a', 'transfer', 'done', '2026-11-19T08:00:00.000Z'), " +
				"('" + bot + "', 'b', 'transfer', 'refused', '2026-11-19T08:00:00.000Z'), ('" + bot + "', 'b', 'rating', 'done', '2026-11-19T08:00:00.000Z'), " +
				"('rehearsal', 'c', 'transfer', 'done', '2026-11-19T08:00:00.000Z')",
		} {
			s.sql(t, q)
		}
		s.storeEvents(t, forwarding, WebhookEvent{ID: "1", ConversationID: 1, Type: "other", FQN: "X"}, WebhookEvent{ID: "2", ConversationID: 2, Type: "other", FQN: "X"})
		s.storeEvents(t, StoreOptions{Hold: time.Hour}, WebhookEvent{ID: "3", ConversationID: 2, Type: "other", FQN: "X"})
		handovers, err := s.Handovers(t.Context(), bot)
		if err != nil || !slices.Equal(handovers, []HandoverTotal{{bot, "waiting", "", "", 1}}) {
			t.Errorf("hand-overs: %v, %v", handovers, err)
		}
		if all, err := s.Handovers(t.Context(), ""); err != nil || len(all) != 2 {
			t.Errorf("hand-overs of all sources: %v, %v", all, err)
		}
		steps, err := s.StepCounts(t.Context(), bot)
		if want := []StepCount{{StepRating, StepDone, 1}, {StepTransfer, StepDone, 1}, {StepTransfer, StepRefused, 1}}; err != nil || !slices.Equal(steps, want) {
			t.Errorf("steps: %v, %v", steps, err)
		}
		b, err := s.Backlog(t.Context(), bot)
		if age := time.Since(b.Oldest); err != nil || !maps.Equal(b.Counts, map[EventState]int64{EventWaiting: 2, EventKept: 1}) || age.Abs() > time.Minute {
			t.Errorf("events: %+v, %v", b, err)
		}
		other, err := s.Backlog(t.Context(), "rehearsal")
		if err != nil || len(other.Counts) != 0 {
			t.Errorf("events of another source: %+v, %v", other, err)
		}
	})
}
