package importer

import (
	"context"
	"runtime"
	"time"

	"dixa-import/importer/checkpoint"
)

// writeBatch is how many writes one transaction takes at most.
const writeBatch = 256

// writer records the changes of all workers: while one transaction commits, the changes that come in gather for the next.
// So a lone change waits for nobody, and many share one commit.
type writer struct {
	im   *Importer
	in   chan write
	done chan struct{}
	ctx  context.Context // outlives the run's by flushTime, so that results in hand can be written
}

type write struct {
	changes []checkpoint.Change
	reply   chan<- written
}

type written struct {
	results []checkpoint.Result
	began   time.Time // when the transaction began that recorded the changes
	err     error
}

// flushTime is how long results in hand may still be written after work was abandoned.
const flushTime = 5 * time.Second

func startWriter(ctx context.Context, im *Importer) *writer {
	flush, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &writer{im: im, in: make(chan write, writeBatch), done: make(chan struct{}), ctx: flush}
	go func() {
		defer close(w.done)
		defer cancel()
		timer := context.AfterFunc(ctx, func() {
			select {
			case <-time.After(flushTime):
				cancel()
			case <-flush.Done():
			}
		})
		defer timer()
		w.loop()
	}()
	return w
}

// stop waits until everything is written. Nobody may call do any more.
func (w *writer) stop() {
	close(w.in)
	<-w.done
}

// do records changes in their order and returns what became of each. It goes on even if work is
// abandoned: what is known is recorded.
func (w *writer) do(changes ...checkpoint.Change) written {
	reply := make(chan written, 1)
	w.in <- write{changes, reply}
	return <-reply
}

func (w *writer) loop() {
	for first := range w.in {
		batch := []write{first}
		for more := true; more; {
			runtime.Gosched() // the workers that are about to record something join in
			batch, more = w.gather(batch)
		}
		w.commit(batch)
	}
}

// gather appends the writes that are there already, and says whether there were any.
func (w *writer) gather(batch []write) (_ []write, more bool) {
	for len(batch) < writeBatch {
		select {
		case next, ok := <-w.in:
			if !ok {
				return batch, false
			}
			batch, more = append(batch, next), true
		default:
			return batch, more
		}
	}
	return batch, false
}

func (w *writer) commit(batch []write) {
	changes := make([]checkpoint.Change, 0, 2*len(batch))
	for _, b := range batch {
		changes = append(changes, b.changes...)
	}
	var results []checkpoint.Result
	var began time.Time
	err := w.im.patiently(w.ctx, "write the checkpoint", func(ctx context.Context) (err error) {
		began = time.Now()
		results, err = w.im.cfg.Store.Write(ctx, w.im.cfg.Source, w.im.id, changes)
		return err
	})
	if err == nil {
		w.im.times.add(stepCommit, time.Since(began))
	}
	for _, b := range batch {
		if err != nil {
			b.reply <- written{err: err}
			continue
		}
		b.reply <- written{results: results[:len(b.changes)], began: began}
		results = results[len(b.changes):]
	}
}
