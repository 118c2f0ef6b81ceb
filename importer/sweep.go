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
	rows = slices.DeleteFunc(rows, func(row checkpoint.Row) bool { return row.RunID == im.id }) // this run has done what it could
	records, err := im.fetch(rows)
	if errors.Is(err, source.ErrCannotReread) {
		im.Stop("transcripts that an earlier run left in doubt are not in standard input: give them again, or run with the files themselves")
		im.tally.read.Add(int64(len(rows)))
		im.tally.leave(len(rows))
		return nil
	}
	if err != nil {
		return err
	}
	pairs := make([]claimPair, len(rows))
	for i, row := range rows {
		pairs[i] = claimPair{row, checkpoint.ClaimRequest{ID: row.ID, Seen: row.Claim}}
	}
	return ignoreLimit(im.startClaimed(ctx, pairs, records))
}

// fetch returns the records of rows that the source still holds, by key.
func (im *Importer) fetch(rows []checkpoint.Row) (map[string]*source.Record, error) {
	records := make(map[string]*source.Record, len(rows))
	if len(rows) == 0 {
		return records, nil
	}
	keys := make([]string, len(rows))
	for i, row := range rows {
		keys[i] = row.ID
	}
	for rec, err := range im.cfg.Reader.Fetch(im.fetching, keys) {
		if err != nil {
			return nil, im.stoppedOr(fmt.Errorf("read the source: %w", err))
		}
		records[rec.Key()] = rec
	}
	return records, nil
}

// claimPair is a row that was looked up, and how it is to be claimed.
type claimPair struct {
	row     checkpoint.Row
	request checkpoint.ClaimRequest
}

// startClaimed claims rows that were not met by reading, and starts the work on those that it gets. Another run goes on with
// the others.
func (im *Importer) startClaimed(ctx context.Context, pairs []claimPair, records map[string]*source.Record) error {
	for len(pairs) > 0 {
		now := pairs[:min(len(pairs), claimBatch)]
		pairs = pairs[len(now):]
		requests := make([]checkpoint.ClaimRequest, len(now))
		for i, p := range now {
			requests[i] = p.request
		}
		var numbers []int64
		err := im.patiently(im.fetching, "claim transcripts", func(ctx context.Context) (err error) {
			numbers, err = im.cfg.Store.Claim(ctx, im.cfg.Source, im.id, requests)
			return err
		})
		if err != nil {
			return im.stoppedOr(err)
		}
		for i, p := range now {
			if numbers[i] == 0 {
				continue
			}
			im.tally.read.Add(1)
			t := newTask(records[p.row.ID], claimed(p.row, p.request, numbers[i]))
			if err := im.arrange(t, p.row); err != nil {
				im.tally.leave(1)
				return err
			}
			im.start(ctx, t)
		}
	}
	return nil
}
