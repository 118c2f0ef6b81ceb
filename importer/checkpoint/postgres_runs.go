package checkpoint

import (
	"context"

	"github.com/jackc/pgx/v5"
)

const postgresStartRun = `with run as (
		insert into dixa_import.runs (source, command, lease_until)
		values ($1::text, $2::text, clock_timestamp() + $3::bigint * interval '1 microsecond') returning id, started_at)
	insert into dixa_import.run_samples (run_id, at) select id, started_at from run returning run_id`

// postgresFoldTotals adds the counts of all server processes to those of backend 0. Rows of transactions that have not ended are left to the next
// run. It is a transaction of its own: whoever counts in one of these rows waits for it.
const postgresFoldTotals = `with folded as (delete from dixa_import.totals where ctid in
		(select ctid from dixa_import.totals where backend <> 0 for update skip locked)
		returning source, came_from, status, error_code, count)
	insert into dixa_import.totals as t (source, came_from, status, error_code, backend, count)
	select source, came_from, status, error_code, 0, sum(count) from folded group by 1, 2, 3, 4 having sum(count) <> 0 order by 1, 2, 3, 4
	on conflict (source, came_from, status, error_code, backend) do update set count = t.count + excluded.count`

func (s *postgresStore) StartRun(ctx context.Context, source, command string) (run int64, err error) {
	if err := s.write(ctx, "start a run in", query{postgres: postgresFoldTotals}.with()); err != nil {
		return 0, err
	}
	err = s.writing(ctx, "start a run in", func(b *pgx.Batch) error {
		b.Queue(postgresStartRun, source, command, Lease.Microseconds()).QueryRow(func(row pgx.Row) error { return row.Scan(&run) })
		return nil
	})
	return run, err
}
