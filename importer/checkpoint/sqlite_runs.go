package checkpoint

import (
	"context"
	"database/sql"
)

const (
	sqliteStartRun = `insert into runs (source, command, started_at, lease_until) values (?, ?, ?, ?) returning id`
	sqliteStart    = `insert into run_samples (run_id, at) values (?, ?)`
)

// sqliteEndLeases ends the leases of dead processes: no other process has runs of this kind while this one holds their lock.
const sqliteEndLeases = `update runs set lease_until = ?1 where finished_at is null and lease_until > ?1 and (command = '` + LiveCommand + `') = ?2`

func (s *sqliteStore) StartRun(ctx context.Context, source, command string) (run int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := command == LiveCommand
	lock := s.locks[0]
	if live {
		lock = s.locks[1]
	}
	first := !lock.Locked()
	if err := s.acquire(lock); err != nil {
		return 0, err
	}
	defer func() {
		if err == nil {
			s.runs[run] = lock
		}
		s.releaseIfIdle()
	}()
	err = s.writing(ctx, "start a run in", func(tx sqliteTx) error {
		now := sqliteTime(tx.now)
		if first {
			if _, err := tx.exec(sqliteEndLeases, now, live); err != nil {
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

func (s *sqliteStore) runEnded(run int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, run)
	s.releaseIfIdle()
}
