package importer

import "sync"

// group does one kind of work for many callers together: while it works on one batch, what comes in gathers for the next.
// So a lone item waits for nobody, and many share one piece of work.
type group[T any] struct {
	most int // items in a batch
	work func(batch []T) error

	mu      sync.Mutex
	waiting []grouped[T]
	busy    bool
}

type grouped[T any] struct {
	item T
	done chan<- error
}

// do returns when the work on the item is done, with the error of its batch.
func (g *group[T]) do(item T) error {
	done := make(chan error, 1)
	g.mu.Lock()
	g.waiting = append(g.waiting, grouped[T]{item, done})
	if !g.busy {
		g.busy = true
		go g.run()
	}
	g.mu.Unlock()
	return <-done
}

// run works until nothing is left.
func (g *group[T]) run() {
	for {
		g.mu.Lock()
		n := min(len(g.waiting), g.most)
		if n == 0 {
			g.busy = false
			g.mu.Unlock()
			return
		}
		batch := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		g.mu.Unlock()
		items := make([]T, n)
		for i, e := range batch {
			items[i] = e.item
		}
		err := g.work(items)
		for _, e := range batch {
			e.done <- err
		}
	}
}
