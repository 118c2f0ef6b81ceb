package importer_test

import (
	"net/http"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"

	"github.com/jackc/pgx/v5"
)

// TestClaimLostDuringResumeIsDecidedAgain has a run that resumes the work of an earlier one. Another run claims the transcript meanwhile
// and dies, and the first run must claim it again.
func TestClaimLostDuringResumeIsDecidedAgain(t *testing.T) {
	t.Parallel()
	w := setup(t, "postgres", sandbox.Options{})
	url, _ := botDatabase(t, 1)
	w.api.SetFaults([]sandbox.Fault{{Operation: sandbox.PatchAttributes, Kind: sandbox.ErrorBefore}})
	w.mustRun(importer.OutcomeIncomplete, w.postgres(url), withOrders)
	w.wantRow("1", checkpoint.Imported, "attributes_unset")
	w.api.SetFaults(nil)
	db, err := pgx.Connect(t.Context(), w.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(t.Context()) })
	w.onNth(sandbox.PatchAttributes, 1, func(rw http.ResponseWriter, serve func(http.ResponseWriter)) {
		exec(t, db, `update dixa_import.transcripts set claim = claim + 1, claimed_by = null, updated_at = clock_timestamp()`)
		serve(rw)
	})
	s := w.mustRun(importer.OutcomeOK, w.postgres(url), func(c *importer.Config) {
		withOrders(c)
		c.Since = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) // so that only resumeUnfinished handles it
	})
	if s.Counts.Imported != 1 || s.Counts.Read != 1 {
		t.Errorf("counts are %+v", s.Counts)
	}
	w.wantRow("1", checkpoint.Complete, "")
	w.wantOnce("1")
}
