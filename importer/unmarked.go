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

// unmarked is the way of a run that could not see or leave the mark of its source: it looks in Dixa for every transcript of an
// end-user that it has not created, before it sends it. However many looks find nothing, the next transcript may be there. The
// zero value does not look.
type unmarked struct {
	mu      sync.Mutex
	active  bool
	created *reading.IDSet // end-users of this run
}

func (u *unmarked) start() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.active, u.created = true, reading.NewIDSet()
}

// end ends the looking, and reports whether it was not ended before.
func (u *unmarked) stop() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	was := u.active
	u.active = false
	return was
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

// concerns reports whether the transcripts of an end-user are looked for.
func (u *unmarked) needsSearch(endUserID string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.active && !u.created.Has(endUserID)
}

// goOnUnmarked decides how a run goes on that could not see the mark, or not leave one.
func (p *pipeline) continueUnmarked(m Mark) {
	problem := "it is not known why"
	if m.Cause != nil {
		problem = m.Cause.Error()
	}
	if m.State == MarkAbsent && !p.isFirstRun { // another checkpoint, with the same right, has not left one either
		p.s.Log.Warn("the run could not leave the mark of the source in Dixa: if this checkpoint is lost, nothing will notice", "error", problem)
		return
	}
	if !p.s.Reconcile {
		p.unmarked.start()
	}
	p.s.Log.Warn("Dixa does not show whether another checkpoint imports this source: before a transcript is sent, the run looks for it, unless the run itself created the end-user",
		"error", problem)
}

// isGone reports whether it is the end-user whose conversations are not found, and not the list.
func (p *pipeline) endUserGone(endUserID string) bool {
	_, err := p.s.API.GetEndUser(p.s.Starting, endUserID)
	return session.HasStatus(err, http.StatusNotFound)
}

// lookUnmarked looks for a transcript before it is sent. One that Dixa has and the checkpoint does not know ends the run.
func (p *pipeline) searchUnmarked(ctx context.Context, t *task) (step, error) {
	var database *DatabaseError
	for failures, unsure := 1, 0; ; failures++ {
		pause := time.Second
		seen, err := p.searcher.search(p.s.Starting, t)
		switch {
		case p.s.Starting.Err() != nil:
			return stepEnd, session.ErrStopped
		case session.HasStatus(err, http.StatusNotFound) && p.endUserGone(t.row.EndUserID):
			return stepSend, nil // the import says whether Dixa knows the end-user
		case err == nil && (seen.unclear != "" || seen.byContent) && unsure < session.MinLooks: // one of this run may be about to be recorded
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
				p.s.Log.Warn("the conversations of end-users cannot be read either: nothing would notice another checkpoint", "error", err.Error())
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
