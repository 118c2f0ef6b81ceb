package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestUsualChangesDoWhatApplyDoes writes random changes, usual ones and others, to a store, and lets apply say what must come
// of them.
func TestUsualChangesDoWhatApplyDoes(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run := s.start(t)
		other := run + 1000 // one that never was: its writes must miss
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		events := []Event{Send, Send, Found, Found, Finish, Finish, SendAgain, Unsent, NotFound, FinishPartial, Fail, GiveUp, Release, Skip}
		quick := map[Event]int{}
		for round := range 120 {
			ids := make([]string, 4)
			model := map[string]*record{}
			for i := range ids {
				ids[i] = fmt.Sprintf("%d-%d", round, i)
				if claim := s.claim(t, run, ids[i], -1); claim != 1 {
					t.Fatal(claim)
				}
				model[ids[i]] = newRecord(run, ClaimRequest{ID: ids[i], ContentHash: "h", ClosedAt: t0})
			}
			holders := map[int64]string{}
			for step := range 8 {
				changes := make([]Change, 1+random.IntN(5))
				for i := range changes {
					c := Change{ID: ids[random.IntN(len(ids))], Claim: 1, Event: events[random.IntN(len(events))], Attempts: random.IntN(2), EndUserID: "u",
						ContentHash: "h", ClosedAt: t0}
					// Mostly what comes next, so that the usual ways are gone to their end.
					if r := model[c.ID]; random.IntN(3) > 0 {
						switch r.Status {
						case Pending:
							c.Event = Send
						case Sending:
							c.Event = Found
						case Imported:
							c.Event = Finish
						}
					}
					switch random.IntN(12) {
					case 0:
						c.Claim = 2
					case 1:
						c.ErrorCode, c.Error = "code", "text"
					case 2:
						c.PartialErrors = []PartialError{{Kind: KindMessage, Message: "m"}}
					case 3:
						c.PartialErrors = []PartialError{}
					case 4:
						c.EndUserID = ""
					case 5:
						c.ContentHash, c.ClosedAt = "h2", t0.Add(time.Second)
					case 6:
						c.ContentHash, c.ClosedAt = "", time.Time{}
					}
					if c.Event == Send || c.Event == SendAgain {
						c.SendFor = time.Minute
					}
					if i > 0 && changes[i-1].Event == Found && random.IntN(2) == 0 { // the two of a transcript without attributes
						c = changes[i-1]
						c.Event, c.PartialErrors = Finish, nil
					}
					if c.Event == Found {
						c.ConversationID = int64(10*round + 1 + random.IntN(4))
					}
					changes[i] = c
				}
				for _, u := range usualOnes(changes) {
					quick[u.Event]++
				}
				as := run
				if random.IntN(8) == 0 {
					as = other
				}
				what := fmt.Sprintf("seed %d, round %d, step %d: %+v", seed, round, step, changes)
				want, _ := applyAll(model, as, changes, holders)
				equal(t, what, s.do(t, as, changes...), want)
				for id, r := range model {
					row := s.row(t, id)
					r.Held = row.Held
					equal(t, what, row, r.Row)
					equal(t, what, s.partial(t, id), r.partial)
					if row.SendIn > 0 != (row.Status == Sending) || row.ImportedAt.IsZero() != !r.found {
						t.Errorf("%s: %s is %s, send_before in %v, imported at %v", what, id, row.Status, row.SendIn, row.ImportedAt)
					}
				}
				if t.Failed() {
					return
				}
			}
		}
		for _, e := range []Event{Send, Found, Finish} {
			if quick[e] < 100 {
				t.Errorf("only %d usual changes %s", quick[e], e)
			}
		}
	})
}
