//go:build unix

package importer_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer"
)

// TestHandoverStorm is TestStorm with chats that have tags, a rating, notes, a hand-over and a link. Each must be done exactly once.
func TestHandoverStorm(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	seed := *stormSeed
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	onEveryStore(t, func(t *testing.T, store string) {
		t.Logf("-storm.seed=%d", seed)
		s := newStorm(t, store, seed)
		s.tags = []string{"bot"}
		const family = 50 // a conversation has at most 100 children
		var lines []string
		for i := range s.transcripts {
			user := fields{"external_id": fmt.Sprintf("c-%d", i%s.persons)}
			if i%family == 0 {
				lines = append(lines, chat(fmt.Sprintf("t-%d", i), fields{"end_user": user}))
				continue
			}
			lines = append(lines, more(fmt.Sprintf("t-%d", i), fields{"end_user": user, "follow_up_of": fmt.Sprintf("t-%d", i-i%family)}))
		}
		s.path = s.file("c.jsonl", lines...)
		var slots sync.WaitGroup
		began := time.Now()
		for slot := range s.slots {
			slots.Go(func() { s.killLoop(rand.New(rand.NewPCG(seed, uint64(slot)))) })
		}
		slots.Wait()
		took := time.Since(began)
		s.api.SetFaults(nil)
		s.expireLeases()
		client := s.client(func(c *dixa.Config) { c.Timeout = 5 * time.Second })
		patient := func(c *importer.Config) {
			withNumbers(c)
			c.API, c.RequestTimeout, c.Settle, c.SendWindow, c.MaxAttempts, c.Tags = client, stormTimeout, stormSettle, stormWindow, 1000, s.tags
		}
		outcome := importer.OutcomeIncomplete
		for range 4 { // a link waits for the run after the one that imports what it leads to
			if outcome == importer.OutcomeIncomplete {
				sum, err := s.run(s.jsonl(s.path), patient)
				if err != nil {
					t.Fatal(err)
				}
				outcome = sum.Outcome
			}
		}
		if outcome != importer.OutcomeOK {
			t.Errorf("the last run ended as %s", outcome)
		}
		done := 0
		for i := range s.transcripts {
			if i%family != 0 {
				s.wantMoreOf(fmt.Sprintf("t-%d", i), fmt.Sprintf("t-%d", i-i%family))
				done++
			}
		}
		t.Logf("%d hand-overs, %d processes killed, %d put to sleep, %d crashes of the database, in %v", done, s.kills.Load(), s.stops.Load(), s.restarts.Load(), took.Round(time.Second))
	})
}
