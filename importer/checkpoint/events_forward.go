package checkpoint

import (
	"context"
	"time"
)

// eventColumns are the columns of an event, in the order in which WebhookEvent.scan scans them.
const eventColumns = `event_id, coalesce(source, ''), coalesce(transcript_id, ''), conversation_id, coalesce(csid, 0), type, event_fqn, {at at}, {at received_at},
	coalesce(author_id, ''), coalesce(author_type, ''), coalesce(author_name, ''), coalesce(text, ''), coalesce(message_id, ''), state, attempts,
	{at next_attempt_at}, {at forwarded_at}, coalesce(last_status, 0), coalesce(last_error, ''), claim`

func (e *WebhookEvent) scan(row scanner) error {
	return row.Scan(&e.ID, &e.Source, &e.TranscriptID, &e.ConversationID, &e.CSID, &e.Type, &e.FQN, instant{&e.At}, instant{&e.ReceivedAt},
		&e.AuthorID, &e.AuthorType, &e.AuthorName, &e.Text, &e.MessageID, &e.State, &e.Attempts,
		instant{&e.NextAttemptAt}, instant{&e.ForwardedAt}, &e.LastStatus, &e.LastError, &e.Claim)
}

// ofSource are the events of a source, if it is tied to the organisation. One source at a time lets the databases go along an index and stop at the limit.
const ofSource = `source = $3::text and exists (select 1 from dixa_import.sources where source = $3::text and base_url = $1::text and organisation = $2::text)`

var (
	// dueEvents are the first waiting event of each transcript, if it is due. The first one is looked up for each: a join could make Postgres compare
	// all events with all, as long as the table has no statistics.
	dueEvents = `select e.event_id from dixa_import.events e where e.state = 'waiting' and e.` + ofSource + ` and e.next_attempt_at <= {in $4}
			and e.event_id = (select o.event_id from dixa_import.events o {indexed by events_order} where o.state = 'waiting' and o.source = e.source
				and o.transcript_id = e.transcript_id order by o.at, case o.type when 'conversation_assigned' then 0 when 'conversation_closed' then 2 else 1 end,
				o.received_at, o.event_id limit 1)`
	claimDue = `update dixa_import.events set claim = claim + 1, claimed_by = $6::text, next_attempt_at = {in $7} where event_id `

	// SQLite finds due events in the order of the index, and stops at the limit. Sorting would read all of them.
	claimEvents = apart(claimDue+`= any(array(`+dueEvents+` order by e.next_attempt_at limit $5::bigint for update skip locked)) and state = 'waiting' returning `+eventColumns,
		claimDue+`in (`+dueEvents+` limit $5) returning `+eventColumns)
	firstEvent = both(`select {at min(next_attempt_at)}, {at {in $4}} from dixa_import.events where state = 'waiting' and ` + ofSource)
	nextEvent  = both(`select {at min(next_attempt_at)}, {at {in $4}} from dixa_import.events
		where state = 'waiting' and ` + ofSource + ` and next_attempt_at > {in $4}`)
	markForwarded = both(`update dixa_import.events set state = 'forwarded', text = null, author_name = null, forwarded_at = {in $3}, next_attempt_at = null,
			attempts = attempts + 1, first_attempt_at = coalesce(first_attempt_at, {in $3}), last_status = $4::bigint, last_error = null, claimed_by = null
		where event_id = $1::text and claim = $2::bigint and state = 'waiting'`)
	failEvent = both(`update dixa_import.events set attempts = attempts + 1, first_attempt_at = coalesce(first_attempt_at, {in $3}), claimed_by = null,
			last_status = nullif($4::bigint, 0), last_error = nullif($5::text, ''), state = case when first_attempt_at <= {in $7} then 'dead' else state end,
			next_attempt_at = case when first_attempt_at <= {in $7} then null else {in $6} end
		where event_id = $1::text and claim = $2::bigint and state = 'waiting' returning state`)
	// The later events of a transcript wait as long as the one that failed, so that searches for due events need not look at them.
	delayLater = both(`update dixa_import.events {indexed by events_order} set next_attempt_at = {in $2} where state = 'waiting' and next_attempt_at < {in $2} and claimed_by is null
		and (source, transcript_id) = (select f.source, f.transcript_id from dixa_import.events f where f.event_id = $1::text and f.claim = $3::bigint and f.state = 'waiting')`)
	// hastenLater undoes that for the transcript of an event that no longer waits, but has failed before.
	hastenLater = both(`update dixa_import.events {indexed by events_order} set next_attempt_at = {in $2} where state = 'waiting' and next_attempt_at > {in $2} and claimed_by is null
		and (source, transcript_id) = (select f.source, f.transcript_id from dixa_import.events f where f.event_id = $1::text and f.state <> 'waiting' and f.attempts > 1)`)
)

// ClaimEvents claims up to limit events for forwarding: of each transcript the first waiting event, if it is due. A dead event holds up no
// later one. The claim lasts for the lease; until then no other process gets the event. next is the time until another event may become due, 0 if none is waiting.
func (s *Store) ClaimEvents(ctx context.Context, of Binding, source, instance string, lease time.Duration, limit int) (events []WebhookEvent, next time.Duration, err error) {
	args := []any{clean(of.BaseURL), clean(of.Organisation), source, present}
	due := false
	scan := func(row scanner) error {
		var at, now time.Time
		err := row.Scan(instant{&at}, instant{&now})
		if due = !at.IsZero() && !at.After(now); !at.IsZero() {
			next = max(at.Sub(now), time.Millisecond)
		}
		return err
	}
	first := firstEvent.with(args...)
	first.row = scan
	if err := s.read(ctx, "read", first); err != nil || !due { // nothing needs to be written while nothing is due
		return nil, next, err
	}
	claim := claimEvents.with(append(args, limit, instance, fromNow(lease))...)
	claim.row = func(row scanner) error {
		var e WebhookEvent
		err := e.scan(row)
		events = append(events, e)
		return err
	}
	following := nextEvent.with(args...)
	following.row = scan
	next = 0
	err = s.write(ctx, "claim events in", claim, following)
	return events, next, err
}

// MarkForwarded records that an event was accepted, and removes its text. It reports false, and changes nothing, if the claim is no longer
// the current one.
func (s *Store) MarkForwarded(ctx context.Context, id string, claim int64, status int) (marked bool, err error) {
	mark := markForwarded.with(clean(id), claim, present, status)
	mark.changed = func(n int64) error {
		marked = n == 1
		return nil
	}
	err = s.write(ctx, "write", mark, hastenLater.with(clean(id), present))
	return marked, err
}

// FailEvent records a failed attempt to forward an event. The next one is due after the delay, unless the first one was longer ago than
// giveUp: then the event is dead. It returns the state of the event, "" if the claim is no longer the current one.
func (s *Store) FailEvent(ctx context.Context, id string, claim int64, status int, reason string, delay, giveUp time.Duration) (state EventState, err error) {
	fail := failEvent.with(clean(id), claim, present, status, clean(reason), fromNow(delay), fromNow(-giveUp))
	fail.row = func(row scanner) error { return row.Scan(&state) }
	// Only one of the last two has an effect.
	err = s.write(ctx, "write", fail, delayLater.with(clean(id), fromNow(delay), claim), hastenLater.with(clean(id), present))
	return state, err
}
