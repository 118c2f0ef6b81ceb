//go:build unix

package live

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	osexec "os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"dixa-import/importer/checkpoint"
)

// childSpec describes the live half in a process of its own.
type childSpec struct{ Database, Bot string }

const childConcurrency = 4

func init() { beChild = runChild }

// runChild serves until it is killed, or its parent has ended. It reports its address on standard output.
func runChild(text string) int {
	var spec childSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := spec.serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (spec childSpec) serve(ctx context.Context) error {
	store, err := checkpoint.Open(ctx, spec.Database, checkpoint.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	logger, signal := slog.New(slog.NewTextHandler(os.Stderr, nil)), NewSignal()
	in := NewIntake(IntakeConfig{Store: store, Organisation: acme, Source: testSource, AgentID: testAgent, Forward: true, Reorder: -1, Stored: signal, Logger: logger})
	receiver, err := NewReceiver(in, ReceiverConfig{Secrets: []string{secret}, Logger: logger})
	if err != nil {
		return err
	}
	forwarder, err := NewForwarder(ForwarderConfig{Store: store, Organisation: acme, Source: testSource, URL: spec.Bot, Secret: forwardSecret, Concurrency: childConcurrency,
		Timeout: time.Second, Lease: 1500 * time.Millisecond, MinBackoff: time.Millisecond, MaxBackoff: 50 * time.Millisecond, Poll: 20 * time.Millisecond, Stored: signal, Logger: logger})
	if err != nil {
		return err
	}
	server, err := Listen(ctx, ServerConfig{Address: "127.0.0.1:0", Handlers: map[string]http.Handler{"/webhooks/dixa": receiver}, Ready: store.CheckSchema, Logger: logger})
	if err != nil {
		return err
	}
	fmt.Printf("address %s\n", server.Addr())
	var all errgroup.Group
	all.Go(func() error { return server.Serve(ctx) })
	all.Go(func() error {
		forwarder.Run(ctx)
		return nil
	})
	return all.Wait()
}

// child is the parent's view of it.
type child struct {
	process *os.Process
	address string
	ended   chan struct{}
	stdin   io.Closer
}

func (w *world) spawn(b *bot) *child {
	w.Helper()
	text, err := json.Marshal(childSpec{Database: w.url, Bot: b.URL})
	if err != nil {
		w.Fatal(err)
	}
	cmd := osexec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stderr = w.logs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		w.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	c := &child{process: cmd.Process, ended: make(chan struct{}), stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	go func() {
		defer close(c.ended)
		_ = cmd.Wait()
	}()
	w.Cleanup(c.kill)
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "address ")
	if err != nil || !ok {
		w.Fatalf("the child says %q, %v:\n%s", line, err, w.logs)
	}
	c.address = address
	return c
}

// kill kills the child as a crash would, and returns when it is gone.
func (c *child) kill() {
	_ = c.process.Kill()
	<-c.ended
	_ = c.stdin.Close()
}

var (
	liveDeliveries = flag.Int("live.deliveries", 300, "how many deliveries TestKilledWhileServing sends; a sixth of them are repeats, at the default size half")
	liveRate       = flag.Float64("live.rate", 0, "how many of them a second; 0: as many as possible")
)

// TestKilledWhileServing kills the process several times, in the middle of deliveries and of requests to the bot, while the sender repeats
// every delivery that was not acknowledged, and another process has a run on the checkpoint. Each event is stored once and reaches the bot. Only one whose request was under way at a kill
// reaches it again, with the same webhook-id and body.
func TestKilledWhileServing(t *testing.T) {
	each(t, func(w *world) {
		conversations, each := 6, 25
		if *liveDeliveries > 300 {
			conversations, each = 50, *liveDeliveries*5/6/50
		}
		events := conversations * each
		kills := []int{events / 15, events * 3 / 10, events * 8 / 15, events * 11 / 15} // by the number of requests to the bot
		var current atomic.Pointer[child]
		restarting := make(chan struct{}, 1) // one kill at a time
		var restarts sync.WaitGroup
		b := newBot(w, nil)
		crashes := len(kills) + 1 // the last one while deliveries arrive
		started := make(chan struct{}, crashes)
		crash := func() {
			restarting <- struct{}{}
			current.Load().kill()
			started <- struct{}{}
		}
		b.answer = func(n int, _ Forwarded) int {
			if slices.Contains(kills, n) {
				crash() // before the bot's answer
			}
			return 200
		}
		run, err := w.store.StartRun(w.Context(), testSource, "run") // on SQLite, this process holds the lock of the file
		if err != nil {
			w.Fatal(err)
		}
		current.Store(w.spawn(b))
		restarts.Go(func() {
			for range crashes {
				select {
				case <-started:
				case <-w.Context().Done():
					return
				}
				current.Store(w.spawn(b))
				<-restarting
			}
		})
		_, bodies := w.messages(conversations, each)
		bodies = append(bodies, bodies[:min(*liveDeliveries-events, events)]...)
		rng := rand.New(rand.NewPCG(9, 10))
		rng.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
		g, ctx := errgroup.WithContext(w.Context())
		pace := rate.NewLimiter(rate.Inf, 1)
		if g.SetLimit(5); *liveRate > 0 {
			g.SetLimit(32)
			pace = rate.NewLimiter(rate.Limit(*liveRate), 1)
		}
		began := time.Now()
		client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
		defer client.CloseIdleConnections()
		var repeats, acknowledged atomic.Int64
		for _, body := range bodies {
			if err := pace.Wait(ctx); err != nil {
				break
			}
			g.Go(func() error {
				for ctx.Err() == nil {
					if status, err := deliver(ctx, client, "http://"+current.Load().address+"/webhooks/dixa", body); err == nil && status == http.StatusOK {
						if acknowledged.Add(1) == int64(len(bodies)/3) {
							crash()
						}
						return nil
					}
					repeats.Add(1)
					pause(ctx, 5*time.Millisecond)
				}
				return ctx.Err()
			})
		}
		if err := g.Wait(); err != nil {
			w.Fatal(err)
		}
		delivered := time.Since(began)
		b.accepted(events)
		restarts.Wait()
		w.until("all events are recorded as forwarded", func() bool {
			counts, err := w.store.EventCounts(w.Context())
			if err != nil {
				w.Fatal(err)
			}
			return counts[checkpoint.EventForwarded] == int64(events) && len(counts) == 1
		})
		if repeats.Load() == 0 {
			w.Error("no delivery was cut off")
		}
		if err := w.store.RenewRun(w.Context(), run, checkpoint.Beat{}); err != nil { // the files of the database are still in place
			w.Error(err)
		}
		w.Logf("%d deliveries in %v, %d sent again after a kill; %d events forwarded in %v", len(bodies), delivered, repeats.Load(), events, time.Since(began))
		extra := 0
		for id, n := range b.posts {
			extra += n - 1
			if n > 1+crashes {
				w.Errorf("%s was posted %d times", id, n)
			}
		}
		if extra == 0 || extra > crashes*childConcurrency {
			w.Errorf("%d requests were repeated after %d kills; at most %d were under way", extra, crashes, crashes*childConcurrency)
		}
	})
}
