// Package reading reads the records of a source in batches and within a memory limit. A run, a plan and a comparison use it.
package reading

import (
	"context"
	"fmt"
	"time"

	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// BatchSize is the maximum number of records in a batch.
const BatchSize = 512

// Item is a record and the reservation for its bytes.
type Item struct {
	Record *source.Record
	Held   Hold
}

// Start returns the time to read from, and whether reading moves the watermark. lost says that the checkpoint knows less than Dixa:
// then its watermark cannot be trusted either.
func Start(ctx context.Context, s *session.Session, lost bool) (since time.Time, moves bool, err error) {
	if !s.Reader.Ordered() {
		return time.Time{}, false, nil
	}
	if s.Full || s.Reconcile && lost && s.Since.IsZero() {
		return time.Time{}, true, nil
	}
	var ahead bool
	err = s.Patiently(ctx, "read the watermark", func(ctx context.Context) (err error) {
		since, ahead, err = s.Store.Watermark(ctx, s.Source)
		return err
	})
	if err != nil {
		return since, false, err
	}
	if ahead {
		s.Log.Warn("the watermark is in the future, because of records with a future closed_at: reading the whole source once")
	}
	if !since.IsZero() {
		since = since.Add(-s.Overlap)
	}
	if !s.Since.IsZero() {
		return s.Since, !s.Since.After(since), nil
	}
	return since, true, nil
}

// Records reads the source in a goroutine of its own, as far ahead as memory allows, until Session.Starting ends. The error arrives after
// the records. When reading is cancelled, nobody waits for the goroutine: a read of standard input cannot be interrupted.
func Records(s *session.Session, m *Memory, since time.Time) (<-chan Item, <-chan error) {
	records, failed := make(chan Item, BatchSize), make(chan error, 1)
	go func() {
		defer close(records)
		for rec, err := range s.Reader.Read(s.Starting, since) {
			if err != nil {
				failed <- fmt.Errorf("read the source: %w", err)
				return
			}
			held, err := m.Hold(s.Starting, rec.Size())
			if err != nil {
				failed <- nil
				return
			}
			held.done = rec.Done
			select {
			case records <- Item{rec, held}:
			case <-s.Starting.Done():
				failed <- nil
				return
			}
		}
		failed <- nil
	}()
	return records, failed
}

// Batch waits for a record and adds the records that are ready, up to BatchSize. It returns an empty batch when wake fires. ended says that
// there are no more records.
func Batch(ctx context.Context, records <-chan Item, wake <-chan time.Time) (batch []Item, ended bool) {
	select {
	case it, ok := <-records:
		if !ok || ctx.Err() != nil {
			return nil, true
		}
		batch = append(make([]Item, 0, BatchSize), it)
	case <-wake:
		return nil, false
	case <-ctx.Done():
		return nil, true
	}
	for len(batch) < BatchSize {
		select {
		case it, ok := <-records:
			if !ok {
				return batch, false // the next call finds the end
			}
			batch = append(batch, it)
		default:
			return batch, false
		}
	}
	return batch, false
}
