package checkpoint

import (
	"context"
	"fmt"
	"math"
	"time"
)

// LiveCommand is the command of runs that import what somebody waits for. On SQLite, one process with such runs works beside one with all others.
const LiveCommand = "serve"

// runCounts are the columns of runs that a Beat sets, in the order of its values.
const runCounts = `read, imported, partial, failed, rejected, skipped, already_done, duplicate, in_doubt, pending, requests, throttled, changed, grown`

// values returns the figures of a Beat in the order of runCounts.
func (b Beat) values() []any {
	c := b.Counts
	return []any{c.Read, c.Imported, c.Partial, c.Failed, c.Rejected, c.Skipped, c.AlreadyDone, c.Duplicate, c.InDoubt, c.Pending,
		c.Requests, b.Throttled, b.Changed, b.Grown}
}

// fields returns pointers to the figures of a run in the order of runCounts.
func (r *Run) fields() []any {
	c := &r.Counts
	return []any{&c.Read, &c.Imported, &c.Partial, &c.Failed, &c.Rejected, &c.Skipped, &c.AlreadyDone, &c.Duplicate, &c.InDoubt,
		&c.Pending, &c.Requests, &r.Throttled, &r.Changed, &r.Grown}
}

// sampleCounts are the columns that run_samples and runs have in common.
const sampleCounts = `imported, partial, failed, rejected, requests, throttled`

func (s *Sample) fields() []any {
	return []any{&s.Imported, &s.Partial, &s.Failed, &s.Rejected, &s.Requests, &s.Throttled}
}

// stored returns the steps with their names in stored form. If two have the same name, the last one counts.
func (b Beat) stored() []StepTime {
	var steps []StepTime
	at := map[string]int{}
	for _, s := range b.Steps {
		s.Name = clean(s.Name)
		if i, ok := at[s.Name]; ok {
			steps[i] = s
			continue
		}
		at[s.Name] = len(steps)
		steps = append(steps, s)
	}
	return steps
}

// toMillis and fromMillis convert durations to and from stored milliseconds, to the microsecond.
func toMillis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func fromMillis(ms float64) time.Duration {
	return time.Duration(math.Round(ms*1000)) * time.Microsecond
}

const (
	setCounts = `read = $3::bigint, imported = $4::bigint, partial = $5::bigint, failed = $6::bigint, rejected = $7::bigint,
		skipped = $8::bigint, already_done = $9::bigint, duplicate = $10::bigint, in_doubt = $11::bigint, pending = $12::bigint,
		requests = $13::bigint, throttled = $14::bigint, changed = $15::bigint, grown = $16::bigint`
	runColumns = `select id, source, command, {at started_at}, {at finished_at}, coalesce(outcome, ''),
		finished_at is null and lease_until > {in $1}, ` + runCounts + ` from dixa_import.runs`
)

var (
	renewRun  = both(`update dixa_import.runs set lease_until = {in $2}, ` + setCounts + ` where id = $1::bigint and finished_at is null`)
	finishRun = both(`update dixa_import.runs set lease_until = case when lease_until < {in $2} then lease_until else {in $2} end, ` + setCounts + `,
		finished_at = coalesce(finished_at, {in $2}), outcome = $17::text where id = $1::bigint`)
	saveSample = both(`insert into dixa_import.run_samples (run_id, at, ` + sampleCounts + `)
		select id, coalesce(finished_at, {in $2}), ` + sampleCounts + ` from dixa_import.runs where id = $1::bigint
		on conflict (run_id, at) do update set imported = excluded.imported, partial = excluded.partial, failed = excluded.failed,
			rejected = excluded.rejected, requests = excluded.requests, throttled = excluded.throttled`)
	saveStep = both(`insert into dixa_import.run_steps (run_id, step, count, total_ms, max_ms)
		values ($1::bigint, $2::text, $3::bigint, $4::float8, $5::float8)
		on conflict (run_id, step) do update set count = excluded.count, total_ms = excluded.total_ms, max_ms = excluded.max_ms`)
	releaseClaims = apart(`update dixa_import.transcripts t set claimed_by = null
		from (select source, transcript_id from dixa_import.transcripts
			where source = (select source from dixa_import.runs where id = $1::bigint) and unfinished and claimed_by = $1::bigint
			order by transcript_id for update) as mine
		where t.source = mine.source and t.transcript_id = mine.transcript_id`,
		`update transcripts indexed by transcripts_unfinished set claimed_by = null
		where claimed_by = $1 and unfinished and source = (select source from runs where id = $1)`)
	readRuns    = both(runColumns + ` where $2::text = '' or source = $2::text order by id desc limit $3::bigint`)
	readRun     = both(runColumns + ` where id = $2::bigint`)
	readSamples = both(`select {at at}, ` + sampleCounts + ` from dixa_import.run_samples where run_id = $1::bigint order by at`)
	readSteps   = both(`select step, count, total_ms, max_ms from dixa_import.run_steps where run_id = $1::bigint order by step`)
)

// RenewRun renews the run's lease and records its progress, with a sample. A repetition may add one more sample.
func (s *Store) RenewRun(ctx context.Context, run int64, b Beat) error {
	return s.write(ctx, "renew the run in", b.statements(run, renewRun, append([]any{run, fromNow(Lease)}, b.values()...)...)...)
}

// FinishRun records the end of a run, with a last sample, ends its lease and releases its remaining claims.
func (s *Store) FinishRun(ctx context.Context, run int64, outcome string, b Beat) error {
	args := append(append([]any{run, present}, b.values()...), outcome)
	err := s.write(ctx, "finish the run in", append([]statement{releaseClaims.with(run)}, b.statements(run, finishRun, args...)...)...)
	if err == nil {
		s.runEnded(run)
	}
	return err
}

// statements returns the statements that update a run with the query and record a sample and the steps.
func (b Beat) statements(run int64, update query, args ...any) []statement {
	set := update.with(args...)
	set.changed = func(changed int64) error {
		if changed == 0 {
			return fmt.Errorf("run %d is not in the checkpoint or has ended", run)
		}
		return nil
	}
	list := []statement{set}
	if !b.NoSample {
		list = append(list, saveSample.with(run, present))
	}
	for _, step := range b.stored() {
		list = append(list, saveStep.with(run, step.Name, step.Count, toMillis(step.Total), toMillis(step.Max)))
	}
	return list
}

// Runs returns the latest runs of a source, or of all sources if it is "", newest first.
func (s *Store) Runs(ctx context.Context, source string, limit int) ([]Run, error) {
	return s.readRuns(ctx, readRuns.with(present, source, limit))
}

// Run returns one run, false if there is none with this id.
func (s *Store) Run(ctx context.Context, id int64) (Run, bool, error) {
	runs, err := s.readRuns(ctx, readRun.with(present, id))
	if err != nil || len(runs) == 0 {
		return Run{}, false, err
	}
	return runs[0], true, nil
}

func (s *Store) readRuns(ctx context.Context, read statement) (runs []Run, err error) {
	read.row = func(row scanner) error {
		var r Run
		err := row.Scan(append([]any{&r.ID, &r.Source, &r.Command, instant{&r.StartedAt}, instant{&r.FinishedAt}, &r.Outcome, &r.Alive}, r.fields()...)...)
		runs = append(runs, r)
		return err
	}
	err = s.read(ctx, "read", read)
	return runs, err
}

// Samples returns the samples of a run's progress, oldest first.
func (s *Store) Samples(ctx context.Context, run int64) (list []Sample, err error) {
	read := readSamples.with(run)
	read.row = func(row scanner) error {
		var sample Sample
		err := row.Scan(append([]any{instant{&sample.At}}, sample.fields()...)...)
		list = append(list, sample)
		return err
	}
	err = s.read(ctx, "read", read)
	return list, err
}

// Steps returns the times of a run's steps, in the order of their names.
func (s *Store) Steps(ctx context.Context, run int64) (list []StepTime, err error) {
	read := readSteps.with(run)
	read.row = func(row scanner) error {
		var step StepTime
		var total, longest float64
		err := row.Scan(&step.Name, &step.Count, &total, &longest)
		step.Total, step.Max = fromMillis(total), fromMillis(longest)
		list = append(list, step)
		return err
	}
	err = s.read(ctx, "read", read)
	return list, err
}
