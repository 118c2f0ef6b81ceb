package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// fill adds n transcripts of an earlier run, of which each one in every is of the status, all others complete.
func (s *fixture) fill(b testing.TB, n, every int, status Status) {
	b.Helper()
	const columns = `insert into dixa_import.transcripts (source, transcript_id, status, conversation_id, end_user_id, attempts, error_code,
		content_hash, closed_at, run_id, imported_at, claim, created_at, updated_at) select 'bot', 't-' || substr(cast(10000000 + i as text), 2),
		case i % $2 when 0 then $3 else 'complete' end, case when i % $2 > 0 then 5000000 + i end,
		'9f86d081-884c-7d65-9a2f-' || cast(100000000000 + i as text), 1, case i % $2 when 0 then 'refused' end,
		substr('9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08', 1, 57) || substr(cast(10000000 + i as text), 2),
		`
	if s.sqlite() {
		s.sql(b, "with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < $1) "+columns+
			"'2026-11-19T08:00:00.000Z', 1, '2026-11-19T08:00:00.000Z', 1, '2026-11-19T08:00:00.000Z', '2026-11-19T08:00:00.000Z' from n",
			n, every, string(status))
		return
	}
	s.sql(b, columns+"now(), 1, now(), 1, now(), now() from generate_series(0, $1::int - 1) as i", n, every, string(status))
	s.sql(b, "vacuum analyze dixa_import.transcripts")
}

// BenchmarkLookupSettled looks up 512 of a million transcripts at a time, as a run does that reads its source again.
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
