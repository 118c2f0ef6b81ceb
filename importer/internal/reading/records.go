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
	// Done is the conversation of the transcript if that is complete, and the record is the one that it was imported from; otherwise 0.
	Done int64
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
			case records <- Item{Record: rec, Held: held}:
			case <-s.Starting.Done():
				failed <- nil
				return
			}
		}
		failed <- nil
	}()
	return records, failed
}

// looksAhead is how many batches are looked up while the caller works on one.
const looksAhead = 3

// Batches collects records in batches, and finds out which are done, while the caller works on the batch before. It ends with the records, or
// with Session.Starting.
func Batches(s *session.Session, records <-chan Item) <-chan []Item {
	type looked struct {
		batch []Item
		done  chan struct{}
	}
	looking, batches := make(chan looked, looksAhead-1), make(chan []Item)
	go func() {
		defer close(looking)
		for ended := false; !ended; {
			var l looked
			if l.batch, ended = Batch(s.Starting, records); len(l.batch) == 0 {
				continue
			}
			l.done = make(chan struct{})
			go func() {
				defer close(l.done)
				markDone(s, l.batch)
			}()
			select {
			case looking <- l:
			case <-s.Starting.Done():
				return
			}
		}
	}()
	go func() {
		defer close(batches)
		for l := range looking {
			<-l.done
			select {
			case batches <- l.batch:
			case <-s.Starting.Done():
				return
			}
		}
	}()
	return batches
}

// markDone sets Done. If the checkpoint cannot be read, it sets none: whoever looks the records up gets the error.
func markDone(s *session.Session, batch []Item) {
	if s.Live {
		return
	}
	ids, hashes, at := make([]string, 0, len(batch)), make([]string, 0, len(batch)), make([]int, 0, len(batch))
	for i, it := range batch {
		if rec := it.Record; rec.ID != "" && rec.Hash != (source.Hash{}) {
			ids, hashes, at = append(ids, rec.ID), append(hashes, rec.Hash.String()), append(at, i)
		}
	}
	if len(ids) == 0 {
		return
	}
	conversations, err := s.Complete(ids, hashes)
	if err != nil {
		return
	}
	for n, i := range at {
		batch[i].Done = conversations[n]
	}
}

// Batch waits for a record and adds the records that are ready, up to BatchSize. ended says that there are no more records.
func Batch(ctx context.Context, records <-chan Item) (batch []Item, ended bool) {
	select {
	case it, ok := <-records:
		if !ok || ctx.Err() != nil {
			return nil, true
		}
		batch = append(make([]Item, 0, BatchSize), it)
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
