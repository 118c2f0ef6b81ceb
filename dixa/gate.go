package dixa

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// failuresInARow is after how many failures, with no definite answer to any request between them, the API is suspected to
// be down.
const failuresInARow = 5

// gate holds back all requests of a client while the API is down, so that an outage does not use up their attempts.
//
// Failures in a row shut it. One of those who wait then sends a probe, and goes on sending them, ever more rarely, until
// one is answered; if its context ends before, another one takes over. Who probes does so on its own goroutine: nothing
// runs in the background.
type gate struct {
	probe   func(context.Context) error
	back    func()        // called when an outage is over, unless it is nil
	backoff time.Duration // between the first two probes
	log     *slog.Logger

	mu       sync.Mutex
	failures int     // in a row
	outage   *outage // nil while the gate is open
}

// outage is one time for which the gate is shut.
type outage struct {
	since  time.Time
	over   chan struct{} // closed when the API answers
	failed atomic.Int64  // probes; with the first one the suspicion is confirmed

	prober chan struct{} // full while somebody probes; what follows is theirs
	next   time.Time     // not before this the next probe
	waits  backoff.ExponentialBackOff
}

// note takes in what became of a request.
func (g *gate) note(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case saysNothing(err):
	case !isFailure(err):
		g.failures = 0
	default:
		if g.failures++; g.failures >= failuresInARow && g.outage == nil {
			g.outage = &outage{since: time.Now(), over: make(chan struct{}), prober: make(chan struct{}, 1),
				waits: backoff.ExponentialBackOff{InitialInterval: g.backoff, RandomizationFactor: 0.25, Multiplier: 2, MaxInterval: longestWait}}
		}
	}
}

// isFailure reports whether an outage could be the reason of a request's error: no or no readable answer, 5xx and 408.
func isFailure(err error) bool {
	_, throttled := errors.AsType[*RateLimitError](err)
	return Transient(err) && !throttled && !errors.Is(err, errTooLarge)
}

// saysNothing reports whether an error tells nothing about the API: the request did not leave, or was given up.
func saysNothing(err error) bool {
	_, unsent := errors.AsType[*unsentError](err)
	return unsent || errors.Is(err, errTooLate) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// current returns the outage that lasts, nil if the gate is open.
func (g *gate) current() *outage {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.outage
}

// down reports whether the API is known to be down.
func (g *gate) down() bool {
	o := g.current()
	return o != nil && o.failed.Load() > 0
}

// wait returns as soon as the gate is open, or with the error of the context. wasDown says that a probe failed meanwhile:
// the API was down, and it is no fault of the caller's request if that failed before.
func (g *gate) wait(ctx context.Context) (wasDown bool, err error) {
	o := g.current()
	if o == nil {
		return false, nil
	}
	failed := o.failed.Load()
	select {
	case <-o.over:
	case <-ctx.Done():
		err = ctx.Err()
	case o.prober <- struct{}{}:
		err = g.probeUntilBack(ctx, o)
		<-o.prober
	}
	return o.failed.Load() > failed, err
}

// probeUntilBack probes until the API answers. The first probe of an outage leaves at once.
func (g *gate) probeUntilBack(ctx context.Context, o *outage) error {
	for !isClosed(o.over) {
		if err := Sleep(ctx, time.Until(o.next)); err != nil {
			return err
		}
		err := g.probe(ctx)
		switch {
		case saysNothing(err):
			return cmp.Or(ctx.Err(), err)
		case !isFailure(err):
			g.open(o)
			return nil
		}
		o.next = time.Now().Add(min(o.waits.NextBackOff(), longestWait))
		if o.failed.Add(1) == 1 {
			g.log.Warn("Dixa does not answer: all requests wait until it does", slog.String("error", err.Error()))
		}
	}
	return nil
}

// open ends an outage. It is worth a line only if there was one: a probe that is answered at once shows that what failed
// were single requests.
func (g *gate) open(o *outage) {
	if o.failed.Load() > 0 {
		g.log.Info("Dixa answers again: the requests go on", slog.Duration("after", time.Since(o.since)))
		if g.back != nil {
			g.back()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures, g.outage = 0, nil
	close(o.over)
}

// probesOfOne is how many probes in a row may fail before every second one asks for something else: it may be that operation alone
// that is down.
const probesOfOne = 12

// probe sends the cheapest request there is. Any readable JSON will do as its answer, and so will a refusal.
func (c *Client) probe(ctx context.Context) error {
	op, path := OpGetOrganization, "/organization"
	if n := c.probesFailed.Load(); n >= probesOfOne && n%2 == 1 {
		op, path = OpListQueues, "/queues"
	}
	if err := c.limiter.Wait(ctx); err != nil {
		return &unsentError{op: op, err: err}
	}
	me := &caller{op: op}
	c.rests.begin(me)
	_, err := once(ctx, c, call[struct{}]{op: op, method: http.MethodGet, url: c.url(path, nil), read: readAny}, nil, time.Time{})
	c.rests.note(me, err)
	switch {
	case saysNothing(err):
	case isFailure(err):
		c.probesFailed.Add(1)
	default:
		c.probesFailed.Store(0)
	}
	return err
}

// admit waits until a request may leave: first for the API, then for its operation, then for the limiter. Who stands in line at the
// limiter when the API goes down, or the operation begins to rest, is sent back.
func (c *Client) admit(ctx context.Context, me *caller) error {
	for {
		if _, err := c.gate.wait(ctx); err != nil {
			return err
		}
		if err := c.rests.admit(ctx, me); err != nil {
			return err
		}
		began := time.Now()
		err := c.limiter.Wait(ctx)
		c.paced.Add(int64(time.Since(began)))
		if err != nil || c.gate.current() == nil && !c.rests.bars(me) {
			return err
		}
	}
}
