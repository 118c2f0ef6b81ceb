package importer_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
)

func preloading(c *importer.Config) { c.Attributes, c.Preload = orderNumber, true }

// addCustomers adds customers to Dixa and returns the ids of their end-users by address.
func (w *world) addCustomers(addresses ...string) map[string]string {
	ids := map[string]string{}
	for _, a := range addresses {
		ids[a] = w.api.AddEndUser(sandbox.EndUser{Email: a})
	}
	return ids
}

// TestPreloadSavesLookUps has half of the customers in Dixa. None is looked up.
func TestPreloadSavesLookUps(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		const n, persons = 1000, 400
		w := setup(t, store, sandbox.Options{})
		var addresses []string
		for i := range persons / 2 {
			addresses = append(addresses, fmt.Sprintf("customer%d@example.org", 2*i))
		}
		w.addCustomers(addresses...)
		s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", customers(n, persons)...)), preloading)
		if each := float64(s.Counts.Requests) / n; each > 2.05 {
			t.Errorf("%.3f requests per transcript: %v", each, w.api.Counts())
		}
		if found := w.api.Counts()[sandbox.FindEndUsers]; found != 0 {
			t.Errorf("%d look-ups", found)
		}
		w.wantTotals(n, persons)
	})
}

func TestRefusedPreloadFallsBackToLookUps(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.ListEndUsers, Kind: sandbox.ErrorBefore, Status: status}}})
			w.addCustomers("customer1@example.org")
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", customers(30, 10)...)), preloading)
			w.wantFired("list_end_users:error_before")
			w.wantTotals(30, 10)
			if n := strings.Count(w.logs.String(), "looked up one by one"); n != 1 {
				t.Errorf("the log reports it %d times", n)
			}
			if found := w.api.Counts()[sandbox.FindEndUsers]; found != 10 {
				t.Errorf("%d look-ups, want 10", found)
			}
		})
	}
}

// TestPreloadReadsEveryPage requires that an interrupted list shows who is in Dixa, and not who is missing.
func TestPreloadReadsEveryPage(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		fault  sandbox.Fault
		lookUp int
	}{
		{"too many at once", sandbox.Fault{Kind: sandbox.ErrorBefore, Status: http.StatusBadRequest, Nth: 1}, 0},
		{"interrupted", sandbox.Fault{Kind: sandbox.ErrorBefore, Status: http.StatusForbidden, Nth: 3}, 15},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.fault.Operation = sandbox.ListEndUsers
			w := setup(t, "sqlite", sandbox.Options{PageLimit: 5, Faults: []sandbox.Fault{tc.fault}})
			var addresses []string
			for i := range 20 {
				addresses = append(addresses, fmt.Sprintf("customer%d@example.org", i))
			}
			w.addCustomers(addresses...)
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", customers(60, 25)...)), preloading)
			w.wantTotals(60, 25)
			if found := w.api.Counts()[sandbox.FindEndUsers]; found != tc.lookUp {
				t.Errorf("%d look-ups, want %d", found, tc.lookUp)
			}
		})
	}
}

// TestPreloadMatchesLookUps requires that end-users are found by their identifiers, in any spelling, and by nothing else.
func TestPreloadMatchesLookUps(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	byMail := w.api.AddEndUser(sandbox.EndUser{Email: "ann@example.org", AdditionalEmails: []string{"lee@example.org"}})
	byPhone := w.api.AddEndUser(sandbox.EndUser{PhoneNumber: "+4512345678"})
	w.api.AddEndUser(sandbox.EndUser{ExternalID: "c-1"})
	older := w.api.AddEndUser(sandbox.EndUser{ExternalID: "c-1", CreatedAt: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)})
	path := w.file("c.jsonl",
		chat("t-1", fields{"end_user": fields{"email": "LEE@example.org"}}),
		chat("t-2", fields{"end_user": fields{"external_id": "unknown", "phone": "12 34 56 78"}}),
		chat("t-3", fields{"end_user": fields{"external_id": "c-1"}}),
		chat("t-4", fields{"end_user": fields{"external_id": "ann@example.org"}}))
	w.mustRun(importer.OutcomeOK, w.jsonl(path), preloading)
	for id, want := range map[string]string{"t-1": byMail, "t-2": byPhone, "t-3": older} {
		if got := w.row(id).EndUserID; got != want {
			t.Errorf("transcript %s has the end-user %s, want %s", id, got, want)
		}
	}
	if got := w.row("t-4").EndUserID; got == byMail {
		t.Error("an external id was used as an address")
	}
	if found := w.api.Counts()[sandbox.FindEndUsers]; found != 1 {
		t.Errorf("%d look-ups, want one: two end-users have that external id", found)
	}
}

// TestOutdatedPreload has an end-user that was created after the list was read, and one that was deleted.
func TestOutdatedPreload(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	ids := w.addCustomers("ann@example.org")
	later := ""
	w.onOperation(func(op sandbox.Operation) {
		if op == sandbox.CreateEndUser || op == sandbox.CreateEndUsers {
			if later == "" {
				later = w.api.AddEndUser(sandbox.EndUser{Email: "bo@example.org"})
				w.api.DeleteEndUser(ids["ann@example.org"])
			}
		}
	})
	lines := []string{chat("t-0", fields{"end_user": fields{"email": "bo@example.org"}}),
		chat("t-1", fields{"end_user": fields{"email": "cy@example.org"}})}
	for i := 2; i < 200; i++ {
		lines = append(lines, chat(fmt.Sprintf("t-%d", i), fields{"end_user": fields{"email": "ann@example.org"}}))
	}
	w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", lines...)), func(c *importer.Config) {
		preloading(c)
		c.API = w.client(func(c *dixa.Config) { c.Timeout = 20 * time.Second })
		c.Workers, c.RequestTimeout = 1, 20*time.Second // an import without an answer to an end-user that is gone stays in doubt
	})
	if got := w.row("t-0").EndUserID; got != later {
		t.Errorf("the end-user is %s, want %s", got, later)
	}
	if got := w.row("t-199").EndUserID; got == ids["ann@example.org"] || got == "" {
		t.Errorf("the last transcript has the end-user %q", got)
	}
	if n := len(w.api.EndUsers()); n != 3 {
		t.Errorf("Dixa has %d end-users, want 3", n)
	}
}

// TestPreloadWithReconcile requires that the conversations of a listed end-user are found after the checkpoint was lost.
func TestPreloadWithReconcile(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", customers(20, 8)...)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
	w.url = setup(t, "sqlite", sandbox.Options{}).url
	w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) { preloading(c); c.Reconcile = true })
	w.wantTotals(20, 8)
}
