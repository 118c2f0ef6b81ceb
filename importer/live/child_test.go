//go:build unix

package live

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	osexec "os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

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

// TestKilledWhileServing kills the process several times, in the middle of deliveries and of requests to the bot, while the sender repeats
// every delivery that was not acknowledged, and another process has a run on the checkpoint. Each event is stored once and reaches the bot. Only one whose request was under way at a kill
// reaches it again, with the same webhook-id and body.
func TestKilledWhileServing(t *testing.T) {
	each(t, func(w *world) {
		const conversations, each = 6, 25
		kills := []int{10, 45, 80, 110} // by the number of requests to the bot
		var current atomic.Pointer[child]
		restarting := make(chan struct{}, 1) // one kill at a time
		var restarts sync.WaitGroup
		b := newBot(w, nil)
		started := make(chan struct{}, len(kills))
		b.answer = func(n int, _ Forwarded) int {
			for _, at := range kills {
				if n == at {
					restarting <- struct{}{}
					current.Load().kill() // before the bot's answer
					started <- struct{}{}
				}
			}
			return 200
		}
		run, err := w.store.StartRun(w.Context(), testSource, "run") // on SQLite, this process holds the lock of the file
		if err != nil {
			w.Fatal(err)
		}
		current.Store(w.spawn(b))
		restarts.Go(func() {
			for range kills {
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
		bodies = append(bodies, bodies...)
		rng := rand.New(rand.NewPCG(9, 10))
		rng.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
		g, ctx := errgroup.WithContext(w.Context())
		g.SetLimit(5)
		client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
		defer client.CloseIdleConnections()
		var repeats atomic.Int64
		for _, body := range bodies {
			g.Go(func() error {
				for ctx.Err() == nil {
					if status, err := deliver(ctx, client, "http://"+current.Load().address+"/webhooks/dixa", body); err == nil && status == http.StatusOK {
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
		b.accepted(conversations * each)
		restarts.Wait()
		w.until("all events are recorded as forwarded", func() bool {
			counts, err := w.store.EventCounts(w.Context())
			if err != nil {
				w.Fatal(err)
			}
			return counts[checkpoint.EventForwarded] == conversations*each && len(counts) == 1
		})
		if repeats.Load() == 0 {
			w.Error("no delivery was cut off")
		}
		if err := w.store.RenewRun(w.Context(), run, checkpoint.Beat{}); err != nil { // the files of the database are still in place
			w.Error(err)
		}
		extra := 0
		for id, n := range b.posts {
			extra += n - 1
			if n > 1+len(kills) {
				w.Errorf("%s was posted %d times", id, n)
			}
		}
		if extra == 0 || extra > len(kills)*childConcurrency {
			w.Errorf("%d requests were repeated after %d kills; at most %d were under way", extra, len(kills), len(kills)*childConcurrency)
		}
	})
}
