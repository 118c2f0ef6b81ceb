package importer_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/verify"
)

// supportQueue is the default queue of the sandbox.
const supportQueue = "497d2cb4-6b48-4fa2-99d2-21c2a5bad79f"

// more is a chat with everything that may follow an import, which continues t-0.
func more(id string, change map[string]any) string {
	record := fields{"tags": []string{"refund"}, "rating": fields{"type": "csat", "value": 4, "comment": "Quick", "at": "2026-11-19T08:12:00Z"},
		"notes":    []any{fields{"text": "Called back", "at": "2026-11-19T08:12:10Z"}, fields{"text": "Angry"}},
		"handover": fields{"queue": "Support"}, "follow_up_of": "t-0", "attributes": fields{"order_number": "1234"}}
	for name, value := range change {
		record[name] = value
	}
	return chat(id, record)
}

func withTags(c *importer.Config) {
	c.Tags, c.Attributes = []string{"bot"}, []importer.AttributeMapping{{Name: "order_number", Attribute: "order_number"}}
}

// TestVerifyMore compares what followed imports: all of it is there, none of it is, and Dixa shows none of it.
func TestVerifyMore(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	lines := []string{chat("t-0", nil), more("t-1", nil), chat("t-2", nil)}
	path := w.file("c.jsonl", lines...)
	withTags := func(c *importer.Config) { withTags(c); c.CreateTags = true }
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withTags)
	w.wantMore("t-1")
	check := func(change func(*importer.Config), want ...string) {
		t.Helper()
		_, got, err := w.verify(w.jsonl(path), verify.Options{}, change)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %q, want %q", err, got, want)
		}
	}
	check(withTags)
	check(func(c *importer.Config) { withTags(c); c.Tags = []string{"BOT", "later"} }, "t-0 tag ", "t-1 tag ", "t-2 tag ")
	lines[2] = more("t-2", fields{"handover": nil, "attributes": nil})
	w.file("c.jsonl", lines...)
	check(withTags, "t-2 tag ", "t-2 rating ", "t-2 note ", "t-2 note ", "t-2 link ")
	for _, op := range []sandbox.Operation{sandbox.ListConversationTags, sandbox.ListRatings, sandbox.ListNotes} {
		w.api.Forbid(op, 403)
	}
	check(withTags, "t-2 link ")
}

// wantMore checks that all that follows an import was done once.
func (w *world) wantMore(id string) {
	w.Helper()
	w.wantMoreOf(id, "t-0")
}

// wantMoreOf is wantMore for a chat that continues another one.
func (w *world) wantMoreOf(id, parentID string) {
	w.Helper()
	w.wantRow(id, checkpoint.Complete, "")
	c := w.wantOnce(id)
	if !c.ClosedAt.IsZero() || c.QueueID != supportQueue || c.Transfers != 1 || c.Assignment != nil {
		w.Errorf("%s is not handed over once: %+v", id, c)
	}
	if len(c.TagIDs) != 2 || c.Attributes[sandbox.OrderNumberID] != "1234" {
		w.Errorf("%s has the tags %v and the attributes %v", id, c.TagIDs, c.Attributes)
	}
	if len(c.Ratings) != 1 || !c.Ratings[0].Rated || c.Ratings[0].Value != 4 || c.Ratings[0].Comment != "Quick" || c.Ratings[0].AgentID != sandbox.DefaultAgentID {
		w.Errorf("%s has the ratings %+v", id, c.Ratings)
	}
	if len(c.Notes) != 2 || c.Notes[0].Text != "Called back" || !c.Notes[0].CreatedAt.Equal(time.Date(2026, 11, 19, 8, 12, 10, 0, time.UTC)) {
		w.Errorf("%s has the notes %+v", id, c.Notes)
	}
	if parent := w.wantOnce(parentID); c.ParentID != parent.ID {
		w.Errorf("%s is linked to %d, want %d", id, c.ParentID, parent.ID)
	}
}

// TestMore requires that each step which follows an import is done once, whatever becomes of its first request.
func TestMore(t *testing.T) {
	t.Parallel()
	cases := map[string]sandbox.Options{"without faults": {}}
	for _, op := range []sandbox.Operation{sandbox.AddTag, sandbox.OfferRating, sandbox.SubmitRating, sandbox.CreateNotes, sandbox.Transfer, sandbox.LinkConversation} {
		for _, kind := range []sandbox.FaultKind{sandbox.DropBefore, sandbox.DropAfter, sandbox.ErrorBefore, sandbox.ErrorAfter, sandbox.HTMLAfter, sandbox.HangAfter, sandbox.CutBody, sandbox.Throttle} {
			if testing.Short() && kind != sandbox.DropAfter && kind != sandbox.DropBefore {
				continue
			}
			cases[string(op)+" "+string(kind)] = faults(sandbox.Fault{Operation: op, Kind: kind, Times: 1})
		}
	}
	for name, opts := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStores(t, storesFor(name == "without faults"), func(t *testing.T, store string) {
				w := setup(t, store, opts)
				path := w.file("c.jsonl", chat("t-0", nil), more("t-1", nil))
				s, err := w.run(w.jsonl(path), func(c *importer.Config) { withTags(c); c.Workers = 1 })
				if err != nil {
					t.Fatal(err)
				}
				for range 2 { // what is left to the next run, such as a link to a chat that was imported later
					if s.Outcome == importer.OutcomeIncomplete {
						s, err = w.run(w.jsonl(path), withTags)
					}
				}
				if err != nil || s.Outcome != importer.OutcomeOK {
					t.Fatalf("%+v, %v", s, err)
				}
				w.wantMore("t-1")
				for fault := range w.api.Fired() {
					w.wantFired(fault)
				}
				before := w.requests.Load()
				w.mustRun(importer.OutcomeOK, w.jsonl(path), withTags)
				for _, r := range []sandbox.Operation{sandbox.Transfer, sandbox.OfferRating} {
					if n := w.api.Counts()[r]; n > 2 {
						t.Errorf("%s: %d requests", r, n)
					}
				}
				if n := w.requests.Load() - before; n > 4 {
					t.Errorf("a run without work made %d requests", n)
				}
			})
		})
	}
}

// TestMoreRefused requires what becomes of steps that Dixa refuses: partial errors, except that a refused transfer is tried again.
func TestMoreRefused(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{Forbidden: map[sandbox.Operation]int{sandbox.OfferRating: 404, sandbox.CreateNotes: 403}, Agents: []string{}})
	path := w.file("c.jsonl", more("t-1", fields{"tags": []string{"no such tag"}}))
	s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil)
	if s.Counts.Pending != 1 { // its parent may be imported later in this run
		t.Errorf("%+v", s.Counts)
	}
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	w.wantRow("t-1", checkpoint.Partial, "")
	var kinds []string
	for _, p := range w.partialErrors("t-1") {
		kinds = append(kinds, string(p.Kind))
	}
	if got := strings.Join(kinds, " "); got != "rating tag note link" && got != "tag rating note link" && got != "rating note tag link" {
		t.Errorf("the partial errors are %v", w.partialErrors("t-1"))
	}
	if c := w.wantOnce("t-1"); c.QueueID != supportQueue || c.Transfers != 1 {
		t.Errorf("it is not handed over: %+v", c)
	}

	w.api.Forbid(sandbox.OfferRating, 0)
	w.api.Forbid(sandbox.CreateNotes, 0)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) {
		c.Retry, c.CreateTags = &importer.Selection{Statuses: []checkpoint.Status{checkpoint.Partial}}, true
	})
	if c := w.wantOnce("t-1"); len(c.Ratings) != 1 || len(c.Notes) != 2 || len(c.TagIDs) != 1 || c.Transfers != 1 {
		t.Errorf("a retry did not do what was refused: %+v", c)
	}
	if left := w.partialErrors("t-1"); len(left) != 1 || left[0].Kind != checkpoint.KindLink {
		t.Errorf("the partial errors are %v", left)
	}
}

// TestTransferRefused requires that a chat which Dixa does not hand over stays unfinished, and is handed over later.
func TestTransferRefused(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", faults(sandbox.Fault{Operation: sandbox.Transfer, Kind: sandbox.ErrorBefore, Status: 400, Message: "Queue does not exist", Times: 1}))
	path := w.file("c.jsonl", chat("t-1", fields{"handover": true, "closed_at": nil}))
	handover := func(c *importer.Config) { c.Handover.Queue = supportQueue }
	s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), handover)
	row := w.wantRow("t-1", checkpoint.Imported, "transfer_refused")
	if s.Causes["transfer_refused"] != 1 || !strings.Contains(row.Error, "dixa-import queues") {
		t.Errorf("%+v %s", s.Causes, row.Error)
	}
	w.mustRun(importer.OutcomeOK, w.jsonl(path), handover)
	w.wantRow("t-1", checkpoint.Complete, "")
	if c := w.wantOnce("t-1"); c.Transfers != 1 || c.QueueID != supportQueue {
		t.Errorf("%+v", c)
	}
}

// TestTransferWithoutItsRecord requires that a chat is handed over even if the source no longer has it.
func TestTransferWithoutItsRecord(t *testing.T) {
	t.Parallel()
	for _, kind := range []sandbox.FaultKind{sandbox.ErrorBefore, sandbox.DropAfter} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", faults(sandbox.Fault{Operation: sandbox.Transfer, Kind: kind, Status: 503, Times: 1},
				sandbox.Fault{Operation: sandbox.GetConversation, Kind: sandbox.ErrorBefore, Status: 500, Times: 3}))
			w.mustRun(importer.OutcomeIncomplete, w.jsonl(w.file("c.jsonl", chat("t-1", fields{"handover": true}))), func(c *importer.Config) { c.Handover.Queue = "Support" })
			w.wantRow("t-1", checkpoint.Imported, "transfer_unclear")
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("d.jsonl", chat("t-2", nil))), nil)
			w.wantRow("t-1", checkpoint.Complete, "")
			if c := w.wantOnce("t-1"); c.Transfers != 1 || c.QueueID != supportQueue {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestNeverFromAnAgent requires that a conversation which an agent has taken is not transferred again after a doubt.
func TestNeverFromAnAgent(t *testing.T) {
	t.Parallel()
	const agent = "11111111-2222-4333-8444-555555555555"
	w := setup(t, "sqlite", sandbox.Options{Agents: []string{agent}, Faults: []sandbox.Fault{{Operation: sandbox.Transfer, Kind: sandbox.DropAfter, Times: 1}}})
	path := w.file("c.jsonl", chat("t-1", fields{"handover": true}))
	w.onOperation(func(op sandbox.Operation) {
		if op == sandbox.GetConversation {
			for _, c := range w.api.Conversations() {
				w.api.Assign(c.ID, agent)
			}
		}
	})
	w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) { c.Handover.Queue = "support" })
	if c := w.wantOnce("t-1"); c.Transfers != 1 || c.Assignment == nil || c.Assignment.AgentID != agent {
		t.Errorf("%+v", c)
	}
}

// TestWhenUnavailable requires each choice for a queue in which nobody is available.
func TestWhenUnavailable(t *testing.T) {
	t.Parallel()
	queues := sandbox.DefaultQueues()
	queues[0].Unavailable = true
	for choice, want := range map[importer.Unavailable]func(w *world, path string){
		importer.UnavailableQueue: func(w *world, _ string) {
			w.wantRow("t-1", checkpoint.Complete, "")
			if c := w.wantOnce("t-1"); c.Transfers != 1 {
				w.Errorf("%+v", c)
			}
		},
		importer.UnavailableWait: func(w *world, path string) {
			w.wantRow("t-1", checkpoint.Pending, "queue_unavailable")
			w.api.SetAvailability("Support", true)
			w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) {
				c.Handover = importer.Handover{Queue: "Support", WhenUnavailable: importer.UnavailableWait}
			})
			if c := w.wantOnce("t-1"); c.Transfers != 1 {
				w.Errorf("%+v", c)
			}
		},
		importer.UnavailableSkip: func(w *world, path string) {
			w.wantRow("t-1", checkpoint.Partial, "")
			if c := w.wantOnce("t-1"); c.Transfers != 0 || c.ClosedAt.IsZero() || w.partialErrors("t-1")[0].Kind != checkpoint.KindTransfer {
				w.Errorf("%+v %v", c, w.partialErrors("t-1"))
			}
			w.api.SetAvailability("Support", true)
			w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
			w.wantRow("t-1", checkpoint.Partial, "")
		},
	} {
		t.Run(string(choice), func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{Queues: queues})
			path := w.file("c.jsonl", chat("t-1", fields{"handover": true}))
			if _, err := w.run(w.jsonl(path), func(c *importer.Config) { c.Handover = importer.Handover{Queue: "Support", WhenUnavailable: choice} }); err != nil {
				t.Fatal(err)
			}
			want(w, path)
		})
	}
}

// TestUnknownQueues requires that an unknown queue is an error before anything is sent, with the names that there are.
func TestUnknownQueues(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", chat("t-1", fields{"handover": fields{"queue": "Sales"}}), chat("t-2", fields{"handover": true}))
	_, err := w.run(w.jsonl(path), func(c *importer.Config) { c.Handover.Queue = "Sals" })
	if err == nil || !strings.Contains(err.Error(), `handover.queue "Sals"`) || !strings.Contains(err.Error(), `"Complaints", "Support"`) {
		t.Errorf("%v", err)
	}
	if _, err := w.run(w.jsonl(path), func(c *importer.Config) { c.Tags = []string{"old"} }); err == nil || !strings.Contains(err.Error(), `tag "old"`) {
		t.Errorf("%v", err)
	}
	w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil)
	if row := w.wantRow("t-1", checkpoint.Failed, "queue_unknown"); !strings.Contains(row.Error, `"Complaints", "Support"`) || strings.Contains(row.Error, "Sales") {
		t.Error(row.Error)
	}
	w.wantRow("t-2", checkpoint.Failed, "queue_unknown")
	if n := len(w.api.Conversations()); n != 0 {
		t.Errorf("%d conversations", n)
	}
}
