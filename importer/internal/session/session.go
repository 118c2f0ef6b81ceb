// Package session holds what every command that works on a source needs: the configuration in use, the log, the organisation
// and its attributes, retries of database operations, and a single way to stop.
//
// Three contexts control how far the work may go. Each ends some time after the one before it:
//
//	Starting   after its end, nothing new begins; it ends by Stop, Halt or Abort, or with the context of Begin
//	Working    after its end, work in flight is abandoned; it ends DrainTimeout after Starting, or with the context of Begin
//	Recording  until its end, results are written to the checkpoint; it ends FlushTime after Working
//
// One goroutine, which Begin starts and its end function waits for, ends each context after the one before.
package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/internal/shape"
)

// FlushTime is how long results may still be written after work in flight was abandoned.
const FlushTime = 5 * time.Second

// Session is the work of one command on one source. Its fields are set before the goroutines that read them are started.
type Session struct {
	Config // in use, with its defaults

	Log          *slog.Logger
	RunID        int64            // of the run in the checkpoint; 0: this command is not a run
	Organisation string           // set by AskOrganisation
	Custom       shape.Attributes // the custom attributes that conversations get; set by ResolveAttributes

	Starting  context.Context // see the package comment; set by Begin, like the next two
	Working   context.Context
	Recording context.Context

	// asksForOrganisation is set if the token may ask for its organisation; otherwise TryToken uses a look-up.
	asksForOrganisation bool
	outage              outage
	catalog             catalog
	slowWarned          sync.Once          // by WarnSlowCheckpoint
	aborted             sync.Once          // by Abort
	abandon             context.CancelFunc // ends Working

	mu      sync.Mutex // guards what follows: Stop may be called before Begin
	halt    context.CancelCauseFunc
	stopped *StopError
}

// New returns a Session with the defaults of cfg filled in, or an error that says what is wrong with cfg.
func New(cfg Config) (*Session, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Session{Config: cfg, Log: cfg.Logger}, nil
}

// Begin creates the contexts. The function that it returns ends them.
func (s *Session) Begin(ctx context.Context) (end func()) {
	working, abandon := context.WithCancel(ctx)
	starting, halt := context.WithCancelCause(working)
	recording, recorded := context.WithCancel(context.WithoutCancel(ctx))
	s.Working, s.Starting, s.Recording, s.abandon = working, starting, recording, abandon
	s.mu.Lock()
	if s.halt = halt; s.stopped != nil {
		halt(s.stopped)
	}
	s.mu.Unlock()
	var drain sync.WaitGroup
	drain.Go(func() {
		<-starting.Done()
		Pause(working, s.DrainTimeout)
		abandon()
		Pause(recording, FlushTime)
		recorded()
	})
	return func() {
		halt(nil)
		abandon()
		recorded()
		drain.Wait()
	}
}

// Stop ends the work early: nothing new begins, and work in flight has DrainTimeout to finish. It may be called at any time. Only the
// first call counts; the summary gives its reason.
func (s *Session) Stop(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped != nil {
		return
	}
	s.stopped = &StopError{reason}
	if s.halt != nil {
		s.halt(s.stopped)
	}
}

// Halt ends the work like Stop, with err as the cause. It may be called only after Begin.
func (s *Session) Halt(err error) { s.halt(err) }

// Abort is Halt with a log line: the work cannot continue, and a person must act. If several workers abort at once, the first one logs.
func (s *Session) Abort(err error) {
	s.aborted.Do(func() {
		if s.Starting.Err() == nil {
			s.Log.Error("the run cannot continue", "reason", err.Error())
		}
		s.halt(err)
	})
}

// Abandon cancels work in flight.
func (s *Session) Abandon() { s.abandon() }

// CauseOf replaces context.Canceled with the reason why Starting ended. It returns other errors unchanged.
func (s *Session) CauseOf(err error) error {
	if cause := context.Cause(s.Starting); cause != nil && errors.Is(err, context.Canceled) {
		return cause
	}
	return err
}

// StoppedOr replaces any error with ErrStopped once Starting has ended.
func (s *Session) StoppedOr(err error) error {
	if err != nil && s.Starting.Err() != nil {
		return ErrStopped
	}
	return err
}

// ExternalID returns the external id of a transcript in Dixa.
func (s *Session) ExternalID(transcriptID string) string { return s.Bot().ExternalID(transcriptID) }

// Pause waits for d, or until the context ends. It reports whether it waited the whole time.
func Pause(ctx context.Context, d time.Duration) bool { return dixa.Sleep(ctx, d) == nil }

// Since returns the time since began, by the monotonic clock or the wall clock, whichever gives more: the monotonic clock stops while the
// machine is suspended, and the wall clock may be set back.
func Since(began time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(began), now.Round(0).Sub(began.Round(0)))
}
