package importer

import (
	"context"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// lookBack finds out what the latest runs of the source tell this one.
func (im *Importer) lookBack(ctx context.Context) error {
	if im.cfg.Retry != nil {
		return nil
	}
	var runs []checkpoint.Run
	err := im.patiently(ctx, "read the checkpoint", func(ctx context.Context) (err error) {
		runs, err = im.cfg.Store.Runs(ctx, im.cfg.Source, runsLookedAt)
		return err
	})
	if err != nil {
		return err
	}
	im.unreported = unreported(runs)
	return im.expectFirst(runs)
}

// unreported returns the runs, newest first, that were stopped, aborted or killed since one came to its end. Whoever waits for
// exit code 3 does not know yet what failed in them.
func unreported(runs []checkpoint.Run) map[int64]bool {
	out := map[int64]bool{}
	for _, r := range runs {
		ended := r.Outcome == string(OutcomeOK) || r.Outcome == string(OutcomeIncomplete)
		switch {
		case ended && r.Command != "retry":
			return out
		case !ended && !r.Alive:
			out[r.ID] = true
		}
	}
	return out
}

// countDone counts a record that an earlier run settled: as failed or rejected if nobody was told of that yet.
func (im *Importer) countDone(rec *source.Record, row *checkpoint.Row) {
	t := &im.tally
	was := row.Status
	if was != checkpoint.Failed && was != checkpoint.Rejected || !im.unreported[row.RunID] || !im.settled(rec, row) {
		t.alreadyDone.Add(1)
		return
	}
	if was == checkpoint.Failed {
		t.failedBefore.Add(1)
		t.failed.Add(1)
	} else {
		t.rejected.Add(1)
	}
	t.cause(row.ErrorCode)
	event := string(was) + " in an earlier run that did not come to its end"
	im.few(logCause{event, row.ErrorCode})("transcript "+event, "transcript", row.ID, "earlier", row.RunID, "code", row.ErrorCode, "error", row.Error)
}
