package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// resumeUnfinished continues what earlier runs left unfinished and this one did not read: transcripts that may be on their way, or lack
// their attributes. It fetches their records by id, however old they are.
func (im *Importer) resumeUnfinished(ctx context.Context) error {
	if im.s.Limit > 0 || im.s.Excerpt {
		return nil
	}
	for after := ""; im.s.Starting.Err() == nil; {
		var rows []checkpoint.Row
		err := im.s.Patiently(im.s.Starting, "read the checkpoint", func(ctx context.Context) (err error) {
			rows, err = im.s.Store.Unfinished(ctx, im.s.Source, im.s.RunID, after, fetchPage)
			return err
		})
		if err != nil {
			return ignoreLimit(im.s.StoppedOr(err))
		}
		if len(rows) == 0 {
			return nil
		}
		after = rows[len(rows)-1].ID
		if err := im.resumeRows(ctx, rows); err != nil {
			return err
		}
	}
	return nil
}

func (im *Importer) resumeRows(ctx context.Context, rows []checkpoint.Row) error {
	rows = slices.DeleteFunc(rows, func(row checkpoint.Row) bool { return row.RunID == im.s.RunID }) // this run has tried already
	err := im.fetchAndClaim(ctx, rows, func(row checkpoint.Row, _ *source.Record) (checkpoint.ClaimRequest, bool) {
		return checkpoint.ClaimRequest{ID: row.ID, Seen: row.Claim, SeenAt: row.UpdatedAt}, true
	})
	if errors.Is(err, source.ErrCannotReread) {
		im.Stop("standard input does not have the transcripts that an earlier run left in doubt: provide them again, or run with the files themselves")
		im.tally.read.Add(int64(len(rows)))
		im.tally.addPending(len(rows))
		return nil
	}
	return ignoreLimit(err)
}

// fetchPage is how many transcripts are fetched from the source at once. With files, each fetch reads them all.
const fetchPage = 10_000

// fetchAndClaim fetches the records of rows, claims the rows for which requestFor returns true, and starts the work on them. A record that the
// source no longer has is nil.
func (im *Importer) fetchAndClaim(ctx context.Context, rows []checkpoint.Row, requestFor func(checkpoint.Row, *source.Record) (checkpoint.ClaimRequest, bool)) error {
	if len(rows) == 0 {
		return nil
	}
	wanted := make(map[string]checkpoint.Row, len(rows))
	for _, row := range rows {
		wanted[row.ID] = row
	}
	var batch []fetchedClaim
	start := func() error {
		now := batch
		batch = nil
		return im.startClaimed(ctx, now)
	}
	take := func(row checkpoint.Row, rec *source.Record) error {
		delete(wanted, row.ID)
		request, ok := requestFor(row, rec)
		if !ok {
			return nil
		}
		pair := fetchedClaim{row: row, request: request, rec: rec}
		if rec != nil {
			if pair.held, ok = im.pipeline.memory.TryHold(rec.Size()); !ok { // the records in the batch may hold all the memory
				if err := start(); err != nil {
					return err
				}
				var err error
				if pair.held, err = im.pipeline.memory.Hold(im.s.Starting, rec.Size()); err != nil {
					return err
				}
			}
		}
		if batch = append(batch, pair); len(batch) < claimBatch {
			return nil
		}
		return start()
	}
	for rec, err := range session.Fetch(im.s.Starting, im.s.Reader, rows) {
		if err == nil {
			if row, ok := rowOf(wanted, rec); ok {
				err = take(row, rec)
			}
		} else {
			err = fmt.Errorf("read the source: %w", err)
		}
		if err != nil {
			return im.s.StoppedOr(err)
		}
	}
	for _, row := range rows {
		if _, left := wanted[row.ID]; left {
			if err := take(row, nil); err != nil {
				return err
			}
		}
	}
	return start()
}

// rowOf returns the row that a fetched record belongs to: the row of its place if it is the record that was rejected there, otherwise the
// row of its key, and last the row of its place even if that was another record's.
func rowOf(wanted map[string]checkpoint.Row, rec *source.Record) (checkpoint.Row, bool) {
	place := rec.Place.String()
	if row, ok := wanted[source.ContentKey(place, rec.Hash.String())]; ok {
		rec.UseContent(true)
		return row, true
	}
	atPlace, found := wanted[place]
	if found && rules.SameHash(atPlace.ContentHash, rec.Hash) {
		return atPlace, true
	}
	if row, ok := wanted[rec.Key()]; ok {
		return row, true
	}
	return atPlace, found
}

// fetchedClaim is a row, the request to claim it, and its record.
type fetchedClaim struct {
	row     checkpoint.Row
	request checkpoint.ClaimRequest
	rec     *source.Record
	held    reading.Hold
}

// startClaimed claims fetched rows and starts the work on those that it gets. Another run is working on the rest.
func (im *Importer) startClaimed(ctx context.Context, pairs []fetchedClaim) error {
	if len(pairs) == 0 {
		return nil
	}
	requests := make([]checkpoint.ClaimRequest, len(pairs))
	for i, p := range pairs {
		requests[i] = p.request
	}
	rows, err := im.pipeline.claim(requests)
	if err != nil {
		return err
	}
	for i, p := range pairs {
		if rows[i].Claim == 0 {
			p.held.Release()
			continue
		}
		im.tally.read.Add(1)
		t := newTask(p.row.ID, p.rec, rows[i])
		t.held = p.held
		if err := im.pipeline.applyRetry(t, p.row); err != nil {
			im.tally.addPending(1)
			return err
		}
		im.pipeline.start(ctx, t)
	}
	return nil
}
