package dixa

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnOutageFailsNobody(t *testing.T) {
	t.Parallel()
	limits := map[string]struct {
		rate float64
		most int // requests during the outage
	}{"unlimited": {0, 50 + 15}, "paced": {10, 35}}
	for name, ill := range illnesses {
		for pace, limit := range limits {
			t.Run(name+" "+pace, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					a := inMemory(t, func(cfg *Config) { cfg.MaxAttempts, cfg.Limiter = 2, NewLimiter(limit.rate, 4) })
					goThrough(t, a, ill)
					if missed := a.allMissed(); len(missed) < failuresInARow+3 || len(missed) > limit.most {
						t.Errorf("%d requests during the outage: %v", len(missed), missed)
					}
				})
			})
		}
	}
}

// goThrough has 50 callers at work while the API goes away for a minute.
func goThrough(t *testing.T, a *api, ill *illness) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range 50 {
		kind := []string{"get", "patch", "import", "create"}[i%4]
		if ill.dial == nil && !kinds[kind].idempotent {
			kind = "get"
		}
		wg.Go(func() {
			for start := time.Now(); time.Since(start) < 90*time.Second; time.Sleep(time.Second) {
				if err := kinds[kind].call(t.Context(), a.Client); err != nil {
					t.Errorf("%s after %v: %v", kind, time.Since(start), err)
				}
			}
		})
	}
	time.Sleep(5500 * time.Millisecond)
	a.http.CloseIdleConnections()
	a.ill.Store(ill)
	time.Sleep(30 * time.Second)
	if !a.Stats().Down {
		t.Error("it does not say that the API is down")
	}
	time.Sleep(30 * time.Second)
	a.ill.Store(nil)
	time.Sleep(20 * time.Second)
	if a.Stats().Down {
		t.Error("it says that the API is down long after it is back")
	}
	wg.Wait()
	log := a.logged.String()
	if strings.Count(log, "level=WARN") != 1 || strings.Count(log, "level=INFO") != 1 || !strings.Contains(log, "after=1m") && !strings.Contains(log, "after=5") {
		t.Errorf("logged: %s", log)
	}
}

func TestAPoisonousRequestEndsAfterMaxAttempts(t *testing.T) {
	t.Parallel()
	for status, body := range map[int]string{200: `{"data":{"id":"o"}}`, 201: `[]`, 302: "", 401: "", 403: "<html>", 404: "", 429: ""} {
		for attempts, probes := range map[int]int{4: 0, 5: 1, 12: 2} {
			t.Run(fmt.Sprintf("%d attempts, organization %d", attempts, status), func(t *testing.T) {
				t.Parallel()
				var logged lockedBuffer
				c, rec := setup(t, func(w http.ResponseWriter, r *http.Request, _ int) {
					if strings.HasSuffix(r.URL.Path, "/organization") {
						reply(w, status, body)
						return
					}
					reply(w, 500, "")
				}, func(cfg *Config) {
					cfg.MaxAttempts, cfg.Logger = attempts, slog.New(slog.NewTextHandler(&logged, nil))
				})
				err := kinds["patch"].call(t.Context(), c)
				if failed, ok := errors.AsType[*APIError](err); !ok || failed.Status != 500 || failed.Operation != OpPatchAttributes {
					t.Errorf("error %v", err)
				}
				if got := len(rec.all()); got != attempts+probes {
					t.Errorf("%d requests, want %d", got, attempts+probes)
				}
				if s := c.Stats(); s.Down || s.Retries != int64(attempts-1) || strings.Contains(logged.String(), "answer") {
					t.Errorf("stats %+v, logged %s", s, logged.String())
				}
			})
		}
	}
}

func TestWhatShutsTheGate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		want bool
	}{
		"500":        {&APIError{Status: 500}, true},
		"408":        {&APIError{Status: 408}, true},
		"no answer":  {&TransportError{Err: io.EOF, Written: true}, true},
		"unreadable": {&AnswerError{Status: 200, Err: io.EOF}, true},
		"success":    {nil, false},
		"429":        {&RateLimitError{}, false},
		"400":        {&APIError{Status: 400}, false},
		"401":        {&APIError{Status: 401}, false},
		"302":        {&APIError{Status: 302}, false},
		"too large":  {&AnswerError{Status: 200, Err: errTooLarge}, false},
	}
	nothing := []error{&unsentError{err: io.EOF}, &TransportError{Err: context.Canceled, Written: true}, &unsentError{err: context.DeadlineExceeded}}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &gate{}
			for range failuresInARow - 1 {
				g.note(&APIError{Status: 503})
			}
			for _, err := range nothing {
				g.note(err)
			}
			if g.current() != nil {
				t.Fatal("it is shut too early")
			}
			if g.note(test.err); (g.current() != nil) != test.want {
				t.Errorf("shut: %v", !test.want)
			}
			if g.note(&APIError{Status: 503}); (g.current() != nil) != test.want {
				t.Error("an answer does not begin the count anew")
			}
		})
	}
}

func TestWhoComesLateToTheGateDoesNotProbe(t *testing.T) {
	t.Parallel()
	g := &gate{log: slog.New(slog.DiscardHandler), probe: func(context.Context) error {
		t.Error("it probes an API that is back")
		return nil
	}}
	for range failuresInARow {
		g.note(&APIError{Status: 503})
	}
	o := g.current()
	g.open(o)
	if err := g.probeUntilBack(t.Context(), o); err != nil || g.current() != nil {
		t.Errorf("error %v, outage %v", err, g.current())
	}
}

func TestPostsInDoubtShutTheGateAndNeverProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limiter := &quickLimiter{}
		a := inMemory(t, func(cfg *Config) { cfg.Limiter = limiter })
		a.ill.Store(illnesses["503"])
		for n := range failuresInARow {
			start := time.Now()
			if err := kinds["import"].call(t.Context(), a.Client); err == nil || NotApplied(err) || time.Since(start) > 0 {
				t.Fatalf("number %d: %v after %v", n, err, time.Since(start))
			}
		}
		asked := false
		errs := make(chan error, 1)
		go func() {
			_, err := a.ImportConversation(t.Context(), ConversationImport{}, func(context.Context, int, error) (time.Time, error) {
				asked = true
				return time.Time{}, nil
			})
			errs <- err
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		missed := a.allMissed()
		waits, _ := limiter.counts()
		if asked || count(missed, "/import") != failuresInARow || count(missed, "GET /v1/organization") != len(missed)-failuresInARow || waits != len(missed) {
			t.Errorf("before was called: %v, the limiter %d times; %v", asked, waits, missed)
		}
		a.ill.Store(nil)
		if err := <-errs; err != nil || !asked {
			t.Errorf("error %v, before was called: %v", err, asked)
		}
	})
}

func TestProbesBecomeRarer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t)
		var at []time.Time
		wait := a.fall(t, &illness{serve: func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/organization") {
				at = append(at, time.Now())
			}
			reply(w, 500, "")
		}})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		a.ill.Store(nil)
		if err := wait(); err != nil {
			t.Error(err)
		}
		for i := 1; i < len(at); i++ {
			want := min(time.Second<<(i-1), longestWait)
			if gap := at[i].Sub(at[i-1]); gap < want*3/4 || gap > min(want*5/4, longestWait) {
				t.Errorf("%v between probe %d and the next, want about %v", gap, i, want)
			}
		}
		if len(at) < 10 {
			t.Errorf("%d probes in two minutes", len(at))
		}
	})
}

func TestTheContextEndsTheWaitForTheAPI(t *testing.T) {
	t.Parallel()
	for kind, k := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := inMemory(t)
				wait := a.fall(t, illnesses["503"])
				missed := len(a.allMissed())
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				start := time.Now()
				err := k.call(ctx, a.Client)
				if !errors.Is(err, context.DeadlineExceeded) || !NotApplied(err) || Transient(err) || time.Since(start) != 100*time.Millisecond {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				if got := a.allMissed()[missed:]; count(got, "/organization") != len(got) {
					t.Errorf("it was sent: %v", got)
				}
				a.ill.Store(nil)
				if err := wait(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestTheContextEndsTheWaitOfAFailedAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t)
		a.ill.Store(illnesses["503"])
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		err := kinds["patch"].call(ctx, a.Client)
		failed, ok := errors.AsType[*APIError](err)
		if !errors.Is(err, context.DeadlineExceeded) || !ok || failed.Operation != OpPatchAttributes || NotApplied(err) || time.Since(start) != time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		noSecrets(t, err)
	})
}

func TestAnotherOneProbesWhenTheProberIsGone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"503", "hangs", "refuses"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := inMemory(t)
				var now, most atomic.Int32 // probes
				ill := *illnesses[name]
				if serve := ill.serve; serve != nil {
					ill.serve = func(w http.ResponseWriter, r *http.Request) {
						if strings.HasSuffix(r.URL.Path, "/organization") {
							most.Store(max(most.Load(), now.Add(1)))
							defer now.Add(-1)
						}
						serve(w, r)
					}
				}
				a.ill.Store(&ill)
				errs := make(chan error, 30)
				for i := range 30 {
					ctx := t.Context()
					if i < 29 { // all but one give up, one by one
						timed, cancel := context.WithTimeout(ctx, 10*time.Second+time.Duration(i)*700*time.Millisecond)
						defer cancel()
						ctx = timed
					}
					go func() { errs <- kinds["get"].call(ctx, a.Client) }()
				}
				for range 29 {
					if err := <-errs; !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("error %v", err)
					}
				}
				before := len(a.allMissed())
				time.Sleep(time.Minute)
				if after := len(a.allMissed()); after < before+3 || !a.Stats().Down {
					t.Errorf("%d probes by the last one in a minute, stats %+v", after-before, a.Stats())
				}
				a.ill.Store(nil)
				if err := <-errs; err != nil {
					t.Error(err)
				}
				if most.Load() > 1 {
					t.Errorf("%d probes at once", most.Load())
				}
				if log := a.logged.String(); strings.Count(log, "level=WARN") != 1 || strings.Count(log, "level=INFO") != 1 {
					t.Errorf("logged: %s", log)
				}
			})
		})
	}
}

// A server on a real socket that comes up only when the client says that it is down.
func TestRefusedAndThenBack(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	rec := &recorder{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec.add(r)
		if strings.HasSuffix(r.URL.Path, "/import") || r.Method == http.MethodPost {
			reply(w, 201, `{"data":{"id":7}}`)
			return
		}
		reply(w, 200, `{"data":[]}`)
	}))
	_ = server.Listener.Close()
	down := make(chan struct{})
	var once sync.Once
	c := newClient(t, "http://"+addr, func(cfg *Config) {
		cfg.Backoff, cfg.MaxAttempts = time.Millisecond, 3
		cfg.Logger = slog.New(callOnWarning{slog.DiscardHandler, func() { once.Do(func() { close(down) }) }})
	})
	errs := make(chan error, 20)
	for range 20 {
		go func() { _, err := c.ImportConversation(t.Context(), ConversationImport{}, nil); errs <- err }()
	}
	<-down
	if server.Listener, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Close)
	for range 20 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	var imports []string
	for _, r := range rec.all() {
		imports = append(imports, r.uri)
	}
	if n := count(imports, "/import"); n != 20 || c.Stats().Down {
		t.Errorf("%d imports arrived, stats %+v", n, c.Stats())
	}
}

// callOnWarning calls when a warning is logged.
type callOnWarning struct {
	slog.Handler
	call func()
}

func (h callOnWarning) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (h callOnWarning) Handle(context.Context, slog.Record) error {
	h.call()
	return nil
}
