package dixa

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The kinds of requests: those that may be repeated, without a body and with one, and those that may not, a PUT among them.

var kinds = map[string]struct {
	idempotent bool
	call       func(ctx context.Context, c *Client) error
	good       string
}{
	"get": {true, func(ctx context.Context, c *Client) error {
		_, err := c.FindEndUsers(ctx, ByEmail, testEmail)
		return err
	}, `{"data":[]}`},
	"patch": {true, func(ctx context.Context, c *Client) error {
		return c.PatchAttributes(ctx, 7, map[string]AttributeValue{"u": {Text: "x"}})
	}, `{"data":[]}`},
	"create": {false, func(ctx context.Context, c *Client) error {
		_, err := c.CreateEndUser(ctx, NewEndUser{Email: testEmail}, nil)
		return err
	}, `{"data":{"id":"u"}}`},
	"import": {false, func(ctx context.Context, c *Client) error {
		_, err := c.ImportConversation(ctx, ConversationImport{}, nil)
		return err
	}, `{"data":{"id":7}}`},
	"transfer": {false, func(ctx context.Context, c *Client) error {
		return c.TransferToQueue(ctx, 7, "q", nil)
	}, ""},
	"delete": {true, func(ctx context.Context, c *Client) error { return c.DeleteWebhook(ctx, "w") }, ""},
}

func TestRepetitionSucceedsAndKeepsTheBody(t *testing.T) {
	t.Parallel()
	for kind, k := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, n int) {
				switch {
				case n == 1:
					reply(w, 429, `<html>slow down`)
				case n < 4 && k.idempotent:
					reply(w, 503, "")
				default:
					reply(w, 200, k.good)
				}
			})
			if err := k.call(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			all := rec.all()
			for _, r := range all {
				if r.body != all[0].body || r.uri != all[0].uri {
					t.Errorf("the repetition differs: %+v", r)
				}
			}
			want := Stats{Requests: 2, Throttled: 1}
			if k.idempotent {
				want = Stats{Requests: 4, Throttled: 1, Retries: 2}
			}
			got := c.Stats()
			if got.Paced = 0; got != want {
				t.Errorf("stats %+v, want %+v", got, want)
			}
		})
	}
}

func TestThrottlingIsNoAttempt(t *testing.T) {
	t.Parallel()
	date := time.Now().Add(time.Hour).UTC()
	headers := []string{"", "7", "0.5", date.Add(9 * time.Second).Format(http.TimeFormat), "soon", "-3"}
	want := []time.Duration{0, 7 * time.Second, 500 * time.Millisecond, 9 * time.Second, 0, 0}
	limiter := &quickLimiter{}
	var logged bytes.Buffer
	c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n > len(headers) {
			reply(w, 201, `{"data":{"id":7}}`)
			return
		}
		w.Header().Set("Date", date.Format(http.TimeFormat))
		if h := headers[n-1]; h != "" {
			w.Header().Set("Retry-After", h)
		}
		reply(w, 429, "")
	}, func(cfg *Config) {
		cfg.Limiter, cfg.MaxAttempts = limiter, 1
		cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	})
	var attempts []int
	_, err := c.ImportConversation(t.Context(), ConversationImport{}, func(_ context.Context, n int, previous error) (time.Time, error) {
		attempts = append(attempts, n)
		var throttled *RateLimitError
		if errors.As(previous, &throttled) != (n > 1) || NotApplied(previous) != (n > 1) {
			t.Errorf("attempt %d: previous error %v", n, previous)
		}
		return time.Time{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	waits, throttled := limiter.counts()
	if fmt.Sprint(throttled) != fmt.Sprint(want) {
		t.Errorf("the limiter was told %v, want %v", throttled, want)
	}
	if len(rec.all()) != 7 || waits != 7 || fmt.Sprint(attempts) != "[1 2 3 4 5 6 7]" {
		t.Errorf("%d requests, %d waits, attempts %v", len(rec.all()), waits, attempts)
	}
	if !strings.Contains(logged.String(), "level=WARN") {
		t.Errorf("nothing was logged: %s", logged.String())
	}
}

func TestAPauseIsLoggedOnce(t *testing.T) {
	t.Parallel()
	const workers = 8
	var logged bytes.Buffer
	together := make(chan struct{})
	var arrived atomic.Int32
	c, _ := setup(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n > workers {
			reply(w, 200, `{"data":[]}`)
			return
		}
		if arrived.Add(1) == workers {
			close(together)
		}
		<-together
		reply(w, 429, "")
	}, func(cfg *Config) { cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	errs := make(chan error, workers)
	for range workers {
		go func() { _, err := c.ListQueues(t.Context()); errs <- err }()
	}
	for range workers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(logged.String(), "level=WARN"); n != 1 {
		t.Errorf("logged %d times: %s", n, logged.String())
	}
	if got := c.Stats().Throttled; got != workers {
		t.Errorf("%d throttled", got)
	}
}

func TestTheContextEndsThrottling(t *testing.T) {
	t.Parallel()
	for kind, k := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c, _ := setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
				w.Header().Set("Retry-After", "30")
				reply(w, 429, "")
			}, func(cfg *Config) { cfg.Limiter = &cancelOnThrottle{cancel: cancel} })
			err := k.call(ctx, c)
			var throttled *RateLimitError
			if !errors.Is(err, context.Canceled) || !errors.As(err, &throttled) || throttled.RetryAfter != 30*time.Second {
				t.Fatalf("error %v", err)
			}
			if !NotApplied(err) || Transient(err) {
				t.Errorf("not applied %v, transient %v", NotApplied(err), Transient(err))
			}
		})
	}
}

type cancelOnThrottle struct{ cancel func() }

func (l *cancelOnThrottle) Wait(ctx context.Context) error { return ctx.Err() }

func (l *cancelOnThrottle) Throttled(time.Duration) { l.cancel() }

func TestBeforeDecides(t *testing.T) {
	t.Parallel()
	c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) { reply(w, 429, "") })
	stop := errors.New("stop")
	_, err := c.ImportConversation(t.Context(), ConversationImport{}, func(_ context.Context, n int, _ error) (time.Time, error) {
		if n == 3 {
			return time.Time{}, stop
		}
		return time.Time{}, nil
	})
	if err != stop { //nolint:errorlint // it must come back as it is
		t.Errorf("error %v", err)
	}
	if len(rec.all()) != 2 {
		t.Errorf("%d requests", len(rec.all()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = c.ImportConversation(ctx, ConversationImport{}, func(context.Context, int, error) (time.Time, error) {
		cancel()
		return time.Time{}, nil
	})
	if !errors.Is(err, context.Canceled) || !NotApplied(err) || len(rec.all()) != 2 {
		t.Errorf("after the context ended in before: %v, %d requests", err, len(rec.all()))
	}
}

func TestACancelledContextSendsNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for kind, k := range kinds {
		c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) { reply(w, 200, k.good) })
		err := k.call(ctx, c)
		var transport *TransportError
		if !errors.Is(err, context.Canceled) || errors.As(err, &transport) || !NotApplied(err) || len(rec.all()) != 0 {
			t.Errorf("%s: %v, %d requests", kind, err, len(rec.all()))
		}
	}
}

func TestCancelDuringARequest(t *testing.T) {
	t.Parallel()
	for kind, k := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c, rec := setup(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
				cancel()
				<-r.Context().Done()
			})
			err := k.call(ctx, c)
			var transport *TransportError
			if !errors.Is(err, context.Canceled) || !errors.As(err, &transport) || !transport.Written || NotApplied(err) || Transient(err) {
				t.Errorf("error %v", err)
			}
			noSecrets(t, err)
			if len(rec.all()) != 1 {
				t.Errorf("%d requests", len(rec.all()))
			}
		})
	}
}

func TestAHangingServer(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"before the answer", "within the answer"} {
		for kind, k := range kinds {
			t.Run(where+" "+kind, func(t *testing.T) {
				t.Parallel()
				c, rec := setup(t, func(w http.ResponseWriter, r *http.Request, _ int) {
					if where == "within the answer" {
						_, _ = w.Write([]byte(`{"data":`))
						_ = http.NewResponseController(w).Flush()
					}
					<-r.Context().Done()
				}, func(cfg *Config) { cfg.Timeout, cfg.MaxAttempts = 250*time.Millisecond, 2 })
				err := k.call(t.Context(), c)
				if err == nil || !strings.Contains(err.Error(), "no complete answer within 250ms") {
					t.Fatalf("error %v", err)
				}
				if errors.Is(err, context.DeadlineExceeded) {
					t.Error("the timeout of an attempt looks like the end of the caller's context")
				}
				noSecrets(t, err)
				if NotApplied(err) || !Transient(err) {
					t.Errorf("not applied %v, transient %v", NotApplied(err), Transient(err))
				}
				if got := len(rec.all()); (got == 2) != k.idempotent || got > 2 {
					t.Errorf("%d requests", got)
				}
			})
		}
	}
}

func TestDoubtOutlivesALaterRefusal(t *testing.T) {
	t.Parallel()
	c, _ := setup(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 1 {
			reply(w, 500, "")
			return
		}
		reply(w, 404, `{"message":"gone"}`)
	})
	err := kinds["patch"].call(t.Context(), c)
	var api *APIError
	if !errors.As(err, &api) || api.Status != 404 || NotApplied(err) {
		t.Errorf("error %v, not applied %v", err, NotApplied(err))
	}
}

func TestTheContextEndsTheBackoff(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, _ := setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) { reply(w, 500, "") }, func(cfg *Config) {
		cfg.Backoff = time.Hour
		cfg.Logger = slog.New(cancelOnLog{slog.DiscardHandler, cancel})
	})
	err := kinds["get"].call(ctx, c)
	var api *APIError
	if !errors.Is(err, context.Canceled) || !errors.As(err, &api) || NotApplied(err) {
		t.Errorf("error %v", err)
	}
}

func TestTheContextEndedDuringTheLastAnswer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) { reply(w, 500, "") })
	transport := c.http.Transport
	c.http.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := transport.RoundTrip(r)
		defer cancel()
		return resp, err
	})
	if err := kinds["patch"].call(ctx, c); !errors.Is(err, context.Canceled) || NotApplied(err) || len(rec.all()) != 1 {
		t.Errorf("error %v after %d requests", err, len(rec.all()))
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// cancelOnLog ends a context when the wait before a repetition is logged.

type cancelOnLog struct {
	slog.Handler
	cancel func()
}

func (h cancelOnLog) Enabled(context.Context, slog.Level) bool { return true }

func (h cancelOnLog) Handle(context.Context, slog.Record) error {
	h.cancel()
	return nil
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	bodies := []string{`{"data":[]}`, strings.Repeat("x", maxErrorBody+1000), "", `{"message":"no"}`}
	n := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++
		reply(w, []int{200, 404, 429, 400}[n%4], bodies[n%4])
	}))
	server.Config.ConnState = countNew(&opened)
	server.Start()
	t.Cleanup(server.Close)
	c := newClient(t, server.URL)
	for range 20 {
		_, _ = c.ListQueues(t.Context())
	}
	if opened.Load() != 1 {
		t.Errorf("%d connections for requests one after the other", opened.Load())
	}
}
