package checkpoint

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// change returns a Change in which only the id, the claim and the event differ from others in these tests.
func change(id string, claim int64, e Event) Change {
	c := Change{ID: id, Claim: claim, Event: e, EndUserID: "u", Attempts: 1, ErrorCode: "code", Error: "text", Reason: "reason", ContentHash: "h", ClosedAt: t0}
	if e == Send || e == SendAgain {
		c.SendFor = time.Minute
	}
	return c
}

// paths lists the events that lead a claimed transcript to each status.
var paths = map[Status][]Event{
	Pending:  {},
	Sending:  {Send},
	Imported: {Send, Found},
	Complete: {Send, Found, Finish},
	Partial:  {Send, Found, FinishPartial},
	Failed:   {Send, Fail},
	InDoubt:  {Send, GiveUp},
	Rejected: {Reject},
	Skipped:  {Skip},
}

// put adds a transcript with a status, and the conversation if the status has one, and returns its claim.
func put(t testing.TB, s *fixture, run int64, id string, status Status, conversation int64) int64 {
	t.Helper()
	claim := s.claim(t, run, id, -1)
	for _, e := range paths[status] {
		c := change(id, claim, e)
		if e == Found {
			c.ConversationID = conversation
		}
		if got := s.do(t, run, c); !got[0].Applied {
			t.Fatalf("%s of %s was not applied", e, id)
		}
	}
	if got := s.row(t, id); got.Status != status {
		t.Fatalf("%s is %s, not %s", id, got.Status, status)
	}
	return claim
}

// TestTransitions tries every event on every status.
func TestTransitions(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run, conversation := s.start(t), int64(0)
		for _, tr := range Transitions {
			for _, status := range Statuses {
				id := fmt.Sprintf("%s-%s", tr.Event, status)
				conversation++
				claim := put(t, s, run, id, status, conversation)
				before := s.row(t, id)
				c := change(id, claim, tr.Event)
				if tr.Event == Found {
					c.ConversationID = conversation
				}
				applied := s.do(t, run, c)[0].Applied
				after := s.row(t, id)

				want, wantApplied := before, true
				switch {
				case slices.Contains(tr.From, status):
					if tr.To != "" {
						want.Status = tr.To
					}
					want.EndUserID, want.Attempts, want.ErrorCode, want.Error, want.Reason = c.EndUserID, c.Attempts, c.ErrorCode, c.Error, c.Reason
					if tr.Event == Found {
						want.ConversationID = conversation
					}
					if tr.Ends {
						want.ClaimedBy, want.Held = 0, false
					}
				case tr.Event == Found, tr.Ends && status == tr.To: // a repetition without effect
				case status == tr.To: // a repetition that is applied again
					want.EndUserID, want.Attempts, want.ErrorCode, want.Error, want.Reason = c.EndUserID, c.Attempts, c.ErrorCode, c.Error, c.Reason
				case tr.Event == Finish && status == Partial: // a repetition: the first one ended as partial
				default:
					wantApplied = false
					if !cmp.Equal(before, after, cmpIgnoreSendIn) {
						t.Errorf("%s: a refused event changed the row:\n%s", id, cmp.Diff(before, after))
					}
				}
				equal(t, id, after, want)
				if applied != wantApplied {
					t.Errorf("%s: applied is %v", id, applied)
				}
				if sent := after.SendIn > 50*time.Second; sent != (after.Status == Sending) {
					t.Errorf("%s: %s with SendIn %v", id, after.Status, after.SendIn)
				}
			}
		}
	})
}

var cmpIgnoreSendIn = cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "SendIn" }, cmp.Ignore())

// TestFencing: a run continues after another one has taken its transcripts.
func TestFencing(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		old := s.start(t)
		claims := map[Status]int64{}
		for i, status := range []Status{Pending, Sending, Imported} {
			claims[status] = put(t, s, old, string(status), status, int64(i+1))
		}
		s.expire(t, old)
		run := s.start(t)
		for status, claim := range claims {
			id := string(status)
			if got := s.claim(t, run, id, claim); got != claim+1 {
				t.Fatalf("claim of %s is %d", id, got)
			}
			before := s.row(t, id)
			for _, tr := range Transitions {
				if tr.Event == Found {
					continue
				}
				// The old run with its claim, a run that guesses the number, and the new run with the old number.
				for _, try := range []struct{ run, claim int64 }{{old, claim}, {old, claim + 1}, {run, claim}} {
					if got := s.do(t, try.run, change(id, try.claim, tr.Event)); got[0].Applied {
						t.Errorf("%s by run %d with claim %d was applied to %s", tr.Event, try.run, try.claim, id)
					}
				}
			}
			if after := s.row(t, id); !cmp.Equal(before, after, cmpIgnoreSendIn) {
				t.Errorf("%s changed:\n%s", id, cmp.Diff(before, after))
			}
		}
		// A 201 is recorded no matter which run got it, and the transcript stays with its new holder.
		found := change("sending", claims[Sending], Found)
		found.ConversationID = 77
		equal(t, "found", s.do(t, old, found), []Result{{Applied: true}})
		got := s.row(t, "sending")
		if got.Status != Imported || got.ConversationID != 77 || got.ClaimedBy != run {
			t.Errorf("after a 201 of the old run: %+v", got)
		}
		equal(t, "send", s.do(t, run, change("sending", claims[Sending]+1, SendAgain)), []Result{{}})
		equal(t, "finish", s.do(t, run, change("sending", claims[Sending]+1, Finish)), []Result{{Applied: true}})
	})
}

// TestWritesMayBeRepeated makes every write twice.
func TestWritesMayBeRepeated(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run := s.start(t)
		for status, path := range paths {
			id := string(status)
			claim := s.claim(t, run, id, -1)
			if again := s.claim(t, run, id, -1); again != claim || claim == 0 {
				t.Fatalf("%s: claims are %d and %d", id, claim, again)
			}
			for _, e := range append(path[:len(path):len(path)], Release) {
				if e == Release && paths[status] != nil && !slices.Contains([]Status{Pending, Sending, Imported}, status) {
					continue
				}
				c := change(id, claim, e)
				c.PartialErrors = []PartialError{{Kind: KindOther, Message: "m"}}
				if e == Found {
					c.ConversationID = int64(slices.Index(Statuses, status) + 1)
				}
				first := s.do(t, run, c)
				row := s.row(t, id)
				equal(t, fmt.Sprintf("%s of %s again", e, id), s.do(t, run, c), first)
				equal(t, fmt.Sprintf("%s after %s again", id, e), s.row(t, id), row)
				if !first[0].Applied {
					t.Errorf("%s of %s was not applied", e, id)
				}
				if got := s.partial(t, id); len(got) != 1 {
					t.Errorf("partial errors of %s after %s: %v", id, e, got)
				}
			}
			if row := s.row(t, id); row.ClaimedBy == 0 {
				other := change(id, claim, Release)
				other.Error = "another"
				if got := s.do(t, run, other); got[0].Applied {
					t.Errorf("%s: a release with a different error counts as a repetition", id)
				}
			}
		}
	})
}

func TestFoundWithAnotherConversation(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run := s.start(t)
		duplicate := func(a, b int64) []PartialError {
			return []PartialError{{Kind: KindDuplicate, Message: fmt.Sprintf("Dixa has two conversations of this transcript: %d and %d", a, b)}}
		}
		found := func(id string, claim, conversation int64) Change {
			c := change(id, claim, Found)
			c.ConversationID = conversation
			return c
		}
		// While it is in progress: it ends as partial, whichever run finishes it, even if that run replaces the partial errors.
		claim := put(t, s, run, "open", Imported, 10)
		for range 2 {
			equal(t, "other", s.do(t, run, found("open", 0, 11)), []Result{{Applied: true, Other: 10}})
		}
		equal(t, "duplicate", s.partial(t, "open"), duplicate(10, 11))
		finish := change("open", claim, Finish)
		finish.PartialErrors = []PartialError{}
		for range 2 {
			equal(t, "finish", s.do(t, run, finish), []Result{{Applied: true}})
		}
		got := s.row(t, "open")
		if got.Status != Partial || got.ConversationID != 10 {
			t.Errorf("finished with a duplicate: %+v", got)
		}
		equal(t, "duplicate", s.partial(t, "open"), duplicate(10, 11))

		// When it is finished.
		for _, status := range []Status{Complete, Partial} {
			id := string(status)
			conversation := int64(100 + len(id))
			put(t, s, run, id, status, conversation)
			equal(t, "the same", s.do(t, run, found(id, 0, conversation)), []Result{{Applied: true}})
			equal(t, "status", s.row(t, id).Status, status)
			for range 2 {
				equal(t, "other", s.do(t, run, found(id, 0, 900)), []Result{{Applied: true, Other: conversation}})
			}
			equal(t, "status", s.row(t, id).Status, Partial)
			equal(t, "duplicate", s.partial(t, id), duplicate(conversation, 900))
		}

		// The conversation belongs to another transcript.
		claim = put(t, s, run, "late", Sending, 0)
		for range 2 {
			equal(t, "taken", s.do(t, run, found("late", claim, 10)), []Result{{Holder: "open"}})
		}
		got = s.row(t, "late")
		if got.Status != InDoubt || got.ConversationID != 0 || got.ClaimedBy != 0 || got.ErrorCode != codeConversationTaken {
			t.Errorf("a transcript whose conversation is taken: %+v", got)
		}
		// Two transcripts in one call.
		a, b := put(t, s, run, "a", Sending, 0), put(t, s, run, "b", Sending, 0)
		equal(t, "two of one conversation", s.do(t, run, found("a", a, 500), found("b", b, 500)),
			[]Result{{Applied: true}, {Holder: "a"}})
		equal(t, "unknown", s.do(t, run, found("unknown", 1, 600)), []Result{{}})
	})
}

func TestFoundKeepsUnsetFields(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run := s.start(t)
		put(t, s, run, "a", InDoubt, 0)
		equal(t, "found", s.do(t, run, Change{ID: "a", Event: Found, ConversationID: 5}), []Result{{Applied: true}})
		equal(t, "row", s.row(t, "a"), Row{ID: "a", Status: Imported, ConversationID: 5, EndUserID: "u", Attempts: 1, ContentHash: "h",
			ClosedAt: t0, RunID: run, Claim: 1})
	})
}

func TestWriteRefusesInvalidChanges(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run := s.start(t)
		for _, c := range []Change{{ID: "a", Event: "explode"}, {ID: "a", Event: Found}} {
			if _, err := s.Write(t.Context(), bot, run, []Change{c}); err == nil {
				t.Errorf("%+v was accepted", c)
			}
		}
	})
}

func TestClaim(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run := s.start(t)
		for i, status := range Statuses {
			id := string(status)
			claim := put(t, s, run, id, status, int64(i+1))
			if status == Failed || status == Imported {
				s.sql(t, "insert into dixa_import.partial_errors (source, transcript_id, ordinal, kind, message) values ($1, $2, 1, 'other', 'm')", bot, id)
			}
			before := s.row(t, id)
			at := t0.Add(time.Hour)
			claims, err := s.Claim(t.Context(), bot, run, []ClaimRequest{{ID: id, Seen: claim, SeenAt: before.UpdatedAt, ContentHash: "new", ClosedAt: at, File: "f"}})
			if err != nil {
				t.Fatal(err)
			}
			after := s.row(t, id)
			want, wantClaim, wantPartial := before, claim+1, 0
			switch status {
			case Complete, Partial:
				wantClaim = 0
			case Sending, Imported:
				want.Claim, want.ClaimedBy, want.Held = wantClaim, run, true
				if status == Imported {
					wantPartial = 1
				}
			default:
				want.Claim, want.ClaimedBy, want.Held = wantClaim, run, true
				want.Status, want.ErrorCode, want.Error, want.Reason = Pending, "", "", ""
				want.ContentHash, want.ClosedAt = "new", at
			}
			equal(t, id, after, want)
			equal(t, "claim of "+id, claims[0].Claim, wantClaim)
			equal(t, "partial errors of "+id, len(s.partial(t, id)), wantPartial)
		}
		equal(t, "claim of a deleted row", s.claim(t, run, "gone", 3), int64(0))
		equal(t, "claim of an existing row as new", s.claim(t, run, "skipped", -1), int64(0))
		equal(t, "stale claim", s.claim(t, run, "failed", 0), int64(0))
	})
}

// TestLeases: a second run claims the transcripts of the first one.
func TestLeases(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		first, second := s.start(t), s.start(t)
		ids := []string{"a", "b", "c"}
		for _, id := range ids {
			put(t, s, first, id, Sending, 0)
		}
		held := func(run int64) bool {
			rows, err := s.Lookup(t.Context(), bot, run, ids[:1])
			if err != nil {
				t.Fatal(err)
			}
			return rows["a"].Held
		}
		unfinished := func(run int64, after string, limit int) (got []string) {
			rows, err := s.Unfinished(t.Context(), bot, run, after, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				got = append(got, r.ID)
			}
			return got
		}
		if held(first) || !held(second) {
			t.Error("Held is wrong while the first run is alive")
		}
		equal(t, "claim of a held transcript", s.claim(t, second, "a", 1), int64(0))
		equal(t, "unfinished while held", unfinished(second, "", 10), nil)

		s.expire(t, first)
		if held(second) {
			t.Error("held by a dead run")
		}
		equal(t, "unfinished of a dead run", unfinished(second, "", 10), ids)
		equal(t, "unfinished, first page", unfinished(second, "", 2), ids[:2])
		equal(t, "unfinished, second page", unfinished(second, "b", 2), ids[2:])
		equal(t, "unfinished of the run itself", unfinished(first, "", 10), nil)
		// The dead run keeps them until another run claims them.
		equal(t, "write after the lease", s.do(t, first, change("a", 1, SendAgain)), []Result{{Applied: true}})
		if err := s.RenewRun(t.Context(), first, Beat{}); err != nil {
			t.Fatal(err)
		}
		equal(t, "claim after renewal", s.claim(t, second, "a", 1), int64(0))

		s.expire(t, first)
		equal(t, "claim of a dead run's transcript", s.claim(t, second, "a", 1), int64(2))
		equal(t, "write with a lost claim", s.do(t, first, change("a", 1, SendAgain)), []Result{{}})
		if err := s.FinishRun(t.Context(), first, "stopped", Beat{}); err != nil {
			t.Fatal(err)
		}
		equal(t, "holder", []int64{s.row(t, "a").ClaimedBy, s.row(t, "b").ClaimedBy}, []int64{second, 0})
		equal(t, "claim of a released transcript", s.claim(t, second, "b", 1), int64(2))
		equal(t, "unfinished of no run", unfinished(second, "", 10), []string{"c"})
		put(t, s, second, "d", Pending, 0)
		put(t, s, second, "e", Complete, 1)
		equal(t, "unfinished is neither pending nor complete", unfinished(0, "", 10), []string{"c"})
	})
}
