package checkpoint

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const postgresStartRun = `insert into dixa_import.runs (source, command, lease_until)
	values ($1::text, $2::text, clock_timestamp() + $3::bigint * interval '1 microsecond') returning id`

func (s *postgresStore) StartRun(ctx context.Context, source, command string) (run int64, err error) {
	err = s.writing(ctx, "start a run in", nil, func(b *pgx.Batch) error {
		b.Queue(postgresStartRun, source, command, Lease.Microseconds()).QueryRow(func(row pgx.Row) error { return row.Scan(&run) })
		return nil
	})
	return run, err
}

const postgresSetCounts = `read = $3::bigint, imported = $4::bigint, partial = $5::bigint, failed = $6::bigint, rejected = $7::bigint,
	skipped = $8::bigint, already_done = $9::bigint, duplicate = $10::bigint, in_doubt = $11::bigint, pending = $12::bigint,
	requests = $13::bigint`

const postgresRenewRun = `update dixa_import.runs set lease_until = clock_timestamp() + $2::bigint * interval '1 microsecond', ` +
	postgresSetCounts + ` where id = $1::bigint and finished_at is null`

func (s *postgresStore) RenewRun(ctx context.Context, run int64, c Counts) error {
	return s.writing(ctx, "renew the run in", nil, func(b *pgx.Batch) error {
		args := append([]any{run, Lease.Microseconds()}, c.values()...)
		b.Queue(postgresRenewRun, args...).Exec(mustMeet(run))
		return nil
	})
}

// mustMeet checks that a statement met its run.
func mustMeet(run int64) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error { return oneRun(run)(tag.RowsAffected(), nil) }
}

const (
	postgresFinishRun = `update dixa_import.runs set lease_until = least(lease_until, clock_timestamp()), ` + postgresSetCounts + `,
		finished_at = coalesce(finished_at, now()), outcome = $2::text where id = $1::bigint`
	postgresGiveBack = `update dixa_import.transcripts t set claimed_by = null
		from (select source, transcript_id from dixa_import.transcripts
			where source = (select source from dixa_import.runs where id = $1::bigint) and unfinished and claimed_by = $1::bigint
			order by transcript_id for update) as mine
		where t.source = mine.source and t.transcript_id = mine.transcript_id`
)

func (s *postgresStore) FinishRun(ctx context.Context, run int64, outcome string, c Counts) error {
	return s.writing(ctx, "finish the run in", nil, func(b *pgx.Batch) error {
		b.Queue(postgresGiveBack, run)
		b.Queue(postgresFinishRun, append([]any{run, outcome}, c.values()...)...).Exec(mustMeet(run))
		return nil
	})
}

const postgresRuns = `select id, source, command, (extract(epoch from started_at) * 1000000)::bigint,
	(extract(epoch from finished_at) * 1000000)::bigint, coalesce(outcome, ''),
	finished_at is null and lease_until > clock_timestamp(),
	read, imported, partial, failed, rejected, skipped, already_done, duplicate, in_doubt, pending, requests
	from dixa_import.runs where $1::text = '' or source = $1::text order by id desc limit $2::bigint`

func (s *postgresStore) Runs(ctx context.Context, source string, limit int) ([]Run, error) {
	var runs []Run
	err := s.query(ctx, "read", func(rows pgx.Rows) error {
		var r Run
		var started, finished *int64
		fields := append([]any{&r.ID, &r.Source, &r.Command, &started, &finished, &r.Outcome, &r.Alive}, r.Counts.fields()...)
		err := rows.Scan(fields...)
		r.StartedAt, r.FinishedAt = fromMicros(started), fromMicros(finished)
		runs = append(runs, r)
		return err
	}, postgresRuns, source, limit)
	return runs, err
}

const (
	postgresBind = `insert into dixa_import.sources (source, base_url, organisation) values ($1::text, $2::text, $3::text)
		on conflict (source) do nothing`
	postgresBinding = `select base_url, organisation from dixa_import.sources where source = $1::text for update`
	postgresRebind  = `update dixa_import.sources set base_url = $2::text, organisation = $3::text where source = $1::text`
)

func (s *postgresStore) Bind(ctx context.Context, source string, binding Binding, rebind bool) error {
	var bound Binding
	err := s.writing(ctx, "write", func(b *pgx.Batch) error {
		b.Queue(postgresBind, source, binding.BaseURL, binding.Organisation)
		b.Queue(postgresBinding, source).QueryRow(func(row pgx.Row) error { return row.Scan(&bound.BaseURL, &bound.Organisation) })
		return nil
	}, func(b *pgx.Batch) error {
		if rebind && bound != binding {
			b.Queue(postgresRebind, source, binding.BaseURL, binding.Organisation)
		}
		return nil
	})
	if err == nil && bound != binding && !rebind {
		return &BindingError{Source: source, Bound: bound, Given: binding}
	}
	return err
}

const postgresWatermark = `select (extract(epoch from watermark) * 1000000)::bigint from dixa_import.sources where source = $1::text`

func (s *postgresStore) Watermark(ctx context.Context, source string) (watermark time.Time, err error) {
	err = s.query(ctx, "read", scanWatermark(&watermark), postgresWatermark, source)
	return watermark, err
}

func scanWatermark(into *time.Time) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var micros *int64
		err := rows.Scan(&micros)
		*into = fromMicros(micros)
		return err
	}
}

// greatest and least pass over nulls.
const postgresAdvance = `update dixa_import.sources set watermark = greatest(watermark, least($2::timestamptz,
	(select min(closed_at) from dixa_import.transcripts where source = $1::text and unfinished)))
	where source = $1::text returning (extract(epoch from watermark) * 1000000)::bigint`

func (s *postgresStore) AdvanceWatermark(ctx context.Context, source string, upTo time.Time) (watermark time.Time, err error) {
	if upTo.IsZero() {
		return s.Watermark(ctx, source)
	}
	err = s.writing(ctx, "advance the watermark in", nil, func(b *pgx.Batch) error {
		b.Queue(postgresAdvance, source, upTo).Query(eachRow(scanWatermark(&watermark)))
		return nil
	})
	return watermark, err
}
