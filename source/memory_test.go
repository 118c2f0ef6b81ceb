package source

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"dixa-import/importer/checkpoint/pgtest"
)

// largeQuery reads the rows of the tables of largeRows.
const largeQuery = `select id, closed_at, '[{"role":"user","text":"' || body || id || '"}]' as messages from r`

// largeRows is a table of n rows, of which every third shares closed_at with its neighbours.
func largeRows(n, words int) string {
	return fmt.Sprintf(`create table r as select i as id, timestamptz '2025-01-01Z' + (i / 3) * interval '1 min' as closed_at, repeat('word ', %d) as body from generate_series(1, %d) i;
		create index on r (closed_at, id); create unique index on r (id); analyze r`, words, n)
}

// peakOf calls yield for each record and returns the most memory that was in use meanwhile, in MiB.
func peakOf(tb testing.TB, records func(func(*Record, error) bool), visit func(*Record)) float64 {
	tb.Helper()
	var most uint64
	for r, err := range records {
		if err != nil {
			tb.Fatal(err)
		}
		visit(r)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
	}
	return float64(most) / (1 << 20)
}

// TestPostgresMemory reads rows that would not fit into memory together. It runs alone, because memory is the process's.
func TestPostgresMemory(t *testing.T) { //nolint:paralleltest // see above
	skipIfShort(t)
	const rows, most = 60, 36 // rows of 1 MB; in MiB
	s := openPostgres(t, PostgresConfig{URL: database(t, largeRows(rows, 200_000)), Query: largeQuery})
	var ids []string
	peak := peakOf(t, s.Read(t.Context(), time.Time{}), func(r *Record) {
		if _, err := r.Transcript(); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
	})
	if peak > most {
		t.Errorf("reading took %.0f MiB, want at most %d", peak, most)
	}
	want := make([]string, rows)
	for i := range want {
		want[i] = strconv.Itoa(i + 1)
	}
	if !slices.Equal(ids, want) {
		t.Errorf("read %v", ids)
	}
	fetched := map[string]bool{}
	peak = peakOf(t, s.Fetch(t.Context(), want), func(r *Record) { fetched[r.ID] = true })
	if peak > most || len(fetched) != rows {
		t.Errorf("fetching %d took %.0f MiB, want at most %d", len(fetched), peak, most)
	}
}

// TestPostgresPagesByBytes reads rows of very different sizes, with keys that many rows share, in pages of few bytes: none is missed, none
// comes twice.
func TestPostgresPagesByBytes(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	url := database(t, `create table r as select nullif(i % 7, 0)::int as id, timestamptz '2025-01-01Z' + (i % 7 / 3) * interval '1s' as closed_at,
		jsonb_build_array(jsonb_build_object('role', 'user', 'text', i || repeat('x', (i * 7919) % 5000))) as messages from generate_series(1, 35) i`)
	for _, bytes := range []int{1, 100, 3000, 20_000, 1 << 20} {
		for _, size := range []int{1, 7, 500} {
			s := openPostgres(t, PostgresConfig{URL: url, Query: "select * from r", PageSize: size, PageBytes: bytes})
			hashes := map[Hash]bool{}
			for r, err := range s.Read(t.Context(), time.Time{}) {
				if err != nil {
					t.Fatal(err)
				}
				if hashes[r.Hash] {
					t.Fatalf("pages of %d bytes and %d rows: a row twice", bytes, size)
				}
				hashes[r.Hash] = true
			}
			if len(hashes) != 35 {
				t.Errorf("pages of %d bytes and %d rows: %d rows", bytes, size, len(hashes))
			}
			got := all(t, s.Fetch(t.Context(), []string{"1", "2", "3", "4", "5", "6", "7"}))
			slices.Sort(got)
			if !slices.Equal(got, []string{"1", "2", "3", "4", "5", "6"}) {
				t.Errorf("pages of %d bytes: fetched %v", bytes, got)
			}
			s.Close()
		}
	}
}

// BenchmarkPostgres reads 600 rows of 2 MB, and 20,000 small ones.
func BenchmarkPostgres(b *testing.B) {
	for name, tables := range map[string]string{"large": largeRows(600, 400_000), "small": largeRows(20_000, 100)} {
		b.Run(name, func(b *testing.B) {
			url := pgtest.New(b)
			conn, err := pgconn.Connect(b.Context(), url)
			if err == nil {
				_, err = conn.Exec(b.Context(), tables).ReadAll()
			}
			if err == nil {
				err = conn.Close(b.Context())
			}
			if err != nil {
				b.Fatal(err)
			}
			s, err := OpenPostgres(b.Context(), PostgresConfig{URL: url, Query: largeQuery})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			for b.Loop() {
				peak := peakOf(b, s.Read(b.Context(), time.Time{}), func(*Record) {})
				b.ReportMetric(peak, "MiB-peak")
			}
		})
	}
}
