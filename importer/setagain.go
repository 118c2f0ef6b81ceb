package importer

import (
	"context"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/remap"
)

// setAgain sets the attributes and tags of transcripts that map to other values than their conversations were given last, and finishes those whose
// attributes an earlier run was about to set.
func (im *Importer) setAgain(ctx context.Context) error {
	r := &remap.Reader{Session: im.s, Memory: im.pipeline.memory, Known: im.pipeline.known()}
	err := r.Each(func(batch []remap.Transcript) error { return im.startRemapped(ctx, batch) })
	im.tally.read.Add(r.Counts.Changed.Load() + r.Counts.Repeated.Load())
	im.tally.alreadyDone.Add(r.Counts.Changed.Load())
	im.tally.changed.Add(r.Counts.Changed.Load())
	im.tally.duplicate.Add(r.Counts.Repeated.Load())
	if n := r.Counts.Others.Load(); n > 0 {
		im.s.Log.Info("some records are not imported yet, or another run works on them: `dixa-import run` imports them", "count", n)
	}
	return ignoreLimit(im.s.StoppedOr(err))
}

// startRemapped claims those of a batch that lack something, and starts the work on them.
func (im *Importer) startRemapped(ctx context.Context, batch []remap.Transcript) error {
	var claims []remap.Transcript
	var requests []checkpoint.ClaimRequest
	for _, t := range batch {
		im.tally.read.Add(1)
		if !t.Due() {
			im.tally.alreadyDone.Add(1)
			t.Held.Release()
			continue
		}
		claims = append(claims, t)
		requests = append(requests, checkpoint.ClaimRequest{ID: t.Row.ID, Seen: t.Row.Claim, SeenAt: t.Row.UpdatedAt, As: checkpoint.Imported})
	}
	if len(claims) == 0 {
		return nil
	}
	rows, err := im.pipeline.claim(requests)
	if err != nil {
		im.tally.addPending(len(claims))
		return err
	}
	tasks := make([]*task, 0, len(claims))
	for i, c := range claims {
		held := c.Held
		if rows[i].Claim == 0 { // another process works on it
			im.tally.addPending(1)
			held.Release()
			continue
		}
		t := newTask(c.Row.ID, c.Record, rows[i])
		t.held = held
		if c.Row.Status != checkpoint.Imported {
			t.onlyValues, t.repairAttributes = true, c.Lacking.Names(im.s.Custom)
		}
		tasks = append(tasks, t)
	}
	im.pipeline.startAll(ctx, tasks)
	return nil
}
