package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

// delicate is a request that must not be repeated blindly, such as a transfer. It is recorded as on its way before it leaves; after a doubt,
// Dixa is asked whether it had its effect.
type delicate struct {
	name   checkpoint.StepName
	detail string // what is recorded while it is on its way
	// send makes the request, and returns what to record once it is done, "" for detail.
	send func(ctx context.Context, before dixa.Before) (detail string, err error)
	// look reports whether the request had its effect.
	look func(ctx context.Context) (done bool, detail string, err error)
	// done is recorded with the transcript once it is done.
	done checkpoint.StepChange
}

// refusedError means that Dixa refused a step.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

// unclearError means that a step is left to the next run: it could not be done at present, or it is unclear whether it was.
type unclearError struct{ err error }

func (e *unclearError) Error() string { return e.err.Error() }
func (e *unclearError) Unwrap() error { return e.err }

// doOnce does a delicate step unless it is recorded as done. Its error is nil, a *refusedError, an *unclearError, or one that ends the task.
func (p *pipeline) doOnce(ctx context.Context, t *task, d delicate) error {
	known := t.steps[d.name]
	switch known.State {
	case checkpoint.StepDone:
		return nil
	case checkpoint.StepSending:
		// An earlier request may still leave until SendIn has passed.
		return p.settleDoubt(ctx, t, d, time.Now().Add(known.SendIn+p.s.RequestTimeout), errors.New("an earlier run did not learn the answer"))
	}
	return p.sendOnce(ctx, t, d)
}

// settleDoubt finds out whether a request had its effect. It looks when the request cannot leave any more, and again after Config.Settle: Dixa
// may be slow to show what it did. Only then the request is sent again.
func (p *pipeline) settleDoubt(ctx context.Context, t *task, d delicate, due time.Time, cause error) error {
	for looks := 0; looks < 2; looks++ {
		if !p.waitUntil(t, due) {
			return session.ErrStopped
		}
		done, detail, err := d.look(p.s.Starting)
		switch {
		case p.s.Starting.Err() != nil:
			return session.ErrStopped
		case err != nil:
			return &unclearError{fmt.Errorf("%w; and Dixa could not be asked: %w", cause, err)}
		case done:
			return p.endStep(t, d, checkpoint.StepDone, detail)
		}
		due = time.Now().Add(p.s.Settle)
	}
	t.attempts++
	if t.attempts >= p.s.MaxAttempts {
		return &unclearError{cause}
	}
	return p.sendOnce(ctx, t, d)
}

// waitUntil waits without a worker, and reports whether the run goes on.
func (p *pipeline) waitUntil(t *task, due time.Time) bool {
	if wait := time.Until(due); wait > 0 {
		t.releaseSlot()
		if !session.Pause(p.s.Starting, wait) {
			return false
		}
	}
	p.acquireWorker(t)
	return p.s.Starting.Err() == nil
}

func (p *pipeline) sendOnce(ctx context.Context, t *task, d delicate) error {
	if err := p.admit(); err != nil {
		return err
	}
	mayLeave, recorded, end := p.untilRecorded(ctx)
	defer end()
	var due time.Time
	detail, err := d.send(mayLeave, func(_ context.Context, _ int, previous error) (notAfter time.Time, err error) {
		recorded()
		notAfter, due, err = p.recordStep(t, d, previous)
		return notAfter, err
	})
	var database *DatabaseError
	switch {
	case err == nil:
		return p.endStep(t, d, checkpoint.StepDone, detail)
	case errors.Is(err, errLostClaim), errors.As(err, &database), session.IsFatal(err):
		return err
	case due.IsZero() && session.ContextError(err) != nil:
		return session.ErrStopped
	case dixa.Refused(err) && !session.Denied(err):
		return errors.Join(p.endStep(t, d, checkpoint.StepRefused, d.detail), &refusedError{err})
	case dixa.NotApplied(err):
		if !due.IsZero() { // nothing of it left
			if recordErr := p.endStep(t, d, checkpoint.StepPlanned, d.detail); recordErr != nil {
				return recordErr
			}
		}
		if session.Denied(err) {
			return p.deniedStep(err)
		}
		if p.s.Starting.Err() != nil {
			return session.ErrStopped
		}
		return &unclearError{err}
	case session.ContextError(err) != nil && p.s.Starting.Err() != nil:
		return session.ErrStopped // it is recorded as on its way
	}
	p.tally.warnSampled(logCause{event: "for which it is unclear whether a step was done", code: string(d.name)})(
		"it is unclear whether Dixa has done a step: looking", "transcript", t.key, "step", string(d.name), "error", err.Error())
	return p.settleDoubt(ctx, t, d, due, err)
}

// deniedStep returns the error of a step that Dixa answered with 401 or 403: a *refusedError if it accepts the token elsewhere, an *unclearError if
// that is not known, or one that ends the task.
func (p *pipeline) deniedStep(err error) error {
	verdict := p.refusals.askToken(err)
	if _, undecided := errors.AsType[*undecidedError](verdict); undecided {
		return &unclearError{verdict}
	} else if verdict != nil {
		return verdict
	}
	return &refusedError{acceptedElsewhere(err)}
}

// recordStep records, before a request leaves, that it may be on its way. It returns the time by which it must leave, and the time from which
// its effect can be looked for.
func (p *pipeline) recordStep(t *task, d delicate, previous error) (notAfter, due time.Time, err error) {
	if t.window = max(t.window, p.s.SendWindow); dixa.TooLate(previous) {
		t.window *= 2
	}
	for ; ; t.window *= 2 {
		if p.s.Starting.Err() != nil {
			return notAfter, due, session.ErrStopped
		}
		began := time.Now()
		if err := p.saveStep(t, checkpoint.StepChange{Step: checkpoint.Step{Name: d.name, State: checkpoint.StepSending, Detail: d.detail, SendIn: t.window}}); err != nil {
			return notAfter, due, err
		}
		due = time.Now().Add(t.window + p.s.RequestTimeout)
		took := session.Since(began)
		if took < t.window/2 {
			return began.Add(t.window / 2), due, nil
		}
		p.s.WarnSlowCheckpoint(took)
	}
}

// endStep records the end of a step.
func (p *pipeline) endStep(t *task, d delicate, state checkpoint.StepState, detail string) error {
	change := checkpoint.StepChange{Step: checkpoint.Step{Name: d.name, State: state, Detail: detail}}
	if detail == "" {
		change.Step.Detail = d.detail
	}
	if state == checkpoint.StepDone {
		change.QueueID, change.FollowUpOf = d.done.QueueID, d.done.FollowUpOf
	}
	return p.saveStep(t, change)
}

// saveStep records a step of the task's transcript.
func (p *pipeline) saveStep(t *task, c checkpoint.StepChange) error {
	c.ID, c.Claim = t.key, t.claim
	saved := false
	err := p.s.Patiently(p.s.Recording, "write the checkpoint", func(ctx context.Context) (err error) {
		saved, err = p.s.Store.SaveStep(ctx, p.s.Source, p.s.RunID, c)
		return err
	})
	switch {
	case err != nil:
		p.s.Abort(err)
		return err
	case !saved:
		return errLostClaim
	}
	if t.steps == nil {
		t.steps = map[checkpoint.StepName]checkpoint.Step{}
	}
	t.steps[c.Step.Name] = c.Step
	return nil
}

// loadSteps loads what earlier runs recorded of the steps.
func (p *pipeline) loadSteps(t *task) error {
	var known []checkpoint.Step
	err := p.s.Patiently(p.s.Starting, "read the checkpoint", func(ctx context.Context) (err error) {
		known, err = p.s.Store.StepsOf(ctx, p.s.Source, t.key)
		return err
	})
	if err != nil {
		return p.s.StoppedOr(err)
	}
	t.steps = make(map[checkpoint.StepName]checkpoint.Step, len(known))
	for _, step := range known {
		t.steps[step.Name] = step
	}
	if t.steps[checkpoint.StepTransfer].State == checkpoint.StepSkipped {
		t.dontHandOver()
	}
	return nil
}

// without returns partial errors without those of some kinds.
func without(partial []checkpoint.PartialError, kinds ...checkpoint.PartialErrorKind) []checkpoint.PartialError {
	return slices.DeleteFunc(slices.Clone(partial), func(e checkpoint.PartialError) bool { return slices.Contains(kinds, e.Kind) })
}
