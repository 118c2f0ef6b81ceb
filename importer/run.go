package importer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/people"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// maxWaiting bounds how many more transcripts are claimed and not settled than are prepared or have a worker: they wait for a reconcile, or
// for an end-user that another transcript resolves.
const maxWaiting = 512

// aheadCapacity returns how many transcripts are prepared for the given number of workers: some wait for their end-users to be found, or to
// be created together, while as many as there are workers wait with a known end-user.
func aheadCapacity(workers int) int { return 2*workers + 2*people.CreationPatience }

// Importer performs one run. Progress and Stop may be called from other goroutines while Run works.
type Importer struct {
	s        *session.Session
	pipeline *pipeline
	tally    *tally

	unreported        map[int64]bool  // earlier runs whose failures and rejections were never reported
	countedUnreported map[string]bool // transcripts of those runs that this run has reported

	seen     *reading.Seen
	expected atomic.Int64              // upper bound on the transcripts of a retry
	upTo     atomic.Pointer[time.Time] // everything that was closed before this time is triaged
	started  atomic.Bool               // Run was called, and Progress has what it reads
}

// New returns an Importer for the configuration. It makes no request.
func New(cfg Config) (*Importer, error) {
	s, err := session.New(cfg)
	if err != nil {
		return nil, err
	}
	n := &tally{s: s}
	return &Importer{s: s, tally: n, pipeline: newPipeline(s, n), seen: reading.NewSeen()}, nil
}

// Stop ends the run early: nothing new starts, and requests in flight finish within Config.DrainTimeout. The summary has the reason. Only
// the first call has an effect.
func (im *Importer) Stop(reason string) { im.s.Stop(reason) }

// Progress returns the progress of the run. Before Run it is zero.
func (im *Importer) Progress() Progress {
	p := im.pipeline
	if !im.started.Load() {
		return Progress{}
	}
	stats := im.s.API.Stats()
	return Progress{
		Counts: p.counts(), Source: im.s.Reader.Progress(), Throttled: stats.Throttled,
		InFlight: p.inFlight.Load(), Doubts: p.doubts.Load(), DoubtTakes: p.learning.doubtDuration(), Elapsed: time.Since(p.started),
		Expected: im.expected.Load(), Busy: len(p.workerSlots), Workers: im.s.Workers, Held: p.backlog.size(),
		Rate: im.s.Rate, Paced: stats.Paced, Down: stats.Down, Steps: p.times.list(),
	}
}

func (p *pipeline) counts() checkpoint.Counts {
	c := p.tally.counts()
	c.Requests = p.s.API.Stats().Requests
	return c
}

// Run performs the run. Call it once. It returns an error if the run could not start or could not continue; the summary is valid if its Run
// is not 0. When ctx is cancelled, work in flight is abandoned at once, and requests that may have arrived stay in doubt.
func (im *Importer) Run(ctx context.Context) (Summary, error) {
	p := im.pipeline
	p.started = time.Now()
	defer im.s.Begin(ctx)()
	p.learning = newLearning(im.s, p.moreToCome)
	p.searcher = &searcher{s: im.s, learning: p.learning}
	im.started.Store(true)
	if err := im.prepare(im.s.Starting); err != nil {
		return Summary{}, im.s.CauseOf(err)
	}
	err := im.s.Patiently(im.s.Starting, "start a run", func(ctx context.Context) (err error) {
		im.s.RunID, err = im.s.Store.StartRun(ctx, im.s.Source, im.s.Command)
		return err
	})
	if err != nil {
		return Summary{}, im.s.CauseOf(err)
	}
	im.s.Log = im.s.Log.With("run", im.s.RunID)
	if im.s.OnStarted != nil {
		im.s.OnStarted()
	}
	p.refusals = newRefusals(im.s, &p.inFlight)
	p.users = p.newResolver()
	im.work(im.s.Working)
	return im.finish(ctx)
}

// work performs the phases, waits for everything that they started, and counts what is left.
func (im *Importer) work(ctx context.Context) {
	p := im.pipeline
	heartCtx, stopHeart := context.WithCancel(im.s.Recording)
	var heart sync.WaitGroup
	heart.Go(func() { im.heartbeat(heartCtx) })

	var err error
	for _, phase := range im.phases() {
		p.refusals.setNoMoreTasks(im.s.Live) // nobody knows when the next one comes
		if err == nil {
			p.reading.Store(!im.s.Live)
			err = phase(ctx)
			p.reading.Store(false)
		}
		p.refusals.setNoMoreTasks(true)
		p.tasks.Wait()
	}
	if err == nil {
		err = p.refusals.close()
	}
	p.users.Wait()
	p.learning.stop()
	if err != nil && im.s.Starting.Err() == nil {
		im.s.Halt(err)
	}
	im.tally.addPending(p.backlog.drop())
	stopHeart()
	heart.Wait()
}

// policy returns the rules by which the run judges records.
func (p *pipeline) policy() rules.Policy { return p.s.Policy(p.s.RunID, p.matcher.Anonymous) }

// phases returns the phases of the run in their order.
func (im *Importer) phases() []func(context.Context) error {
	if im.s.Retry != nil && im.s.Retry.Attributes {
		return []func(context.Context) error{im.setAgain}
	}
	if im.s.Retry != nil {
		return []func(context.Context) error{im.retry}
	}
	if im.s.Live {
		return []func(context.Context) error{im.readSource}
	}
	if im.s.Reconcile {
		return []func(context.Context) error{im.admitFirst, im.findUnreported, im.readSource, im.resumeUnfinished, im.drain, im.reportUnread, im.takeOverMark}
	}
	return []func(context.Context) error{im.findUnreported, im.readSource, im.resumeUnfinished, im.drain, im.reportUnread}
}

// finish records the end of the run and returns its summary.
func (im *Importer) finish(ctx context.Context) (Summary, error) {
	p := im.pipeline
	cause := context.Cause(im.s.Starting)
	s := Summary{Run: im.s.RunID, Counts: p.counts(), Duplicates: im.tally.duplicates.Load(), Changed: im.tally.changed.Load(), Grown: im.tally.grown.Load(),
		Throttled: im.s.API.Stats().Throttled, Duration: time.Since(p.started)}
	s.Causes, s.Problems = im.tally.causesCopy()
	s.Skipped = im.tally.skipsCopy()
	s.Ignored, s.Redacted = im.tally.ignoredCopy(), im.tally.redactedCopy()
	if counts, mapped := source.CountsOf(im.s.Reader); mapped {
		s.Dropped = counts.Dropped
	}
	s.Rests = im.s.API.Rests()
	var stop *session.StopError
	switch {
	case im.s.Starting.Err() == nil && !im.tally.incomplete():
		s.Outcome = OutcomeOK
	case im.s.Starting.Err() == nil:
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
	if s.Outcome != OutcomeAborted && im.s.Retry == nil {
		im.advanceWatermark(end)
	}
	err := im.s.Store.FinishRun(end, im.s.RunID, im.recordedOutcome(s, cause), im.beat())
	if err != nil && cause == nil {
		s.Outcome, s.Reason = OutcomeAborted, fmt.Sprintf("record the end of the run: %v", err)
		cause = fmt.Errorf("record the end of the run: %w", err)
	}
	im.tally.logOmitted()
	for _, r := range s.Rests {
		im.s.Log.Warn("an operation of Dixa kept failing while others succeeded", "operation", string(r.Operation), "left", r.Left, "resting", r.Resting)
	}
	if code, n := s.MostlySkipped(); n > 0 {
		im.s.Log.Warn("nearly all records were skipped for the same reason: check that this is right", "reason", code, "count", n, "read", s.Counts.Read)
	}
	im.s.Log.Info("run ended", "outcome", s.Outcome, "read", s.Counts.Read, "imported", s.Counts.Imported,
		"partial", s.Counts.Partial, "failed", s.Counts.Failed, "rejected", s.Counts.Rejected, "requests", s.Counts.Requests)
	return s, cause
}

// prepare asks Dixa for what the first transcript needs, and binds the source to its organisation.
func (im *Importer) prepare(ctx context.Context) error {
	if err := im.s.Ask(ctx, im.s.AskOrganisation, im.s.ResolveAttributes, im.s.ResolveNames, im.checkDecision); err != nil {
		return err
	}
	err := im.s.Patiently(ctx, "read the checkpoint", func(ctx context.Context) error {
		return im.s.Store.Bind(ctx, im.s.Source, im.s.Binding(), im.s.Rebind)
	})
	if err == nil {
		err = im.pipeline.learning.refresh(ctx)
	}
	if err != nil {
		return err
	}
	return im.detectFirstRun(ctx)
}

// heartbeat regularly renews the lease of the run, stores its counts, and moves the watermark.
func (im *Importer) heartbeat(ctx context.Context) {
	tick := time.NewTicker(checkpoint.Lease / 3)
	defer tick.Stop()
	for last := (checkpoint.Counts{}); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		beat := im.beat()
		beat.NoSample, last = im.s.Live && beat.Counts == last, beat.Counts // a live run may be idle for months
		if err := im.s.Store.RenewRun(ctx, im.s.RunID, beat); err != nil && ctx.Err() == nil {
			if gone, ok := errors.AsType[*checkpoint.GoneError](err); ok {
				im.s.Abort(session.Fatal(gone))
				return
			}
			im.s.Log.Warn("could not renew the lease of the run", "error", err.Error())
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
	if _, err := im.s.Store.AdvanceWatermark(ctx, im.s.Source, *upTo, im.s.Overlap); err != nil && ctx.Err() == nil {
		im.s.Log.Warn("could not move the watermark: the next run reads a little more", "error", err.Error())
	}
}
