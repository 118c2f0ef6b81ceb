package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// putMixed adds transcripts with all statuses and several codes, some with partial errors, and returns them sorted by id.
func putMixed(t *testing.T, s *fixture, run int64) (rows []Row, kinds map[string][]PartialErrorKind) {
	t.Helper()
	kinds = map[string][]PartialErrorKind{}
	for i, status := range Statuses {
		for j, code := range []string{"", "a", "b", "c d"} {
			id := fmt.Sprintf("%d-%s-%d", (i*4+j)*7%36, status, j) // not in the order of the statuses
			claim := s.claim(t, run, id, -1)
			for k, e := range paths[status] {
				c := change(id, claim, e)
				c.ErrorCode = code
				if e == Found {
					c.ConversationID = int64(100*i + j + 1)
				}
				if k == len(paths[status])-1 && j > 0 && status != Complete {
					kind := []PartialErrorKind{KindMessage, KindAttribute, KindOther}[j-1]
					c.PartialErrors = []PartialError{{Kind: kind, Message: "m"}, {Kind: kind, Message: "n"}}
					kinds[id] = append(kinds[id], kind)
				}
				if got := s.do(t, run, c); !got[0].Applied {
					t.Fatalf("%s of %s was not applied", e, id)
				}
			}
			rows = append(rows, s.row(t, id))
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.ID, b.ID) })
	return rows, kinds
}

func sampleOf[T any](random *rand.Rand, list []T) []T {
	picked := slices.Clone(list)
	random.Shuffle(len(picked), func(i, j int) { picked[i], picked[j] = picked[j], picked[i] })
	return picked[:random.IntN(min(len(list), 5)+1)]
}

// TestSelect compares the results of random filters with those of a simple loop.
func TestSelect(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run := s.start(t)
		all, kinds := putMixed(t, s, run)
		if _, err := s.Claim(t.Context(), "other", run, []ClaimRequest{{ID: all[0].ID, Seen: -1}}); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range all {
			ids = append(ids, r.ID)
		}
		random := rand.New(rand.NewPCG(1, 2))
		chosen := 0
		for range 150 {
			f := Filter{Statuses: sampleOf(random, Statuses), Codes: sampleOf(random, []string{"", "a", "b", "c d", "none"}),
				WithPartial: sampleOf(random, []PartialErrorKind{KindMessage, KindAttribute, KindAdopted})}
			if random.IntN(3) == 0 {
				f.IDs = append(sampleOf(random, ids), "unknown", ids[3], ids[3])
			}
			if random.IntN(2) == 0 {
				f.After = ids[random.IntN(len(ids))]
			}
			var want []Row
			for _, r := range all {
				fits := r.ID > f.After && (len(f.Statuses) == 0 || slices.Contains(f.Statuses, r.Status)) &&
					(len(f.Codes) == 0 || slices.Contains(f.Codes, r.ErrorCode)) && (len(f.IDs) == 0 || slices.Contains(f.IDs, r.ID))
				if r.Status == Partial && len(f.WithPartial) > 0 {
					fits = fits && slices.ContainsFunc(kinds[r.ID], func(k PartialErrorKind) bool { return slices.Contains(f.WithPartial, k) })
				}
				if fits {
					want = append(want, r)
				}
			}
			chosen += len(want)
			for _, limit := range []int{0, 1 + random.IntN(6)} {
				f.Limit = limit
				equal(t, fmt.Sprintf("%+v", f), pages(t, s, f), want)
			}
		}
		if chosen == 0 {
			t.Error("no filter matched anything")
		}
	})
}

// pages reads everything that a filter matches, one page at a time.
func pages(t *testing.T, s *fixture, f Filter) (all []Row) {
	t.Helper()
	for {
		page, err := s.Select(t.Context(), bot, 0, f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if f.Limit == 0 || len(page) == 0 {
			return all
		}
		if len(page) > f.Limit {
			t.Fatalf("a page has %d rows, the limit is %d", len(page), f.Limit)
		}
		f.After = page[len(page)-1].ID
	}
}

func TestSelectByManyIDs(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run := s.start(t)
		requests := requestsFor("t", 3*selectChunk)
		if _, err := s.Claim(t.Context(), bot, run, requests); err != nil {
			t.Fatal(err)
		}
		var want, ids []string
		for i, r := range requests {
			if i%2 == 0 {
				want = append(want, r.ID)
			}
			ids = append(ids, fmt.Sprint(r.ID, "?"))
		}
		ids = append(ids, want...)
		for _, limit := range []int{0, 100, selectChunk + 1} {
			var got []string
			for _, r := range pages(t, s, Filter{IDs: ids, Limit: limit}) {
				got = append(got, r.ID)
			}
			equal(t, fmt.Sprint("pages of ", limit), got, want)
		}
	})
}

// TestSelectSetsHeld selects as another run, and as the holder.
func TestSelectSetsHeld(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		first, second := s.start(t), s.start(t)
		put(t, s, first, "a", Pending, 0)
		held := func(run int64, f Filter) bool {
			t.Helper()
			rows, err := s.Select(t.Context(), bot, run, f)
			if err != nil || len(rows) != 1 {
				t.Fatal(rows, err)
			}
			return rows[0].Held
		}
		for _, f := range []Filter{{}, {IDs: []string{"a"}}, {Statuses: []Status{Pending}}} {
			if held(first, f) || !held(second, f) {
				t.Errorf("%+v: Held is wrong", f)
			}
		}
		s.expire(t, first)
		if held(second, Filter{}) {
			t.Error("held by a dead run")
		}
	})
}
