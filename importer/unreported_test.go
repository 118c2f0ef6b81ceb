package importer_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// stopAfter is a log that stops a run once it contains all texts.
type stopAfter struct {
	lockedBuffer
	texts []string
	im    *importer.Importer
}

func (l *stopAfter) Write(p []byte) (int, error) {
	n, err := l.lockedBuffer.Write(p)
	for _, s := range l.texts {
		if !strings.Contains(l.String(), s) {
			return n, err
		}
	}
	l.im.Stop("that is enough")
	return n, err
}

// TestFailuresOfStoppedRunsAreReported requires that the next run reports them, because the exit code of a stopped run does not.
func TestFailuresOfStoppedRunsAreReported(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"stopped", "killed"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.Import, Kind: sandbox.ErrorBefore, Status: 422, Times: 1}}})
			lines := []string{chat("f", nil), chat("r", fields{"messages": []any{}}), `{"closed`}
			path := w.file("c.jsonl", lines...)
			log := &stopAfter{texts: []string{"transcript failed", "transcript=r ", "transcript=" + path + ":3 "}}
			log.im = w.importer(w.jsonl(path), func(c *importer.Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
			s, err := log.im.Run(t.Context())
			if err != nil || s.Outcome != importer.OutcomeStopped || s.Counts.Failed != 1 || s.Counts.Rejected != 2 {
				t.Fatalf("the run ended with %v, %+v", err, s)
			}
			if how == "killed" {
				w.markKilled(s.Run)
			}
			failed := w.wantRow("f", checkpoint.Failed, "refused")
			// A completed retry has not reported them.
			w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{Codes: []string{"no_such_code"}}, nil))
			path = w.file("c.jsonl", append(lines, chat("good", nil))...)
			s = w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), func(c *importer.Config) { c.MaxFailures = importer.Failures{Count: 1} })
			if c := s.Counts; c.Failed != 1 || c.Rejected != 2 || c.Imported != 1 || c.AlreadyDone != 0 ||
				s.Causes["refused"] != 1 || s.Causes["no_messages"] != 1 || s.Causes["invalid_json"] != 1 {
				t.Errorf("the next run: %+v, %v", c, s.Causes)
			}
			if again := w.row("f"); again != failed {
				t.Errorf("the failed transcript was %+v, now %+v", failed, again)
			}
			if s := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil); s.Counts.AlreadyDone != 4 || len(s.Causes) != 0 {
				t.Errorf("the run after that: %+v, %v", s.Counts, s.Causes)
			}
		})
	}
}

// TestFailuresBelowTheWatermarkAreReported requires that they are reported although they are not read again.
func TestFailuresBelowTheWatermarkAreReported(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	url, db := botDatabase(t, 100)
	exec(t, db, `update messages set sender = 'nobody' where session_id in (1, 99)`)
	overlap := func(c *importer.Config) { c.Overlap = 10 * time.Minute }
	w.markKilled(w.mustRun(importer.OutcomeIncomplete, w.postgres(url), overlap).Run)
	s := w.mustRun(importer.OutcomeIncomplete, w.postgres(url), overlap)
	if s.Counts.Rejected != 2 || s.Counts.Read > 20 || s.Causes["invalid_role"] != 2 {
		t.Errorf("the next run: %+v, %v", s.Counts, s.Causes)
	}
	if s := w.mustRun(importer.OutcomeOK, w.postgres(url), overlap); s.Counts.Rejected != 0 {
		t.Errorf("the run after that: %+v", s.Counts)
	}
}

// markKilled changes a run to one that was killed.
func (w *world) markKilled(run int64) {
	w.Helper()
	w.sql(fmt.Sprintf("update dixa_import.runs set outcome = null, finished_at = null where id = %d", run))
}
