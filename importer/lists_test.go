package importer_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
)

// TestDoubtsOfOneEndUserShareLists has many transcripts of one end-user in doubt at once, whose conversations fill several pages.
func TestDoubtsOfOneEndUserShareLists(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		const n, doubts = 300, 60
		w := setup(t, store, sandbox.Options{})
		line := func(i int) string {
			return chat(fmt.Sprintf("t-%03d", i), fields{"end_user": fields{"external_id": "c-1"}, "messages": []any{fields{"role": "user", "text": fmt.Sprintf("order %d", i)}}})
		}
		var lines []string
		for i := range n {
			lines = append(lines, line(i))
		}
		path := w.file("c.jsonl", lines...)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
		for i := range doubts {
			lines = append(lines, line(n+i))
		}
		w.file("c.jsonl", lines...)
		w.api.SetFaults([]sandbox.Fault{{Operation: sandbox.Import, Kind: sandbox.ErrorAfter, Status: 502, Times: doubts}})
		before := w.api.Counts()
		var imports atomic.Int64
		all := make(chan struct{})
		f := tap(func(op sandbox.Operation, rw http.ResponseWriter, serve func(http.ResponseWriter)) {
			if op == sandbox.ListConversations {
				<-all // until then all others get into doubt
			}
			serve(rw)
			if op == sandbox.Import && imports.Add(1) == doubts {
				time.AfterFunc(time.Second, func() { close(all) }) // and are due
			}
		})
		w.tap.Store(&f)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) {
			c.API = w.client(func(c *dixa.Config) { c.Timeout = 10 * time.Second })
			c.RequestTimeout, c.Workers = 200*time.Millisecond, 2*doubts
		})
		w.wantTotals(n+doubts, 1)
		after := w.api.Counts()
		if got := after[sandbox.ListConversations] - before[sandbox.ListConversations]; got > doubts {
			t.Errorf("%d requests for lists, more than one for each doubt", got)
		}
		if got := after[sandbox.ListMessages] - before[sandbox.ListMessages]; got > 5*doubts {
			t.Errorf("%d requests for messages, more than five for each doubt", got)
		}
	})
}
