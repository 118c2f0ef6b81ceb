package importer_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
)

// TestPacedRunSurvivesIdleDisconnects has a run so slow that the server closes its idle connections between two requests. That is no
// outage, and nothing is logged.
func TestPacedRunSurvivesIdleDisconnects(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	w := setup(t, "postgres", sandbox.Options{})
	db, err := pgx.Connect(t.Context(), w.url)
	if err != nil {
		t.Fatal(err)
	}
	name := db.Config().Database
	exec(t, db, `alter database `+name+` set idle_session_timeout = '150ms'`)
	if err := db.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	client := w.client(func(c *dixa.Config) { c.Limiter, c.Timeout = dixa.NewLimiter(3, 4), 5*time.Second })
	s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(3)...)), func(c *importer.Config) {
		c.API, c.Rate = client, 3
		c.SendWindow = time.Minute // otherwise a slow machine causes a warning
	})
	if warnings := w.warnings(); s.Counts.Imported != 3 || len(warnings) != 0 {
		t.Errorf("counts are %+v, the run logged %q", s.Counts, warnings)
	}
	w.wantTotals(3, 3)
}
