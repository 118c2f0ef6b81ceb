package importer

import (
	"context"
	"errors"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/rules"
	"dixa-import/source"
)

// step is one step of the work on a transcript. It returns the next step.
type step int

const (
	stepValidate step = iota
	stepResolve
	stepSearchFirst
	stepSend
	stepReconcile
	stepAttributes
	stepFinish
	stepEnd
)

// steps are the steps of a claimed transcript. Any step may settle it. A step returns an error only if this run cannot settle the
// transcript: the run stops or cannot continue, or another run took over the transcript. These are the transitions:
//
//	validate    -> resolve      it may be sent
//	            -> reconcile    an earlier run may have sent it
//	            -> attributes   an earlier run or a person found its conversation
//	resolve     -> look first   it may be in Dixa although the checkpoint does not have it
//	            -> send
//	look first  -> send         it is not in Dixa
//	            -> attributes   it is in Dixa
//	send        -> attributes   it is imported
//	            -> reconcile    it is unclear whether the import arrived
//	            -> resolve      Dixa no longer knows the end-user
//	            -> send         again, without the attachments that Dixa refused
//	attributes  -> finish       tags, a rating, notes, a hand-over or a link are to follow
//	reconcile   -> attributes   the import arrived
//	            -> send         the import did not arrive
//	            -> validate     the import did not arrive, and the record has changed so that it cannot be sent
var steps [stepEnd]struct {
	name string
	busy bool // it needs a worker; other steps run before the task has one, or mostly wait
	do   func(*pipeline, context.Context, *task) (step, error)
}

func init() { // avoids an initialization cycle between the table and the steps
	steps[stepValidate].name, steps[stepValidate].do = "validate", (*pipeline).validate
	steps[stepResolve].name, steps[stepResolve].do = "resolve the end-user", (*pipeline).resolve
	steps[stepSearchFirst].name, steps[stepSearchFirst].do = "look before sending", (*pipeline).searchFirst
	steps[stepSend].name, steps[stepSend].do = "import", (*pipeline).send
	steps[stepReconcile].name, steps[stepReconcile].do = "reconcile", (*pipeline).reconcile
	steps[stepAttributes].name, steps[stepAttributes].do = "set attributes", (*pipeline).setAttributes
	steps[stepFinish].name, steps[stepFinish].do = "finish", (*pipeline).finishAll
	for _, s := range []step{stepSearchFirst, stepSend, stepAttributes, stepFinish} {
		steps[s].busy = true
	}
}

// The error codes that this package records in the checkpoint. Rejections have the codes of source.RejectCode.
const (
	codeRefused         = "refused"           // Dixa refused the import
	codeAgentUnknown    = "agent_unknown"     // Dixa does not know an agent named in the transcript
	codeEndUserMissing  = "end_user_missing"  // Dixa does not know the end-user that it returned itself
	codeEndUserRefused  = "end_user_refused"  // Dixa refused to create the end-user
	codeEndUserConflict = "end_user_conflict" // Dixa says that the end-user exists, but does not find it
	codeUnavailable     = "unavailable"       // no answer from Dixa before the import was sent
	codeForbidden       = "forbidden"         // 401 or 403 for this transcript alone
	codeNotFound        = "not_found"         // no attempt left a conversation
	codeUnreadable      = "unreadable"        // the token may not read what the search needs
	codeEndUserGone     = "end_user_gone"     // the end-user of a transcript in doubt is gone from Dixa
	codeLookFailed      = "look_failed"       // the searches in Dixa failed
	codeAmbiguous       = "ambiguous"         // a conversation may be this transcript or another one
	codeSourceMissing   = rules.CodeSourceMissing
	codeAttributes      = "attributes_unset" // the attributes could not be set

	codeQueueUnknown     = "queue_unknown"     // the queue of the hand-over does not exist
	codeQueueUnavailable = "queue_unavailable" // nobody is available in the queue
	codeTransferRefused  = "transfer_refused"  // Dixa refused the transfer
	codeTransferUnclear  = "transfer_unclear"  // it is unclear whether the conversation was transferred, or it could not be at present
	codeFinishingUnclear = "finishing_unclear" // the same of the other steps
	codeParentMissing    = "parent_missing"    // the transcript that it continues has no conversation yet
)

// decode decodes the record of a task, and determines its end-user if it may be sent.
func (p *pipeline) decode(t *task) {
	if t.rec == nil {
		return
	}
	transcript, err := t.rec.Transcript()
	t.rec.Forget()
	if err != nil || transcript.ClosedAt.IsZero() {
		return
	}
	t.transcript = transcript
	if t.row.Status == checkpoint.Sending || t.row.Status == checkpoint.Imported {
		if sent, is := rules.SentVersion(transcript, t.row); is && sent != transcript {
			t.transcript, t.current = sent, transcript
		}
	}
	if t.row.Status == checkpoint.Pending {
		t.user.Person = p.matcher.Person(transcript)
		p.tally.addIgnored(t.user.Person.Ignored)
		p.tally.addRedacted(transcript.Redacted)
	}
}

// validate is the step that decides what to do with a claimed transcript. It settles bad, open and empty ones, and continues those that an
// earlier run left unfinished.
func (p *pipeline) validate(_ context.Context, t *task) (step, error) {
	var rejected *source.RejectError
	if t.rec != nil {
		if _, err := t.rec.Transcript(); err != nil && !errors.As(err, &rejected) {
			return stepEnd, err
		}
	}
	if err := p.leaveOutSent(t); err != nil {
		return stepEnd, err
	}
	switch {
	case t.row.Status == checkpoint.Imported:
		return stepAttributes, p.loadEarlier(t)
	case t.row.Status == checkpoint.Sending:
		return stepReconcile, p.loadEarlier(t)
	case t.decision == Drop || t.decision == Adopt:
		return p.applyDecision(t)
	case p.policy().Empty(rejected):
		return p.settle(t, checkpoint.Skip, rules.CodeEmpty, "")
	case rejected != nil:
		return p.settle(t, checkpoint.Reject, string(rejected.Code), t.rec.Place.String()+": "+rejected.Reason)
	case t.transcript == nil:
		return p.settle(t, checkpoint.Skip, rules.CodeOpen, "")
	}
	if bad, err := p.replaceOriginal(t); err != nil {
		return stepEnd, err
	} else if bad != nil {
		return p.settle(t, checkpoint.Reject, string(bad.Code), t.rec.Place.String()+": "+bad.Reason)
	}
	if t.user.Person.Anonymous && p.s.Anonymous == AnonymousSkip {
		return p.settle(t, checkpoint.Skip, rules.CodeAnonymous, "")
	}
	return stepResolve, nil
}

// loadEarlier loads what earlier runs recorded of a transcript whose import may have arrived.
func (p *pipeline) loadEarlier(t *task) error {
	if t.transcript == nil || p.hasMore(t) {
		if err := p.loadSteps(t); err != nil {
			return err
		}
	}
	if t.row.Status != checkpoint.Imported {
		return nil
	}
	return p.loadPartial(t)
}

// loadPartial loads the problems that an earlier run recorded for an imported conversation, because the final record replaces them. It
// omits problems with attributes: they are set again now.
func (p *pipeline) loadPartial(t *task) error {
	if t.partial != nil { // applyRetry has loaded them
		return nil
	}
	var known []checkpoint.PartialError
	err := p.s.Patiently(p.s.Starting, "read the checkpoint", func(ctx context.Context) (err error) {
		known, err = p.s.Store.PartialErrors(ctx, p.s.Source, t.key)
		return err
	})
	if err != nil {
		return p.s.StoppedOr(err)
	}
	t.partial = without(known, checkpoint.KindAttribute)
	return nil
}
