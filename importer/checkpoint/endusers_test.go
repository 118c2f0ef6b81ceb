package checkpoint

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
)

const org = "o-1"

func identifiers(values ...string) []Identifier {
	var ids []Identifier
	for _, v := range values {
		ids = append(ids, Identifier{Email, v})
	}
	return ids
}

func (s *fixture) reserve(t testing.TB, run int64, persons ...[]Identifier) []Reservation {
	t.Helper()
	answers, err := s.ReserveEndUsers(t.Context(), org, run, persons)
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

func (s *fixture) find(t testing.TB, organisation string, values ...string) map[Identifier]string {
	t.Helper()
	found, err := s.FindEndUsers(t.Context(), organisation, identifiers(values...))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestReservations(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		mine, theirs := s.start(t), s.start(t)
		granted, doubt, held := Reservation{Granted: true}, Reservation{Granted: true, Doubt: true}, Reservation{Held: true}

		equal(t, "strangers", s.reserve(t, mine, identifiers("a", "b"), identifiers("c")), []Reservation{granted, granted})
		equal(t, "reserved ones are not found", s.find(t, org, "a", "b", "c"), nil)
		// All of a person or none: z stays free although y is theirs to have.
		equal(t, "overlap", s.reserve(t, theirs, identifiers("z", "b"), identifiers("y")), []Reservation{held, granted})
		equal(t, "what was refused is free", s.reserve(t, mine, identifiers("z")), []Reservation{granted})
		equal(t, "my own again", s.reserve(t, mine, identifiers("c", "d")), []Reservation{doubt})
		equal(t, "all my own", s.reserve(t, mine, identifiers("c", "d")), []Reservation{{Granted: true, Doubt: true, Kept: true}})

		if err := s.SaveEndUsers(ctx, org, []EndUser{{ID: "u1", Identifiers: identifiers("a", "b")}}); err != nil {
			t.Fatal(err)
		}
		equal(t, "known", s.reserve(t, theirs, identifiers("new", "b")), []Reservation{{EndUserID: "u1"}})
		equal(t, "found", s.find(t, org, "a", "b", "new"), map[Identifier]string{{Email, "a"}: "u1", {Email, "b"}: "u1"})
		equal(t, "a known one counts more than a held one", s.reserve(t, theirs, identifiers("c", "a")), []Reservation{{EndUserID: "u1"}})
		equal(t, "other kind", s.reserve(t, theirs, []Identifier{{Phone, "a"}}), []Reservation{granted})

		if err := s.ReleaseEndUsers(ctx, org, theirs, identifiers("c", "a")); err != nil {
			t.Fatal(err)
		}
		equal(t, "only one's own are released", s.reserve(t, theirs, identifiers("c")), []Reservation{held})
		if err := s.ReleaseEndUsers(ctx, org, mine, identifiers("c", "a")); err != nil {
			t.Fatal(err)
		}
		equal(t, "released", s.reserve(t, theirs, identifiers("c")), []Reservation{granted})
		equal(t, "what is known is not released", len(s.find(t, org, "a")), 1)

		s.expire(t, theirs)
		equal(t, "of a dead run", s.reserve(t, mine, identifiers("c")), []Reservation{doubt})

		if err := s.ForgetEndUser(ctx, org, "u1"); err != nil {
			t.Fatal(err)
		}
		equal(t, "forgotten", s.reserve(t, mine, identifiers("a", "b")), []Reservation{granted})
	})
}

func TestEndUsersOfTwoOrganisations(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		run, other := s.start(t), s.start(t)
		for organisation, user := range map[string]string{org: "u1", "o-2": "u2"} {
			if err := s.SaveEndUsers(ctx, organisation, []EndUser{{ID: user, Identifiers: identifiers("a")}}); err != nil {
				t.Fatal(err)
			}
			equal(t, organisation, s.find(t, organisation, "a"), map[Identifier]string{{Email, "a"}: user})
		}
		if err := s.SaveEndUsers(ctx, "o-2", []EndUser{{ID: "u2", Identifiers: identifiers("a")}}); err != nil {
			t.Fatal(err)
		}
		equal(t, "of another organisation", s.find(t, org, "a"), nil)
		if err := s.ForgetEndUser(ctx, org, "u2"); err != nil {
			t.Fatal(err)
		}
		equal(t, "not forgotten by another organisation", len(s.find(t, "o-2", "a")), 1)
		equal(t, "reserved all the same", s.reserve(t, run, identifiers("a")), []Reservation{{Granted: true}})
		equal(t, "held in its organisation", s.reserve(t, other, identifiers("a")), []Reservation{{Held: true}})
		equal(t, "overwritten", s.find(t, "o-2", "a"), nil)
	})
}

func TestSameIdentifierSavedTwice(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		users := []EndUser{{ID: "u1", Identifiers: identifiers("a", "a")}, {ID: "u2", Identifiers: identifiers("a")}}
		if err := s.SaveEndUsers(t.Context(), org, users); err != nil {
			t.Fatal(err)
		}
		equal(t, "the last one counts", s.find(t, org, "a"), map[Identifier]string{{Email, "a"}: "u2"})
	})
}

// TestReservationsRace has runs that want overlapping persons at the same time: none may be granted to two.
func TestReservationsRace(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		const runs, rounds, people = 4, 25, 6
		stores := []Store{s}
		if !s.sqlite() {
			stores = append(stores, open(t, s.url))
		}
		var owners [people]atomic.Int64 // which run creates the owner of an identifier
		var granted, held atomic.Int64
		g, ctx := errgroup.WithContext(t.Context())
		for i := range runs {
			run, store := s.start(t), stores[i%len(stores)]
			random := rand.New(rand.NewPCG(1, uint64(i)))
			g.Go(func() error {
				for range rounds {
					if err := reserveOnce(ctx, store, run, random, owners[:], &granted, &held); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if granted.Load() == 0 {
			t.Error("nothing was granted")
		}
		t.Logf("%d granted, %d held", granted.Load(), held.Load())
	})
}

// reserveOnce wants two persons without a common identifier, and releases what it got.
func reserveOnce(ctx context.Context, s Store, run int64, random *rand.Rand, owners []atomic.Int64, granted, held *atomic.Int64) error {
	order := random.Perm(len(owners))
	wanted := [][]int{order[:2], order[2:4]}
	var persons [][]Identifier
	for _, person := range wanted {
		persons = append(persons, identifiers(fmt.Sprint(person[0]), fmt.Sprint(person[1])))
	}
	answers, err := s.ReserveEndUsers(ctx, org, run, persons)
	for Retryable(err) {
		answers, err = s.ReserveEndUsers(ctx, org, run, persons)
	}
	if err != nil {
		return err
	}
	for i, a := range answers {
		if !a.Granted {
			held.Add(1)
			continue
		}
		granted.Add(1)
		for _, n := range wanted[i] {
			if !owners[n].CompareAndSwap(0, run) {
				return fmt.Errorf("run %d was granted %d, which run %d has", run, n, owners[n].Load())
			}
		}
	}
	for i, a := range answers {
		if a.Granted {
			for _, n := range wanted[i] {
				owners[n].Store(0)
			}
			if err := s.ReleaseEndUsers(ctx, org, run, persons[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
