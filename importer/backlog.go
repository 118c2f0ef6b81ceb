package importer

import (
	"context"
	"sync"

	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/session"
)

// backlog holds records that cannot be decided yet: another run, or a task of this run with the same id, is working on them.
type backlog struct {
	mu    sync.Mutex
	items []*item
}

func (b *backlog) add(it *item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	it.counted, it.kept = true, true
	b.items = append(b.items, it)
}

func (b *backlog) take() []*item {
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items
	b.items = nil
	return items
}

func (b *backlog) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items)
}

// drop empties the backlog and returns how many records it held.
func (b *backlog) drop() int {
	items := b.take()
	for _, it := range items {
		it.held.Release()
	}
	return len(items)
}

// decideBacklog tries again to decide the records in the backlog.
func (s *triage) decideBacklog() error {
	items := s.im.pipeline.backlog.take()
	for len(items) > 0 {
		n := min(len(items), reading.BatchSize)
		if err := s.decideBatch(items[:n]); err != nil {
			for _, it := range items[n:] {
				s.im.pipeline.backlog.add(it)
			}
			return err
		}
		items = items[n:]
	}
	return nil
}

// drain decides the records that lost their claims to another run in resumeUnfinished.
func (im *Importer) drain(ctx context.Context) error {
	if im.s.Limit > 0 {
		return nil
	}
	return newTriage(ctx, im).drainBacklog()
}

// drainBacklog waits until every record is decided, including those that other runs hold.
func (s *triage) drainBacklog() error {
	s.im.pipeline.refusals.setNoMoreTasks(true)
	s.im.pipeline.reading.Store(false)
	for {
		if err := s.decideBacklog(); err != nil {
			return ignoreLimit(err)
		}
		if s.im.pipeline.backlog.size() > 0 {
			if !session.Pause(s.im.s.Starting, pollEvery) {
				return nil
			}
			continue
		}
		s.im.pipeline.tasks.Wait() // a task that loses its claim puts its record back
		if s.im.pipeline.backlog.size() == 0 {
			return nil
		}
	}
}
