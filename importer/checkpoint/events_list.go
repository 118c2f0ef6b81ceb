package checkpoint

import (
	"context"
	"time"
)

// EventFilter selects events that match all of its fields. A zero field matches everything.
type EventFilter struct {
	States       []EventState
	Source       string
	TranscriptID string
	Since        time.Time // received at this time or later
	Limit        int       // the latest ones; 0: all
}

var (
	readEvents = both(`select ` + eventColumns + ` from dixa_import.events
			where ($1::text[] is null or state {any $1}) and ($2::text = '' or source = $2::text) and ($3::text = '' or transcript_id = $3::text)
				and ($4::timestamptz is null or received_at >= $4::timestamptz)
			order by received_at desc, at desc, event_id desc limit $5::bigint`)
	countEvents = both(`select state, count(*) from dixa_import.events group by state order by state`)
	// A text that was removed cannot be forwarded, so an event that has had one is not retried when it is older than what is kept.
	retryEvents = both(`update dixa_import.events set state = 'waiting', next_attempt_at = {in $1}, first_attempt_at = null, claimed_by = null
		where state = 'dead' and received_at > {in $2} and ($3::text = '' or event_id = $3::text) and ($4::text = '' or transcript_id = $4::text)
			and transcript_id is not null`)
	// While an import may be on its way, its conversation may still become known.
	dropUnattached = both(`delete from dixa_import.events where transcript_id is null and (received_at < {in $2} or received_at < {in $1}
		and not exists (select 1 from dixa_import.transcripts {indexed by transcripts_unfinished} where unfinished and status = 'sending'))`)
	dropTexts = both(`update dixa_import.events set text = null, author_name = null where (text is not null or author_name is not null) and received_at < {in $1}`)
	// An event without its text must not be forwarded.
	expireWaiting = both(`update dixa_import.events set state = 'dead', next_attempt_at = null, claimed_by = null, last_error = 'it waited for too long, and its text was removed'
		where state = 'waiting' and received_at < {in $1}`)
	forgetEvents = both(`update dixa_import.events set text = null, author_name = null, state = case when state = 'waiting' then 'dead' else state end,
			next_attempt_at = null, claimed_by = null, last_error = case when state = 'waiting' then 'the person was forgotten' else last_error end
		where source = $1::text and transcript_id = $2::text`)
)

// Events returns the events that match a filter, latest first.
func (s *Store) Events(ctx context.Context, f EventFilter) (events []WebhookEvent, err error) {
	var states any
	if len(f.States) > 0 {
		names := make([]string, len(f.States))
		for i, state := range f.States {
			names[i] = string(state)
		}
		states = names
	}
	limit := int64(f.Limit)
	if limit == 0 {
		limit = 1 << 40
	}
	read := readEvents.with(states, f.Source, clean(f.TranscriptID), timeArg(f.Since), limit)
	read.row = func(row scanner) error {
		var e WebhookEvent
		err := e.scan(row)
		events = append(events, e)
		return err
	}
	err = s.read(ctx, "read", read)
	return events, err
}

// EventCounts counts the events of each state.
func (s *Store) EventCounts(ctx context.Context) (map[EventState]int64, error) {
	counts := map[EventState]int64{}
	read := countEvents.with()
	read.row = func(row scanner) error {
		var state EventState
		var n int64
		err := row.Scan(&state, &n)
		counts[state] = n
		return err
	}
	return counts, s.read(ctx, "read", read)
}

// RetryEvents makes dead events EventWaiting again, as if they had not been tried, and returns their number: the one with this id, or those
// of a transcript, or, if both are "", all. Those whose texts are gone because they are older than keep stay dead.
func (s *Store) RetryEvents(ctx context.Context, id, transcriptID string, keep time.Duration) (n int64, err error) {
	retry := retryEvents.with(present, fromNow(-keep), clean(id), clean(transcriptID))
	retry.changed = func(changed int64) error {
		n = changed
		return nil
	}
	err = s.write(ctx, "write", retry)
	return n, err
}

// PurgeEvents deletes events that have waited for their transcript longer than hold, and removes the texts of all that are older than keep.
// Waiting events without their texts are dead. While an import may be on its way, events wait for their transcript up to keep.
func (s *Store) PurgeEvents(ctx context.Context, hold, keep time.Duration) error {
	return s.write(ctx, "purge events in", dropUnattached.with(fromNow(-hold), fromNow(-keep)), expireWaiting.with(fromNow(-keep)), dropTexts.with(fromNow(-keep)))
}
