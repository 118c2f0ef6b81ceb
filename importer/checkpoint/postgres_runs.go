package checkpoint

import (
	"context"

	"github.com/jackc/pgx/v5"
)

const postgresStartRun = `with run as (
		insert into dixa_import.runs (source, command, lease_until)
		values ($1::text, $2::text, clock_timestamp() + $3::bigint * interval '1 microsecond') returning id, started_at)
	insert into dixa_import.run_samples (run_id, at) select id, started_at from run returning run_id`

func (s *postgresStore) StartRun(ctx context.Context, source, command string) (run int64, err error) {
	err = s.writing(ctx, "start a run in", func(b *pgx.Batch) error {
		b.Queue(foldTotals)
		return nil
	})
	if err != nil {
		return 0, err
	}
	err = s.writing(ctx, "start a run in", func(b *pgx.Batch) error {
		b.Queue(postgresStartRun, source, command, Lease.Microseconds()).QueryRow(func(row pgx.Row) error { return row.Scan(&run) })
		return nil
	})
	return run, err
}
