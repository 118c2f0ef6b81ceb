package importer_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/plan"
	"dixa-import/importer/verify"
)

func withFollowUps(c *importer.Config) { c.Grown = importer.GrownFollowUp }

// longChat is a chat with n messages, one a minute, that closed after the last one.
func longChat(id string, n int, change map[string]any) string {
	record := fields{"closed_at": fmt.Sprintf("2026-11-19T08:%02d:30Z", n)}
	var messages []any
	for i := 1; i <= n; i++ {
		role := []string{"bot", "user"}[i%2]
		messages = append(messages, fields{"role": role, "text": fmt.Sprintf("%s %d", id, i), "created_at": fmt.Sprintf("2026-11-19T08:%02d:00Z", i)})
	}
	record["messages"] = messages
	for name, value := range change {
		record[name] = value
	}
	return chat(id, record)
}

// wantPart checks that a part of a chat is in Dixa once, with the messages from first to last, and linked to the first part.
func (w *world) wantPart(id string, n, first, last int) sandbox.Conversation {
	w.Helper()
	key := id
	if n > 1 {
		key = fmt.Sprintf("%s#%d", id, n)
	}
	w.wantRow(key, checkpoint.Complete, "")
	c := w.wantOnce(key)
	var want, got []string
	for i := first; i <= last; i++ {
		want = append(want, fmt.Sprintf("%s/%s:%d %s %d", testSource, key, i-first+1, id, i))
	}
	for _, m := range c.Messages {
		got = append(got, m.ExternalID+" "+m.Text)
	}
	if !slices.Equal(got, want) {
		w.Errorf("%s has the messages %q, want %q", key, got, want)
	}
	closed := time.Date(2026, 11, 19, 8, last, 30, 0, time.UTC)
	if n > 1 && !c.CreatedAt.Equal(time.Date(2026, 11, 19, 8, first, 0, 0, time.UTC)) || !c.ClosedAt.Equal(closed) {
		w.Errorf("%s lasts from %v to %v", key, c.CreatedAt, c.ClosedAt)
	}
	if parent := w.wantOnce(id); n > 1 && (c.ParentID != parent.ID || c.RequesterID != parent.RequesterID) {
		w.Errorf("%s is linked to %d and belongs to %s, want %d and %s", key, c.ParentID, c.RequesterID, parent.ID, parent.RequesterID)
	}
	return c
}

// TestGrown requires that messages which a chat gets after its import are imported once, as conversations of their own.
func TestGrown(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		lines := func(n int) []string {
			return []string{longChat("t-1", n, nil), longChat("t-2", 2, nil), longChat("t-3", n, fields{"end_user": nil})}
		}
		path := w.file("c.jsonl", lines(2)...)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)

		w.file("c.jsonl", lines(5)...)
		s := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
		if s.Changed != 2 || s.Grown != 2 || s.Counts.AlreadyDone != 3 || len(w.api.Conversations()) != 3 {
			t.Errorf("without follow-ups: %+v", s)
		}
		if p := w.mustPlan(w.jsonl(path), nil); p.Changed != 2 || p.Grown != 2 {
			t.Errorf("the plan says %+v", p)
		}
		runs, err := func() ([]checkpoint.Run, error) {
			s, done := w.inspected()
			defer done()
			return s.Runs(t.Context(), testSource, 1)
		}()
		if err != nil || runs[0].Changed != 2 || runs[0].Grown != 2 {
			t.Errorf("the run is recorded as %+v, %v", runs, err)
		}

		p := w.mustPlan(w.jsonl(path), withFollowUps)
		if p.Work.New != 2 || p.Work.FollowUps != 2 || p.Counts.Imported != 2 || p.Changed != 0 || p.People.Unknown != 0 {
			t.Errorf("the plan says %+v", p)
		}
		s = w.mustRun(importer.OutcomeOK, w.jsonl(path), withFollowUps)
		if s.Counts.Imported != 2 || s.Counts.AlreadyDone != 1 || s.Changed != 0 || s.Grown != 0 {
			t.Errorf("with follow-ups: %+v", s)
		}
		if p.Counts.Requests < s.Counts.Requests-2 || p.Counts.Requests > s.Counts.Requests+2 {
			t.Errorf("the plan estimates %d requests, the run took %d", p.Counts.Requests, s.Counts.Requests)
		}
		w.file("c.jsonl", append(lines(9), lines(9)[0])...) // the same again in one file
		s = w.mustRun(importer.OutcomeOK, w.jsonl(path), withFollowUps)
		if s.Counts.Imported != 2 || s.Counts.Duplicate != 1 {
			t.Errorf("with more follow-ups: %+v", s)
		}
		for _, id := range []string{"t-1", "t-3"} {
			w.wantPart(id, 1, 1, 2)
			w.wantPart(id, 2, 3, 5)
			w.wantPart(id, 3, 6, 9)
		}
		w.wantTotals(7, 3)
		for _, config := range []func(*importer.Config){nil, withFollowUps} {
			before := w.api.Counts()[sandbox.Import]
			s = w.mustRun(importer.OutcomeOK, w.jsonl(path), config)
			if s.Counts.AlreadyDone != 3 || s.Counts.Duplicate != 1 || s.Changed != 0 || w.api.Counts()[sandbox.Import] != before {
				t.Errorf("a run without work: %+v", s)
			}
			v, differences, err := w.verify(w.jsonl(path), verify.Options{}, config)
			if err != nil || v.Checked != 7 || v.NotHeld != 0 || len(differences) > 0 {
				t.Errorf("verify: %+v, %v, %v", v, differences, err)
			}
		}
	})
}

// TestNotGrown requires that only chats are continued to which messages were added, that closed again, and of which it is known what was sent.
func TestNotGrown(t *testing.T) {
	t.Parallel()
	edited := strings.Replace(longChat("t-1", 4, nil), "t-1 2", "t-1 two", 1)
	between := longChat("t-1", 4, nil)
	between = strings.Replace(between, "08:03:00Z", "08:01:30Z", 1)
	for name, tc := range map[string]struct {
		line  string
		sql   string
		grown int64
		open  bool
	}{
		"grown":                           {line: longChat("t-1", 4, nil), grown: 1},
		"edited":                          {line: edited},
		"a message between":               {line: between},
		"a message less":                  {line: longChat("t-1", 1, nil)},
		"other attributes":                {line: longChat("t-1", 2, fields{"attributes": fields{"order": "1"}})},
		"open again":                      {line: longChat("t-1", 4, fields{"closed_at": nil}), open: true},
		"imported by an earlier version":  {line: longChat("t-1", 4, nil), sql: "update dixa_import.transcripts set sent_messages = null"},
		"the author of a message changed": {line: strings.Replace(longChat("t-1", 4, nil), `"role":"user"`, `"role":"bot"`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			path := w.file("c.jsonl", longChat("t-1", 2, nil))
			w.mustRun(importer.OutcomeOK, w.jsonl(path), withFollowUps)
			if tc.sql != "" {
				w.sql(tc.sql)
			}
			w.file("c.jsonl", tc.line)
			s := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
			if changed := int64(1); tc.open && s.Counts.Skipped != 1 || !tc.open && s.Changed != changed || s.Grown != tc.grown {
				t.Errorf("%+v", s)
			}
			s = w.mustRun(importer.OutcomeOK, w.jsonl(path), withFollowUps)
			if s.Counts.Imported != tc.grown || int64(len(w.api.Conversations())) != 1+tc.grown {
				t.Errorf("%+v", s)
			}
			w.wantPart("t-1", 1, 1, 2)
		})
	}
}

// TestGrownAndAnotherRecordHasItsID requires that nothing is lost or mixed up if a record has the id that new messages of a chat would have.
func TestGrownAndAnotherRecordHasItsID(t *testing.T) {
	t.Parallel()
	other := longChat("t-1#2", 3, nil)
	for name, steps := range map[string][][]string{
		"the record was first":       {{longChat("t-1", 2, nil), other}, {longChat("t-1", 4, nil), other}},
		"the record was first, open": {{longChat("t-1", 2, nil), longChat("t-1#2", 3, fields{"closed_at": nil})}, {longChat("t-1", 4, nil), other}},
		"the messages were first":    {{longChat("t-1", 2, nil)}, {longChat("t-1", 4, nil)}, {longChat("t-1", 4, nil), other}},
		"at once":                    {{longChat("t-1", 2, nil)}, {longChat("t-1", 4, nil), other}},
		"at once, the record first":  {{longChat("t-1", 2, nil)}, {other, longChat("t-1", 4, nil)}},
		"a bad record":               {{longChat("t-1", 2, nil)}, {longChat("t-1", 4, nil)}, {longChat("t-1", 4, nil), longChat("t-1#2", 3, fields{"closed_at": "soon"})}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			path := ""
			for i, lines := range steps {
				path = w.file("c.jsonl", lines...)
				want := importer.OutcomeOK
				if i == len(steps)-1 {
					want = importer.OutcomeIncomplete
				}
				w.mustRun(want, w.jsonl(path), withFollowUps)
			}
			w.wantPart("t-1", 1, 1, 2)
			c := w.wantOnce("t-1#2")
			isPart := c.Messages[0].Text == "t-1 3"
			if len(c.Messages) != 3 && !isPart || (c.ParentID != 0) != isPart {
				t.Errorf("conversation is %+v", c)
			}
			if strings.Contains(name, "messages were first") && !isPart || strings.Contains(name, "record was first") && isPart {
				t.Errorf("conversation is %+v", c)
			}
			s := w.mustRun(importer.OutcomeOK, w.jsonl(path), withFollowUps)
			if s.Counts.AlreadyDone != 2 || len(w.api.Conversations()) != 2 {
				t.Errorf("the next run: %+v", s)
			}
			rejected := 0
			for line := 1; line <= 2; line++ {
				row := w.row(fmt.Sprintf("%s:%d", path, line))
				if row.Status == checkpoint.Rejected && strings.Contains(row.Error, "id") {
					rejected++
				}
			}
			if rejected != 1 {
				t.Errorf("%d records are rejected, want 1", rejected)
			}
		})
	}
}

// TestGrownWhileUnfinished requires that a chat which grows before the outcome of its import is known is finished as it was sent, and continued in
// the same run.
func TestGrownWhileUnfinished(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		arrived, withheld, imported bool
	}{"arrived": {arrived: true}, "did not arrive": {}, "arrived, without external ids": {arrived: true, withheld: true}, "lacks attributes": {imported: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEveryStore(t, func(t *testing.T, store string) {
				opts := sandbox.Options{NoExternalIDs: tc.withheld}
				if tc.imported {
					opts.Faults = []sandbox.Fault{{Operation: sandbox.PatchAttributes, Kind: sandbox.ErrorBefore, Status: 503}}
				}
				w := setup(t, store, opts)
				if tc.withheld {
					w.setFacts(checkpoint.IDsWithheld, 0)
				}
				config := func(c *importer.Config) { withFollowUps(c); withOrders(c) }
				attributes := fields{"attributes": fields{"order": "1234"}, "rating": fields{"type": "csat", "value": 4}}
				path := w.file("c.jsonl", longChat("t-1", 2, attributes))
				if tc.imported {
					w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), config)
					w.wantRow("t-1", checkpoint.Imported, "attributes_unset")
					w.api.SetFaults(nil)
				} else {
					leaveSending(w, path, tc.arrived)
				}
				w.file("c.jsonl", longChat("t-1", 4, attributes))
				s := w.mustRun(importer.OutcomeOK, w.jsonl(path), config)
				if !tc.arrived && !tc.imported {
					w.wantPart("t-1", 1, 1, 4)
					return
				}
				if s.Counts.Read != 2 || s.Counts.Imported != 2 || s.Changed != 0 {
					t.Errorf("counts are %+v", s)
				}
				first := w.wantPart("t-1", 1, 1, 2)
				second := w.wantPart("t-1", 2, 3, 4)
				if len(first.Ratings)+len(second.Ratings) != 1 || first.Attributes[sandbox.OrderNumberID] != "1234" || second.Attributes[sandbox.OrderNumberID] != "1234" {
					t.Errorf("the conversations are %+v and %+v", first, second)
				}
			})
		})
	}
}

// TestGrownInDoubt requires that new messages of which it is unclear whether they arrived are looked for, and sent again only if they are not there.
func TestGrownInDoubt(t *testing.T) {
	t.Parallel()
	for _, arrived := range []bool{false, true} {
		t.Run(fmt.Sprint("arrived ", arrived), func(t *testing.T) {
			t.Parallel()
			onEveryStore(t, func(t *testing.T, store string) {
				w := setup(t, store, sandbox.Options{})
				path := w.file("c.jsonl", longChat("t-1", 2, nil))
				w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
				w.file("c.jsonl", longChat("t-1", 4, nil))
				w.api.SetFaults([]sandbox.Fault{lostAnswer(arrived)})
				w.api.Forbid(sandbox.ListConversations, 403)
				w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), withFollowUps)
				w.wantFired("import:" + string(lostAnswer(arrived).Kind))
				w.wantRow("t-1#2", checkpoint.InDoubt, "unreadable")
				w.api.Forbid(sandbox.ListConversations, 0)
				w.file("c.jsonl", longChat("t-1", 6, nil)) // it goes on
				w.mustRun(importer.OutcomeOK, w.jsonl(path), withFollowUps)
				w.wantRow("t-1#2", checkpoint.InDoubt, "unreadable")
				w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{IDs: []string{"t-1#2"}}, withFollowUps))
				w.wantPart("t-1", 1, 1, 2)
				if arrived {
					w.wantPart("t-1", 2, 3, 4)
					w.wantPart("t-1", 3, 5, 6)
					w.wantTotals(3, 1)
				} else {
					w.wantPart("t-1", 2, 3, 6)
					w.wantTotals(2, 1)
				}
			})
		})
	}
}

// TestGrownWithMore requires that a rating and notes are not repeated with new messages, and that a chat which asks for it is handed over again.
func TestGrownWithMore(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	config := func(c *importer.Config) { withFollowUps(c); withTags(c) }
	first := fields{"tags": []string{"refund"}, "rating": fields{"type": "csat", "value": 4}, "notes": []string{"one", "two"}}
	path := w.file("c.jsonl", longChat("t-1", 2, first), longChat("t-2", 2, nil))
	w.mustRun(importer.OutcomeOK, w.jsonl(path), config)
	first["notes"], first["handover"] = []string{"one", "two", "three"}, fields{"queue": "Support"}
	w.file("c.jsonl", longChat("t-1", 4, first), longChat("t-2", 4, first))
	w.mustRun(importer.OutcomeOK, w.jsonl(path), config)
	old, c, other := w.wantOnce("t-1"), w.wantOnce("t-1#2"), w.wantOnce("t-2#2")
	if len(old.Ratings) != 1 || len(old.Notes) != 2 || old.Transfers != 0 || len(old.TagIDs) != 2 {
		t.Errorf("the first conversation is %+v", old)
	}
	if len(c.Ratings) != 0 || len(c.Notes) != 1 || c.Notes[0].Text != "three" || c.Transfers != 1 || c.QueueID != supportQueue || len(c.TagIDs) != 2 || c.ParentID != old.ID {
		t.Errorf("the second conversation is %+v", c)
	}
	if len(other.Ratings) != 1 || len(other.Notes) != 3 || other.Transfers != 1 {
		t.Errorf("the conversation whose first one had neither is %+v", other)
	}
	first["notes"] = []string{"one", "two", "three", "four"}
	w.file("c.jsonl", longChat("t-1", 5, first))
	w.mustRun(importer.OutcomeOK, w.jsonl(path), config)
	if third := w.wantOnce("t-1#3"); len(third.Notes) != 1 || third.Notes[0].Text != "four" || len(third.Ratings) != 0 || third.ParentID != old.ID {
		t.Errorf("the third conversation is %+v", third)
	}
}

// TestGrownIsFetchedByID requires that whatever names new messages by their id gets them, with a source that is read from a watermark, too.
func TestGrownIsFetchedByID(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		url, db := botDatabase(t, 60)
		config := func(c *importer.Config) { withOrders(c); withFollowUps(c); c.Overlap = time.Hour }
		w.mustRun(importer.OutcomeOK, w.postgres(url), config)
		grow := func(closed string) {
			exec(t, db, `insert into messages (session_id, sender, body, sent_at) select 7, 'user', 'more', '2026-10-02Z'`)
			exec(t, db, `insert into messages (session_id, sender, body, sent_at) select 8, 'user', 'more', '2026-10-02Z'`)
			exec(t, db, `update sessions set ended_at = '`+closed+`'::timestamptz where id in (7, 8)`)
		}
		grow("2026-10-02Z")
		w.api.SetFaults([]sandbox.Fault{{Operation: sandbox.Import, Kind: sandbox.ErrorBefore, Status: 422, Match: func(body []byte) bool { return bytes.Contains(body, []byte("bot/7#2:")) }}})
		s := w.mustRun(importer.OutcomeIncomplete, w.postgres(url), config)
		if s.Counts.Imported != 1 || s.Counts.Failed != 1 {
			t.Errorf("%+v", s)
		}
		w.wantRow("7#2", checkpoint.Failed, "refused")
		w.api.SetFaults(nil)
		// The watermark passes both.
		addSessions(t, db, 6001, 6003)
		w.mustRun(importer.OutcomeOK, w.postgres(url), config)
		w.mustRun(importer.OutcomeOK, w.postgres(url), retrying(importer.Selection{}, config))
		for _, id := range []string{"7", "8"} {
			if first, second := w.wantOnce(id), w.wantOnce(id+"#2"); len(first.Messages) != 5 || len(second.Messages) != 1 || second.Messages[0].Text != "more" ||
				second.ParentID != first.ID || second.RequesterID != first.RequesterID || second.Attributes[sandbox.OrderNumberID] != "o-"+id {
				t.Errorf("%s: %+v and %+v", id, first, second)
			}
			w.wantRow(id+"#2", checkpoint.Complete, "")
		}
		v, differences, err := w.verify(w.postgres(url), verify.Options{}, config)
		if err != nil || len(differences) > 0 || v.NotHeld > 0 {
			t.Errorf("verify: %+v, %v, %v", v, differences, err)
		}
		grow("2026-10-02 01:00Z")
		st := w.open()
		cfg := importer.Config{Source: testSource, Reader: w.postgres(url), Store: st, AgentID: sandbox.DefaultAgentID, Grown: importer.GrownFollowUp}
		e, err := plan.Explain(t.Context(), cfg, "7")
		if err != nil || e.Next != plan.NextFollowsUp || e.FollowUp != "7#3" || len(e.FollowUps) != 1 || len(e.Request.Messages) != 5 {
			t.Errorf("explain 7: %+v, %v", e, err)
		}
		e, err = plan.Explain(t.Context(), cfg, "7#2")
		if err != nil || e.Next != plan.NextIgnores || e.Request == nil || len(e.Request.Messages) != 1 || e.Request.ExternalID != "bot/7#2" {
			t.Errorf("explain 7#2: %+v, %v", e, err)
		}
	})
}
