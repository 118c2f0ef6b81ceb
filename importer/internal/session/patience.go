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

// DatabaseError says that the checkpoint database could not be used, or stayed away for longer than the run may wait.
type DatabaseError struct {
	Doing string
	Err   error
}

func (e *DatabaseError) Error() string {
	var binding *checkpoint.BindingError
	var busy *checkpoint.BusyError
	var gone *checkpoint.GoneError
	if errors.As(e.Err, &binding) || errors.As(e.Err, &busy) || errors.As(e.Err, &gone) {
		return e.Err.Error() // these say all there is to say
	}
	return fmt.Sprintf("%s: %v; nothing is lost: fix the database and run again", e.Doing, e.Err)
}

func (e *DatabaseError) Unwrap() error { return e.Err }

// DatabaseTimeout bounds one attempt at a statement, so that a connection that swallows everything is noticed.
const DatabaseTimeout = 30 * time.Second

// lostAtOnce is how often something is tried again at once, on a fresh connection, before the database counts as away.
const lostAtOnce = 2

// Patiently does something with the checkpoint, again and again while the database is away, for DatabasePatience. When ctx ends, the
// error is the cause of that; else it is a *DatabaseError.
func (s *Session) Patiently(ctx context.Context, doing string, do func(context.Context) error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 3*time.Second
	var since time.Time
	for lost := 0; ; {
		try, cancel := context.WithTimeout(ctx, DatabaseTimeout)
		err := do(try)
		cancel()
		if err == nil {
			s.away.over(s.Log)
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !checkpoint.Retryable(err) && !errors.Is(err, context.DeadlineExceeded) {
			return &DatabaseError{Doing: doing, Err: err}
		}
		if lost++; checkpoint.Lost(err) && lost <= lostAtOnce && since.IsZero() {
			continue
		}
		if since.IsZero() {
			since = time.Now()
			s.away.begin(s.Log, doing, err)
		}
		if time.Since(since) > s.DatabasePatience {
			return &DatabaseError{Doing: doing, Err: fmt.Errorf("the database was away for %v: %w", s.DatabasePatience, err)}
		}
		if !Pause(ctx, pause.NextBackOff()) {
			return context.Cause(ctx)
		}
	}
}

// WarnSlowCheckpoint warns, once in a session, that requests wait for the checkpoint, which took so long to answer.
func (s *Session) WarnSlowCheckpoint(took time.Duration) {
	s.slowTold.Do(func() {
		s.Log.Warn("the checkpoint database is slow and holds up requests to Dixa: find out what keeps it busy", "took", took.Round(time.Millisecond).String())
	})
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
