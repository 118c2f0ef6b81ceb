package importer_test

import (
	"errors"
	"fmt"
	"testing"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// loseCheckpoint replaces the checkpoint with an empty one.
func (w *world) loseCheckpoint() {
	w.Helper()
	w.url = "sqlite:" + w.TempDir() + "/empty.db"
	s := w.open()
	if _, _, err := s.Migrate(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func TestLostCheckpoint(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	lines := chats(40)
	w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", lines...)), nil)
	w.loseCheckpoint()
	// The others are new. An end-user that the run creates has nothing in Dixa, and proves nothing about the rest.
	for i := range 20 {
		lines = append(lines, chat(fmt.Sprintf("new-%d", i), nil))
	}
	path := w.file("c.jsonl", lines...)
	imports := w.api.Counts()[sandbox.Import]
	var lost *importer.LostCheckpointError
	s, err := w.run(w.jsonl(path), nil)
	if !errors.As(err, &lost) || s.Outcome != importer.OutcomeAborted || lost.Conversation == 0 {
		t.Fatalf("the run ended with %v, %+v", err, s)
	}
	for _, again := range []string{"the next run", "the run after that"} {
		if s, err := w.run(w.jsonl(path), nil); !errors.As(err, &lost) || lost.Run != 1 || s.Run != 0 {
			t.Fatalf("%s ended with %v, %+v", again, err, s)
		}
	}
	for i := range 40 {
		w.wantOnce(fmt.Sprintf("t-%d", i))
	}
	if n := w.api.Counts()[sandbox.Import] - imports; n > 20 {
		t.Errorf("%d imports were sent", n)
	}
	w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) { c.Reconcile = true })
	for i := range 40 {
		w.wantOnce(fmt.Sprintf("t-%d", i))
		w.wantRow(fmt.Sprintf("t-%d", i), checkpoint.Complete, "")
	}
	w.wantOnce("new-7")
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
}

// TestLostCheckpointStaysLostUntilReconciled requires that a run that searched for only a part of the source does not allow others to send
// the rest.
func TestLostCheckpointStaysLostUntilReconciled(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"after a run that noticed it": true, "at once": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			path := w.file("c.jsonl", chats(20)...)
			w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
			w.loseCheckpoint()
			var lost *importer.LostCheckpointError
			if first {
				if _, err := w.run(w.jsonl(path), nil); !errors.As(err, &lost) {
					t.Fatal(err)
				}
			}
			reconcile := func(c *importer.Config) { c.Reconcile = true }
			s := w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) { reconcile(c); c.Limit = 5 })
			if s.Counts.Imported+s.Counts.Partial != 5 {
				t.Errorf("counts are %+v", s.Counts)
			}
			if _, err := w.run(w.jsonl(path), nil); !errors.As(err, &lost) {
				t.Fatalf("a run after a limited one ended with %v", err)
			}
			w.mustRun(importer.OutcomeOK, w.jsonl(path), reconcile)
			w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
			if n := len(w.api.Conversations()); n != 20 {
				t.Errorf("there are %d conversations", n)
			}
		})
	}
}

// TestCorrectionsAfterALostCheckpoint has a source with only the invalid version, so that no run over it finds the correction in Dixa.
func TestCorrectionsAfterALostCheckpoint(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	bad := chat("t-1", fields{"messages": []fields{{"role": "robot", "text": "hello"}}})
	path := w.file("c.jsonl", chat("t-0", nil), bad, `{"broken`)
	corrected := []string{chat("t-1", fields{"_error": fields{"transcript_id": "t-1"}}), chat("t-2", fields{"_error": fields{"transcript_id": path + ":3"}})}
	w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil)
	w.mustRun(importer.OutcomeOK, w.jsonl(w.file("m.jsonl", corrected...)), excerpt)
	w.loseCheckpoint()
	w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), func(c *importer.Config) { c.Reconcile = true })
	s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("m.jsonl", corrected...)), excerpt)
	if s.Counts.Imported+s.Counts.Partial != 2 {
		t.Errorf("counts are %+v", s.Counts)
	}
	for _, id := range []string{"t-0", "t-1", "t-2"} {
		w.wantOnce(id)
	}
}

// TestFirstRunSearchesDixa counts the requests that find out whether the checkpoint is lost.
func TestFirstRunSearchesDixa(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		known  bool // to Dixa
		forbid bool
		change func(*importer.Config)
		looks  int
	}{
		"all are new":              {},
		"all are known":            {known: true, looks: 3},
		"all are listed":           {known: true, looks: 3, change: func(c *importer.Config) { c.Preload = true }},
		"searching is forbidden":   {known: true, looks: 1, forbid: true},
		"the second run":           {known: true, looks: 0, change: func(c *importer.Config) { c.Source = testSource }},
		"one transcript at a time": {known: true, looks: 3, change: func(c *importer.Config) { c.Workers = 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			w.setFacts(checkpoint.IDsReturned, 0)
			if name == "the second run" {
				w.mustRun(importer.OutcomeOK, w.jsonl(w.file("first.jsonl", chat("first", nil))), nil)
			}
			for i := 0; tt.known && i < 7; i++ {
				w.api.AddEndUser(sandbox.EndUser{ExternalID: fmt.Sprintf("c-%d", i)})
			}
			if tt.forbid {
				w.api.Forbid(sandbox.ListConversations, 403)
			}
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(7)...)), tt.change) // one of each
			counts := w.api.Counts()
			if counts[sandbox.ListConversations] != tt.looks || counts[sandbox.ListMessages] != 0 {
				t.Errorf("requests are %v, want %d searches", counts, tt.looks)
			}
		})
	}
}
