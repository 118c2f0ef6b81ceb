package importer

import (
	"context"

	"dixa-import/importer/checkpoint"
)

// claim puts a record on the list. What is not imported (rejected, open) does not count towards the limit.
func (s *sifter) claim(it *item, known, aside bool) error {
	key := it.rec.Key()
	if _, ours := s.asked[key]; ours { // such as an open chat and its closed version in one batch
		s.im.backlog.add(it)
		return nil
	}
	if s.im.cfg.Limit > 0 && !aside {
		if s.begun >= s.im.cfg.Limit {
			if !it.again {
				s.im.tally.read.Add(-1)
			}
			return errLimit
		}
		s.begun++
	}
	row := s.rows[key]
	if !known {
		row = checkpoint.Row{ID: key, Claim: -1}
	}
	s.asked[key] = it.rec.Hash.String()
	s.claims = append(s.claims, claim{it, row})
	return nil
}

// flush claims what is on the list and starts the work on it.
func (s *sifter) flush() error {
	if met := s.met; len(met) > 0 {
		s.met = nil
		err := s.im.patiently(s.im.fetching, "write the checkpoint", func(ctx context.Context) error {
			return s.im.cfg.Store.Touch(ctx, s.im.cfg.Source, s.im.id, met)
		})
		if err != nil {
			s.im.leaveClaims(s.claims)
			s.claims = s.claims[:0]
			return s.im.stoppedOr(err)
		}
	}
	if len(s.claims) == 0 {
		return nil
	}
	claims := s.claims
	s.claims = s.claims[:0]
	requests := make([]checkpoint.ClaimRequest, len(claims))
	for i, c := range claims {
		rec := c.it.rec
		requests[i] = checkpoint.ClaimRequest{ID: rec.Key(), Seen: c.row.Claim, SeenAt: c.row.UpdatedAt, ContentHash: rec.Hash.String(), ClosedAt: rec.ClosedAt}
		if rec.ID == "" {
			requests[i].File = rec.Place.Path
		}
		if t, err := rec.Transcript(); err == nil {
			requests[i].ClosedAt = t.ClosedAt
		}
	}
	numbers, err := s.im.claim(requests)
	if err != nil {
		s.im.leaveClaims(claims)
		return err
	}
	tasks := make([]*task, 0, len(claims))
	for i, c := range claims {
		if numbers[i] == 0 {
			s.im.backlog.add(c.it)
			continue
		}
		tasks = append(tasks, newTask(c.it.rec, claimed(c.row, requests[i], numbers[i])))
	}
	s.im.startAll(s.ctx, tasks)
	return nil
}

// claim claims transcripts for this run and returns the numbers of the claims, 0 for those that it did not get.
func (im *Importer) claim(requests []checkpoint.ClaimRequest) (numbers []int64, err error) {
	err = im.patiently(im.fetching, "claim transcripts", func(ctx context.Context) (err error) {
		numbers, err = im.cfg.Store.Claim(ctx, im.cfg.Source, im.id, requests)
		return err
	})
	return numbers, im.stoppedOr(err)
}

// lookup returns what the checkpoint knows of the transcripts with these keys.
func (im *Importer) lookup(ctx context.Context, keys ...string) (rows map[string]checkpoint.Row, err error) {
	err = im.patiently(ctx, "read the checkpoint", func(ctx context.Context) (err error) {
		rows, err = im.cfg.Store.Lookup(ctx, im.cfg.Source, im.id, keys)
		return err
	})
	return rows, err
}

// leaveClaims puts records back that could not be claimed.
func (im *Importer) leaveClaims(claims []claim) {
	for _, c := range claims {
		im.backlog.add(c.it)
	}
}

// claimed is the row as the claim has left it.
func claimed(row checkpoint.Row, r checkpoint.ClaimRequest, number int64) checkpoint.Row {
	row.Claim = number
	if r.As == checkpoint.Sending || r.As == checkpoint.Imported {
		row.Status = r.As
	}
	if row.Status == checkpoint.Sending || row.Status == checkpoint.Imported {
		return row
	}
	row.Status, row.ContentHash, row.ClosedAt = checkpoint.Pending, r.ContentHash, r.ClosedAt
	row.ErrorCode, row.Error = "", ""
	return row
}
