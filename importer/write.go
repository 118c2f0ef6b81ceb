package importer

import (
	"context"
	"time"

	"dixa-import/importer/checkpoint"
)

// writeBatch is the largest number of tasks whose changes go into one transaction.
const writeBatch = 256

// writeResult is the outcome of a task's changes.
type writeResult struct {
	results []checkpoint.Result
	began   time.Time // start of the transaction that recorded the changes
}

// write records the changes of several tasks in one transaction, each task's in order. It continues even after Working has ended, so that
// what is known is recorded.
func (p *pipeline) write(batch [][]checkpoint.Change) ([]writeResult, error) {
	changes := make([]checkpoint.Change, 0, 2*len(batch))
	for _, b := range batch {
		changes = append(changes, b...)
	}
	var results []checkpoint.Result
	var began time.Time
	err := p.s.Patiently(p.s.Recording, "write the checkpoint", func(ctx context.Context) (err error) {
		began = time.Now()
		results, err = p.s.Store.Write(ctx, p.s.Source, p.s.RunID, changes)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.times.add(stepCommit, time.Since(began))
	out := make([]writeResult, len(batch))
	for i, b := range batch {
		out[i] = writeResult{results[:len(b)], began}
		results = results[len(b):]
	}
	return out, nil
}
