package checkpoint

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

var acme = Binding{BaseURL: "https://dev.dixa.io", Organisation: "org-1"}

// bound is a store with a source of acme and one of another organisation.
func (s *fixture) bound(t testing.TB) *fixture {
	t.Helper()
	for source, to := range map[string]Binding{bot: acme, "rehearsal": {BaseURL: "http://127.0.0.1", Organisation: "org-2"}} {
		if err := s.Bind(t.Context(), source, to, false); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// imported records a transcript of a source with a conversation.
func (s *fixture) imported(t testing.TB, source, id string, conversation int64) {
	t.Helper()
	at := "'2026-11-19T08:00:00.000Z'"
	s.sql(t, "insert into dixa_import.transcripts (source, transcript_id, status, conversation_id, created_at, updated_at) values ($1, $2, 'complete', $3, "+at+", "+at+")",
		source, id, conversation)
}

var forwarding = StoreOptions{Forward: true, Hold: time.Hour}

func (s *fixture) storeEvents(t testing.TB, opts StoreOptions, events ...WebhookEvent) []StoredEvent {
	t.Helper()
	stored, err := s.StoreEvents(t.Context(), acme, events, opts)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func (s *fixture) event(t testing.TB, id string) WebhookEvent {
	t.Helper()
	events, err := s.Events(t.Context(), EventFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.ID == id {
			return e
		}
	}
	return WebhookEvent{}
}

// claimed claims events and returns them by their ids.
func (s *fixture) claimed(t testing.TB, instance string) map[string]WebhookEvent {
	t.Helper()
	events, _, err := s.ClaimEvents(t.Context(), acme, bot, instance, time.Minute, 100)
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]WebhookEvent{}
	for _, e := range events {
		byID[e.ID] = e
	}
	return byID
}

func message(id string, conversation int64, at time.Time) WebhookEvent {
	return WebhookEvent{ID: id, ConversationID: conversation, Type: "message_added", FQN: "CONVERSATION_MESSAGE_ADDED", At: at, Text: "text of " + id,
		AuthorID: "agent", AuthorName: "Ann", AuthorType: "Member", MessageID: "m-" + id}
}

func TestEventsAreStoredOnce(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		s.bound(t)
		s.imported(t, bot, "a", 100)
		s.imported(t, "rehearsal", "other", 200)
		now := time.Now()
		full := message("e-1", 100, now)
		odd := message("e-odd\x00", 100, now)
		odd.Text = "bad \xff\x00"
		events := []WebhookEvent{full, full, odd, message("e-old", 999, now.Add(-2*time.Hour)), message("e-new", 999, now), message("e-other", 200, now.Add(-2*time.Hour)),
			message("", 100, now), message("e-none", 0, now)}
		got := s.storeEvents(t, forwarding, events...)
		equal(t, "results", got, []StoredEvent{{true, "a"}, {}, {true, "a"}, {}, {true, ""}, {}, {}, {}})
		equal(t, "repeated", s.storeEvents(t, forwarding, events...), make([]StoredEvent, len(events)))

		e := s.event(t, "e-1")
		if e.ReceivedAt.IsZero() || e.NextAttemptAt.IsZero() {
			t.Errorf("the times of %+v are missing", e)
		}
		e.ReceivedAt, e.NextAttemptAt = time.Time{}, time.Time{}
		full.Source, full.TranscriptID, full.State, full.At = bot, "a", EventWaiting, e.At
		equal(t, "event", e, full)
		if diff := e.At.Sub(now); diff > time.Millisecond || diff < -time.Millisecond {
			t.Errorf("its time is %v, want %v", e.At, now)
		}
		equal(t, "text", s.event(t, "e-odd\uFFFD").Text, "bad \uFFFD\uFFFD")

		kept := message("e-kept", 100, now)
		s.storeEvents(t, StoreOptions{}, kept)
		equal(t, "state", s.event(t, "e-kept").State, EventKept)
		counts, err := s.EventCounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "counts", counts, map[EventState]int64{EventWaiting: 3, EventKept: 1})
		names, err := s.SourcesOf(t.Context(), acme)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "sources", names, []string{bot})
	})
}

// TestConversationHasTwoNumbers: an event may name its conversation by either.
func TestConversationHasTwoNumbers(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		s.bound(t)
		s.imported(t, bot, "a", 100)
		for i, numbers := range [][2]int64{{100, 0}, {7, 100}, {100, 7}, {8, 300}} {
			e := message(fmt.Sprint(i), numbers[0], time.Now())
			e.CSID = numbers[1]
			s.storeEvents(t, forwarding, e)
		}
		equal(t, "unknown", s.event(t, "3").TranscriptID, "")
		s.imported(t, bot, "b", 300)
		if n, err := s.AttachEvents(t.Context()); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		for id, want := range map[string]int64{"0": 100, "1": 100, "2": 100, "3": 300} {
			if e := s.event(t, id); e.ConversationID != want || e.TranscriptID == "" {
				t.Errorf("event %s has conversation %d of %q, want %d", id, e.ConversationID, e.TranscriptID, want)
			}
		}
	})
}

func TestEventWaitsForItsImport(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		s.bound(t)
		closing := WebhookEvent{ID: "closed", ConversationID: 100, Type: "conversation_closed", FQN: "CONVERSATION_CLOSED", At: time.Now(), Effect: EffectClosed, AgentID: "agent"}
		s.storeEvents(t, forwarding, message("early", 100, time.Now()), closing)
		equal(t, "claimed before the import", len(s.claimed(t, "i")), 0)
		s.imported(t, bot, "a", 100)
		if n, err := s.AttachEvents(t.Context()); err != nil || n != 2 {
			t.Fatal(n, err)
		}
		equal(t, "claimed after the import", len(s.claimed(t, "i")), 1)
		h, err := s.Handover(t.Context(), bot, "a")
		if err != nil || h.ClosedBy != "agent" || h.AgentClosedAt.IsZero() {
			t.Errorf("the transcript learnt %+v, %v", h, err)
		}
		if n, err := s.AttachEvents(t.Context()); err != nil || n != 0 {
			t.Fatal(n, err)
		}
	})
}

// TestHandoverStates: whatever the order and number of the events, the state never goes back.
func TestHandoverStates(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		s.bound(t)
		base := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
		event := func(id string, effect EventEffect, minute int, agent string) WebhookEvent {
			return WebhookEvent{ID: id, Type: "other", FQN: "X", At: base.Add(time.Duration(minute) * time.Minute), Effect: effect, AgentID: agent}
		}
		assigned, closed, abandoned := event("assigned", EffectAssigned, 1, "ann"), event("closed", EffectClosed, 5, "ann"), event("abandoned", EffectClosed, 4, "")
		again, late := event("again", EffectClosed, 9, "bob"), event("late", EffectNone, 10, "")
		done := Handover{State: "closed", QueueID: "q", AgentClosedAt: closed.At, ClosedBy: "ann"}
		for i, tt := range []struct {
			handed bool
			events []WebhookEvent
			want   Handover
		}{
			{true, []WebhookEvent{assigned}, Handover{State: "assigned", QueueID: "q"}},
			{true, []WebhookEvent{assigned, closed, late}, done},
			{true, []WebhookEvent{closed, assigned, closed, abandoned}, done},
			{true, []WebhookEvent{abandoned}, Handover{State: "closed", QueueID: "q", AgentClosedAt: abandoned.At}},
			{true, []WebhookEvent{again, closed}, Handover{State: "closed", QueueID: "q", AgentClosedAt: again.At, ClosedBy: "bob"}},
			{false, []WebhookEvent{assigned, abandoned}, Handover{}},
			{false, []WebhookEvent{assigned, closed}, Handover{AgentClosedAt: closed.At, ClosedBy: "ann"}},
		} {
			id, conversation := fmt.Sprint("t-", i), int64(1000+i)
			s.imported(t, bot, id, conversation)
			if tt.handed {
				s.sql(t, "update dixa_import.transcripts set handover_state = 'waiting', queue_id = 'q' where transcript_id = $1", id)
			}
			for j, e := range tt.events {
				e.ID, e.ConversationID = fmt.Sprint(e.ID, i, j), conversation
				s.storeEvents(t, forwarding, e)
			}
			got, err := s.Handover(t.Context(), bot, id)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, id, got, tt.want)
			if handed, err := s.HandedOver(t.Context(), acme, 1, conversation); err != nil || handed != tt.handed {
				t.Errorf("%s: handed over is %v, %v", id, handed, err)
			}
		}
		// A transfer on its way counts as handed over.
		s.imported(t, bot, "on-its-way", 2000)
		s.sql(t, "insert into dixa_import.steps (source, transcript_id, step, state, updated_at) values ('bot', 'on-its-way', 'transfer', 'sending', '2026-11-19T08:00:00.000Z')")
		e := abandoned
		e.ID, e.ConversationID = "on-its-way", 2000
		s.storeEvents(t, forwarding, e)
		if got, err := s.Handover(t.Context(), bot, "on-its-way"); err != nil || got.State != "closed" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestPurgeEvents(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		s.bound(t)
		s.imported(t, bot, "a", 100)
		s.imported(t, bot, "b", 101)
		s.storeEvents(t, StoreOptions{}, message("kept", 100, time.Now()), message("kept-new", 100, time.Now()))
		s.storeEvents(t, forwarding, message("waiting", 101, time.Now()), message("unknown", 999, time.Now()), message("unknown-new", 999, time.Now()))
		s.sql(t, "update dixa_import.events set received_at = '2026-01-01T00:00:00.000Z' where event_id in ('kept', 'waiting')")
		age := func() {
			s.sql(t, "update dixa_import.events set received_at = $1 where event_id = 'unknown'", sqliteTime(time.Now().Add(-2*time.Hour)))
		}
		age()
		s.sql(t, "insert into dixa_import.transcripts (source, transcript_id, status, created_at, updated_at) values ('bot', 'c', 'sending', '2026-11-19T08:00:00.000Z', '2026-11-19T08:00:00.000Z')")
		for range 2 {
			if err := s.PurgeEvents(t.Context(), time.Hour, 24*time.Hour); err != nil {
				t.Fatal(err)
			}
			equal(t, "a text", s.event(t, "kept").Text, "")
			equal(t, "a new text", s.event(t, "kept-new").Text, "text of kept-new")
			e := s.event(t, "waiting")
			equal(t, "state", []string{string(e.State), e.Text, e.AuthorName}, []string{"dead", "", ""})
			equal(t, "an unknown one while an import is on its way", s.event(t, "unknown").ID, "unknown")
		}
		if n, err := s.RetryEvents(t.Context(), "", "", 24*time.Hour); err != nil || n != 0 {
			t.Errorf("%d events without their texts are retried: %v", n, err)
		}
		s.sql(t, "delete from dixa_import.transcripts where transcript_id = 'c'")
		if err := s.PurgeEvents(t.Context(), time.Hour, 24*time.Hour); err != nil {
			t.Fatal(err)
		}
		equal(t, "unknown ones", []string{s.event(t, "unknown").ID, s.event(t, "unknown-new").ID}, []string{"", "unknown-new"})
	})
}

func TestEventFilter(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		s.bound(t)
		s.imported(t, bot, "a", 100)
		s.imported(t, bot, "b", 101)
		for i := range 4 {
			s.storeEvents(t, forwarding, message(fmt.Sprint(i), int64(100+i%2), time.Now()))
		}
		s.sql(t, "update dixa_import.events set state = 'dead', next_attempt_at = null where event_id = '2'")
		s.sql(t, "update dixa_import.events set received_at = '2026-01-01T00:00:00.000Z' where event_id = '1'")
		for name, tt := range map[string]struct {
			f    EventFilter
			want []string
		}{
			"all":        {EventFilter{}, []string{"0", "1", "2", "3"}},
			"dead":       {EventFilter{States: []EventState{EventDead}}, []string{"2"}},
			"transcript": {EventFilter{TranscriptID: "b", Source: bot}, []string{"1", "3"}},
			"since":      {EventFilter{Since: time.Now().Add(-time.Hour)}, []string{"0", "2", "3"}},
			"none":       {EventFilter{Source: "x"}, nil},
		} {
			events, err := s.Events(t.Context(), tt.f)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, e := range events {
				ids = append(ids, e.ID)
			}
			slices.Sort(ids)
			equal(t, name, ids, tt.want)
		}
		if events, err := s.Events(t.Context(), EventFilter{Limit: 3}); err != nil || len(events) != 3 || slices.ContainsFunc(events, func(e WebhookEvent) bool { return e.ID == "1" }) {
			t.Errorf("the latest three are %v, %v", events, err)
		}
	})
}

// TestForgottenPersonsEvents: what a forgotten person wrote is removed, and not forwarded.
func TestForgottenPersonsEvents(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		s.bound(t)
		s.imported(t, bot, "a", 100)
		s.sql(t, "update dixa_import.transcripts set end_user_id = 'u'")
		email := Identifier{Email, "ann@example.org"}
		if err := s.SaveEndUsers(t.Context(), "org", []EndUser{{ID: "u", Identifiers: []Identifier{email}}}); err != nil {
			t.Fatal(err)
		}
		s.storeEvents(t, forwarding, message("e", 100, time.Now()))
		if _, _, err := s.ForgetPerson(t.Context(), []Identifier{email}); err != nil {
			t.Fatal(err)
		}
		e := s.event(t, "e")
		equal(t, "event", []string{e.Text, e.AuthorName, string(e.State)}, []string{"", "", string(EventDead)})
	})
}
