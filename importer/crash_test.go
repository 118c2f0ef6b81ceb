//go:build unix

package importer_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// crash is a path of a transcript through its steps during which the process is killed.
type crash struct {
	calls   []string // store calls before and after which it is killed
	lines   []string // default: family
	opts    sandbox.Options
	arrange func(w *world, path string) // prepares the world
	retry   *importer.Selection         // of the child
	grown   importer.Grown              // of the child and the next run
	repair  func(*world)                // changes the world before the next run
	outcome importer.Outcome            // of the next run; default ok
	want    func(w *world, after bool)  // default: wantFamily
}

// family has three transcripts of two end-users, one of them with an attribute.
var family = []string{
	chat("t-1", fields{"end_user": fields{"external_id": "c-1", "email": "ann@example.org"}, "attributes": fields{"order_number": "1234"}}),
	chat("t-2", fields{"end_user": fields{"email": "ann@example.org"}}),
	chat("t-3", fields{"end_user": fields{"external_id": "c-3"}}),
}

func wantFamily(w *world, _ bool) {
	w.Helper()
	for _, id := range []string{"t-1", "t-2", "t-3"} {
		w.wantWhole(id, checkpoint.Complete)
	}
	if c := w.wantOnce("t-1"); c.Attributes[sandbox.OrderNumberID] != "1234" {
		w.Errorf("attributes are %v", c.Attributes)
	}
	w.wantTotals(3, 2)
}

// wantWhole checks that Dixa has a transcript once, closed and complete, and that the checkpoint agrees.
func (w *world) wantWhole(id string, status checkpoint.Status) {
	w.Helper()
	c, row := w.wantOnce(id), w.wantRow(id, status, "")
	if row.ConversationID != c.ID || row.EndUserID != c.RequesterID || row.ClaimedBy != 0 {
		w.Errorf("conversation %d of end-user %s is in the checkpoint as %+v", c.ID, c.RequesterID, row)
	}
	if c.ClosedAt.IsZero() || c.Assignment == nil || len(c.Messages) == 0 {
		w.Errorf("conversation %d is not complete: %+v", c.ID, c)
	}
}

// wantTotals checks that Dixa has nothing else, and that completed runs left nothing unfinished.
func (w *world) wantTotals(conversations, users int) {
	w.Helper()
	if n := len(w.api.Conversations()); n != conversations {
		w.Errorf("Dixa has %d conversations, want %d", n, conversations)
	}
	if list := w.api.EndUsers(); len(list) != users {
		w.Errorf("Dixa has %d end-users, want %d: %+v", len(list), users, list)
	}
	s := w.open()
	defer func() { _ = s.Close() }()
	totals, err := s.Totals(w.Context(), testSource, 0)
	if err != nil {
		w.Fatal(err)
	}
	done := 0
	for _, t := range totals {
		switch t.Status {
		case checkpoint.Pending, checkpoint.Sending, checkpoint.Imported:
			w.Errorf("%d transcripts are still %q", t.Count, t.Status)
		case checkpoint.Complete, checkpoint.Partial:
			done += int(t.Count)
		}
	}
	if done != conversations {
		w.Errorf("the checkpoint has %d conversations, Dixa %d", done, conversations)
	}
}

var oneLine = []string{chat("t-1", fields{"attributes": fields{"order_number": "1234"}})}

func wantOne(status checkpoint.Status) func(*world, bool) {
	return func(w *world, _ bool) {
		w.Helper()
		w.wantWhole("t-1", status)
		w.wantTotals(1, 1)
	}
}

// wantAfter checks a status that is final once it is recorded. Before that, the next run imports the transcript.
func wantAfter(status checkpoint.Status, code string, conversations, users int) func(*world, bool) {
	return func(w *world, after bool) {
		w.Helper()
		if !after {
			wantOne(checkpoint.Complete)(w, after)
			return
		}
		w.wantRow("t-1", status, code)
		if n := len(w.api.Conversations()); n != conversations {
			w.Errorf("Dixa has %d conversations, want %d", n, conversations)
		}
		if n := len(w.api.EndUsers()); n != users {
			w.Errorf("Dixa has %d end-users, want %d", n, users)
		}
	}
}

func always(f func(*world)) func(*world, bool) {
	return func(w *world, _ bool) { w.Helper(); f(w) }
}

func faults(list ...sandbox.Fault) sandbox.Options { return sandbox.Options{Faults: list} }

var withReason = fields{"attributes": fields{"order_number": "1", "contact_reason": []string{"payment", "no such option"}}}

// crashes cover every write of the protocol before and after which a process can die.
var crashes = []crash{
	{calls: []string{"Bind", "StartRun", "Claim", "ReserveEndUsers", "create", "SaveEndUsers", "write:send", "import", "write:found", "write:finish", "FinishRun"},
		opts: sandbox.Options{EndUserLag: 30 * time.Millisecond, ListLag: 20 * time.Millisecond}},
	{calls: []string{"ReserveEndUsers", "create"}, lines: oneLine, want: wantOne(checkpoint.Complete)}, // its identifiers are not unique in Dixa
	{calls: []string{"write:send_again"}, lines: oneLine, want: wantOne(checkpoint.Complete),
		opts: faults(sandbox.Fault{Operation: sandbox.Import, Kind: sandbox.Throttle, Times: 1})},
	{calls: []string{"write:unsent"}, want: wantOne(checkpoint.Partial),
		lines: []string{chat("t-1", fields{"messages": []any{fields{"role": "bot", "text": "Here:", "created_at": "2026-11-19T08:00:01Z",
			"attachments": []any{fields{"url": "https://unreachable.example/label.pdf"}}}}})}},
	{calls: []string{"write:not_found"}, lines: oneLine, want: wantOne(checkpoint.Complete), opts: faults(lostAnswer(false))},
	{calls: []string{"write:fail"}, lines: oneLine, outcome: "any", want: wantAfter(checkpoint.Failed, "refused", 0, 1),
		opts: faults(sandbox.Fault{Operation: sandbox.Import, Kind: sandbox.ErrorBefore, Status: 422, Times: 1})},
	{calls: []string{"write:give_up"}, lines: oneLine, want: wantAfter(checkpoint.InDoubt, "unreadable", 1, 1),
		opts:   sandbox.Options{Faults: []sandbox.Fault{lostAnswer(true)}, Forbidden: map[sandbox.Operation]int{sandbox.ListConversations: 403}},
		repair: func(w *world) { w.api.Forbid(sandbox.ListConversations, 0) }},
	{calls: []string{"write:release"}, lines: oneLine, want: wantOne(checkpoint.Complete),
		opts:   faults(sandbox.Fault{Operation: sandbox.PatchAttributes, Kind: sandbox.ErrorBefore, Status: 503}),
		repair: func(w *world) { w.api.SetFaults(nil) }},
	{calls: []string{"write:finish_partial"}, lines: []string{chat("t-1", withReason)}, want: wantOne(checkpoint.Partial)},
	{calls: []string{"write:found", "write:finish_partial"}, lines: []string{chat("t-1", withReason)}, opts: sandbox.Options{PartialErrorEvery: 1},
		want: always(func(w *world) {
			w.wantOnce("t-1")
			w.wantRow("t-1", checkpoint.Partial, "")
			kinds := map[checkpoint.PartialErrorKind]int{}
			for _, p := range w.partialErrors("t-1") {
				kinds[p.Kind]++
			}
			if kinds[checkpoint.KindAttribute] != 1 || kinds[checkpoint.KindAssignment]+kinds[checkpoint.KindAdopted] != 1 {
				w.Errorf("partial errors are %v", kinds) // an adopted conversation lacks its assignment
			}
		})},
	{calls: []string{"write:reject"}, lines: []string{chat("t-1", fields{"messages": []any{}}), oneLine[0][:20], chat("t-2", nil)}, outcome: "any",
		want: always(func(w *world) {
			w.wantRow("t-1", checkpoint.Rejected, "no_messages")
			w.wantWhole("t-2", checkpoint.Complete)
			w.wantTotals(1, 1)
		})},
	{calls: []string{"write:skip"}, lines: []string{chat("t-1", fields{"closed_at": nil})},
		want: always(func(w *world) { w.wantRow("t-1", checkpoint.Skipped, "open"); w.wantTotals(0, 0) })},
	{calls: []string{"ReleaseEndUsers"}, lines: oneLine, want: wantOne(checkpoint.Complete),
		opts: faults(sandbox.Fault{Operation: sandbox.CreateEndUser, Kind: sandbox.ErrorBefore, Status: 422, Times: 1})},
	{calls: []string{"ForgetEndUser"}, lines: []string{chat("t-1", fields{"end_user": fields{"email": "ann@example.org"}})},
		arrange: func(w *world, _ string) {
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("before.jsonl", chat("t-0", fields{"end_user": fields{"email": "ann@example.org"}}))), nil)
			w.api.DeleteEndUser(w.row("t-0").EndUserID)
		},
		want: always(func(w *world) { w.wantWhole("t-1", checkpoint.Complete); w.wantTotals(2, 1) })},
	{calls: []string{"Touch", "ClearRejected"}, outcome: "any", lines: []string{"garbage", chat("t-1", nil)},
		arrange: func(w *world, path string) { w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil) },
		want: always(func(w *world) {
			w.wantRow(w.files+"/c.jsonl:1", checkpoint.Rejected, "invalid_json")
			w.wantWhole("t-1", checkpoint.Complete)
			w.wantTotals(1, 1)
		})},
	{calls: []string{"Claim"}, lines: oneLine, retry: &importer.Selection{Statuses: []checkpoint.Status{checkpoint.Failed}},
		opts:    faults(sandbox.Fault{Operation: sandbox.Import, Kind: sandbox.ErrorBefore, Status: 422, Times: 1}),
		arrange: func(w *world, path string) { w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), withNumbers) },
		want: func(w *world, after bool) {
			if after { // the retry has started, and a run continues it
				wantOne(checkpoint.Complete)(w, after)
			} else {
				w.wantRow("t-1", checkpoint.Failed, "refused")
			}
		}},
	{calls: []string{"Claim"}, lines: oneLine, retry: &importer.Selection{IDs: []string{"t-1"}}, opts: faults(lostAnswer(true)),
		arrange: func(w *world, path string) {
			w.api.Forbid(sandbox.ListConversations, 403)
			w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), withNumbers)
			w.api.Forbid(sandbox.ListConversations, 0)
		},
		want: func(w *world, after bool) {
			if after { // a person has requested another search
				wantOne(checkpoint.Complete)(w, after)
			} else {
				w.wantRow("t-1", checkpoint.InDoubt, "unreadable")
			}
		}},
}

// twice are two chats that go on.
func twice(messages int) []string {
	return []string{longChat("t-1", messages, fields{"attributes": fields{"order_number": "1234"}}), longChat("t-2", messages, fields{"end_user": nil})}
}

// growing are crashes of a run that imports the messages which two chats have got since their import.
var growing = func() (list []crash) {
	want := always(func(w *world) {
		for _, id := range []string{"t-1", "t-2"} {
			w.wantPart(id, 1, 1, 2)
			w.wantPart(id, 2, 3, 5)
			w.wantWhole(id+"#2", checkpoint.Complete)
		}
		if c := w.wantOnce("t-1#2"); c.Attributes[sandbox.OrderNumberID] != "1234" {
			w.Errorf("attributes are %v", c.Attributes)
		}
		w.wantTotals(4, 2)
	})
	grown := crash{calls: []string{"Claim", "write:send", "import", "write:found", "step:sending", "step:done", "write:finish"}, lines: twice(5), grown: importer.GrownFollowUp, want: want,
		arrange: func(w *world, _ string) {
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("before.jsonl", twice(2)...)), withNumbers)
		}}
	// The import of the first is in doubt when it goes on: one run finishes it and claims the new messages.
	doubtful := grown
	doubtful.calls = []string{"Claim", "write:found", "write:finish", "write:send", "step:done"}
	doubtful.arrange = func(w *world, _ string) {
		w.mustRun(importer.OutcomeOK, w.jsonl(w.file("other.jsonl", twice(2)[1])), withNumbers)
		leaveSending(w, w.file("before.jsonl", twice(2)[0]), true)
	}
	// So are the new messages.
	lost := grown
	lost.calls = []string{"write:not_found", "write:send"}
	lost.arrange = func(w *world, path string) {
		grown.arrange(w, path)
		leaveSendingWith(w, path, false, withFollowUps)
	}
	return []crash{grown, doubtful, lost}
}()

// numbered are attributes with the same name in the transcripts and in Dixa.
var numbered = []string{"order_number", "contact_reason"}

func withNumbers(c *importer.Config) { c.Attributes = mappings(numbered) }

// TestKillAtEveryWrite requires that a process killed right before or after any write of the checkpoint has lost and doubled nothing once
// the next run has ended.
func TestKillAtEveryWrite(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	type moment struct {
		crash
		halt
		store string
	}
	var moments []moment
	for _, c := range append(slices.Clone(crashes), growing...) {
		for _, call := range c.calls {
			for _, store := range stores {
				for _, after := range []bool{false, true} {
					if c.grown != "" && after != (store == "postgres") { // half of them, as there are many
						continue
					}
					moments = append(moments, moment{c, halt{Call: call, After: after, Signal: syscall.SIGKILL}, store})
				}
			}
		}
	}
	together(t, moments, func(m moment) string { return fmt.Sprintf("%s %s", m.halt, m.store) }, func(t *testing.T, m moment) {
		w := setup(t, m.store, m.opts)
		lines := m.lines
		if lines == nil {
			lines = family
		}
		path := w.file("c.jsonl", lines...)
		if m.arrange != nil {
			m.arrange(w, path)
		}
		c := w.spawn(path, func(spec *childSpec) {
			spec.Halt, spec.Attributes, spec.Retry, spec.Grown = &m.halt, numbered, m.retry, m.grown
		})
		c.mustDie()
		w.expireChild(c)
		if m.repair != nil {
			m.repair(w)
		}
		s, err := w.run(w.jsonl(path), func(c *importer.Config) { withNumbers(c); c.Grown = m.grown })
		if want := max(m.outcome, importer.OutcomeOK); err != nil || s.Outcome != want && m.outcome != "any" {
			t.Errorf("the next run ended as %q, %v; counts %+v", s.Outcome, err, s.Counts)
		}
		if m.want == nil {
			m.want = wantFamily
		}
		m.want(w, m.After)
	})
}

func (h halt) String() string {
	if h.After {
		return "after " + h.Call
	}
	return "before " + h.Call
}

// expireChild ends the lease of a dead child, as 30 s would.
func (w *world) expireChild(c *child) {
	w.Helper()
	if id := c.run.Load(); id != 0 {
		w.expire(id)
	}
}

// TestKillAtEveryRequest kills the process when a request has arrived without effect, and when it has taken effect and the answer is about
// to leave.
func TestKillAtEveryRequest(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	type moment struct {
		op       sandbox.Operation
		store    string
		answered bool
	}
	var moments []moment
	for _, op := range []sandbox.Operation{sandbox.GetOrganization, sandbox.ListAttributes, sandbox.FindEndUsers, sandbox.CreateEndUser, sandbox.Import,
		sandbox.PatchAttributes, sandbox.ListConversations, sandbox.ListMessages, sandbox.GetConversation} {
		for _, store := range stores {
			moments = append(moments, moment{op, store, false}, moment{op, store, true})
		}
	}
	together(t, moments, func(m moment) string { return fmt.Sprintf("%s answered %v %s", m.op, m.answered, m.store) }, func(t *testing.T, m moment) {
		w := setup(t, m.store, sandbox.Options{EndUserLag: 30 * time.Millisecond, ListLag: 20 * time.Millisecond})
		lines, want := family, wantFamily
		switch m.op {
		case sandbox.ListConversations, sandbox.ListMessages, sandbox.GetConversation:
			lines, want = oneLine, wantOne(checkpoint.Complete)
		}
		path := w.file("c.jsonl", lines...)
		if len(lines) == 1 {
			leaveSending(w, path, true)
		}
		victim := make(chan *child, 1)
		kill := func() { (<-victim).kill() }
		w.onNth(m.op, 1, func(rw http.ResponseWriter, serve func(http.ResponseWriter)) {
			if m.answered {
				serve(&hookedWriter{ResponseWriter: rw, before: kill})
			} else {
				kill()
			}
		})
		c := w.spawn(path, func(spec *childSpec) { spec.Attributes = numbered })
		victim <- c
		c.mustDie()
		w.expireChild(c)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), withNumbers)
		want(w, false)
	})
}

// TestKillOneOfSeveralProcesses kills one of three processes that share a source. The others do its work, too, and end only when all is
// done.
func TestKillOneOfSeveralProcesses(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	const n = 600
	w := setup(t, "postgres", sandbox.Options{})
	path := w.file("c.jsonl", chats(n)...)
	reached, dead := make(chan struct{}), make(chan struct{})
	w.onNth(sandbox.Import, n/2, func(http.ResponseWriter, func(http.ResponseWriter)) {
		close(reached)
		<-dead // its client may be the victim
	})
	began := make(chan struct{})
	first := sync.OnceFunc(func() { close(began) })
	w.onOperation(func(op sandbox.Operation) {
		if op == sandbox.Import {
			first()
		}
	})
	children := []*child{w.spawn(path, nil)}
	<-began // so that the victim has done some work before it dies
	children = append(children, w.spawn(path, nil), w.spawn(path, nil))
	<-reached
	children[0].kill()
	close(dead)
	w.expireChild(children[0])
	var imported int64
	for _, c := range children[1:] {
		imported += c.wait(importer.OutcomeOK).Counts.Imported
	}
	if imported >= n || imported == 0 {
		t.Errorf("the survivors imported %d of %d transcripts", imported, n)
	}
	if list := w.api.Duplicates(); len(list) != 0 {
		t.Errorf("duplicates: %v", list)
	}
	w.wantTotals(n, 7)
}
