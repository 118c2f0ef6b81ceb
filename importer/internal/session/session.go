// Package session is what every command that works on a source needs: the configuration in use, the log, the organisation
// and its attributes, patience with the database, and the one way in which work stops.
//
// Three contexts say how far the work may go; each ends some time after the one before it, and no other decides that:
//
//	Starting   nothing new begins once it has ended: by Stop, Halt or Abort, or with the context of Begin
//	Working    work in flight is given up once it has ended: DrainTimeout after Starting, or with the context of Begin
//	Recording  what is known is written to the checkpoint until it ends: FlushTime after Working
//
// One goroutine, which Begin starts and end awaits, turns the end of one into the end of the next.
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

// FlushTime is how long results in hand may still be written after work was given up.
const FlushTime = 5 * time.Second

// Session is the work of one command on one source. Its fields are set before the goroutines that read them are started.
type Session struct {
	Config // in use, with its defaults

	Log          *slog.Logger
	RunID        int64            // of the run in the checkpoint; 0: this command is none
	Organisation string           // set by AskOrganisation
	Custom       shape.Attributes // the custom attributes that conversations get; set by ResolveAttributes

	Starting  context.Context // see the package comment; set by Begin, as the next two
	Working   context.Context
	Recording context.Context

	// asksForOrganisation is set if the token may ask for its organisation; else a look-up shows whether Dixa accepts it.
	asksForOrganisation bool
	away                outage
	slowTold            sync.Once          // by WarnSlowCheckpoint
	aborted             sync.Once          // by Abort
	abandon             context.CancelFunc // ends Working

	mu      sync.Mutex // guards what follows: Stop may be called before Begin
	halt    context.CancelCauseFunc
	stopped *StopError
}

// New returns a Session with the defaults of cfg, or says what is wrong with cfg.
func New(cfg Config) (*Session, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Session{Config: cfg, Log: cfg.Logger}, nil
}

// Begin starts the contexts. The function that it returns ends them.
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

// Stop ends the work early: nothing new begins, and what is in flight has DrainTimeout to finish. It may be called at any time. Only the
// first call counts; its reason is what the summary gives.
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

// Halt is Stop because of err.
func (s *Session) Halt(err error) { s.halt(err) }

// Abort is Halt with a line in the log: the work cannot go on, and a person must act. Many workers may find that out at once, and the first one says it.
func (s *Session) Abort(err error) {
	s.aborted.Do(func() {
		if s.Starting.Err() == nil {
			s.Log.Error("the run cannot go on", "reason", err.Error())
		}
		s.halt(err)
	})
}

// Abandon gives up work in flight.
func (s *Session) Abandon() { s.abandon() }

// CauseOf replaces the error of a context that ended by the reason for its end.
func (s *Session) CauseOf(err error) error {
	if cause := context.Cause(s.Starting); cause != nil && errors.Is(err, context.Canceled) {
		return cause
	}
	return err
}

// StoppedOr replaces an error by ErrStopped once nothing new may begin.
func (s *Session) StoppedOr(err error) error {
	if err != nil && s.Starting.Err() != nil {
		return ErrStopped
	}
	return err
}

// ExternalID is the name of a transcript in Dixa.
func (s *Session) ExternalID(transcriptID string) string { return s.Bot().ExternalID(transcriptID) }

// Pause waits for d, or until the context ends. It reports whether it waited to the end.
func Pause(ctx context.Context, d time.Duration) bool { return dixa.Sleep(ctx, d) == nil }

// Since is the time since began by the clock that says more: the monotonic one stands still while a machine is suspended, the wall clock may
// be set back.
func Since(began time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(began), now.Round(0).Sub(began.Round(0)))
}
