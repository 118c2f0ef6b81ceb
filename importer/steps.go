package importer

import (
	"context"
	"errors"
	"slices"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// step is one step in the work on a transcript. It returns the step that comes next.
type step int

const (
	stepValidate step = iota
	stepResolve
	stepLookFirst
	stepSend
	stepReconcile
	stepAttributes
	stepEnd
)

// steps are what is done with a claimed transcript. A step returns an error only when the transcript cannot be settled by
// this run: the run stops, cannot go on, or another run has taken the transcript.
//
//	validate -> resolve (-> look first) -> send -> attributes -> end
//	      \                           \       \        ^
//	       \                           v       v       |
//	        +------------------------> reconcile ------+   (not found: send again)
var steps [stepEnd]struct {
	name string
	busy bool // it keeps a worker busy; the others are done ahead of that, or wait
	do   func(*Importer, context.Context, *task) (step, error)
}

func init() { // breaks the initialisation cycle between the table and the steps that read it
	steps[stepValidate].name, steps[stepValidate].do = "validate", (*Importer).validate
	steps[stepResolve].name, steps[stepResolve].do = "resolve the end-user", (*Importer).resolve
	steps[stepLookFirst].name, steps[stepLookFirst].do = "look before sending", (*Importer).lookFirst
	steps[stepSend].name, steps[stepSend].do = "import", (*Importer).send
	steps[stepReconcile].name, steps[stepReconcile].do = "reconcile", (*Importer).reconcile
	steps[stepAttributes].name, steps[stepAttributes].do = "set attributes", (*Importer).setAttributes
	for _, s := range []step{stepLookFirst, stepSend, stepAttributes} {
		steps[s].busy = true
	}
}

// The error codes that this package records in the checkpoint; the codes of rejections are source.RejectCode.
const (
	codeOpen            = "open"
	codeAnonymous       = "anonymous"
	codeDropped         = "dropped"
	codeMended          = "mended"            // the record goes on under another id
	codeRefused         = "refused"           // Dixa refused the import
	codeAgentUnknown    = "agent_unknown"     // Dixa does not know an agent that the transcript names
	codeEndUserMissing  = "end_user_missing"  // Dixa does not know the end-user that it named itself
	codeEndUserRefused  = "end_user_refused"  // Dixa refused to create the end-user
	codeEndUserConflict = "end_user_conflict" // Dixa says that the end-user exists, and does not find it
	codeUnavailable     = "unavailable"       // no answer from Dixa before the import was sent
	codeNotFound        = "not_found"         // the last attempt left no conversation
	codeUnreadable      = "unreadable"        // a look needs what the token may not read
	codeEndUserGone     = "end_user_gone"     // the end-user of a transcript in doubt is not in Dixa any more
	codeLookFailed      = "look_failed"       // Dixa did not answer the looks
	codeSourceMissing   = "source_missing"    // the source does not hold the record any more
	codeAttributes      = "attributes_unset"  // the attributes could not be set
)

// describe decodes the record of a task, and says whose transcript it is if it may be sent.
func (im *Importer) describe(t *task) {
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
		t.person = im.personOf(transcript)
	}
}

// validate decides what there is to do: nothing for bad and open transcripts, and where to go on for those that an earlier
// run has left in the middle.
func (im *Importer) validate(_ context.Context, t *task) (step, error) {
	var rejected *source.RejectError
	if t.rec != nil {
		if _, err := t.rec.Transcript(); err != nil && !errors.As(err, &rejected) {
			return stepEnd, err
		}
	}
	switch {
	case t.row.Status == checkpoint.Imported:
		return stepAttributes, im.recallPartial(t)
	case t.row.Status == checkpoint.Sending:
		return stepReconcile, nil
	case t.decision == Drop || t.decision == Adopt:
		return im.decided(t)
	case rejected != nil:
		return im.settle(t, checkpoint.Reject, string(rejected.Code), t.rec.Place.String()+": "+rejected.Reason)
	case t.transcript == nil:
		return im.settle(t, checkpoint.Skip, codeOpen, "")
	}
	if bad, err := im.replace(t); err != nil {
		return stepEnd, err
	} else if bad != nil {
		return im.settle(t, checkpoint.Reject, string(bad.Code), t.rec.Place.String()+": "+bad.Reason)
	}
	if t.person.anonymous && im.cfg.Anonymous == AnonymousSkip {
		return im.settle(t, checkpoint.Skip, codeAnonymous, "")
	}
	return stepResolve, nil
}

// recallPartial takes up what is known to be wrong with a conversation that an earlier run has imported, for what is
// recorded at the end replaces it. What is wrong with its attributes will show anew.
func (im *Importer) recallPartial(t *task) error {
	if t.partial != nil { // a repair knows it
		return nil
	}
	var known []checkpoint.PartialError
	err := im.patiently(im.fetching, "read the checkpoint", func(ctx context.Context) (err error) {
		known, err = im.cfg.Store.PartialErrors(ctx, im.cfg.Source, t.key)
		return err
	})
	if err != nil {
		return im.stoppedOr(err)
	}
	t.partial = slices.DeleteFunc(known, func(p checkpoint.PartialError) bool { return p.Kind == checkpoint.KindAttribute })
	return nil
}
