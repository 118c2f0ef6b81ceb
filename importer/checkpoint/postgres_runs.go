package checkpoint

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const postgresStartRun = `with run as (
		insert into dixa_import.runs (source, command, lease_until)
		values ($1::text, $2::text, clock_timestamp() + $3::bigint * interval '1 microsecond') returning id, started_at)
	insert into dixa_import.run_samples (run_id, at) select id, started_at from run returning run_id`

func (s *postgresStore) StartRun(ctx context.Context, source, command string) (run int64, err error) {
	err = s.writing(ctx, "start a run in", func(b *pgx.Batch) error {
		b.Queue(postgresStartRun, source, command, Lease.Microseconds()).QueryRow(func(row pgx.Row) error { return row.Scan(&run) })
		return nil
	})
	return run, err
}

// The beats are one statement each: where the run is not met, nothing is written.
const (
	postgresSetCounts = `read = $3::bigint, imported = $4::bigint, partial = $5::bigint, failed = $6::bigint, rejected = $7::bigint,
		skipped = $8::bigint, already_done = $9::bigint, duplicate = $10::bigint, in_doubt = $11::bigint, pending = $12::bigint,
		requests = $13::bigint, throttled = $14::bigint`
	postgresSaveBeat = `, steps as (
			insert into dixa_import.run_steps (run_id, step, count, total_ms, max_ms)
			select beat.id, v.step, v.count, v.total_ms, v.max_ms from beat,
				unnest($15::text[], $16::bigint[], $17::float8[], $18::float8[]) as v (step, count, total_ms, max_ms)
			on conflict (run_id, step) do update set count = excluded.count, total_ms = excluded.total_ms, max_ms = excluded.max_ms)
		insert into dixa_import.run_samples (run_id, at, ` + sampleCounts + `) select id, at, ` + sampleCounts + ` from beat
		on conflict (run_id, at) do update set imported = excluded.imported, partial = excluded.partial, failed = excluded.failed,
			rejected = excluded.rejected, requests = excluded.requests, throttled = excluded.throttled`

	postgresRenewRun = `with beat as (
			update dixa_import.runs set lease_until = clock_timestamp() + $2::bigint * interval '1 microsecond', ` + postgresSetCounts + `
			where id = $1::bigint and finished_at is null returning id, clock_timestamp() as at, ` + sampleCounts + `)` + postgresSaveBeat
	postgresFinishRun = `with beat as (
			update dixa_import.runs set lease_until = least(lease_until, clock_timestamp()), ` + postgresSetCounts + `,
				finished_at = coalesce(finished_at, clock_timestamp()), outcome = $2::text
			where id = $1::bigint returning id, finished_at as at, ` + sampleCounts + `)` + postgresSaveBeat
	postgresGiveBack = `update dixa_import.transcripts t set claimed_by = null
		from (select source, transcript_id from dixa_import.transcripts
			where source = (select source from dixa_import.runs where id = $1::bigint) and unfinished and claimed_by = $1::bigint
			order by transcript_id for update) as mine
		where t.source = mine.source and t.transcript_id = mine.transcript_id`
)

func (s *postgresStore) RenewRun(ctx context.Context, run int64, beat Beat) error {
	return s.writing(ctx, "renew the run in", func(b *pgx.Batch) error {
		b.Queue(postgresRenewRun, beatArgs(run, Lease.Microseconds(), beat)...).Exec(mustMeet(run))
		return nil
	})
}

func (s *postgresStore) FinishRun(ctx context.Context, run int64, outcome string, beat Beat) error {
	return s.writing(ctx, "finish the run in", func(b *pgx.Batch) error {
		b.Queue(postgresGiveBack, run)
		b.Queue(postgresFinishRun, beatArgs(run, outcome, beat)...).Exec(mustMeet(run))
		return nil
	})
}

// beatArgs returns the arguments of a statement with a beat; second is the one that depends on the statement.
func beatArgs(run int64, second any, beat Beat) []any {
	var names []string
	var counts []int64
	var totals, longest []float64
	for _, s := range beat.stored() {
		names, counts = append(names, s.Name), append(counts, s.Count)
		totals, longest = append(totals, toMillis(s.Total)), append(longest, toMillis(s.Max))
	}
	return append(append([]any{run, second}, beat.values()...), names, counts, totals, longest)
}

// mustMeet checks that a statement met its run.
func mustMeet(run int64) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error { return oneRun(run)(tag.RowsAffected(), nil) }
}

const (
	postgresRunColumns = `select id, source, command, (extract(epoch from started_at) * 1000000)::bigint,
		(extract(epoch from finished_at) * 1000000)::bigint, coalesce(outcome, ''),
		finished_at is null and lease_until > clock_timestamp(), ` + runCounts + ` from dixa_import.runs`
	postgresRuns = postgresRunColumns + ` where $1::text = '' or source = $1::text order by id desc limit $2::bigint`
	postgresRun  = postgresRunColumns + ` where id = $1::bigint`
)

// scanPostgresRuns reads postgresRunColumns.
func scanPostgresRuns(into *[]Run) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var r Run
		var started, finished *int64
		err := rows.Scan(append([]any{&r.ID, &r.Source, &r.Command, &started, &finished, &r.Outcome, &r.Alive}, r.fields()...)...)
		r.StartedAt, r.FinishedAt = fromMicros(started), fromMicros(finished)
		*into = append(*into, r)
		return err
	}
}

func (s *postgresStore) Runs(ctx context.Context, source string, limit int) (runs []Run, err error) {
	err = s.query(ctx, "read", scanPostgresRuns(&runs), postgresRuns, source, limit)
	return runs, err
}

func (s *postgresStore) Run(ctx context.Context, id int64) (Run, bool, error) {
	var runs []Run
	err := s.query(ctx, "read", scanPostgresRuns(&runs), postgresRun, id)
	if err != nil || len(runs) == 0 {
		return Run{}, false, err
	}
	return runs[0], true, nil
}

const (
	postgresSamples = `select (extract(epoch from at) * 1000000)::bigint, ` + sampleCounts + `
		from dixa_import.run_samples where run_id = $1::bigint order by at`
	postgresSteps = `select step, count, total_ms, max_ms from dixa_import.run_steps where run_id = $1::bigint order by step`
)

func (s *postgresStore) Samples(ctx context.Context, run int64) ([]Sample, error) {
	var samples []Sample
	err := s.query(ctx, "read", func(rows pgx.Rows) error {
		var sample Sample
		var at int64
		err := rows.Scan(append([]any{&at}, sample.fields()...)...)
		sample.At = fromMicros(&at)
		samples = append(samples, sample)
		return err
	}, postgresSamples, run)
	return samples, err
}

func (s *postgresStore) Steps(ctx context.Context, run int64) ([]StepTime, error) {
	var steps []StepTime
	err := s.query(ctx, "read", func(rows pgx.Rows) error {
		var step StepTime
		var total, longest float64
		err := rows.Scan(&step.Name, &step.Count, &total, &longest)
		step.Total, step.Max = fromMillis(total), fromMillis(longest)
		steps = append(steps, step)
		return err
	}, postgresSteps, run)
	return steps, err
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
	err = s.writing(ctx, "advance the watermark in", func(b *pgx.Batch) error {
		b.Queue(postgresAdvance, source, upTo).Query(eachRow(scanWatermark(&watermark)))
		return nil
	})
	return watermark, err
}
