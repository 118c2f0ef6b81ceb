//go:build unix

package importer_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// TestStormWithoutExternalIDs is TestStorm with a Dixa that returns no external ids and whose lists lag longer than a search for a
// transcript in doubt lasts. Nothing may be doubled or lost, and what cannot be decided must be in doubt, with the reason.
func TestStormWithoutExternalIDs(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	seed := *stormSeed
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	onEveryStore(t, func(t *testing.T, store string) {
		t.Logf("-storm.seed=%d", seed)
		s := newStorm(t, store, seed, func(o *sandbox.Options) {
			o.NoExternalIDs, o.ListLag, o.MessageLag, o.EndUserLag = true, 2500*time.Millisecond, 200*time.Millisecond, 400*time.Millisecond
		})
		lines := make([]string, s.transcripts)
		for i := range lines {
			lines[i] = uniqueChat(fmt.Sprintf("t-%d", i), fmt.Sprintf("c-%d", i%s.persons), i%60)
		}
		s.path = s.file("c.jsonl", lines...)
		var slots sync.WaitGroup
		for slot := range s.slots {
			slots.Go(func() { s.killLoop(rand.New(rand.NewPCG(seed, uint64(slot)))) })
		}
		slots.Wait()
		s.api.SetFaults(nil)
		s.expireLeases()
		client := s.client(func(c *dixa.Config) { c.Timeout = 5 * time.Second })
		sum, err := s.run(s.jsonl(s.path), func(c *importer.Config) {
			c.API, c.RequestTimeout, c.Settle, c.SendWindow, c.MaxAttempts = client, stormTimeout, stormSettle, stormWindow, 1000
		})
		if err != nil || sum.Outcome != importer.OutcomeOK && sum.Outcome != importer.OutcomeIncomplete {
			t.Fatalf("the run ended as %s, %v", sum.Outcome, err)
		}
		undecided := 0
		for i := range s.transcripts {
			id := fmt.Sprintf("t-%d", i)
			row, n := s.row(id), len(s.api.ConversationsByExternalID("bot/"+id))
			switch done := row.Status == checkpoint.Complete || row.Status == checkpoint.Partial; {
			case n > 1:
				t.Errorf("%s has %d conversations", id, n)
			case row.Status == checkpoint.InDoubt && row.Error != "":
				undecided++
			case !done || n != 1:
				t.Errorf("%s is %s (%s) with %d conversations", id, row.Status, row.Error, n)
			}
		}
		t.Logf("%d processes killed, %d put to sleep, %d crashes of the database, %d conversations, %d undecided",
			s.kills.Load(), s.stops.Load(), s.restarts.Load(), len(s.api.Conversations()), undecided)
		if s.kills.Load() == 0 || undecided > s.transcripts/10 {
			t.Errorf("%d kills, %d undecided", s.kills.Load(), undecided)
		}
	})
}
