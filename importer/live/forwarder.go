package live

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"dixa-import/importer/checkpoint"
)

// ForwarderConfig is where events are forwarded to, and how.
type ForwarderConfig struct {
	Store        Store
	Organisation checkpoint.Binding
	Source       string // whose transcripts' events are forwarded
	URL          string // of the bot
	Secret       string // whsec_ and base64, as Standard Webhooks has it

	Concurrency int           // how many conversations are forwarded at once; default 8
	Timeout     time.Duration // for one request; default 15s
	GiveUp      time.Duration // how long an event is tried before it is dead; default 72h
	MinBackoff  time.Duration // the pause after the first failure, which doubles with each; default 2s
	MaxBackoff  time.Duration // the longest pause; default 1h
	Poll        time.Duration // how often it looks for events that another process left; default 2s
	Lease       time.Duration // how long after a crash another process may take an event over; longer than Timeout, default Timeout and 20s

	Stored Signal // new events; may be nil
	// Forwarded, if set, is called for each event that the bot accepted, from several goroutines: with the time since it was received.
	Forwarded func(took time.Duration)
	Transport http.RoundTripper // default: one with a connection for each conversation
	Logger    *slog.Logger      // default: discard
}

// Forwarder posts events to the bot until it accepts them. Any number of them may run on one checkpoint: each event is claimed before it is
// posted.
type Forwarder struct {
	ForwarderConfig
	instance string
	key      []byte
	client   *http.Client

	finished Signal // is set when a request has ended

	forwarded, failures, dead atomic.Int64

	mu       sync.Mutex
	troubles map[int]*rate.Sometimes // when failures are logged, by status
	outage   rate.Sometimes
}

// NewForwarder returns a Forwarder, or an error about the address or the secret that does not contain them.
func NewForwarder(c ForwarderConfig) (*Forwarder, error) {
	if err := CheckForwardURL(c.URL); err != nil {
		return nil, fmt.Errorf("the address for forwarding %w", err)
	}
	key, err := parseForwardSecret(c.Secret)
	if err != nil {
		return nil, fmt.Errorf("the secret for forwarding %w", err)
	}
	c = c.withDefaults()
	f := &Forwarder{ForwarderConfig: c, instance: uuid.NewString(), key: key, finished: NewSignal(), troubles: map[int]*rate.Sometimes{}}
	f.outage.Interval = time.Minute
	if u, err := url.Parse(c.URL); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		c.Logger.Warn("serve.forward_url begins with http://: what people write travels to the bot unencrypted")
	}
	f.client = &http.Client{Transport: c.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return f, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c ForwarderConfig) withDefaults() ForwarderConfig {
	c.Timeout = cmp.Or(c.Timeout, 15*time.Second)
	c.GiveUp = cmp.Or(c.GiveUp, 72*time.Hour)
	c.MinBackoff = cmp.Or(c.MinBackoff, 2*time.Second)
	c.MaxBackoff = cmp.Or(c.MaxBackoff, time.Hour)
	c.Poll = cmp.Or(c.Poll, 2*time.Second)
	c.Lease = cmp.Or(c.Lease, c.Timeout+20*time.Second)
	c.Concurrency = cmp.Or(c.Concurrency, 8)
	if c.Transport == nil {
		c.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: c.Timeout, KeepAlive: 30 * time.Second}).DialContext,
			MaxIdleConnsPerHost: c.Concurrency, IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true, TLSHandshakeTimeout: c.Timeout,
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// ForwardCounts are how many requests to the bot had which outcome, and how many events died.
type ForwardCounts struct{ Forwarded, Failures, Dead int64 }

// Counts returns the outcomes so far.
func (f *Forwarder) Counts() ForwardCounts {
	return ForwardCounts{f.forwarded.Load(), f.failures.Load(), f.dead.Load()}
}

// Run forwards events until ctx ends. Requests under way are then finished, which takes at most Timeout and what it takes to record their
// outcome.
func (f *Forwarder) Run(ctx context.Context) {
	defer f.client.CloseIdleConnections()
	var requests sync.WaitGroup
	defer requests.Wait()
	var busy atomic.Int64
	for {
		free := f.Concurrency - int(busy.Load())
		events, next, err := f.claim(ctx, free)
		for _, e := range events {
			busy.Add(1)
			requests.Go(func() {
				f.forward(context.WithoutCancel(ctx), e)
				busy.Add(-1)
				f.finished.Set()
			})
		}
		wait := f.Poll
		if err == nil && next > 0 {
			wait = min(wait, next)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-f.Stored:
		case <-f.finished:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// claim claims events for the free places.
func (f *Forwarder) claim(ctx context.Context, free int) (events []checkpoint.WebhookEvent, next time.Duration, err error) {
	if free <= 0 || ctx.Err() != nil {
		return nil, 0, nil
	}
	events, next, err = f.Store.ClaimEvents(ctx, f.Organisation, f.Source, f.instance, f.Lease, free)
	if err != nil && ctx.Err() == nil {
		f.outage.Do(func() { f.Logger.Warn("events cannot be forwarded for now", "error", err.Error()) })
	}
	return events, next, err
}

// forward posts an event and records the outcome.
func (f *Forwarder) forward(ctx context.Context, e checkpoint.WebhookEvent) {
	answer := f.post(ctx, e)
	if answer.accepted() {
		f.forwarded.Add(1)
		if f.Forwarded != nil {
			f.Forwarded(max(time.Since(e.ReceivedAt), 0))
		}
		f.record(ctx, e, func(ctx context.Context) error {
			marked, err := f.Store.MarkForwarded(ctx, e.ID, e.Claim, answer.status)
			if err == nil && !marked {
				f.Logger.Warn("an event was forwarded so slowly that another process has taken it over: the bot may get it twice", "event", e.ID)
			}
			return err
		})
		return
	}
	f.failures.Add(1)
	f.logTrouble(e, answer)
	delay := f.backoff(e.Attempts, answer.retryAfter)
	f.record(ctx, e, func(ctx context.Context) error {
		state, err := f.Store.FailEvent(ctx, e.ID, e.Claim, answer.status, answer.problem, delay, f.GiveUp)
		if err == nil && state == checkpoint.EventDead {
			f.dead.Add(1)
			f.Logger.Error("an event was given up: `dixa-import events --dead` lists it", "event", e.ID, "transcript", e.TranscriptID, "attempts", e.Attempts+1, "reason", answer.problem)
		}
		return err
	})
}

// record records the outcome of a request, as long as no other process may have repeated the request. If that is impossible, the event is
// posted again once the lease has ended.
func (f *Forwarder) record(ctx context.Context, e checkpoint.WebhookEvent, do func(context.Context) error) {
	if err := patiently(ctx, (f.Lease-f.Timeout)/2, do); err != nil {
		f.Logger.Warn("what became of a forwarded event could not be recorded: the bot gets it again", "event", e.ID, "error", err.Error())
	}
}

// backoff returns the pause after an attempt: it doubles up to a limit, and is never shorter than what the bot asks for within that limit.
func (f *Forwarder) backoff(attempts int, asked time.Duration) time.Duration {
	d := f.MaxBackoff
	if attempts < 30 {
		d = min(f.MinBackoff<<attempts, d)
	}
	d = d/2 + rand.N(d/2+1) // so that events that failed together are not repeated together
	return max(d, min(asked, f.MaxBackoff))
}

// logTrouble logs a failure, unless one with the same status was logged a short time ago.
func (f *Forwarder) logTrouble(e checkpoint.WebhookEvent, a answer) {
	f.mu.Lock()
	s := f.troubles[a.status]
	if s == nil {
		s = &rate.Sometimes{Interval: 10 * time.Minute}
		f.troubles[a.status] = s
	}
	f.mu.Unlock()
	advice := "it is tried again"
	if a.status == http.StatusGone || a.status >= 400 && a.status < 500 && a.status != http.StatusTooManyRequests && a.status != http.StatusRequestTimeout {
		advice = "it is tried again, but the bot's endpoint seems not to want it: check serve.forward_url and serve.forward_secret"
	}
	s.Do(func() {
		f.Logger.Warn("the bot did not accept an event: "+advice, "event", e.ID, "attempt", e.Attempts+1, "reason", a.problem)
	})
}
