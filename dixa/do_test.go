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

// The kinds of requests: one that may be repeated without a body, one with a body, and two that may not.
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
		_, err := c.CreateEndUser(ctx, NewEndUser{Email: testEmail})
		return err
	}, `{"data":{"id":"u"}}`},
	"import": {false, func(ctx context.Context, c *Client) error {
		_, err := c.ImportConversation(ctx, ConversationImport{}, nil)
		return err
	}, `{"data":{"id":7}}`},
}

func TestAnswersAreClassified(t *testing.T) {
	t.Parallel()
	quote := fmt.Sprintf(`{"message":"Invalid\n %s and %s"}`, testEmail, testPhone)
	tests := map[string]struct {
		status                int
		contentType, body     string
		transient, notApplied bool
		want                  string // end of the error's text
	}{
		"400":              {400, "application/json", quote, false, true, "Dixa answered 400: Invalid *** and ***"},
		"401":              {401, "application/json", `{"message":"nope"}`, false, true, "answered 401: nope"},
		"404":              {404, "application/json", `{"message":"The requested resource could not be found"}`, false, true, "not be found"},
		"408":              {408, "", "", true, false, "408 Request Timeout (text/plain)"},
		"413 html":         {413, "text/html; charset=utf-8", "<p>" + testEmail, false, true, "answered 413 Request Entity Too Large (text/html)"},
		"500":              {500, "application/json", `{"message":"There was an internal server error"}`, true, false, "internal server error"},
		"502 html":         {502, "text/html", "<html>" + testEmail, true, false, "answered 502 Bad Gateway (text/html)"},
		"503 empty":        {503, "application/json", "", true, false, "503 Service Unavailable (application/json)"},
		"599":              {599, "application/json", "{}", true, false, "answered 599 (application/json)"},
		"302":              {302, "text/html", testEmail, false, false, "302 Found (text/html), and redirects are not followed: check the base URL"},
		"huge":             {400, "application/json", `{"message":"` + strings.Repeat("x", maxErrorBody) + `"}`, false, true, "400 Bad Request (application/json)"},
		"message elsehow":  {400, "application/json", `{"message":{"email":"` + testEmail + `"}}`, false, true, "400 Bad Request (application/json)"},
		"odd content type": {400, `text/` + testEmail, `x`, false, true, "400 Bad Request"},
	}
	for name, test := range tests {
		for kind, k := range kinds {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				c, rec := setup(t, func(w http.ResponseWriter, r *http.Request, _ int) {
					if test.contentType != "" {
						w.Header().Set("Content-Type", test.contentType)
					} else {
						w.Header().Set("Content-Type", "text/plain")
					}
					w.Header().Set("Location", "/gateway/v1/organization?email="+testEmail)
					w.WriteHeader(test.status)
					_, _ = w.Write([]byte(test.body))
				})
				err := k.call(t.Context(), c)
				var api *APIError
				if !errors.As(err, &api) || api.Status != test.status || !strings.HasSuffix(err.Error(), test.want) {
					t.Fatalf("error %v, want %d ending in %q", err, test.status, test.want)
				}
				noSecrets(t, err)
				if NotApplied(err) != test.notApplied || Transient(err) != test.transient {
					t.Errorf("not applied %v, transient %v", NotApplied(err), Transient(err))
				}
				want := 1
				if test.transient && k.idempotent {
					want = 5
				}
				if got := len(rec.all()); got != want {
					t.Errorf("%d requests, want %d", got, want)
				}
				if s := c.Stats(); s.Requests != int64(want) || s.Retries != int64(want-1) {
					t.Errorf("stats %+v", s)
				}
			})
		}
	}
}

func TestUnusableAnswers(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"html":       "<html>" + testEmail,
		"cut off":    `{"data":[{"id":"u","email":"` + testEmail,
		"empty":      "",
		"no data":    "{}",
		"null data":  `{"data":null}`,
		"other form": `{"data":"` + testPhone + `"}`,
		"a number":   `{"data":` + testPhone[1:] + `}`,
	} {
		for _, kind := range []string{"get", "create", "import"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) { reply(w, 200, body) })
				err := kinds[kind].call(t.Context(), c)
				var answer *AnswerError
				if !errors.As(err, &answer) || answer.Status != 200 || NotApplied(err) || !Transient(err) {
					t.Fatalf("error %v", err)
				}
				noSecrets(t, err)
				if got := len(rec.all()); (got == 5) != kinds[kind].idempotent || (got != 1 && got != 5) {
					t.Errorf("%d requests", got)
				}
			})
		}
	}
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
			if c.Stats() != want {
				t.Errorf("stats %+v, want %+v", c.Stats(), want)
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
	_, err := c.ImportConversation(t.Context(), ConversationImport{}, func(_ context.Context, n int, previous error) error {
		attempts = append(attempts, n)
		var throttled *RateLimitError
		if errors.As(previous, &throttled) != (n > 1) || NotApplied(previous) != (n > 1) {
			t.Errorf("attempt %d: previous error %v", n, previous)
		}
		return nil
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
			c, _ := setup(t, func(w http.ResponseWriter, _ *http.Request, n int) {
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
func (l *cancelOnThrottle) Throttled(time.Duration)        { l.cancel() }

func TestBeforeDecides(t *testing.T) {
	t.Parallel()
	c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, n int) { reply(w, 429, "") })
	stop := errors.New("stop")
	_, err := c.ImportConversation(t.Context(), ConversationImport{}, func(_ context.Context, n int, _ error) error {
		if n == 3 {
			return stop
		}
		return nil
	})
	if err != stop { //nolint:errorlint // it must come back as it is
		t.Errorf("error %v", err)
	}
	if len(rec.all()) != 2 {
		t.Errorf("%d requests", len(rec.all()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = c.ImportConversation(ctx, ConversationImport{}, func(context.Context, int, error) error {
		cancel()
		return nil
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

func TestAHugeAnswerIsRefusedOnce(t *testing.T) {
	t.Parallel()
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		for range maxAnswerBody>>20 + 2 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	_, err := c.ListQueues(t.Context())
	var answer *AnswerError
	if !errors.As(err, &answer) || !strings.Contains(err.Error(), "more than 64 MiB") || len(rec.all()) != 1 {
		t.Errorf("error %v after %d requests", err, len(rec.all()))
	}
}
