package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer/checkpoint"
)

// nightClock is a clock that reaches the end of the window whenever enough was imported, and its start at once.
type nightClock struct {
	mu      sync.Mutex
	at      time.Time
	imports chan struct{}                                    // one for each import of a night that is enough
	resting func(ctx context.Context, until time.Time) error // called for each rest
	nights  []time.Time                                      // the ends that were reached
}

func (c *nightClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *nightClock) wait(ctx context.Context, until time.Time) error {
	if until.Hour() == 22 {
		if err := c.resting(ctx, until); err != nil {
			return err
		}
	} else {
		select {
		case <-c.imports:
		case <-ctx.Done():
			return ctx.Err()
		}
		c.nights = append(c.nights, until)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = until
	return nil
}

// nights is a run that works at night, against a sandbox of its own.
func nights(t *testing.T, transcripts, perNight int) (*runCmd, *nightClock, *sandbox.Server) {
	t.Helper()
	c := &nightClock{at: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC), imports: make(chan struct{}, transcripts)}
	n := 0
	var mu sync.Mutex
	api := sandbox.New(sandbox.Options{Latency: time.Millisecond, OnRequest: func(op sandbox.Operation, _ int) {
		mu.Lock()
		defer mu.Unlock()
		if op == sandbox.Import {
			if n++; n%perNight == 0 && n < transcripts {
				c.imports <- struct{}{}
			}
		}
	}})
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	var lines strings.Builder
	for i := range transcripts {
		fmt.Fprintf(&lines, `{"id": "t-%d", "closed_at": "2026-11-19T08:00:30Z", "end_user": {"external_id": "c-%d"}, "messages": [{"role": "user", "text": "Hello"}]}`+"\n", i, i%5)
	}
	config := fmt.Sprintf("dixa: {base_url: %q, token: %q, rate: 0}\ndatabase: \"sqlite:%s/bot.db\"\nsource: {name: bot, jsonl: {paths: [%q]}}\nimport: {workers: 2, time_zone: UTC}\n",
		server.URL, api.Token(), dir, filepath.Join(dir, "t.jsonl"))
	for name, text := range map[string]string{"t.jsonl": lines.String(), "config.yaml": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := &runCmd{}
	r.importing = importing{program: &program{stdin: strings.NewReader(""), stdout: term.NewOutput(io.Discard), console: term.NewConsole(io.Discard),
		lookup: os.LookupEnv, configPath: filepath.Join(dir, "config.yaml"), log: slog.New(slog.DiscardHandler)},
		hours: hours{between: "22:00-07:00", clock: clock{c.now, c.wait}}, open: r.open}
	c.resting = func(context.Context, time.Time) error { return nil }
	return r, c, api
}

// database returns the address of the checkpoint of a run.
func (p *runCmd) database() string {
	return "sqlite:" + filepath.Join(filepath.Dir(p.configPath), "bot.db")
}

func TestARunOfManyNights(t *testing.T) {
	t.Parallel()
	const transcripts = 120
	r, c, api := nights(t, transcripts, 40)
	rests := 0
	c.resting = func(ctx context.Context, _ time.Time) error {
		rests++
		if rests == 1 {
			return nil // before the first night there is no checkpoint yet
		}
		// While it rests, another process may work: nothing is claimed.
		store, err := checkpoint.Open(ctx, r.database(), checkpoint.Options{})
		if err != nil {
			return err
		}
		run, err := store.StartRun(ctx, "bot", "run")
		if err == nil {
			rows, selectErr := store.Select(ctx, "bot", run, checkpoint.Filter{Statuses: []checkpoint.Status{checkpoint.Pending, checkpoint.Sending, checkpoint.Imported}, Limit: transcripts})
			for _, row := range rows {
				if row.ClaimedBy != 0 {
					t.Errorf("%s is claimed by run %d during the rest", row.ID, row.ClaimedBy)
				}
			}
			err = errors.Join(selectErr, store.FinishRun(ctx, run, "ok", checkpoint.Beat{}))
		}
		return errors.Join(err, store.Close())
	}
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rests < 3 || len(c.nights) != rests-1 {
		t.Errorf("it rested %d times, and %v ended a night", rests, c.nights)
	}
	for i, end := range c.nights {
		if want := time.Date(2026, 11, 28+i, 7, 0, 0, 0, time.UTC); !end.Equal(want) {
			t.Errorf("night %d ended at %v", i, end)
		}
	}
	if n := len(api.Conversations()); n != transcripts || len(api.Duplicates()) > 0 {
		t.Errorf("%d conversations, %v twice", n, api.Duplicates())
	}
}

func TestARestEnds(t *testing.T) {
	t.Parallel()
	t.Run("with --for", func(t *testing.T) {
		t.Parallel()
		r, c, api := nights(t, 10, 100)
		r.stopAfter = time.Millisecond
		c.resting = func(ctx context.Context, _ time.Time) error {
			<-ctx.Done()
			return ctx.Err()
		}
		if code := exitCode(r.Run(t.Context())); code != exitStopped || len(api.Conversations()) > 0 {
			t.Errorf("exit code %d, %d conversations", code, len(api.Conversations()))
		}
	})
	t.Run("before it begins, with what is wrong", func(t *testing.T) {
		t.Parallel()
		r, c, _ := nights(t, 10, 100)
		c.resting = func(context.Context, time.Time) error {
			t.Error("it rests")
			return nil
		}
		r.overrides.JSONL = []string{"no-such-file.jsonl"}
		if code := exitCode(r.Run(t.Context())); code != exitFailure {
			t.Errorf("exit code %d", code)
		}
		r.overrides.JSONL = []string{"-"}
		if code := exitCode(r.Run(t.Context())); code != exitUsage {
			t.Errorf("exit code %d with standard input", code)
		}
	})
}
