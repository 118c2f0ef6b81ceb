//go:build unix

package importer_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// These tests suspend a process, as closing a laptop or freezing a container does, until another process has taken over its lease and
// finished its work. Then it wakes. They do not test the time between the last check of the clocks and the system call that writes the
// first byte of an import.

// rows returns the rows of transcripts, without the fields that every write changes.
func (w *world) rows(ids ...string) map[string]checkpoint.Row {
	w.Helper()
	s := w.open()
	defer func() { _ = s.Close() }()
	rows, err := s.Lookup(w.Context(), testSource, 0, ids)
	if err != nil {
		w.Fatal(err)
	}
	return rows
}

// wantNoOverwrite has the next run do the work of a suspended child, wakes the child, and checks that it does not change the result.
func (w *world) wantNoOverwrite(c *child, path string, want func()) {
	w.Helper()
	w.expireLeases()
	s, err := w.run(w.jsonl(path), func(c *importer.Config) {
		withNumbers(c)
		c.Settle = sendWindow() // longer than a creation may be delayed, as by default
	})
	if err != nil || s.Outcome != importer.OutcomeOK && s.Outcome != importer.OutcomeIncomplete {
		w.Fatalf("the successor ended as %q, %v; counts %+v", s.Outcome, err, s.Counts)
	}
	want()
	ids := []string{"t-0", "t-1", "t-2", "t-3"}
	before := w.rows(ids...)
	c.signal(syscall.SIGCONT)
	<-c.ended
	if c.summary == nil || c.summary.Outcome != importer.OutcomeOK && c.summary.Outcome != importer.OutcomeIncomplete {
		w.Errorf("the suspended run ended with status %v: %+v", c.status, c.summary)
	} else {
		checkCounts(w.T, *c.summary)
	}
	want()
	if diff := cmp.Diff(before, w.rows(ids...)); diff != "" {
		w.Errorf("the suspended run overwrote the result of its successor:\n%s", diff)
	}
}

func TestSuspendAtEveryWrite(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	type moment struct {
		crash
		halt
	}
	var moments []moment
	for _, c := range crashes {
		if c.retry != nil { // it still does what was requested
			continue
		}
		for _, call := range c.calls {
			if call == "Bind" || call == "StartRun" { // nothing can be lost before these
				continue
			}
			for _, after := range []bool{false, true} {
				moments = append(moments, moment{c, halt{Call: call, After: after, Signal: syscall.SIGSTOP}})
			}
		}
	}
	together(t, moments, func(m moment) string { return m.String() }, func(t *testing.T, m moment) {
		w := setup(t, "postgres", m.opts)
		lines, want := m.lines, m.want
		if lines == nil {
			lines = family
		}
		if want == nil {
			want = wantFamily
		}
		path := w.file("c.jsonl", lines...)
		if m.arrange != nil {
			m.arrange(w, path)
		}
		c := w.spawn(path, func(spec *childSpec) {
			// One at a time: a process suspended in a transaction holds its rows until the database ends the transaction, after 30 s.
			spec.Halt, spec.Attributes, spec.Workers = &m.halt, numbered, 1
		})
		c.mustStop()
		if m.repair != nil {
			m.repair(w)
		}
		w.wantNoOverwrite(c, path, func() { want(w, m.After) })
	})
}

// TestSuspendAtEveryRequest suspends the process after its request took effect and before it gets the answer.
func TestSuspendAtEveryRequest(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	ops := []sandbox.Operation{sandbox.FindEndUsers, sandbox.CreateEndUser, sandbox.Import, sandbox.PatchAttributes}
	together(t, ops, func(op sandbox.Operation) string { return string(op) }, func(t *testing.T, op sandbox.Operation) {
		w := setup(t, "postgres", sandbox.Options{EndUserLag: 30 * time.Millisecond, ListLag: 20 * time.Millisecond})
		path := w.file("c.jsonl", family...)
		suspended := w.suspendAtAnswer(op, nil)
		c := suspended(w.spawn(path, func(spec *childSpec) { spec.Attributes = numbered }))
		w.wantNoOverwrite(c, path, func() { wantFamily(w, false) })
	})
}

// suspendAtAnswer suspends a child when its first request of the operation has taken effect. The answer leaves when the channel is closed,
// or at once if it is nil. The function that it returns waits for that.
func (w *world) suspendAtAnswer(op sandbox.Operation, leaves <-chan struct{}) func(*child) *child {
	victim, slept := make(chan *child, 1), make(chan struct{})
	w.onNth(op, 1, func(rw http.ResponseWriter, serve func(http.ResponseWriter)) {
		serve(&hookedWriter{ResponseWriter: rw, before: func() {
			(<-victim).suspend()
			close(slept)
			if leaves != nil {
				<-leaves
			}
		}})
	})
	return func(c *child) *child {
		victim <- c
		<-slept
		return c
	}
}

// suspend suspends a child and returns once it is suspended.
func (c *child) suspend() {
	c.signal(syscall.SIGSTOP)
	select {
	case <-c.stopped:
	case <-c.ended:
		c.Errorf("the child ended with status %v before it was suspended: %+v", c.status, c.summary)
	}
}

// TestLateAnswerIsRecorded has a 201 arrive after another run claimed the transcript and died. No run has to search for the conversation.
func TestLateAnswerIsRecorded(t *testing.T) {
	t.Parallel()
	w := setup(t, "postgres", sandbox.Options{})
	w.setFacts(checkpoint.IDsReturned, 0)
	path := w.file("c.jsonl", oneLine...)
	leaves := make(chan struct{})
	suspended := w.suspendAtAnswer(sandbox.Import, leaves)
	patient := func(spec *childSpec) { spec.Attributes, spec.Timeout = numbered, time.Minute }
	c := suspended(w.spawn(path, patient))
	w.expireLeases()
	successor := w.spawn(path, func(spec *childSpec) {
		patient(spec)
		spec.Halt = &halt{Call: "Claim", After: true, Signal: syscall.SIGKILL}
	})
	successor.mustDie()
	w.expireChild(successor)
	if row := w.wantRow("t-1", checkpoint.Sending, ""); row.ClaimedBy != successor.run.Load() {
		t.Errorf("the successor did not claim the transcript: %+v", row)
	}
	c.signal(syscall.SIGCONT)
	close(leaves)
	c.wait(importer.OutcomeOK)
	wantOne(checkpoint.Complete)(w, true)
	if row := w.row("t-1"); row.Attempts != 1 || w.api.Counts()[sandbox.ListConversations] != 0 {
		t.Errorf("%d imports were sent; requests %v", row.Attempts, w.api.Counts())
	}
}

// TestWakeUpBetweenSearchAndClaim has a run that looks up a transcript claimed by a suspended run, and claims it after that run woke up and
// sent it.
func TestWakeUpBetweenSearchAndClaim(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	w := setup(t, "postgres", sandbox.Options{})
	path := w.file("c.jsonl", oneLine...)
	sent, leaves := make(chan struct{}), make(chan struct{})
	answer := sync.OnceFunc(func() { close(leaves) })
	t.Cleanup(answer)
	w.onNth(sandbox.Import, 1, func(rw http.ResponseWriter, serve func(http.ResponseWriter)) {
		serve(&hookedWriter{ResponseWriter: rw, before: func() { close(sent); <-leaves }})
	})
	stopping := func(at halt) func(*childSpec) {
		at.Signal = syscall.SIGSTOP
		return func(spec *childSpec) { spec.Attributes, spec.Timeout, spec.Halt = numbered, 2*time.Second, &at }
	}
	first := w.spawn(path, stopping(halt{Call: "write:send"}))
	first.mustStop()
	w.expireLeases()
	second := w.spawn(path, stopping(halt{Call: "Claim"}))
	second.mustStop()
	first.signal(syscall.SIGCONT)
	first.mustReach(sent)
	second.signal(syscall.SIGCONT)
	second.wait(importer.OutcomeOK)
	answer()
	first.wait(importer.OutcomeOK)
	wantOne(checkpoint.Complete)(w, true)
}

// TestLateImportIsReportedAsDuplicate has Dixa apply an import long after the client gave up on it, searched for it and sent it again. That
// cannot be prevented, but both conversations must be recorded and reported.
func TestLateImportIsReportedAsDuplicate(t *testing.T) {
	t.Parallel()
	w := setup(t, "postgres", sandbox.Options{})
	path := w.file("c.jsonl", oneLine...)
	arrived, applied := make(chan struct{}), make(chan struct{})
	w.onNth(sandbox.Import, 1, func(rw http.ResponseWriter, serve func(http.ResponseWriter)) {
		close(arrived)
		<-applied
		serve(rw)
	})
	c := w.spawn(path, func(spec *childSpec) { spec.Attributes, spec.Timeout = numbered, time.Minute })
	<-arrived
	c.suspend()
	w.expireLeases()
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withNumbers)
	first := w.wantOnce("t-1").ID
	wantOne(checkpoint.Complete)(w, true)
	c.signal(syscall.SIGCONT)
	close(applied)
	s := c.wait(importer.OutcomeIncomplete)
	list := w.api.ConversationsByExternalID(testSource + "/t-1")
	if len(list) != 2 || s.Duplicates != 1 {
		t.Fatalf("Dixa has %d conversations, the run counts %d duplicates", len(list), s.Duplicates)
	}
	if row := w.wantRow("t-1", checkpoint.Partial, ""); row.ConversationID != first {
		t.Errorf("the transcript has conversation %d, and had %d", row.ConversationID, first)
	}
	p := w.partialErrors("t-1")
	if len(p) != 1 || p[0].Kind != checkpoint.KindDuplicate || !strings.Contains(p[0].Message, fmt.Sprint(list[0].ID)) || !strings.Contains(p[0].Message, fmt.Sprint(list[1].ID)) {
		t.Errorf("partial errors are %+v", p)
	}
}
