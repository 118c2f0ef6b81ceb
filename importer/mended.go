package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// mendedAs is what the checkpoint says of a record that was mended under an id of its own: the record is settled, and no other
// id may take its place, for that would be a second import.
func mendedAs(id string) string { return "it was mended, and is transcript " + id + " now" }

// cannotReplace says why a mended record may not become the transcript with this id, nil if it may. row is what the checkpoint
// knows of the id, was what it knows of the record that is to be replaced; both are zero where it knows nothing.
func cannotReplace(id string, row, was checkpoint.Row) *source.RejectError {
	problem := ""
	switch {
	case was.Status == "", was.ErrorCode == codeMended && was.Error == mendedAs(id):
	case was.ErrorCode == codeMended:
		problem = "the record was mended before (" + was.Error + "): it would be in Dixa twice"
	case was.Status.HasConversation(), was.Status == checkpoint.Sending, was.Status == checkpoint.InDoubt:
		problem = "the record is in Dixa under its former id, or may be: give it that id again"
	case row.Status != "" && row.Status != checkpoint.Pending:
		problem = "another transcript has this id: give the record one of its own"
	}
	if problem == "" {
		return nil
	}
	return &source.RejectError{Code: source.RejectDuplicateID, Reason: problem}
}

// judgeHandedOut decides about a record that was handed out to be mended, if that is all there is to say. row is what is known of
// its key, was what is known of the record that it is to replace. What is known of a record that is as bad as before is left
// alone: the source still holds it, and it must be met as it was.
func (im *Importer) judgeHandedOut(rec *source.Record, row, was checkpoint.Row, bad bool) (verdict, bool) {
	switch {
	case !bad:
		problem := cannotReplace(rec.ID, row, was)
		if problem != nil {
			rec.Reject(problem)
		}
		return notMended, problem != nil
	case was.Status == checkpoint.Skipped:
		return isSkipped, true
	case was.Status == checkpoint.Rejected || was.Status == checkpoint.Failed:
		if im.cfg.Excerpt {
			return notMended, true
		}
		return isDone, true
	}
	return toReject, false
}

// countUnmended counts a record that was not mended well enough.
func (im *Importer) countUnmended(rec *source.Record) {
	im.tally.rejected.Add(1)
	var bad *source.RejectError
	if _, err := rec.Transcript(); errors.As(err, &bad) {
		im.tally.cause(string(bad.Code))
		im.few(logCause{"not mended yet", string(bad.Code)})("not mended yet", "transcript", rec.Key(), "place", rec.Place.String(), "code", string(bad.Code), "reason", bad.Reason)
	}
}

// leavesBad says whether a retry leaves a transcript as it is because its record is bad: what is in Dixa already, and what a file
// of mended records was to mend.
func (im *Importer) leavesBad(row checkpoint.Row, rec *source.Record) bool {
	if _, err := rec.Transcript(); err == nil || im.cfg.Retry.Decision != Undecided {
		return false
	}
	return row.Status == checkpoint.Partial || im.cfg.Excerpt && slices.Contains(unsent, row.Status)
}

var unsent = []checkpoint.Status{checkpoint.Failed, checkpoint.Rejected, checkpoint.Pending}

// rejectUnmended counts the bad records of a file of mended ones that a retry was to take: those of transcripts that were
// selected, and those of which nobody can tell whose they are.
func (im *Importer) rejectUnmended(sel Selection) error {
	if !im.cfg.Excerpt || sel.Decision != Undecided {
		return nil
	}
	im.tasks.Wait() // what a good record has mended is this run's
	bad, keys := map[string]*source.Record{}, []string{}
	for rec, err := range im.cfg.Reader.Read(im.fetching, time.Time{}) {
		if err != nil {
			return im.stoppedOr(fmt.Errorf("read the source: %w", err))
		}
		if _, err := rec.Transcript(); err == nil || rec.EndOfFile {
			continue
		}
		key := rec.Key()
		if key == rec.Place.String() {
			im.tally.read.Add(1)
			im.countUnmended(rec)
		} else if bad[key] == nil && (len(sel.IDs) == 0 || slices.Contains(sel.IDs, key)) {
			rec.Forget()
			bad[key], keys = rec, append(keys, key)
		}
	}
	for page := range slices.Chunk(keys, fetchPage) {
		var rows []checkpoint.Row
		err := im.patiently(im.fetching, "read the checkpoint", func(ctx context.Context) (err error) {
			rows, err = im.cfg.Store.Select(ctx, im.cfg.Source, im.id, checkpoint.Filter{
				Statuses: sel.statuses(), Codes: sel.Codes, IDs: page, WithPartial: sel.partialKinds()})
			return err
		})
		if err != nil {
			return im.stoppedOr(err)
		}
		for _, row := range rows {
			if rec := bad[row.ID]; row.RunID != im.id && sel.wants(row) && im.leavesBad(row, rec) {
				im.tally.read.Add(1)
				im.countUnmended(rec)
			}
		}
	}
	return nil
}

// replace settles, before a mended record may be sent, the record that it replaces. Whoever crashes after that leaves the new
// one pending, and the same file finishes it. It returns why the new one must not be sent.
func (im *Importer) replace(t *task) (*source.RejectError, error) {
	key := t.rec.Original
	if key == "" || key == t.key {
		return nil, nil
	}
	for {
		rows, err := im.lookup(im.fetching, key)
		if err != nil {
			return nil, im.stoppedOr(err)
		}
		was, known := rows[key]
		if bad := cannotReplace(t.key, checkpoint.Row{}, was); bad != nil || !known || was.ErrorCode == codeMended {
			return bad, nil
		}
		if !was.Held && was.ClaimedBy != im.id {
			if done, err := im.settleReplaced(was, t.key); done || err != nil {
				return nil, err
			}
		}
		if !pauseFor(im.fetching, pollEvery) { // somebody works on it
			return nil, errStopped
		}
	}
}

// isMended says whether the record that is known by a key was imported as the transcript with an id.
func (im *Importer) isMended(ctx context.Context, key, id string) (bool, error) {
	rows, err := im.lookup(ctx, key)
	return rows[key].ErrorCode == codeMended && rows[key].Error == mendedAs(id), err
}

// settleReplaced records as which transcript a record goes on. It says false if somebody else was faster.
func (im *Importer) settleReplaced(was checkpoint.Row, id string) (bool, error) {
	request := checkpoint.ClaimRequest{ID: was.ID, Seen: was.Claim, SeenAt: was.UpdatedAt, ContentHash: was.ContentHash, ClosedAt: was.ClosedAt}
	claims, err := im.claim([]checkpoint.ClaimRequest{request})
	if err != nil {
		return false, err
	}
	if claims[0] == 0 {
		return false, nil
	}
	t := newTask(nil, claimed(was, request, claims[0]))
	c := t.change(checkpoint.Skip)
	c.ErrorCode, c.Error = codeMended, mendedAs(id)
	_, err = im.record(t, c)
	if errors.Is(err, errLostClaim) {
		return false, nil
	}
	return err == nil, err
}
