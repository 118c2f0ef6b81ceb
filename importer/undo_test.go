//go:build unix

package importer_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/verify"
	"dixa-import/importer/withdraw"
)

// withdrawer returns a Withdrawer with short times, and a function that closes its checkpoint.
func (w *world) withdrawer(opts withdraw.Options, change func(*importer.Config)) (*withdraw.Withdrawer, func()) {
	w.Helper()
	store := w.open()
	cfg := importer.Config{Source: testSource, BaseURL: w.http.URL, AgentID: sandbox.DefaultAgentID, RequestTimeout: 400 * time.Millisecond, Settle: 60 * time.Millisecond,
		SendWindow: sendWindow(), MaxAttempts: 5}
	if change != nil {
		change(&cfg)
	}
	return withdraw.New(cfg, store, w.client(nil), opts), func() { _ = store.Close() }
}

func (w *world) undo(run int64, opts withdraw.Options) (withdraw.Summary, error) {
	w.Helper()
	u, end := w.withdrawer(opts, nil)
	defer end()
	return u.Anonymize(context.Background(), run)
}

func (w *world) mustUndo(want importer.Outcome, run int64, opts withdraw.Options) withdraw.Summary {
	w.Helper()
	s, err := w.undo(run, opts)
	if err != nil || s.Outcome != want {
		w.Fatalf("undo ended as %q (%s), %v, want %q: %+v", s.Outcome, s.Reason, err, want, s)
	}
	return s
}

// wantAnonymized checks that each of n conversations was asked about once and is anonymized, and that nothing else is.
func (w *world) wantAnonymized(n int) {
	w.Helper()
	asked := map[string]int{}
	for _, a := range w.api.Anonymizations() {
		if asked[a.Target]++; asked[a.Target] > 1 {
			w.Errorf("Dixa was asked %d times about %s", asked[a.Target], a.Target)
		}
	}
	done := 0
	for _, c := range w.api.Conversations() {
		if !c.AnonymizedAt.IsZero() {
			done++
		}
	}
	if len(asked) != n || done != n {
		w.Errorf("%d conversations were asked about and %d are anonymized, want %d", len(asked), done, n)
	}
}

func TestUndoARun(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{AnonymizeDelay: -1})
		path := w.file("c.jsonl", orders(20)...)
		first := w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders).Run
		path = w.file("c.jsonl", orders(23)...)
		second := w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders).Run

		// Nothing is done while the requests wait in Dixa's queue.
		s := w.mustUndo(importer.OutcomeIncomplete, first, withdraw.Options{})
		if s.Queued != 20 || s.Done+s.Refused+s.Left+s.Unclear+s.Gone != 0 {
			t.Errorf("while all wait: %+v", s)
		}
		w.wantRow("t-000", checkpoint.Skipped, checkpoint.CodeUndone)
		w.wantRow("t-020", checkpoint.Complete, "")
		if n := w.api.ProcessAnonymizations(); n != 20 {
			t.Fatalf("%d requests in the queue", n)
		}
		if s := w.mustUndo(importer.OutcomeOK, first, withdraw.Options{}); s.Done != 20 {
			t.Errorf("when all is done: %+v", s)
		}
		before := w.api.Counts()
		w.mustUndo(importer.OutcomeOK, first, withdraw.Options{})
		if after := w.api.Counts(); after[sandbox.GetAnonymization] != before[sandbox.GetAnonymization] || after[sandbox.GetConversation] != before[sandbox.GetConversation] {
			t.Errorf("what is done is asked about again: %v, %v", before, after)
		}
		w.wantAnonymized(20)

		// What was undone is not imported again, changed or not.
		lines := orders(23)
		lines[3] = strings.Replace(lines[3], "Where is my order?", "Where is it?", 1)
		w.file("c.jsonl", lines...)
		run := w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
		if run.Counts.Skipped != 20 || run.Counts.AlreadyDone != 3 || run.Skipped[checkpoint.CodeUndone] != 20 {
			t.Errorf("a run afterwards: %+v, %v", run.Counts, run.Skipped)
		}
		if v, found, err := w.verify(w.jsonl(path), verify.Options{}, nil); err != nil || v.Checked != 3 || found != nil {
			t.Errorf("a comparison afterwards: %+v, %v, %v", v, found, err)
		}

		// On demand it is, as a conversation of its own.
		again := w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) {
			withOrders(c)
			c.Retry = &importer.Selection{IDs: []string{"t-003"}}
		})
		row := w.wantRow("t-003", checkpoint.Complete, "")
		if list := w.api.ConversationsByExternalID("bot/t-003"); again.Counts.Imported != 1 || len(list) != 2 || list[0].AnonymizedAt.IsZero() || list[1].ID != row.ConversationID ||
			list[1].Attributes[sandbox.OrderNumberID] != "3" {
			t.Errorf("%+v: %+v", again.Counts, list)
		}
		w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) {
			withOrders(c)
			c.Retry = &importer.Selection{Codes: []string{checkpoint.CodeUndone}}
		})
		if n := len(w.api.Conversations()); n != 43 {
			t.Errorf("%d conversations, want 23 and 20 once more", n)
		}
		if v, found, err := w.verify(w.jsonl(path), verify.Options{}, nil); err != nil || v.Checked != 23 || found != nil {
			t.Errorf("a comparison afterwards: %+v, %v, %v", v, found, err)
		}
		// The first run has nothing left, and the second its own.
		w.mustUndo(importer.OutcomeOK, first, withdraw.Options{})
		w.wantAnonymized(20)
		w.mustUndo(importer.OutcomeIncomplete, second, withdraw.Options{})
		w.api.ProcessAnonymizations()
		w.mustUndo(importer.OutcomeOK, second, withdraw.Options{})
		w.wantAnonymized(23)
	})
}

// TestUndoThroughFaults requires that each conversation is asked about once whatever happens to requests and answers, if Dixa shows what is
// anonymized.
func TestUndoThroughFaults(t *testing.T) {
	t.Parallel()
	kinds := []sandbox.FaultKind{sandbox.ErrorBefore, sandbox.ErrorAfter, sandbox.DropBefore, sandbox.DropAfter, sandbox.HangAfter, sandbox.BrokenBody, sandbox.CutBody,
		sandbox.EmptyBody, sandbox.HTMLBody, sandbox.HTMLAfter, sandbox.Throttle}
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", chats(60)...)
	run := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil).Run
	var list []sandbox.Fault
	for _, op := range []sandbox.Operation{sandbox.AnonymizeConversation, sandbox.GetConversation} {
		for i, kind := range kinds {
			list = append(list, sandbox.Fault{Operation: op, Kind: kind, Nth: 2 + 3*i})
		}
	}
	w.api.SetFaults(list)
	s := w.mustUndo(importer.OutcomeOK, run, withdraw.Options{Wait: time.Minute})
	if s.Done != 60 {
		t.Errorf("%+v", s)
	}
	w.wantAnonymized(60)
	for _, kind := range kinds {
		w.wantFired("anonymize_conversation:" + string(kind))
	}
}

// TestUndoRefusals covers what Dixa does not do.
func TestUndoRefusals(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		path := w.file("c.jsonl", chats(6)...)
		run := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil).Run
		open, gone := w.wantOnce("t-1").ID, w.wantOnce("t-2").ID
		if !w.api.Reopen(open) || !w.api.DeleteConversation(gone) {
			t.Fatal("the world is not as it should be")
		}
		for _, status := range []int{403, 404} {
			w.api.Forbid(sandbox.AnonymizeConversation, status)
			s, err := w.undo(run, withdraw.Options{})
			if err == nil || s.Outcome != importer.OutcomeAborted || !strings.Contains(err.Error(), "put a token with more rights") {
				t.Errorf("%d: %+v, %v", status, s, err)
			}
			w.wantRow("t-0", checkpoint.Complete, "")
		}
		w.api.Forbid(sandbox.AnonymizeConversation, 0)
		w.nothingRecorded(run)
		s := w.mustUndo(importer.OutcomeIncomplete, run, withdraw.Options{})
		if s.Done != 4 || s.Refused != 1 || s.Gone != 1 {
			t.Errorf("%+v", s)
		}
		w.wantRow("t-1", checkpoint.Complete, "")
		w.wantRow("t-2", checkpoint.Skipped, checkpoint.CodeUndone)
		refused := w.withdrawals(run, checkpoint.WithdrawalRefused)
		if len(refused) != 1 || !strings.Contains(refused[0].Detail, "--force") || refused[0].TranscriptID != "t-1" {
			t.Errorf("%+v", refused)
		}
		s = w.mustUndo(importer.OutcomeOK, run, withdraw.Options{Force: true})
		if s.Done != 5 || s.Gone != 1 {
			t.Errorf("with force: %+v", s)
		}
		w.wantAnonymized(5)
		if c, _ := w.api.Conversation(open); c.ClosedAt.IsZero() {
			t.Error("the open conversation is still open")
		}

		// Another source's run, a run that does not exist, and one that goes on.
		for id, want := range map[int64]string{run + 100: "has no run", run: ""} {
			if _, err := w.undo(id, withdraw.Options{}); (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("run %d: %v", id, err)
			}
		}
	})
}

// nothingRecorded requires that a failed attempt has recorded nothing.
func (w *world) nothingRecorded(run int64) {
	w.Helper()
	if left := w.withdrawals(run); len(left) > 0 {
		w.Errorf("recorded although nothing was asked: %+v", left)
	}
}

func (w *world) withdrawals(run int64, states ...checkpoint.WithdrawalState) []checkpoint.Withdrawal {
	w.Helper()
	s, done := w.inspected()
	defer done()
	list, err := s.WithdrawalsOf(context.Background(), run, sandbox.DefaultOrganizationID, checkpoint.WithdrawImport, states, "", 1000)
	if err != nil {
		w.Fatal(err)
	}
	return list
}

func TestUndoIsRefusedWhileTheRunGoesOn(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", chats(3)...)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	store := w.open()
	defer func() { _ = store.Close() }()
	run, err := store.StartRun(t.Context(), testSource, "run")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := w.undo(run, withdraw.Options{}); err == nil || !strings.Contains(err.Error(), "is still going on") || len(w.api.Anonymizations()) > 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestTagARun(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		run := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(9)...)), nil).Run
		tag := func(name string, create bool) (withdraw.Summary, error) {
			u, end := w.withdrawer(withdraw.Options{}, func(c *importer.Config) { c.CreateTags = create })
			defer end()
			return u.Tag(context.Background(), run, name)
		}
		if _, err := tag("wrong import", false); err == nil || !strings.Contains(err.Error(), "create_tags") {
			t.Errorf("an unknown tag: %v", err)
		}
		w.api.SetFaults([]sandbox.Fault{{Operation: sandbox.AddTag, Kind: sandbox.ErrorAfter, Nth: 3, Times: 2}})
		w.api.DeleteConversation(w.wantOnce("t-4").ID)
		for range 2 {
			if s, err := tag("wrong import", true); err != nil || s.Outcome != importer.OutcomeOK || s.Done != 8 || s.Gone != 1 {
				t.Errorf("%+v, %v", s, err)
			}
		}
		if n := w.api.Counts()[sandbox.AddTag]; n > 9+1+2 { // the missing one is asked about again
			t.Errorf("%d requests for 9 conversations", n)
		}
		if s, err := tag("refund", false); err != nil || s.Done != 8 {
			t.Errorf("a second tag: %+v, %v", s, err)
		}
		for _, c := range w.api.Conversations() {
			if len(c.TagIDs) != 2 {
				t.Errorf("conversation %d has the tags %v", c.ID, c.TagIDs)
			}
		}
	})
}

// TestTwoUndoAtOnce requires that two processes share the work.
func TestTwoUndoAtOnce(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		run := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(80)...)), nil).Run
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if s, err := w.undo(run, withdraw.Options{Wait: time.Minute}); err != nil || s.Left+s.Refused > 0 {
					t.Errorf("%+v, %v", s, err)
				}
			})
		}
		both.Wait()
		w.mustUndo(importer.OutcomeOK, run, withdraw.Options{Wait: time.Minute})
		w.wantAnonymized(80)
	})
}

// killedWithdrawing runs a test for each moment before and after a write about a request to anonymize, on both stores.
func killedWithdrawing(t *testing.T, test func(t *testing.T, w *world, at halt)) {
	t.Helper()
	type moment struct {
		halt
		store string
	}
	var moments []moment
	for _, call := range []string{"BeginWithdrawal", "EndWithdrawal:asked", "EndWithdrawal:done"} {
		for _, after := range []bool{false, true} {
			for _, store := range stores {
				moments = append(moments, moment{halt{Call: call, Nth: 3, After: after, Signal: syscall.SIGKILL}, store})
			}
		}
	}
	together(t, moments, func(m moment) string { return fmt.Sprintf("%s %s", m.halt, m.store) }, func(t *testing.T, m moment) {
		test(t, setup(t, m.store, sandbox.Options{}), m.halt)
	})
}

// TestKilledUndo kills the process before and after every write, and when a request has arrived.
func TestKilledUndo(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	killedWithdrawing(t, func(t *testing.T, w *world, at halt) {
		path := w.file("c.jsonl", chats(8)...)
		run := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil).Run
		w.spawn(path, func(spec *childSpec) { spec.Halt, spec.Undo = &at, run }).mustDie()
		if s := w.mustUndo(importer.OutcomeOK, run, withdraw.Options{Wait: time.Minute}); s.Done != 8 {
			t.Errorf("%+v", s)
		}
		w.wantAnonymized(8)
		if s := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil); s.Counts.Skipped != 8 {
			t.Errorf("a run afterwards: %+v", s.Counts)
		}
	})
}

// TestUndoDoesNotAskForEver: what waits in the queue after a lost answer cannot be seen, so that it is asked about once more after
// Config.Settle, and never without an end.
func TestUndoDoesNotAskForEver(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{AnonymizeDelay: -1})
	run := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(1)...)), nil).Run
	w.api.SetFaults([]sandbox.Fault{{Operation: sandbox.AnonymizeConversation, Kind: sandbox.ErrorAfter}})
	u, end := w.withdrawer(withdraw.Options{Wait: 3 * time.Second}, func(c *importer.Config) { c.MaxAttempts = 2; c.SendWindow = 100 * time.Millisecond })
	defer end()
	s, err := u.Anonymize(context.Background(), run)
	if err != nil || s.Outcome != importer.OutcomeIncomplete || s.Unclear != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if n := len(w.api.Anonymizations()); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
	w.wantRow("t-0", checkpoint.Complete, "") // it is not known to be undone
	w.api.ProcessAnonymizations()
	w.mustUndo(importer.OutcomeOK, run, withdraw.Options{Wait: time.Minute})
	if n := len(w.api.Anonymizations()); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
	if !slices.Contains([]checkpoint.Status{checkpoint.Skipped}, w.row("t-0").Status) {
		t.Error("it is not undone")
	}
}

var _ withdraw.API = (*dixa.Client)(nil)

// TestKilledForget kills the process that asks Dixa to anonymize end-users, before and after every write. Each of them is asked about once.
func TestKilledForget(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	killedWithdrawing(t, func(t *testing.T, w *world, at halt) {
		const n = 6
		path := w.file("c.jsonl", chats(n)...)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
		var endUsers []string
		for _, c := range w.api.Conversations() {
			endUsers = append(endUsers, c.RequesterID)
		}
		w.spawn(path, func(spec *childSpec) { spec.Halt, spec.Forget = &at, endUsers }).mustDie()
		u, end := w.withdrawer(withdraw.Options{Wait: time.Minute}, nil)
		defer end()
		asked, err := u.AnonymizeEndUsers(context.Background(), endUsers)
		if err != nil || asked.Outcome != importer.OutcomeOK || len(asked.List) != n {
			t.Errorf("%+v, %v", asked, err)
		}
		w.wantAnonymized(n)
	})
}
