package checkpoint

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"dixa-import/migrations"
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

		equal(t, "new persons", s.reserve(t, mine, identifiers("a", "b"), identifiers("c")), []Reservation{granted, granted})
		equal(t, "reserved ones are not found", s.find(t, org, "a", "b", "c"), nil)
		// All identifiers of a person or none: z stays free, although y is granted.
		equal(t, "overlap", s.reserve(t, theirs, identifiers("z", "b"), identifiers("y")), []Reservation{held, granted})
		equal(t, "a refused identifier is free", s.reserve(t, mine, identifiers("z")), []Reservation{granted})
		equal(t, "one reserved by this run", s.reserve(t, mine, identifiers("c", "d")), []Reservation{doubt})
		equal(t, "all reserved by this run", s.reserve(t, mine, identifiers("c", "d")), []Reservation{{Granted: true, Doubt: true, Kept: true}})

		if err := s.SaveEndUsers(ctx, org, []EndUser{{ID: "u1", Identifiers: identifiers("a", "b")}}); err != nil {
			t.Fatal(err)
		}
		equal(t, "known", s.reserve(t, theirs, identifiers("new", "b")), []Reservation{{EndUserID: "u1"}})
		equal(t, "found", s.find(t, org, "a", "b", "new"), map[Identifier]string{{Email, "a"}: "u1", {Email, "b"}: "u1"})
		equal(t, "a known identifier takes precedence over a held one", s.reserve(t, theirs, identifiers("c", "a")), []Reservation{{EndUserID: "u1"}})
		equal(t, "other kind", s.reserve(t, theirs, []Identifier{{Phone, "a"}}), []Reservation{granted})

		if err := s.ReleaseEndUsers(ctx, org, theirs, identifiers("c", "a")); err != nil {
			t.Fatal(err)
		}
		equal(t, "another run's reservation is not released", s.reserve(t, theirs, identifiers("c")), []Reservation{held})
		if err := s.ReleaseEndUsers(ctx, org, mine, identifiers("c", "a")); err != nil {
			t.Fatal(err)
		}
		equal(t, "released", s.reserve(t, theirs, identifiers("c")), []Reservation{granted})
		equal(t, "a known identifier is not released", len(s.find(t, org, "a")), 1)

		s.expire(t, theirs)
		equal(t, "reserved by a dead run", s.reserve(t, mine, identifiers("c")), []Reservation{doubt})

		if err := s.ForgetEndUser(ctx, org, "u1"); err != nil {
			t.Fatal(err)
		}
		equal(t, "forgotten", s.reserve(t, mine, identifiers("a", "b")), []Reservation{granted})
	})
}

func TestIdentifierBelongsToOneOrganisation(t *testing.T) {
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
		equal(t, "reserved in another organisation", s.reserve(t, run, identifiers("a")), []Reservation{{Granted: true}})
		equal(t, "held in its organisation", s.reserve(t, other, identifiers("a")), []Reservation{{Held: true}})
		equal(t, "overwritten", s.find(t, "o-2", "a"), nil)
	})
}

func TestLastOwnerOfIdentifierCounts(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		users := []EndUser{{ID: "u1", Identifiers: identifiers("a", "a")}, {ID: "u2", Identifiers: identifiers("a")}}
		if err := s.SaveEndUsers(t.Context(), org, users); err != nil {
			t.Fatal(err)
		}
		equal(t, "the last one counts", s.find(t, org, "a"), map[Identifier]string{{Email, "a"}: "u2"})
	})
}

// TestReservationRaceHasOneWinner: several runs reserve overlapping persons at the same time. No identifier may be granted to two.
func TestReservationRaceHasOneWinner(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		const runs, rounds, people = 4, 25, 6
		stores := []*Store{s.Store}
		if !s.sqlite() {
			stores = append(stores, open(t, s.url))
		}
		var owners [people]atomic.Int64 // the run that has reserved each identifier
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

// reserveOnce reserves two persons without a common identifier, and releases what was granted.
func reserveOnce(ctx context.Context, s *Store, run int64, random *rand.Rand, owners []atomic.Int64, granted, held *atomic.Int64) error {
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

func TestJoinEndUser(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		phone, ann, bob, mail := Identifier{Phone, "+45"}, Identifier{ExternalID, "c-1"}, Identifier{ExternalID, "c-2"}, Identifier{Email, "a"}
		join := func(want bool, seen []Identifier, ids ...Identifier) {
			t.Helper()
			joined, err := s.JoinEndUser(ctx, org, EndUser{ID: "u1", Identifiers: ids}, seen)
			if err != nil || joined != want {
				t.Errorf("joined: %t, %v, want %t", joined, err, want)
			}
		}
		known := func(want ...Identifier) {
			t.Helper()
			ids, err := s.EndUserIdentifiers(ctx, org, "u1")
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "identifiers", ids, want)
		}
		known()
		join(true, nil, phone)
		known(phone)
		join(true, nil, ann, phone)
		known(ann, phone)
		join(true, nil, ann, mail, phone)
		known(mail, ann, phone)
		join(false, nil, bob, phone)
		join(false, nil, bob, Identifier{Phone, "+46"})
		known(mail, ann, phone)
		join(true, nil, mail, Identifier{Phone, "+46"}) // a different weaker identifier is no contradiction
		join(true, []Identifier{ann}, bob, phone)       // the caller has seen the contradiction
		known(mail, ann, bob, phone, Identifier{Phone, "+46"})
		if ids, err := s.EndUserIdentifiers(ctx, "o-2", "u1"); err != nil || ids != nil {
			t.Errorf("another organisation has %v, %v", ids, err)
		}
	})
}

// TestJoinRaceHasOneWinner: if several persons find one end-user by a shared identifier, only one of them becomes that end-user.
func TestJoinRaceHasOneWinner(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		stores := []*Store{s.Store}
		if !s.sqlite() {
			stores = append(stores, open(t, s.url))
		}
		for round := range 10 {
			var joined atomic.Int64
			g, ctx := errgroup.WithContext(t.Context())
			for i := range 6 {
				user := EndUser{ID: fmt.Sprint("u", round), Identifiers: []Identifier{{ExternalID, fmt.Sprintf("c-%d-%d", round, i)}, {Phone, fmt.Sprint("+45", i%2)}}}
				g.Go(func() error {
					ok, err := stores[i%len(stores)].JoinEndUser(ctx, org, user, nil)
					for Retryable(err) {
						ok, err = stores[i%len(stores)].JoinEndUser(ctx, org, user, nil)
					}
					if ok {
						joined.Add(1)
					}
					return err
				})
			}
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			if n := joined.Load(); n != 1 {
				t.Errorf("%d joined", n)
			}
		}
	})
}

// markShared returns the statement by which the migration marks existing rows.
func markShared(t testing.TB, sqlite bool) string {
	t.Helper()
	files := migrations.Postgres()
	if sqlite {
		files = migrations.SQLite()
	}
	names, err := fs.Glob(files, "*_shared_identifiers.sql")
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	text, err := fs.ReadFile(files, names[0])
	if err != nil {
		t.Fatal(err)
	}
	_, update, _ := strings.Cut(string(text), "update ")
	update, _, _ = strings.Cut(update, ";")
	return "update " + update
}

// TestSharedIdentifiersAreIgnored: identifiers of several people that earlier versions gave to one end-user are not used in look-ups, but
// are found when a person is erased.
func TestSharedIdentifiersAreIgnored(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		run := s.start(t)
		both := []Identifier{{ExternalID, "c-1"}, {ExternalID, "c-2"}}
		all := append([]Identifier{{Phone, "+45"}}, both...)
		if err := s.SaveEndUsers(ctx, org, []EndUser{{ID: "u1", Identifiers: all}, {ID: "u2", Identifiers: []Identifier{{ExternalID, "c-3"}}}}); err != nil {
			t.Fatal(err)
		}
		s.sql(t, markShared(t, s.sqlite()))
		found, err := s.FindEndUsers(ctx, org, all)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "found", found, map[Identifier]string{{Phone, "+45"}: "u1"})
		ids, err := s.EndUserIdentifiers(ctx, org, "u1")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "identifiers", ids, []Identifier{{Phone, "+45"}})
		users, _, err := s.FindPerson(ctx, both[:1])
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "person to erase", users, []string{"u1"})
		equal(t, "reserved", s.reserve(t, run, both[:1]), []Reservation{{Granted: true}})
		if err := s.SaveEndUsers(ctx, org, []EndUser{{ID: "u3", Identifiers: both}}); err != nil {
			t.Fatal(err)
		}
		found, err = s.FindEndUsers(ctx, org, both)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "owner after a new save", found, map[Identifier]string{both[0]: "u3", both[1]: "u3"})
	})
}
