package importer_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/verify"
)

// uniqueChat returns a chat whose texts and time no other chat has.
func uniqueChat(id, customer string, minute int) string {
	at := func(second int) string { return fmt.Sprintf("2026-11-19T08:%02d:%02dZ", minute, second) }
	return chat(id, fields{"created_at": at(0), "closed_at": at(30), "end_user": fields{"external_id": customer}, "messages": []any{
		fields{"role": "user", "text": "I am asking for " + id, "created_at": at(1)},
		fields{"role": "bot", "text": "This is **" + id + "**.", "format": "markdown", "created_at": at(3)}}})
}

// addSimilar adds a conversation like c to Dixa, with the change, and returns its id.
func (w *world) addSimilar(c sandbox.Conversation, change func(*sandbox.Conversation)) int64 {
	c.ID, c.ExternalID = 0, ""
	messages := c.Messages
	c.Messages = nil
	for _, m := range messages {
		m.ID, m.ExternalID = "", ""
		c.Messages = append(c.Messages, m)
	}
	if change != nil {
		change(&c)
	}
	return w.api.AddConversation(c)
}

// shifted returns a change that moves a conversation and its messages in time.
func shifted(d time.Duration) func(*sandbox.Conversation) {
	return func(c *sandbox.Conversation) {
		c.CreatedAt = c.CreatedAt.Add(d)
		for i := range c.Messages {
			c.Messages[i].CreatedAt = c.Messages[i].CreatedAt.Add(d)
		}
	}
}

// TestDoubtsWithoutExternalIDs requires that the content decides, and a person if it is not conclusive. The conversation of transcript t-1
// is in Dixa or not; the other conversations vary.
func TestDoubtsWithoutExternalIDs(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	type doubted struct {
		*world
		lines   []string
		arrived sandbox.Conversation // as it is or would be in Dixa
	}
	for _, tc := range []struct {
		name    string
		arrived bool
		opts    sandbox.Options
		arrange func(*doubted)
		status  checkpoint.Status
		code    string
		sent    int // imports
		says    string
	}{
		{name: "it arrived", arrived: true, status: checkpoint.Complete, sent: 1},
		{name: "it did not", status: checkpoint.Complete, sent: 2},
		{name: "it arrived, and its messages lag", arrived: true, opts: sandbox.Options{MessageLag: 900 * time.Millisecond},
			status: checkpoint.Complete, sent: 1},
		{name: "it arrived, and the list lags", arrived: true, opts: sandbox.Options{ListLag: 850 * time.Millisecond}, status: checkpoint.Complete, sent: 1},
		{name: "it arrived, beside chats at other times", arrived: true, status: checkpoint.Complete, sent: 1, arrange: func(d *doubted) {
			d.addSimilar(d.arrived, shifted(time.Hour))
			d.addSimilar(d.arrived, shifted(-time.Minute))
		}},
		{name: "it did not, beside chats at other times", status: checkpoint.Complete, sent: 2, arrange: func(d *doubted) {
			d.addSimilar(d.arrived, shifted(time.Hour))
			d.addSimilar(d.arrived, shifted(-time.Minute))
		}},
		{name: "another chat began at the same time, about something else", status: checkpoint.Complete, sent: 2, arrange: func(d *doubted) {
			d.addSimilar(d.arrived, func(c *sandbox.Conversation) {
				c.Messages = c.Messages[:1]
				c.Messages[0].Text, c.Messages[0].CreatedAt = "Hello", c.CreatedAt.Add(time.Minute)
			})
		}},
		{name: "external ids of another system", status: checkpoint.Complete, sent: 2, arrange: func(d *doubted) {
			d.addSimilar(d.arrived, func(c *sandbox.Conversation) {
				for i := range c.Messages {
					c.Messages[i].ExternalID, c.Messages[i].Type = fmt.Sprint("zendesk-", i), "OtherAttributes"
				}
			})
		}},
		{name: "there are two", arrived: true, status: checkpoint.InDoubt, code: "ambiguous", sent: 1, says: "both have the content", arrange: func(d *doubted) { d.addSimilar(d.arrived, nil) }},
		{name: "a text differs a little", status: checkpoint.InDoubt, code: "ambiguous", sent: 1, says: "resembles this transcript", arrange: func(d *doubted) {
			d.addSimilar(d.arrived, func(c *sandbox.Conversation) { c.Messages[1].Text = "This is <b>t-1</b>." })
		}},
		{name: "a message is missing", status: checkpoint.InDoubt, code: "ambiguous", sent: 1, arrange: func(d *doubted) {
			d.addSimilar(d.arrived, func(c *sandbox.Conversation) { c.Messages = c.Messages[:1] })
		}},
		{name: "times are rounded", status: checkpoint.InDoubt, code: "ambiguous", sent: 1, arrange: func(d *doubted) { d.addSimilar(d.arrived, shifted(-300*time.Millisecond)) }},
		{name: "the conversation has another time", status: checkpoint.InDoubt, code: "ambiguous", sent: 1, arrange: func(d *doubted) {
			d.addSimilar(d.arrived, func(c *sandbox.Conversation) { c.CreatedAt = c.CreatedAt.Add(24 * time.Hour) })
		}},
		{name: "an agent wrote in it", arrived: true, status: checkpoint.InDoubt, code: "ambiguous", sent: 1, arrange: func(d *doubted) {
			d.api.DeleteConversation(d.arrived.ID)
			d.addSimilar(d.arrived, func(c *sandbox.Conversation) {
				c.Messages = append(c.Messages, sandbox.Message{Text: "Hi", CreatedAt: time.Now()})
			})
		}},
		{name: "the record was edited", arrived: true, status: checkpoint.InDoubt, code: "ambiguous", sent: 1, says: "cannot be compared", arrange: func(d *doubted) {
			d.lines[0] = uniqueChat("t-1", "c-1", 9)
		}},
		{name: "the record has another spelling", arrived: true, status: checkpoint.Complete, sent: 1, arrange: func(d *doubted) {
			d.lines[0] = strings.Replace(d.lines[0], "{", "{ ", 1)
		}},
		{name: "the record is gone", arrived: true, status: checkpoint.InDoubt, code: "ambiguous", sent: 1, arrange: func(d *doubted) { d.lines = d.lines[1:] }},
		{name: "the record is gone and it did not arrive", status: checkpoint.Failed, code: "source_missing", sent: 1, arrange: func(d *doubted) { d.lines = d.lines[1:] }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.opts.NoExternalIDs = true
			d := &doubted{world: setup(t, "sqlite", tc.opts), lines: []string{uniqueChat("t-1", "c-1", 0), uniqueChat("t-2", "c-2", 1)}}
			leaveSending(d.world, d.file("c.jsonl", d.lines[0]), tc.arrived)
			d.arrived = sandbox.Conversation{RequesterID: d.row("t-1").EndUserID, CreatedAt: time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC)}
			d.arrived.Messages = []sandbox.Message{{Text: "I am asking for t-1", CreatedAt: d.arrived.CreatedAt.Add(time.Second)},
				{Text: "This is **t-1**.", Direction: "Outbound", CreatedAt: d.arrived.CreatedAt.Add(3 * time.Second)}}
			if tc.arrived {
				d.arrived = d.wantOnce("t-1")
			}
			if tc.arrange != nil {
				tc.arrange(d)
			}
			want := importer.OutcomeOK
			if tc.code != "" {
				want = importer.OutcomeIncomplete
			}
			d.mustRun(want, d.jsonl(d.file("c.jsonl", d.lines...)), nil)
			row := d.wantRow("t-1", tc.status, tc.code)
			if n := len(d.api.ConversationsByExternalID("bot/t-1")); tc.status == checkpoint.Complete && n != 1 {
				t.Errorf("there are %d conversations", n)
			}
			if !strings.Contains(row.Error, tc.says) || strings.Contains(row.Error, "dixa-import") {
				t.Errorf("the reason is %q", row.Error)
			}
			d.wantRow("t-2", checkpoint.Complete, "")
			imports := 0
			for _, r := range d.api.Conversations() {
				if r.ExternalID == "bot/t-2" {
					imports--
				}
			}
			if imports += d.api.Counts()[sandbox.Import]; imports != tc.sent {
				t.Errorf("%d imports were sent, want %d", imports, tc.sent)
			}
		})
	}
}

// TestDoubtsAboutIdenticalTranscripts has two transcripts of one customer that their content does not distinguish.
func TestDoubtsAboutIdenticalTranscripts(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	for _, tc := range []struct {
		name    string
		arrived []bool // of t-0, t-1 and so on
		want    []checkpoint.Status
		between func(*world)
	}{
		{name: "one of two arrived", arrived: []bool{true, false}, want: []checkpoint.Status{checkpoint.InDoubt, checkpoint.InDoubt}},
		{name: "both arrived", arrived: []bool{true, true}, want: []checkpoint.Status{checkpoint.InDoubt, checkpoint.InDoubt}},
		{name: "none arrived", arrived: []bool{false, false}, want: []checkpoint.Status{checkpoint.Complete, checkpoint.Complete}},
		{name: "the other one is in the checkpoint", arrived: []bool{true}, want: []checkpoint.Status{checkpoint.Complete, checkpoint.Complete}},
		{name: "the record of the other is gone", arrived: []bool{true, false}, want: []checkpoint.Status{checkpoint.InDoubt, checkpoint.InDoubt},
			between: func(w *world) { w.file("c.jsonl", twin(0)) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{NoExternalIDs: true})
			var lines []string
			for i := range tc.want {
				lines = append(lines, twin(i))
			}
			var doubts, others []string
			var faults []sandbox.Fault
			for i, line := range lines {
				if i >= len(tc.arrived) {
					others = append(others, line)
					continue
				}
				doubts = append(doubts, line)
				f := lostAnswer(tc.arrived[i])
				part := fmt.Sprintf(`"bot/t-%d:1"`, i)
				f.Match = func(body []byte) bool { return strings.Contains(string(body), part) }
				faults = append(faults, f)
			}
			if len(others) > 0 {
				w.mustRun(importer.OutcomeOK, w.jsonl(w.file("others.jsonl", others...)), nil)
			}
			w.api.SetFaults(faults)
			store := w.open()
			im := w.importer(w.jsonl(w.file("c.jsonl", doubts...)), func(c *importer.Config) { c.Store = store })
			var imports atomic.Int64
			w.onOperation(func(op sandbox.Operation) {
				if op == sandbox.Import && imports.Add(1) == int64(len(doubts)) {
					im.Stop("test")
				}
			})
			if s, err := im.Run(t.Context()); err != nil || s.Outcome != importer.OutcomeStopped {
				t.Fatalf("%+v, %v", s, err)
			}
			_ = store.Close()
			w.onOperation(nil)
			w.api.SetFaults(nil)
			path := w.file("c.jsonl", doubts...)
			if tc.between != nil {
				tc.between(w)
			}
			if _, err := w.run(w.jsonl(path), nil); err != nil {
				t.Fatal(err)
			}
			for i, want := range tc.want {
				row := w.row(fmt.Sprintf("t-%d", i))
				if n := len(w.api.ConversationsByExternalID(fmt.Sprintf("bot/t-%d", i))); row.Status != want || n > 1 || n == 0 && want == checkpoint.Complete {
					t.Errorf("t-%d is %s (%s) with %d conversations", i, row.Status, row.Error, n)
				}
			}
		})
	}
}

// twin returns one of several chats of one customer that differ only in their ids.
func twin(i int) string {
	return strings.Replace(uniqueChat("t-x", "c-1", 0), `"id":"t-x"`, fmt.Sprintf(`"id":"t-%d"`, i), 1)
}

// TestListLagLongerThanSettle requires that a transcript which the list does not show yet is not sent again, and that one which never
// arrived is.
func TestListLagLongerThanSettle(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		for _, withheld := range []bool{true, false} {
			for name, faults := range map[string][]sandbox.Fault{
				"arrived":          {{Operation: sandbox.Import, Kind: sandbox.DropAfter, Nth: 5}, {Operation: sandbox.Import, Kind: sandbox.ErrorAfter, Status: 502, Nth: 9}},
				"did not arrive":   {{Operation: sandbox.Import, Kind: sandbox.DropBefore, Nth: 1}, {Operation: sandbox.Import, Kind: sandbox.ErrorBefore, Status: 504, Nth: 7}},
				"the last arrived": {{Operation: sandbox.Import, Kind: sandbox.DropAfter, Nth: 20}},
			} {
				t.Run(fmt.Sprint(name, withheld), func(t *testing.T) {
					t.Parallel()
					// The searches 700 ms and 760 ms after the import see nothing in the list.
					w := setup(t, store, sandbox.Options{NoExternalIDs: withheld, ListLag: 1500 * time.Millisecond, Faults: faults})
					var lines []string
					for i := range 20 {
						lines = append(lines, uniqueChat(fmt.Sprint("t-", i), fmt.Sprint("c-", i%3), i))
					}
					s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", lines...)), nil)
					if n := len(w.api.Conversations()); n != 20 || len(w.api.Duplicates()) != 0 || s.Counts.Imported != 20 {
						t.Errorf("%d conversations, duplicates %v, %+v", n, w.api.Duplicates(), s.Counts)
					}
					if log := w.logs.String(); strings.Count(log, "lists lag") == 0 || !strings.Contains(log, "take_about") {
						t.Error("the log does not report it")
					}
				})
			}
		}
	})
}

// TestFactsAreLearned requires that facts are found out once for an organisation, kept for later runs, and corrected by what those see.
func TestFactsAreLearned(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{NoExternalIDs: true, ListLag: 20 * time.Millisecond, MessageLag: 10 * time.Millisecond})
		n := 0
		run := func(change func(*importer.Config)) {
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", uniqueChat(fmt.Sprint("t-", n), "c-1", n))), change)
			n++
		}
		facts := func() checkpoint.Facts {
			s := w.open()
			defer func() { _ = s.Close() }()
			f, err := s.Facts(t.Context(), checkpoint.Binding{BaseURL: w.http.URL, Organisation: sandbox.DefaultOrganizationID})
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		run(func(c *importer.Config) { c.Settle = 10 * time.Second }) // so that there is time for it
		f := facts()
		if f.ExternalIDs != checkpoint.IDsWithheld || f.ListLag == nil || *f.ListLag < 5*time.Millisecond || *f.ListLag > 2*time.Second {
			t.Fatalf("facts are %+v", f)
		}
		before := w.api.Counts()
		run(nil)
		counts := w.api.Counts()
		if counts[sandbox.ListMessages] != before[sandbox.ListMessages] || counts[sandbox.ListConversations] != before[sandbox.ListConversations] {
			t.Errorf("known facts were checked again: %v, then %v", before, counts)
		}
		w.api.WithholdExternalIDs(false) // Dixa starts to return them
		w.api.SetFaults([]sandbox.Fault{lostAnswer(true)})
		run(nil)
		if f := facts(); f.ExternalIDs != checkpoint.IDsReturned {
			t.Errorf("facts are %+v", f)
		}
		w.api.WithholdExternalIDs(true) // and stops
		w.api.SetFaults([]sandbox.Fault{lostAnswer(true)})
		run(nil)
		if f := facts(); f.ExternalIDs != checkpoint.IDsWithheld {
			t.Errorf("facts are %+v", f)
		}
		for i := range n {
			w.wantOnce(fmt.Sprint("t-", i))
			w.wantRow(fmt.Sprint("t-", i), checkpoint.Complete, "")
		}
	})
}

// TestRunCompletesWithoutFacts has a token that may not read what the facts require.
func TestRunCompletesWithoutFacts(t *testing.T) {
	t.Parallel()
	for _, op := range []sandbox.Operation{sandbox.ListConversations, sandbox.ListMessages} {
		for _, after := range []bool{true, false} {
			t.Run(fmt.Sprint(op, after), func(t *testing.T) {
				t.Parallel()
				w := setup(t, "sqlite", sandbox.Options{NoExternalIDs: true, Forbidden: map[sandbox.Operation]int{op: 403}, Faults: []sandbox.Fault{lostAnswer(after)}})
				s, err := w.run(w.jsonl(w.file("c.jsonl", uniqueChat("t-0", "c-0", 0), uniqueChat("t-1", "c-1", 1), uniqueChat("t-2", "c-2", 2))), nil)
				unreadable := int64(1)
				if op == sandbox.ListMessages && !after { // no candidate
					unreadable = 0
				}
				if err != nil || s.Counts.InDoubt != unreadable || s.Causes["unreadable"] != unreadable || len(w.api.Duplicates()) != 0 || len(w.api.Conversations()) < 2 {
					t.Errorf("%+v, %v, %v", s, err, w.api.Duplicates())
				}
			})
		}
	}
}

// TestReconcileWithoutExternalIDs requires that the content shows what is in Dixa after the checkpoint was lost.
func TestReconcileWithoutExternalIDs(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{NoExternalIDs: true, ListLag: 20 * time.Millisecond})
		var lines []string
		for i := range 30 {
			lines = append(lines, uniqueChat(fmt.Sprint("t-", i), fmt.Sprint("c-", i%4), i))
		}
		twins := []string{twin(100), twin(101)} // both are there
		w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", append(lines, twins...)...)), nil)
		w.url = setup(t, store, sandbox.Options{}).url // an empty checkpoint
		lines[3] = uniqueChat("t-3", "c-3", 3) + " "
		lines[4] = strings.Replace(lines[4], "I am asking for t-4", "I was asking for t-4", 1) // edited since
		lines = append(lines, uniqueChat("new", "c-0", 40))
		s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(w.file("c.jsonl", append(lines, twins...)...)), func(c *importer.Config) { c.Reconcile = true })
		if len(w.api.Conversations()) != 33 || len(w.api.Duplicates()) != 0 || s.Counts.Imported != 30 || s.Counts.InDoubt != 3 {
			t.Errorf("%d conversations, %d duplicates, %+v", len(w.api.Conversations()), len(w.api.Duplicates()), s.Counts)
		}
		for _, id := range []string{"t-4", "t-100", "t-101"} {
			w.wantRow(id, checkpoint.InDoubt, "ambiguous")
		}
		w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", append(lines, twins...)...)), nil) // a person decides
		if len(w.api.Conversations()) != 33 {
			t.Errorf("%d conversations", len(w.api.Conversations()))
		}
	})
}

// TestReconcileChatsOfOneCustomer requires that a conversation with the whole content of a transcript is that transcript, although others
// of the same customer and time resemble it: trial chats, times rounded to days, repeated texts.
func TestReconcileChatsOfOneCustomer(t *testing.T) {
	t.Parallel()
	at := func(id string, texts ...string) string {
		var messages []any
		for i, text := range texts {
			messages = append(messages, fields{"role": []string{"user", "bot"}[i%2], "text": text, "created_at": fmt.Sprintf("2026-11-19T08:00:%02dZ", i+1)})
		}
		return chat(id, fields{"end_user": fields{"external_id": "c-1"}, "messages": messages})
	}
	for name, lines := range map[string][]string{
		"other texts at the same times":   {at("t-0", "alpha", "one"), at("t-1", "beta", "two"), at("t-2", "gamma", "three")},
		"one text in common":              {at("t-0", "Hello", "one"), at("t-1", "Hello", "two"), at("t-2", "Hello", "three")},
		"one is the beginning of another": {at("t-0", "Hello"), at("t-1", "Hello", "How can I help?"), at("t-2", "Hello", "How can I help?", "Thanks")},
		"the same words in another case":  {at("t-0", "Hello!", "one"), at("t-1", "hello", "one"), at("t-2", "HELLO?", "one")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{NoExternalIDs: true})
			path := w.file("c.jsonl", append(lines, at("t-8", "the", "same"), at("t-9", "the", "same"))...)
			w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
			w.loseCheckpoint()
			s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), func(c *importer.Config) { c.Reconcile = true })
			if s.Counts.Imported != 3 || s.Counts.InDoubt != 2 || len(w.api.Conversations()) != 5 {
				t.Errorf("%d conversations; counts %+v", len(w.api.Conversations()), s.Counts)
			}
			for _, id := range []string{"t-0", "t-1", "t-2"} {
				if row := w.wantRow(id, checkpoint.Complete, ""); row.ConversationID != w.wantOnce(id).ID {
					t.Errorf("%s has the conversation of another transcript", id)
				}
			}
		})
	}
}

// TestReconcileOneOfTwoIdenticalTranscripts has one of two in Dixa before the checkpoint is lost. It cannot be known which one, and neither
// may be doubled.
func TestReconcileOneOfTwoIdenticalTranscripts(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{NoExternalIDs: true})
	w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", twin(0))), nil)
	w.loseCheckpoint()
	s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(w.file("c.jsonl", twin(0), twin(1), uniqueChat("new", "c-1", 30))), func(c *importer.Config) { c.Reconcile = true })
	if len(w.api.Conversations()) != 2 || s.Counts.InDoubt != 1 || s.Counts.Imported != 2 {
		t.Errorf("%d conversations, %+v", len(w.api.Conversations()), s.Counts)
	}
}

// TestVerifyWithoutExternalIDs requires that messages are matched by content.
func TestVerifyWithoutExternalIDs(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{NoExternalIDs: true})
	var lines []string
	for i := range 6 {
		lines = append(lines, uniqueChat(fmt.Sprint("t-", i), "c-1", i))
	}
	path := w.file("c.jsonl", lines...)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	plain := func(c *importer.Config) { c.Attributes = nil }
	if s, got, err := w.verify(w.jsonl(path), verify.Options{}, plain); err != nil || s.Outcome != importer.OutcomeOK || s.Checked != 6 || got != nil {
		t.Fatalf("right after the import: %+v, %v, %v", s, got, err)
	}
	id := func(n int) int64 { return w.wantOnce(fmt.Sprint("t-", n)).ID }
	w.api.SwapTexts(id(1), 0, 1)
	w.api.DeleteMessage(id(2), "bot/t-2:1")
	w.api.SetText(id(3), 1, "Something else")
	extra := w.wantOnce("t-4")
	w.api.DeleteConversation(extra.ID)
	extra.Messages = append(extra.Messages, sandbox.Message{Type: "GenericAttributes", Text: "Hello?", CreatedAt: time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)})
	w.api.AddConversation(extra)
	w.api.DeleteMessage(id(5), "bot/t-5:2")
	_, got, err := w.verify(w.jsonl(path), verify.Options{}, plain)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, got, "t-1 text bot/t-1:1", "t-1 text bot/t-1:2", "t-2 message_missing bot/t-2:1", "t-3 text bot/t-3:2", "t-4 message_extra ",
		"t-5 message_missing bot/t-5:2")
}

// TestLookUpLagDoublesNoEndUser requires that no end-user is created twice while look-ups do not show new ones.
func TestLookUpLagDoublesNoEndUser(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	for _, kind := range []sandbox.FaultKind{sandbox.DropAfter, sandbox.ErrorAfter, sandbox.DropBefore} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{EndUserLag: time.Second,
				Faults: []sandbox.Fault{{Operation: sandbox.CreateEndUser, Kind: kind, Times: 1}, {Operation: sandbox.CreateEndUsers, Kind: kind, Times: 1}}})
			w.setFacts(checkpoint.IDsReturned, 1100*time.Millisecond)
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", uniqueChat("t-1", "c-1", 1))), nil)
			if n := len(w.api.EndUsers()); n != 1 {
				t.Errorf("there are %d end-users", n)
			}
		})
	}
}

// TestEmptyListsProveNothing requires that nothing is sent again because of them.
func TestEmptyListsProveNothing(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{true, false} {
		w := setup(t, "sqlite", sandbox.Options{ListLag: time.Hour, Faults: []sandbox.Fault{lostAnswer(after)}})
		s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(w.file("c.jsonl", uniqueChat("t-0", "c-0", 0), uniqueChat("t-1", "c-1", 1), uniqueChat("t-2", "c-2", 2))),
			func(c *importer.Config) { c.LearnPatience = 500 * time.Millisecond })
		if s.Counts.InDoubt != 1 || s.Causes["look_failed"] != 1 || len(w.api.Duplicates()) != 0 || w.api.Counts()[sandbox.Import] != 3 {
			t.Errorf("%+v, %v", s, w.api.Counts())
		}
	}
}

// TestDoubtsOfKilledRun has a killed run that could have learnt facts, and a next run with only a transcript in doubt. The earlier imports
// must show it how long lists lag.
func TestDoubtsOfKilledRun(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{NoExternalIDs: true, ListLag: 2500 * time.Millisecond,
			Faults: []sandbox.Fault{{Operation: sandbox.Import, Kind: sandbox.DropAfter, Nth: 6}}})
		var lines []string
		for i := range 6 {
			lines = append(lines, uniqueChat(fmt.Sprint("t-", i), fmt.Sprint("c-", i%2), i))
		}
		path := w.file("c.jsonl", lines...)
		var imports atomic.Int64
		ctx, kill := context.WithCancel(t.Context())
		im := w.importer(w.jsonl(path), func(c *importer.Config) { c.Workers = 1 })
		w.onOperation(func(op sandbox.Operation) {
			if op == sandbox.Import && imports.Add(1) == 6 {
				kill()
			}
		})
		if s, err := im.Run(ctx); err != nil || s.Counts.Imported != 5 {
			t.Fatalf("%+v, %v", s, err)
		}
		w.onOperation(nil)
		w.expireLeases()
		w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
		for i := range lines {
			w.wantOnce(fmt.Sprint("t-", i))
			w.wantRow(fmt.Sprint("t-", i), checkpoint.Complete, "")
		}
	})
}

// TestDoubtWithoutFacts requires that a run does not wait for facts if no other transcript can provide them.
func TestDoubtWithoutFacts(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{true, false} {
		w := setup(t, "sqlite", sandbox.Options{NoExternalIDs: true, Faults: []sandbox.Fault{lostAnswer(after)}})
		s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", uniqueChat("t-0", "c-0", 0))), func(c *importer.Config) { c.LearnPatience = time.Hour })
		if w.wantOnce("t-0"); s.Duration > time.Minute {
			t.Errorf("it took %v", s.Duration)
		}
	}
}

// TestStopEndsTheWaitForFacts requires that a stopped run does not wait for lists.
func TestStopEndsTheWaitForFacts(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{ListLag: time.Hour, Faults: []sandbox.Fault{lostAnswer(true)}})
	im := w.importer(w.jsonl(w.file("c.jsonl", uniqueChat("t-0", "c-0", 0), uniqueChat("t-1", "c-1", 1))), func(c *importer.Config) { c.Settle, c.LearnPatience = time.Hour, time.Hour })
	stop := sync.OnceFunc(func() { im.Stop("test") })
	var lists atomic.Int64
	w.onOperation(func(op sandbox.Operation) {
		if op == sandbox.ListConversations && lists.Add(1) == 2 { // by the follower and by the doubt
			stop()
		}
	})
	s, err := im.Run(t.Context())
	if err != nil || s.Outcome != importer.OutcomeStopped || s.Counts.Pending != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if a, b := w.row("t-0").Status, w.row("t-1").Status; (a == checkpoint.Sending) == (b == checkpoint.Sending) {
		t.Errorf("t-0 is %s, t-1 is %s", a, b)
	}
}
