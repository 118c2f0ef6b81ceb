package importer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/importer/internal/shape"
)

// send is the step that imports the transcript.
func (p *pipeline) send(ctx context.Context, t *task) (step, error) {
	if err := p.admit(); err != nil {
		return stepEnd, err
	}
	if t.transcript.Handover != nil {
		if next, err := p.planHandover(ctx, t); next != stepSend || err != nil {
			return next, err
		}
	}
	in := p.s.Bot().Payload(t.transcript, t.row.EndUserID, t.withoutAttachments)
	mayLeave, recorded, end := p.untilRecorded(ctx)
	defer end()
	answer, err := p.s.API.ImportConversation(mayLeave, in, func(_ context.Context, _ int, previous error) (time.Time, error) {
		recorded()
		return p.recordSending(t, previous)
	})
	if err == nil {
		p.refusals.succeeded(dixa.OpImport)
		p.learning.followImport(t, answer.ID)
		return p.recordFound(t, answer.ID, partialErrors(answer.PartialErrors))
	}
	if t.row.Status != checkpoint.Sending { // nothing was recorded, so no request left
		return p.handleUnsent(t, err)
	}
	if !dixa.NotApplied(err) && !errors.Is(err, session.ErrStopped) && !errors.Is(err, errLostClaim) {
		p.tally.warnSampled(logCause{event: "in doubt, because it is unclear whether the import arrived"})("it is unclear whether the import arrived", "transcript", t.key, "error", err.Error())
		return stepReconcile, nil
	}
	// Dixa refused the import, or the request never left.
	if !errors.Is(err, errLostClaim) {
		c := t.change(checkpoint.Unsent)
		if _, refused := errors.AsType[*dixa.APIError](err); !refused {
			c.Attempts-- // the request never left
		}
		if _, recordErr := p.record(t, c); recordErr != nil {
			return stepEnd, recordErr
		}
	}
	return p.handleUnsent(t, err)
}

// untilRecorded returns a context that a stop cancels until recorded is called: a stop ends the wait for the rate limiter, but not a request that
// may have left.
func (p *pipeline) untilRecorded(ctx context.Context) (mayLeave context.Context, recorded, end func()) {
	mayLeave, leave := context.WithCancel(ctx)
	var left atomic.Bool
	stop := context.AfterFunc(p.s.Starting, func() {
		if !left.Load() {
			leave()
		}
	})
	return mayLeave, func() { left.Store(true) }, func() {
		stop()
		leave()
	}
}

// recordSending records, before a request leaves, that it may be on its way, and returns the time by which it must leave. The client calls
// it after the rate limiter, and again before each repetition. A repetition is not another attempt, because nothing of the previous request
// was applied. If the request would leave too late, the next record allows twice the time: otherwise a slow checkpoint would hold it back
// forever.
func (p *pipeline) recordSending(t *task, previous error) (notAfter time.Time, err error) {
	again := previous != nil
	if t.window = max(t.window, p.s.SendWindow); dixa.TooLate(previous) {
		t.window *= 2
	}
	for ; ; t.window *= 2 {
		if p.s.Starting.Err() != nil {
			return time.Time{}, session.ErrStopped
		}
		event := checkpoint.Send
		if t.row.Status == checkpoint.Sending { // previous proves that nothing was applied
			event = checkpoint.SendAgain
		}
		c := t.change(event)
		c.ErrorCode, c.Error, c.Reason, c.SendFor = "", "", "", t.window
		c.ContentHash, c.ClosedAt, c.Sent = t.rec.Hash.String(), t.transcript.ClosedAt, rules.SentWith(t.row, t.transcript)
		if !again {
			c.Attempts++
		}
		w, err := p.record(t, c)
		if err != nil {
			return time.Time{}, err
		}
		t.due = w.began.Add(t.window + p.s.RequestTimeout)
		took := session.Since(w.began)
		if took < t.window/2 {
			return w.began.Add(t.window / 2), nil
		}
		p.s.WarnSlowCheckpoint(took)
		again = true // no request has left since
	}
}

// recordFound records the conversation of a transcript, even if another run has claimed the transcript meanwhile.
func (p *pipeline) recordFound(t *task, conversation int64, partial []checkpoint.PartialError) (step, error) {
	t.partial = append(append(t.partial, t.user.LeftOut...), partial...)
	t.user.LeftOut = nil
	if t.notHandedOver {
		t.partial = append(t.partial, checkpoint.PartialError{Kind: checkpoint.KindTransfer, Message: "nobody was available in the queue, so the chat was imported closed and not handed over"})
	}
	finished := false
	if t.transcript != nil {
		values, refused := p.s.Custom.Values(t.transcript)
		if finished = len(values) == 0 && !p.hasMore(t); finished { // there are no attributes to set: one transaction records both
			t.partial = append(t.partial, refused...)
		}
	}
	found := t.change(checkpoint.Found)
	found.ConversationID, found.ErrorCode, found.Error, found.Reason, found.PartialErrors = conversation, "", "", "", t.partial
	changes := []checkpoint.Change{found}
	if finished {
		finish := found
		finish.Event, finish.PartialErrors = t.finishEvent(), nil
		changes = append(changes, finish)
	}
	w, err := p.record(t, changes...)
	if len(w.results) > 0 {
		switch first := w.results[0]; {
		case first.Holder != "": // the checkpoint recorded it as in doubt
			p.s.Log.Error("the conversation belongs to another transcript", "transcript", t.key, "conversation", conversation, "other", first.Holder)
			return p.tally.count(t)
		case first.Other != 0:
			p.noteDuplicate(t, first.Other, conversation)
		}
	}
	switch {
	case err != nil:
		return stepEnd, err
	case finished:
		return p.tally.count(t)
	}
	return stepAttributes, nil
}

// noteDuplicate records that a transcript has two conversations. It keeps the first one.
func (p *pipeline) noteDuplicate(t *task, kept, other int64) {
	t.partial = append(t.partial, checkpoint.PartialError{Kind: checkpoint.KindDuplicate,
		Message: fmt.Sprintf("Dixa has two conversations of this transcript: %d and %d", kept, other)})
	p.tally.duplicates.Add(1)
	p.s.Log.Error("a transcript has two conversations in Dixa", "transcript", t.key, "conversation", kept, "other", other)
}

// handleUnsent decides what follows an import that was certainly not applied.
func (p *pipeline) handleUnsent(t *task, err error) (step, error) {
	var database *DatabaseError
	reason := dixa.ReasonOf(err)
	switch {
	case errors.Is(err, session.ErrStopped), errors.Is(err, errLostClaim), errors.As(err, &database):
		return stepEnd, err
	case session.ContextError(err) != nil:
		return stepEnd, session.ErrStopped
	case reason == dixa.ReasonRequesterMissing && !t.resolvedAgain:
		t.resolvedAgain = true
		if err := p.users.Forget(t.row.EndUserID); err != nil {
			return stepEnd, err
		}
		t.row.EndUserID = ""
		return stepResolve, nil
	case reason == dixa.ReasonRequesterMissing:
		return p.settleFailed(t, codeEndUserMissing, fmt.Errorf("%w, although it was just looked up again", err))
	case reason == dixa.ReasonAgentUnknown && shape.NamesAgents(t.transcript):
		return p.settleFailed(t, codeAgentUnknown, err)
	case mayStopRun(err):
		return p.settleRefused(t, t.key, err)
	case reason == dixa.ReasonAttachment && !t.withoutAttachments && hasAttachments(t):
		t.withoutAttachments = true
		t.partial = append(t.partial, checkpoint.PartialError{Kind: checkpoint.KindAttachment,
			Message: "Dixa refused the attachments, so they were sent as links in the text: " + err.Error()})
		return stepSend, nil
	case dixa.Refused(err):
		return p.settleFailed(t, codeRefused, err)
	}
	return p.settle(t, checkpoint.Release, codeUnavailable, err.Error()) // this says nothing about the transcript itself
}

func hasAttachments(t *task) bool {
	for _, m := range t.transcript.Messages {
		if len(m.Attachments) > 0 {
			return true
		}
	}
	return false
}
