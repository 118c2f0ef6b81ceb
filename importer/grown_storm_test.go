//go:build unix

package importer_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer"
)

// TestGrownStorm is TestStorm with chats that go on while processes are killed: in the end, each message of each chat must be in Dixa once.
func TestGrownStorm(t *testing.T) {
	skipIfShort(t)
	if *stormKills == 0 {
		t.Skip("with the other storms beside it, two cores are too few: -storm.kills 40 runs it")
	}
	t.Parallel()
	seed := *stormSeed
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	onEveryStore(t, func(t *testing.T, store string) {
		t.Logf("-storm.seed=%d", seed)
		s := newStorm(t, store, seed)
		s.grown = importer.GrownFollowUp
		s.transcripts /= 4
		const steps = 4
		messages := func(chat, step int) int { return 2 + step*(chat%(steps+1))/steps }
		lines := func(step int) (all []string) {
			for i := range s.transcripts {
				all = append(all, longChat(fmt.Sprintf("t-%d", i), messages(i, step), fields{"end_user": fields{"external_id": fmt.Sprintf("c-%d", i%s.persons)}}))
			}
			return all
		}
		// A process reads the file as it was when it opened it: growth replaces it.
		var growing sync.Mutex
		deaths, step := 0, 0
		grow := func(to int) {
			next := s.file("next.jsonl", lines(to)...)
			if err := os.Rename(next, s.path); err != nil {
				t.Error(err)
			}
		}
		grow(0)
		s.onDeath = func() {
			growing.Lock()
			defer growing.Unlock()
			if deaths++; deaths%2 == 0 && step < steps-1 {
				step++
				grow(step)
			}
		}
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
			c.API, c.RequestTimeout, c.Settle, c.SendWindow, c.MaxAttempts, c.Grown = client, stormTimeout, stormSettle, stormWindow, 1000, s.grown
		}
		for range 2 { // the last growth is after the storm, so that there is one in any case
			s.mustRun(importer.OutcomeOK, s.jsonl(s.path), patient)
			grow(steps)
		}
		s.mustRun(importer.OutcomeOK, s.jsonl(s.path), patient)
		for _, duplicate := range s.api.Duplicates() {
			t.Errorf("%s has %d conversations: %v", duplicate.ExternalID, len(duplicate.Conversations), duplicate.Conversations)
		}
		texts, parts := map[string]int{}, 0
		for _, c := range s.api.Conversations() {
			if c.ParentID != 0 {
				parts++
			}
			for _, m := range c.Messages {
				texts[m.Text]++
			}
		}
		for i := range s.transcripts {
			id := fmt.Sprintf("t-%d", i)
			for m := 1; m <= messages(i, steps); m++ {
				if n := texts[fmt.Sprintf("%s %d", id, m)]; n != 1 {
					t.Errorf("message %d of %s is in Dixa %d times", m, id, n)
				}
			}
		}
		if parts == 0 {
			t.Error("no chat was continued")
		}
		t.Logf("%d chats with %d continuations, %d processes killed, %d put to sleep, %d crashes of the database, in %v", s.transcripts, parts, s.kills.Load(), s.stops.Load(),
			s.restarts.Load(), took.Round(time.Second))
	})
}
