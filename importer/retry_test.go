package importer_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

func retrying(sel importer.Selection, change func(*importer.Config)) func(*importer.Config) {
	return func(c *importer.Config) {
		c.Retry, c.Command = &sel, "retry"
		if change != nil {
			change(c)
		}
	}
}

// TestRetrySetsMissingAttributes requires exactly one PATCH for each transcript, and no import.
func TestRetrySetsMissingAttributes(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		const n = 50
		lines := make([]string, n)
		for i := range lines { // "lost" is deactivated, so the run refuses it
			lines[i] = chat(fmt.Sprintf("t-%d", i), fields{"attributes": fields{"order": "1", "reason": []string{"delivery", "lost"}}})
		}
		path := w.file("c.jsonl", lines...)
		both := func(c *importer.Config) {
			c.Attributes = []importer.AttributeMapping{{Name: "order", Attribute: "order_number"}, {Name: "reason", Attribute: "contact_reason"}}
		}
		w.mustRun(importer.OutcomeOK, w.jsonl(path), both)
		w.wantRow("t-7", checkpoint.Partial, "")
		defs := sandbox.DefaultAttributes()
		for i := range defs {
			for j := range defs[i].Options {
				for k := range defs[i].Options[j].Nested {
					defs[i].Options[j].Nested[k].Deactivated = false
				}
			}
		}
		w.api.SetAttributes(defs)
		before := w.api.Counts()
		s := w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{}, both))
		after := w.api.Counts()
		if got := after[sandbox.PatchAttributes] - before[sandbox.PatchAttributes]; got != n || after[sandbox.Import] != before[sandbox.Import] || after[sandbox.FindEndUsers] != before[sandbox.FindEndUsers] {
			t.Errorf("requests before %v, after %v", before, after)
		}
		if s.Counts.Read != n || s.Counts.Imported != n {
			t.Errorf("counts are %+v", s.Counts)
		}
		w.wantRow("t-7", checkpoint.Complete, "")
		if c := w.wantOnce("t-7"); fmt.Sprint(c.Attributes[sandbox.ContactReasonID]) != "[delivery lost]" {
			t.Errorf("attributes are %v", c.Attributes)
		}
		if p := w.partialErrors("t-7"); len(p) != 0 {
			t.Errorf("partial errors are %+v", p)
		}
		if s := w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{}, both)); s.Counts.Read != 0 {
			t.Errorf("there was still something to retry: %+v", s.Counts)
		}
	})
}

func TestRetrySendsFailedTranscripts(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.Import, Kind: sandbox.ErrorBefore, Status: 422, Times: 4}}})
		path := w.file("c.jsonl", chats(10)...)
		w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil)
		s := w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{Codes: []string{"no_such_code"}}, nil))
		if s.Counts.Read != 0 {
			t.Errorf("a code without transcripts: %+v", s.Counts)
		}
		s = w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{Statuses: []checkpoint.Status{checkpoint.Failed}, Codes: []string{"refused"}}, nil))
		if s.Counts.Read != 4 || s.Counts.Imported != 4 || len(w.api.Conversations()) != 10 || len(w.api.Duplicates()) != 0 {
			t.Errorf("counts are %+v, %d conversations", s.Counts, len(w.api.Conversations()))
		}
	})
}

// TestRetrySkipsReopenedChats requires that reopened chats are not sent, whatever their status, and are imported once they are closed.
func TestRetrySkipsReopenedChats(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.Import, Kind: sandbox.ErrorBefore, Status: 422, Times: 1}}})
	path := w.file("c.jsonl", chat("t-1", nil))
	w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil)
	w.wantRow("t-1", checkpoint.Failed, "refused")
	w.file("c.jsonl", chat("t-0", nil), chat("t-1", fields{"closed_at": nil}))
	s := w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{}, nil))
	if s.Counts.Read != 1 || s.Counts.Skipped != 1 || len(w.api.Conversations()) != 0 {
		t.Errorf("counts are %+v, %d conversations", s.Counts, len(w.api.Conversations()))
	}
	w.wantRow("t-1", checkpoint.Skipped, "open")
	w.file("c.jsonl", chat("t-0", nil), chat("t-1", fields{"closed_at": nil}), chat("t-1", nil))
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	w.wantOnce("t-1")
}

// TestDoubtAboutReopenedChat requires that a chat that did not arrive is not sent before it is closed, and that one that did arrive is
// adopted.
func TestDoubtAboutReopenedChat(t *testing.T) {
	t.Parallel()
	for _, arrived := range []bool{false, true} {
		w := setup(t, "sqlite", sandbox.Options{})
		path := w.file("c.jsonl", withOrder)
		leaveSending(w, path, arrived)
		w.file("c.jsonl", chat("t-1", fields{"closed_at": nil}))
		if _, err := w.run(w.jsonl(path), nil); err != nil {
			t.Fatal(err)
		}
		want := 0
		if arrived {
			want = 1
		}
		if n := len(w.api.Conversations()); n != want {
			t.Errorf("arrived %v: %d conversations", arrived, n)
		}
		w.file("c.jsonl", withOrder)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
		w.wantOnce("t-1")
	}
}

// leaveInDoubt leaves transcript t-1 in doubt: its import took effect or not, and messages may not be read.
func leaveInDoubt(t *testing.T, store string, arrived bool) (w *world, path string) {
	t.Helper()
	w = setup(t, store, sandbox.Options{})
	path = w.file("c.jsonl", withOrder)
	leaveSending(w, path, true)
	id := w.wantOnce("t-1").ID
	w.api.Forbid(sandbox.ListMessages, 403)
	w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), withOrders)
	w.wantRow("t-1", checkpoint.InDoubt, "unreadable")
	w.api.Forbid(sandbox.ListMessages, 0)
	if !arrived {
		w.api.DeleteConversation(id)
	}
	return w, path
}

func TestRetryAppliesDecisions(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		ids := []string{"t-1"}
		t.Run("resend", func(t *testing.T) {
			t.Parallel()
			w, path := leaveInDoubt(t, store, false)
			w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{IDs: ids, Decision: importer.Resend}, withOrders))
			w.wantOnce("t-1")
			w.wantRow("t-1", checkpoint.Complete, "")
		})
		t.Run("drop", func(t *testing.T) {
			t.Parallel()
			w, path := leaveInDoubt(t, store, false)
			s := w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{Decision: importer.Drop}, withOrders))
			if s.Counts.Skipped != 1 {
				t.Errorf("counts are %+v", s.Counts)
			}
			w.wantRow("t-1", checkpoint.Skipped, "dropped")
			w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
			w.wantRow("t-1", checkpoint.Skipped, "dropped")
		})
		t.Run("conversation", func(t *testing.T) {
			t.Parallel()
			w, path := leaveInDoubt(t, store, true)
			if _, err := w.run(w.jsonl(path), retrying(importer.Selection{IDs: ids, Decision: importer.Adopt, Conversation: 1}, withOrders)); err == nil {
				t.Error("a conversation that does not exist was adopted")
			}
			w.wantRow("t-1", checkpoint.InDoubt, "unreadable")
			id := w.wantOnce("t-1").ID
			w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{IDs: ids, Decision: importer.Adopt, Conversation: id}, withOrders))
			if row := w.wantRow("t-1", checkpoint.Complete, ""); row.ConversationID != id || w.wantOnce("t-1").Attributes[sandbox.OrderNumberID] != "1234" {
				t.Errorf("the checkpoint has %+v", row)
			}
		})
		t.Run("conversation of another transcript", func(t *testing.T) {
			t.Parallel()
			w, path := leaveInDoubt(t, store, true)
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("b.jsonl", chat("b", nil), chat("c", fields{"attributes": fields{"order": "1"}}))), withOrders)
			for _, config := range []func(*importer.Config){withOrders, nil} { // without attributes, one write records and finishes it
				for _, other := range []string{"b", "c"} {
					before := len(w.logs.String())
					adopt := retrying(importer.Selection{IDs: ids, Decision: importer.Adopt, Conversation: w.row(other).ConversationID}, config)
					s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), adopt)
					if s.Counts.InDoubt != 1 || s.Counts.Read != 1 || s.Causes["conversation_taken"] != 1 {
						t.Errorf("the summary: %+v, %v", s.Counts, s.Causes)
					}
					row := w.wantRow("t-1", checkpoint.InDoubt, "conversation_taken")
					if want := fmt.Sprintf(`conversation %d already belongs to transcript "%s"`, w.row(other).ConversationID, other); !strings.HasPrefix(row.Error, want) {
						t.Errorf("the row has %q, want %q", row.Error, want)
					}
					if log := w.logs.String()[before:]; !strings.Contains(log, "transcript=t-1 status=in_doubt code=conversation_taken error="+strconv.Quote(row.Error)) {
						t.Errorf("the log does not say that it is in doubt, and why: %s", log)
					}
				}
			}
		})
		t.Run("undecided", func(t *testing.T) {
			t.Parallel()
			w, path := leaveInDoubt(t, store, true)
			s := w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{}, withOrders))
			if s.Counts.Read != 0 {
				t.Errorf("a doubt was retried although it was not selected: %+v", s.Counts)
			}
			w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{Statuses: []checkpoint.Status{checkpoint.InDoubt}}, withOrders))
			w.wantRow("t-1", checkpoint.Complete, "")
			w.wantOnce("t-1")
		})
	})
}
