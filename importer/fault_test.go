package importer_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// answers_test.go has more tests of lost, late and garbled answers to look-ups, imports and PATCHes.

// applied and unapplied are the ways in which a request can fail after and before it takes effect.
var (
	unapplied = []sandbox.Fault{
		{Kind: sandbox.ErrorBefore, Status: 500}, {Kind: sandbox.ErrorBefore, Status: 502}, {Kind: sandbox.ErrorBefore, Status: 503},
		{Kind: sandbox.ErrorBefore, Status: 504}, {Kind: sandbox.HTMLBody, Status: 502}, {Kind: sandbox.DropBefore}, {Kind: sandbox.HangBefore},
	}
	applied = []sandbox.Fault{
		{Kind: sandbox.ErrorAfter, Status: 500}, {Kind: sandbox.ErrorAfter, Status: 502}, {Kind: sandbox.ErrorAfter, Status: 503},
		{Kind: sandbox.ErrorAfter, Status: 504}, {Kind: sandbox.HTMLAfter, Status: 504}, {Kind: sandbox.DropAfter}, {Kind: sandbox.HangAfter},
		{Kind: sandbox.BrokenBody}, {Kind: sandbox.CutBody}, {Kind: sandbox.EmptyBody}, {Kind: sandbox.SlowBody, Duration: 5 * time.Second},
	}
)

// faultMatrix returns every fault for every operation, the given number of times each.
func faultMatrix(times int, kinds []sandbox.Fault, ops ...sandbox.Operation) []sandbox.Fault {
	var all []sandbox.Fault
	for _, op := range ops {
		for _, f := range kinds {
			f.Operation, f.Times, f.Name = op, times, "the fault"
			all = append(all, f)
		}
	}
	return all
}

func faultName(f sandbox.Fault) string {
	return fmt.Sprintf("%s %s %s", f.Operation, f.Kind, http.StatusText(f.Status))
}

// TestFailedCreationsAreRecovered requires that Dixa has the end-user once, however the creation fails.
func TestFailedCreationsAreRecovered(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		kinds := slices.Concat(unapplied, applied, []sandbox.Fault{{Kind: sandbox.Throttle}, {Kind: sandbox.Throttle, Duration: 10 * time.Millisecond}})
		together(t, faultMatrix(2, kinds, sandbox.CreateEndUser), faultName, func(t *testing.T, fault sandbox.Fault) {
			w := setup(t, store, sandbox.Options{Faults: []sandbox.Fault{fault}, EndUserLag: 30 * time.Millisecond})
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", oneLine...)), withNumbers)
			w.wantFired(fault.Name)
			wantOne(checkpoint.Complete)(w, true)
		})
	})
}

// TestFailedSearchesAreRepeated requires that the conversation is found and nothing is sent again.
func TestFailedSearchesAreRepeated(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	kinds := slices.Concat(unapplied, applied, []sandbox.Fault{{Kind: sandbox.Throttle}})
	together(t, faultMatrix(2, kinds, sandbox.ListConversations, sandbox.ListMessages, sandbox.GetConversation), faultName, func(t *testing.T, fault sandbox.Fault) {
		w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{lostAnswer(true), fault}, ListLag: 20 * time.Millisecond})
		w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", oneLine...)), withNumbers)
		w.wantFired(fault.Name, "import:drop_after")
		wantOne(checkpoint.Complete)(w, true)
		if row := w.row("t-1"); row.Attempts != 1 || w.api.Counts()[sandbox.Import] != 1 {
			t.Errorf("%d imports were sent", w.api.Counts()[sandbox.Import])
		}
	})
}

// TestLateAnswersDoubleNothing loses answers to look-ups and PATCHes after they took effect.
func TestLateAnswersDoubleNothing(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	kinds := []sandbox.Fault{{Kind: sandbox.HangAfter}, {Kind: sandbox.EmptyBody}, {Kind: sandbox.HTMLAfter, Status: 504}, {Kind: sandbox.SlowBody, Duration: 5 * time.Second}}
	together(t, faultMatrix(2, kinds, sandbox.FindEndUsers, sandbox.PatchAttributes), faultName, func(t *testing.T, fault sandbox.Fault) {
		if fault.Kind == sandbox.EmptyBody && fault.Operation == sandbox.PatchAttributes {
			fault.Times = 1 // nothing of that body is needed, so it is no fault
		}
		w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{fault}})
		w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", oneLine...)), withNumbers)
		w.wantFired(fault.Name)
		wantOne(checkpoint.Complete)(w, true)
	})
}

// TestStormOf429s requires that every step waits for 429s and continues, and that they never count as attempts.
func TestStormOf429s(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		const n = 20
		w := setup(t, store, sandbox.Options{Faults: []sandbox.Fault{
			{Name: "plain", Kind: sandbox.Throttle, Probability: 0.3, Times: 4},
			{Name: "with Retry-After", Kind: sandbox.Throttle, Probability: 0.3, Times: 4, Duration: 10 * time.Millisecond},
		}})
		lines := make([]string, n)
		for i := range lines {
			lines[i] = chat(fmt.Sprintf("t-%d", i), fields{"attributes": fields{"order_number": "1"}})
		}
		s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", lines...)), withNumbers)
		w.wantFired("plain", "with Retry-After")
		if s.Throttled != 8 || s.Counts.Imported != n {
			t.Errorf("%d 429s, counts %+v", s.Throttled, s.Counts)
		}
		for i := range n {
			w.wantWhole(fmt.Sprintf("t-%d", i), checkpoint.Complete)
			if row := w.row(fmt.Sprintf("t-%d", i)); row.Attempts != 1 {
				t.Errorf("transcript t-%d has %d attempts", i, row.Attempts)
			}
		}
		w.wantTotals(n, n)
	})
}

// TestDixaOutageIsWaitedOut requires that everything waits, nothing fails, and all is imported once after the outage.
func TestDixaOutageIsWaitedOut(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	type outage struct {
		store    string
		status   int
		from, to int64 // requests; towards its end those are probes, ever more rarely
	}
	var outages []outage
	for _, store := range stores {
		for _, status := range []int{503, -1} {
			for _, from := range []int64{3, 20} {
				outages = append(outages, outage{store, status, from, from + 14})
			}
		}
	}
	together(t, outages, func(o outage) string { return fmt.Sprintf("%s %d from request %d", o.store, o.status, o.from) }, func(t *testing.T, o outage) {
		const n = 40
		w := setup(t, o.store, sandbox.Options{})
		path := w.file("c.jsonl", chats(n)...)
		w.onRequest(func(n int64) {
			switch n {
			case o.from:
				w.api.SetDown(o.status)
			case o.to:
				w.api.SetDown(0)
			}
		})
		// As by default, a request is tried often enough to suspect an outage.
		client := w.client(func(c *dixa.Config) { c.MaxAttempts = 5 })
		s := w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) { c.API = client })
		if got := w.requests.Load(); got < o.to {
			t.Errorf("the outage did not end: %d requests", got)
		}
		if s.Counts.Imported != n || s.Counts.Failed != 0 || len(w.api.Duplicates()) != 0 {
			t.Errorf("counts are %+v, %d duplicates", s.Counts, len(w.api.Duplicates()))
		}
		w.wantTotals(n, 7)
	})
}

// TestManyFaultsDoubleNothing has a fifth of all requests fail, in every way.
func TestManyFaultsDoubleNothing(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		const n = 80
		w := setup(t, store, sandbox.Options{Faults: everyFault(0.2), ListLag: 20 * time.Millisecond, EndUserLag: 20 * time.Millisecond, Seed: 7})
		lines := make([]string, n)
		for i := range lines {
			lines[i] = chat(fmt.Sprintf("t-%d", i), fields{"end_user": fields{"external_id": fmt.Sprintf("c-%d", i%40)}, "attributes": fields{"order_number": "1"}})
		}
		path := w.file("c.jsonl", lines...)
		outcome := importer.OutcomeIncomplete
		for range 8 { // a PATCH may go wrong as often as it is tried
			s, err := w.run(w.jsonl(path), withNumbers)
			if s.Run == 0 { // so may what is asked before a run
				continue
			}
			if err != nil || s.Counts.Failed+s.Counts.InDoubt > 0 {
				t.Fatalf("run ended as %q, %v; counts %+v", s.Outcome, err, s.Counts)
			}
			if outcome = s.Outcome; outcome == importer.OutcomeOK {
				break
			}
		}
		if outcome != importer.OutcomeOK {
			t.Errorf("the last run ended as %q", outcome)
		}
		kinds := 0
		for _, n := range w.api.Fired() {
			kinds += min(n, 1)
		}
		if kinds < 10 {
			t.Errorf("only these faults fired: %v", w.api.Fired())
		}
		if list := w.api.Duplicates(); len(list) != 0 {
			t.Errorf("duplicates: %v", list)
		}
		w.wantTotals(n, 40)
	})
}

// everyFault returns every kind of fault. Each request gets one of them with the given probability.
func everyFault(probability float64) []sandbox.Fault {
	kinds := slices.Concat(unapplied, applied, []sandbox.Fault{{Kind: sandbox.Throttle, Duration: 5 * time.Millisecond}})
	for i := range kinds {
		kinds[i].Name = faultName(kinds[i])
		kinds[i].Probability = probability / float64(len(kinds))
	}
	return kinds
}
