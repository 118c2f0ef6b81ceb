package importer

import (
	"context"
	"errors"
	"strconv"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// nextPart claims the messages that the record of a task has got since the version that was sent, and returns the task for them. The next run may not
// read the record again.
func (p *pipeline) nextPart(t *task) *task {
	done := t.row.Status == checkpoint.Complete || t.row.Status == checkpoint.Partial
	if !done || t.onlyValues || t.rec == nil || t.transcript == nil || t.rec.ID == "" || rules.SameHash(t.row.ContentHash, t.rec.Hash) || p.s.Starting.Err() != nil {
		return nil
	}
	next, err := p.claimPart(t.rec.Whole())
	switch {
	case err != nil && !errors.Is(err, session.ErrStopped):
		p.s.Abort(err)
	case next != nil:
		next.held, t.held = t.held, reading.Hold{}
	}
	return next
}

// claimPart claims the new messages of a record whose transcript is imported; nil if it has none, or they are not to be imported.
func (p *pipeline) claimPart(rec *source.Record) (*task, error) {
	known := p.known()
	if err := known.Load([]*source.Record{rec}); err != nil {
		return nil, err
	}
	verdict, part, from, _ := known.Policy.JudgeChanged(rec, known.Rows)
	if verdict != rules.ToImport {
		if verdict == rules.IsChanged && part != nil {
			p.tally.noteGrown(rec.ID)
		}
		return nil, nil //nolint:nilnil // there is nothing to do
	}
	request := checkpoint.ClaimRequest{ID: part.ID, Seen: -1, ContentHash: rec.Hash.String(), ClosedAt: rec.ClosedAt, Sent: from, CameFrom: p.cameFrom(rec)}
	if t, err := part.Transcript(); err == nil {
		request.ClosedAt = t.ClosedAt
	}
	if row, ok := known.Rows[part.ID]; ok {
		request.Seen, request.SeenAt = row.Claim, row.UpdatedAt
	}
	rows, err := p.claim([]checkpoint.ClaimRequest{request})
	if err != nil || rows[0].Claim == 0 { // another run has it
		return nil, err
	}
	p.tally.read.Add(1)
	return newTask(part.ID, part, rows[0]), nil
}

// known returns what decides about records by the rows of the checkpoint.
func (p *pipeline) known() rules.Known {
	return rules.Known{Policy: p.policy(), Lookup: func(keys ...string) (map[string]checkpoint.Row, error) {
		rows, err := p.s.Lookup(p.s.Starting, keys...)
		return rows, p.s.StoppedOr(err)
	}}
}

// leaveOutSent leaves the rating and the notes out of new messages that the conversations of the earlier ones have got.
func (p *pipeline) leaveOutSent(t *task) error {
	if t.transcript == nil || t.transcript.PartOf == "" || t.transcript.Rating == nil && len(t.transcript.Notes) == 0 {
		return nil
	}
	rated := false
	for n := 1; source.PartID(t.transcript.PartOf, n) != t.key; n++ {
		var steps []checkpoint.Step
		err := p.s.Patiently(p.s.Starting, "read the checkpoint", func(ctx context.Context) (err error) {
			steps, err = p.s.Store.StepsOf(ctx, p.s.Source, source.PartID(t.transcript.PartOf, n))
			return err
		})
		if err != nil {
			return p.s.StoppedOr(err)
		}
		for _, step := range steps {
			switch step.Name {
			case checkpoint.StepRating:
				rated = true
			case checkpoint.StepNotes:
				if count, err := strconv.Atoi(step.Detail); err == nil {
					t.notesBefore = max(t.notesBefore, count)
				}
			}
		}
	}
	for _, version := range []**source.Transcript{&t.transcript, &t.current} {
		if *version == nil {
			continue
		}
		rest := **version
		if rated {
			rest.Rating = nil
		}
		rest.Notes = rest.Notes[min(t.notesBefore, len(rest.Notes)):]
		*version = &rest
	}
	return nil
}
