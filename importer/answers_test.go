package importer_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// withOrder is a transcript with an attribute.
var withOrder = chat("t-1", fields{"attributes": fields{"order": "1234"}})

// TestRetryableAnswersAreRepeated requires that the transcript is imported once, with its attribute.
func TestRetryableAnswersAreRepeated(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	kinds := []sandbox.Fault{
		{Kind: sandbox.ErrorBefore, Status: 500}, {Kind: sandbox.ErrorBefore, Status: 503}, {Kind: sandbox.ErrorAfter, Status: 502},
		{Kind: sandbox.ErrorBefore, Status: 408}, {Kind: sandbox.DropBefore}, {Kind: sandbox.DropAfter}, {Kind: sandbox.HangBefore},
		{Kind: sandbox.HTMLBody, Status: 504}, {Kind: sandbox.BrokenBody}, {Kind: sandbox.CutBody}, {Kind: sandbox.Throttle},
	}
	for _, op := range []sandbox.Operation{sandbox.GetOrganization, sandbox.ListAttributes, sandbox.FindEndUsers, sandbox.PatchAttributes} {
		for _, fault := range kinds {
			fault.Operation, fault.Times = op, 2
			t.Run(string(op)+" "+string(fault.Kind)+" "+http.StatusText(fault.Status), func(t *testing.T) {
				t.Parallel()
				w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{fault}})
				s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", withOrder)), withOrders)
				w.wantFired(string(op) + ":" + string(fault.Kind))
				if c := w.wantOnce("t-1"); c.Attributes[sandbox.OrderNumberID] != "1234" {
					t.Errorf("attributes are %v", c.Attributes)
				}
				row := w.wantRow("t-1", checkpoint.Complete, "")
				if row.Attempts != 1 || fault.Kind == sandbox.Throttle && s.Throttled != 2 {
					t.Errorf("%d attempts, %d 429s", row.Attempts, s.Throttled)
				}
			})
		}
	}
}

// TestUnclearAnswerLeavesImportInDoubt requires that the transcript is in Dixa once, because a search found it or the run sent it again.
func TestUnclearAnswerLeavesImportInDoubt(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	for _, tc := range []struct {
		fault   sandbox.Fault
		applied bool
	}{
		{sandbox.Fault{Kind: sandbox.ErrorBefore, Status: 500}, false},
		{sandbox.Fault{Kind: sandbox.ErrorBefore, Status: 503}, false},
		{sandbox.Fault{Kind: sandbox.ErrorBefore, Status: 408}, false},
		{sandbox.Fault{Kind: sandbox.HTMLBody, Status: 502}, false},
		{sandbox.Fault{Kind: sandbox.DropBefore}, false},
		{sandbox.Fault{Kind: sandbox.HangBefore}, false},
		{sandbox.Fault{Kind: sandbox.ErrorAfter, Status: 500}, true},
		{sandbox.Fault{Kind: sandbox.ErrorAfter, Status: 504}, true},
		{sandbox.Fault{Kind: sandbox.HTMLAfter}, true},
		{sandbox.Fault{Kind: sandbox.DropAfter}, true},
		{sandbox.Fault{Kind: sandbox.HangAfter}, true},
		{sandbox.Fault{Kind: sandbox.BrokenBody}, true},
		{sandbox.Fault{Kind: sandbox.CutBody}, true},
		{sandbox.Fault{Kind: sandbox.EmptyBody}, true},
		{sandbox.Fault{Kind: sandbox.SlowBody, Duration: 5 * time.Second}, true},
	} {
		for _, store := range stores {
			tc.fault.Operation, tc.fault.Times = sandbox.Import, 1
			t.Run(string(tc.fault.Kind)+" "+http.StatusText(tc.fault.Status)+" "+store, func(t *testing.T) {
				t.Parallel()
				w := setup(t, store, sandbox.Options{Faults: []sandbox.Fault{tc.fault}, ListLag: 20 * time.Millisecond})
				w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", withOrder, chat("t-2", nil))), withOrders)
				w.wantFired("import:" + string(tc.fault.Kind))
				attempts := 0
				for _, id := range []string{"t-1", "t-2"} {
					w.wantOnce(id)
					attempts += w.wantRow(id, checkpoint.Complete, "").Attempts
				}
				if c := w.wantOnce("t-1"); c.Attributes[sandbox.OrderNumberID] != "1234" {
					t.Errorf("attributes are %v", c.Attributes)
				}
				if want := map[bool]int{true: 2, false: 3}[tc.applied]; attempts != want {
					t.Errorf("%d imports were sent, want %d", attempts, want)
				}
			})
		}
	}
}

func TestImportWithoutClearAnswerFails(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.Import, Kind: sandbox.ErrorBefore}}})
	s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(w.file("c.jsonl", withOrder)), func(c *importer.Config) { c.MaxAttempts = 2 })
	if row := w.wantRow("t-1", checkpoint.Failed, "not_found"); row.Attempts != 2 || s.Causes["not_found"] != 1 {
		t.Errorf("%d attempts, causes %v", row.Attempts, s.Causes)
	}
	if n := w.api.Counts()[sandbox.Import]; n != 2 {
		t.Errorf("%d imports were sent", n)
	}
}

func TestUnreachableBeforeImportLeavesPending(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.FindEndUsers, Kind: sandbox.ErrorBefore}}})
	path := w.file("c.jsonl", withOrder)
	s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), withOrders)
	if s.Counts.Pending != 1 {
		t.Errorf("counts are %+v", s.Counts)
	}
	w.wantRow("t-1", checkpoint.Pending, "unavailable")
	w.api.SetFaults(nil)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
	w.wantRow("t-1", checkpoint.Complete, "")
}

func TestMissingRequesterIsResolvedAgain(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	user := fields{"email": "ann@example.org"}
	w.mustRun(importer.OutcomeOK, w.jsonl(w.file("a.jsonl", chat("t-1", fields{"end_user": user}))), nil)
	gone := w.row("t-1").EndUserID
	if !w.api.DeleteEndUser(gone) {
		t.Fatal("the end-user does not exist")
	}
	w.mustRun(importer.OutcomeOK, w.jsonl(w.file("b.jsonl", chat("t-2", fields{"end_user": user}), chat("t-3", fields{"end_user": user}))), nil)
	for _, id := range []string{"t-2", "t-3"} {
		w.wantOnce(id)
		if row := w.wantRow(id, checkpoint.Complete, ""); row.EndUserID == gone {
			t.Errorf("transcript %s still has the deleted end-user", id)
		}
	}
	if n := len(w.api.EndUsers()); n != 1 {
		t.Errorf("Dixa has %d end-users", n)
	}
}

// TestFatalAnswersStopTheRun requires that no transcript fails: those that were not sent stay pending.
func TestFatalAnswersStopTheRun(t *testing.T) {
	t.Parallel()
	forbid := func(op sandbox.Operation, status int) func(*world) {
		return func(w *world) { w.api.Forbid(op, status) }
	}
	for _, tc := range []struct {
		name, advice string
		arrange      func(*world)
		change       func(*importer.Config)
		imported     bool // the conversation exists
	}{
		{"401 on look-up", "dixa.token", forbid(sandbox.FindEndUsers, 401), nil, false},
		{"403 on look-up", "more rights", forbid(sandbox.FindEndUsers, 403), nil, false},
		{"403 on creation", "more rights", forbid(sandbox.CreateEndUser, 403), nil, false},
		{"401 on import", "dixa.token", forbid(sandbox.Import, 401), nil, false},
		{"403 on patch", "more rights", forbid(sandbox.PatchAttributes, 403), nil, true},
		{"unknown agent", "dixa.agent_id", nil, func(c *importer.Config) { c.AgentID = "bbbbbbbb-0000-4000-8000-000000000000" }, false},
		{"wrong token", "dixa.token", func(w *world) { w.api.SetToken("another") }, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			client := w.client(nil) // with the initial token
			if tc.arrange != nil {
				tc.arrange(w)
			}
			path := w.file("c.jsonl", withOrder, chat("t-2", fields{"attributes": fields{"order": "5"}}))
			s, err := w.run(w.jsonl(path), func(c *importer.Config) {
				withOrders(c)
				c.API = client
				if tc.change != nil {
					tc.change(c)
				}
			})
			if err == nil || !strings.Contains(err.Error(), tc.advice) {
				t.Errorf("the error does not advise %s: %v", tc.advice, err)
			}
			if s.Run != 0 && s.Outcome != importer.OutcomeAborted || s.Counts.Failed != 0 {
				t.Errorf("the run ended as %q with %+v", s.Outcome, s.Counts)
			}
			if got := w.row("t-1").Status; tc.imported && got != checkpoint.Imported || !tc.imported && got != checkpoint.Pending && got != "" {
				t.Errorf("transcript t-1 is %q", got)
			}
			if tc.imported != (len(w.api.Conversations()) > 0) {
				t.Errorf("Dixa has %d conversations", len(w.api.Conversations()))
			}
			if tc.imported {
				w.api.Forbid(sandbox.PatchAttributes, 0)
				w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
				w.wantOnce("t-1")
				w.wantOnce("t-2")
			}
		})
	}
}

func TestOptionalOperationsMayBeForbidden(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{Forbidden: map[sandbox.Operation]int{sandbox.GetOrganization: 403, sandbox.ListAttributes: 401}})
	path := w.file("c.jsonl", withOrder)
	_, err := w.run(w.jsonl(path), withOrders)
	if err == nil || !strings.Contains(err.Error(), "UUID") {
		t.Errorf("attribute name that cannot be resolved: %v", err)
	}
	w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) {
		c.Attributes = []importer.AttributeMapping{{Name: "order", Attribute: sandbox.OrderNumberID}}
	})
	if c := w.wantOnce("t-1"); c.Attributes[sandbox.OrderNumberID] != "1234" {
		t.Errorf("attributes are %v", c.Attributes)
	}
}

func TestRefusedAttachmentsBecomeLinks(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	message := func(url string) []any {
		return []any{fields{"role": "bot", "text": "Here:", "format": "markdown", "created_at": "2026-11-19T08:00:01Z",
			"attachments": []any{fields{"url": url, "name": "Label"}}}}
	}
	w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl",
		chat("t-1", fields{"messages": message("https://unreachable.example/label.pdf")}),
		chat("t-2", fields{"messages": message("https://invalid.example/label.pdf")}))), nil)
	w.wantRow("t-1", checkpoint.Partial, "")
	c := w.wantOnce("t-1")
	if len(c.Messages[0].Attachments) != 0 || !strings.Contains(c.Messages[0].Text, "[Label](<https://unreachable.example/label.pdf>)") {
		t.Errorf("the message is %+v", c.Messages[0])
	}
	if p := w.partialErrors("t-1"); len(p) != 1 || p[0].Kind != checkpoint.KindAttachment {
		t.Errorf("partial errors are %+v", p)
	}
	if p := w.partialErrors("t-2"); len(p) != 1 || p[0].Kind != checkpoint.KindAttachment || p[0].MessageExternalID != "bot/t-2:1" {
		t.Errorf("partial errors are %+v", p)
	}
}

func TestRefusedImportFailsTheTranscript(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 404, 409, 413, 422} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.Import, Kind: sandbox.ErrorBefore, Status: status, Times: 1,
				Match: func(body []byte) bool { return bytes.Contains(body, []byte(`"bot/t-1"`)) }}}})
			path := w.file("c.jsonl", withOrder, chat("t-2", fields{"end_user": fields{"external_id": "c-t-1"}}))
			s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), func(c *importer.Config) { c.Workers = 1 })
			w.wantFired("import:error_before")
			w.wantRow("t-1", checkpoint.Failed, "refused")
			w.wantRow("t-2", checkpoint.Complete, "")
			if s.Counts.Failed != 1 || s.Causes["refused"] != 1 {
				t.Errorf("counts are %+v", s.Counts)
			}
			if again := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil); again.Counts.AlreadyDone != 2 {
				t.Errorf("the second run counts %+v", again.Counts)
			}
			w.file("c.jsonl", chat("t-1", fields{"direction": "outbound"})) // corrected
			w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
			w.wantOnce("t-1")
		})
	}
}

func TestRefusedAttributesMakeItPartial(t *testing.T) {
	t.Parallel()
	mapping := []importer.AttributeMapping{{Name: "order", Attribute: sandbox.OrderNumberID}, {Name: "reason", Attribute: sandbox.ContactReasonID}}
	line := chat("t-1", fields{"attributes": fields{"order": "1234", "reason": []string{"payment", "cash"}}})
	for _, checked := range []bool{true, false} {
		w := setup(t, "sqlite", sandbox.Options{})
		if !checked {
			w.api.Forbid(sandbox.ListAttributes, 403)
		}
		w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", line)), func(c *importer.Config) { c.Attributes = mapping })
		w.wantRow("t-1", checkpoint.Partial, "")
		if c := w.wantOnce("t-1"); c.Attributes[sandbox.OrderNumberID] != "1234" || c.Attributes[sandbox.ContactReasonID] != nil {
			t.Errorf("checked %v: attributes are %v", checked, c.Attributes)
		}
		if p := w.partialErrors("t-1"); len(p) != 1 || p[0].Kind != checkpoint.KindAttribute || p[0].Attribute != "reason" || strings.Contains(p[0].Message, "cash") {
			t.Errorf("checked %v: partial errors are %+v", checked, p)
		}
	}
}

func TestUnsetAttributesAreLeftToTheNextRun(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.PatchAttributes, Kind: sandbox.ErrorBefore, Status: 503}}})
	path := w.file("c.jsonl", withOrder)
	s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), withOrders)
	if s.Counts.Pending != 1 || w.api.Counts()[sandbox.PatchAttributes] != 3 {
		t.Errorf("counts are %+v, requests %v", s.Counts, w.api.Counts())
	}
	w.wantRow("t-1", checkpoint.Imported, "attributes_unset")
	w.api.SetFaults(nil)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
	w.wantRow("t-1", checkpoint.Complete, "")
	if c := w.wantOnce("t-1"); c.Attributes[sandbox.OrderNumberID] != "1234" {
		t.Errorf("attributes are %v", c.Attributes)
	}
}

func TestUnknownAttributesAreConfigErrors(t *testing.T) {
	t.Parallel()
	attributes := append(sandbox.DefaultAttributes(), sandbox.Attribute{ID: "cccccccc-0000-4000-8000-000000000001", Identifier: "order_2", Label: "Order number"})
	for name, want := range map[string]string{
		"no_such_thing": "has no attribute", "old_channel": "archived", "location": "contacts", "Order number": "2 active attributes",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{Attributes: attributes})
			s, err := w.run(w.jsonl(w.file("c.jsonl", withOrder)), func(c *importer.Config) {
				c.Attributes = []importer.AttributeMapping{{Name: "order", Attribute: name}}
			})
			if err == nil || !strings.Contains(err.Error(), want) || s.Run != 0 {
				t.Errorf("run %d, error %v, want %q", s.Run, err, want)
			}
		})
	}
}

// TestRunKeepsTheRateLimit requires that requests over the limit are repeated. Their number depends on the machine; the limiter's own tests
// check its pace.
func TestRunKeepsTheRateLimit(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{Rate: 100, Burst: 4})
	client := w.client(func(c *dixa.Config) { c.Limiter, c.Timeout = dixa.NewLimiter(100, 4), 5*time.Second })
	s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(60)...)), func(c *importer.Config) { c.API, c.Rate = client, 100 })
	if int(s.Throttled) != w.api.Throttled() || s.Counts.Imported != 60 || len(w.api.Duplicates()) != 0 {
		t.Errorf("%d of %d 429s, counts %+v", s.Throttled, w.api.Throttled(), s.Counts)
	}
}
