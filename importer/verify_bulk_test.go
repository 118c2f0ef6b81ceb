package importer_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/verify"
)

var bulkTranscripts = flag.Int("verify.bulk.transcripts", 400, "the transcripts that are compared in bulk")

func (w *world) exports() *dixa.Client {
	return w.client(func(c *dixa.Config) { c.BaseURL += sandbox.ExportsPrefix; c.Timeout = dixa.ExportTimeout })
}

// damage makes a difference of a kind in a conversation.
var damages = []func(w *world, c sandbox.Conversation) bool{
	func(w *world, c sandbox.Conversation) bool { return w.api.SetText(c.ID, 0, "Another text") },
	func(w *world, c sandbox.Conversation) bool { return w.api.DeleteMessage(c.ID, c.ExternalID+":2") },
	func(w *world, c sandbox.Conversation) bool { return w.api.SwapTexts(c.ID, 0, 1) },
	func(w *world, c sandbox.Conversation) bool { return w.api.Reopen(c.ID) },
	func(w *world, c sandbox.Conversation) bool { return w.api.Assign(c.ID, "") },
	func(w *world, c sandbox.Conversation) bool {
		return w.api.SetAttribute(c.ID, sandbox.OrderNumberID, "wrong")
	},
	func(w *world, c sandbox.Conversation) bool {
		return w.api.SetAttribute(c.ID, sandbox.OrderNumberID, nil)
	},
	func(w *world, c sandbox.Conversation) bool { return w.api.DeleteConversation(c.ID) },
	func(w *world, c sandbox.Conversation) bool {
		c.RequesterID = w.api.AddEndUser(sandbox.EndUser{ExternalID: "stranger-" + c.ExternalID})
		return w.api.AddConversation(c) == c.ID
	},
	func(w *world, c sandbox.Conversation) bool {
		c.Direction, c.CreatedAt = "Outbound", c.CreatedAt.Add(-time.Second)
		return w.api.AddConversation(c) == c.ID
	},
	func(w *world, c sandbox.Conversation) bool { // an agent wrote afterwards
		c.Messages = append(c.Messages, sandbox.Message{Text: "Late", Direction: "Outbound", CreatedAt: c.ClosedAt.Add(40 * 24 * time.Hour)})
		return w.api.AddConversation(c) == c.ID
	},
	func(w *world, c sandbox.Conversation) bool { // imported twice
		c.ID = 0
		return w.api.AddConversation(c) != 0
	},
}

// TestVerifyInBulk requires that both ways of comparing find the same differences. Run with -verify.bulk.transcripts=20000 -v it prints the cost.
func TestVerifyInBulk(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		n := *bulkTranscripts
		w := setup(t, store, sandbox.Options{})
		lines := make([]string, n)
		for i := range lines {
			at := time.Date(2026, 7, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(i) * (120 * 24 * time.Hour / time.Duration(n)))
			message := func(role, text string, after time.Duration) fields {
				return fields{"role": role, "text": text, "created_at": at.Add(after).Format(time.RFC3339)}
			}
			lines[i] = chat(fmt.Sprintf("t-%05d", i), fields{"created_at": at.Format(time.RFC3339), "closed_at": at.Add(time.Hour).Format(time.RFC3339),
				"attributes": fields{"order": fmt.Sprint(i)}, "end_user": fields{"external_id": fmt.Sprintf("c-%d", i%(n/3))},
				"messages": []any{message("user", fmt.Sprintf("Where is order %d?", i), time.Second), message("bot", "It ships today.", 3*time.Second)}})
		}
		path := w.file("c.jsonl", lines...)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
		const wrong = 40
		for i := range wrong {
			id := fmt.Sprintf("t-%05d", 3+i*(n/wrong-1))
			if !damages[i%len(damages)](w, w.wantOnce(id)) {
				t.Fatalf("%s could not be changed", id)
			}
		}
		plain, one, err := w.verify(w.jsonl(path), verify.Options{}, nil)
		if err != nil || plain.Differing != wrong {
			t.Fatalf("one by one: %+v, %v", plain, err)
		}
		bulk, two, err := w.verify(w.jsonl(path), verify.Options{Bulk: w.exports()}, nil)
		if err != nil || bulk.Checked != plain.Checked || bulk.Differing != wrong {
			t.Fatalf("in bulk: %+v, %v", bulk, err)
		}
		wantLines(t, two, one...)
		if bulk.Bulk.Unfit != 0 || bulk.Bulk.Same < int64(n-wrong) || bulk.Requests > int64(6*wrong) {
			t.Errorf("in bulk: %+v, %d requests", *bulk.Bulk, bulk.Requests)
		}
		t.Logf("%d transcripts: one by one %d requests in %v; in bulk %d requests, %d of them exports, in %v", n, plain.Requests, plain.Duration.Round(time.Millisecond),
			bulk.Requests, bulk.Bulk.Requests, bulk.Duration.Round(time.Millisecond))
	})
}

func TestVerifyInBulkWithoutWhatItNeeds(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{ExportsWithoutAttributes: true})
	path := w.file("c.jsonl", orders(12)...)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
	if s, found, err := w.verify(w.jsonl(path), verify.Options{Bulk: w.exports()}, nil); err != nil || s.Checked != 12 || found != nil || s.Bulk.WithoutAttributes != 12 {
		t.Errorf("without attributes: %+v, %v, %v", s, found, err)
	}
	// An answer that breaks off is read again from its beginning.
	w.api.SetFaults([]sandbox.Fault{{Operation: sandbox.ExportMessages, Kind: sandbox.CutBody, Times: 1}, {Operation: sandbox.ExportConversations, Kind: sandbox.BrokenBody, Times: 1},
		{Operation: sandbox.ExportMessages, Kind: sandbox.Throttle, Nth: 2}})
	noOrders := func(c *importer.Config) { c.Attributes = nil }
	if s, found, err := w.verify(w.jsonl(path), verify.Options{Bulk: w.exports()}, noOrders); err != nil || s.Bulk.Same != 12 || found != nil {
		t.Errorf("after faults: %+v, %v, %v", s.Bulk, found, err)
	}
	w.wantFired("export_messages:cut_body", "export_conversations:broken_body")
	for _, status := range []int{401, 403, 404} {
		w.api.Forbid(sandbox.ExportConversations, status)
		if _, _, err := w.verify(w.jsonl(path), verify.Options{Bulk: w.exports()}, noOrders); err == nil || !strings.Contains(err.Error(), "--fallback") {
			t.Errorf("%d: %v", status, err)
		}
		if s, _, err := w.verify(w.jsonl(path), verify.Options{Bulk: w.exports(), Fallback: true}, noOrders); err != nil || s.Checked != 12 || s.Bulk.Same != 0 {
			t.Errorf("%d with a way out: %+v, %v", status, s, err)
		}
	}
}
