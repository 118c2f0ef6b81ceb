package checkpoint

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestRuns(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		first := s.start(t)
		counts := Counts{Read: 55, Imported: 1, Partial: 2, Failed: 3, Rejected: 4, Skipped: 5, AlreadyDone: 6, Duplicate: 7, InDoubt: 8,
			Pending: 19, Requests: 100}
		beat := Beat{Counts: counts, Throttled: 3}
		for range 2 { // figures are totals, so a repetition adds nothing
			if err := s.RenewRun(ctx, first, beat); err != nil {
				t.Fatal(err)
			}
		}
		other, err := s.StartRun(ctx, "other", "retry")
		if err != nil {
			t.Fatal(err)
		}
		check := func(source string, limit int, want ...Run) {
			t.Helper()
			got, err := s.Runs(ctx, source, limit)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Run{}, "StartedAt", "FinishedAt")); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
			for _, r := range got {
				if time.Since(r.StartedAt).Abs() > time.Minute || r.FinishedAt.IsZero() == (r.Outcome != "") {
					t.Errorf("run %d started at %v and finished at %v", r.ID, r.StartedAt, r.FinishedAt)
				}
			}
		}
		one := Run{ID: first, Source: bot, Command: "run", Counts: counts, Throttled: 3, Alive: true}
		two := Run{ID: other, Source: "other", Command: "retry", Alive: true}
		check("", 10, two, one)
		check("", 1, two)
		check(bot, 10, one)
		s.expire(t, other)
		two.Alive = false
		check("other", 10, two)

		counts.Imported, counts.Pending = 20, 0
		beat = Beat{Counts: counts, Throttled: 4}
		for range 2 {
			if err := s.FinishRun(ctx, first, "complete", beat); err != nil {
				t.Fatal(err)
			}
		}
		one.Counts, one.Throttled, one.Outcome, one.Alive = counts, 4, "complete", false
		check(bot, 10, one)
		if s.RenewRun(ctx, first, beat) == nil || s.RenewRun(ctx, 999, beat) == nil || s.FinishRun(ctx, 999, "x", beat) == nil {
			t.Error("a run that has ended, or never began, was renewed or finished")
		}
		got, ok, err := s.Run(ctx, first)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if diff := cmp.Diff(one, got, cmpopts.IgnoreFields(Run{}, "StartedAt", "FinishedAt")); diff != "" {
			t.Errorf("run (-want +got):\n%s", diff)
		}
		if _, ok, err := s.Run(ctx, 999); err != nil || ok {
			t.Errorf("a run that does not exist: %v, %v", ok, err)
		}
	})
}

func TestBinding(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		live, sandbox := Binding{"https://dev.dixa.io", "o-1"}, Binding{"http://127.0.0.1:1", "o-1"}
		for range 2 {
			if err := s.Bind(ctx, bot, live, false); err != nil {
				t.Fatal(err)
			}
		}
		err := s.Bind(ctx, bot, sandbox, false)
		conflict, ok := errors.AsType[*BindingError](err)
		if !ok || *conflict != (BindingError{bot, live, sandbox}) {
			t.Fatalf("another organisation: %v", err)
		}
		if err := s.Bind(ctx, bot, sandbox, true); err != nil {
			t.Fatal(err)
		}
		if err := s.Bind(ctx, bot, sandbox, false); err != nil {
			t.Fatal(err)
		}
		if err := s.Bind(ctx, "rehearsal", live, false); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWatermark(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		advance := func(upTo, want time.Time) {
			t.Helper()
			got, err := s.AdvanceWatermark(ctx, bot, upTo, 0)
			if err != nil {
				t.Fatal(err)
			}
			stands, _, err := s.Watermark(ctx, bot)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Equal(want) || !stands.Equal(want) {
				t.Errorf("the watermark is %v, stands at %v, should be %v", got, stands, want)
			}
		}
		minute := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Minute) }
		advance(minute(1), time.Time{}) // the source is unknown
		if err := s.Bind(ctx, bot, Binding{"b", "o"}, false); err != nil {
			t.Fatal(err)
		}
		advance(time.Time{}, time.Time{})
		advance(minute(1), minute(1))
		run := s.start(t)
		requests := []ClaimRequest{{ID: "p", Seen: -1, ClosedAt: minute(5)}, {ID: "s", Seen: -1, ClosedAt: minute(4)},
			{ID: "i", Seen: -1, ClosedAt: minute(3)}, {ID: "done", Seen: -1, ClosedAt: minute(2)}, {ID: "never", Seen: -1}}
		if _, err := s.Claim(ctx, bot, run, requests); err != nil {
			t.Fatal(err)
		}
		at := func(c Change, at time.Time) Change { c.ClosedAt = at; return c }
		found := at(change("i", 1, Found), minute(3))
		found.ConversationID = 1
		s.do(t, run, at(change("done", 1, Skip), minute(2)), at(change("s", 1, Send), minute(4)), at(change("i", 1, Send), minute(3)), found)
		advance(minute(9), minute(3))
		s.do(t, run, at(change("i", 1, Finish), minute(3)))
		advance(minute(9), minute(4))
		s.do(t, run, at(change("s", 1, Fail), minute(4)))
		advance(minute(9), minute(5))
		advance(minute(2), minute(5)) // never lowered
		s.do(t, run, at(change("p", 1, Skip), minute(5)))
		advance(minute(9), minute(9))
		advance(time.Time{}, minute(9))
		// A later transcript below the watermark does not move it.
		if _, err := s.Claim(ctx, bot, run, []ClaimRequest{{ID: "late", Seen: -1, ClosedAt: minute(0)}}); err != nil {
			t.Fatal(err)
		}
		advance(minute(20), minute(9))
		if other, _, err := s.Watermark(ctx, "other"); err != nil || !other.IsZero() {
			t.Errorf("watermark of another source: %v, %v", other, err)
		}
	})
}

// TestWatermarkIsNeverInTheFuture: a record with a future closed_at must not hide records that are closed until then.
func TestWatermarkIsNeverInTheFuture(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		if err := s.Bind(ctx, bot, Binding{"b", "o"}, false); err != nil {
			t.Fatal(err)
		}
		const overlap = time.Hour
		for _, upTo := range []time.Time{time.Now().Add(20 * time.Hour), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
			time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(33658, 1, 1, 0, 0, 0, 0, time.UTC)} {
			got, err := s.AdvanceWatermark(ctx, bot, upTo, overlap)
			if err != nil {
				t.Fatal(err)
			}
			if ago := time.Since(got); ago < overlap-time.Minute || ago > overlap+time.Minute {
				t.Errorf("advanced to %v, the watermark is %v", upTo, got)
			}
			if at, ahead, err := s.Watermark(ctx, bot); err != nil || ahead || !at.Equal(got) {
				t.Errorf("the watermark reads back as %v, %v, %v, want %v", at, ahead, err, got)
			}
		}
		for _, stored := range []string{"9999-12-31T23:59:59.000Z", "33658-09-27T01:46:40.000Z", time.Now().Add(20 * time.Hour).UTC().Format(sqliteTimeLayout)} {
			s.sql(t, "update dixa_import.sources set watermark = '"+stored+"'")
			if at, ahead, err := s.Watermark(ctx, bot); err != nil || !ahead || !at.IsZero() {
				t.Errorf("a stored watermark of %s reads as %v, %v, %v", stored, at, ahead, err)
			}
			got, err := s.AdvanceWatermark(ctx, bot, t0, overlap)
			if err != nil || !got.Equal(t0) {
				t.Errorf("a stored watermark of %s is advanced to %v, %v, want %v", stored, got, err, t0)
			}
		}
	})
}

func TestTotals(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run, later := s.start(t), s.start(t)
		put(t, s, run, "a", Failed, 0)
		put(t, s, run, "b", Failed, 0)
		put(t, s, later, "c", Failed, 0)
		put(t, s, later, "d", Pending, 0)
		if _, err := s.Claim(t.Context(), "another", run, []ClaimRequest{{ID: "a", Seen: -1}}); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			source string
			run    int64
			want   []Total
		}{
			{"", 0, []Total{{"another", Pending, "", 1}, {bot, Failed, "code", 3}, {bot, Pending, "", 1}}},
			{bot, run, []Total{{bot, Failed, "code", 2}}},
			{"", later, []Total{{bot, Failed, "code", 1}, {bot, Pending, "", 1}}},
			{"none", 0, nil},
		} {
			got, err := s.Totals(t.Context(), test.source, test.run)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, test.source, got, test.want)
		}
	})
}

// TestClearRejectedKeepsTouchedRecords: a file is read twice, and some lines were corrected in between.
func TestClearRejectedKeepsTouchedRecords(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		reject := func(run int64, id, file string, status Event) {
			t.Helper()
			claims, err := s.Claim(ctx, bot, run, []ClaimRequest{{ID: id, Seen: -1, File: file}})
			if err != nil {
				t.Fatal(err)
			}
			s.do(t, run, change(id, claims[0].Claim, status))
		}
		first := s.start(t)
		for _, id := range []string{"f:1", "f:2", "f:3"} {
			reject(first, id, "f", Reject)
		}
		reject(first, "f:4", "f", Skip)
		reject(first, "g:1", "g", Reject)
		reject(first, "known", "", Reject)
		s.sql(t, "update dixa_import.transcripts set updated_at = now() - interval '1 second'")
		second := s.start(t)
		if err := s.Touch(ctx, bot, second, []string{"f:2", "f:4", "known", "unknown"}); err != nil {
			t.Fatal(err)
		}
		equal(t, "a record with an id is not touched", s.row(t, "known").RunID, first)
		equal(t, "a skipped record is not touched", s.row(t, "f:4").RunID, first)
		reject(second, "f:9", "f", Reject)
		for range 2 {
			if err := s.ClearRejected(ctx, bot, second, "f"); err != nil {
				t.Fatal(err)
			}
		}
		var left []string
		for _, id := range []string{"f:1", "f:2", "f:3", "f:4", "f:9", "g:1", "known"} {
			if s.row(t, id).ID != "" {
				left = append(left, id)
			}
		}
		equal(t, "left", left, []string{"f:2", "f:4", "f:9", "g:1", "known"})
		if err := s.Touch(ctx, bot, second, nil); err != nil {
			t.Error(err)
		}
		// Records that one run touched since another began stay, and an unknown run clears nothing.
		third := s.start(t)
		if err := s.Touch(ctx, bot, third, []string{"f:2"}); err != nil {
			t.Fatal(err)
		}
		s.sql(t, "update dixa_import.transcripts set updated_at = now() - interval '1 second' where transcript_id = 'g:1'")
		for run, file := range map[int64]string{second: "f", third: "f", 999: "g"} {
			if err := s.ClearRejected(ctx, bot, run, file); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []string{"f:2", "g:1"} {
			equal(t, id, s.row(t, id).ID, id)
		}
	})
}

func TestConversations(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		run := s.start(t)
		for source, b := range map[string]Binding{bot: {"b", "o"}, "sibling": {"b", "o"}, "sandbox": {"s", "o"}, "stranger": {"b", "p"}} {
			if err := s.Bind(ctx, source, b, false); err != nil {
				t.Fatal(err)
			}
		}
		add := func(source string, conversation int64) {
			t.Helper()
			if _, err := s.Claim(ctx, source, run, []ClaimRequest{{ID: "x", Seen: -1}}); err != nil {
				t.Fatal(err)
			}
			found := change("x", 1, Found)
			found.ConversationID = conversation
			if r, err := s.Write(ctx, source, run, []Change{found}); err != nil || !r[0].Applied {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		add(bot, 1)
		add("sibling", 2)
		add("sandbox", 3)
		add("stranger", 4)
		add("unbound", 1)
		got, err := s.Conversations(ctx, bot, []int64{1, 2, 3, 4, 5})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "held", got, map[int64]bool{1: true, 2: true})
		if got, err = s.Conversations(ctx, "unbound", []int64{1, 2}); err != nil {
			t.Fatal(err)
		}
		equal(t, "held by a source without binding", got, map[int64]bool{1: true})
		if got, err = s.Conversations(ctx, bot, nil); err != nil || len(got) > 0 {
			t.Errorf("none: %v, %v", got, err)
		}
	})
}
