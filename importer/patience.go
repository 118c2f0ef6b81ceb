package importer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"dixa-import/importer/checkpoint"
)

// DatabaseError says that the checkpoint database could not be used, or stayed away for longer than the run may wait.
type DatabaseError struct {
	Doing string
	Err   error
}

func (e *DatabaseError) Error() string {
	var binding *checkpoint.BindingError
	var busy *checkpoint.BusyError
	if errors.As(e.Err, &binding) || errors.As(e.Err, &busy) {
		return e.Err.Error() // these say all there is to say
	}
	return fmt.Sprintf("%s: %v; nothing is lost: mend the database and run again", e.Doing, e.Err)
}

func (e *DatabaseError) Unwrap() error { return e.Err }

// databaseTimeout bounds one attempt at a statement, so that a connection that swallows everything is noticed.
const databaseTimeout = 30 * time.Second

// patiently does something with the checkpoint, again and again while the database is away, for DatabasePatience.
func (im *Importer) patiently(ctx context.Context, doing string, do func(context.Context) error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 3*time.Second
	var since time.Time
	for {
		try, cancel := context.WithTimeout(ctx, databaseTimeout)
		err := do(try)
		cancel()
		if err == nil {
			im.away.over(im.log)
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !checkpoint.Retryable(err) && !errors.Is(err, context.DeadlineExceeded) {
			return &DatabaseError{Doing: doing, Err: err}
		}
		if since.IsZero() {
			since = time.Now()
			im.away.begin(im.log, doing, err)
		}
		if time.Since(since) > im.cfg.DatabasePatience {
			return &DatabaseError{Doing: doing, Err: fmt.Errorf("the database was away for %v: %w", im.cfg.DatabasePatience, err)}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause.NextBackOff()):
		}
	}
}

// outage is a time when the checkpoint was away. It is logged once, however many wait for its end.
type outage struct {
	lasting atomic.Bool // so that nobody locks while all is well
	mu      sync.Mutex
	since   time.Time
}

func (o *outage) begin(log *slog.Logger, doing string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.lasting.Swap(true) {
		o.since = time.Now()
		log.Warn("the checkpoint database is away: waiting for it", "doing", doing, "error", err.Error())
	}
}

func (o *outage) over(log *slog.Logger) {
	if !o.lasting.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lasting.Swap(false) {
		log.Info("the checkpoint database is back", "away", time.Since(o.since).Round(time.Second).String())
	}
}
