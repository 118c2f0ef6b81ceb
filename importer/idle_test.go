package importer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
)

// TestPacedRunSurvivesIdleDisconnects: between two requests of a paced run the checkpoint's connections are idle for longer than
// the server allows. That is no outage, and nobody hears of it.
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
		c.SendWindow = time.Minute // a slow machine is told of, otherwise
	})
	if s.Counts.Imported != 3 || strings.Contains(w.logs.String(), "level=WARN") {
		t.Errorf("counts are %+v", s.Counts)
	}
	w.wantTotals(3, 3)
}
