package people

import (
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

// A line is a queue of the transcripts that need one identifier, in the order of the transcripts: the first one resolves it, and each next
// one waits until the one before has left. So each person is created once, and the result for people who share identifiers does not depend
// on timing.

// position is the place of a Resolution in the lines for its person's identifiers. It joins all lines at once, so there is no deadlock.
type position struct {
	before []<-chan struct{}                       // of the Resolutions right before it; closed when they leave the line
	left   map[checkpoint.Identifier]chan struct{} // closed when this one leaves the line
}

// JoinLines adds the Resolution to the lines for its identifiers, unless its end-user is known or it is already in them.
func (u *Resolver) JoinLines(r *Resolution) {
	if r.position != nil || len(r.Person.IDs) == 0 || u.cached(r.Person.IDs[0]) != "" {
		return
	}
	r.position = &position{left: map[checkpoint.Identifier]chan struct{}{}}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, ident := range r.Person.All() {
		if other, ok := u.lines[ident]; ok {
			r.position.before = append(r.position.before, other)
		}
		r.position.left[ident] = make(chan struct{})
		u.lines[ident] = r.position.left[ident]
	}
}

// LeaveLines removes the Resolution from all lines, so that the next ones continue.
func (u *Resolver) LeaveLines(r *Resolution) {
	if r.position == nil {
		return
	}
	for ident := range r.position.left {
		u.leaveLine(r, ident)
	}
	r.position = nil
}

// leaveLine removes the Resolution from the line for one identifier.
func (u *Resolver) leaveLine(r *Resolution, ident checkpoint.Identifier) {
	if r.position == nil || r.position.left[ident] == nil {
		return
	}
	left := r.position.left[ident]
	u.mu.Lock()
	if u.lines[ident] == left {
		delete(u.lines, ident)
	}
	u.mu.Unlock()
	close(left)
	delete(r.position.left, ident)
}

// lineWait is how long a Resolution waits in lines before it frees its worker.
const lineWait = time.Second

// awaitLines waits until the Resolution is first in all its lines. A long wait does not occupy a worker.
func (u *Resolver) awaitLines(r *Resolution) error {
	if r.position == nil {
		return nil
	}
	if r.Place.HasWorker() { // the Resolution before may be waiting for a creation to fill up
		u.creator.hurry(1)
		defer u.creator.hurry(-1)
	}
	patience := time.NewTimer(lineWait)
	defer patience.Stop()
	for _, other := range r.position.before {
		for waiting := true; waiting; {
			select {
			case <-other:
				waiting = false
			case <-patience.C:
				r.Place.Leave()
			case <-u.s.Starting.Done():
				return session.ErrStopped
			}
		}
	}
	return nil
}
