package importer_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/verify"
)

// importAgain adds a second conversation of a transcript to Dixa without the checkpoint's knowledge, and returns its id.
func (w *world) importAgain(id string, change func(*sandbox.Conversation)) int64 {
	w.Helper()
	first := w.wantOnce(id)
	second := sandbox.Conversation{RequesterID: first.RequesterID, CreatedAt: first.CreatedAt, Messages: first.Messages, ExternalID: first.ExternalID}
	if change != nil {
		change(&second)
	}
	return w.api.AddConversation(second)
}

func TestVerifyFindsDoubles(t *testing.T) {
	t.Parallel()
	for _, withheld := range []bool{false, true} {
		for _, only := range []bool{false, true} {
			t.Run(fmt.Sprintf("withheld=%v only=%v", withheld, only), func(t *testing.T) {
				t.Parallel()
				onEveryStore(t, func(t *testing.T, store string) {
					w := setup(t, store, sandbox.Options{})
					lines := orders(20)
					for i := range lines {
						lines[i] = strings.ReplaceAll(lines[i], "Where is my order?", fmt.Sprintf("Where is my order %d?", i))
					}
					path := w.file("c.jsonl", lines...)
					w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
					options := verify.Options{DoublesOnly: only}
					s, found, err := w.verify(w.jsonl(path), options, func(c *importer.Config) { // a slow machine must not repeat requests
						c.API = w.client(func(c *dixa.Config) { c.Timeout = time.Minute })
					})
					if err != nil || s.Outcome != importer.OutcomeOK || found != nil || s.Checked != 20 || s.EndUsers != 7 {
						t.Fatalf("without doubles: %+v, %v, %v", s, found, err)
					}
					if want := int64(1 + 7); only && s.Requests != want || !only && s.Requests != want+1+2*20 {
						t.Errorf("%d requests", s.Requests)
					}
					second := w.importAgain("t-003", nil)
					w.importAgain("t-011", nil)
					w.importAgain("t-004", func(c *sandbox.Conversation) { // another chat of the same customer
						c.ExternalID = ""
						c.Messages[0].ExternalID, c.Messages[1].ExternalID, c.Messages[1].Text = "", "", "I do not know."
					})
					w.importAgain("t-005", func(c *sandbox.Conversation) { // a conversation of another bot
						c.ExternalID = ""
						c.Messages[0].ExternalID, c.Messages[1].ExternalID = "other/t-005:1", "other/t-005:2"
						c.Messages[0].Text = "Hello?"
					})
					w.api.WithholdExternalIDs(withheld)
					var other int64
					options.Report = func(d verify.Differing) {
						if d.ID == "t-003" {
							other = d.Differences[0].Other
						}
					}
					s, found, err = w.verify(w.jsonl(path), options, nil)
					if err != nil || s.Outcome != importer.OutcomeIncomplete || s.Kinds[verify.DiffDouble] != 2 || other != second {
						t.Errorf("%+v, %v, other %d, want %d", s, err, other, second)
					}
					found = slices.DeleteFunc(found, func(line string) bool { return !strings.Contains(line, " double ") })
					wantLines(t, found, "t-003 double ", "t-011 double ")
				})
			})
		}
	}
}

// TestVerifyFindsDoublesUnderAnotherEndUser requires that a double of another end-user is found if that end-user has transcripts, and that
// a transcript unknown to the checkpoint is reported, too.
func TestVerifyFindsDoublesUnderAnotherEndUser(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", orders(10)...)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
	stranger := w.wantOnce("t-002").RequesterID
	w.importAgain("t-008", func(c *sandbox.Conversation) { c.RequesterID = stranger })
	lost := w.importAgain("t-001", func(c *sandbox.Conversation) {
		c.ExternalID = "bot/t-lost"
		c.Messages[0].ExternalID, c.Messages[1].ExternalID = "bot/t-lost:1", "bot/t-lost:2"
	})
	s, lines, err := w.verify(w.jsonl(path), verify.Options{DoublesOnly: true, Report: func(d verify.Differing) {
		if d.ID == "t-lost" && d.ConversationID != lost {
			t.Errorf("%+v", d)
		}
	}}, nil)
	if err != nil || s.Outcome != importer.OutcomeIncomplete {
		t.Errorf("%+v, %v", s, err)
	}
	wantLines(t, lines, "t-lost not_recorded ", "t-008 double ")
}

func TestVerifyFindsDoublesInASample(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", orders(40)...)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
	s, _, err := w.verify(w.jsonl(path), verify.Options{DoublesOnly: true, Sample: 3, Seed: 1}, nil)
	if err != nil || s.Checked != 3 || s.EndUsers > 3 || s.Requests != 1+s.EndUsers {
		t.Errorf("sample: %+v, %v", s, err)
	}
	if s, _, err := w.verify(w.jsonl(w.file("part.jsonl", orders(5)...)), verify.Options{DoublesOnly: true}, excerpt); err != nil || s.Checked != 5 || s.EndUsers != 5 {
		t.Errorf("excerpt: %+v, %v", s, err)
	}
}

// TestVerifyReportsDoublesItCannotCheck requires that what could not be read is reported, and is not taken for a result.
func TestVerifyReportsDoublesItCannotCheck(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		op               sandbox.Operation
		status           int
		only             bool
		fails            bool
		unlisted, unread int64
	}{
		"lists are forbidden":          {op: sandbox.ListConversations, status: 403, unlisted: 7},
		"lists are forbidden, only":    {op: sandbox.ListConversations, status: 403, only: true, fails: true},
		"lists are unauthorized":       {op: sandbox.ListConversations, status: 401, fails: true},
		"lists fail":                   {op: sandbox.ListConversations, status: 500, only: true, unlisted: 7},
		"messages fail":                {op: sandbox.ListMessages, status: 500, only: true, unread: 1},
		"messages are forbidden, only": {op: sandbox.ListMessages, status: 403, only: true, unread: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			path := w.file("c.jsonl", orders(14)...)
			w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
			w.importAgain("t-003", nil)
			w.api.Forbid(tt.op, tt.status)
			s, _, err := w.verify(w.jsonl(path), verify.Options{DoublesOnly: tt.only}, nil)
			if (err != nil) != tt.fails || !tt.fails && (s.Unlisted != tt.unlisted || s.Unread != tt.unread) {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

// TestVerifyResumesTheSearchForDoubles resumes a search that was stopped. The mark of a full comparison must not change.
func TestVerifyResumesTheSearchForDoubles(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	var lines []string
	for i := range 60 {
		lines = append(lines, chat(fmt.Sprintf("t-%03d", i), nil))
	}
	path := w.file("c.jsonl", lines...)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	w.importAgain("t-050", nil)
	store := w.open()
	if err := store.SetVerifyMark(t.Context(), testSource, checkpoint.VerifyMark{After: "t-010", Checked: 11}); err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(importer.Config{Source: testSource, Reader: w.jsonl(path), Store: store, API: w.client(nil), BaseURL: w.http.URL,
		AgentID: sandbox.DefaultAgentID, Workers: 1, DrainTimeout: 5 * time.Second}, verify.Options{DoublesOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	w.onOperation(func(op sandbox.Operation) {
		if op == sandbox.ListConversations {
			if n++; n == 20 {
				v.Stop("enough")
			}
		}
	})
	s, err := v.Run(t.Context())
	if err != nil || s.Outcome != importer.OutcomeStopped || s.Checked == 0 || s.Checked == 60 {
		t.Fatalf("%+v, %v", s, err)
	}
	w.onOperation(nil)
	rest, found, err := w.verify(w.jsonl(path), verify.Options{DoublesOnly: true}, nil)
	if err != nil || rest.Checked != 60 || rest.Earlier != s.Checked || rest.EndUsers > 60-s.Checked {
		t.Errorf("%+v, %v", rest, err)
	}
	wantLines(t, found, "t-050 double ")
	if m, err := store.VerifyMark(t.Context(), testSource); err != nil || m.After != "t-010" {
		t.Errorf("the mark of the full comparison is %+v, %v", m, errors.Join(err))
	}
}
