//go:build unix

package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer/checkpoint/pgtest"
)

var (
	liveKills = flag.Int("live.kills", 4, "how often TestServeKilled kills the server")
	livePosts = flag.Int("live.posts", 40, "how many transcripts it posts, for each kill ten at least")
)

// killable is `dixa-import serve` in a process of its own.
type killable struct {
	cmd *exec.Cmd
	log bytes.Buffer
}

func serveProcess(t *testing.T, config string) *killable {
	t.Helper()
	k := &killable{cmd: exec.Command("dixa-import", "--config", config, "serve")} //nolint:noctx // it is killed below
	k.cmd.Stdout, k.cmd.Stderr = io.Discard, &k.log
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *killable) kill() {
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
}

// TestServeKilled kills the server again and again while bots post chats for hand-over, each until it gets a final answer, and while a run works on the same
// checkpoint. Dixa must have each chat once, transferred once.
func TestServeKilled(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"sqlite", "postgres"} {
		if database == "postgres" && testing.Short() { // a killed process keeps its claims for half a minute
			continue
		}
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			url := ""
			if database == "postgres" {
				url = pgtest.New(t)
			}
			dixa := sandbox.New(sandbox.Options{Latency: 5 * time.Millisecond, Jitter: 4 * time.Millisecond})
			defer dixa.Close()
			dixa.SetFaults([]sandbox.Fault{
				{Kind: sandbox.ErrorAfter, Probability: 0.02}, {Kind: sandbox.ErrorBefore, Probability: 0.02}, {Kind: sandbox.DropAfter, Probability: 0.01},
			})
			api := httptest.NewServer(dixa)
			defer api.Close()
			s := startServe(t, url, api.URL, dixa.Token(), "tags: [bot]\ncreate_tags: true\nhandover: {queue: Support}\nserve: {address: 'ADDRESS', token: \""+serveToken+"\"}")
			s.stop()
			s.edit("rate: 0", "rate: 0, timeout: 1s")
			posts := max(*livePosts, 10**liveKills)
			var settled atomic.Int64
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
			defer cancel()
			var senders sync.WaitGroup
			next := make(chan int)
			for range 8 {
				senders.Go(func() {
					for i := range next {
						s.until(ctx, fmt.Sprint("t-", i), &settled)
					}
				})
			}
			feeding := make(chan struct{})
			go func() {
				defer close(feeding)
				defer close(next)
				for i := range posts {
					select {
					case next <- i:
					case <-ctx.Done():
						return
					}
				}
			}()
			server := serveProcess(t, s.config)
			for kills := 1; kills <= *liveKills; kills++ {
				mark := int64(posts * kills / (*liveKills + 1))
				for settled.Load() < mark && ctx.Err() == nil {
					time.Sleep(time.Millisecond) // the answers are the signal; nothing else tells of them
				}
				time.Sleep(rand.N(30 * time.Millisecond)) // a random moment to be killed at
				server.kill()
				server = serveProcess(t, s.config)
			}
			<-feeding
			senders.Wait()
			log := server.log.String()
			server.kill()
			if ctx.Err() != nil {
				t.Fatalf("%d of %d are settled after all this time\n%s", settled.Load(), posts, log)
			}
			dixa.SetFaults(nil)
			list := dixa.Conversations()
			if len(list) != posts || len(dixa.Duplicates()) > 0 {
				t.Errorf("%d conversations for %d chats, %d twice", len(list), posts, len(dixa.Duplicates()))
			}
			for _, c := range list {
				if c.Transfers != 1 || c.QueueID == "" || !c.ClosedAt.IsZero() {
					t.Errorf("%s was transferred %d times", c.ExternalID, c.Transfers)
				}
			}
			if n := dixa.ViolationCount(); n > 0 {
				t.Errorf("%d violations of the contract: %v", n, dixa.Violations())
			}
			t.Logf("%d posts, %d kills", posts, *liveKills)
		})
	}
}

// until posts a chat until the answer is final.
func (s *served) until(ctx context.Context, id string, settled *atomic.Int64) {
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+"/transcripts", strings.NewReader(liveChat(id, `,"handover":true`)))
		if err != nil {
			s.Error(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+serveToken)
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			switch resp.StatusCode {
			case http.StatusOK, http.StatusCreated:
				settled.Add(1)
				return
			case http.StatusServiceUnavailable:
			default:
				s.Errorf("%s: %d %s", id, resp.StatusCode, body)
				return
			}
		}
		time.Sleep(50 * time.Millisecond) // a bot's pause; the server may be down
	}
}
