package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestFastPathMatchesApply writes random changes, on the fast path and on the slow path, to a store, and compares the results with those of
// apply.
func TestFastPathMatchesApply(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run := s.start(t)
		other := run + 1000 // a run that does not exist: its writes must not match
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		events := []Event{Send, Send, Found, Found, Finish, Finish, SendAgain, Unsent, NotFound, FinishPartial, Fail, GiveUp, Release, Skip}
		fast := map[Event]int{}
		rounds, minimum := 120, 100
		if testing.Short() {
			rounds, minimum = 60, 40
		}
		const steps = 8
		for round := range rounds {
			ids := make([]string, 4)
			model := map[string]*record{}
			requests := make([]ClaimRequest, len(ids))
			for i := range ids {
				ids[i] = fmt.Sprintf("%d-%d", round, i)
				requests[i] = ClaimRequest{ID: ids[i], Seen: -1, ContentHash: "h", ClosedAt: t0}
				model[ids[i]] = newRecord(run, requests[i])
			}
			claimed, err := s.Claim(t.Context(), bot, run, requests)
			if err != nil {
				t.Fatal(err)
			}
			s.wantRow(t, ids[0], "a claim", claimed[0])
			for _, row := range claimed {
				if row.Claim != 1 {
					t.Fatal(row.Claim)
				}
			}
			holders := map[int64]string{}
			for step := range steps {
				changes := make([]Change, 1+random.IntN(5))
				for i := range changes {
					c := Change{ID: ids[random.IntN(len(ids))], Claim: 1, Event: events[random.IntN(len(events))], Attempts: random.IntN(2), EndUserID: "u",
						ContentHash: "h", ClosedAt: t0}
					// Mostly the next event, so that transcripts get to the end.
					if r := model[c.ID]; random.IntN(6) > 0 {
						switch r.Status {
						case Pending:
							c.Event = Send
						case Sending:
							c.Event = Found
						case Imported:
							c.Event, c.ConversationID = Finish, r.ConversationID
						}
					}
					switch random.IntN(12) {
					case 0:
						c.Claim = 2
					case 1:
						c.ErrorCode, c.Error, c.Reason = "code", "text", "reason"
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
					if i > 0 && changes[i-1].Event == Found && random.IntN(2) == 0 { // the Found and Finish of a transcript without attributes
						c = changes[i-1]
						c.Event, c.PartialErrors = Finish, nil
					}
					if c.Event == Found {
						c.ConversationID = int64(10*round + 1 + random.IntN(4))
					}
					changes[i] = c
				}
				for _, u := range onFastPath(changes) {
					fast[u.Event]++
				}
				as := run
				if random.IntN(8) == 0 {
					as = other
				}
				what := fmt.Sprintf("seed %d, round %d, step %d: %+v", seed, round, step, changes)
				want, _ := applyAll(model, as, changes, holders)
				got, err := s.Write(t.Context(), bot, as, changes)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, what, got, want)
				rows, err := s.Lookup(t.Context(), bot, 0, ids)
				if err != nil {
					t.Fatal(err)
				}
				for id, r := range model {
					row := rows[id]
					row.Held = false // not set in results
					equal(t, what, row, r.Row)
					if step == steps-1 || slices.ContainsFunc(changes, func(c Change) bool { return c.ID == id }) {
						equal(t, what, s.partial(t, id), r.partial)
					}
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
			if fast[e] < minimum {
				t.Errorf("only %d changes %s took the fast path", fast[e], e)
			}
		}
	})
}
