// Package reading reads the records of a source, in batches and within the memory that they may take, for those that decide about them: a
// run, a plan, a comparison.
package reading

import (
	"context"
	"fmt"
	"time"

	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// BatchSize is how many records a batch has at most.
const BatchSize = 512

// Item is a record, and the right to hold it.
type Item struct {
	Record *source.Record
	Held   Hold
}

// Start returns where reading starts, and whether what is read moves the watermark. lost says that the checkpoint knows less than Dixa:
// then the watermark is as wrong as the rest.
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
// the records. Nobody awaits the goroutine where reading is broken off: a read of standard input cannot be interrupted.
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

// Batch waits for a record and takes what else is there, or returns an empty batch when it is woken. ended says that there are
// no more.
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
