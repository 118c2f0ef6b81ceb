package people

import (
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

// A line is the transcripts that wait for one identifier, in the order of the transcripts: the first works on it, and the next waits until
// the first leaves the line. So each person is created once, and what becomes of people who share identifiers does not depend on chance.

// standing is where a Resolution stands in the lines for the identifiers of its person. It joins all of them at once, so that no two wait for
// each other.
type standing struct {
	before []<-chan struct{}                       // those who were last in one of the lines; closed when they leave it
	left   map[checkpoint.Identifier]chan struct{} // closed when this one leaves a line
}

// JoinLines puts the Resolution into the lines for its identifiers, unless its end-user is known or it is in them already.
func (u *Resolver) JoinLines(r *Resolution) {
	if r.standing != nil || len(r.Person.IDs) == 0 || u.cached(r.Person.IDs[0]) != "" {
		return
	}
	r.standing = &standing{left: map[checkpoint.Identifier]chan struct{}{}}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, ident := range r.Person.All() {
		if other, ok := u.lines[ident]; ok {
			r.standing.before = append(r.standing.before, other)
		}
		r.standing.left[ident] = make(chan struct{})
		u.lines[ident] = r.standing.left[ident]
	}
}

// LeaveLines leaves all lines that the Resolution is in: the next ones go on.
func (u *Resolver) LeaveLines(r *Resolution) {
	if r.standing == nil {
		return
	}
	for ident := range r.standing.left {
		u.leaveLine(r, ident)
	}
	r.standing = nil
}

// leaveLine leaves the line for one identifier, which is not this person's.
func (u *Resolver) leaveLine(r *Resolution, ident checkpoint.Identifier) {
	if r.standing == nil || r.standing.left[ident] == nil {
		return
	}
	left := r.standing.left[ident]
	u.mu.Lock()
	if u.lines[ident] == left {
		delete(u.lines, ident)
	}
	u.mu.Unlock()
	close(left)
	delete(r.standing.left, ident)
}

// lineWait is how long a Resolution waits in lines before it gives up its place.
const lineWait = time.Second

// awaitLines waits until those who came before have left. To wait for long does not occupy a worker.
func (u *Resolver) awaitLines(r *Resolution) error {
	if r.standing == nil {
		return nil
	}
	if r.Place.HasWorker() { // what it waits for may be a creation that waits for others
		u.creator.hurry(1)
		defer u.creator.hurry(-1)
	}
	patience := time.NewTimer(lineWait)
	defer patience.Stop()
	for _, other := range r.standing.before {
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
