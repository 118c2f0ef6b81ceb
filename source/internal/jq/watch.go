package jq

import (
	"context"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

// watch ends runs that make the heap of the process grow too much. While a run lasts longer than a tick, one goroutine looks at the heap.
var watch watcher

const watchTick = 20 * time.Millisecond

type watcher struct {
	mu     sync.Mutex
	runs   map[*watched]struct{} // guarded by mu
	active bool                  // the goroutine runs; guarded by mu
}

type watched struct {
	cancel context.CancelCauseFunc
	base   int64 // bytes of the heap when the first tick saw the run, -1 before
	bound  int64
}

// begin returns a context that is cancelled with errMemory if the heap grows by more than bound bytes before stop is called.
func (w *watcher) begin(parent context.Context, bound int64) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	run := &watched{cancel: cancel, base: -1, bound: bound}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.runs == nil {
		w.runs = map[*watched]struct{}{}
	}
	w.runs[run] = struct{}{}
	if !w.active {
		w.active = true
		time.AfterFunc(watchTick, w.tick)
	}
	return ctx, func() {
		w.mu.Lock()
		delete(w.runs, run)
		w.mu.Unlock()
		cancel(nil)
	}
}

// tick looks at the heap, and comes again as long as there are runs.
func (w *watcher) tick() {
	now := heapBytes()
	w.mu.Lock()
	defer w.mu.Unlock()
	collected := false
	for run := range w.runs {
		if run.base < 0 {
			run.base = now
		}
		if now-run.base > run.bound && !collected { // what is garbage by now does not count
			w.mu.Unlock()
			runtime.GC()
			now, collected = heapBytes(), true
			w.mu.Lock()
		}
		if now-run.base > run.bound {
			run.cancel(errMemory)
		}
	}
	if w.active = len(w.runs) > 0; w.active {
		time.AfterFunc(watchTick, w.tick)
	}
}

func heapBytes() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64()) //nolint:gosec // a heap of 2^63 bytes does not exist
}
