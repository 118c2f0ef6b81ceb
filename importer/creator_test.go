package importer_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// customers returns n transcripts of the given number of customers in random order, each with an attribute.
func customers(n, persons int) []string {
	random := rand.New(rand.NewPCG(3, 3))
	lines := make([]string, n)
	for i, at := range random.Perm(n) {
		lines[i] = chat(fmt.Sprintf("t-%d", i), fields{
			"end_user":   fields{"email": fmt.Sprintf("customer%d@example.org", at%persons)},
			"attributes": fields{"order": fmt.Sprint(i)},
		})
	}
	return lines
}

// TestRequestsPerTranscript requires that a new customer costs one look-up and almost nothing for its creation, besides an import and a
// PATCH for each transcript.
func TestRequestsPerTranscript(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		const n, persons = 1000, 400
		w := setup(t, store, sandbox.Options{})
		path := w.file("c.jsonl", customers(n, persons)...)
		s := w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
		if each := float64(s.Counts.Requests) / n; each > 2.45 {
			t.Errorf("%.3f requests per transcript of new customers: %v", each, w.api.Counts())
		}
		if got := len(w.api.EndUsers()); got != persons {
			t.Errorf("Dixa has %d end-users, want %d", got, persons)
		}
		s = w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) { withOrders(c); c.Source = "other" })
		if each := float64(s.Counts.Requests) / n; each > 2.01 {
			t.Errorf("%.3f requests per transcript of known customers", each)
		}
	})
}

// TestNewCustomerDoesNotWaitForOthers requires that a customer is created although no others gather to be created together.
func TestNewCustomerDoesNotWaitForOthers(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	lines := chats(1000)
	w.mustRun(importer.OutcomeOK, w.jsonl(w.file("a.jsonl", lines[:7]...)), nil)
	stranger := chat("t-new", fields{"end_user": fields{"external_id": "c-new"}})
	path := w.file("b.jsonl", append([]string{stranger}, lines...)...)
	created := -1 // imports before the creation
	w.onOperation(func(op sandbox.Operation) {
		if op == sandbox.CreateEndUser {
			created = w.api.Counts()[sandbox.Import]
		}
	})
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	if created < 0 || created > 7+300 {
		t.Errorf("%d imports preceded the creation of the new customer", created)
	}
}

// TestFailedBatchCreationsAreRecovered requires that each customer exists once and each transcript is imported.
func TestFailedBatchCreationsAreRecovered(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	kinds := []sandbox.Fault{
		{Kind: sandbox.ErrorBefore, Status: http.StatusBadRequest}, {Kind: sandbox.ErrorBefore, Status: http.StatusRequestEntityTooLarge},
		{Kind: sandbox.ErrorBefore, Status: http.StatusInternalServerError}, {Kind: sandbox.ErrorAfter, Status: http.StatusBadGateway},
		{Kind: sandbox.DropBefore}, {Kind: sandbox.DropAfter}, {Kind: sandbox.HangAfter}, {Kind: sandbox.BrokenBody},
		{Kind: sandbox.CutBody}, {Kind: sandbox.EmptyBody}, {Kind: sandbox.Throttle},
	}
	for _, store := range stores {
		for _, fault := range kinds {
			fault.Operation, fault.Times = sandbox.CreateEndUsers, 1
			t.Run(store+" "+string(fault.Kind)+" "+http.StatusText(fault.Status), func(t *testing.T) {
				t.Parallel()
				w := setup(t, store, sandbox.Options{Faults: []sandbox.Fault{fault}})
				w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", customers(60, 40)...)), withOrders)
				w.wantFired("create_end_users:" + string(fault.Kind))
				if got := len(w.api.EndUsers()); got != 40 {
					t.Errorf("Dixa has %d end-users, want 40", got)
				}
				w.wantTotals(60, 40)
			})
		}
	}
}

func TestForbiddenBatchCreationFallsBackToSingle(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{Forbidden: map[sandbox.Operation]int{sandbox.CreateEndUsers: status}})
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", customers(200, 150)...)), withOrders)
			counts := w.api.Counts()
			if counts[sandbox.CreateEndUser] != 150 || counts[sandbox.CreateEndUsers] < 1 || counts[sandbox.CreateEndUsers] > 4 {
				t.Errorf("requests are %v", counts)
			}
			if n := strings.Count(w.logs.String(), "may not create several end-users in one request"); n != 1 {
				t.Errorf("the log reports it %d times", n)
			}
		})
	}
}

// TestBatchWithExistingEndUsers has customers whom Dixa knows by an identifier that is not looked up.
func TestBatchWithExistingEndUsers(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		const n = 40
		var lines []string
		for i := range n {
			mail := fmt.Sprintf("customer%d@example.org", i)
			if i%3 == 0 {
				w.api.AddEndUser(sandbox.EndUser{Email: mail})
			}
			lines = append(lines, chat(fmt.Sprintf("t-%d", i), fields{"end_user": fields{"email": mail, "external_id": fmt.Sprintf("c-%d", i)}}))
		}
		s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", lines...)), func(c *importer.Config) {
			c.Match = []checkpoint.IdentifierKind{checkpoint.ExternalID}
		})
		if s.Counts.Imported != n || len(w.api.EndUsers()) != n {
			t.Errorf("%d imported, %d end-users, want %d", s.Counts.Imported, len(w.api.EndUsers()), n)
		}
	})
}

// TestBatchWithRefusedEndUser requires that only that customer's transcript fails.
func TestBatchWithRefusedEndUser(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{
		{Operation: sandbox.CreateEndUsers, Kind: sandbox.ErrorBefore, Status: http.StatusUnprocessableEntity,
			Match: func(body []byte) bool { return bytes.Contains(body, []byte("customer7@")) }},
		{Operation: sandbox.CreateEndUser, Kind: sandbox.ErrorBefore, Status: http.StatusUnprocessableEntity,
			Match: func(body []byte) bool { return bytes.Contains(body, []byte("customer7@")) }},
	}})
	s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(w.file("c.jsonl", customers(40, 40)...)), withOrders)
	w.wantFired("create_end_user:error_before")
	if s.Counts.Imported != 39 || s.Counts.Failed != 1 || s.Causes["end_user_refused"] != 1 {
		t.Errorf("counts are %+v, causes %v", s.Counts, s.Causes)
	}
}
