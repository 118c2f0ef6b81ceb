package checkpoint

import (
	"context"
	"time"
)

// Reopening is what became of a conversation that was reopened.
type Reopening struct {
	State   string // waiting or assigned
	QueueID string // in which it waits, "" if that is not known
	// At is when it was reopened, by Dixa's clock. Events of that time or before are of no effect.
	At time.Time
}

var (
	beginReopen = both(`insert into dixa_import.steps as s (source, transcript_id, step, state, send_before, updated_at)
		select source, transcript_id, 'reopen', 'sending', {in $3}, {in $4} from dixa_import.transcripts where source = $1::text and transcript_id = $2::text
		on conflict (source, transcript_id, step) do update set state = 'sending', send_before = excluded.send_before, updated_at = excluded.updated_at
		where s.state <> 'sending' or s.send_before is null or s.send_before <= {in $4}`)
	endReopen = both(`update dixa_import.steps set state = $3::text, send_before = null, updated_at = {in $4}
		where source = $1::text and transcript_id = $2::text and step = 'reopen'`)
	// An agent may have taken the conversation, or closed it again, before this is recorded.
	saveReopening = both(`update dixa_import.transcripts as t set
			handover_state = case when exists (select 1 from dixa_import.events e where e.source = t.source and e.transcript_id = t.transcript_id
				and e.type = 'conversation_assigned' and e.at > $3::timestamptz) then 'assigned' else $4::text end,
			queue_id = coalesce(nullif($5::text, ''), queue_id), agent_closed_at = null, closed_by = null, reopened_at = $3::timestamptz
		where source = $1::text and transcript_id = $2::text and (agent_closed_at is null or agent_closed_at <= $3::timestamptz)
			and (reopened_at is null or reopened_at < $3::timestamptz)`)
)

// BeginReopen records that a request to reopen the conversation of a transcript may be on its way until hold has passed. It reports false, and
// records nothing, while that is so of an earlier one.
func (s *Store) BeginReopen(ctx context.Context, source, id string, hold time.Duration) (begun bool, err error) {
	begin := beginReopen.with(source, clean(id), fromNow(hold), present)
	begin.changed = func(n int64) error {
		begun = n == 1
		return nil
	}
	err = s.write(ctx, "write", begin)
	return begun, err
}

// EndReopen records that no request to reopen the conversation is on its way: StepDone, or StepRefused if it had no effect.
func (s *Store) EndReopen(ctx context.Context, source, id string, state StepState) error {
	return s.write(ctx, "write", endReopen.with(source, clean(id), string(state), present))
}

// Reopened records that the conversation of a transcript is open again: nobody has closed it. An agent's closing after r.At stays.
func (s *Store) Reopened(ctx context.Context, source, id string, r Reopening) error {
	at := storableTime(r.At, sqlitePrecision)
	return s.write(ctx, "write", saveReopening.with(source, clean(id), at, r.State, clean(r.QueueID)),
		endReopen.with(source, clean(id), string(StepDone), present))
}
