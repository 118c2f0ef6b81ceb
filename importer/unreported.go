package importer

import (
	"context"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// lookBack finds out, when this run has begun, whose failures and rejections nobody was told of. On SQLite the run before is known
// to be dead by then.
func (im *Importer) findUnreported(context.Context) error {
	runs, err := im.latestRuns(im.s.Starting)
	im.unreported = unreportedRuns(runs)
	return ignoreLimit(im.s.StoppedOr(err))
}

// latestRuns returns the latest runs of the source, newest first.
func (im *Importer) latestRuns(ctx context.Context) (runs []checkpoint.Run, err error) {
	err = im.s.Patiently(ctx, "read the checkpoint", func(ctx context.Context) (err error) {
		runs, err = im.s.Store.Runs(ctx, im.s.Source, runsLookedAt)
		return err
	})
	return runs, err
}

// unreported returns the runs that were stopped, aborted or killed since one came to its end. A job that waits for exit code 3 does
// not know yet what failed in them. Those that are at work still will tell.
func unreportedRuns(runs []checkpoint.Run) map[int64]bool {
	out := map[int64]bool{}
	for _, r := range runs {
		ended := completed(r)
		switch {
		case ended && r.Command != "retry":
			return out
		case !ended && !r.Alive:
			out[r.ID] = true
		}
	}
	return out
}

func completed(r checkpoint.Run) bool {
	return r.Outcome == string(OutcomeOK) || r.Outcome == string(OutcomeIncomplete)
}

// countDone counts a record that an earlier run settled: as failed or rejected if nobody was told of that yet.
func (im *Importer) countDone(rec *source.Record, row *checkpoint.Row) {
	bad := row.Status == checkpoint.Failed || row.Status == checkpoint.Rejected
	if !bad || !im.unreported[row.RunID] || !im.pipeline.policy().Settled(rec, row) {
		im.tally.alreadyDone.Add(1)
		return
	}
	im.countUnreported(row)
}

// report counts what failed or was rejected in a run that told nobody of it.
func (im *Importer) countUnreported(row *checkpoint.Row) {
	t := im.tally
	if im.countedUnreported == nil {
		im.countedUnreported = map[string]bool{}
	}
	im.countedUnreported[row.ID] = true
	if row.Status == checkpoint.Failed {
		t.failedBefore.Add(1)
		t.failed.Add(1)
	} else {
		t.rejected.Add(1)
	}
	t.addCause(row.ErrorCode)
	event := string(row.Status) + " in an earlier run that did not come to its end"
	cause := logCause{event, row.ErrorCode}
	im.tally.warnSampled(cause)("transcript "+event, append([]any{"transcript", row.ID, "earlier", row.RunID}, im.tally.reasonArgs(cause, *row)...)...)
}

// reportUnread reports those that were closed before reading began: the run that told nobody of them moved the watermark.
func (im *Importer) reportUnread(context.Context) error {
	if len(im.unreported) == 0 || !im.s.Reader.Ordered() || im.s.Limit > 0 {
		return nil
	}
	for after := ""; im.s.Starting.Err() == nil; {
		var rows []checkpoint.Row
		err := im.s.Patiently(im.s.Starting, "read the checkpoint", func(ctx context.Context) (err error) {
			rows, err = im.s.Store.Select(ctx, im.s.Source, im.s.RunID, checkpoint.Filter{
				Statuses: []checkpoint.Status{checkpoint.Failed, checkpoint.Rejected}, After: after, Limit: fetchPage})
			return err
		})
		if err != nil {
			return ignoreLimit(im.s.StoppedOr(err))
		}
		if len(rows) == 0 {
			return nil
		}
		after = rows[len(rows)-1].ID
		for _, row := range rows {
			if im.unreported[row.RunID] && !im.countedUnreported[row.ID] {
				im.tally.read.Add(1)
				im.countUnreported(&row)
			}
		}
	}
	return nil
}
