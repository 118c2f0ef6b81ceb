package checkpoint

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	sqliteStartRun = `insert into runs (source, command, started_at, lease_until) values (?, ?, ?, ?) returning id`
	sqliteStart    = `insert into run_samples (run_id, at) values (?, ?)`
)

// sqliteEndLeases ends what dead processes left: whoever holds the lock is alone.
const sqliteEndLeases = `update runs set lease_until = ?1 where finished_at is null and lease_until > ?1`

func (s *sqliteStore) StartRun(ctx context.Context, source, command string) (run int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.acquire(); err != nil {
		return 0, err
	}
	defer func() {
		if err == nil {
			s.runs[run] = true
		}
		s.releaseIfIdle()
	}()
	err = s.writing(ctx, "start a run in", func(tx sqliteTx) error {
		now := sqliteTime(tx.now)
		if len(s.runs) == 0 {
			if _, err := tx.exec(sqliteEndLeases, now); err != nil {
				return err
			}
		}
		err := tx.query(func(rows *sql.Rows) error { return rows.Scan(&run) },
			sqliteStartRun, source, command, now, sqliteTime(tx.now.Add(Lease)))
		if err != nil {
			return err
		}
		_, err = tx.exec(sqliteStart, run, now)
		return err
	})
	return run, err
}

const (
	sqliteSetCounts = `read = ?3, imported = ?4, partial = ?5, failed = ?6, rejected = ?7, skipped = ?8, already_done = ?9,
		duplicate = ?10, in_doubt = ?11, pending = ?12, requests = ?13, throttled = ?14`
	sqliteRenewRun  = `update runs set lease_until = ?2, ` + sqliteSetCounts + ` where id = ?1 and finished_at is null`
	sqliteFinishRun = `update runs set lease_until = ?2, ` + sqliteSetCounts + `,
		finished_at = coalesce(finished_at, ?2), outcome = ?15 where id = ?1`
	sqliteSample = `insert into run_samples (run_id, at, ` + sampleCounts + `)
		select id, coalesce(finished_at, ?2), ` + sampleCounts + ` from runs where id = ?1
		on conflict (run_id, at) do update set imported = excluded.imported, partial = excluded.partial, failed = excluded.failed,
			rejected = excluded.rejected, requests = excluded.requests, throttled = excluded.throttled`
	sqliteStep = `insert into run_steps (run_id, step, count, total_ms, max_ms) values (?, ?, ?, ?, ?)
		on conflict (run_id, step) do update set count = excluded.count, total_ms = excluded.total_ms, max_ms = excluded.max_ms`
	sqliteGiveBack = `update transcripts indexed by transcripts_unfinished set claimed_by = null where claimed_by = ?1 and unfinished
		and source = (select source from runs where id = ?1)`
)

func (s *sqliteStore) RenewRun(ctx context.Context, run int64, b Beat) error {
	return s.writing(ctx, "renew the run in", func(tx sqliteTx) error {
		return sqliteBeat(tx, run, b, sqliteRenewRun, append([]any{run, sqliteTime(tx.now.Add(Lease))}, b.values()...)...)
	})
}

func (s *sqliteStore) FinishRun(ctx context.Context, run int64, outcome string, b Beat) error {
	err := s.writing(ctx, "finish the run in", func(tx sqliteTx) error {
		args := append([]any{run, sqliteTime(tx.now)}, b.values()...)
		if err := sqliteBeat(tx, run, b, sqliteFinishRun, append(args, outcome)...); err != nil {
			return err
		}
		_, err := tx.exec(sqliteGiveBack, run)
		return err
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, run)
	s.releaseIfIdle()
	return nil
}

// sqliteBeat updates a run by the query, and records the sample and the steps of the beat.
func sqliteBeat(tx sqliteTx, run int64, b Beat, query string, args ...any) error {
	if err := oneRun(run)(tx.exec(query, args...)); err != nil {
		return err
	}
	if _, err := tx.exec(sqliteSample, run, sqliteTime(tx.now)); err != nil {
		return err
	}
	for _, step := range b.stored() {
		if _, err := tx.exec(sqliteStep, run, step.Name, step.Count, toMillis(step.Total), toMillis(step.Max)); err != nil {
			return err
		}
	}
	return nil
}

// oneRun checks that a statement met its run.
func oneRun(run int64) func(changed int64, err error) error {
	return func(changed int64, err error) error {
		if err == nil && changed == 0 {
			return fmt.Errorf("run %d is not in the checkpoint, or has ended", run)
		}
		return err
	}
}

const (
	sqliteRunColumns = `select id, source, command, started_at, coalesce(finished_at, ''), coalesce(outcome, ''),
		finished_at is null and lease_until > ?1, ` + runCounts + ` from runs`
	sqliteRuns = sqliteRunColumns + ` where ?2 = '' or source = ?2 order by id desc limit ?3`
	sqliteRun  = sqliteRunColumns + ` where id = ?2`
)

func (s *sqliteStore) Runs(ctx context.Context, source string, limit int) ([]Run, error) {
	return s.readRuns(ctx, sqliteRuns, source, limit)
}

func (s *sqliteStore) Run(ctx context.Context, id int64) (Run, bool, error) {
	runs, err := s.readRuns(ctx, sqliteRun, id)
	if err != nil || len(runs) == 0 {
		return Run{}, false, err
	}
	return runs[0], true, nil
}

// readRuns reads sqliteRunColumns; the query's first parameter is the time.
func (s *sqliteStore) readRuns(ctx context.Context, query string, args ...any) (runs []Run, err error) {
	err = s.reading(ctx, "read", func(tx sqliteTx) error {
		return tx.query(func(rows *sql.Rows) error {
			var r Run
			var started, finished string
			fields := append([]any{&r.ID, &r.Source, &r.Command, &started, &finished, &r.Outcome, &r.Alive}, r.fields()...)
			if err := rows.Scan(fields...); err != nil {
				return err
			}
			var err1, err2 error
			r.StartedAt, err1 = parseSQLiteTime(started)
			r.FinishedAt, err2 = parseSQLiteTime(finished)
			runs = append(runs, r)
			return errors.Join(err1, err2)
		}, query, append([]any{sqliteTime(tx.now)}, args...)...)
	})
	return runs, err
}

const (
	sqliteSamples = `select at, ` + sampleCounts + ` from run_samples where run_id = ? order by at`
	sqliteSteps   = `select step, count, total_ms, max_ms from run_steps where run_id = ? order by step`
)

func (s *sqliteStore) Samples(ctx context.Context, run int64) (samples []Sample, err error) {
	err = s.reading(ctx, "read", func(tx sqliteTx) error {
		return tx.query(func(rows *sql.Rows) error {
			var sample Sample
			var at string
			err := rows.Scan(append([]any{&at}, sample.fields()...)...)
			if err == nil {
				sample.At, err = parseSQLiteTime(at)
			}
			samples = append(samples, sample)
			return err
		}, sqliteSamples, run)
	})
	return samples, err
}

func (s *sqliteStore) Steps(ctx context.Context, run int64) (steps []StepTime, err error) {
	err = s.reading(ctx, "read", func(tx sqliteTx) error {
		return tx.query(func(rows *sql.Rows) error {
			var step StepTime
			var total, longest float64
			err := rows.Scan(&step.Name, &step.Count, &total, &longest)
			step.Total, step.Max = fromMillis(total), fromMillis(longest)
			steps = append(steps, step)
			return err
		}, sqliteSteps, run)
	})
	return steps, err
}

const (
	sqliteBinding = `select base_url, organisation from sources where source = ?`
	sqliteBind    = `insert into sources (source, base_url, organisation) values (?1, ?2, ?3)
		on conflict (source) do update set base_url = excluded.base_url, organisation = excluded.organisation`
)

func (s *sqliteStore) Bind(ctx context.Context, source string, b Binding, rebind bool) error {
	bound := b
	err := s.writing(ctx, "write", func(tx sqliteTx) error {
		err := tx.query(func(rows *sql.Rows) error { return rows.Scan(&bound.BaseURL, &bound.Organisation) }, sqliteBinding, source)
		if err == nil && (bound == b || rebind) {
			_, err = tx.exec(sqliteBind, source, b.BaseURL, b.Organisation)
		}
		return err
	})
	if err == nil && bound != b && !rebind {
		return &BindingError{Source: source, Bound: bound, Given: b}
	}
	return err
}

const sqliteWatermark = `select coalesce(watermark, '') from sources where source = ?`

func (s *sqliteStore) Watermark(ctx context.Context, source string) (watermark time.Time, err error) {
	err = s.reading(ctx, "read", func(tx sqliteTx) error {
		watermark, err = sqliteReadWatermark(tx, source)
		return err
	})
	return watermark, err
}

func sqliteReadWatermark(tx sqliteTx, source string) (watermark time.Time, err error) {
	err = tx.query(func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		watermark, err = parseSQLiteTime(text)
		return err
	}, sqliteWatermark, source)
	return watermark, err
}

// sqliteAdvance relies on times of one layout, which compare as text.
const sqliteAdvance = `update sources set watermark = max(coalesce(watermark, ''), min(?2, coalesce((select min(closed_at) from transcripts
	indexed by transcripts_unfinished where source = ?1 and unfinished), ?2))) where source = ?1`

func (s *sqliteStore) AdvanceWatermark(ctx context.Context, source string, upTo time.Time) (watermark time.Time, err error) {
	err = s.writing(ctx, "advance the watermark in", func(tx sqliteTx) error {
		if !upTo.IsZero() {
			if _, err := tx.exec(sqliteAdvance, source, sqliteTime(upTo)); err != nil {
				return err
			}
		}
		watermark, err = sqliteReadWatermark(tx, source)
		return err
	})
	return watermark, err
}
