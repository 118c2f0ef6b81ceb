package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// countUncorrected counts a record that is still invalid after its correction.
func (im *Importer) countUncorrected(rec *source.Record) {
	im.tally.rejected.Add(1)
	var bad *source.RejectError
	if _, err := rec.Transcript(); errors.As(err, &bad) {
		im.tally.addCause(string(bad.Code))
		im.tally.warnSampled(logCause{"not corrected yet", string(bad.Code)})("not corrected yet", "transcript", rec.Key(), "place", rec.Place.String(), "code", string(bad.Code), "reason", bad.Reason)
	}
}

// staysUncorrected reports whether a retry skips a transcript because its record is invalid: the transcript is already in Dixa, or the
// record comes from a file of corrections.
func (im *Importer) staysUncorrected(row checkpoint.Row, rec *source.Record) bool {
	if _, err := rec.Transcript(); err == nil || im.s.Retry.Decision != Undecided {
		return false
	}
	return row.Status == checkpoint.Partial || im.s.Excerpt && slices.Contains(unsentStatuses, row.Status)
}

var unsentStatuses = []checkpoint.Status{checkpoint.Failed, checkpoint.Rejected, checkpoint.Pending}

// countUncorrectedRecords counts the invalid records in a file of corrections: those of selected transcripts, and those that cannot be
// assigned to a transcript.
func (im *Importer) countUncorrectedRecords(sel Selection) error {
	if !im.s.Excerpt || sel.Decision != Undecided {
		return nil
	}
	im.pipeline.tasks.Wait() // what a valid record corrects then belongs to this run
	bad, keys := map[string]*source.Record{}, []string{}
	for rec, err := range im.s.Reader.Read(im.s.Starting, time.Time{}) {
		if err != nil {
			return im.s.StoppedOr(fmt.Errorf("read the source: %w", err))
		}
		if _, err := rec.Transcript(); err == nil || rec.EndOfFile {
			continue
		}
		key := rec.Key()
		if key == rec.Place.String() {
			im.tally.read.Add(1)
			im.countUncorrected(rec)
		} else if bad[key] == nil && (len(sel.IDs) == 0 || slices.Contains(sel.IDs, key)) {
			rec.Forget()
			bad[key], keys = rec, append(keys, key)
		}
	}
	for page := range slices.Chunk(keys, fetchPage) {
		var rows []checkpoint.Row
		err := im.s.Patiently(im.s.Starting, "read the checkpoint", func(ctx context.Context) (err error) {
			rows, err = im.s.Store.Select(ctx, im.s.Source, im.s.RunID, checkpoint.Filter{
				Statuses: im.retryStatuses(sel), Codes: sel.Codes, IDs: page, WithPartial: partialKinds(sel)})
			return err
		})
		if err != nil {
			return im.s.StoppedOr(err)
		}
		for _, row := range rows {
			if rec := bad[row.ID]; row.RunID != im.s.RunID && needsRetry(sel, row) && im.staysUncorrected(row, rec) {
				im.tally.read.Add(1)
				im.countUncorrected(rec)
			}
		}
	}
	return nil
}

// replaceOriginal settles the record that a correction replaces, before the correction may be sent. If the run crashes in between, the
// correction stays pending, and the same file finishes it. It returns a *source.RejectError if the correction must not be sent.
func (p *pipeline) replaceOriginal(t *task) (*source.RejectError, error) {
	if t.rec.Original.Key == "" {
		return nil, nil
	}
	for {
		key, original, err := p.findOriginal(p.s.Starting, t.rec)
		if err != nil {
			return nil, p.s.StoppedOr(err)
		}
		if key == t.key {
			return nil, nil
		}
		known := original.Status != ""
		if bad := rules.CannotReplace(t.key, checkpoint.Row{}, original); bad != nil || original.ErrorCode == rules.CodeCorrected || !known && t.rec.Original.Place == "" {
			return bad, nil
		}
		if !known { // so that no other record can correct it under another id
			original = checkpoint.Row{ID: key, Claim: -1, ContentHash: t.rec.Original.Hash}
		}
		if !original.Held && original.ClaimedBy != p.s.RunID {
			if done, err := p.settleReplaced(original, t.key); done || err != nil {
				return nil, err
			}
		}
		if !session.Pause(p.s.Starting, pollEvery) { // another run or task works on it
			return nil, session.ErrStopped
		}
	}
}

// findOriginal returns the key of the record that rec corrects, and its row.
func (p *pipeline) findOriginal(ctx context.Context, rec *source.Record) (key string, original checkpoint.Row, err error) {
	rows, err := p.s.Lookup(ctx, rules.KeysOf(rec)...)
	if err != nil {
		return "", original, err
	}
	key, original = rules.Original(rec, rows)
	return key, original, nil
}

// settleReplaced records which transcript a record continues as. It returns false if another run or task claimed the record first.
func (p *pipeline) settleReplaced(original checkpoint.Row, id string) (bool, error) {
	request := checkpoint.ClaimRequest{ID: original.ID, Seen: original.Claim, SeenAt: original.UpdatedAt, ContentHash: original.ContentHash, ClosedAt: original.ClosedAt, Sent: original.Sent}
	rows, err := p.claim([]checkpoint.ClaimRequest{request})
	if err != nil {
		return false, err
	}
	if rows[0].Claim == 0 {
		return false, nil
	}
	t := newTask(original.ID, nil, rows[0])
	c := t.change(checkpoint.Skip)
	c.ErrorCode, c.Error = rules.CodeCorrected, rules.CorrectedAs(id)
	_, err = p.record(t, c)
	if errors.Is(err, errLostClaim) {
		return false, nil
	}
	return err == nil, err
}
