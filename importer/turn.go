package importer

import (
	"time"

	"dixa-import/importer/checkpoint"
)

// turn is a task's place in the lines for the identifiers of its person. It is taken for all of them at once, so that no two
// tasks wait for each other, and in the order of the transcripts, so that what becomes of people who share identifiers does
// not depend on chance.
type turn struct {
	ids    []checkpoint.Identifier
	before []<-chan struct{} // those who were in one of the lines
	over   chan struct{}
}

// takeTurn puts the task into the lines, unless its end-user is known or it is in them already.
func (u *resolver) takeTurn(t *task) {
	if t.turn != nil || len(t.person.ids) == 0 || u.cached(t.person.ids) != "" {
		return
	}
	t.turn = &turn{ids: t.person.all(), over: make(chan struct{})}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, ident := range t.turn.ids {
		if other, ok := u.lines[ident]; ok {
			t.turn.before = append(t.turn.before, other)
		}
		u.lines[ident] = t.turn.over
	}
}

// endTurn lets the next ones have their turn.
func (u *resolver) endTurn(t *task) {
	if t.turn == nil {
		return
	}
	u.mu.Lock()
	for _, ident := range t.turn.ids {
		if u.lines[ident] == t.turn.over {
			delete(u.lines, ident)
		}
	}
	u.mu.Unlock()
	close(t.turn.over)
	t.turn = nil
}

// awaitTurn waits for those who came before. To wait for long does not occupy a worker.
func (u *resolver) awaitTurn(t *task) error {
	if t.turn == nil {
		return nil
	}
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	for _, other := range t.turn.before {
		for waiting := true; waiting; {
			select {
			case <-other:
				waiting = false
			case <-patience.C:
				t.leave()
			case <-u.im.fetching.Done():
				return errStopped
			}
		}
	}
	return nil
}
