package checkpoint

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

func TestEventsAreClaimedInOrder(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		s.bound(t)
		s.imported(t, bot, "a", 100)
		s.imported(t, bot, "b", 101)
		base := time.Now()
		s.storeEvents(t, forwarding, message("a3", 100, base.Add(3*time.Second)), message("b1", 101, base), message("a1", 100, base), message("a2", 100, base.Add(time.Second)))
		first := s.claimed(t, "one")
		equal(t, "first", sortedKeys(first), []string{"a1", "b1"})
		equal(t, "another instance", len(s.claimed(t, "two")), 0)
		if first["a1"].Text != "text of a1" {
			t.Errorf("the claimed event is %+v", first["a1"])
		}

		if ok, err := s.MarkForwarded(t.Context(), "a1", first["a1"].Claim, 204); err != nil || !ok {
			t.Fatal(ok, err)
		}
		e := s.event(t, "a1")
		if e.Text != "" || e.AuthorName != "" || e.State != EventForwarded || e.ForwardedAt.IsZero() || e.Attempts != 1 || e.LastStatus != 204 {
			t.Errorf("a forwarded event is %+v", e)
		}
		// A failed event holds up the later ones of its transcript only.
		if state, err := s.FailEvent(t.Context(), "b1", first["b1"].Claim, 500, "answered 500", time.Hour, 72*time.Hour); err != nil || state != EventWaiting {
			t.Fatal(state, err)
		}
		s.storeEvents(t, forwarding, message("b2", 101, base.Add(time.Second)))
		second := s.claimed(t, "two")
		equal(t, "second", sortedKeys(second), []string{"a2"})

		// An expired claim is taken over; the result of the earlier one no longer counts.
		s.expireEvent(t, "a2")
		third := s.claimed(t, "one")
		equal(t, "taken over", sortedKeys(third), []string{"a2"})
		if ok, err := s.MarkForwarded(t.Context(), "a2", second["a2"].Claim, 200); err != nil || ok {
			t.Errorf("the earlier claim still counts: %v, %v", ok, err)
		}
		if state, err := s.FailEvent(t.Context(), "a2", second["a2"].Claim, 0, "", time.Hour, time.Hour); err != nil || state != "" {
			t.Errorf("the earlier claim still counts: %q, %v", state, err)
		}
		if lease := time.Until(s.event(t, "a2").NextAttemptAt); lease > 2*time.Minute {
			t.Errorf("the earlier claim's failure made the lease of the later one %v long", lease)
		}

		// A dead event holds up nothing.
		s.sql(t, "update dixa_import.events set first_attempt_at = '2026-01-01T00:00:00.000Z' where event_id = $1", "b1")
		s.expireEvent(t, "b1")
		b1 := s.claimed(t, "two")["b1"]
		if state, err := s.FailEvent(t.Context(), "b1", b1.Claim, 0, "no answer", time.Hour, 72*time.Hour); err != nil || state != EventDead {
			t.Fatal(state, err)
		}
		equal(t, "after a dead one", sortedKeys(s.claimed(t, "two")), []string{"b2"})
		if n, err := s.RetryEvents(t.Context(), "b1", "", 720*time.Hour); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		equal(t, "a dead one again", sortedKeys(s.claimed(t, "two")), []string{"b1"})
		other, _, err := s.ClaimEvents(t.Context(), Binding{"http://127.0.0.1", "org-2"}, bot, "x", time.Minute, 10)
		if err != nil || len(other) != 0 {
			t.Errorf("another organisation gets %v, %v", other, err)
		}
	})
}

// expireEvent lets the current claim, or the pause before the next attempt, end.
func (s *fixture) expireEvent(t testing.TB, id string) {
	t.Helper()
	s.sql(t, "update dixa_import.events set next_attempt_at = '2026-01-01T00:00:00.000Z' where event_id = $1", id)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	var keys []K
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func TestNextEvent(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		s.bound(t)
		s.imported(t, bot, "a", 100)
		claim := func() (int, time.Duration) {
			t.Helper()
			events, next, err := s.ClaimEvents(t.Context(), acme, bot, "i", time.Hour, 10)
			if err != nil {
				t.Fatal(err)
			}
			return len(events), next
		}
		if n, next := claim(); n != 0 || next != 0 {
			t.Errorf("nothing is stored: %d, %v", n, next)
		}
		s.storeEvents(t, StoreOptions{Forward: true, Delay: time.Minute}, message("e", 100, time.Now()))
		if n, next := claim(); n != 0 || next < 50*time.Second || next > time.Minute {
			t.Errorf("one is due in a minute: %d, %v", n, next)
		}
		s.expireEvent(t, "e")
		if n, next := claim(); n != 1 || next < 59*time.Minute || next > time.Hour {
			t.Errorf("it is due: %d, %v", n, next)
		}
	})
}

// TestShuffledEvents lets two processes store the same events, doubled and shuffled, and forward them.
func TestShuffledEvents(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		s.bound(t)
		const conversations, each = 5, 8
		var events []WebhookEvent
		for c := range conversations {
			s.imported(t, bot, fmt.Sprint("t-", c), int64(100+c))
			for i := range each {
				events = append(events, message(fmt.Sprintf("%d-%d", c, i), int64(100+c), t0.Add(time.Duration(i)*time.Second)))
			}
		}
		events = append(events, events...)
		rng := rand.New(rand.NewPCG(1, 2))
		rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		stores := []*Store{s.Store, open(t, s.url)}
		var stored atomic.Int64
		var storing errgroup.Group
		for i, store := range stores {
			storing.Go(func() error {
				for chunk := range slices.Chunk(events[i*len(events)/2:(i+1)*len(events)/2], 7) {
					results, err := retried(func() ([]StoredEvent, error) { return store.StoreEvents(t.Context(), acme, chunk, forwarding) })
					if err != nil {
						return err
					}
					for _, r := range results {
						if r.New {
							stored.Add(1)
						}
					}
				}
				return nil
			})
		}
		if err := storing.Wait(); err != nil {
			t.Fatal(err)
		}
		equal(t, "stored", stored.Load(), conversations*each)

		var mu sync.Mutex
		forwarded := map[string][]string{}
		var all errgroup.Group
		for i, store := range stores {
			all.Go(func() error {
				for {
					claimed, _, err := store.ClaimEvents(t.Context(), acme, bot, fmt.Sprint(i), time.Hour, 3)
					if err != nil && !Retryable(err) {
						return err
					}
					for _, e := range claimed {
						mu.Lock()
						forwarded[e.TranscriptID] = append(forwarded[e.TranscriptID], e.ID)
						mu.Unlock()
						if ok, err := retried(func() (bool, error) { return store.MarkForwarded(t.Context(), e.ID, e.Claim, 200) }); err != nil || !ok {
							return fmt.Errorf("mark %s: %v, %w", e.ID, ok, err)
						}
					}
					if counts, err := store.EventCounts(t.Context()); err != nil || counts[EventWaiting] == 0 {
						return err
					}
				}
			})
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
		for c := range conversations {
			var want []string
			for i := range each {
				want = append(want, fmt.Sprintf("%d-%d", c, i))
			}
			equal(t, "order", forwarded[fmt.Sprint("t-", c)], want)
		}
	})
}

// retried repeats a call while the database says that it lost a race.
func retried[T any](do func() (T, error)) (out T, err error) {
	for range 20 {
		if out, err = do(); err == nil || !Retryable(err) {
			return out, err
		}
	}
	return out, err
}

// TestEventsBesideARun: events are stored in a SQLite file while another process works on it and holds its lock.
func TestEventsBesideARun(t *testing.T) {
	t.Parallel()
	s := setup(t, "sqlite:"+filepath.Join(t.TempDir(), "checkpoint.db")).bound(t)
	run := s.start(t)
	serving := open(t, s.url)
	if _, err := serving.StartRun(t.Context(), bot, "run"); err == nil || !strings.Contains(err.Error(), "another dixa-import is using") {
		t.Fatalf("the lock is not held: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var working errgroup.Group
	working.Go(func() error {
		for i := 0; ctx.Err() == nil; i++ {
			id := fmt.Sprint("t-", i)
			_, err := retried(func() ([]Row, error) { return s.Claim(t.Context(), bot, run, []ClaimRequest{{ID: id, Seen: -1}}) })
			if err == nil {
				_, err = retried(func() ([]Result, error) {
					return s.Write(t.Context(), bot, run, []Change{{ID: id, Claim: 1, Event: Send, Attempts: 1, EndUserID: "u"}, {ID: id, Claim: 1, Event: Found, ConversationID: int64(1000 + i), EndUserID: "u", Attempts: 1}})
				})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	for i := range 200 {
		e := message(fmt.Sprint(i), int64(1000+i), time.Now())
		stored, err := retried(func() ([]StoredEvent, error) {
			return serving.StoreEvents(t.Context(), acme, []WebhookEvent{e}, forwarding)
		})
		if err != nil || !stored[0].New {
			t.Fatal(stored, err)
		}
	}
	cancel()
	if err := working.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := serving.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.RenewRun(t.Context(), run, Beat{}); err != nil { // the files of the database are still in place
		t.Fatal(err)
	}
}
