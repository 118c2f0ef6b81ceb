package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dixa-import/importer/checkpoint/pgtest"

	"golang.org/x/sync/errgroup"
)

// rateSlots opens n stores with the same Postgres database.
func rateSlots(t testing.TB, n int) (*fixture, []RateSlots) {
	t.Helper()
	s := setup(t, pgtest.New(t))
	list := make([]RateSlots, n)
	for i := range list {
		store := s.Store
		if i > 0 {
			store = open(t, s.url)
		}
		list[i] = store.RateSlots()
	}
	return s, list
}

// nextSlot returns the time of the next free slot, in microseconds since 1970.
func (s *fixture) nextSlot(t testing.TB, token string) (micros int64) {
	t.Helper()
	err := s.db.QueryRowContext(t.Context(),
		"select (extract(epoch from next_at) * 1000000)::bigint from dixa_import.rate_budgets where token = $1", token).Scan(&micros)
	if err != nil {
		t.Fatal(err)
	}
	return micros
}

// TestSlotsDoNotOverlap: two processes take slots at the same time. The token's next free slot advances by exactly the number of slots taken.
func TestSlotsDoNotOverlap(t *testing.T) {
	t.Parallel()
	const workers, rounds, interval = 4, 50, time.Hour // longer than the test, so that no slot is in the past
	s, stores := rateSlots(t, 2)
	var mu sync.Mutex
	var taken []span
	var g errgroup.Group
	for w := range workers {
		g.Go(func() error {
			for i := range rounds {
				n := 1 + (w+i)%3
				wait, err := stores[w%2].TakeSlots(t.Context(), "token", n, interval, time.Second)
				if err != nil {
					return err
				}
				mu.Lock()
				taken = append(taken, span{wait, n})
				mu.Unlock()
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	// All calls were made within far less than an interval, so the waits show their order and positions.
	slices.SortFunc(taken, func(a, b span) int { return int(a.wait - b.wait) })
	at := 0
	for _, span := range taken {
		if got := int((span.wait + interval/2) / interval); got != at {
			t.Fatalf("slots begin at %d, but %d were taken before", got, at)
		}
		at += span.n
	}
	var started int64
	if err := s.db.QueryRowContext(t.Context(), "select (extract(epoch from clock_timestamp()) * 1000000)::bigint").Scan(&started); err != nil {
		t.Fatal(err)
	}
	if total := time.Duration(s.nextSlot(t, "token")-started) * time.Microsecond; total > time.Duration(at)*interval || total < time.Duration(at-1)*interval {
		t.Errorf("%d slots of %v end in %v", at, interval, total)
	}
}

type span struct {
	wait time.Duration
	n    int
}

func TestSlack(t *testing.T) {
	t.Parallel()
	s, stores := rateSlots(t, 1)
	take := func(n int, interval, slack time.Duration) time.Duration {
		t.Helper()
		wait, err := stores[0].TakeSlots(t.Context(), "token", n, interval, slack)
		if err != nil {
			t.Fatal(err)
		}
		return wait
	}
	if wait := take(1, time.Millisecond, time.Hour); wait > 0 || wait < -time.Minute {
		t.Errorf("the first slot is in %v", wait)
	}
	back := func(d string) {
		t.Helper()
		s.sql(t, "update dixa_import.rate_budgets set next_at = clock_timestamp() - $1::text::interval", d)
	}
	back("1 hour")
	if wait := take(1, time.Millisecond, 10*time.Minute); wait > -10*time.Minute || wait < -11*time.Minute {
		t.Errorf("a slot within the slack is in %v", wait)
	}
	back("5 minutes")
	if wait := take(1, time.Hour, 10*time.Minute); wait > -5*time.Minute || wait < -6*time.Minute {
		t.Errorf("a slot that was free 5 minutes ago is in %v", wait)
	}
	if wait := take(1, time.Hour, 10*time.Minute); wait < 50*time.Minute || wait > 55*time.Minute {
		t.Errorf("the slot after it is in %v", wait)
	}
	// To the microsecond, rounded up so that slots never overlap.
	for _, test := range []struct {
		n        int
		interval time.Duration
		want     int64 // microseconds
	}{{1, 125 * time.Millisecond, 125_000}, {3, time.Second / 3, 1_000_000}, {7, 1500 * time.Nanosecond, 11}, {1, 0, 0}} {
		before := s.nextSlot(t, "token")
		take(test.n, test.interval, 0)
		equal(t, fmt.Sprintf("%d slots of %v", test.n, test.interval), s.nextSlot(t, "token")-before, test.want)
	}
	for _, bad := range []struct {
		n               int
		interval, slack time.Duration
	}{{0, time.Second, 0}, {1, -1, 0}, {1, 1, -1}} {
		if _, err := stores[0].TakeSlots(t.Context(), "token", bad.n, bad.interval, bad.slack); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

func TestPostponeSlots(t *testing.T) {
	t.Parallel()
	s, stores := rateSlots(t, 2)
	ctx := t.Context()
	postpone := func(d time.Duration) {
		t.Helper()
		if err := stores[0].PostponeSlots(ctx, "token", d); err != nil {
			t.Fatal(err)
		}
	}
	postpone(time.Hour)
	stands := s.nextSlot(t, "token")
	postpone(time.Minute) // never shortens
	equal(t, "next slot", s.nextSlot(t, "token"), stands)
	wait, err := stores[1].TakeSlots(ctx, "token", 1, time.Second, time.Hour)
	if err != nil || wait < 59*time.Minute || wait > time.Hour {
		t.Errorf("a postponed slot is in %v, %v", wait, err)
	}
	if wait, err = stores[1].TakeSlots(ctx, "another", 1, time.Second, 0); err != nil || wait > 0 {
		t.Errorf("a slot of another token is in %v, %v", wait, err)
	}
	postpone(2 * time.Hour)
	if got := s.nextSlot(t, "token"); got < stands+50*60*1_000_000 {
		t.Errorf("the wait did not get longer: from %d to %d", stands, got)
	}
}

// BenchmarkTakeSlots has 4 connections take slots of one token.
func BenchmarkTakeSlots(b *testing.B) {
	_, stores := rateSlots(b, 4)
	b.ResetTimer()
	var g errgroup.Group
	for _, store := range stores {
		g.Go(func() error {
			for range b.N/4 + 1 {
				if _, err := store.TakeSlots(b.Context(), "token", 1, time.Microsecond, 0); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "statements/s")
}

// TestSQLiteSlotsDoNotOverlap is TestSlotsDoNotOverlap for stores with the same SQLite file.
func TestSQLiteSlotsDoNotOverlap(t *testing.T) {
	t.Parallel()
	const workers, rounds, interval = 4, 50, 5 * time.Second
	s := setup(t, "sqlite:"+filepath.Join(t.TempDir(), "checkpoint.db"))
	stores := []RateSlots{s.RateSlots(), open(t, s.url).RateSlots()}
	var mu sync.Mutex
	var ends []time.Time
	var g errgroup.Group
	for w := range workers {
		g.Go(func() error {
			for range rounds {
				before := time.Now()
				wait, err := stores[w%2].TakeSlots(t.Context(), "token", 1, interval, 0)
				if err != nil {
					return err
				}
				mu.Lock()
				ends = append(ends, before.Add(wait))
				mu.Unlock()
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(ends, time.Time.Compare)
	for i, at := range ends[1:] {
		if gap := at.Sub(ends[i]); gap < interval/2 || gap > interval*3/2 {
			t.Fatalf("slot %d is %v after the one before", i+1, gap)
		}
	}
	// A pause concerns all, and one that is shorter than what is taken already nobody.
	if err := stores[1].PostponeSlots(t.Context(), "other", 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := stores[1].PostponeSlots(t.Context(), "other", time.Minute); err != nil {
		t.Fatal(err)
	}
	if wait, err := stores[0].TakeSlots(t.Context(), "other", 1, interval, 0); err != nil || wait < 9*time.Minute || wait > 10*time.Minute {
		t.Errorf("after a pause of ten minutes: %v, %v", wait, err)
	}
	// A file that a process left half written, or a clock that was set back, stops nobody.
	path := strings.TrimPrefix(s.url, "sqlite:") + ".rate"
	for _, damage := range []string{"", "{\"tok", `{"token":"2199-01-01T00:00:00Z"}`} {
		if err := os.WriteFile(path, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if wait, err := stores[0].TakeSlots(t.Context(), "token", 1, interval, 0); err != nil || wait > 0 {
			t.Errorf("with %q in the file: %v, %v", damage, wait, err)
		}
	}
}
