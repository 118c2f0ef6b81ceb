package checkpoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dixa-import/importer/checkpoint/pgtest"
)

// counted returns what Totals and FileTotals should say, counted from the rows.
func (s *fixture) counted(t *testing.T) (totals []Total, files []FileTotal) {
	t.Helper()
	read := func(query string, scan func(row scanner) error) {
		t.Helper()
		st := both(query).with()
		st.row = scan
		if err := s.read(context.Background(), "count", st); err != nil {
			t.Fatal(err)
		}
	}
	read(`select source, status, coalesce(error_code, ''), count(*) from dixa_import.transcripts group by 1, 2, 3`, func(row scanner) error {
		var x Total
		err := row.Scan(&x.Source, &x.Status, &x.ErrorCode, &x.Count)
		totals = append(totals, x)
		return err
	})
	read(`select source, coalesce(came_from, ''), status, count(*) from dixa_import.transcripts group by 1, 2, 3`, func(row scanner) error {
		var x FileTotal
		err := row.Scan(&x.Source, &x.CameFrom, &x.Status, &x.Count)
		files = append(files, x)
		return err
	})
	return totals, files
}

// wantTotals checks that the counts that are kept are those of the rows.
func (s *fixture) wantTotals(t *testing.T) {
	t.Helper()
	wantTotals, wantFiles := s.counted(t)
	for _, source := range []string{"", bot, "nobody"} {
		totals, err := s.Totals(t.Context(), source, 0)
		files, filesErr := s.FileTotals(t.Context(), source, 0)
		if err := errors.Join(err, filesErr); err != nil {
			t.Fatal(err)
		}
		other := func(name string) bool { return source != "" && name != source }
		equalSets(t, "totals of "+source, totals, slices.DeleteFunc(slices.Clone(wantTotals), func(x Total) bool { return other(x.Source) }))
		equalSets(t, "files of "+source, files, slices.DeleteFunc(slices.Clone(wantFiles), func(x FileTotal) bool { return other(x.Source) }))
	}
}

func equalSets[T any](t *testing.T, what string, got, want []T) {
	t.Helper()
	order := func(a, b T) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// TestTotalsAreKept changes rows in every way that SQL has, some of them in transactions that are rolled back.
func TestTotalsAreKept(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		random := rand.New(rand.NewPCG(7, 7))
		at := "'2026-11-19T08:00:00.000Z'"
		statuses := []string{"pending", "sending", "failed", "in_doubt", "rejected", "skipped", "complete", "partial", "imported"}
		set := func(id int) string {
			status := statuses[random.IntN(len(statuses))]
			conversation := "null"
			if Status(status).HasConversation() {
				conversation = fmt.Sprint(1000 + id)
			}
			code := []string{"null", "''", "'refused'", "'open'"}[random.IntN(4)]
			from := []string{"null", "''", "'a.jsonl'", "'b.jsonl'"}[random.IntN(4)]
			return fmt.Sprintf("status = '%s', conversation_id = %s, error_code = %s, came_from = %s", status, conversation, code, from)
		}
		for i := range 300 {
			id := random.IntN(60)
			where := fmt.Sprintf("where transcript_id = 't-%d'", id)
			var statement string
			switch random.IntN(6) {
			case 0:
				statement = "delete from dixa_import.transcripts " + where
			case 1:
				statement = fmt.Sprintf("update dixa_import.transcripts set error_code = 'moved', came_from = 'c.jsonl' where transcript_id > 't-%d'", id)
			case 2:
				statement = "update dixa_import.transcripts set " + set(id) + " " + where
			case 3:
				statement = "update dixa_import.transcripts set attempts = attempts + 1"
			default:
				statement = fmt.Sprintf("insert into dixa_import.transcripts (source, transcript_id, status, created_at, updated_at) values ('%s', 't-%d', 'rejected', %s, %s) "+
					"on conflict (source, transcript_id) do update set "+set(id), []string{bot, "other"}[random.IntN(2)], id, at, at)
			}
			if s.sqlite() {
				statement = strings.ReplaceAll(statement, "dixa_import.", "")
			}
			tx, err := s.db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.ExecContext(t.Context(), statement); err != nil {
				_ = tx.Rollback() // such as a conversation that another source's row has
				continue
			}
			if random.IntN(4) == 0 {
				_ = tx.Rollback()
			} else if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			if i%20 == 0 {
				s.wantTotals(t)
			}
			if i%50 == 0 {
				s.start(t)
				s.wantTotals(t)
			}
		}
		s.sql(t, "update dixa_import.transcripts set source = 'renamed' where source = '"+bot+"'")
		s.wantTotals(t)
		s.sql(t, "delete from dixa_import.transcripts")
		s.wantTotals(t)
	})
}

// TestTotalsOfManyWriters has several connections change the status of the same rows, while runs start.
func TestTotalsOfManyWriters(t *testing.T) {
	t.Parallel()
	s := setup(t, pgtest.New(t))
	const writers, rows = 6, 40
	at := time.Now().UTC().Format(time.RFC3339)
	for i := range rows {
		s.sql(t, fmt.Sprintf("insert into dixa_import.transcripts (source, transcript_id, status, created_at, updated_at) values ('bot', 't-%02d', 'failed', '%s', '%s')", i, at, at))
	}
	var wait sync.WaitGroup
	for w := range writers {
		db := openDB(t, s.url)
		wait.Go(func() {
			for i := range 50 {
				statement := fmt.Sprintf("update dixa_import.transcripts set status = '%s', error_code = 'e%d' where transcript_id = 't-%02d'",
					[]string{"failed", "skipped", "rejected", "pending"}[(i+w)%4], i%5, (i*7+w)%rows)
				if _, err := db.ExecContext(context.Background(), statement); err != nil {
					t.Error(err)
				}
				if i%10 == w {
					if _, err := s.StartRun(context.Background(), bot, "run"); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wait.Wait()
	s.wantTotals(t)
	s.start(t)
	s.wantTotals(t)
	s.sql(t, "truncate dixa_import.transcripts cascade")
	s.wantTotals(t)
}
