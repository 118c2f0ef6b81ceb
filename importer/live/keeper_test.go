package live

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// TestEventBeforeItsImport: an event that comes before its import is recorded is held, and forwarded once the import is recorded.
func TestEventBeforeItsImport(t *testing.T) {
	each(t, func(w *world) {
		signal := NewSignal()
		in := w.intake(func(c *IntakeConfig) { c.Stored = signal })
		b := newBot(t, nil)
		w.forwarder(b, func(c *ForwarderConfig) { c.Stored = signal })
		ctx, cancel := context.WithCancel(w.Context())
		defer cancel()
		var keeping errgroup.Group
		keeping.Go(func() error {
			NewKeeper(KeeperConfig{Store: w.store, Attach: 10 * time.Millisecond, Attached: signal, Logger: w.logger()}).Run(ctx)
			return nil
		})
		outcome, err := in.Take(w.Context(), message("early", 100, time.Now()))
		if err != nil || outcome != Held {
			w.Fatal(outcome, err)
		}
		w.imported("t-1", 100)
		b.accepted(1)
		cancel()
		_ = keeping.Wait()
	})
}

// TestKeeperPurges: texts that are too old go, whatever the state of their event.
func TestKeeperPurges(t *testing.T) {
	each(t, func(w *world) {
		in := w.intake(func(c *IntakeConfig) { c.Forward = false })
		w.stored(in, 1, 1)
		if outcome, err := in.Take(w.Context(), message("unknown", 999, time.Now())); err != nil || outcome != Held {
			w.Fatal(outcome, err)
		}
		ctx, cancel := context.WithCancel(w.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			NewKeeper(KeeperConfig{Store: w.store, Attach: time.Millisecond, Purge: time.Millisecond, Hold: time.Millisecond, Keep: 2 * time.Millisecond}).Run(ctx)
		}()
		w.until("all is purged", func() bool {
			events := w.events()
			return len(events) == 1 && events["0-0"].Text == ""
		})
		cancel()
		<-ended
	})
}
