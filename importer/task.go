package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// task is the work on one claimed transcript.
type task struct {
	key        string
	rec        *source.Record     // nil when the source does not hold it any more
	transcript *source.Transcript // nil until validated, or when the record cannot be used any more
	row        checkpoint.Row     // as the checkpoint has it
	partial    []checkpoint.PartialError

	person             person
	unknown            bool            // the checkpoint did not know the person when the transcript was claimed
	newcomer           bool            // the end-user was created for this transcript: there is no conversation to find
	withoutAttachments bool            // Dixa refused them once
	renewed            bool            // the end-user was resolved anew because Dixa did not know it
	due                time.Time       // when a reconcile may begin
	decision           Decision        // of a person, about a transcript that was in doubt
	missing            map[string]bool // the attributes that a repair sets; nil: all

	turn  *turn         // nil: it is in no line
	place chan struct{} // of which it holds a place: Importer.ahead, Importer.slots or nil
}

// leave gives the task's place back, to go on without one for what may take long.
func (t *task) leave() {
	if t.place != nil {
		<-t.place
		t.place = nil
	}
}

func newTask(rec *source.Record, row checkpoint.Row) *task {
	return &task{key: row.ID, rec: rec, row: row}
}

// change is an event with the row as the task knows it.
func (t *task) change(e checkpoint.Event) checkpoint.Change {
	return checkpoint.Change{ID: t.key, Claim: t.row.Claim, Event: e, ConversationID: t.row.ConversationID, EndUserID: t.row.EndUserID,
		Attempts: t.row.Attempts, ErrorCode: t.row.ErrorCode, Error: t.row.Error, ContentHash: t.row.ContentHash, ClosedAt: t.row.ClosedAt}
}

// errLostClaim says that another run has taken the transcript.
var errLostClaim = errors.New("another run has taken the transcript")

// record writes changes of the task; all but Found must be applied for the task to go on.
func (im *Importer) record(t *task, changes ...checkpoint.Change) (written, error) {
	w := im.writer.do(changes...)
	if w.err != nil {
		im.abort(w.err)
		return w, w.err
	}
	for i, c := range changes {
		if c.Event != checkpoint.Found && !w.results[i].Applied {
			return w, errLostClaim
		}
		tr, _ := checkpoint.TransitionOf(c.Event)
		if tr.To != "" {
			t.row.Status = tr.To
		}
		t.row.EndUserID, t.row.Attempts, t.row.ErrorCode, t.row.Error = c.EndUserID, c.Attempts, c.ErrorCode, c.Error
		t.row.ContentHash, t.row.ClosedAt = c.ContentHash, c.ClosedAt
	}
	return w, nil
}

// startAll begins the work on claimed transcripts, each as soon as there is a place for it.
func (im *Importer) startAll(ctx context.Context, tasks []*task) {
	for _, t := range tasks {
		im.describe(t)
	}
	im.users.recall(tasks)
	for _, t := range tasks {
		im.users.takeTurn(t)
	}
	for _, t := range tasks {
		im.begin(ctx, t)
	}
}

// start is startAll for one.
func (im *Importer) start(ctx context.Context, t *task) { im.startAll(ctx, []*task{t}) }

// begin begins the work on a task.
func (im *Importer) begin(ctx context.Context, t *task) {
	for _, place := range []chan struct{}{im.open, im.ahead} {
		select {
		case place <- struct{}{}:
		case <-im.fetching.Done(): // its claim ends with the run
			if place != im.open {
				<-im.open
			}
			im.users.endTurn(t)
			im.tally.pending.Add(1)
			return
		}
	}
	t.place = im.ahead
	im.inFlight.Add(1)
	im.tasks.Go(func() {
		defer func() {
			im.users.endTurn(t)
			t.leave()
			<-im.open
			im.inFlight.Add(-1)
		}()
		im.work1(ctx, t)
	})
}

// occupy waits for a worker. When the run stops it returns without one: the next step knows what may still be done.
func (im *Importer) occupy(t *task) {
	if t.place == im.slots {
		return
	}
	im.ready.Add(1)
	select {
	case im.slots <- struct{}{}:
		t.leave()
		t.place = im.slots
	case <-im.fetching.Done():
	}
	im.ready.Add(-1)
	im.users.creator.workerBusy()
}

// work1 takes a transcript through its steps.
func (im *Importer) work1(ctx context.Context, t *task) {
	for at := stepValidate; at != stepEnd; {
		if steps[at].busy {
			im.occupy(t)
		}
		began := time.Now()
		next, err := steps[at].do(im, ctx, t)
		im.times.add(steps[at].name, time.Since(began))
		if err != nil {
			im.leaveTask(t, steps[at].name, err)
			return
		}
		at = next
	}
	im.checkFailures()
}

// leaveTask ends a task that cannot go on in this run, or not as ours.
func (im *Importer) leaveTask(t *task, step string, err error) {
	log := im.log.With("transcript", t.key, "step", step)
	switch {
	case errors.Is(err, errLostClaim):
		log.Warn("another run has taken the transcript")
		// Or it has only recorded the conversation that it knew of, and the claim is still ours. Then the transcript is claimed
		// anew, as it is by now.
		if w := im.writer.do(t.change(checkpoint.Release)); w.err != nil {
			im.abort(w.err)
		} else if t.rec != nil {
			im.backlog.add(&item{rec: t.rec})
			return
		}
	case isFatal(err):
		im.abort(err)
	case im.fetching.Err() == nil && ctxError(err) == nil:
		im.abort(fmt.Errorf("%s: %w", step, err))
	}
	im.tally.pending.Add(1)
}

func ctxError(err error) error {
	if errors.Is(err, errStopped) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// settle records the last event of a task and counts it. The worker does not wait for that.
func (im *Importer) settle(t *task, e checkpoint.Event, code, message string) (step, error) {
	t.leave()
	c := t.change(e)
	c.ErrorCode, c.Error = code, message
	if e == checkpoint.FinishPartial || e == checkpoint.Finish {
		c.PartialErrors = t.partial
	}
	if _, err := im.record(t, c); err != nil {
		return stepEnd, err
	}
	im.counted(t, e)
	return stepEnd, nil
}

// counted counts a task whose last event is recorded.
func (im *Importer) counted(t *task, e checkpoint.Event) {
	count, level := &im.tally.pending, im.log.Warn
	switch e {
	case checkpoint.Finish:
		count, level = &im.tally.imported, im.log.Debug
	case checkpoint.FinishPartial:
		count, level = &im.tally.partial, im.log.Info
	case checkpoint.Fail:
		count = &im.tally.failed
	case checkpoint.Reject:
		count = &im.tally.rejected
	case checkpoint.Skip:
		count, level = &im.tally.skipped, im.log.Debug
	case checkpoint.GiveUp:
		count = &im.tally.inDoubt
	}
	count.Add(1)
	if im.cfg.OnImported != nil && (e == checkpoint.Finish || e == checkpoint.FinishPartial) {
		im.cfg.OnImported(t.key, t.row.ConversationID)
	}
	if e != checkpoint.Skip {
		im.tally.cause(t.row.ErrorCode)
	}
	if e == checkpoint.FinishPartial {
		im.tally.problem(t.partial)
	}
	im.logEnd(t, e, level)
}

// endings are the events that end the work on a transcript, as a log says them.
var endings = map[checkpoint.Event]string{
	checkpoint.Finish: "imported", checkpoint.FinishPartial: "imported with problems", checkpoint.Fail: "failed",
	checkpoint.Reject: "rejected", checkpoint.Skip: "skipped", checkpoint.GiveUp: "left in doubt", checkpoint.Release: "left to the next run",
}

// logEnd logs the end of the work on a transcript. Of those that end for one reason only the first few are worth a line each.
func (im *Importer) logEnd(t *task, e checkpoint.Event, level func(string, ...any)) {
	cause := logCause{event: endings[e], code: t.row.ErrorCode}
	args := []any{"transcript", t.key, "status", string(t.row.Status)}
	if e == checkpoint.FinishPartial && len(t.partial) > 0 {
		first := t.partial[0]
		cause.code = strings.TrimSpace(string(first.Kind) + " " + first.Attribute)
		args = append(args, "problem", cause.code)
	}
	if e != checkpoint.Finish && e != checkpoint.Skip && !im.tally.logs(cause) {
		level = im.log.Debug
	}
	if t.row.ConversationID != 0 {
		args = append(args, "conversation", t.row.ConversationID)
	}
	if t.row.ErrorCode != "" {
		args = append(args, "code", t.row.ErrorCode, "error", t.row.Error)
	}
	level("transcript "+endings[e], args...)
}

// few logs a warning about one of the first transcripts of a cause, the others for those who look for faults.
func (im *Importer) few(c logCause) func(message string, args ...any) {
	if im.tally.logs(c) {
		return im.log.Warn
	}
	return im.log.Debug
}

// logMore says how many more transcripts ended like those that were logged.
func (im *Importer) logMore() {
	more := im.tally.unlogged()
	causes := slices.SortedFunc(maps.Keys(more), func(a, b logCause) int {
		return cmp.Or(cmp.Compare(more[b], more[a]), cmp.Compare(a.event, b.event), cmp.Compare(a.code, b.code))
	})
	for _, c := range causes {
		args := []any{"count", more[c]}
		if c.code != "" {
			args = append(args, "cause", c.code)
		}
		im.log.Info("more transcripts "+c.event, args...)
	}
}

// checkFailures stops the run when too many transcripts have failed.
func (im *Importer) checkFailures() {
	if failed, worked := im.tally.worked(); im.cfg.MaxFailures.exceeded(failed, worked) {
		im.Stop(fmt.Sprintf("%d of %d transcripts failed, which is as many as import.max_failures allows", failed, worked))
	}
}
