package importer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

// handsOver reports whether the conversation is to be transferred to a queue: the transcript says so, or the source no longer has it and it was
// planned.
func (p *pipeline) handsOver(t *task) bool {
	if t.transcript != nil {
		return t.transcript.Handover != nil
	}
	switch t.steps[checkpoint.StepTransfer].State {
	case checkpoint.StepPlanned, checkpoint.StepSending, checkpoint.StepRefused:
		return true
	}
	return false
}

// dontHandOver makes the transcript one that is imported closed, because nobody is available.
func (t *task) dontHandOver() {
	t.notHandedOver = true
	if t.transcript != nil && t.transcript.Handover != nil {
		plain := *t.transcript
		plain.Handover = nil
		t.transcript = &plain
	}
}

// planHandover decides, before the import, which queue the conversation goes to, and whether it is imported open. It records the decision: a
// later run may have to carry it out without the record. It returns stepSend to go on.
func (p *pipeline) planHandover(ctx context.Context, t *task) (step, error) {
	queue, err := p.queueOf(ctx, t)
	if unknown := new(session.Unknown); errors.As(err, &unknown) {
		return p.settle(t, checkpoint.Fail, codeQueueUnknown, unknown.Text)
	} else if err != nil {
		return p.handleUnsent(t, err)
	}
	state := checkpoint.StepPlanned
	if p.s.Handover.WhenUnavailable == session.UnavailableWait || p.s.Handover.WhenUnavailable == session.UnavailableSkip {
		available, err := p.s.QueueAvailable(ctx, queue)
		switch {
		case err == nil && !available && p.s.Handover.WhenUnavailable == session.UnavailableWait:
			return p.settle(t, checkpoint.Release, codeQueueUnavailable, "nobody is available in the queue")
		case err == nil && !available:
			state = checkpoint.StepSkipped
		case session.ContextError(err) != nil:
			return stepEnd, session.ErrStopped
		case err != nil: // a customer is waiting: transfer all the same
			p.tally.warnSampled(logCause{event: "for which the availability of the queue is not known"})("Dixa did not say whether the queue is available: the chat is handed over all the same",
				"transcript", t.key, "error", err.Error())
		}
	}
	if known := t.steps[checkpoint.StepTransfer]; known.State != state || known.Detail != queue {
		if err := p.saveStep(t, checkpoint.StepChange{Step: checkpoint.Step{Name: checkpoint.StepTransfer, State: state, Detail: queue}}); err != nil {
			return stepEnd, err
		}
	}
	if state == checkpoint.StepSkipped {
		t.dontHandOver()
	}
	return stepSend, nil
}

// queueOf returns the id of the queue to which the conversation goes: as planned, or as the transcript says.
func (p *pipeline) queueOf(ctx context.Context, t *task) (string, error) {
	known := t.steps[checkpoint.StepTransfer]
	if known.Detail != "" && (t.transcript == nil || known.State == checkpoint.StepSending) {
		return known.Detail, nil
	}
	name := ""
	if t.transcript != nil && t.transcript.Handover != nil {
		name = t.transcript.Handover.Queue
	}
	if name == "" {
		name = p.s.Handover.Queue
	}
	if name == "" {
		return "", &session.Unknown{Text: "the transcript names no queue: set handover.queue, or give the record handover.queue; `dixa-import queues` lists them"}
	}
	return p.s.QueueID(ctx, name)
}

// transfer puts the conversation into its queue.
func (p *pipeline) transfer(ctx context.Context, t *task) error {
	if t.steps[checkpoint.StepTransfer].State == checkpoint.StepDone {
		return nil
	}
	queue, err := p.queueOf(ctx, t)
	if unknown := new(session.Unknown); errors.As(err, &unknown) {
		return &refusedError{err}
	} else if session.ContextError(err) != nil {
		return session.ErrStopped
	} else if err != nil {
		return &unclearError{err}
	}
	conversation := t.row.ConversationID
	err = p.doOnce(ctx, t, delicate{name: checkpoint.StepTransfer, detail: queue, done: checkpoint.StepChange{QueueID: queue},
		send: func(ctx context.Context, before dixa.Before) (string, error) {
			return "", p.s.API.TransferToQueue(ctx, conversation, queue, before)
		},
		look: func(ctx context.Context) (bool, string, error) {
			got, err := p.s.API.GetConversation(ctx, conversation)
			return err == nil && p.isTransferred(got), "", err
		}})
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return &refusedError{fmt.Errorf("%w: %s", refused.err, transferCure(refused.err))}
	}
	return err
}

// isTransferred reports whether a conversation has left the bot: it waits in a queue, somebody else has it, or it was closed.
func (p *pipeline) isTransferred(c dixa.Conversation) bool {
	if c.Queue != nil || strings.EqualFold(c.State, "Closed") {
		return true
	}
	return c.Assignment != nil && !strings.EqualFold(c.Assignment.AgentID, p.s.AgentID)
}

// transferCure says what to do about a refusal of a transfer.
func transferCure(err error) string {
	switch {
	case dixa.ReasonOf(err) == dixa.ReasonQueueMissing:
		return "`dixa-import queues` lists the queues; correct handover.queue"
	case dixa.ReasonOf(err) == dixa.ReasonConversationID:
		return "the conversation's id must be the number that the import returned"
	case session.HasStatus(err, 404):
		return "Dixa no longer has the conversation, or does not offer this operation"
	}
	return "look at the conversation in Dixa: a customer may be waiting"
}
