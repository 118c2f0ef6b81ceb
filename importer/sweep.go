package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// sweep goes on with what earlier runs left in the middle and this one did not meet while reading: transcripts that may be on
// their way, or lack their attributes. Their records are fetched by id, whatever their age.
func (im *Importer) sweep(ctx context.Context) error {
	if im.cfg.Limit > 0 || im.cfg.Excerpt {
		return nil
	}
	for after := ""; im.fetching.Err() == nil; {
		var rows []checkpoint.Row
		err := im.patiently(im.fetching, "read the checkpoint", func(ctx context.Context) (err error) {
			rows, err = im.cfg.Store.Unfinished(ctx, im.cfg.Source, im.id, after, fetchPage)
			return err
		})
		if err != nil {
			return ignoreLimit(im.stoppedOr(err))
		}
		if len(rows) == 0 {
			return nil
		}
		after = rows[len(rows)-1].ID
		if err := im.sweepRows(ctx, rows); err != nil {
			return err
		}
	}
	return nil
}

func (im *Importer) sweepRows(ctx context.Context, rows []checkpoint.Row) error {
	rows = slices.DeleteFunc(rows, func(row checkpoint.Row) bool { return row.RunID == im.id }) // this run has done what it could
	err := im.again(ctx, rows, func(row checkpoint.Row, _ *source.Record) (checkpoint.ClaimRequest, bool) {
		return checkpoint.ClaimRequest{ID: row.ID, Seen: row.Claim, SeenAt: row.UpdatedAt}, true
	})
	if errors.Is(err, source.ErrCannotReread) {
		im.Stop("transcripts that an earlier run left in doubt are not in standard input: give them again, or run with the files themselves")
		im.tally.read.Add(int64(len(rows)))
		im.tally.leave(len(rows))
		return nil
	}
	return ignoreLimit(err)
}

// fetchPage is how many transcripts are fetched from the source in one go: for files, in one reading of them all.
const fetchPage = 10_000

// again fetches the records of rows, claims what how says is to be claimed, and starts the work on it. A record that the source
// does not hold any more is nil.
func (im *Importer) again(ctx context.Context, rows []checkpoint.Row, how func(checkpoint.Row, *source.Record) (checkpoint.ClaimRequest, bool)) error {
	if len(rows) == 0 {
		return nil
	}
	keys, wanted := make([]string, len(rows)), make(map[string]checkpoint.Row, len(rows))
	for i, row := range rows {
		keys[i], wanted[row.ID] = row.ID, row
	}
	var batch []claimPair
	take := func(row checkpoint.Row, rec *source.Record) error {
		delete(wanted, row.ID)
		request, ok := how(row, rec)
		if !ok {
			return nil
		}
		if batch = append(batch, claimPair{row, request, rec}); len(batch) < claimBatch {
			return nil
		}
		now := batch
		batch = nil
		return im.startClaimed(ctx, now)
	}
	for rec, err := range im.cfg.Reader.Fetch(im.fetching, keys) {
		if err == nil {
			if row, ok := rowOf(wanted, rec); ok {
				err = take(row, rec)
			}
		} else {
			err = fmt.Errorf("read the source: %w", err)
		}
		if err != nil {
			return im.stoppedOr(err)
		}
	}
	for _, row := range rows {
		if _, left := wanted[row.ID]; left {
			if err := take(row, nil); err != nil {
				return err
			}
		}
	}
	return im.startClaimed(ctx, batch)
}

// rowOf returns the row that a fetched record belongs to: that of its place, if it is the record that was rejected there, else
// that of its key. A record at the place of another one comes last.
func rowOf(wanted map[string]checkpoint.Row, rec *source.Record) (checkpoint.Row, bool) {
	at, there := wanted[rec.Place.String()]
	if there && sameHash(at.ContentHash, rec.Hash) {
		return at, true
	}
	if row, ok := wanted[rec.Key()]; ok {
		return row, true
	}
	return at, there
}

// claimPair is a row that was looked up, how it is to be claimed, and its record.
type claimPair struct {
	row     checkpoint.Row
	request checkpoint.ClaimRequest
	rec     *source.Record
}

// startClaimed claims rows that were not met by reading, and starts the work on those that it gets. Another run goes on with
// the others.
func (im *Importer) startClaimed(ctx context.Context, pairs []claimPair) error {
	if len(pairs) == 0 {
		return nil
	}
	requests := make([]checkpoint.ClaimRequest, len(pairs))
	for i, p := range pairs {
		requests[i] = p.request
	}
	numbers, err := im.claim(requests)
	if err != nil {
		return err
	}
	for i, p := range pairs {
		if numbers[i] == 0 {
			continue
		}
		im.tally.read.Add(1)
		t := newTask(p.rec, claimed(p.row, p.request, numbers[i]))
		if err := im.arrange(t, p.row); err != nil {
			im.tally.leave(1)
			return err
		}
		im.start(ctx, t)
	}
	return nil
}
