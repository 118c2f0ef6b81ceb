//go:build unix

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
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
	liveKills = flag.Int("live.kills", 2, "how often TestServeKilled kills a server and a run; with more than 2, on Postgres, too")
	livePosts = flag.Int("live.posts", 20, "how many transcripts it posts, for each kill ten at least")
)

// killable is a dixa-import in a process of its own, which starts again when it has ended or was killed.
type killable struct {
	args  []string
	mu    sync.Mutex
	cmd   *exec.Cmd
	ended bool
	done  chan struct{}
}

// processOf starts a process, again and again.
func processOf(args ...string) *killable {
	k := &killable{args: args, done: make(chan struct{})}
	go func() {
		defer close(k.done)
		for {
			k.mu.Lock()
			if k.ended {
				k.mu.Unlock()
				return
			}
			k.cmd = exec.Command("dixa-import", k.args...) //nolint:noctx // kill ends it
			err := k.cmd.Start()
			k.mu.Unlock()
			if err != nil {
				return
			}
			if err := k.cmd.Wait(); err == nil { // nothing is left to do
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return k
}

func (k *killable) kill() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cmd != nil && k.cmd.Process != nil {
		_ = k.cmd.Process.Kill()
	}
}

func (k *killable) end() {
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	k.kill()
	<-k.done
}

// TestServeKilled kills servers and runs again and again, while bots post chats for hand-over, each until it gets a final answer. Dixa must have each chat
// once, and what was posted transferred once. There are two servers and two runs on Postgres, and one of each on SQLite.
func TestServeKilled(t *testing.T) {
	t.Parallel()
	for database, instances := range map[string]int{"sqlite": 1, "postgres": 2} {
		if database == "postgres" && *liveKills <= 2 { // a killed process keeps its claims for half a minute
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
			plain := 2 * posts
			s.writeChats(plain)
			addresses := []string{s.address, freeAddress(t)}[:instances]
			var processes []*killable
			for _, address := range addresses {
				config := s.config + address
				s.copyConfig(config, address)
				processes = append(processes, processOf("--config", config, "serve"), processOf("--config", config, "run"))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
			defer cancel()
			var settled atomic.Int64
			next := make(chan int)
			var senders sync.WaitGroup
			for range 8 {
				senders.Go(func() {
					for i := range next {
						s.until(ctx, addresses, fmt.Sprint("t-", i), &settled)
					}
				})
			}
			senders.Go(func() {
				defer close(next)
				for i := range posts {
					select {
					case next <- i:
					case <-ctx.Done():
						return
					}
				}
			})
			for kills := 1; kills <= *liveKills; kills++ {
				for settled.Load() < int64(posts*kills/(*liveKills+1)) && ctx.Err() == nil {
					time.Sleep(time.Millisecond) // nothing else tells of the answers
				}
				time.Sleep(rand.N(30 * time.Millisecond)) // a random moment to be killed at
				processes[2*rand.N(instances)].kill()
				processes[2*rand.N(instances)+1].kill()
			}
			senders.Wait()
			for len(dixa.Conversations()) < posts+plain && ctx.Err() == nil && !t.Failed() {
				time.Sleep(10 * time.Millisecond)
			}
			for _, process := range processes {
				process.end()
			}
			if ctx.Err() != nil || t.Failed() {
				t.Fatalf("%d of %d are settled after all this time, and Dixa has %d conversations", settled.Load(), posts, len(dixa.Conversations()))
			}
			dixa.SetFaults(nil)
			list := dixa.Conversations()
			if len(list) != posts+plain || len(dixa.Duplicates()) > 0 {
				t.Errorf("%d conversations for %d chats, %d twice", len(list), posts+plain, len(dixa.Duplicates()))
			}
			for _, c := range list {
				want := 0
				if strings.HasPrefix(c.ExternalID, "bot/t-") {
					want = 1
				}
				if c.Transfers != want || c.ClosedAt.IsZero() != (want == 1) {
					t.Errorf("%s was transferred %d times", c.ExternalID, c.Transfers)
				}
			}
			if n := dixa.ViolationCount(); n > 0 {
				t.Errorf("%d violations of the contract: %v", n, dixa.Violations())
			}
			t.Logf("%d posts beside %d chats of a file, %d kills of a server and of a run", posts, plain, *liveKills)
		})
	}
}

// copyConfig writes the configuration with another address to serve at.
func (s *served) copyConfig(path, address string) {
	s.Helper()
	text, err := os.ReadFile(s.config)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.Replace(string(text), s.address, address, 1)), 0o600)
	}
	if err != nil {
		s.Fatal(err)
	}
}

// until posts a chat until the answer is final.
func (s *served) until(ctx context.Context, addresses []string, id string, settled *atomic.Int64) {
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addresses[rand.N(len(addresses))]+"/transcripts", strings.NewReader(liveChat(id, `,"handover":true`)))
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
