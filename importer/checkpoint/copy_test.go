package checkpoint

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dixa-import/importer/checkpoint/pgtest"
)

var copyTranscripts = flag.Int("copy.transcripts", 200, "the transcripts of the checkpoint that the tests copy")

// populate fills every table of a checkpoint with SQL, so that no column is left at its default.
func populate(t testing.TB, s *fixture, transcripts int) {
	t.Helper()
	ctx := t.Context()
	runs := []int64{}
	for _, source := range []string{bot, "other", "æøå"} {
		if err := s.Bind(ctx, source, Binding{"https://dev.dixa.io", "org"}, false); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ClaimSourceMark(ctx, source, "11111111-2222-4333-8444-"+fmt.Sprintf("%012d", len(source))); err != nil {
			t.Fatal(err)
		}
		if _, err := s.AdvanceWatermark(ctx, source, t0, time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := s.SetVerifyMark(ctx, source, VerifyMark{After: "t-00000001", Checked: 1}); err != nil {
			t.Fatal(err)
		}
		run, err := s.StartRun(ctx, source, "run")
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, run)
		if err := s.FinishRun(ctx, run, "ok", Beat{Counts: Counts{Read: 7}, Steps: []StepTime{{"import", 3, 5 * time.Second, 1234567 * time.Microsecond}}}); err != nil {
			t.Fatal(err)
		}
	}
	const at = "2026-11-19T08:00:00.123Z"
	values := func(n int, row func(i int) string) string {
		rows := make([]string, n)
		for i := range rows {
			rows[i] = row(i)
		}
		return strings.Join(rows, ",")
	}
	const chunk = 500
	for first := 0; first < transcripts; first += chunk {
		n := min(chunk, transcripts-first)
		source := func(i int) string { return []string{bot, "other", "æøå"}[i%3] }
		s.sql(t, "insert into dixa_import.transcripts (source, transcript_id, status, conversation_id, end_user_id, attempts, error_code, error, content_hash, closed_at, run_id, "+
			"imported_at, created_at, updated_at, send_before, claim, file, reason, queue_id, handover_state, agent_closed_at, closed_by, follow_up_of) values "+values(n, func(i int) string {
			i += first
			if i%50 == 0 {
				return fmt.Sprintf("('%s', 't-%08d', 'failed', null, null, 1, 'validation', 'it isn''t valid: \"x\" \u2603 '||'%%', 'h%d', null, %d, null, '%s', '%s', null, 2, 'a/b.jsonl', 'attachment', null, null, null, null, null)",
					source(i), i, i, runs[i%3], at, at)
			}
			return fmt.Sprintf("('%s', 't-%08d', 'partial', %d, 'u-%d', 1, null, null, 'h%d', '%s', %d, '%s', '%s', '%s', '%s', 3, null, null, 'q', 'closed', '%s', 'agent', 't-0')",
				source(i), i, 5000000000+i, i/3, i, at, runs[i%3], at, at, at, at, at)
		}))
		s.sql(t, "insert into dixa_import.partial_errors (source, transcript_id, ordinal, kind, message, message_external_id, attribute) values "+values(n, func(i int) string {
			return fmt.Sprintf("('%s', 't-%08d', 1, 'attribute', 'no such value', 'm-%d', 'order')", source(i+first), i+first, i)
		}))
		s.sql(t, "insert into dixa_import.steps (source, transcript_id, step, state, detail, send_before, updated_at) values "+values(n, func(i int) string {
			return fmt.Sprintf("('%s', 't-%08d', 'tags', 'done', 'd', '%s', '%s')", source(i+first), i+first, at, at)
		}))
		s.sql(t, "insert into dixa_import.withdrawals (organisation, action, target, conversation_id, source, transcript_id, run_id, state, request_id, detail, attempts, claimed_by, "+
			"send_before, asked_at, updated_at) values "+values(n, func(i int) string {
			return fmt.Sprintf("('org', 'anonymize', '%d', %d, '%s', 't-%08d', %d, 'asked', 'r-%d', 'd', 2, 'p', '%s', '%s', '%s')", 5000000000+i+first, 5000000000+i+first, source(i+first),
				i+first, runs[i%3], i, at, at, at)
		}))
		s.sql(t, "insert into dixa_import.end_users (kind, value, end_user_id, resolved_at, organisation, reserved_by, reserved_at, shared) values "+values(n, func(i int) string {
			return fmt.Sprintf("('email', 'Ann+%d@example.org', 'u-%d', '%s', 'org', %d, '%s', %s)", i+first, i+first, at, runs[0], at, map[bool]string{true: "true", false: "false"}[i%2 == 0])
		}))
		s.sql(t, "insert into dixa_import.events (event_id, base_url, organisation, source, transcript_id, conversation_id, csid, type, event_fqn, at, received_at, author_id, author_type, "+
			"author_name, text, message_id, effect, agent_id, state, attempts, first_attempt_at, next_attempt_at, forwarded_at, claim, claimed_by, last_status, last_error) values "+values(n, func(i int) string {
			state, next := "waiting", "'"+at+"'"
			if i%2 == 0 {
				state, next = "forwarded", "null"
			}
			return fmt.Sprintf("('e-%d', 'https://dev.dixa.io', 'org', '%s', 't-%08d', %d, 9, 'message_added', 'MessageAdded', '%s', '%s', 'a', 'agent', 'Bo', 'Hello\nthere', 'm', 'closed', 'ag', '%s', 2, '%s', %s, '%s', 1, 'p', 200, 'x')",
				i+first, source(i+first), i+first, 5000000000+i+first, at, at, state, at, next, at)
		}))
	}
	s.sql(t, "update dixa_import.transcripts set imported_by = run_id where conversation_id is not null")
	s.sql(t, "update dixa_import.transcripts set came_from = 'in/'||transcript_id||'.jsonl', sent_messages = transcript_id, reopened_at = created_at where status = 'partial'")
	s.sql(t, "insert into dixa_import.organisations (base_url, organisation, external_ids, list_lag_ms, look_up_lag_ms, updated_at) values ('https://dev.dixa.io', 'org', true, 1500, 20, '"+at+"')")
}

// target returns an empty database of a kind.
func target(t testing.TB, kind string) *Store { return open(t, backends[kind](t)) }

// dump returns the rows of all tables as text, with times as SQLite has them.
func dump(t testing.TB, s *Store, shapes []shape) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	c := &copying{from: s, to: s, coarse: true}
	for _, table := range shapes {
		for row, err := range c.rows(t.Context(), s, table) {
			if err != nil {
				t.Fatal(err)
			}
			row = slices.Clone(row)
			for i, value := range row {
				if at, ok := value.(time.Time); ok {
					row[i] = at.UTC().Format(sqliteTimeLayout)
				}
			}
			out[table.name] = append(out[table.name], fmt.Sprintf("%#v", row))
		}
	}
	return out
}

func TestCopyBothWays(t *testing.T) {
	t.Parallel()
	for _, path := range [][]string{{"sqlite", "postgres", "sqlite"}, {"postgres", "sqlite", "postgres"}, {"sqlite", "sqlite"}, {"postgres", "postgres"}} {
		t.Run(strings.Join(path, " to "), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			first := setup(t, backends[path[0]](t))
			populate(t, first, *copyTranscripts)
			mark, err := first.SourceMark(ctx, bot)
			if err != nil {
				t.Fatal(err)
			}
			shapes := merged(t, first.Store)
			want := dump(t, first.Store, shapes)
			for _, table := range shapes {
				if len(want[table.name]) == 0 {
					t.Errorf("the test has no rows in the table %s: add some to populate", table.name)
				}
			}
			from := first.Store
			for _, kind := range path[1:] {
				to := target(t, kind)
				began := time.Now()
				result, err := Copy(ctx, from, to, CopyOptions{FromName: "old", ToName: "new"})
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("to %s: %d transcripts in %v", kind, *copyTranscripts, time.Since(began).Round(time.Millisecond))
				for _, table := range result.Tables {
					if int(table.Rows) != len(want[table.Name]) {
						t.Errorf("%d rows of %s were copied, not %d", table.Rows, table.Name, len(want[table.Name]))
					}
				}
				wantMoved(t, from)
				from = to
			}
			got := dump(t, from, shapes)
			for name, rows := range want {
				if !slices.Equal(rows, got[name]) {
					t.Errorf("the table %s differs: %d rows, %d rows", name, len(rows), len(got[name]))
				}
			}
			if m, err := from.SourceMark(ctx, bot); err != nil || m != mark {
				t.Errorf("the mark is %+v, %v; it was %+v", m, err, mark)
			}
			if run, err := from.StartRun(ctx, bot, "run"); err != nil || run != 4 {
				t.Errorf("the next run is %d, %v", run, err)
			}
		})
	}
}

// merged returns the tables of a store with the kinds that Postgres has.
func merged(t testing.TB, s *Store) []shape {
	t.Helper()
	shapes, err := s.shapes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := setup(t, pgtest.New(t))
	other, err := p.shapes(t.Context())
	if err == nil {
		err = sameShapes(shapes, other)
	}
	if err != nil {
		t.Fatal(err)
	}
	return shapes
}

// wantMoved fails unless a store refuses every kind of write.
func wantMoved(t testing.TB, s *Store) {
	t.Helper()
	ctx := t.Context()
	var moved *MovedError
	if err := s.CheckMoved(ctx); !errors.As(err, &moved) {
		t.Errorf("it was not moved: %v", err)
	}
	_, start := s.StartRun(ctx, bot, "run")
	_, claim := s.Claim(ctx, bot, 1, []ClaimRequest{{ID: "x", Seen: -1}})
	for doing, err := range map[string]error{"start": start, "claim": claim,
		"mark": s.SetVerifyMark(ctx, bot, VerifyMark{After: "x"}),
	} {
		if !errors.As(err, &moved) || Retryable(err) || strings.Contains(err.Error(), "DX001") {
			t.Errorf("%s: %v", doing, err)
		}
	}
}

func TestEveryTableIsCopied(t *testing.T) {
	t.Parallel()
	for name, newURL := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, newURL(t))
			shapes := merged(t, s.Store)
			query := "select table_name from information_schema.tables where table_schema = 'dixa_import'"
			if s.sqlite() {
				query = "select name from sqlite_master where type = 'table'"
			}
			rows, err := s.db.QueryContext(t.Context(), query)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = rows.Close() }()
			for rows.Next() {
				var table string
				if err := rows.Scan(&table); err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(append(names(shapes), "goose_db_version", "rate_budgets", "totals", "sqlite_sequence"), table) {
					t.Errorf("the table %s is not copied", table)
				}
			}
			if rows.Err() != nil {
				t.Fatal(rows.Err())
			}
		})
	}
}

// TestACopyThatWasInterrupted interrupts a copy after each of its batches, and goes on.
func TestACopyThatWasInterrupted(t *testing.T) {
	t.Parallel()
	for _, path := range [][2]string{{"sqlite", "postgres"}, {"postgres", "sqlite"}} {
		t.Run(path[0]+" to "+path[1], func(t *testing.T) {
			t.Parallel()
			first := setup(t, backends[path[0]](t))
			populate(t, first, 1000)
			want := dump(t, first.Store, merged(t, first.Store))
			toURL := backends[path[1]](t)
			attempts := 0
			for after := 1; ; after++ {
				to := open(t, toURL)
				from := open(t, first.url)
				ctx, cancel := context.WithCancel(t.Context())
				n := 0
				_, err := Copy(ctx, from, to, CopyOptions{FromName: "old", ToName: "new", Progress: func(string, string, int64) {
					if n++; n == 1+after%3 {
						cancel()
					}
				}})
				cancel()
				if attempts++; err == nil {
					break
				}
				if !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				wantMoved(t, from)
				wantMoved(t, to)
				if err := errors.Join(to.Close(), from.Close()); err != nil {
					t.Fatal(err)
				}
			}
			if attempts < 4 {
				t.Errorf("it was interrupted only %d times", attempts-1)
			}
			to := open(t, toURL)
			got := dump(t, to, merged(t, to))
			for name, rows := range want {
				if !slices.Equal(rows, got[name]) {
					t.Errorf("the table %s differs: %d rows, %d rows", name, len(rows), len(got[name]))
				}
			}
		})
	}
}

func TestACopyIsRefused(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		populate(t, s, 100)
		other := func() *Store { return open(t, "sqlite:"+filepath.Join(t.TempDir(), "other.db")) }
		for _, command := range []string{"run", LiveCommand} {
			run, err := s.StartRun(ctx, bot, command)
			if err != nil {
				t.Fatal(err)
			}
			to, reader := other(), open(t, s.url)
			_, err = Copy(ctx, reader, to, CopyOptions{})
			var inUse *InUseError
			var busy *BusyError
			if !errors.As(err, &inUse) && !errors.As(err, &busy) || inUse != nil && inUse.Run != run {
				t.Errorf("with a %s that is alive: %v", command, err)
			}
			if err := s.CheckMoved(ctx); err != nil {
				t.Errorf("the refused copy has fenced the checkpoint: %v", err)
			}
			if err := s.FinishRun(ctx, run, "ok", Beat{}); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(reader.Close(), to.Close()); err != nil {
				t.Fatal(err)
			}
		}

		full := setup(t, "sqlite:"+filepath.Join(t.TempDir(), "full.db"))
		populate(t, full, 1)
		var notEmpty *NotEmptyError
		if _, err := Copy(ctx, s.Store, full.Store, CopyOptions{}); !errors.As(err, &notEmpty) {
			t.Errorf("to one that is not empty: %v", err)
		}
		if _, err := Copy(ctx, s.Store, open(t, s.url), CopyOptions{}); !errors.Is(err, errSameDatabase) && !errors.As(err, &notEmpty) {
			t.Errorf("to itself: %v", err)
		}
		if run := s.start(t); run == 0 {
			t.Error("the refused copies have fenced the checkpoint")
		} else if err := s.FinishRun(ctx, run, "ok", Beat{}); err != nil {
			t.Fatal(err)
		}
	})
}

// TestACopyThatDiffers: what was changed in the copy, or is missing or too much, is found before anything is moved.
func TestACopyThatDiffers(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		populate(t, s, 100)
		for _, change := range []string{
			"update end_users set end_user_id = 'someone else' where value = 'Ann+7@example.org'",
			"delete from steps where transcript_id = 't-00000050'",
			"insert into partial_errors (source, transcript_id, ordinal, kind, message) values ('zz', 'zz', 1, 'other', 'surplus')",
			"update transcripts set closed_at = '2026-11-19T08:00:00.124Z' where transcript_id = 't-00000002'",
			"update sqlite_sequence set seq = 99 where name = 'runs'",
		} {
			to := setup(t, "sqlite:"+filepath.Join(t.TempDir(), "to.db"))
			c := &copying{from: s.Store, to: to.Store, o: CopyOptions{Progress: func(string, string, int64) {}}}
			for _, step := range []func(context.Context) error{c.prepare, c.begin, c.fill} {
				if err := step(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if err := to.write(ctx, "lift", to.lift(c.names)...); err != nil {
				t.Fatal(err)
			}
			to.sql(t, change)
			if err := c.compare(ctx); err == nil || strings.Contains(err.Error(), "Ann") {
				t.Errorf("%s: %v", change, err)
			}
			if r, err := s.Copying(ctx); err != nil || r.State != CopyFrom {
				t.Errorf("the checkpoint is %+v, %v", r, err)
			}
			if _, err := s.Reclaim(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if runs, err := s.Runs(ctx, "", 10); err != nil || len(runs) != 3 {
			t.Errorf("giving up a copy has left runs: %+v, %v", runs, err)
		}
	})
}

// TestCopyBack: a checkpoint that was moved takes the rows of its copy back, and the copy is moved then.
func TestCopyBack(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		populate(t, s, 100)
		away := open(t, "sqlite:"+filepath.Join(t.TempDir(), "away.db"))
		if _, err := Copy(ctx, s.Store, away, CopyOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := Copy(ctx, s.Store, open(t, "sqlite:"+filepath.Join(t.TempDir(), "third.db")), CopyOptions{}); err == nil {
			t.Error("a checkpoint that was moved was copied again")
		}
		run, err := away.StartRun(ctx, "new", "run")
		if err != nil {
			t.Fatal(err)
		}
		if err := away.FinishRun(ctx, run, "ok", Beat{}); err != nil {
			t.Fatal(err)
		}
		if _, err := Copy(ctx, away, s.Store, CopyOptions{}); err != nil {
			t.Fatal(err)
		}
		wantMoved(t, away)
		if r, found, err := s.Run(ctx, run); err != nil || !found || r.Source != "new" {
			t.Errorf("the run of the copy is %+v, %v, %v", r, found, err)
		}
		if next, err := s.StartRun(ctx, bot, "run"); err != nil || next != run+1 {
			t.Errorf("the next run is %d, %v", next, err)
		}
	})
}

func TestReclaim(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		populate(t, s, 100)
		if _, err := s.Reclaim(ctx); err == nil {
			t.Error("a checkpoint that was never moved was reclaimed")
		}
		before, err := s.SourceMark(ctx, bot)
		if err != nil {
			t.Fatal(err)
		}
		away := open(t, "sqlite:"+filepath.Join(t.TempDir(), "away.db"))
		if _, err := Copy(ctx, s.Store, away, CopyOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Reclaim(ctx); err != nil {
			t.Fatal(err)
		}
		after, err := s.SourceMark(ctx, bot)
		if err != nil || after.ID == before.ID || len(after.ID) != 36 || after.EndUserID != "" {
			t.Errorf("the mark was %+v and is %+v, %v", before, after, err)
		}
		runs, err := s.Runs(ctx, bot, 10)
		if err != nil || runs[0].Outcome != OutcomeLost || runs[0].Command != CommandReclaim {
			t.Errorf("the runs are %+v, %v", runs, err)
		}
		if err := s.CheckMoved(ctx); err != nil {
			t.Error(err)
		}
		if _, err := Copy(ctx, away, s.Store, CopyOptions{}); err == nil {
			t.Error("the copy replaced a checkpoint that was reclaimed")
		}
	})
}

// TestTimesAreCoarsened: SQLite keeps milliseconds. Rows whose keys differ in less stay apart.
func TestTimesAreCoarsened(t *testing.T) {
	t.Parallel()
	p := setup(t, pgtest.New(t))
	ctx := t.Context()
	for i := range 5 {
		p.sql(t, "insert into dixa_import.run_samples (run_id, at, requests) values (1, '2026-11-19T08:00:00.123456Z'::timestamptz + $1::int * interval '100 microseconds', $1::int)", i)
	}
	p.sql(t, "insert into dixa_import.sources (source, base_url, organisation, watermark) values ('far', 'b', 'o', '33658-01-01T00:00:00Z')")
	to := open(t, "sqlite:"+filepath.Join(t.TempDir(), "to.db"))
	if _, err := Copy(ctx, p.Store, to, CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	samples, err := to.Samples(ctx, 1)
	if err != nil || len(samples) != 5 {
		t.Fatalf("the samples are %+v, %v", samples, err)
	}
	for i, s := range samples {
		if want := time.Date(2026, 11, 19, 8, 0, 0, (123+i)*int(time.Millisecond), time.UTC); !s.At.Equal(want) || s.Requests != int64(i) {
			t.Errorf("sample %d is at %v", i, s)
		}
	}
	if _, ahead, err := to.Watermark(ctx, "far"); err != nil || !ahead {
		t.Errorf("the watermark is ahead: %v, %v", ahead, err)
	}
}
