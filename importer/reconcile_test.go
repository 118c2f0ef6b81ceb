package importer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// lostAnswer loses the answer to the first import; after says whether the import took effect.
func lostAnswer(after bool) sandbox.Fault {
	f := sandbox.Fault{Operation: sandbox.Import, Kind: sandbox.DropBefore, Times: 1}
	if after {
		f.Kind = sandbox.DropAfter
	}
	return f
}

// leaveSending performs a run that is stopped after its import took effect (or did not), before it gets the answer.
func leaveSending(w *world, path string, after bool) {
	w.Helper()
	leaveSendingWith(w, path, after, nil)
}

func leaveSendingWith(w *world, path string, after bool, change func(*importer.Config)) {
	w.Helper()
	w.api.SetFaults([]sandbox.Fault{lostAnswer(after)})
	s := w.mustRunStopping(w.jsonl(path), change)
	if s.Counts.Pending == 0 {
		w.Fatalf("nothing was left to the next run: %+v", s.Counts)
	}
	w.wantFired("import:" + string(lostAnswer(after).Kind))
	w.api.SetFaults(nil)
}

// mustRunStopping performs a run that is stopped when its first import arrives.
func (w *world) mustRunStopping(reader source.Reader, change func(*importer.Config)) importer.Summary {
	w.Helper()
	store := w.open()
	defer func() { _ = store.Close() }()
	im := w.importer(reader, func(c *importer.Config) {
		c.Store = store
		if change != nil {
			change(c)
		}
	})
	w.onOperation(func(op sandbox.Operation) {
		if op == sandbox.Import {
			im.Stop("test")
		}
	})
	defer w.onOperation(nil)
	s, err := im.Run(context.Background())
	checkCounts(w.T, s)
	if err != nil || s.Outcome != importer.OutcomeStopped {
		w.Fatalf("run ended as %q, %v", s.Outcome, err)
	}
	return s
}

func TestDoubtsOfAStoppedRunAreReconciled(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	for _, after := range []bool{true, false} {
		onEveryStore(t, func(t *testing.T, store string) {
			w := setup(t, store, sandbox.Options{})
			path := w.file("c.jsonl", chat("t-1", nil))
			leaveSending(w, path, after)
			w.wantRow("t-1", checkpoint.Sending, "")
			w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
			w.wantOnce("t-1")
			if row := w.wantRow("t-1", checkpoint.Complete, ""); after != (row.Attempts == 1) {
				t.Errorf("took effect %v: %d imports were sent", after, row.Attempts)
			}
		})
	}
}

func TestDoubtWithoutSourceRecord(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{true, false} {
		w := setup(t, "sqlite", sandbox.Options{})
		leaveSending(w, w.file("c.jsonl", chat("t-1", nil)), after)
		path := w.file("c.jsonl", chat("t-2", nil))
		if after {
			w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
			w.wantRow("t-1", checkpoint.Complete, "")
			w.wantOnce("t-1")
			continue
		}
		w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil)
		w.wantRow("t-1", checkpoint.Failed, "source_missing")
		w.wantRow("t-2", checkpoint.Complete, "")
		// Another run without it leaves it alone, and one to which the source gives it again sends it.
		w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
		w.wantRow("t-1", checkpoint.Failed, "source_missing")
		w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chat("t-1", nil), chat("t-2", nil))), nil)
		w.wantRow("t-1", checkpoint.Complete, "")
		w.wantOnce("t-1")
	}
}

func TestDoubtAboutEditedTranscript(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", chat("t-1", nil))
	leaveSending(w, path, true)
	w.file("c.jsonl", chat("t-1", fields{"messages": []any{
		fields{"role": "user", "text": "Where is my PARCEL?", "created_at": "2026-11-19T08:00:01Z"},
		fields{"role": "bot", "text": "It ships **today**.", "created_at": "2026-11-19T08:00:04Z"},
		fields{"role": "user", "text": "Thanks", "created_at": "2026-11-19T08:00:05Z"}}}))
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	w.wantOnce("t-1")
	w.wantRow("t-1", checkpoint.Partial, "")
	var got []string
	for _, p := range w.partialErrors("t-1") {
		got = append(got, string(p.Kind)+" "+p.MessageExternalID+" "+p.Message)
	}
	want := []string{"adopted bot/t-1:1 this message has another text",
		"adopted bot/t-1:2 this message has another format", "adopted bot/t-1:2 this message has another time", "adopted bot/t-1:3 this message is missing"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("partial errors are\n%s", strings.Join(got, "\n"))
	}
}

func TestAdoptedConversationThatIsNotClosed(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", chat("t-1", nil))
	leaveSending(w, path, true)
	w.api.Reopen(w.wantOnce("t-1").ID)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	if p := w.partialErrors("t-1"); len(p) != 1 || p[0].Kind != checkpoint.KindAdopted || !strings.Contains(p[0].Message, "not closed") {
		t.Errorf("partial errors are %+v", p)
	}
}

// TestSearchReadsEveryPageAndChannel has the conversation among hundreds, some of them of other channels, and of sources and ids that look
// similar.
func TestSearchReadsEveryPageAndChannel(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{PageLimit: 40, ListLag: 30 * time.Millisecond})
	path := w.file("c.jsonl", chat("t-1", nil))
	leaveSending(w, path, true)
	mine := w.wantOnce("t-1")
	for i := range 300 {
		c := sandbox.Conversation{RequesterID: mine.RequesterID, CreatedAt: mine.CreatedAt.Add(time.Duration(i%3) * time.Hour)}
		names := []string{"bot/t-1", "bot/t-10", "bot/t", "other/t-1", "bot/t-1:1", "/bot/t-1"}
		c.Messages = []sandbox.Message{{ExternalID: names[1+i%5] + ":1", Text: "x", Direction: "Inbound", CreatedAt: c.CreatedAt}}
		if i%4 == 0 {
			c.Type, c.Channel = "ChatConversation", "WidgetChat"
			c.Messages[0].ExternalID = ""
		}
		w.api.AddConversation(c)
	}
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	if row := w.wantRow("t-1", checkpoint.Complete, ""); row.ConversationID != mine.ID {
		t.Errorf("conversation %d was adopted, not %d", row.ConversationID, mine.ID)
	}
	if n := w.api.Counts()[sandbox.ListMessages]; n > 300*3/4+10 {
		t.Errorf("%d conversations were read", n)
	}
}

// TestConversationRecordedMeanwhileIsKept requires that the summary, the log and the row report both conversations.
func TestConversationRecordedMeanwhileIsKept(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		const earlier = 9_000_001
		w.onOperation(func(op sandbox.Operation) {
			if op != sandbox.Import {
				return
			}
			found := checkpoint.Change{ID: "t-1", Event: checkpoint.Found, ConversationID: earlier}
			if r, err := w.open().Write(t.Context(), testSource, 0, []checkpoint.Change{found}); err != nil || !r[0].Applied {
				t.Errorf("%+v, %v", r, err)
			}
		})
		s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(w.file("c.jsonl", chat("t-1", nil))), nil)
		if s.Duplicates != 1 || s.Counts.Partial != 1 || s.Counts.Imported != 0 || len(s.Problems) != 1 || s.Problems[0].Kind != checkpoint.KindDuplicate {
			t.Errorf("%d duplicates, counts %+v, problems %v", s.Duplicates, s.Counts, s.Problems)
		}
		if row := w.wantRow("t-1", checkpoint.Partial, ""); row.ConversationID != earlier {
			t.Errorf("the row is %+v", row)
		}
		both := fmt.Sprintf("Dixa has two conversations of this transcript: %d and %d", earlier, w.wantOnce("t-1").ID)
		if p := w.partialErrors("t-1"); len(p) != 1 || p[0].Kind != checkpoint.KindDuplicate || p[0].Message != both {
			t.Errorf("partial errors are %+v, want %s", p, both)
		}
		if log := w.logs.String(); !strings.Contains(log, fmt.Sprintf("transcript=t-1 status=partial problem=duplicate conversation=%d", earlier)) {
			t.Error("the log does not report the duplicate")
		}
	})
}

func TestTwoConversationsOfOneTranscript(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", chat("t-1", nil))
	leaveSending(w, path, true)
	first := w.wantOnce("t-1")
	second := w.api.AddConversation(sandbox.Conversation{RequesterID: first.RequesterID, CreatedAt: first.CreatedAt, Messages: first.Messages})
	s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil)
	if s.Duplicates != 1 || s.Counts.Partial != 1 {
		t.Errorf("%d duplicates, counts %+v", s.Duplicates, s.Counts)
	}
	if row := w.wantRow("t-1", checkpoint.Partial, ""); row.ConversationID != min(first.ID, second) {
		t.Errorf("conversation %d was adopted", row.ConversationID)
	}
	found := false
	for _, p := range w.partialErrors("t-1") {
		found = found || p.Kind == checkpoint.KindDuplicate && strings.Contains(p.Message, fmt.Sprint(first.ID)) && strings.Contains(p.Message, fmt.Sprint(second))
	}
	if !found {
		t.Errorf("partial errors are %+v", w.partialErrors("t-1"))
	}
}

// TestDoubtsLeftToAPerson requires that they are not sent again.
func TestDoubtsLeftToAPerson(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, code string
		arrange    func(*world)
	}{
		{"messages may not be read", "unreadable", func(w *world) { w.api.Forbid(sandbox.ListMessages, 403) }},
		{"conversations may not be listed", "unreadable", func(w *world) { w.api.Forbid(sandbox.ListConversations, 401) }},
		{"the end-user is gone", "end_user_gone", func(w *world) { w.api.DeleteEndUser(w.row("t-1").EndUserID) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			path := w.file("c.jsonl", chat("t-1", nil))
			leaveSending(w, path, true)
			tc.arrange(w)
			s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil)
			if s.Counts.InDoubt != 1 || w.api.Counts()[sandbox.Import] != 1 {
				t.Errorf("counts are %+v, %d imports", s.Counts, w.api.Counts()[sandbox.Import])
			}
			w.wantRow("t-1", checkpoint.InDoubt, tc.code)
			w.mustRun(importer.OutcomeOK, w.jsonl(path), nil) // a person decides, not the next run
			w.wantRow("t-1", checkpoint.InDoubt, tc.code)
			if n := w.api.Counts()[sandbox.Import]; n != 1 {
				t.Errorf("%d imports were sent", n)
			}
		})
	}
}

func TestUnreadableMessagesWithoutCandidate(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{Forbidden: map[sandbox.Operation]int{sandbox.ListMessages: 403}})
	path := w.file("c.jsonl", chat("t-1", nil))
	leaveSending(w, path, false)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	w.wantOnce("t-1")
}

func TestFailedSearchesDoNotCount(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", chat("t-1", nil))
	leaveSending(w, path, true)
	// A search fails after three attempts. The list works only after as many searches as would prove that the transcript is not there.
	w.api.SetFaults([]sandbox.Fault{{Operation: sandbox.ListConversations, Kind: sandbox.ErrorBefore, Times: 12}})
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	w.wantFired("list_conversations:error_before")
	w.wantOnce("t-1")
	if row := w.wantRow("t-1", checkpoint.Complete, ""); row.Attempts != 1 {
		t.Errorf("%d imports were sent", row.Attempts)
	}
}

func TestReconcileImportsNothingTwice(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{ListLag: 20 * time.Millisecond})
		path := w.file("c.jsonl", chats(60)...)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
		lost := setup(t, store, sandbox.Options{}) // an empty checkpoint
		w.url = lost.url
		w.file("c.jsonl", append(chats(60), chat("new", nil))...)
		s := w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) { c.Reconcile = true })
		if len(w.api.Conversations()) != 61 || len(w.api.Duplicates()) != 0 || s.Counts.Imported != 61 {
			t.Errorf("%d conversations, %d duplicates, %+v", len(w.api.Conversations()), len(w.api.Duplicates()), s.Counts)
		}
	})
}

// TestTwoRunsShareASource has two processes that read the same file. One of them imports each transcript, and both end only when all are
// done.
func TestTwoRunsShareASource(t *testing.T) {
	t.Parallel()
	w := setup(t, "postgres", sandbox.Options{})
	path := w.file("c.jsonl", chats(400)...)
	summaries := make(chan importer.Summary, 3)
	for range 3 {
		store := w.open()
		im := w.importer(w.jsonl(path), func(c *importer.Config) { c.Store = store })
		go func() {
			s, err := im.Run(context.Background())
			if err != nil || s.Outcome != importer.OutcomeOK {
				t.Errorf("run ended as %q, %v", s.Outcome, err)
			}
			if n := len(w.api.Conversations()); n != 400 {
				t.Errorf("run %d ended when there were %d conversations", s.Run, n)
			}
			summaries <- s
		}()
	}
	var imported int64
	for range 3 {
		s := <-summaries
		checkCounts(t, s)
		imported += s.Counts.Imported
	}
	if imported != 400 || len(w.api.Duplicates()) != 0 || len(w.api.EndUsers()) != 7 {
		t.Errorf("%d imported, %d duplicates, %d end-users", imported, len(w.api.Duplicates()), len(w.api.EndUsers()))
	}
}
