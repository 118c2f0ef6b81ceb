package importer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
)

// openTasks bounds the transcripts that are claimed and not settled beyond those that workers are busy with: those that
// wait for a reconcile, or for somebody else's end-user.
const openTasks = 512

// aheadOf is how many transcripts are looked after ahead of so many workers: their end-users are found, or gather to be
// created together, while as many transcripts as there are workers wait with theirs known.
func aheadOf(workers int) int { return 2*workers + 2*creationPatience }

// Importer makes one run. Its methods may be called from several goroutines.
type Importer struct {
	cfg Config
	log *slog.Logger

	id           int64 // of the run
	organisation string
	attributes   attributes
	users        *resolver
	writer       *writer
	known        conversations // what conversations turned out to be
	first        firstRun
	lostBefore   atomic.Bool     // the checkpoint knows less than Dixa, as an earlier run or this one has found out
	unreported   map[int64]bool  // earlier runs whose failures and rejections nobody was told of
	reported     map[string]bool // those that this run tells of

	started   time.Time
	tally     tally
	away      outage
	times     stepTimes
	seen      *idSet
	backlog   backlog
	tasks     sync.WaitGroup
	slots     chan struct{} // one for each busy worker
	ahead     chan struct{} // one for each task that is made ready for the workers
	ready     atomic.Int64  // tasks that wait for a worker
	open      chan struct{} // one for each task that is not settled
	inFlight  atomic.Int64
	expected  atomic.Int64 // transcripts of a retry, at most
	doubts    atomic.Int64
	upTo      atomic.Pointer[time.Time] // everything closed before it has been sifted
	fetching  context.Context           // ends when no new work is to begin; the context of Run ends work itself
	halt      context.CancelCauseFunc   // ends fetching
	abandon   context.CancelFunc        // ends work
	haltable  chan struct{}             // closed when halt may be called
	stopEarly sync.Once
}

// errStopped is why work ends that was not begun when the run was told to stop.
var errStopped = errors.New("the run is stopping")

// stopError is the cause of a stop that somebody wanted.
type stopError struct{ reason string }

func (e *stopError) Error() string { return e.reason }

// New prepares a run.
func New(cfg Config) (*Importer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Importer{
		cfg: cfg, log: cfg.Logger, seen: newIDSet(), haltable: make(chan struct{}),
		slots: make(chan struct{}, cfg.Workers), ahead: make(chan struct{}, aheadOf(cfg.Workers)),
		open: make(chan struct{}, cfg.Workers+aheadOf(cfg.Workers)+openTasks),
	}, nil
}

// Stop ends the run early: nothing new begins, what is on its way is finished within Config.DrainTimeout. The reason is
// what the summary says. Only the first call counts.
func (im *Importer) Stop(reason string) {
	im.stopEarly.Do(func() {
		select {
		case <-im.haltable:
			im.halt(&stopError{reason})
		default:
			go func() {
				<-im.haltable
				im.halt(&stopError{reason})
			}()
		}
	})
}

// Progress tells how far the run is.
func (im *Importer) Progress() Progress {
	select {
	case <-im.haltable:
	default:
		return Progress{}
	}
	stats := im.cfg.API.Stats()
	return Progress{
		Counts: im.counts(), Source: im.cfg.Reader.Progress(), Throttled: stats.Throttled,
		InFlight: im.inFlight.Load(), Doubts: im.doubts.Load(), Elapsed: time.Since(im.started),
		Expected: im.expected.Load(), Busy: len(im.slots), Workers: im.cfg.Workers, Held: im.backlog.size(),
		Rate: im.cfg.Rate, Paced: stats.Paced, Down: stats.Down,
	}
}

func (im *Importer) counts() checkpoint.Counts {
	c := im.tally.counts()
	c.Requests = im.cfg.API.Stats().Requests
	return c
}

// Run makes the run, once. It returns an error when the run could not start or go on; the summary is valid all the same
// if its Run is not 0. When ctx is cancelled, work in flight is abandoned at once: what is on its way stays in doubt.
func (im *Importer) Run(ctx context.Context) (Summary, error) {
	im.started = time.Now()
	ctx, im.abandon = context.WithCancel(ctx)
	defer im.abandon()
	im.fetching, im.halt = context.WithCancelCause(ctx)
	defer im.halt(nil)
	close(im.haltable)
	if err := im.prepare(im.fetching); err != nil {
		return Summary{}, im.causeOf(err)
	}
	err := im.patiently(im.fetching, "start a run", func(ctx context.Context) (err error) {
		im.id, err = im.cfg.Store.StartRun(ctx, im.cfg.Source, im.cfg.Command)
		return err
	})
	if err != nil {
		return Summary{}, im.causeOf(err)
	}
	im.log = im.log.With("run", im.id)
	im.users = newResolver(ctx, im)
	drained := context.AfterFunc(im.fetching, func() { // the drain has its time, then work is abandoned
		select {
		case <-time.After(im.cfg.DrainTimeout):
			im.abandon()
		case <-ctx.Done():
		}
	})
	defer drained()
	im.work(ctx)
	return im.finish(ctx)
}

// work does everything between the start and the end of a run.
func (im *Importer) work(ctx context.Context) {
	im.writer = startWriter(ctx, im)
	beat, still := context.WithCancel(context.WithoutCancel(ctx))
	var heart sync.WaitGroup
	heart.Go(func() { im.heartbeat(beat) })

	var err error
	for _, part := range im.parts() {
		if err == nil {
			err = part(ctx)
		}
		im.tasks.Wait()
	}
	if err != nil && im.fetching.Err() == nil {
		im.halt(err)
	}
	im.tally.leave(im.backlog.drop())
	im.writer.stop()
	still()
	heart.Wait()
}

// parts are what a run does one after the other.
func (im *Importer) parts() []func(context.Context) error {
	if im.cfg.Retry != nil {
		return []func(context.Context) error{im.retry}
	}
	return []func(context.Context) error{im.lookBack, im.sift, im.sweep, im.drain, im.reportUnread}
}

// finish records the end of the run and tells what it did.
func (im *Importer) finish(ctx context.Context) (Summary, error) {
	cause := context.Cause(im.fetching)
	s := Summary{Run: im.id, Counts: im.counts(), Duplicates: im.tally.duplicates.Load(), Changed: im.tally.changed.Load(),
		Throttled: im.cfg.API.Stats().Throttled, Duration: time.Since(im.started)}
	s.Causes, s.Problems = im.tally.causesCopy()
	var stop *stopError
	switch {
	case im.fetching.Err() == nil && !im.tally.incomplete():
		s.Outcome = OutcomeOK
	case im.fetching.Err() == nil:
		s.Outcome = OutcomeIncomplete
	case errors.As(cause, &stop) || errors.Is(cause, context.Canceled):
		s.Outcome, s.Reason, cause = OutcomeStopped, cause.Error(), nil
	default:
		s.Outcome, s.Reason = OutcomeAborted, cause.Error()
	}
	if s.Outcome == OutcomeOK || s.Outcome == OutcomeIncomplete {
		cause = nil
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if s.Outcome != OutcomeAborted && im.cfg.Retry == nil {
		im.advanceWatermark(end)
	}
	err := im.cfg.Store.FinishRun(end, im.id, im.recordedOutcome(s, cause), im.beat())
	if err != nil && cause == nil {
		s.Outcome, s.Reason = OutcomeAborted, fmt.Sprintf("record the end of the run: %v", err)
		cause = fmt.Errorf("record the end of the run: %w", err)
	}
	im.logMore()
	im.log.Info("run ended", "outcome", s.Outcome, "read", s.Counts.Read, "imported", s.Counts.Imported,
		"partial", s.Counts.Partial, "failed", s.Counts.Failed, "rejected", s.Counts.Rejected, "requests", s.Counts.Requests)
	return s, cause
}

// abort ends the run because it cannot go on. What was not sent goes back to pending.
func (im *Importer) abort(err error) {
	if im.fetching.Err() == nil {
		im.log.Error("the run cannot go on", "reason", err.Error())
	}
	im.halt(err)
}

// causeOf replaces the error of a context that ended by the reason for its end.
func (im *Importer) causeOf(err error) error {
	if cause := context.Cause(im.fetching); cause != nil && errors.Is(err, context.Canceled) {
		return cause
	}
	return err
}

// startPatience is how long Dixa may take to answer what a run asks before it starts.
const startPatience = time.Minute

// prepare asks Dixa what must be known before the first transcript, and ties the source to its organisation.
func (im *Importer) prepare(ctx context.Context) error {
	if err := im.askFirst(ctx, im.askOrganisation, im.resolveAttributes, im.checkDecision); err != nil {
		return err
	}
	bind := checkpoint.Binding{BaseURL: im.cfg.BaseURL, Organisation: im.organisation}
	err := im.patiently(ctx, "read the checkpoint", func(ctx context.Context) error {
		return im.cfg.Store.Bind(ctx, im.cfg.Source, bind, im.cfg.Rebind)
	})
	if err != nil {
		return err
	}
	return im.expectFirst(ctx)
}

// askFirst asks Dixa what must be known before anything else. Here it has startPatience to answer.
func (im *Importer) askFirst(ctx context.Context, questions ...func(context.Context) error) error {
	asking, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for _, ask := range questions {
		if err := ask(asking); err != nil {
			if asking.Err() != nil && ctx.Err() == nil {
				return fmt.Errorf("Dixa did not answer within %v: check dixa.base_url and the network, or wait until Dixa is well: %w", startPatience, err)
			}
			return err
		}
	}
	return nil
}

// checkBinding says whether a run would refuse to work with this organisation. It writes nothing.
func (im *Importer) checkBinding(ctx context.Context) error {
	given := checkpoint.Binding{BaseURL: im.cfg.BaseURL, Organisation: im.organisation}
	var bound checkpoint.Binding
	err := im.patiently(ctx, "read the checkpoint", func(ctx context.Context) (err error) {
		bound, err = im.cfg.Store.Binding(ctx, im.cfg.Source)
		return err
	})
	if err == nil && bound != (checkpoint.Binding{}) && bound != given && !im.cfg.Rebind {
		err = &checkpoint.BindingError{Source: im.cfg.Source, Bound: bound, Given: given}
	}
	return err
}

// askOrganisation finds the organisation of the token: as Dixa says, else as the token says, else the bot itself stands
// for it. A token that Dixa does not accept at all is found out here.
func (im *Importer) askOrganisation(ctx context.Context) error {
	org, err := im.cfg.API.GetOrganization(ctx)
	if err == nil && org.ID != "" {
		im.organisation = org.ID
		return nil
	}
	if err != nil && !refusedOptional(err) {
		return fmt.Errorf("ask Dixa for the organisation of the token: %w", err)
	}
	if _, err := im.cfg.API.FindEndUsers(ctx, dixa.ByExternalID, im.cfg.Source+"/"); err != nil {
		return fatalAnswer(fmt.Errorf("try the token: %w", err))
	}
	im.log.Warn("the token may not read the organisation: the source is tied to what the token says of itself")
	if im.organisation = im.cfg.TokenOrganization; im.organisation == "" {
		im.organisation = im.cfg.AgentID
	}
	return nil
}

// heartbeat renews the run's lease and its figures, and moves the watermark.
func (im *Importer) heartbeat(ctx context.Context) {
	tick := time.NewTicker(checkpoint.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		beat := im.beat()
		if err := im.cfg.Store.RenewRun(ctx, im.id, beat); err != nil && ctx.Err() == nil {
			im.log.Warn("the lease could not be renewed", "error", err.Error())
			continue
		}
		im.advanceWatermark(ctx)
	}
}

func (im *Importer) advanceWatermark(ctx context.Context) {
	upTo := im.upTo.Load()
	if upTo == nil {
		return
	}
	if _, err := im.cfg.Store.AdvanceWatermark(ctx, im.cfg.Source, *upTo); err != nil && ctx.Err() == nil {
		im.log.Warn("the watermark could not be moved: the next run reads a little more", "error", err.Error())
	}
}
