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
	rec        *source.Record     // nil if the source no longer has it
	transcript *source.Transcript // nil until decoded, or if the record is open or invalid
	current    *source.Transcript // not nil: the record has grown, and transcript is what was sent of it
	held       reading.Hold
	claim      int64          // the claim number; every change of the task carries it
	row        checkpoint.Row // as stored; EndUserID and Attempts may be newer, and are written with the next change
	partial    []checkpoint.PartialError

	user               people.Resolution                       // of the end-user
	withoutAttachments bool                                    // Dixa refused the attachments
	resolvedAgain      bool                                    // Dixa did not know the end-user, so it was resolved a second time
	window             time.Duration                           // how long the import request may take to leave: Config.SendWindow or longer
	due                time.Time                               // the earliest time to reconcile
	steps              map[checkpoint.StepName]checkpoint.Step // what is recorded of what follows the import; nil: nothing
	notesBefore        int                                     // notes of the record that earlier messages of the chat have got
	attempts           int                                     // requests of these steps that had to be sent again
	notHandedOver      bool                                    // nobody was available, so it is imported closed
	decision           Decision                                // what a person decided about the transcript
	repairAttributes   map[string]bool                         // the attributes that a retry sets; nil: all
	onlyValues         bool                                    // only attributes and tags that were not set yet are, and nothing else is done

	slot slot
}

// releaseSlot gives the task's slot back before a long wait.
func (t *task) releaseSlot() { t.slot.Leave() }

// newTask returns the task for a claimed transcript; row is what the claim returned.
func newTask(key string, rec *source.Record, row checkpoint.Row) *task {
	t := &task{key: key, rec: rec, claim: row.Claim, row: row}
	t.user.Key, t.user.Place = key, &t.slot
	return t
}

// change returns a change with the given event and the rest of the task's row.
func (t *task) change(e checkpoint.Event) checkpoint.Change {
	return checkpoint.Change{ID: t.key, Claim: t.claim, Event: e, ConversationID: t.row.ConversationID, EndUserID: t.row.EndUserID,
		Attempts: t.row.Attempts, ErrorCode: t.row.ErrorCode, Error: t.row.Error, Reason: t.row.Reason, ContentHash: t.row.ContentHash, ClosedAt: t.row.ClosedAt, Sent: t.row.Sent,
		SetValues: t.row.SetValues}
}

// errLostClaim means that another run took over the transcript.
var errLostClaim = errors.New("another run took over the transcript")

// record writes changes of the task and updates t.row to the stored row. If a change was not applied, it returns errLostClaim.
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

// startAll starts the tasks. It blocks while too many are open.
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

// start is startAll for one task.
func (p *pipeline) start(ctx context.Context, t *task) { p.startAll(ctx, []*task{t}) }

// launch starts the goroutine of a task as soon as there is a slot for it, or counts it as pending if the run stops first.
func (p *pipeline) launch(ctx context.Context, t *task) {
	for _, place := range []chan struct{}{p.openSlots, p.aheadSlots} {
		select {
		case place <- struct{}{}:
		case <-p.s.Starting.Done(): // the end of the run frees its claim
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
		p.runSteps(ctx, t)
		next := p.nextPart(t)
		p.users.LeaveLines(&t.user)
		t.releaseSlot()
		t.held.Release()
		<-p.openSlots
		if next != nil {
			p.start(ctx, next)
		}
		p.inFlight.Add(-1)
		p.refusals.taskEnded()
	})
}

// acquireWorker waits for a worker slot. If the run stops, it returns without one; each step checks what it may still do.
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

// runSteps takes a transcript through its steps.
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

// abandon ends a task that this run cannot settle. If another run took over the transcript, its record goes to the backlog.
func (p *pipeline) abandon(t *task, step string, err error) {
	log := p.s.Log.With("transcript", t.key, "step", step)
	switch {
	case errors.Is(err, errLostClaim):
		log.Warn("another run took over the transcript")
		// The other run may only have recorded the conversation that it found, so that the claim is still ours. Release it: the backlog
		// claims the transcript again in its new state.
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

// settle records the last event of a task and counts it. It releases the worker first.
func (p *pipeline) settle(t *task, e checkpoint.Event, code, message string) (step, error) {
	return p.settleWith(t, e, code, message, dixa.ReasonUnknown)
}

// settleFailed settles a task as failed, with the reason that err carries.
func (p *pipeline) settleFailed(t *task, code string, err error) (step, error) {
	return p.settleWith(t, checkpoint.Fail, code, err.Error(), dixa.ReasonOf(err))
}

func (p *pipeline) settleWith(t *task, e checkpoint.Event, code, message string, reason dixa.Reason) (step, error) {
	t.releaseSlot()
	c := t.change(e)
	c.ErrorCode, c.Error, c.Reason = code, message, string(reason)
	if e == checkpoint.FinishPartial || e == checkpoint.Finish || e == checkpoint.Release && t.row.Status == checkpoint.Imported && t.steps != nil {
		c.PartialErrors = t.partial
	}
	if _, err := p.record(t, c); err != nil {
		return stepEnd, err
	}
	return p.tally.count(t)
}
