package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// eachBench runs a benchmark on both stores.
func eachBench(b *testing.B, f func(b *testing.B, s *fixture, run int64)) {
	for name, newURL := range backends {
		b.Run(name, func(b *testing.B) {
			s := setup(b, newURL(b))
			f(b, s, s.start(b))
		})
	}
}

func requestsFor(prefix string, n int) []ClaimRequest {
	requests := make([]ClaimRequest, n)
	for i := range requests {
		requests[i] = ClaimRequest{ID: fmt.Sprintf("%s-%06d", prefix, i), Seen: -1, ClosedAt: t0,
			ContentHash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}
	}
	return requests
}

func perSecond(b *testing.B, n int) {
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "transcripts/s")
}

// BenchmarkLookup looks up 1,000 of 100,000 transcripts.
func BenchmarkLookup(b *testing.B) {
	eachBench(b, func(b *testing.B, s *fixture, run int64) {
		const known, batch = 100_000, 1000
		requests := requestsFor("t", known)
		for i := 0; i < known; i += 10_000 {
			if _, err := s.Claim(b.Context(), bot, run, requests[i:i+10_000]); err != nil {
				b.Fatal(err)
			}
		}
		if !s.sqlite() {
			s.sql(b, "analyze dixa_import.transcripts")
		}
		ids := make([]string, known)
		for i, r := range requests {
			ids[i] = r.ID
		}
		at := 0
		for b.Loop() {
			rows, err := s.Lookup(b.Context(), bot, run, ids[at:at+batch])
			if err != nil || len(rows) != batch {
				b.Fatal(len(rows), err)
			}
			at = (at + batch) % known
		}
		perSecond(b, batch)
	})
}

// BenchmarkLookupSettled looks up 512 of a million transcripts at a time, like a run that reads its source again.
func BenchmarkLookupSettled(b *testing.B) {
	eachBench(b, func(b *testing.B, s *fixture, run int64) {
		const known, batch = 1_000_000, 512
		s.fill(b, known, 10, Failed)
		random := rand.New(rand.NewPCG(1, 2))
		for b.Loop() {
			at := random.IntN(known - batch)
			ids := make([]string, batch)
			for i := range ids {
				ids[i] = fmt.Sprintf("t-%07d", at+i)
			}
			rows, err := s.Lookup(b.Context(), bot, run, ids)
			if err != nil || len(rows) != batch {
				b.Fatal(len(rows), err)
			}
		}
		perSecond(b, batch)
	})
}

// BenchmarkClaim claims new transcripts, 64 at a time.
func BenchmarkClaim(b *testing.B) {
	eachBench(b, func(b *testing.B, s *fixture, run int64) {
		n := 0
		for b.Loop() {
			n++
			if _, err := s.Claim(b.Context(), bot, run, requestsFor(fmt.Sprint(n), 64)); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b, 64)
	})
}

// BenchmarkWrite writes one event of 64 transcripts at a time.
func BenchmarkWrite(b *testing.B) {
	eachBench(b, func(b *testing.B, s *fixture, run int64) {
		requests := requestsFor("t", 64)
		if _, err := s.Claim(b.Context(), bot, run, requests); err != nil {
			b.Fatal(err)
		}
		changes := make([]Change, len(requests))
		for i, r := range requests {
			changes[i] = change(r.ID, 1, Send)
		}
		event := Send
		for b.Loop() {
			for i := range changes {
				changes[i].Event = event
			}
			results, err := s.Write(b.Context(), bot, run, changes)
			if err != nil || !results[0].Applied {
				b.Fatal(results, err)
			}
			event = map[Event]Event{Send: Unsent, Unsent: Send}[event]
		}
		perSecond(b, 64)
	})
}
