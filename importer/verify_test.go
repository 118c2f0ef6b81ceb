package importer_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/verify"
	"dixa-import/source"
)

// verify runs a comparison and returns the differences as lines.
func (w *world) verify(reader source.Reader, opts verify.Options, change func(*importer.Config)) (verify.Verification, []string, error) {
	w.Helper()
	var lines []string
	report := opts.Report
	opts.Report = func(d verify.Differing) {
		for _, x := range d.Differences {
			lines = append(lines, fmt.Sprintf("%s %s %s%s", d.ID, x.Kind, x.Message, x.Attribute))
		}
		if report != nil {
			report(d)
		}
	}
	store := w.open()
	defer func() { _ = store.Close() }()
	cfg := importer.Config{Source: testSource, Reader: reader, Store: store, API: w.client(nil), BaseURL: w.http.URL,
		AgentID: sandbox.DefaultAgentID, Region: "DK", Workers: 4, Attributes: orderNumber}
	if change != nil {
		change(&cfg)
	}
	v, err := verify.New(cfg, opts)
	if err != nil {
		w.Fatal(err)
	}
	s, err := v.Run(context.Background())
	return s, lines, err
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("differences are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// orders returns n transcripts with an attribute.
func orders(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = chat(fmt.Sprintf("t-%03d", i), fields{"attributes": fields{"order": fmt.Sprint(i)},
			"end_user": fields{"external_id": fmt.Sprintf("c-%d", i%7)}})
	}
	return lines
}

func TestVerifyFindsDifferences(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		path := w.file("c.jsonl", orders(20)...)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
		if s, lines, err := w.verify(w.jsonl(path), verify.Options{}, nil); err != nil || s.Outcome != importer.OutcomeOK || s.Checked != 20 || lines != nil {
			t.Fatalf("right after the import: %+v, %v, %v", s, lines, err)
		}
		id := func(n int) int64 { return w.wantOnce(fmt.Sprintf("t-%03d", n)).ID }
		for what, done := range map[string]bool{
			"a message is missing":    w.api.DeleteMessage(id(1), "bot/t-001:2"),
			"texts are swapped":       w.api.SwapTexts(id(3), 0, 1),
			"a conversation is open":  w.api.Reopen(id(5)),
			"an attribute differs":    w.api.SetAttribute(id(7), sandbox.OrderNumberID, "999"),
			"an attribute is missing": w.api.SetAttribute(id(8), sandbox.OrderNumberID, nil),
			"a conversation is gone":  w.api.DeleteConversation(id(9)),
			"it has another assignee": w.api.Assign(id(11), "00000000-0000-4000-8000-000000000001"),
			"it has no assignee":      w.api.Assign(id(12), ""),
		} {
			if !done {
				t.Fatalf("%s: could not be changed", what)
			}
		}
		s, lines, err := w.verify(w.jsonl(path), verify.Options{}, nil)
		if err != nil || s.Outcome != importer.OutcomeIncomplete || s.Checked != 20 || s.Differing != 8 {
			t.Errorf("the comparison: %+v, %v", s, err)
		}
		wantLines(t, lines, "t-001 message_missing bot/t-001:2", "t-003 text bot/t-003:1", "t-003 text bot/t-003:2",
			"t-005 not_closed ", "t-007 attribute order", "t-008 attribute order", "t-009 gone ", "t-011 assignment ", "t-012 assignment ")
		if s.Kinds[verify.DiffAttribute] != 2 || s.Kinds[verify.DiffText] != 1 {
			t.Errorf("kinds are %v", s.Kinds)
		}
		for _, differing := range []int{3, 30} {
			opts := verify.Options{Sample: differing, Seed: 4}
			a, first, err := w.verify(w.jsonl(path), opts, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, again, _ := w.verify(w.jsonl(path), opts, nil)
			wantLines(t, again, first...)
			if a.Checked != int64(min(differing, 20)) {
				t.Errorf("a sample of %d compared %d", differing, a.Checked)
			}
		}
	})
}

func TestVerifyFindsChangesInDixa(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	message := func(role, text string, second int) fields {
		return fields{"role": role, "text": text, "created_at": fmt.Sprintf("2026-11-19T08:00:%02dZ", second)}
	}
	path := w.file("c.jsonl", chat("t-1", nil))
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	imported := w.wantOnce("t-1")
	w.api.DeleteConversation(imported.ID)
	// The same conversation with wrong messages in every respect.
	changed := imported
	changed.ID, changed.Direction, changed.CreatedAt = 0, "Outbound", imported.CreatedAt.AddDate(0, 0, 1)
	changed.RequesterID = w.api.AddEndUser(sandbox.EndUser{ExternalID: "stranger"})
	first, second := imported.Messages[0], imported.Messages[1]
	first.CreatedAt, second.CreatedAt = second.CreatedAt, first.CreatedAt
	first.AuthorID, first.Direction, first.ContentType = sandbox.DefaultAgentID, "Outbound", "Html"
	first.Attachments = []sandbox.Attachment{{URL: "https://cdn.example.org/x.pdf"}}
	extra := second
	extra.ID, extra.ExternalID, extra.CreatedAt = "", "", imported.ClosedAt
	changed.Messages = []sandbox.Message{second, first, extra}
	id := w.api.AddConversation(changed)
	t.Run("unknown to the checkpoint", func(t *testing.T) {
		s, lines, err := w.verify(w.jsonl(path), verify.Options{}, nil)
		if err != nil || s.Differing != 1 {
			t.Fatalf("%+v, %v", s, err)
		}
		wantLines(t, lines, "t-1 gone ")
	})
	w.setConversation("t-1", id)
	_, lines, err := w.verify(w.jsonl(path), verify.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, lines, "t-1 requester ", "t-1 direction ", "t-1 time ", "t-1 text bot/t-1:1", "t-1 time bot/t-1:1", "t-1 author bot/t-1:1",
		"t-1 direction bot/t-1:1", "t-1 attachment bot/t-1:1", "t-1 time bot/t-1:2", "t-1 order ", "t-1 message_extra ")
	t.Run("after the record has changed", func(t *testing.T) {
		w.file("c.jsonl", chat("t-1", fields{"messages": []any{message("user", "Hello", 1), message("bot", "Hi", 2), message("user", "Bye", 3)}}))
		_, lines, err := w.verify(w.jsonl(path), verify.Options{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) != 13 || slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, string(verify.DiffContentChanged)) }) {
			t.Errorf("differences are %v", lines)
		}
		w.file("c.jsonl", chat("t-1", fields{"closed_at": nil}))
		if s, lines, err := w.verify(w.jsonl(path), verify.Options{}, nil); err != nil || s.NotHeld != 1 || lines != nil {
			t.Errorf("reopened: %+v, %v, %v", s, lines, err)
		}
	})
}

// setConversation sets the conversation of a transcript in the checkpoint.
func (w *world) setConversation(id string, conversation int64) {
	w.Helper()
	w.sql(fmt.Sprintf("update dixa_import.transcripts set conversation_id = %d where transcript_id = '%s'", conversation, id))
}

func TestVerifyIgnoresEquivalentRecords(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", chat("t-1", nil), chat("t-2", nil))
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	w.file("c.jsonl", strings.Replace(chat("t-1", nil), "{", "{ ", 1))
	s, lines, err := w.verify(w.jsonl(path), verify.Options{}, nil)
	if err != nil || s.Outcome != importer.OutcomeOK || s.Checked != 1 || s.NotHeld != 1 || lines != nil {
		t.Errorf("%+v, %v, %v", s, lines, err)
	}
}

func TestVerifyComparesAttributes(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", orders(2)...)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
	w.file("c.jsonl", orders(2)[0], chat("t-001", fields{"attributes": fields{"order": "7"}, "end_user": fields{"external_id": "c-1"}}))
	s, lines, err := w.verify(w.jsonl(path), verify.Options{Report: func(d verify.Differing) {
		if detail := d.Differences[0].Detail; detail != "this attribute has another value; the record has changed since its import" {
			t.Errorf("the detail is %q", detail)
		}
	}}, nil)
	if err != nil || s.Differing != 1 || s.Kinds[verify.DiffAttribute] != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	wantLines(t, lines, "t-001 attribute order")
}

func TestVerifyAcceptsAttachmentLinks(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	with := func(url string) fields {
		return fields{"messages": []any{fields{"role": "bot", "text": "Here", "created_at": "2026-11-19T08:00:01Z",
			"attachments": []any{fields{"url": url, "name": "A"}}}}}
	}
	path := w.file("c.jsonl", chat("t-1", with("https://unreachable.example/a.pdf")), chat("t-2", with("https://cdn.example.org/a.pdf")))
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	w.wantRow("t-1", checkpoint.Partial, "")
	w.wantRow("t-2", checkpoint.Complete, "")
	if s, lines, err := w.verify(w.jsonl(path), verify.Options{}, nil); err != nil || s.Checked != 2 || lines != nil {
		t.Errorf("%+v, %v, %v", s, lines, err)
	}
}

func TestVerifyResumes(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		path := w.file("c.jsonl", orders(60)...)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
		for i := range 60 {
			w.api.Reopen(w.wantOnce(fmt.Sprintf("t-%03d", i)).ID)
		}
		var v *verify.Verifier
		compared := map[string]int{}
		parts := 0
		for ; parts < 60; parts++ {
			n := 0
			store := w.open()
			var err error
			v, err = verify.New(importer.Config{Source: testSource, Reader: w.jsonl(path), Store: store, API: w.client(nil),
				BaseURL: w.http.URL, AgentID: sandbox.DefaultAgentID, Workers: 3, Attributes: orderNumber},
				verify.Options{Report: func(d verify.Differing) {
					compared[d.ID]++
					if n++; n == 7 {
						v.Stop("that is enough")
					}
				}})
			if err != nil {
				t.Fatal(err)
			}
			s, err := v.Run(t.Context())
			_ = store.Close()
			if err != nil {
				t.Fatal(err)
			}
			if s.Outcome == importer.OutcomeIncomplete {
				if s.Checked != 60 || s.Differing != 60 || s.Earlier < 7 {
					t.Errorf("at the end: %+v", s)
				}
				break
			}
			if s.Outcome != importer.OutcomeStopped || s.Reason != "that is enough" {
				t.Fatalf("a part ended with %+v", s)
			}
		}
		if parts < 2 || len(compared) != 60 {
			t.Errorf("%d parts compared %d transcripts", parts, len(compared))
		}
		for id, n := range compared {
			if n != 1 {
				t.Errorf("%s was compared %d times", id, n)
			}
		}
		s := w.open()
		defer func() { _ = s.Close() }()
		if m, err := s.VerifyMark(t.Context(), testSource); err != nil || m != (checkpoint.VerifyMark{}) {
			t.Errorf("a mark is left after the last part: %+v, %v", m, err)
		}
	})
}

func TestVerifyErrors(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", orders(5)...)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
	stdin, err := source.OpenJSONL(source.JSONLConfig{Paths: []string{"-"}, Stdin: strings.NewReader("")})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		prepare func()
		reader  source.Reader
		change  func(*importer.Config)
		want    string
	}{
		"standard input": {reader: stdin, want: "name the files themselves"},
		"no right to read messages": {prepare: func() { w.api.Forbid(sandbox.ListMessages, http.StatusForbidden) }, reader: w.jsonl(path),
			want: "put a token that may do so into dixa.token"},
		"another organisation": {reader: w.jsonl(path), change: func(c *importer.Config) { c.BaseURL = "https://dev.dixa.io" }, want: "was imported into organisation"},
		"a wrong token": {reader: w.jsonl(path), change: func(c *importer.Config) {
			c.API = w.client(func(d *dixa.Config) { d.Token = "nonsense" })
		}, want: "401"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.prepare != nil {
				c.prepare()
				defer w.api.Forbid(sandbox.ListMessages, 0)
			}
			s, _, err := w.verify(c.reader, verify.Options{}, c.change)
			if err == nil || s.Outcome != importer.OutcomeAborted || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

func TestVerifyWhileDixaFails(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", orders(30)...)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
	w.api.SetFaults([]sandbox.Fault{{Name: "502", Operation: sandbox.GetConversation, Kind: sandbox.ErrorBefore, Status: 502, Probability: 0.2},
		{Name: "429", Operation: sandbox.ListMessages, Kind: sandbox.Throttle, Times: 2}})
	s, lines, err := w.verify(w.jsonl(path), verify.Options{}, func(c *importer.Config) {
		c.API = w.client(func(d *dixa.Config) { d.MaxAttempts = 20 })
	})
	w.wantFired("502", "429")
	if err != nil || s.Outcome != importer.OutcomeOK || s.Checked != 30 || lines != nil || s.Throttled == 0 {
		t.Errorf("%+v, %v, %v", s, lines, err)
	}
}
