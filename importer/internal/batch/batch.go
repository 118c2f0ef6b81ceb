// Package batch combines the work of many callers: while one batch is in progress, new items collect for the next one. So a single item
// never waits for others, and many items share one operation.
//
// It starts no goroutines: the caller of the first item in a batch does the work, and then hands over to the first of the next batch.
package batch

import (
	"runtime"
	"sync"
)

// Group collects items of type T into batches and returns a result of type R for each.
type Group[T, R any] struct {
	max  int // items in a batch
	work func(batch []T) ([]R, error)

	mu      sync.Mutex // guards what follows
	waiting []*entry[T, R]
	busy    bool // a caller is working on a batch, or is about to
}

type entry[T, R any] struct {
	item  T
	reply chan reply[R] // receives exactly one
}

// reply is the result of an item, or tells its caller to work on the next batch.
type reply[R any] struct {
	result R
	err    error
	lead   bool
}

// New returns a Group whose batches have at most maxItems items. work returns one result for each item, in order, or an error for all of
// them.
func New[T, R any](maxItems int, work func(batch []T) ([]R, error)) *Group[T, R] {
	return &Group[T, R]{max: maxItems, work: work}
}

// Do adds the item to a batch and returns its result when the batch is done. It may be called from several goroutines.
func (g *Group[T, R]) Do(item T) (R, error) {
	e := &entry[T, R]{item, make(chan reply[R], 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, e)
	leads := !g.busy
	g.busy = true
	g.mu.Unlock()
	if !leads {
		if r := <-e.reply; !r.lead {
			return r.result, r.err
		}
	}
	return g.lead()
}

// lead works on the batch whose first item is the caller's.
func (g *Group[T, R]) lead() (R, error) {
	batch := g.gather()
	items := make([]T, len(batch))
	for i, e := range batch {
		items[i] = e.item
	}
	results, err := g.work(items)
	if err != nil {
		results = make([]R, len(batch))
	}
	for i, e := range batch[1:] {
		e.reply <- reply[R]{result: results[i+1], err: err}
	}
	g.mu.Lock()
	if g.busy = len(g.waiting) > 0; g.busy {
		g.waiting[0].reply <- reply[R]{lead: true}
	}
	g.mu.Unlock()
	return results[0], err
}

// gather removes the next batch from the waiting items, once no caller is about to add another one.
func (g *Group[T, R]) gather() []*entry[T, R] {
	for before := 0; ; {
		runtime.Gosched() // lets callers that are about to call Do add their items
		g.mu.Lock()
		if n := len(g.waiting); n == before || n >= g.max {
			n = min(n, g.max)
			batch := g.waiting[:n:n]
			g.waiting = g.waiting[n:]
			g.mu.Unlock()
			return batch
		}
		before = len(g.waiting)
		g.mu.Unlock()
	}
}
