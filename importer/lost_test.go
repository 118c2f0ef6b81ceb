package importer_test

import (
	"errors"
	"fmt"
	"testing"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// lose puts an empty checkpoint in the place of the one that there is.
func (w *world) lose() {
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
	w.lose()
	// Others are new: whoever is created cannot be in Dixa, and says nothing about the rest.
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
	for _, again := range []string{"the next run", "and the one after"} {
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

// TestFirstRun counts what it costs to find out that the checkpoint is not lost.
func TestFirstRun(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		known  bool // to Dixa
		forbid bool
		change func(*importer.Config)
		looks  int
	}{
		"everybody is new":         {},
		"everybody is known":       {known: true, looks: 3},
		"everybody is listed":      {known: true, looks: 3, change: func(c *importer.Config) { c.Preload = true }},
		"looking is not allowed":   {known: true, looks: 1, forbid: true},
		"the second run":           {known: true, looks: 0, change: func(c *importer.Config) { c.Source = testSource }},
		"one transcript at a time": {known: true, looks: 3, change: func(c *importer.Config) { c.Workers = 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
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
				t.Errorf("requests are %v, want %d looks", counts, tt.looks)
			}
		})
	}
}
