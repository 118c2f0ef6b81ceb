package importer_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/verify"
)

// chatsWithBlocked returns n chats with an order number, each of another customer. Those in blocked have a text that a firewall blocks.
func chatsWithBlocked(n int, blocked ...int) []string {
	lines := make([]string, n)
	for i := range lines {
		text, order := "Where is my order?", fmt.Sprint(i)
		customer := fields{"external_id": fmt.Sprintf("c-%d", i), "name": "Ann Lee"}
		for _, s := range blocked {
			if s == i {
				text, order = "<script>alert(1)</script>", "order <script>"
				customer = fields{"external_id": fmt.Sprintf("c-%d-<script>", i), "name": "Ann <script>"}
			}
		}
		lines[i] = chat(fmt.Sprintf("t-%d", i), fields{"end_user": customer, "attributes": fields{"order": order},
			"messages": []any{fields{"role": "user", "text": text, "created_at": "2026-11-19T08:00:01Z"}}})
	}
	return lines
}

// firewall answers requests of an operation that contain <script> as a web application firewall does.
func firewall(op sandbox.Operation, status int) sandbox.Fault {
	return sandbox.Fault{Operation: op, Kind: sandbox.HTMLBody, Status: status, Match: sandbox.MatchText("<script>")}
}

// TestFirewallBlocksOneRecord requires that this record fails, or its conversation has no attributes, and that the rest are imported. A
// retry imports it once the firewall lets it pass.
func TestFirewallBlocksOneRecord(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	type shape struct {
		op      sandbox.Operation
		status  int
		page    bool
		blocked []int
		n       int
	}
	var shapes []shape
	for _, op := range []sandbox.Operation{sandbox.Import, sandbox.FindEndUsers, sandbox.CreateEndUser, sandbox.PatchAttributes} {
		for _, status := range []int{401, 403} {
			shapes = append(shapes, shape{op, status, status == 403, []int{3}, 12}, shape{op, status, true, []int{0}, 1},
				shape{op, status, false, []int{0, 5, 6, 19}, 20})
		}
	}
	together(t, shapes, func(s shape) string {
		return fmt.Sprintf("%s %d page %v %d of %d", s.op, s.status, s.page, len(s.blocked), s.n)
	}, func(t *testing.T, s shape) {
		fault := firewall(s.op, s.status)
		if !s.page {
			fault.Kind, fault.Message = sandbox.ErrorBefore, "Forbidden"
		}
		faults := []sandbox.Fault{fault}
		if s.op == sandbox.CreateEndUser { // batch creations, too
			fault.Operation, fault.Name = sandbox.CreateEndUsers, "many"
			faults = append(faults, fault)
		}
		w := setup(t, "sqlite", sandbox.Options{Faults: faults})
		path := w.file("c.jsonl", chatsWithBlocked(s.n, s.blocked...)...)
		got := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), withOrders)
		blocked := int64(len(s.blocked))
		if got.Counts.Imported != int64(s.n)-blocked || got.Counts.Failed+got.Counts.Pending != blocked {
			t.Errorf("counts are %+v", got.Counts)
		}
		for _, i := range s.blocked {
			status, code := checkpoint.Failed, "forbidden"
			if s.op == sandbox.PatchAttributes {
				status, code = checkpoint.Imported, "attributes_unset"
			}
			row := w.wantRow(fmt.Sprintf("t-%d", i), status, code)
			if !strings.HasSuffix(row.Error, ", although Dixa accepts the token elsewhere") || strings.Contains(row.Error+w.logs.String(), "<script>") || (row.Reason == string(dixa.ReasonPage)) != s.page {
				t.Errorf("the error is %q, about %q", row.Error, row.Reason)
			}
		}
		w.api.SetFaults(nil)
		again := w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{}, withOrders))
		if again.Counts.Imported != blocked || len(w.api.Duplicates()) != 0 {
			t.Errorf("the retry counts %+v", again.Counts)
		}
		w.wantTotals(s.n, s.n)
	})
}

// TestRevokedTokenFailsNoTranscript has 64 workers refused at once. One check of the token must serve them all.
func TestRevokedTokenFailsNoTranscript(t *testing.T) {
	t.Parallel()
	for _, op := range []sandbox.Operation{sandbox.Import, sandbox.FindEndUsers, sandbox.PatchAttributes} {
		for _, mayAsk := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, may ask for the organisation %v", op, mayAsk), func(t *testing.T) {
				t.Parallel()
				w := setup(t, "sqlite", sandbox.Options{})
				if !mayAsk {
					w.api.Forbid(sandbox.GetOrganization, 403)
				}
				var seen atomic.Int64
				w.onOperation(func(got sandbox.Operation) {
					if got == op && seen.Add(1) == 20 {
						w.api.SetToken("revoked")
					}
				})
				before := w.api.Token()
				s, err := w.run(w.jsonl(w.file("c.jsonl", chatsWithBlocked(200)...)), func(c *importer.Config) {
					withOrders(c)
					c.Workers = 64
				})
				if err == nil || !strings.Contains(err.Error(), "dixa.token") || s.Outcome != importer.OutcomeAborted || s.Counts.Failed+s.Counts.InDoubt != 0 {
					t.Errorf("%+v, error %v", s.Counts, err)
				}
				if n := w.api.Counts()[sandbox.GetOrganization]; mayAsk && n > 4 {
					t.Errorf("%d checks of the token", n)
				}
				w.onOperation(nil)
				w.api.SetToken(before)
				w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chatsWithBlocked(200)...)), withOrders)
				w.wantTotals(200, 200)
			})
		}
	}
}

// TestRefusalWithoutTokenCheck requires that nothing is final if the token cannot be checked.
func TestRefusalWithoutTokenCheck(t *testing.T) {
	t.Parallel()
	for _, op := range []sandbox.Operation{sandbox.Import, sandbox.FindEndUsers, sandbox.PatchAttributes} {
		for _, kind := range []sandbox.FaultKind{sandbox.ErrorBefore, sandbox.HangBefore, sandbox.BrokenBody} {
			t.Run(fmt.Sprintf("%s, %s", op, kind), func(t *testing.T) {
				t.Parallel()
				w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{firewall(op, 403),
					{Operation: sandbox.GetOrganization, Kind: kind, Nth: 2, Times: 1000}}})
				path := w.file("c.jsonl", chatsWithBlocked(8, 2)...)
				s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), withOrders)
				if s.Counts.Imported != 7 || s.Counts.Pending != 1 || s.Counts.Failed != 0 {
					t.Errorf("counts are %+v", s.Counts)
				}
				if op == sandbox.PatchAttributes {
					w.wantRow("t-2", checkpoint.Imported, "attributes_unset")
				} else {
					w.wantRow("t-2", checkpoint.Pending, "unavailable")
				}
				w.api.SetFaults(nil)
				w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
				w.wantTotals(8, 8)
			})
		}
	}
}

// TestManyRefusalsInARowStopTheRun requires that no transcript fails for a refusal that all get. If only attributes are refused, all are
// imported.
func TestManyRefusalsInARowStopTheRun(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	for _, op := range []sandbox.Operation{sandbox.Import, sandbox.FindEndUsers, sandbox.CreateEndUser, sandbox.PatchAttributes} {
		for _, kind := range []sandbox.FaultKind{sandbox.HTMLBody, sandbox.ErrorBefore} {
			t.Run(fmt.Sprintf("%s, %s", op, kind), func(t *testing.T) {
				t.Parallel()
				faults := []sandbox.Fault{{Operation: op, Kind: kind, Status: 403, Message: "Forbidden"}}
				if op == sandbox.CreateEndUser {
					faults = append(faults, sandbox.Fault{Operation: sandbox.CreateEndUsers, Kind: kind, Status: 403, Message: "Forbidden"})
				}
				w := setup(t, "sqlite", sandbox.Options{Faults: faults})
				path := w.file("c.jsonl", chatsWithBlocked(300)...)
				s, err := w.run(w.jsonl(path), withOrders)
				if err == nil || s.Outcome != importer.OutcomeAborted || s.Counts.Failed != 0 || !strings.Contains(err.Error(), "run again") {
					t.Errorf("%+v, error %v", s.Counts, err)
				}
				if n := w.api.Counts()[op]; n > 250 {
					t.Errorf("%d requests were refused", n)
				}
				if n := len(w.api.Conversations()); op == sandbox.PatchAttributes && n != 300 || op != sandbox.PatchAttributes && n != 0 {
					t.Errorf("%d conversations", n)
				}
				w.api.SetFaults(nil)
				w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
				w.wantTotals(300, 300)
			})
		}
	}
}

// TestBlockedTextsDoNotStopTheRun has answers that only quote the text of a customer, and documented answers to a single record.
func TestBlockedTextsDoNotStopTheRun(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		message, code string
		retry         bool
		reason        dixa.Reason // stored for the advice to the user
	}{
		{"Invalid input for Message: agent does not exist", "refused", false, dixa.ReasonUnknown},
		{"cannot take 'Unsupported ConversationChannel' in", "refused", false, dixa.ReasonUnknown},
		{"Invalid value for: body (requester does not exist)", "refused", false, dixa.ReasonUnknown},
		{"Invalid input for Message: failure to download attachment", "refused", false, dixa.ReasonUnknown},
		{"Invalid input for Message", "refused", false, dixa.ReasonMessage},
		{"Decoding failure in request", "refused", false, dixa.ReasonUnreadable},
		{"Agent does not exist", "agent_unknown", true, dixa.ReasonAgentUnknown},
		{"unsupported conversationchannel.", "refused", true, dixa.ReasonChannelUnsupported},
	} {
		for _, n := range []int{1, 12} {
			t.Run(fmt.Sprintf("%s, one of %d", tt.message, n), func(t *testing.T) {
				t.Parallel()
				w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{
					{Operation: sandbox.Import, Kind: sandbox.ErrorBefore, Status: 400, Message: tt.message, Match: sandbox.MatchText("<script>")}}})
				s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(w.file("c.jsonl", chatsWithBlocked(n, 0)...)), withOrders)
				if row := w.wantRow("t-0", checkpoint.Failed, tt.code); row.Reason != string(tt.reason) || !strings.HasPrefix(row.Error, "import: Dixa answered 400: ") || strings.Contains(row.Error, "dixa-import") {
					t.Errorf("the error is %q, about %q", row.Error, row.Reason)
				}
				if s.Counts.Failed != 1 || s.Counts.Imported != int64(n)-1 || w.api.Counts()[sandbox.Import] != n {
					t.Errorf("counts are %+v, %d imports", s.Counts, w.api.Counts()[sandbox.Import])
				}
			})
		}
	}
}

// TestWrongAgentStopsTheRun requires that no transcript fails and all become pending again.
func TestWrongAgentStopsTheRun(t *testing.T) {
	t.Parallel()
	for _, message := range []string{"Agent does not exist", "Unsupported ConversationChannel"} {
		for _, n := range []int{2, 300} {
			t.Run(fmt.Sprintf("%s, %d", message, n), func(t *testing.T) {
				t.Parallel()
				w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.Import, Kind: sandbox.ErrorBefore, Status: 400, Message: message}}})
				path := w.file("c.jsonl", chatsWithBlocked(n)...)
				s, err := w.run(w.jsonl(path), nil)
				if err == nil || s.Outcome != importer.OutcomeAborted || s.Counts.Failed != 0 || w.api.Counts()[sandbox.Import] > 40 {
					t.Errorf("%+v, error %v, %d imports", s.Counts, err, w.api.Counts()[sandbox.Import])
				}
				w.api.SetFaults(nil)
				w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
				w.wantTotals(n, n)
			})
		}
	}
}

// TestRefusedCustomerWithManyChats requires that the chats of one customer count as one refusal, so that they do not stop the run.
func TestRefusedCustomerWithManyChats(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{firewall(sandbox.FindEndUsers, http.StatusForbidden)}})
	var lines []string
	for i := range 30 {
		lines = append(lines, chat(fmt.Sprintf("s-%d", i), fields{"end_user": fields{"external_id": "c-<script>-1"}}))
	}
	s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(w.file("c.jsonl", append(lines, chatsWithBlocked(5)...)...)), withOrders)
	if s.Counts.Failed != 30 || s.Counts.Imported != 5 || s.Causes["forbidden"] != 30 {
		t.Errorf("counts are %+v", s.Counts)
	}
}

// TestRevokedTokenKeepsDoubts requires that the next run searches for transcripts in doubt; no person has to.
func TestRevokedTokenKeepsDoubts(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.Import, Kind: sandbox.DropAfter, Times: 1}}})
	token := w.api.Token()
	w.onOperation(func(op sandbox.Operation) {
		if op == sandbox.ListConversations {
			w.api.SetToken("revoked")
		}
	})
	path := w.file("c.jsonl", chatsWithBlocked(1)...)
	if s, err := w.run(w.jsonl(path), nil); err == nil || s.Counts.InDoubt != 0 {
		t.Errorf("%+v, error %v", s.Counts, err)
	}
	w.wantRow("t-0", checkpoint.Sending, "")
	w.onOperation(nil)
	w.api.SetToken(token)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	w.wantOnce("t-0")
}

// TestFailingOperationRests has one operation that always fails while the others work. What needs it is left to the next run.
func TestFailingOperationRests(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	type sickness struct {
		op    sandbox.Operation
		fault sandbox.Fault
		most  int // requests of the operation
	}
	var all []sickness
	for _, fault := range []sandbox.Fault{{Kind: sandbox.ErrorBefore, Status: 500}, {Kind: sandbox.HTMLBody, Status: 502}, {Kind: sandbox.HangBefore},
		{Kind: sandbox.DropBefore}, {Kind: sandbox.ErrorBefore, Status: 404}} {
		for _, op := range []sandbox.Operation{sandbox.PatchAttributes, sandbox.FindEndUsers, sandbox.Import} {
			if fault.Status != 404 || op == sandbox.PatchAttributes {
				fault.Operation = op
				all = append(all, sickness{op, fault, 90})
			}
		}
	}
	together(t, all, func(s sickness) string { return faultName(s.fault) }, func(t *testing.T, s sickness) {
		const n = 400
		w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{s.fault}})
		path := w.file("c.jsonl", chatsWithBlocked(n)...)
		quick := func(c *importer.Config) {
			withOrders(c)
			c.API = w.client(func(c *dixa.Config) { c.MaxAttempts, c.Timeout = 5, 1500*time.Millisecond })
		}
		got := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), quick)
		if sent := w.api.Counts()[s.op]; sent > s.most {
			t.Errorf("%d requests of the failing operation", sent)
		}
		if len(got.Rests) != 1 || got.Rests[0].Left == 0 || !strings.Contains(w.logs.String(), "an operation of Dixa kept failing while others succeeded") {
			t.Errorf("rests are %+v", got.Rests)
		}
		imported := n
		if s.op != sandbox.PatchAttributes {
			imported = 0
		}
		if len(w.api.Conversations()) != imported || got.Counts.Failed+got.Counts.InDoubt != 0 {
			t.Errorf("%d conversations, counts %+v", len(w.api.Conversations()), got.Counts)
		}
		w.api.SetFaults(nil)
		if s.fault.Status == 404 { // the first 404s may have been about their conversations
			w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{}, quick))
		}
		w.mustRun(importer.OutcomeOK, w.jsonl(path), quick)
		w.wantTotals(n, n)
		for _, c := range w.api.Conversations() {
			if c.Attributes[sandbox.OrderNumberID] == nil {
				t.Fatalf("%s has no attributes", c.ExternalID)
			}
		}
	})
}

// TestFailingBatchCreationFallsBackToSingle has a batch creation that never gets an answer, and a single one that does.
func TestFailingBatchCreationFallsBackToSingle(t *testing.T) {
	t.Parallel()
	for _, kind := range []sandbox.FaultKind{sandbox.ErrorBefore, sandbox.ErrorAfter, sandbox.DropBefore} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.CreateEndUsers, Kind: kind}}})
			s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chatsWithBlocked(120)...)), nil)
			if s.Counts.Imported != 120 || w.api.Fired()["create_end_users:"+string(kind)] == 0 {
				t.Errorf("counts are %+v, fired %v", s.Counts, w.api.Fired())
			}
			w.wantTotals(120, 120)
		})
	}
}

// TestDoubtsWhileListsFail requires that transcripts in doubt are left to the next run, and that the rest are imported.
func TestDoubtsWhileListsFail(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	for _, op := range []sandbox.Operation{sandbox.ListConversations, sandbox.ListMessages} {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{{Operation: op, Kind: sandbox.ErrorBefore},
				{Name: "lost", Operation: sandbox.Import, Kind: sandbox.ErrorAfter, Match: sandbox.MatchText("<script>")}}})
			path := w.file("c.jsonl", chatsWithBlocked(100, 3, 17, 40, 77)...)
			s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), func(c *importer.Config) {
				c.API = w.client(func(c *dixa.Config) { c.MaxAttempts = 5 })
			})
			if s.Counts.Imported != 96 || s.Counts.Pending != 4 || s.Counts.Failed+s.Counts.InDoubt != 0 {
				t.Errorf("counts are %+v", s.Counts)
			}
			w.wantFired("lost")
			for _, i := range []int{3, 17, 40, 77} {
				w.wantRow(fmt.Sprintf("t-%d", i), checkpoint.Sending, "look_failed")
			}
			w.api.SetFaults(nil)
			w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
			w.wantTotals(100, 100)
		})
	}
}

// TestUnreadableAttributeDefinitions requires that they do not stop a run whose configuration has the attributes' UUIDs.
func TestUnreadableAttributeDefinitions(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.ListAttributes, Kind: sandbox.ErrorBefore}}})
	path := w.file("c.jsonl", withOrder)
	if _, err := w.run(w.jsonl(path), withOrders); err == nil {
		t.Error("an unresolved name was used")
	}
	w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) {
		c.Attributes = []importer.AttributeMapping{{Name: "order", Attribute: sandbox.OrderNumberID}}
	})
	if c := w.wantOnce("t-1"); c.Attributes[sandbox.OrderNumberID] != "1234" {
		t.Errorf("attributes are %v", c.Attributes)
	}
}

// TestOneUnreadableConversation requires that verify reports it as a difference of that transcript.
func TestOneUnreadableConversation(t *testing.T) {
	t.Parallel()
	for _, op := range []sandbox.Operation{sandbox.GetConversation, sandbox.ListMessages} {
		w := setup(t, "sqlite", sandbox.Options{})
		path := w.file("c.jsonl", chatsWithBlocked(30)...)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
		id := fmt.Sprint(w.wantOnce("t-9").ID) // the last by id
		w.api.SetFaults([]sandbox.Fault{{Operation: op, Kind: sandbox.ErrorBefore, Status: 403, Message: "Forbidden", Match: sandbox.MatchText(id)}})
		s, _, err := w.verify(w.jsonl(path), verify.Options{}, func(c *importer.Config) { c.Workers = 1 })
		if err != nil || s.Checked != 30 || s.Differing != 1 || s.Kinds[verify.DiffUnreadable] != 1 {
			t.Errorf("%s: %+v, %v", op, s, err)
		}
	}
}
