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

// crowd returns n transcripts, named prefix-0 and so on, of the given number of people. Each has an email address, and sometimes other
// identifiers.
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

// reversed returns the transcripts in reverse order, so that two processes see the same people by different identifiers.
func reversed(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[len(lines)-1-i] = line
	}
	return out
}

// TestProcessesCreateSharedPeopleOnce requires one end-user for each person, although new ones cannot be found for a while and some
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
		t.Errorf("no creation failed: %v", fired)
	}
	if list := w.api.Duplicates(); len(list) != 0 {
		t.Errorf("duplicates: %v", list)
	}
	w.wantTotals(n, persons)
}

// TestKilledCreatorDoublesNoEndUser kills a process between the creation of end-users and their record, while another process waits for the
// same people.
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
			if n == from+2 { // after the request for the organisation
				close(others)
			}
		})
		// It reads both files, because it may have to finish transcripts of the first process.
		other := w.spawn(filepath.Join(filepath.Dir(theirs), "*.jsonl"), nil)
		other.mustReach(others) // it has reached people that the first process reserved
		c.kill()
		close(leaves)
		w.expireChild(c)
		other.wait(importer.OutcomeOK)
		w.mustRun(importer.OutcomeOK, w.jsonl(mine), nil)
		w.wantTotals(2*n, persons)
	})
}

// TestAbandonedReservationBlocksNobody requires that a run that found an end-user by one identifier does not keep the others from
// concurrent runs.
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
		w.api.AddEndUser(sandbox.EndUser{ExternalID: "c-1"}) // another program was faster, and did not set the email address
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

// clans returns n transcripts of the given number of families of three, who share a phone number or an address.
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

// wantClans checks that each transcript is in Dixa once, and that each member has one end-user.
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
		w.Errorf("duplicates: %v", list)
	}
}

// TestProcessesCreateFamiliesOnce requires an end-user for each member, although new ones cannot be found for a while and some creations
// get no answer.
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
		t.Errorf("no creation failed: %v", fired)
	}
	w.wantClans("t", n, families)
}

// TestKilledCreatorOfFamilies kills a process between the creation of end-users and their record.
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
					// After the first creation, transcripts were being sent when the child was killed. The next child waits that long
					// before it searches for them.
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
