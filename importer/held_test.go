package importer_test

import (
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// TestEndUserReservedByAnotherRun has another live run that got no clear answer to the creation of an end-user. The transcripts of that
// person are left to a later run; the rest are imported.
func TestEndUserReservedByAnotherRun(t *testing.T) {
	t.Parallel()
	w := setup(t, "postgres", sandbox.Options{})
	path := w.file("c.jsonl", chats(2)...)
	store := w.open()
	other, err := store.StartRun(t.Context(), "another-bot", "run")
	if err != nil {
		t.Fatal(err)
	}
	organisation, err := w.client(nil).GetOrganization(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held := []checkpoint.Identifier{{Kind: checkpoint.ExternalID, Value: "c-0"}}
	reserved, err := store.ReserveEndUsers(t.Context(), organisation.ID, other, [][]checkpoint.Identifier{held})
	if err != nil || !reserved[0].Granted {
		t.Fatal(reserved, err)
	}
	s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), func(c *importer.Config) { c.HeldPatience = time.Millisecond })
	if s.Counts.Imported != 1 || s.Counts.Pending != 1 {
		t.Errorf("counts are %+v", s.Counts)
	}
	if err := store.FinishRun(t.Context(), other, "ok", checkpoint.Beat{}); err != nil {
		t.Fatal(err)
	}
	s = w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	if s.Counts.Imported != 1 || len(w.api.Conversations()) != 2 {
		t.Errorf("counts are %+v, %d conversations", s.Counts, len(w.api.Conversations()))
	}
}
