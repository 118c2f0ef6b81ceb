package live

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"dixa-import/importer/checkpoint"
)

// payloadLog is a DeliveryLog in memory.
type payloadLog struct {
	payloads [][]byte
	err      error // after them
}

func (l payloadLog) Payloads(context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, p := range l.payloads {
			if !yield(p, nil) {
				return
			}
		}
		if l.err != nil {
			yield(nil, l.err)
		}
	}
}

func TestCatchUp(t *testing.T) {
	each(t, func(w *world) {
		w.imported("t-1", 100)
		in := w.intake(nil)
		log := payloadLog{payloads: [][]byte{message("a", 100, time.Now()), []byte("{"), message("b", 100, time.Now()), message("a", 100, time.Now()), message("old", 999, time.Now().Add(-2*time.Hour))}}
		if _, err := in.Take(w.Context(), message("b", 100, time.Now())); err != nil {
			w.Fatal(err)
		}
		for i, want := range []CaughtUp{{Read: 5, New: 1, Malformed: 1}, {Read: 5, Malformed: 1}} {
			if n, err := in.CatchUp(w.Context(), log); err != nil || n != want {
				w.Errorf("time %d: %+v, %v, want %+v", i, n, err, want)
			}
		}
		failed := errors.New("no rights")
		log = payloadLog{[][]byte{message("c", 100, time.Now())}, failed}
		if n, err := in.CatchUp(w.Context(), log); !errors.Is(err, failed) || n.New != 1 {
			w.Errorf("%+v, %v", n, err)
		}
		if events := w.events(); len(events) != 3 {
			w.Errorf("%d events are stored", len(events))
		}
	})
}

// TestFollow catches up at once and until it is stopped.
func TestFollow(t *testing.T) {
	w := onSQLite(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.imported("t-1", 100)
	rounds := make(chan int)
	var following errgroup.Group
	following.Go(func() error {
		w.intake(nil).Follow(ctx, time.Millisecond, roundLog{payloadLog{[][]byte{message("a", 100, time.Now())}, errors.New("no rights")}, rounds})
		return nil
	})
	for range 3 {
		<-rounds
	}
	cancel()
	go func() {
		for range rounds {
		}
	}()
	_ = following.Wait()
	close(rounds)
	if events := w.events(); events["a"].State != checkpoint.EventWaiting {
		t.Errorf("stored: %+v", events)
	}
	if n := strings.Count(w.logs.String(), "could not be read"); n != 1 {
		t.Errorf("the failure is logged %d times", n)
	}
}

type roundLog struct {
	payloadLog
	rounds chan int
}

func (l roundLog) Payloads(ctx context.Context) iter.Seq2[[]byte, error] {
	l.rounds <- 1
	return l.payloadLog.Payloads(ctx)
}
