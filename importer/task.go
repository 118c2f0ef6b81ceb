package importer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/people"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// task is the work on one claimed transcript.
type task struct {
	key        string
	rec        *source.Record     // nil when the source does not hold it any more
	transcript *source.Transcript // nil until validated, or when the record cannot be used any more
	held       reading.Hold
	claim      int64          // its number, which every change of the task has
	row        checkpoint.Row // as the checkpoint has it; EndUserID and Attempts may be ahead of it, and are recorded with the next change
	partial    []checkpoint.PartialError

	user               people.Resolution // who the end-user is
	withoutAttachments bool              // Dixa refused them once
	resolvedAgain      bool              // the end-user was resolved again because Dixa did not know it
	window             time.Duration     // of the import request, as Config.SendWindow or longer
	due                time.Time         // when a reconcile may begin
	decision           Decision          // of a person, about a transcript that was in doubt
	repairAttributes   map[string]bool   // the attributes that a repair sets; nil: all

	slot slot
}

// leave gives the task's slot back, to go on without one for what may take long.
func (t *task) releaseSlot() { t.slot.Leave() }

// newTask returns the work on a transcript that a claim has left as row.
func newTask(key string, rec *source.Record, row checkpoint.Row) *task {
	t := &task{key: key, rec: rec, claim: row.Claim, row: row}
	t.user.Key, t.user.Place = key, &t.slot
	return t
}

// change is an event with the row as the task knows it.
func (t *task) change(e checkpoint.Event) checkpoint.Change {
	return checkpoint.Change{ID: t.key, Claim: t.claim, Event: e, ConversationID: t.row.ConversationID, EndUserID: t.row.EndUserID,
		Attempts: t.row.Attempts, ErrorCode: t.row.ErrorCode, Error: t.row.Error, Reason: t.row.Reason, ContentHash: t.row.ContentHash, ClosedAt: t.row.ClosedAt}
}

// errLostClaim says that another run took over the transcript.
var errLostClaim = errors.New("another run took over the transcript")

// record writes changes of the task and takes over the row that they leave, or that stands where one of them was not applied.
func (p *pipeline) record(t *task, changes ...checkpoint.Change) (writeResult, error) {
	w, err := p.writes.Do(changes)
	if err != nil {
		p.s.Abort(err)
		if c := changes[0]; c.Event == checkpoint.Found {
			p.s.Log.Error("the transcript is in Dixa, but the checkpoint could not record that", "transcript", t.key, "conversation", c.ConversationID)
		}
		return w, err
	}
	for _, r := range w.results {
		t.row = r.Row
		if !r.Applied {
			return w, errLostClaim
		}
	}
	return w, nil
}

// startAll begins the work on claimed transcripts, each as soon as there is a place for it.
func (p *pipeline) startAll(ctx context.Context, tasks []*task) {
	for _, t := range tasks {
		p.decode(t)
	}
	users := make([]*people.Resolution, len(tasks))
	for i, t := range tasks {
		users[i] = &t.user
	}
	p.users.Recall(users)
	for _, user := range users {
		p.users.JoinLines(user)
	}
	for _, t := range tasks {
		p.launch(ctx, t)
	}
}

// start is startAll for one.
func (p *pipeline) start(ctx context.Context, t *task) { p.startAll(ctx, []*task{t}) }

// begin begins the work on a task.
func (p *pipeline) launch(ctx context.Context, t *task) {
	for _, place := range []chan struct{}{p.openSlots, p.aheadSlots} {
		select {
		case place <- struct{}{}:
		case <-p.s.Starting.Done(): // its claim ends with the run
			if place != p.openSlots {
				<-p.openSlots
			}
			p.users.LeaveLines(&t.user)
			t.held.Release()
			p.tally.pending.Add(1)
			return
		}
	}
	t.slot.enter(p.aheadSlots, false)
	p.inFlight.Add(1)
	p.tasks.Go(func() {
		defer func() {
			p.users.LeaveLines(&t.user)
			t.releaseSlot()
			t.held.Release()
			<-p.openSlots
			p.inFlight.Add(-1)
			p.refusals.taskEnded()
		}()
		p.runSteps(ctx, t)
	})
}

// occupy waits for a worker. When the run stops it returns without one: the next step knows what may still be done.
func (p *pipeline) acquireWorker(t *task) {
	if t.slot.HasWorker() {
		return
	}
	p.ready.Add(1)
	select {
	case p.workerSlots <- struct{}{}:
		t.slot.enter(p.workerSlots, true)
	case <-p.s.Starting.Done():
	}
	p.ready.Add(-1)
	p.users.WorkerBusy()
}

// work1 takes a transcript through its steps.
func (p *pipeline) runSteps(ctx context.Context, t *task) {
	for at := stepValidate; at != stepEnd; {
		if steps[at].busy {
			p.acquireWorker(t)
		}
		began := time.Now()
		next, err := steps[at].do(p, ctx, t)
		p.times.add(steps[at].name, time.Since(began))
		if err != nil {
			p.abandon(t, steps[at].name, err)
			return
		}
		at = next
	}
	p.tally.checkFailures()
}

// leaveTask ends a task that cannot go on in this run, or not as ours.
func (p *pipeline) abandon(t *task, step string, err error) {
	log := p.s.Log.With("transcript", t.key, "step", step)
	switch {
	case errors.Is(err, errLostClaim):
		log.Warn("another run took over the transcript")
		// Or it has only recorded the conversation that it knew of, and the claim is still ours. Then the transcript is claimed
		// again, as it is by now.
		if _, err := p.writes.Do([]checkpoint.Change{t.change(checkpoint.Release)}); err != nil {
			p.s.Abort(err)
		} else if t.rec != nil {
			p.backlog.add(&item{rec: t.rec, held: t.held})
			t.held = reading.Hold{}
			return
		}
	case session.IsFatal(err):
		p.s.Abort(err)
	case p.s.Starting.Err() == nil && session.ContextError(err) == nil:
		p.s.Abort(fmt.Errorf("%s: %w", step, err))
	}
	p.tally.pending.Add(1)
}

// settle records the last event of a task and counts it. The worker does not wait for that.
func (p *pipeline) settle(t *task, e checkpoint.Event, code, message string) (step, error) {
	return p.settleWith(t, e, code, message, dixa.ReasonUnknown)
}

// settleFailed is settle with an error that may know what it is about.
func (p *pipeline) settleFailed(t *task, code string, err error) (step, error) {
	return p.settleWith(t, checkpoint.Fail, code, err.Error(), dixa.ReasonOf(err))
}

func (p *pipeline) settleWith(t *task, e checkpoint.Event, code, message string, reason dixa.Reason) (step, error) {
	t.releaseSlot()
	c := t.change(e)
	c.ErrorCode, c.Error, c.Reason = code, message, string(reason)
	if e == checkpoint.FinishPartial || e == checkpoint.Finish {
		c.PartialErrors = t.partial
	}
	if _, err := p.record(t, c); err != nil {
		return stepEnd, err
	}
	return p.tally.count(t)
}
