package importer

import (
	"context"
	"sync"
)

// backlog holds the records that cannot be decided yet: another run holds them, or we ourselves do under the same id.
type backlog struct {
	mu    sync.Mutex
	items []*item
}

func (b *backlog) add(it *item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	it.again = true
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

// drop empties the backlog and says how many there were.
func (b *backlog) drop() int { return len(b.take()) }

// poll decides the backlog once more.
func (s *sifter) poll() error {
	items := s.im.backlog.take()
	for len(items) > 0 {
		n := min(len(items), siftBatch)
		if err := s.sift(items[:n]); err != nil {
			for _, it := range items[n:] {
				s.im.backlog.add(it)
			}
			return err
		}
		items = items[n:]
	}
	return nil
}

// drain decides what lost its claim to another run during the sweep.
func (im *Importer) drain(ctx context.Context) error {
	if im.cfg.Limit > 0 {
		return nil
	}
	return (&sifter{im: im, ctx: ctx}).drainBacklog()
}

// drainBacklog waits until every record is decided: the transcripts that other runs hold, too.
func (s *sifter) drainBacklog() error {
	for {
		if err := s.poll(); err != nil {
			return ignoreLimit(err)
		}
		if s.im.backlog.size() > 0 {
			if !pauseFor(s.im.fetching, pollEvery) {
				return nil
			}
			continue
		}
		s.im.tasks.Wait() // a task that lost its claim puts its record back
		if s.im.backlog.size() == 0 {
			return nil
		}
	}
}
