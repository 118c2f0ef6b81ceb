//go:build unix

package importer_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
)

// crowd are n transcripts, named prefix-0 and so on, of so many persons, each of whom shows up by email address, sometimes with other identifiers.
func crowd(prefix string, n, persons int) []string {
	lines := make([]string, n)
	for i := range lines {
		p := i % persons
		user := fields{"email": fmt.Sprintf("P%d@example.org", p)}
		switch i / persons % 3 {
		case 0:
			user["external_id"] = fmt.Sprintf("c-%d", p)
		case 2:
			user["external_id"], user["phone"] = fmt.Sprintf("c-%d", p), fmt.Sprintf("+4512345%03d", p)
		}
		lines[i] = chat(fmt.Sprintf("%s-%d", prefix, i), fields{"end_user": user})
	}
	return lines
}

// reversed has the same transcripts in the opposite order, so that two processes meet the same persons by other identifiers.
func reversed(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[len(lines)-1-i] = line
	}
	return out
}

// TestProcessesCreateSharedPeopleOnce: one end-user for each, although a new one cannot be found for a while, and some
// creations get no answer.
func TestProcessesCreateSharedPeopleOnce(t *testing.T) {
	t.Parallel()
	const n, persons = 120, 40
	w := setup(t, "postgres", sandbox.Options{EndUserLag: 30 * time.Millisecond, Faults: []sandbox.Fault{
		{Name: "one", Operation: sandbox.CreateEndUser, Kind: sandbox.DropAfter, Times: 2},
		{Name: "many", Operation: sandbox.CreateEndUsers, Kind: sandbox.DropAfter, Times: 1},
	}})
	lines := crowd("t", n, persons)
	there, back := w.file("there.jsonl", lines...), w.file("back.jsonl", reversed(lines)...)
	children := []*child{w.spawn(there, nil), w.spawn(back, nil), w.spawn(there, nil)}
	for _, c := range children {
		c.wait(importer.OutcomeOK)
	}
	if fired := w.api.Fired(); fired["one"]+fired["many"] == 0 {
		t.Errorf("no creation went wrong: %v", fired)
	}
	if list := w.api.Duplicates(); len(list) != 0 {
		t.Errorf("there are twice: %v", list)
	}
	w.wantTotals(n, persons)
}

// TestKilledCreatorDoublesNoEndUser: a process dies between the creation of end-users and the record of it, while another one waits for
// the same persons.
func TestKilledCreatorDoublesNoEndUser(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	ops := []sandbox.Operation{sandbox.CreateEndUser, sandbox.CreateEndUsers}
	together(t, ops, func(op sandbox.Operation) string { return string(op) }, func(t *testing.T, op sandbox.Operation) {
		n, persons := 60, 20
		if op == sandbox.CreateEndUser {
			n, persons = 3, 1
		}
		w := setup(t, "postgres", sandbox.Options{EndUserLag: 30 * time.Millisecond})
		mine, theirs := w.file("mine.jsonl", crowd("t", n, persons)...), w.file("theirs.jsonl", crowd("u", n, persons)...)
		created, leaves, others := make(chan struct{}), make(chan struct{}), make(chan struct{})
		w.onNth(op, 1, func(rw http.ResponseWriter, serve func(http.ResponseWriter)) {
			serve(&hookedWriter{ResponseWriter: rw, before: func() {
				close(created)
				<-leaves
			}})
		})
		c := w.spawn(mine, func(spec *childSpec) { spec.Timeout = time.Minute })
		c.mustReach(created)
		from := w.requests.Load()
		w.onRequest(func(n int64) {
			if n == from+2 { // after that for the organisation
				close(others)
			}
		})
		// It reads both files, for it may have to go on with what the first one leaves on its way.
		other := w.spawn(filepath.Join(filepath.Dir(theirs), "*.jsonl"), nil)
		other.mustReach(others) // it has met the persons whom the first one holds
		c.kill()
		close(leaves)
		w.expireChild(c)
		other.wait(importer.OutcomeOK)
		w.mustRun(importer.OutcomeOK, w.jsonl(mine), nil)
		w.wantTotals(2*n, persons)
	})
}

// TestAbandonedReservationBlocksNobody: a run that found an end-user by one identifier keeps no other one from those who run
// beside it.
func TestAbandonedReservationBlocksNobody(t *testing.T) {
	t.Parallel()
	w := setup(t, "postgres", sandbox.Options{UniqueExternalID: true})
	var first atomic.Bool
	held, free := make(chan struct{}), make(chan struct{})
	w.onOperation(func(op sandbox.Operation) {
		if op == sandbox.Import && first.CompareAndSwap(false, true) {
			close(held)
			<-free
		}
	})
	w.onNth(sandbox.CreateEndUser, 1, func(rw http.ResponseWriter, serve func(http.ResponseWriter)) {
		w.api.AddEndUser(sandbox.EndUser{ExternalID: "c-1"}) // somebody else was faster, and knows no email address
		serve(rw)
	})
	c := w.spawn(w.file("a.jsonl", chat("t-1", fields{"end_user": fields{"external_id": "c-1", "email": "ann@example.org"}})),
		func(spec *childSpec) { spec.Timeout = time.Minute })
	c.mustReach(held)
	w.mustRun(importer.OutcomeOK, w.jsonl(w.file("b.jsonl", chat("t-2", fields{"end_user": fields{"email": "ann@example.org"}}))), nil)
	close(free)
	c.wait(importer.OutcomeOK)
	w.wantTotals(2, 2)
}

// clans are n transcripts of so many families of three, who share a phone, or an address.
func clans(prefix string, n, families int) []string {
	lines := make([]string, n)
	for i := range lines {
		family, member := i%families, i/families%3
		user := fields{"external_id": fmt.Sprintf("c-%d-%d", family, member)}
		if family%2 == 0 {
			user["phone"] = fmt.Sprintf("+4512345%03d", family)
		} else {
			user["email"] = fmt.Sprintf("family%d@example.org", family)
		}
		lines[i] = chat(fmt.Sprintf("%s-%d", prefix, i), fields{"end_user": user})
	}
	return lines
}

// wantClans checks that each transcript is there once, with an end-user for each member.
func (w *world) wantClans(prefixes string, n, families int) {
	w.Helper()
	owners := map[string]string{}
	for _, prefix := range prefixes {
		for i := range n {
			id := fmt.Sprintf("%c-%d", prefix, i)
			w.wantOnce(id)
			member := fmt.Sprint(i%families, " ", i/families%3)
			if got := w.row(id).EndUserID; owners[member] != "" && owners[member] != got {
				w.Errorf("transcript %s has the end-user %s, an earlier one of the same person %s", id, got, owners[member])
			} else {
				owners[member] = got
			}
		}
	}
	if got := len(w.api.EndUsers()); got != 3*families {
		w.Errorf("Dixa has %d end-users, want %d", got, 3*families)
	}
	if list := w.api.Duplicates(); len(list) != 0 {
		w.Errorf("there are twice: %v", list)
	}
}

// TestProcessesCreateFamiliesOnce: everybody is somebody, although new end-users cannot be found for a while, and some creations get no answer.
func TestProcessesCreateFamiliesOnce(t *testing.T) {
	t.Parallel()
	const n, families = 120, 20
	w := setup(t, "postgres", sandbox.Options{EndUserLag: 30 * time.Millisecond, UniqueExternalID: true, Faults: []sandbox.Fault{
		{Name: "one", Operation: sandbox.CreateEndUser, Kind: sandbox.DropAfter, Times: 2},
		{Name: "many", Operation: sandbox.CreateEndUsers, Kind: sandbox.DropAfter, Times: 1},
	}})
	lines := clans("t", n, families)
	there, back := w.file("there.jsonl", lines...), w.file("back.jsonl", reversed(lines)...)
	for _, c := range []*child{w.spawn(there, nil), w.spawn(back, nil), w.spawn(there, nil)} {
		c.wait(importer.OutcomeOK)
	}
	if fired := w.api.Fired(); fired["one"]+fired["many"] == 0 {
		t.Errorf("no creation went wrong: %v", fired)
	}
	w.wantClans("t", n, families)
}

// TestKilledCreatorOfFamilies: between the creation of end-users and the record of it.
func TestKilledCreatorOfFamilies(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	for _, store := range stores {
		for _, op := range []sandbox.Operation{sandbox.CreateEndUser, sandbox.CreateEndUsers} {
			t.Run(store+" "+string(op), func(t *testing.T) {
				t.Parallel()
				const n, families = 60, 10
				w := setup(t, store, sandbox.Options{EndUserLag: 30 * time.Millisecond, UniqueExternalID: true})
				path := w.file("t.jsonl", clans("t", n, families)...)
				for nth := range 3 {
					created, leaves := make(chan struct{}), make(chan struct{})
					w.onNth(op, int64(nth+1), func(rw http.ResponseWriter, serve func(http.ResponseWriter)) {
						serve(&hookedWriter{ResponseWriter: rw, before: func() {
							close(created)
							<-leaves
						}})
					})
					// If the creation was not the first one, transcripts were being sent when the child was killed. The next child waits
					// for that long before it looks for them.
					c := w.spawn(path, func(spec *childSpec) { spec.Timeout = 5 * time.Second })
					select {
					case <-created:
						c.kill()
						close(leaves)
						w.expireChild(c)
					case <-c.ended:
						close(leaves)
					}
				}
				w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
				w.wantClans("t", n, families)
			})
		}
	}
}
