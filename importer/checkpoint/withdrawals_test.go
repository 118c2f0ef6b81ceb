package checkpoint

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

const me, other = "process-1", "process-2"

// leave imports transcripts with the conversations 1, 2, ... and leaves them in the status.
func (s *fixture) leave(t testing.TB, run int64, status Status, ids ...string) {
	t.Helper()
	for _, id := range ids {
		claim := s.claim(t, run, id, s.claimOf(t, id))
		for _, e := range paths[status] {
			c := change(id, claim, e)
			c.EndUserID = "u-" + id
			if e == Found {
				s.conversations++
				c.ConversationID = s.conversations
			}
			s.do(t, run, c)
		}
	}
}

func (s *fixture) claimOf(t testing.TB, id string) int64 {
	t.Helper()
	if row := s.row(t, id); row.Status != "" {
		return row.Claim
	}
	return -1
}

func (s *fixture) importsOf(t testing.TB, run int64) []ImportOf {
	t.Helper()
	var all []ImportOf
	for after := ""; ; {
		page, err := s.ImportsOf(t.Context(), bot, run, org, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		after = page[len(page)-1].TranscriptID
		all = append(all, page...)
	}
}

func (s *fixture) withdrawals(t testing.TB, run int64, states ...WithdrawalState) (out []string) {
	t.Helper()
	for after := ""; ; {
		page, err := s.WithdrawalsOf(t.Context(), run, org, WithdrawImport, states, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return out
		}
		after = page[len(page)-1].Target
		for _, w := range page {
			out = append(out, fmt.Sprintf("%s %s %s %s %d", w.TranscriptID, w.Target, w.State, w.RequestID, w.Attempts))
		}
	}
}

// TestUndo undoes what one of two runs imported, and imports a transcript again.
func TestUndo(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		if err := s.Bind(ctx, bot, Binding{BaseURL: "https://x", Organisation: org}, false); err != nil {
			t.Fatal(err)
		}
		run, later := s.start(t), s.start(t)
		s.leave(t, run, Complete, "a", "b")
		s.leave(t, run, Partial, "c")
		s.leave(t, later, Complete, "d")
		s.leave(t, later, Imported, "e")
		s.leave(t, run, Failed, "f")
		// A later run works on c once more, which another one imported.
		row := s.row(t, "c")
		claims, err := s.Claim(ctx, bot, later, []ClaimRequest{{ID: "c", Seen: row.Claim, SeenAt: row.UpdatedAt, As: Imported}})
		if err != nil || claims[0].Claim == 0 {
			t.Fatal(claims, err)
		}
		list := s.importsOf(t, run)
		equal(t, "imports", len(list), 3)
		for i, want := range []string{"a", "b", "c"} {
			if x := list[i]; x.TranscriptID != want || x.ConversationID != int64(i+1) || x.Held != (want == "c") || x.ImportedAt.IsZero() || x.Withdrawal.Target != fmt.Sprint(i+1) {
				t.Errorf("%+v", x)
			}
		}
		saveStep := StepChange{ID: "c", Claim: claims[0].Claim, Step: Step{Name: StepTransfer, State: StepDone, Detail: "q"}, QueueID: "q"}
		if saved, err := s.SaveStep(ctx, bot, later, saveStep); err != nil || !saved {
			t.Fatal(saved, err)
		}

		begin := func(w Withdrawal, who string) bool {
			t.Helper()
			begun, err := s.BeginWithdrawal(ctx, w, who, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			return begun
		}
		end := func(w Withdrawal, state WithdrawalState, attempts int) {
			t.Helper()
			w.State, w.Attempts = state, attempts
			if state == WithdrawalAsked {
				w.RequestID = "r-" + w.Target
			}
			if err := s.EndWithdrawal(ctx, w); err != nil {
				t.Fatal(err)
			}
		}
		a, c := list[0].Withdrawal, list[2].Withdrawal
		for range 2 {
			if !begin(a, me) {
				t.Error("the process that has begun may not repeat that")
			}
		}
		if begin(a, other) {
			t.Error("another process may begin the same")
		}
		known, err := s.Withdrawal(ctx, org, WithdrawImport, a.Target)
		if err != nil || known.State != WithdrawalSending || known.Attempts != 1 || known.SendIn < 50*time.Second || known.TranscriptID != "a" || known.RunID != run {
			t.Errorf("%+v, %v", known, err)
		}
		equal(t, "a before it is asked", s.row(t, "a").Status, Complete)
		end(a, WithdrawalAsked, 2)
		equal(t, "an end of another attempt", s.withdrawals(t, run), []string{"a 1 sending  1"})
		end(a, WithdrawalAsked, 1)
		equal(t, "asked", s.withdrawals(t, run, WithdrawalAsked), []string{"a 1 asked r-1 1"})
		if row := s.row(t, "a"); row.Status != Skipped || row.ErrorCode != CodeUndone || row.ConversationID != 0 || row.EndUserID != "u-a" || row.ContentHash != "h" {
			t.Errorf("%+v", row)
		}
		if begin(a, me) || begin(Withdrawal{Organisation: org, Action: WithdrawImport, Target: "1", Attempts: 1}, me) {
			t.Error("what is asked can be asked again")
		}
		end(a, WithdrawalDone, 1)
		equal(t, "done", s.withdrawals(t, run, WithdrawalDone, WithdrawalAsked), []string{"a 1 done r-1 1"})

		// c is held by a run, so that only the request is recorded.
		begin(c, me)
		end(c, WithdrawalAsked, 1)
		equal(t, "c while a run has it", s.row(t, "c").Status, Imported)
		equal(t, "imports", len(s.importsOf(t, run)), 2)
		s.expire(t, later)
		if err := s.Undo(ctx, c); err != nil {
			t.Fatal(err)
		}
		equal(t, "c afterwards", s.row(t, "c").Status, Skipped)
		if steps, err := s.StepsOf(ctx, bot, "c"); err != nil || len(steps) > 0 {
			t.Errorf("steps of an undone transcript: %v, %v", steps, err)
		}
		equal(t, "partial errors", len(s.partial(t, "c")), 0)
		// The run whose lease has expired can no longer finish it.
		late := change("c", claims[0].Claim, Finish)
		if results, err := s.Write(ctx, bot, later, []Change{late}); err != nil || results[0].Applied {
			t.Errorf("%+v, %v", results, err)
		}
		// Undone conversations are nobody's, but known.
		held, err := s.Conversations(ctx, bot, []int64{1, 2, 3, 4, 99})
		if err != nil || !held[1] || !held[2] || !held[3] || held[99] {
			t.Errorf("%v, %v", held, err)
		}
		if holders, err := s.Holders(ctx, bot, []int64{1, 2}); err != nil || holders[1] != "" || holders[2] != "b" {
			t.Errorf("%v, %v", holders, err)
		}

		// a is imported again, by demand: undoing the first run once more does not touch that.
		s.leave(t, run, Complete, "a")
		equal(t, "a again", s.row(t, "a").ConversationID, 6)
		if err := s.Undo(ctx, a); err != nil {
			t.Fatal(err)
		}
		equal(t, "a again", s.row(t, "a").ConversationID, 6)
		if left := s.importsOf(t, run); len(left) != 2 || left[0].ConversationID != 6 || left[0].Withdrawal.State != "" {
			t.Errorf("%+v", left)
		}
		equal(t, "another run's", len(s.importsOf(t, later)), 2)
	})
}

// TestWithdrawalsThatDoNotLeave requires that an attempt of which nothing left says nothing, and that a refusal may be followed by a request.
func TestWithdrawalsThatDoNotLeave(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		w := Withdrawal{Organisation: org, Action: WithdrawEndUser, Target: "u"}
		read := func() Withdrawal {
			t.Helper()
			got, err := s.Withdrawal(ctx, org, WithdrawEndUser, "u")
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		begin := func(attempts int) {
			t.Helper()
			w.Attempts = attempts
			if begun, err := s.BeginWithdrawal(ctx, w, me, -time.Second); err != nil || !begun {
				t.Fatal(begun, err)
			}
			w.Attempts++
		}
		begin(0)
		if err := s.AbandonWithdrawal(ctx, w); err != nil || read().State != "" {
			t.Errorf("%+v, %v", read(), err)
		}
		begin(0)
		w.State, w.Detail = WithdrawalRefused, "it is open"
		if err := s.EndWithdrawal(ctx, w); err != nil || read().State != WithdrawalRefused || read().Detail != "it is open" {
			t.Errorf("%+v, %v", read(), err)
		}
		begin(1)
		if got := read(); got.State != WithdrawalSending || got.Detail != "it is open" || got.SendIn > 0 {
			t.Errorf("%+v", got)
		}
		begin(2) // after a doubt
		if err := s.AbandonWithdrawal(ctx, w); err != nil || read().State != WithdrawalSending || read().Attempts != 3 {
			t.Errorf("%+v, %v", read(), err)
		}
		w.State = WithdrawalDone
		if err := s.EndWithdrawal(ctx, w); err != nil || read().State != WithdrawalDone {
			t.Errorf("%+v, %v", read(), err)
		}
		for _, id := range []string{"here", "there"} {
			if err := s.SaveEndUsers(ctx, id, []EndUser{{ID: id, Identifiers: identifiers(id)}}); err != nil {
				t.Fatal(err)
			}
		}
		if others, err := s.Elsewhere(ctx, "here", []string{"here", "there", "nowhere"}); err != nil || !slices.Equal(others, []string{"there"}) {
			t.Errorf("%v, %v", others, err)
		}
	})
}

// TestUndoOfEarlierVersions requires that an import which does not say its run belongs to the run that was the last to work on it and began before.
func TestUndoOfEarlierVersions(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		first := s.start(t)
		s.leave(t, first, Complete, "a", "b")
		s.sql(t, "update dixa_import.transcripts set imported_by = null")
		second := s.start(t)
		s.sql(t, "update dixa_import.runs set started_at = $1 where id = $2", "2100-01-01T00:00:00.000Z", second)
		s.sql(t, "update dixa_import.transcripts set run_id = $1 where transcript_id = 'b'", second)
		if list := s.importsOf(t, first); len(list) != 1 || list[0].TranscriptID != "a" {
			t.Errorf("%+v", list)
		}
		equal(t, "the second run", len(s.importsOf(t, second)), 0)
	})
}
