package importer

import (
	"context"
	"errors"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// sweep goes on with what earlier runs left in the middle and this one did not meet while reading: transcripts that may be on
// their way, or lack their attributes. Their records are fetched by id, whatever their age.
func (im *Importer) sweep(ctx context.Context) error {
	if im.cfg.Limit > 0 {
		return nil
	}
	for after := ""; im.fetching.Err() == nil; {
		var rows []checkpoint.Row
		err := im.patiently(im.fetching, "read the checkpoint", func(ctx context.Context) (err error) {
			rows, err = im.cfg.Store.Unfinished(ctx, im.cfg.Source, im.id, after, siftBatch)
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
	wanted := map[string]checkpoint.Row{}
	var keys []string
	for _, row := range rows {
		if row.RunID != im.id { // else this run has done what it could
			wanted[row.ID] = row
			keys = append(keys, row.ID)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	records := map[string]*source.Record{}
	for rec, err := range im.cfg.Reader.Fetch(im.fetching, keys) {
		if errors.Is(err, source.ErrCannotReread) {
			im.Stop("transcripts that an earlier run left in doubt are not in standard input: give them again, or run with the files themselves")
			im.tally.read.Add(int64(len(keys)))
			im.tally.leave(len(keys))
			return nil
		}
		if err != nil {
			return im.stoppedOr(err)
		}
		records[rec.Key()] = rec
	}
	for len(keys) > 0 {
		n := min(len(keys), claimBatch)
		if err := im.sweepClaims(ctx, keys[:n], wanted, records); err != nil {
			return ignoreLimit(err)
		}
		keys = keys[n:]
	}
	return nil
}

func (im *Importer) sweepClaims(ctx context.Context, keys []string, rows map[string]checkpoint.Row, records map[string]*source.Record) error {
	requests := make([]checkpoint.ClaimRequest, len(keys))
	for i, key := range keys {
		requests[i] = checkpoint.ClaimRequest{ID: key, Seen: rows[key].Claim}
	}
	var numbers []int64
	err := im.patiently(im.fetching, "claim transcripts", func(ctx context.Context) (err error) {
		numbers, err = im.cfg.Store.Claim(ctx, im.cfg.Source, im.id, requests)
		return err
	})
	if err != nil {
		return im.stoppedOr(err)
	}
	for i, key := range keys {
		if numbers[i] == 0 {
			continue // another run goes on with it
		}
		im.tally.read.Add(1)
		im.start(ctx, newTask(records[key], claimed(rows[key], requests[i], numbers[i])))
	}
	return nil
}
