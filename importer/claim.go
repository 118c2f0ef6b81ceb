package importer

import (
	"cmp"
	"context"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// addClaim adds a record to the claims of the batch. An exempt one, which is not imported (rejected, open, empty), does not count towards
// the limit.
func (s *triage) addClaim(c pendingClaim, exempt bool) error {
	it, key := c.it, c.rec.Key()
	if _, ours := s.requested[key]; ours { // such as an open chat and its closed version in one batch
		s.postpone(it)
		return nil
	}
	if s.im.s.Limit > 0 && !exempt {
		if s.started >= s.im.s.Limit {
			if !it.counted {
				s.im.tally.read.Add(-1)
			}
			return errLimit
		}
		s.started++
	}
	var known bool
	if c.row, known = s.known.Rows[key]; !known {
		c.row = checkpoint.Row{ID: key, Claim: -1}
	}
	it.kept = true
	s.requested[key] = c.rec.Hash.String()
	s.claims = append(s.claims, c)
	return nil
}

// flush claims the records of the batch and starts their tasks. Those that another run holds go to the backlog.
func (s *triage) flush() error {
	if touched := s.touched; len(touched) > 0 {
		s.touched = nil
		err := s.im.s.Patiently(s.im.s.Starting, "write the checkpoint", func(ctx context.Context) error {
			return s.im.s.Store.Touch(ctx, s.im.s.Source, s.im.s.RunID, touched)
		})
		if err != nil {
			s.im.returnClaims(s.claims)
			s.claims = s.claims[:0]
			return s.im.s.StoppedOr(err)
		}
	}
	if len(s.claims) == 0 {
		return nil
	}
	claims := s.claims
	s.claims = s.claims[:0]
	requests := make([]checkpoint.ClaimRequest, len(claims))
	for i, c := range claims {
		rec := c.rec
		requests[i] = checkpoint.ClaimRequest{ID: rec.Key(), Seen: c.row.Claim, SeenAt: c.row.UpdatedAt, ContentHash: rec.Hash.String(), ClosedAt: rec.ClosedAt, Sent: c.sent, CameFrom: s.im.pipeline.cameFrom(rec)}
		if rec.ID == "" {
			requests[i].File = rec.Place.Path
		}
		if t, err := rec.Transcript(); err == nil {
			requests[i].ClosedAt = t.ClosedAt
		}
	}
	rows, err := s.im.pipeline.claim(requests)
	if err != nil {
		s.im.returnClaims(claims)
		return err
	}
	tasks := make([]*task, 0, len(claims))
	for i, c := range claims {
		if rows[i].Claim == 0 {
			s.im.pipeline.backlog.add(c.it)
			continue
		}
		t := newTask(requests[i].ID, c.rec, rows[i])
		t.held = c.it.held
		tasks = append(tasks, t)
	}
	s.im.pipeline.startAll(s.ctx, tasks)
	return nil
}

// cameFrom returns where a record was read: its file, or the source's name.
func (p *pipeline) cameFrom(rec *source.Record) string { return cmp.Or(rec.CameFrom(), p.s.Source) }

// claim claims transcripts for this run and returns their rows. The row of a transcript that it could not claim is zero.
func (p *pipeline) claim(requests []checkpoint.ClaimRequest) (rows []checkpoint.Row, err error) {
	err = p.s.Patiently(p.s.Starting, "claim transcripts", func(ctx context.Context) (err error) {
		rows, err = p.s.Store.Claim(ctx, p.s.Source, p.s.RunID, requests)
		return err
	})
	return rows, p.s.StoppedOr(err)
}

// returnClaims puts records that could not be claimed into the backlog.
func (im *Importer) returnClaims(claims []pendingClaim) {
	for _, c := range claims {
		im.pipeline.backlog.add(c.it)
	}
}
