package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer/checkpoint/pgtest"
)

var liveHandovers = flag.Int("live.handovers", 3, "how many chats are handed over during a backfill")

// TestLiveGoesFirst hands chats over while a run takes all of the rate. It logs how long they took; with -live.handovers 100, they come a second apart.
func TestLiveGoesFirst(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"sqlite", "postgres"} {
		if database == "postgres" && *liveHandovers < 10 {
			continue
		}
		t.Run(database, func(t *testing.T) {
			if *liveHandovers < 10 {
				t.Parallel()
			}
			url := ""
			if database == "postgres" {
				url = pgtest.New(t)
			}
			dixa := sandbox.New(sandbox.Options{Rate: 10, Burst: 4, Latency: 20 * time.Millisecond})
			defer dixa.Close()
			api := httptest.NewServer(dixa)
			defer api.Close()
			s := startServe(t, url, api.URL, dixa.Token(), "handover: {queue: Support}\nserve: {address: 'ADDRESS', token: \""+serveToken+"\"}")
			s.stop()
			s.edit("rate: 0", "rate: 8")
			s.start()
			s.writeChats(20000)
			ctx, stop := context.WithCancel(t.Context())
			backfill, log := make(chan error, 1), &lockedBuffer{}
			go func() {
				backfill <- run(ctx, []string{"--config", s.config, "run"}, strings.NewReader(""), io.Discard, log)
			}()
			imported := func() (n int) {
				for _, c := range dixa.Conversations() {
					if strings.HasPrefix(c.ExternalID, "bot/old-") {
						n++
					}
				}
				return n
			}
			for imported() < 5 {
				select {
				case err := <-backfill:
					t.Fatalf("the backfill ended with %v\n%s", err, log)
				case <-time.After(50 * time.Millisecond):
				}
			}
			began, before, throttled := time.Now(), imported(), dixa.Throttled()
			var took []time.Duration
			for i := range *liveHandovers {
				from := time.Now()
				a := s.post(liveChat(fmt.Sprint("live-", i), `,"handover":true`), serveToken)
				if took = append(took, time.Since(from)); a.status != http.StatusCreated {
					t.Errorf("%+v\n%s", a, s.log)
				}
				if *liveHandovers >= 10 {
					time.Sleep(time.Until(from.Add(time.Second)))
				}
			}
			lasted, more := time.Since(began), imported()-before
			stop()
			if err := <-backfill; err == nil {
				t.Error("the backfill was complete before it was stopped")
			}
			slices.Sort(took)
			t.Logf("in the queue after: median %v, 95th percentile %v, longest %v; meanwhile the backfill imported %.2f a second, before %d; %d requests were throttled",
				took[len(took)/2], took[len(took)*95/100], took[len(took)-1], float64(more)/lasted.Seconds(), before, dixa.Throttled()-throttled)
		})
	}
}
