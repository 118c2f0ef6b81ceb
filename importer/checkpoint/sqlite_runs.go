package checkpoint

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const sqliteStartRun = `insert into runs (source, command, started_at, lease_until) values (?, ?, ?, ?) returning id`

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
		return tx.query(func(rows *sql.Rows) error { return rows.Scan(&run) },
			sqliteStartRun, source, command, now, sqliteTime(tx.now.Add(Lease)))
	})
	return run, err
}

const sqliteSetCounts = `read = ?3, imported = ?4, partial = ?5, failed = ?6, rejected = ?7, skipped = ?8, already_done = ?9,
	duplicate = ?10, in_doubt = ?11, pending = ?12, requests = ?13`

const sqliteRenewRun = `update runs set lease_until = ?2, ` + sqliteSetCounts + ` where id = ?1 and finished_at is null`

func (s *sqliteStore) RenewRun(ctx context.Context, run int64, c Counts) error {
	return s.writing(ctx, "renew the run in", func(tx sqliteTx) error {
		return oneRun(run)(tx.exec(sqliteRenewRun, append([]any{run, sqliteTime(tx.now.Add(Lease))}, c.values()...)...))
	})
}

const (
	sqliteFinishRun = `update runs set lease_until = ?2, ` + sqliteSetCounts + `,
		finished_at = coalesce(finished_at, ?2), outcome = ?14 where id = ?1`
	sqliteGiveBack = `update transcripts set claimed_by = null where claimed_by = ?1 and status in ('pending', 'sending', 'imported')
		and source = (select source from runs where id = ?1)`
)

func (s *sqliteStore) FinishRun(ctx context.Context, run int64, outcome string, c Counts) error {
	err := s.writing(ctx, "finish the run in", func(tx sqliteTx) error {
		args := append([]any{run, sqliteTime(tx.now)}, c.values()...)
		if err := oneRun(run)(tx.exec(sqliteFinishRun, append(args, outcome)...)); err != nil {
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

// oneRun checks that a statement met its run.
func oneRun(run int64) func(changed int64, err error) error {
	return func(changed int64, err error) error {
		if err == nil && changed == 0 {
			return fmt.Errorf("run %d is not in the checkpoint, or has ended", run)
		}
		return err
	}
}

// values returns the counts in the order of the columns.
func (c Counts) values() []any {
	return []any{c.Read, c.Imported, c.Partial, c.Failed, c.Rejected, c.Skipped, c.AlreadyDone, c.Duplicate, c.InDoubt, c.Pending,
		c.Requests}
}

// fields returns pointers to the counts in the order of the columns.
func (c *Counts) fields() []any {
	return []any{&c.Read, &c.Imported, &c.Partial, &c.Failed, &c.Rejected, &c.Skipped, &c.AlreadyDone, &c.Duplicate, &c.InDoubt,
		&c.Pending, &c.Requests}
}

const sqliteRuns = `select id, source, command, started_at, coalesce(finished_at, ''), coalesce(outcome, ''),
	finished_at is null and lease_until > ?1,
	read, imported, partial, failed, rejected, skipped, already_done, duplicate, in_doubt, pending, requests
	from runs where ?2 = '' or source = ?2 order by id desc limit ?3`

func (s *sqliteStore) Runs(ctx context.Context, source string, limit int) ([]Run, error) {
	var runs []Run
	err := s.reading(ctx, "read", func(tx sqliteTx) error {
		return tx.query(func(rows *sql.Rows) error {
			var r Run
			var started, finished string
			fields := append([]any{&r.ID, &r.Source, &r.Command, &started, &finished, &r.Outcome, &r.Alive}, r.Counts.fields()...)
			if err := rows.Scan(fields...); err != nil {
				return err
			}
			var err1, err2 error
			r.StartedAt, err1 = parseSQLiteTime(started)
			r.FinishedAt, err2 = parseSQLiteTime(finished)
			runs = append(runs, r)
			return errors.Join(err1, err2)
		}, sqliteRuns, sqliteTime(tx.now), source, limit)
	})
	return runs, err
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
	where source = ?1 and status in ('pending', 'sending', 'imported')), ?2))) where source = ?1`

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
