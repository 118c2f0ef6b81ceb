package importer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
	"dixa-import/importer/internal/shape"
	"dixa-import/source"
)

// maxErrors is how many looks with an error in them it takes before a person has to decide.
const maxErrors = 20

// reconcile is the step that finds out whether an import arrived. It does not occupy a worker.
func (p *pipeline) reconcile(ctx context.Context, t *task) (step, error) {
	t.releaseSlot()
	p.memory.Wait(&t.held)
	t.user.Others = nil // what this run sends is the person's own
	p.doubts.Add(1)
	defer p.doubts.Add(-1)
	if t.due.IsZero() { // found in the checkpoint: its request may have begun as late as send_before
		t.due = time.Now().Add(t.row.SendIn + p.s.RequestTimeout)
	}
	defer p.searcher.inDoubt.enter(t)()
	if !session.Pause(p.s.Starting, time.Until(t.due)) {
		return stepEnd, session.ErrStopped
	}
	d := doubt{due: t.due}
	for {
		began := time.Now()
		seen, err := p.searcher.search(p.s.Starting, t)
		if err == nil && len(seen.found) == 1 && seen.byContent {
			seen.unclear, err = p.searcher.rivalReason(p.s.Starting, t, seen.found[0])
		}
		switch {
		case p.s.Starting.Err() != nil:
			return stepEnd, session.ErrStopped
		case err == nil && len(seen.found) > 0 && seen.unclear == "":
			if d.missed { // so long it was not listed
				lag := p.learning.lagBetween(t.due, began)
				p.learning.note(checkpoint.Facts{ListLag: &lag})
			}
			return p.adopt(ctx, t, seen)
		case err == nil:
			next, err := p.judgeSearch(t, &d, seen.unclear, began)
			if next != stepReconcile || err != nil {
				return next, err
			}
		default:
			if next, err := p.searchFailed(t, &d, err); next != stepReconcile || err != nil {
				return next, err
			}
		}
		if err := p.learnMore(&d); err != nil {
			return stepEnd, err
		}
		lag, spread := p.learning.window()
		if wait := max(time.Until(t.due.Add(lag)), spread/(session.MinLooks-1)); !session.Pause(p.s.Starting, wait) {
			return stepEnd, session.ErrStopped
		}
	}
}

// learnMore waits, once for each doubt, for what this run may find out of what looks can see.
func (p *pipeline) learnMore(d *doubt) error {
	more := p.learning.await
	if d.waited {
		more = p.learning.refresh
	}
	d.waited = true
	if err := more(p.s.Starting); err != nil {
		return p.s.StoppedOr(err)
	}
	p.learning.logLag()
	return nil
}

// doubt is what the looks for one transcript have shown so far.
type doubt struct {
	due             time.Time     // when the import had taken effect, or never will
	missed          bool          // a look did not show it
	waited          bool          // for what was to be learnt
	clear, unclear  session.Looks // of those that can see it: they showed nothing, or what may be it
	failed, counted int
}

// judgeLook decides what a look that did not find the transcript means. It returns stepReconcile where that is not clear yet.
func (p *pipeline) judgeSearch(t *task, d *doubt, unclear string, began time.Time) (step, error) {
	d.missed = d.missed || unclear == ""
	lag, spread := p.learning.window()
	if !d.waited && !p.learning.enough() || began.Before(d.due.Add(lag)) { // it could not have been seen, or who knows
		return stepReconcile, nil
	}
	if d.counted++; unclear == "" {
		d.clear.Add(began)
		d.unclear = session.Looks{}
	} else {
		d.unclear.Add(began)
		d.clear = session.Looks{}
	}
	unlisted, blind := p.learning.blind()
	switch {
	case d.unclear.Enough(spread), unclear != "" && d.counted >= maxErrors:
		return p.settle(t, checkpoint.GiveUp, codeAmbiguous, unclear)
	case !d.clear.Enough(spread):
		return stepReconcile, nil
	case blind:
		return p.settle(t, checkpoint.GiveUp, codeLookFailed, fmt.Sprintf("Dixa's lists did not show another import after %s: "+
			"that they do not show this one means nothing", roughTime(unlisted)))
	}
	return p.handleNotFound(t)
}

// lookFailed decides about a look that could not be made. It returns stepReconcile to look again.
func (p *pipeline) searchFailed(t *task, d *doubt, err error) (step, error) {
	switch {
	case session.HasStatus(err, http.StatusNotFound):
		return p.settle(t, checkpoint.GiveUp, codeEndUserGone, "the end-user of the import is not in Dixa any more")
	case session.Denied(err) && session.IsFatal(p.refusals.askToken(err)):
		return stepEnd, session.FatalAnswer(err)
	case session.Denied(err):
		return p.settle(t, checkpoint.GiveUp, codeUnreadable, err.Error()+
			": whether the transcript arrived cannot be read with this token")
	}
	var database *DatabaseError
	if errors.As(err, &database) {
		return stepEnd, session.Fatal(err)
	}
	p.tally.warnSampled(logCause{event: "in doubt, of which a look failed"})("a search for a transcript in doubt failed", "transcript", t.key, "error", err.Error())
	d.failed++
	if _, resting := errors.AsType[*dixa.RestingError](err); resting && d.failed >= session.MinLooks {
		return p.settle(t, checkpoint.Release, codeLookFailed, err.Error())
	}
	if d.failed >= maxErrors {
		return p.settle(t, checkpoint.GiveUp, codeLookFailed, err.Error())
	}
	return stepReconcile, nil
}

// notThere goes on with a transcript of which a reconcile has shown that it did not arrive.
func (p *pipeline) handleNotFound(t *task) (step, error) {
	switch {
	case t.rec == nil:
		return p.settle(t, checkpoint.Fail, codeSourceMissing, "the import did not arrive, and the source does not hold the transcript any more")
	case t.row.Attempts >= p.s.MaxAttempts && p.rests(dixa.OpImport): // that is no fault of the transcript
		if _, err := p.record(t, t.change(checkpoint.NotFound)); err != nil {
			return stepEnd, err
		}
		return p.settle(t, checkpoint.Release, codeUnavailable, "Dixa does not answer imports at present, and none of this transcript arrived")
	case t.row.Attempts >= p.s.MaxAttempts:
		return p.settle(t, checkpoint.Fail, codeNotFound, fmt.Sprintf("%d imports got no clear answer and left no conversation", t.row.Attempts))
	}
	p.tally.warnSampled(logCause{event: "whose import did not arrive"})("the import did not arrive: sending again", "transcript", t.key, "attempts", t.row.Attempts)
	t.partial = nil
	c := t.change(checkpoint.NotFound)
	c.ContentHash = t.rec.Hash.String()
	if _, err := p.record(t, c); err != nil {
		return stepEnd, err
	}
	if t.transcript == nil { // it is bad, or open again, in its present version
		return stepValidate, nil
	}
	t.user.Person = p.matcher.Person(t.transcript)
	return stepSend, nil
}

// lookFirst looks for the conversation of a transcript that the checkpoint knows nothing of.
func (p *pipeline) searchFirst(ctx context.Context, t *task) (step, error) {
	if !p.s.Reconcile && p.unmarked.searches() {
		return p.searchUnmarked(ctx, t)
	}
	if !p.s.Reconcile && p.first.lock != nil {
		if next, err := p.searchForLost(t); err != nil || !isCorrection(t) {
			return next, err
		}
	}
	failures, unclear := 0, 0
	for {
		// What was sent just before the checkpoint was lost may not be listed yet.
		lag, spread := p.learning.window()
		if wait := time.Until(p.started.Add(lag + spread)); p.s.Reconcile && wait > 0 {
			t.releaseSlot()
			p.logWait(lag + spread)
			if !session.Pause(p.s.Starting, wait) {
				return stepEnd, session.ErrStopped
			}
		}
		seen, err := p.searcher.search(p.s.Starting, t)
		if err == nil && seen.unclear == "" && (seen.byContent || len(seen.found) == 0) {
			if other := p.searcher.known.claimLikeness(p.searcher.likenessOf(t), t.key, seen.byContent); other != "" && other != t.key {
				seen.unclear = fmt.Sprintf("transcript %s has the same end-user and content, and was found in Dixa by its content: which of the two it is cannot be said", other)
			}
		}
		pause := time.Second
		switch {
		case p.s.Starting.Err() != nil:
			return stepEnd, session.ErrStopped
		case err == nil && seen.unclear == "" && len(seen.found) > 0:
			p.checkpointBehind.Store(true)
			return p.adopt(ctx, t, seen)
		case err == nil && seen.unclear != "": // others that work on their transcripts may make it clear
			if unclear++; unclear >= session.MinLooks {
				p.checkpointBehind.Store(true)
				return p.settle(t, checkpoint.GiveUp, codeAmbiguous, seen.unclear)
			}
			t.releaseSlot()
			pause = p.s.Settle / (session.MinLooks - 1)
		case err == nil:
			return stepSend, nil
		case session.HasStatus(err, http.StatusNotFound) && p.endUserGone(t.row.EndUserID):
			return stepSend, nil // the import says whether Dixa knows the end-user
		case session.Denied(err) && !p.s.Reconcile:
			return stepSend, nil
		case session.Denied(err):
			return stepEnd, session.Fatal(session.Advise(err, "--reconcile must read conversations and messages: use a token that is allowed to"))
		default:
			if failures++; failures > session.MinLooks {
				p.unsearched.Store(true)
				return p.settle(t, checkpoint.Release, codeLookFailed, err.Error())
			}
		}
		if !session.Pause(p.s.Starting, pause) {
			return stepEnd, session.ErrStopped
		}
	}
}

// tellOfWait logs, once, how long a run with Reconcile waits before it looks.
func (p *pipeline) logWait(d time.Duration) {
	p.waitLogged.Do(func() {
		p.s.Log.Info("Dixa may not list yet what was sent just before this run: waiting before looking", "wait", roughTime(d))
	})
}

// adopt records a conversation that a look has found, and what differs in it from the transcript.
func (p *pipeline) adopt(ctx context.Context, t *task, seen searchResult) (step, error) {
	found := seen.found
	if seen.byContent {
		p.learning.note(checkpoint.Facts{ExternalIDs: checkpoint.IDsWithheld})
	}
	p.tally.warnSampled(logCause{event: "that are in Dixa already"})("the transcript is in Dixa already", "transcript", t.key, "conversation", found[0])
	if len(found) > 1 {
		p.noteDuplicate(t, found[0], found[1])
	}
	differences := p.differences(ctx, t, found[0])
	if ctx.Err() != nil { // what could not be read is no difference then
		return stepEnd, session.ErrStopped
	}
	return p.recordFound(t, found[0], differences)
}

// differences compares a conversation with what would be sent. A problem with reading it back is a difference, too.
func (p *pipeline) differences(ctx context.Context, t *task, id int64) []checkpoint.PartialError {
	if t.transcript == nil {
		return nil
	}
	found, err := p.compare(ctx, t.transcript, t.row.EndUserID, id)
	if err != nil {
		found = []shape.Difference{{Kind: shape.DiffUnreadable, Detail: fmt.Sprintf("it could not be compared with the transcript: %v", err)}}
	}
	var out []checkpoint.PartialError
	for _, d := range found {
		out = append(out, checkpoint.PartialError{Kind: checkpoint.KindAdopted, MessageExternalID: d.Message, Message: d.Detail})
	}
	return out
}

// compare reads a conversation back and returns in what it is not what a transcript becomes, attributes aside. endUserID is
// its requester, "" if that is not known.
func (p *pipeline) compare(ctx context.Context, t *source.Transcript, endUserID string, id int64) ([]shape.Difference, error) {
	conversation, err := p.s.API.GetConversation(ctx, id)
	if err != nil {
		return nil, err
	}
	messages, err := p.s.API.ListMessages(ctx, id)
	if err != nil {
		return nil, err
	}
	return p.s.Bot().Compare(t, endUserID, conversation, messages), nil
}
