package dixa

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// leave runs workers that let n requests leave each and returns when they left, since the start, in order.
func leave(t *testing.T, l Limiter, workers, n int) []time.Duration {
	t.Helper()
	start := time.Now()
	var mu sync.Mutex
	var left []time.Duration
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range n {
				if err := l.Wait(t.Context()); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				left = append(left, time.Since(start))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return left
}

// gaps returns the shortest and the longest time between two that left.
func gaps(left []time.Duration) (shortest, longest time.Duration) {
	shortest = math.MaxInt64
	for i := 1; i < len(left); i++ {
		shortest, longest = min(shortest, left[i]-left[i-1]), max(longest, left[i]-left[i-1])
	}
	return shortest, longest
}

// about reports whether two durations are the same but for the rounding of the arithmetic.
func about(a, b time.Duration) bool { return (a - b).Abs() <= 10*time.Microsecond }

func TestThePaceIsEven(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rate  float64
		burst int
		gap   time.Duration
	}{
		"the usual":   {10, 4, 100 * time.Millisecond},
		"no slack":    {9.5, 1, 110803324 * time.Nanosecond},
		"burst unset": {9.5, 0, 110803324 * time.Nanosecond},
		"slow":        {0.5, 4, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := NewLimiter(test.rate, test.burst)
				time.Sleep(time.Hour) // idleness saves nothing up
				left := leave(t, l, 7, 9)
				if shortest, longest := gaps(left); left[0] != 0 || !about(shortest, test.gap) || !about(longest, test.gap) {
					t.Errorf("first after %v, then between %v and %v, want %v", left[0], shortest, longest, test.gap)
				}
			})
		})
	}
}

func TestNoRateNoWait(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, -1, math.Inf(1)} {
		synctest.Test(t, func(t *testing.T) {
			l := NewLimiter(rate, 4)
			if left := leave(t, l, 5, 100); left[499] != 0 {
				t.Errorf("rate %v: the last left after %v", rate, left[499])
			}
			l.Throttled(3 * time.Second)
			if left := leave(t, l, 5, 2); left[0] != 3*time.Second || left[9] != 3*time.Second {
				t.Errorf("rate %v: after a pause of 3s they left at %v", rate, left)
			}
		})
	}
}

func TestAPauseStopsThoseWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(10, 4)
		go func() {
			time.Sleep(250 * time.Millisecond)
			for range 5 { // the same event, seen by five workers
				l.Throttled(2 * time.Second)
			}
			time.Sleep(time.Second)
			l.Throttled(4 * time.Second) // during the pause: it grows
			l.Throttled(0)
		}()
		left := leave(t, l, 8, 5)
		resumed := 5250 * time.Millisecond
		for i, at := range left {
			if at > 250*time.Millisecond && at < resumed {
				t.Errorf("number %d left at %v, during the pause", i, at)
			}
		}
		if left[2] != 200*time.Millisecond || left[3] != resumed {
			t.Errorf("left at %v and %v", left[2], left[3])
		}
		// A tenth slower at first, and faster by and by.
		if shortest, longest := gaps(left[3:]); shortest < 109*time.Millisecond || longest > 112*time.Millisecond {
			t.Errorf("after the pause the gaps are between %v and %v", shortest, longest)
		}
	})
}

func TestTheRateFallsAndCreepsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(10, 4)
		want := func(rate float64, when string) {
			t.Helper()
			if got := l.Rate(); math.Abs(got-rate) > 0.02 {
				t.Errorf("%s: rate %.3f, want %.3f", when, got, rate)
			}
		}
		want(10, "at first")
		l.Throttled(time.Second)
		want(9, "in the pause")
		time.Sleep(31 * time.Second)
		want(9.5, "half a minute later")
		time.Sleep(30 * time.Second)
		want(10, "a minute later")
		time.Sleep(time.Hour)
		want(10, "an hour later")
		for range 100 {
			l.Throttled(time.Second)
			time.Sleep(time.Second)
		}
		want(2.5, "after a hundred 429s")
		l.SetRate(4)
		want(1, "with another rate")
		time.Sleep(61 * time.Second)
		want(4, "recovered")
	})
}

// pauseOf returns how long the next request has to wait.
func pauseOf(t *testing.T, l Limiter) time.Duration {
	t.Helper()
	start := time.Now()
	if err := l.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}

func TestPausesDoubleWhile429sKeepComing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(0, 4)
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			want *= time.Second
			l.Throttled(0)
			l.Throttled(0)
			if got := pauseOf(t, l); got < want*3/4 || got > min(want*5/4, longestPause) {
				t.Errorf("pause of %v, want about %v", got, want)
			}
		}
		time.Sleep(calmAfter + time.Second)
		l.Throttled(0)
		if got := pauseOf(t, l); got > 1250*time.Millisecond {
			t.Errorf("after a calm the pause is %v", got)
		}
		time.Sleep(time.Minute)
		l.Throttled(time.Hour)
		if got := pauseOf(t, l); got != maxRetryAfter {
			t.Errorf("for a Retry-After of an hour the pause is %v", got)
		}
	})
}

func TestWaitersListenToTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(1, 4)
		l.Throttled(20 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := l.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		}
		wg.Wait()
		if err := l.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with an ended context: %v", err)
		}
		// Giving up a place must not let two leave at once.
		left := leave(t, l, 3, 1)
		if left[0] > 22*time.Second {
			t.Errorf("the first left after %v", left[0])
		}
		if shortest, _ := gaps(left); shortest < time.Second {
			t.Errorf("they left at %v", left)
		}
	})
}
