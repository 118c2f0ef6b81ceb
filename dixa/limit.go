package dixa

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"
)

// Limiter paces requests. Implementations are safe for concurrent use.
type Limiter interface {
	// Wait blocks until the next request may leave, or returns the error of the context.
	Wait(ctx context.Context) error
	// Throttled says that a 429 came; retryAfter is what its answer asked for, 0 if it asked for nothing.
	Throttled(retryAfter time.Duration)
}

const (
	maxRetryAfter = 60 * time.Second // a longer Retry-After is cut to this
	firstPause    = time.Second
	longestPause  = 30 * time.Second
	calmAfter     = 2 * time.Second  // a 429 later than this after a pause is a new beginning, not the next doubling
	slowDown      = 0.9              // what a 429 multiplies the rate by
	slowest       = 0.25             // of the configured rate
	recovery      = 60 * time.Second // from the slowed rate back to the configured one
	jitterReserve = 0.95             // of the rate, where the server leaves no slack for jitter
)

// RateLimiter lets requests leave at an even pace and, after a 429, pauses all of them and goes on a little slower.
//
// The pace is even, with never two requests at once, although the server allows bursts: its bucket sees when requests
// arrive, not when they leave, and requests that left one after the other can arrive together. The server's burst is
// the slack for that. A local bucket of the same size would spend it twice.
type RateLimiter struct {
	mu      sync.Mutex
	rate    float64 // requests a second, +Inf: no limit
	reserve float64 // jitterReserve or 1
	bucket  *rate.Limiter
	backoff *backoff.ExponentialBackOff

	pausedUntil time.Time
	factor      float64       // of the rate, right after the last pause
	changed     chan struct{} // closed when a pause begins or grows: all reservations are void
}

// NewLimiter returns a limiter that lets rate requests a second leave for a server whose bucket holds burst of them. With a
// burst below 2 it stays a touch under the rate, because there the server would refuse whatever comes a little early. A rate
// of 0 or less means no limit; a 429 still pauses everybody.
func NewLimiter(rate float64, burst int) *RateLimiter {
	l := &RateLimiter{
		reserve: 1,
		factor:  1,
		changed: make(chan struct{}),
		backoff: &backoff.ExponentialBackOff{InitialInterval: firstPause, RandomizationFactor: 0.25, Multiplier: 2, MaxInterval: longestPause},
	}
	if burst < 2 {
		l.reserve = jitterReserve
	}
	l.SetRate(rate)
	l.clear()
	return l
}

// SetRate changes the configured rate, for processes that share one token's budget. What a 429 took off stays off.
func (l *RateLimiter) SetRate(perSecond float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = math.Inf(1)
	if perSecond > 0 {
		l.rate = perSecond * l.reserve
	}
}

// Rate returns the requests a second that may leave at present, +Inf without a limit.
func (l *RateLimiter) Rate() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate * l.factorAt(time.Now())
}

// Paused returns how much of a pause after a 429 is left, 0 if there is none.
func (l *RateLimiter) Paused() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, time.Until(l.pausedUntil))
}

// Wait blocks until the next request may leave, or returns the error of the context.
func (l *RateLimiter) Wait(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		slot, wait, changed := l.take()
		if wait <= 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
			l.giveBack(slot, changed)
		}
		timer.Stop()
		if ctx.Err() == nil && !isClosed(changed) {
			return nil
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// take reserves the next slot and says how long to wait for it, unless changed closes before.
func (l *RateLimiter) take() (slot *rate.Reservation, wait time.Duration, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now() // under the lock, because the bucket's time must not go back
	from := l.notBefore(now)
	l.bucket.SetLimitAt(from, rate.Limit(l.rate*l.factorAt(from)))
	slot = l.bucket.ReserveN(from, 1)
	return slot, slot.DelayFrom(now), l.changed
}

// giveBack frees a slot that nobody will use, unless it is void already.
func (l *RateLimiter) giveBack(slot *rate.Reservation, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !isClosed(changed) {
		slot.CancelAt(l.notBefore(time.Now()))
	}
}

// notBefore is the earliest moment at which a request may leave. It never goes back, as the bucket's arithmetic wants.
func (l *RateLimiter) notBefore(now time.Time) time.Time {
	if now.Before(l.pausedUntil) {
		return l.pausedUntil
	}
	return now
}

// factorAt is the part of the configured rate that is used at t: it climbs from factor to 1 after a pause.
func (l *RateLimiter) factorAt(t time.Time) float64 {
	climbed := float64(t.Sub(l.pausedUntil)) / float64(recovery)
	return l.factor + (1-l.factor)*min(max(climbed, 0), 1)
}

// Throttled begins a pause for everybody. The 429s that come during a pause are the same event seen by other workers: they
// can only make it longer, by asking for that.
func (l *RateLimiter) Throttled(retryAfter time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	retryAfter = min(max(retryAfter, 0), maxRetryAfter)
	if now.Before(l.pausedUntil) {
		if until := now.Add(retryAfter); until.After(l.pausedUntil) {
			l.pausedUntil = until
			l.clear()
		}
		return
	}
	if now.Sub(l.pausedUntil) > calmAfter {
		l.backoff.Reset()
	}
	pause := min(l.backoff.NextBackOff(), longestPause)
	if retryAfter > 0 {
		pause = retryAfter
	}
	l.factor = max(l.factorAt(now)*slowDown, slowest)
	l.pausedUntil = now.Add(pause)
	l.clear()
}

// clear voids all reservations: those who hold one reserve again, so that nobody leaves during a pause, and after it they
// leave one by one.
func (l *RateLimiter) clear() {
	l.bucket = rate.NewLimiter(rate.Limit(l.rate*l.factor), 1)
	close(l.changed)
	l.changed = make(chan struct{})
}
