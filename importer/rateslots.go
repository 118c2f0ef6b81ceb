package importer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

// reserveAhead is how far into the future a process reserves slots. A process that dies wastes that much of the rate.
const reserveAhead = 250 * time.Millisecond

// SharedLimiter is a dixa.Limiter for processes that share a token's rate through checkpoint.RateSlots. One statement reserves slots for
// all workers that are waiting, so that none is wasted.
type SharedLimiter struct {
	shared checkpoint.RateSlots
	token  string // a hash that identifies the token
	first  bool   // its requests go before those of processes that are not first
	slack  int    // slots
	log    *slog.Logger
	local  *dixa.RateLimiter // applies the 429s that this process gets to its rate

	mu      sync.Mutex
	waiting int
	slots   []time.Time
	taking  bool
	changed chan struct{} // closed when slots were taken, or taking them failed
	lastErr error
}

// NewSharedLimiter returns a limiter for rate requests a second, which must be positive. tokenHash identifies the token without revealing
// it.
func NewSharedLimiter(shared checkpoint.RateSlots, tokenHash string, rate float64, burst int, log *slog.Logger) *SharedLimiter {
	return newSharedLimiter(shared, tokenHash, rate, burst, log)
}

// leastBurst is the burst that the server must allow so that requests may go before those that hold a slot already.
const leastBurst = 4

// NewFirstLimiter is NewSharedLimiter for requests that somebody waits for: they share slots of their own, and those of all others move back. For as
// long as the others have slots ahead, both leave, which a burst of leastBurst allows for; with a smaller one, they wait in line like all others.
func NewFirstLimiter(shared checkpoint.RateSlots, tokenHash string, rate float64, burst int, log *slog.Logger) *SharedLimiter {
	l := newSharedLimiter(shared, tokenHash, rate, burst, log)
	l.first = burst >= leastBurst
	return l
}

func newSharedLimiter(shared checkpoint.RateSlots, tokenHash string, rate float64, burst int, log *slog.Logger) *SharedLimiter {
	slack := 0
	if burst > 2 { // unused slots may be made up for, within what the server tolerates anyway
		slack = 1
	}
	return &SharedLimiter{shared: shared, token: tokenHash, slack: slack, log: log, local: dixa.NewLimiter(rate, burst), changed: make(chan struct{})}
}

// Wait blocks until the next request may leave, or returns the error of the context. While the database is unavailable, it blocks.
func (l *SharedLimiter) Wait(ctx context.Context) error {
	l.mu.Lock()
	l.waiting++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.waiting--
		l.mu.Unlock()
	}()
	for {
		slot, err := l.slot(ctx)
		if err != nil {
			return err
		}
		if wait := time.Until(slot); wait > 0 && !session.Pause(ctx, wait) {
			l.giveBack(slot)
			return ctx.Err()
		}
		if pause := l.local.Paused(); pause <= 0 {
			return ctx.Err()
		} else if !session.Pause(ctx, pause) { // a 429 arrived meanwhile and cancels the slot
			return ctx.Err()
		}
	}
}

// giveBack returns a slot for another worker of this process.
func (l *SharedLimiter) giveBack(slot time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots = append([]time.Time{slot}, l.slots...)
}

// slot returns a reserved time. One of the waiting workers reserves for all.
func (l *SharedLimiter) slot(ctx context.Context) (time.Time, error) {
	for pause := 50 * time.Millisecond; ; {
		l.mu.Lock()
		if len(l.slots) > 0 {
			slot := l.slots[0]
			l.slots = l.slots[1:]
			l.mu.Unlock()
			return slot, nil
		}
		if l.taking {
			changed := l.changed
			l.mu.Unlock()
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return time.Time{}, ctx.Err()
			}
		}
		l.taking = true
		interval := time.Duration(float64(time.Second) / l.local.Rate())
		n := max(1, min(l.waiting, int(reserveAhead/interval)))
		l.mu.Unlock()
		if l.take(ctx, n, interval) == nil {
			continue
		}
		if !session.Pause(ctx, pause) {
			return time.Time{}, ctx.Err()
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// key names the slots that the limiter takes.
func (l *SharedLimiter) key() string {
	if l.first {
		return l.token + "/first"
	}
	return l.token
}

func (l *SharedLimiter) take(ctx context.Context, n int, interval time.Duration) error {
	try, cancel := context.WithTimeout(context.WithoutCancel(ctx), session.DatabaseTimeout)
	defer cancel()
	slack := time.Duration(l.slack) * interval
	wait, err := l.shared.TakeSlots(try, l.key(), n, interval, slack)
	if err == nil && l.first { // half a slot more, so that the server's bucket fills up again
		_, err = l.shared.TakeSlots(try, l.token, n, interval*3/2, slack)
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		for i := range n {
			l.slots = append(l.slots, now.Add(wait+time.Duration(i)*interval))
		}
	}
	if (err == nil) != (l.lastErr == nil) {
		if err != nil {
			l.log.Warn("the checkpoint database is unavailable, so the rate cannot be shared: nothing is sent", "error", err.Error())
		}
		l.lastErr = err
	}
	l.taking = false
	close(l.changed)
	l.changed = make(chan struct{})
	return err
}

// Throttled pauses every process that uses the token, and slows this one down for a while.
func (l *SharedLimiter) Throttled(retryAfter time.Duration) {
	before := l.local.Paused()
	l.local.Throttled(retryAfter)
	pause := l.local.Paused()
	if pause <= before {
		return // another worker has handled the same 429
	}
	l.mu.Lock()
	l.slots = nil
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := errors.Join(l.shared.PostponeSlots(ctx, l.token, pause), l.shared.PostponeSlots(ctx, l.token+"/first", pause))
	if err != nil {
		l.log.Warn("could not tell the other processes about a 429", "error", err.Error())
	}
}
