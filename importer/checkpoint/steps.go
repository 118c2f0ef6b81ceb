package checkpoint

import (
	"context"
	"time"
)

// StepName names what follows the import of a transcript and must not be done twice.
type StepName string

// The steps that are recorded.
const (
	StepRating   StepName = "rating"        // its offer
	StepRated    StepName = "rating_result" // its submission
	StepNotes    StepName = "notes"
	StepTransfer StepName = "transfer"
	StepLink     StepName = "link"
	StepReopen   StepName = "reopen" // of a conversation that was handed over, as often as a person asks for it
)

// StepState is how far a step is.
type StepState string

// The states of a step. A step that has not begun has none.
const (
	StepPlanned StepState = "planned" // it is to be done, even if the source no longer has the transcript
	StepSending StepState = "sending" // its request may be on its way
	StepDone    StepState = "done"
	StepRefused StepState = "refused" // Dixa refused it
	StepSkipped StepState = "skipped" // it was decided that it is not done
)

// Step is what is recorded of a step.
type Step struct {
	Name   StepName
	State  StepState
	Detail string // such as the id of a rating or of a queue
	// SendIn is, for StepSending, the time left in which its request may leave, negative if that has passed.
	SendIn    time.Duration
	UpdatedAt time.Time
}

// StepChange records the state of a step of a claimed transcript.
type StepChange struct {
	ID    string
	Claim int64
	Step  Step // SendIn is set ahead of the database's clock, UpdatedAt is ignored
	// QueueID, if set, is recorded with the transcript as the queue in which its conversation waits, FollowUpOf as the transcript that it
	// continues.
	QueueID, FollowUpOf string
}

var (
	readStepsOf = both(`select step, state, coalesce(detail, ''), {at send_before}, {at updated_at}, {at {in $3}} from dixa_import.steps
		where source = $1::text and transcript_id = $2::text order by updated_at, step`)
	// The lock makes a claim by another run wait, so that it sees the step.
	saveStepOf = apart(`insert into dixa_import.steps as s (source, transcript_id, step, state, detail, send_before)
		select source, transcript_id, $5::text, $6::text, nullif($7::text, ''), case when $6::text = 'sending' then {in $8} end
		from (select source, transcript_id from dixa_import.transcripts where source = $1::text and transcript_id = $2::text and claim = $3::bigint and claimed_by = $4::bigint
			for update) as claimed
		on conflict (source, transcript_id, step) do update set state = excluded.state, detail = excluded.detail, send_before = excluded.send_before,
			updated_at = excluded.updated_at`,
		`insert into steps (source, transcript_id, step, state, detail, send_before, updated_at)
		select source, transcript_id, $5, $6, nullif($7, ''), case when $6 = 'sending' then {in $8} end, {in $9}
		from transcripts where source = $1 and transcript_id = $2 and claim = $3 and claimed_by = $4
		on conflict (source, transcript_id, step) do update set state = excluded.state, detail = excluded.detail, send_before = excluded.send_before,
			updated_at = excluded.updated_at`)
	saveHandover = both(`update dixa_import.transcripts set queue_id = coalesce(nullif($5::text, ''), queue_id), follow_up_of = coalesce(nullif($6::text, ''), follow_up_of),
			handover_state = case when $5::text <> '' then coalesce(handover_state, 'waiting') else handover_state end
		where source = $1::text and transcript_id = $2::text and claim = $3::bigint and claimed_by = $4::bigint`)
)

// StepsOf returns what is recorded of the steps of a transcript.
func (s *Store) StepsOf(ctx context.Context, source, id string) (steps []Step, err error) {
	read := readStepsOf.with(source, clean(id), present)
	read.row = func(row scanner) error {
		var step Step
		var before, now time.Time
		err := row.Scan(&step.Name, &step.State, &step.Detail, instant{&before}, instant{&step.UpdatedAt}, instant{&now})
		if step.State == StepSending {
			step.SendIn = before.Sub(now)
		}
		steps = append(steps, step)
		return err
	}
	err = s.read(ctx, "read", read)
	return steps, err
}

// SaveStep records the state of a step. It reports false, and records nothing, if the claim is no longer the current one.
func (s *Store) SaveStep(ctx context.Context, source string, run int64, c StepChange) (saved bool, err error) {
	id := clean(c.ID)
	args := []any{source, id, c.Claim, run, string(c.Step.Name), string(c.Step.State), clean(c.Step.Detail), fromNow(c.Step.SendIn)}
	if _, lite := s.database.(*sqliteStore); lite { // the times of Postgres are defaults
		args = append(args, present)
	}
	save := saveStepOf.with(args...)
	save.changed = func(n int64) error {
		saved = n == 1
		return nil
	}
	statements := []statement{save}
	if c.QueueID+c.FollowUpOf != "" {
		statements = append(statements, saveHandover.with(source, id, c.Claim, run, clean(c.QueueID), clean(c.FollowUpOf)))
	}
	err = s.write(ctx, "write", statements...)
	return saved, err
}
