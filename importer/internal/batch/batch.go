// Package batch does one kind of work for many callers together: while one batch is worked on, what comes in gathers for the next.
// So a lone item waits for nobody, and many share one piece of work.
//
// There is no goroutine beside the callers: the first of a batch does its work, and then hands over to the first of the next.
package batch

import (
	"runtime"
	"sync"
)

// Group gathers items of type T and gives a result of type R for each.
type Group[T, R any] struct {
	most int
	work func(batch []T) ([]R, error)

	mu      sync.Mutex // guards what follows
	waiting []*entry[T, R]
	busy    bool // somebody works on a batch, or is about to
}

type entry[T, R any] struct {
	item T
	news chan news[R] // one piece
}

// news is the result of an item, or that its caller works on the next batch.
type news[R any] struct {
	result R
	err    error
	lead   bool
}

// New returns a Group that takes at most so many items at once. work returns as many results as there are items, in their order, or
// the error that all of them get.
func New[T, R any](most int, work func(batch []T) ([]R, error)) *Group[T, R] {
	return &Group[T, R]{most: most, work: work}
}

// Do returns the result of the item when its batch is done. It may be called from several goroutines.
func (g *Group[T, R]) Do(item T) (R, error) {
	e := &entry[T, R]{item, make(chan news[R], 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, e)
	leads := !g.busy
	g.busy = true
	g.mu.Unlock()
	if !leads {
		if n := <-e.news; !n.lead {
			return n.result, n.err
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
		e.news <- news[R]{result: results[i+1], err: err}
	}
	g.mu.Lock()
	if g.busy = len(g.waiting) > 0; g.busy {
		g.waiting[0].news <- news[R]{lead: true}
	}
	g.mu.Unlock()
	return results[0], err
}

// gather takes the next batch, once nobody else is about to join it.
func (g *Group[T, R]) gather() []*entry[T, R] {
	for before := 0; ; {
		runtime.Gosched() // those who are about to call Do join in
		g.mu.Lock()
		if n := len(g.waiting); n == before || n >= g.most {
			n = min(n, g.most)
			batch := g.waiting[:n:n]
			g.waiting = g.waiting[n:]
			g.mu.Unlock()
			return batch
		}
		before = len(g.waiting)
		g.mu.Unlock()
	}
}
