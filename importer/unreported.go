package importer

import (
	"context"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// findUnreported finds the earlier runs whose failures and rejections were never reported. On SQLite the previous run is known to be dead
// by now.
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

// unreportedRuns returns the runs that were stopped, aborted or killed since the last completed one. A job that waits for exit code 3 does
// not know yet what failed in them. Runs that are still alive will report it themselves.
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

// countDone counts a record that an earlier run settled. If that run never reported a failure or rejection, it counts as failed or
// rejected.
func (im *Importer) countDone(rec *source.Record, row *checkpoint.Row) {
	bad := row.Status == checkpoint.Failed || row.Status == checkpoint.Rejected
	if !bad || !im.unreported[row.RunID] || !im.pipeline.policy().Settled(rec, row) {
		im.tally.alreadyDone.Add(1)
		return
	}
	im.countUnreported(row)
}

// countUnreported counts and logs a transcript that failed or was rejected in a run that never reported it.
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
	event := string(row.Status) + " in an earlier run that did not complete"
	cause := logCause{event, row.ErrorCode}
	im.tally.warnSampled(cause)("transcript "+event, append([]any{"transcript", row.ID, "earlier", row.RunID}, im.tally.reasonArgs(cause, *row)...)...)
}

// reportUnread reports transcripts of unreported runs that this run did not read, because those runs moved the watermark past them.
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
