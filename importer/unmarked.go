package importer

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/session"
)

// unmarked is the state of a run that could not read or leave the mark of its source. Such a run searches Dixa for every transcript before
// it sends it, unless it created the end-user itself. No number of searches without result ends this, because the next transcript may still
// be there. The zero value does not search.
type unmarked struct {
	mu      sync.Mutex
	active  bool
	created *reading.IDSet // end-users that this run created
}

func (u *unmarked) start() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.active, u.created = true, reading.NewIDSet()
}

// stop ends the searches, and reports whether they were active.
func (u *unmarked) stop() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	wasActive := u.active
	u.active = false
	return wasActive
}

func (u *unmarked) searches() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.active
}

func (u *unmarked) noteCreated(endUserID string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.active {
		u.created.Add(endUserID)
	}
}

// needsSearch reports whether transcripts of an end-user are searched for.
func (u *unmarked) needsSearch(endUserID string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.active && !u.created.Has(endUserID)
}

// continueUnmarked decides how a run continues that could not read or leave the mark.
func (p *pipeline) continueUnmarked(m Mark) {
	problem := "the cause is not known"
	if m.Cause != nil {
		problem = m.Cause.Error()
	}
	if m.State == MarkAbsent && !p.isFirstRun { // a checkpoint with the same rights could not have left one either
		p.s.Log.Warn("the run could not leave the mark of the source in Dixa: if this checkpoint is lost, the loss will go unnoticed", "error", problem)
		return
	}
	if !p.s.Reconcile {
		p.unmarked.start()
	}
	p.s.Log.Warn("Dixa does not show whether another checkpoint imports this source: the run looks for each transcript before it sends it, unless it created the end-user itself",
		"error", problem)
}

// endUserGone reports whether Dixa does not have an end-user. If it does, a 404 was about the list of its conversations.
func (p *pipeline) endUserGone(endUserID string) bool {
	_, err := p.s.API.GetEndUser(p.s.Starting, endUserID)
	return session.HasStatus(err, http.StatusNotFound)
}

// searchUnmarked searches for a transcript before it is sent. If Dixa has it and the checkpoint does not, the run ends.
func (p *pipeline) searchUnmarked(ctx context.Context, t *task) (step, error) {
	var database *DatabaseError
	for failures, unsure := 1, 0; ; failures++ {
		pause := time.Second
		seen, err := p.searcher.search(p.s.Starting, t)
		switch {
		case p.s.Starting.Err() != nil:
			return stepEnd, session.ErrStopped
		case session.HasStatus(err, http.StatusNotFound) && p.endUserGone(t.row.EndUserID):
			return stepSend, nil // the import will show whether Dixa knows the end-user
		case err == nil && (seen.unclear != "" || seen.byContent) && unsure < session.MinLooks: // a task of this run may be about to record it
			unsure++
			failures--
			t.releaseSlot()
			pause = p.s.Settle / (session.MinLooks - 1)
		case err == nil && seen.unclear != "":
			return p.settle(t, checkpoint.GiveUp, codeAmbiguous, seen.unclear)
		case err == nil && len(seen.found) == 0:
			return stepSend, nil
		case err == nil && isCorrection(t):
			return p.adopt(ctx, t, seen)
		case err == nil:
			lost := session.Fatal(&LostCheckpointError{Source: p.s.Source, Transcript: t.key, Conversation: seen.found[0], Later: !p.isFirstRun})
			p.s.Abort(lost)
			return stepEnd, lost
		case errors.As(err, &database):
			return stepEnd, session.Fatal(err)
		case session.Denied(err) && p.isFirstRun:
			return stepEnd, session.Fatal(session.Advise(err, "this token can read neither the mark of the source nor the conversations of end-users, so the run cannot know whether "+
				"another checkpoint has imported this source: use a token that may do so, or, if this source was never imported, set dixa.mark to false"))
		case session.Denied(err):
			if p.unmarked.stop() {
				p.s.Log.Warn("the conversations of end-users cannot be read either, so another checkpoint would go unnoticed", "error", err.Error())
			}
			return stepSend, nil
		case failures > session.MinLooks:
			p.unsearched.Store(true)
			return p.settle(t, checkpoint.Release, codeLookFailed, err.Error())
		}
		if !session.Pause(p.s.Starting, pause) {
			return stepEnd, session.ErrStopped
		}
	}
}
