package importer

import (
	"context"
	"errors"
	"slices"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/rules"
	"dixa-import/source"
)

// step is one step in the work on a transcript. It returns the step that comes next.
type step int

const (
	stepValidate step = iota
	stepResolve
	stepSearchFirst
	stepSend
	stepReconcile
	stepAttributes
	stepEnd
)

// steps are what is done with a claimed transcript. A step returns an error only when the transcript cannot be settled by
// this run: the run stops, cannot go on, or another run took over the transcript. Any step may settle it; otherwise these follow:
//
//	validate    -> resolve      it may be sent
//	            -> reconcile    an earlier run may have sent it
//	            -> attributes   an earlier run, or a person, knows its conversation
//	resolve     -> look first   Dixa may have it without the checkpoint's knowledge
//	            -> send
//	look first  -> send         it is not there
//	            -> attributes   it is there
//	send        -> attributes   it is imported
//	            -> reconcile    it is unclear whether the import arrived
//	            -> resolve      Dixa does not know the end-user any more
//	            -> send         once more, without the attachments that Dixa refuses
//	reconcile   -> attributes   the import arrived
//	            -> send         it did not arrive
//	            -> validate     it did not arrive, and the record has changed so that it cannot be sent
var steps [stepEnd]struct {
	name string
	busy bool // it keeps a worker busy; the others are done ahead of that, or wait
	do   func(*pipeline, context.Context, *task) (step, error)
}

func init() { // breaks the initialisation cycle between the table and the steps that read it
	steps[stepValidate].name, steps[stepValidate].do = "validate", (*pipeline).validate
	steps[stepResolve].name, steps[stepResolve].do = "resolve the end-user", (*pipeline).resolve
	steps[stepSearchFirst].name, steps[stepSearchFirst].do = "look before sending", (*pipeline).searchFirst
	steps[stepSend].name, steps[stepSend].do = "import", (*pipeline).send
	steps[stepReconcile].name, steps[stepReconcile].do = "reconcile", (*pipeline).reconcile
	steps[stepAttributes].name, steps[stepAttributes].do = "set attributes", (*pipeline).setAttributes
	for _, s := range []step{stepSearchFirst, stepSend, stepAttributes} {
		steps[s].busy = true
	}
}

// The error codes that this package records in the checkpoint; the codes of rejections are source.RejectCode.
const (
	codeRefused         = "refused"           // Dixa refused the import
	codeAgentUnknown    = "agent_unknown"     // Dixa does not know an agent that the transcript names
	codeEndUserMissing  = "end_user_missing"  // Dixa does not know the end-user that it named itself
	codeEndUserRefused  = "end_user_refused"  // Dixa refused to create the end-user
	codeEndUserConflict = "end_user_conflict" // Dixa says the end-user exists, but does not find it
	codeUnavailable     = "unavailable"       // no answer from Dixa before the import was sent
	codeForbidden       = "forbidden"         // 401 or 403 for this one alone
	codeNotFound        = "not_found"         // the last attempt left no conversation
	codeUnreadable      = "unreadable"        // a look needs what the token may not read
	codeEndUserGone     = "end_user_gone"     // the end-user of a transcript in doubt is not in Dixa any more
	codeLookFailed      = "look_failed"       // Dixa did not answer the looks
	codeAmbiguous       = "ambiguous"         // the looks show what may be it, or another one
	codeSourceMissing   = "source_missing"    // the source no longer has the record
	codeAttributes      = "attributes_unset"  // the attributes could not be set
)

// describe decodes the record of a task, and says whose transcript it is if it may be sent.
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
	if t.row.Status == checkpoint.Pending {
		t.user.Person = p.matcher.Person(transcript)
		p.tally.addIgnored(t.user.Person.Ignored)
	}
}

// validate decides what there is to do: nothing for bad and open transcripts, and where to go on for those that an earlier
// run has left in the middle.
func (p *pipeline) validate(_ context.Context, t *task) (step, error) {
	var rejected *source.RejectError
	if t.rec != nil {
		if _, err := t.rec.Transcript(); err != nil && !errors.As(err, &rejected) {
			return stepEnd, err
		}
	}
	switch {
	case t.row.Status == checkpoint.Imported:
		return stepAttributes, p.loadPartial(t)
	case t.row.Status == checkpoint.Sending:
		return stepReconcile, nil
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

// recallPartial takes up what is known to be wrong with a conversation that an earlier run has imported, for what is
// recorded at the end replaces it. What is wrong with its attributes will show again.
func (p *pipeline) loadPartial(t *task) error {
	if t.partial != nil { // a repair knows it
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
	t.partial = slices.DeleteFunc(known, func(p checkpoint.PartialError) bool { return p.Kind == checkpoint.KindAttribute })
	return nil
}
