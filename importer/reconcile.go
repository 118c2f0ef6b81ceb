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

// maxErrors is how many failed or unclear searches for a transcript it takes to leave it in doubt.
const maxErrors = 20

// reconcile is the step that finds out whether an import arrived. It holds no worker.
func (p *pipeline) reconcile(ctx context.Context, t *task) (step, error) {
	t.releaseSlot()
	p.memory.MoveToDoubts(&t.held)
	t.user.Others = nil // this run sends only to the end-user itself
	p.doubts.Add(1)
	defer p.doubts.Add(-1)
	if t.due.IsZero() { // an earlier run sent it: its request may have left as late as send_before
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
			if d.missed { // it was not listed until now
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

// learnMore waits for facts about what a search can see: for as long as this run may find them out the first time, then only for those of
// other runs.
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

// doubt is what the searches for one transcript have shown so far.
type doubt struct {
	due             time.Time     // when the import has either taken effect or never will
	missed          bool          // a search did not show it
	waited          bool          // for facts about Dixa's answers
	clear, unclear  session.Looks // searches late enough to see it that showed nothing, or something unclear
	failed, counted int
}

// judgeSearch decides what follows a search that did not find the transcript. It returns stepReconcile to search again.
func (p *pipeline) judgeSearch(t *task, d *doubt, unclear string, began time.Time) (step, error) {
	d.missed = d.missed || unclear == ""
	lag, spread := p.learning.window()
	if !d.waited && !p.learning.enough() || began.Before(d.due.Add(lag)) { // too early to see it, or it is not known how long lists lag
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
			"so this one may be there although they do not show it", roughTime(unlisted)))
	}
	return p.handleNotFound(t)
}

// searchFailed decides what follows a failed search. It returns stepReconcile to search again.
func (p *pipeline) searchFailed(t *task, d *doubt, err error) (step, error) {
	switch {
	case session.HasStatus(err, http.StatusNotFound):
		return p.settle(t, checkpoint.GiveUp, codeEndUserGone, "the end-user of the import is no longer in Dixa")
	case session.Denied(err) && session.IsFatal(p.refusals.askToken(err)):
		return stepEnd, session.FatalAnswer(err)
	case session.Denied(err):
		return p.settle(t, checkpoint.GiveUp, codeUnreadable, err.Error()+
			": this token cannot find out whether the transcript arrived")
	}
	var database *DatabaseError
	if errors.As(err, &database) {
		return stepEnd, session.Fatal(err)
	}
	p.tally.warnSampled(logCause{event: "in doubt for which a search failed"})("a search for a transcript in doubt failed", "transcript", t.key, "error", err.Error())
	d.failed++
	if _, resting := errors.AsType[*dixa.RestingError](err); resting && d.failed >= session.MinLooks {
		return p.settle(t, checkpoint.Release, codeLookFailed, err.Error())
	}
	if d.failed >= maxErrors {
		return p.settle(t, checkpoint.GiveUp, codeLookFailed, err.Error())
	}
	return stepReconcile, nil
}

// handleNotFound decides what follows when the searches have shown that the import did not arrive.
func (p *pipeline) handleNotFound(t *task) (step, error) {
	switch {
	case t.rec == nil:
		return p.settle(t, checkpoint.Fail, codeSourceMissing, "the import did not arrive, and the source no longer has the transcript")
	case t.row.Attempts >= p.s.MaxAttempts && p.rests(dixa.OpImport): // the transcript is not the cause
		if _, err := p.record(t, t.change(checkpoint.NotFound)); err != nil {
			return stepEnd, err
		}
		return p.settle(t, checkpoint.Release, codeUnavailable, "imports keep failing in Dixa at present, and none of this transcript's imports arrived")
	case t.row.Attempts >= p.s.MaxAttempts:
		return p.settle(t, checkpoint.Fail, codeNotFound, fmt.Sprintf("%d imports got no clear answer and left no conversation", t.row.Attempts))
	}
	p.tally.warnSampled(logCause{event: "whose import did not arrive"})("the import did not arrive: sending again", "transcript", t.key, "attempts", t.row.Attempts)
	t.partial = nil
	if t.current != nil {
		t.transcript, t.current = t.current, nil
	}
	c := t.change(checkpoint.NotFound)
	c.ContentHash = t.rec.Hash.String()
	if _, err := p.record(t, c); err != nil {
		return stepEnd, err
	}
	if t.transcript == nil { // its current version is invalid or open
		return stepValidate, nil
	}
	t.user.Person = p.matcher.Person(t.transcript)
	return stepSend, nil
}

// searchFirst is the step that searches Dixa for a transcript before it is sent, because the checkpoint may not have its conversation.
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
		// Dixa may not list yet what was sent just before the checkpoint was lost.
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
				seen.unclear = fmt.Sprintf("transcript %s has the same end-user and content, and was found in Dixa by its content: the conversation may be either", other)
			}
		}
		pause := time.Second
		switch {
		case p.s.Starting.Err() != nil:
			return stepEnd, session.ErrStopped
		case err == nil && seen.unclear == "" && len(seen.found) > 0:
			p.checkpointBehind.Store(true)
			return p.adopt(ctx, t, seen)
		case err == nil && seen.unclear != "": // other tasks may settle their transcripts, which may make it clear
			if unclear++; unclear >= session.MinLooks {
				p.checkpointBehind.Store(true)
				return p.settle(t, checkpoint.GiveUp, codeAmbiguous, seen.unclear)
			}
			t.releaseSlot()
			pause = p.s.Settle / (session.MinLooks - 1)
		case err == nil:
			return stepSend, nil
		case session.HasStatus(err, http.StatusNotFound) && p.endUserGone(t.row.EndUserID):
			return stepSend, nil // the import will show whether Dixa knows the end-user
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

// logWait logs, once, how long a run with Reconcile waits before it searches.
func (p *pipeline) logWait(d time.Duration) {
	p.waitLogged.Do(func() {
		p.s.Log.Info("Dixa may not list yet what was sent just before this run: waiting before looking", "wait", roughTime(d))
	})
}

// adopt records a conversation that a search found, and how it differs from the transcript.
func (p *pipeline) adopt(ctx context.Context, t *task, seen searchResult) (step, error) {
	found := seen.found
	if seen.byContent {
		p.learning.note(checkpoint.Facts{ExternalIDs: checkpoint.IDsWithheld})
	}
	p.tally.warnSampled(logCause{event: "were already in Dixa"})("the transcript is already in Dixa", "transcript", t.key, "conversation", found[0])
	if len(found) > 1 {
		p.noteDuplicate(t, found[0], found[1])
	}
	differences := p.differences(ctx, t, found[0])
	if ctx.Err() != nil { // a conversation that could not be read does not differ
		return stepEnd, session.ErrStopped
	}
	return p.recordFound(t, found[0], differences)
}

// differences compares a conversation with what would be sent. If it cannot be read, that counts as a difference.
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

// compare reads a conversation back and returns how it differs from the conversation that the transcript would make, apart from attributes.
// endUserID is the expected requester, "" if that is not known.
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
