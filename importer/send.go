package importer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
)

// send is the step that imports the transcript.
func (im *Importer) send(ctx context.Context, t *task) (step, error) {
	in := im.payload(t.transcript, t.row.EndUserID, t.withoutAttachments)
	// A stop ends the wait for the request's turn, but not the request.
	turn, leave := context.WithCancel(ctx)
	defer leave()
	var recorded atomic.Bool
	defer context.AfterFunc(im.fetching, func() {
		if !recorded.Load() {
			leave()
		}
	})()
	answer, err := im.cfg.API.ImportConversation(turn, in, func(_ context.Context, _ int, previous error) (time.Time, error) {
		recorded.Store(true)
		return im.recordSending(t, previous)
	})
	if err == nil {
		return im.recordFound(t, answer.ID, partialErrors(answer.PartialErrors))
	}
	if t.row.Status != checkpoint.Sending { // nothing was recorded, so nothing left
		return im.unsent(t, err)
	}
	if !dixa.NotApplied(err) && !errors.Is(err, errStopped) && !errors.Is(err, errLostClaim) {
		im.few(logCause{event: "in doubt, because it is not known whether the import arrived"})("it is not known whether the import arrived", "transcript", t.key, "error", err.Error())
		return stepReconcile, nil
	}
	// A definite refusal, or nothing was written.
	if !errors.Is(err, errLostClaim) {
		c := t.change(checkpoint.Unsent)
		if _, refused := errors.AsType[*dixa.APIError](err); !refused {
			c.Attempts-- // it did not leave
		}
		if _, recordErr := im.record(t, c); recordErr != nil {
			return stepEnd, recordErr
		}
	}
	return im.unsent(t, err)
}

// recordSending records, before a request leaves, that it may be on its way. It is called after the rate limiter let the
// request go, and again before every repetition, which does not count as another attempt: nothing of the last one was
// applied. It returns until when the request may begin.
func (im *Importer) recordSending(t *task, previous error) (notAfter time.Time, err error) {
	for again := previous != nil; ; again = true {
		if im.fetching.Err() != nil {
			return time.Time{}, errStopped
		}
		event := checkpoint.Send
		if t.row.Status == checkpoint.Sending { // and previous proves that nothing of it was applied
			event = checkpoint.SendAgain
		}
		c := t.change(event)
		c.ErrorCode, c.Error, c.SendFor = "", "", im.cfg.SendWindow
		c.ContentHash, c.ClosedAt = t.rec.Hash.String(), t.transcript.ClosedAt
		if !again {
			c.Attempts++
		}
		w, err := im.record(t, c)
		if err != nil {
			return time.Time{}, err
		}
		t.due = w.began.Add(im.cfg.SendWindow + im.cfg.RequestTimeout)
		if passed(w.began) < im.cfg.SendWindow/2 {
			return w.began.Add(im.cfg.SendWindow / 2), nil
		}
		// Nothing left since, so this may be recorded anew.
	}
}

// passed is the time since began by whichever clock says more: the monotonic one stands still while a machine is suspended,
// the wall clock may be set back.
func passed(began time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(began), now.Round(0).Sub(began.Round(0)))
}

// recordFound records the conversation of a transcript, whoever may have claimed it meanwhile.
func (im *Importer) recordFound(t *task, conversation int64, partial []checkpoint.PartialError) (step, error) {
	t.partial = append(t.partial, partial...)
	finished, last := false, checkpoint.Finish
	if t.transcript != nil {
		values, refused := im.attributes.valuesOf(t.transcript)
		if finished = len(values) == 0; finished { // one transaction records both, for there is no more to do
			t.partial = append(t.partial, refused...)
		}
	}
	found := t.change(checkpoint.Found)
	found.ConversationID, found.ErrorCode, found.Error, found.PartialErrors = conversation, "", "", t.partial
	changes := []checkpoint.Change{found}
	if finished {
		if len(t.partial) > 0 {
			last = checkpoint.FinishPartial
		}
		finish := found
		finish.Event, finish.PartialErrors = last, nil
		changes = append(changes, finish)
	}
	w, err := im.record(t, changes...)
	if len(w.results) > 0 {
		switch first := w.results[0]; {
		case first.Holder != "": // the checkpoint has left it to a person
			im.log.Error("the conversation belongs to another transcript", "transcript", t.key, "conversation", conversation, "other", first.Holder)
			im.counted(t, checkpoint.GiveUp)
			return stepEnd, nil
		case first.Other != 0:
			im.noteDuplicate(t, first.Other, conversation)
			conversation, last = first.Other, checkpoint.FinishPartial
		}
	}
	if err != nil {
		return stepEnd, err
	}
	t.row.ConversationID = conversation
	if finished {
		im.counted(t, last)
		return stepEnd, nil
	}
	return stepAttributes, nil
}

// noteDuplicate takes down that a transcript has two conversations; the first one is the one that it keeps.
func (im *Importer) noteDuplicate(t *task, kept, other int64) {
	im.tally.duplicates.Add(1)
	im.log.Error("a transcript has two conversations in Dixa", "transcript", t.key, "conversation", kept, "other", other)
}

// unsent decides about a transcript whose import is known not to have been applied.
func (im *Importer) unsent(t *task, err error) (step, error) {
	fail := func(code string, err error) (step, error) {
		return im.settle(t, checkpoint.Fail, code, err.Error())
	}
	var database *DatabaseError
	switch {
	case errors.Is(err, errStopped), errors.Is(err, errLostClaim), errors.As(err, &database):
		return stepEnd, err
	case ctxError(err) != nil:
		return stepEnd, errStopped
	case isRequesterMissing(err) && !t.renewed:
		t.renewed = true
		if err := im.users.forget(t.row.EndUserID); err != nil {
			return stepEnd, err
		}
		t.row.EndUserID, t.unknown = "", false
		return stepResolve, nil
	case isRequesterMissing(err):
		return fail(codeEndUserMissing, fmt.Errorf("%w, although it was looked up again: run `dixa-import retry` in a while", err))
	case isAgentUnknown(err) && namesOtherAgents(t.transcript):
		return fail(codeAgentUnknown, fmt.Errorf("%w: correct the agent_id of the record's messages, or leave it out", err))
	case stopsRun(err):
		return stepEnd, fatalAnswer(err)
	case isAboutAttachment(err) && !t.withoutAttachments && hasAttachments(t):
		t.withoutAttachments = true
		t.partial = append(t.partial, checkpoint.PartialError{Kind: checkpoint.KindAttachment,
			Message: "Dixa refused the attachments, so they were sent as links in the text: " + err.Error()})
		return stepSend, nil
	case dixa.Transient(err):
		return im.settle(t, checkpoint.Release, codeUnavailable, err.Error())
	}
	return fail(codeRefused, fmt.Errorf("%w: correct the record", err))
}

func hasAttachments(t *task) bool {
	for _, m := range t.transcript.Messages {
		if len(m.Attachments) > 0 {
			return true
		}
	}
	return false
}
