package session

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

// DatabaseError says that the checkpoint database could not be used, or was unavailable for longer than the run may wait.
type DatabaseError struct {
	Doing string
	Err   error
}

func (e *DatabaseError) Error() string {
	var binding *checkpoint.BindingError
	var busy *checkpoint.BusyError
	var gone *checkpoint.GoneError
	if errors.As(e.Err, &binding) || errors.As(e.Err, &busy) || errors.As(e.Err, &gone) {
		return e.Err.Error() // these are complete sentences with advice
	}
	return fmt.Sprintf("%s: %v; nothing is lost: fix the database and run again", e.Doing, e.Err)
}

func (e *DatabaseError) Unwrap() error { return e.Err }

// DatabaseTimeout limits one attempt at a statement, so that a connection that no longer answers is noticed.
const DatabaseTimeout = 30 * time.Second

// quickRetries is how often an attempt is repeated at once, on a new connection, before the database counts as unavailable.
const quickRetries = 2

// Patiently calls do, and repeats it while the checkpoint database is unavailable, for up to DatabasePatience. If ctx ends, the error is
// its cause; otherwise it is a *DatabaseError. doing is a verb phrase for the error and the log.
func (s *Session) Patiently(ctx context.Context, doing string, do func(context.Context) error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 3*time.Second
	var since time.Time
	for lost := 0; ; {
		try, cancel := context.WithTimeout(ctx, DatabaseTimeout)
		err := do(try)
		cancel()
		if err == nil {
			s.outage.end(s.Log)
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !checkpoint.Retryable(err) && !errors.Is(err, context.DeadlineExceeded) {
			return &DatabaseError{Doing: doing, Err: err}
		}
		if lost++; checkpoint.Lost(err) && lost <= quickRetries && since.IsZero() {
			continue
		}
		if since.IsZero() {
			since = time.Now()
			s.outage.begin(s.Log, doing, err)
		}
		if time.Since(since) > s.DatabasePatience {
			return &DatabaseError{Doing: doing, Err: fmt.Errorf("the database was unavailable for %v: %w", s.DatabasePatience, err)}
		}
		if !Pause(ctx, pause.NextBackOff()) {
			return context.Cause(ctx)
		}
	}
}

// WarnSlowCheckpoint logs, once a session, that requests to Dixa wait for the checkpoint. took is how long it took to answer.
func (s *Session) WarnSlowCheckpoint(took time.Duration) {
	s.slowWarned.Do(func() {
		s.Log.Warn("the checkpoint database is slow and holds up requests to Dixa: find out what keeps it busy", "took", took.Round(time.Millisecond).String())
	})
}

// outage is a period when the checkpoint was unavailable. It is logged once, however many goroutines wait for its end.
type outage struct {
	lasting atomic.Bool // avoids the lock while there is no outage
	mu      sync.Mutex
	since   time.Time
}

func (o *outage) begin(log *slog.Logger, doing string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.lasting.Swap(true) {
		o.since = time.Now()
		log.Warn("the checkpoint database is unavailable: waiting for it", "doing", doing, "error", err.Error())
	}
}

func (o *outage) end(log *slog.Logger) {
	if !o.lasting.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lasting.Swap(false) {
		log.Info("the checkpoint database is available again", "after", time.Since(o.since).Round(time.Second).String())
	}
}
