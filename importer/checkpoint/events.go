package checkpoint

import (
	"context"
	"slices"
	"strings"
	"time"
)

// EventState is what is to be done with an event.
type EventState string

// The states of an event.
const (
	EventWaiting   EventState = "waiting"   // it is to be forwarded
	EventForwarded EventState = "forwarded" // it was accepted, and its text is removed
	EventDead      EventState = "dead"      // it was given up
	EventKept      EventState = "kept"      // there is nobody to forward it to
)

// EventEffect is what a transcript learns from an event.
type EventEffect string

// The effects of events.
const (
	EffectNone     EventEffect = ""
	EffectAssigned EventEffect = "assigned" // an agent has the conversation
	EffectClosed   EventEffect = "closed"   // the conversation was closed
)

// WebhookEvent is what Dixa reported about a conversation. The zero value of a field means unknown.
type WebhookEvent struct {
	ID             string
	Source         string // of the transcript
	TranscriptID   string // "" while no transcript with the conversation is recorded
	ConversationID int64
	CSID           int64 // another number of the conversation, if the event gave two
	Type           string
	FQN            string // the type as Dixa calls it
	At             time.Time
	AuthorID       string
	AuthorType     string
	AuthorName     string
	Text           string
	MessageID      string
	Effect         EventEffect
	AgentID        string // for Effect: the agent who closed the conversation, or has it

	// These are set by the store.
	ReceivedAt    time.Time
	State         EventState
	Attempts      int       // to forward it
	NextAttemptAt time.Time // of an event that is EventWaiting; while it is being forwarded: when another process may do so
	ForwardedAt   time.Time
	LastStatus    int // of the answer to the last attempt, 0 if there was none
	LastError     string
	Claim         int64 // the number of the current claim, for MarkForwarded and FailEvent
}

// StoreOptions are how StoreEvents stores.
type StoreOptions struct {
	// Forward makes new events EventWaiting, from Delay on. Otherwise, they are EventKept.
	Forward bool
	Delay   time.Duration
	// Hold is how old an event may be that is stored although no transcript with its conversation is recorded.
	Hold time.Duration
}

// StoredEvent is the result of StoreEvents for one event.
type StoredEvent struct {
	New          bool   // false: it was stored before, or the checkpoint knows nothing of its conversation
	TranscriptID string // "" if it waits for its transcript
}

const (
	// holderOf, with a condition, finds the transcript that has a conversation, in any source of an organisation.
	holderOf   = `select t.source, t.transcript_id, t.conversation_id from dixa_import.transcripts t join dixa_import.sources s on s.source = t.source`
	itsHolder  = `t.conversation_id in (e.conversation_id, e.csid) and s.base_url = e.base_url and s.organisation = e.organisation`
	attachable = `e.transcript_id is null and exists (` + holderOf + ` where ` + itsHolder + `)`
	// handedOver is true for a transcript that was handed over to agents, or is about to be.
	handedOver = `(handover_state is not null or exists (select 1 from dixa_import.steps st where st.source = t.source and st.transcript_id = t.transcript_id
			and st.step = 'transfer' and st.state in ('sending', 'done')))`
)

var (
	insertEvent = both(`insert into dixa_import.events (event_id, base_url, organisation, source, transcript_id, conversation_id, csid, type, event_fqn,
			at, received_at, author_id, author_type, author_name, text, message_id, effect, agent_id, state, next_attempt_at)
		select $1::text, $2::text, $3::text, h.source, h.transcript_id, coalesce(h.conversation_id, $4::bigint), nullif($5::bigint, 0), $6::text, $7::text,
			coalesce($8::timestamptz, {in $9}), {in $9}, nullif($10::text, ''), nullif($11::text, ''), nullif($12::text, ''), nullif($13::text, ''),
			nullif($14::text, ''), nullif($15::text, ''), nullif($16::text, ''), case when $17::boolean then 'waiting' else 'kept' end,
			case when $17::boolean then {in $18} end
		from (select 1 as one) as one left join (` + holderOf + ` where t.conversation_id in ($4::bigint, $5::bigint) and s.base_url = $2::text and s.organisation = $3::text
			order by t.source, t.conversation_id limit 1) as h on true
		where h.source is not null or coalesce($8::timestamptz, {in $9}) >= {in $19}
		on conflict (event_id) do nothing returning coalesce(transcript_id, '')`)
	// An event that is not newer than a known closing or reopening changes nothing, so a conversation that was reopened stays open when an
	// old event arrives late.
	applyEffect = both(`update dixa_import.transcripts as t set
			handover_state = case when not ` + handedOver + ` then null when $2::text = 'closed' or handover_state = 'closed' then 'closed' else 'assigned' end,
			agent_closed_at = case when $2::text = 'closed' then $3::timestamptz else agent_closed_at end,
			closed_by = case when $2::text = 'closed' then nullif($4::text, '') else closed_by end
		where (source, transcript_id) = (select e.source, e.transcript_id from dixa_import.events e where e.event_id = $1::text)
			and (agent_closed_at is null or agent_closed_at < $3::timestamptz)
			and (reopened_at is null or reopened_at < $3::timestamptz)
			and (` + handedOver + ` or $2::text = 'closed' and $4::text <> '')`)
	clearEffect = both(`update dixa_import.events set effect = null where event_id = $1::text and transcript_id is not null`)

	attachEvents = both(`update dixa_import.events as e set (source, transcript_id, conversation_id) = (` + holderOf + ` where ` + itsHolder + `
			order by t.source, t.conversation_id limit 1) where ` + attachable)
	anyAttachable  = both(`select 1 from dixa_import.events e where ` + attachable + ` limit 1`)
	pendingEffects = both(`select event_id, effect, {at at}, coalesce(agent_id, '') from dixa_import.events
		where effect is not null and transcript_id is not null order by source, transcript_id, at limit 1000`)
	handedOverOf = both(holderOf + ` where t.conversation_id in ($3::bigint, $4::bigint) and s.base_url = $1::text and s.organisation = $2::text and ` + handedOver + ` limit 1`)
	sourcesOf    = both(`select source from dixa_import.sources where base_url = $1::text and organisation = $2::text order by source`)
)

// StoreEvents stores events of an organisation, each once, with the transcript that has its conversation, whatever its source. It returns a
// result for each event. It neither stores an event of an unknown conversation that is older than Hold, nor one without an id or a
// conversation. The transcripts learn of the effects in the same transaction.
func (s *Store) StoreEvents(ctx context.Context, of Binding, events []WebhookEvent, opts StoreOptions) ([]StoredEvent, error) {
	results := make([]StoredEvent, len(events))
	var list []statement
	for _, i := range inOrder(events) {
		e := events[i].stored()
		if e.ID == "" || e.ConversationID <= 0 {
			continue
		}
		insert := insertEvent.with(e.ID, clean(of.BaseURL), clean(of.Organisation), e.ConversationID, e.CSID, e.Type, e.FQN, timeArg(e.At), present,
			e.AuthorID, e.AuthorType, e.AuthorName, e.Text, e.MessageID, string(e.Effect), e.AgentID, opts.Forward, fromNow(opts.Delay), fromNow(-opts.Hold))
		insert.row = func(row scanner) error {
			results[i].New = true
			return row.Scan(&results[i].TranscriptID)
		}
		list = append(list, insert)
		if e.Effect != EffectNone {
			at := e.At
			if at.IsZero() {
				at = time.Now()
			}
			list = append(list, applyEffect.with(e.ID, string(e.Effect), at, e.AgentID), clearEffect.with(e.ID))
		}
	}
	if len(list) == 0 {
		return results, nil
	}
	err := s.write(ctx, "store events in", list...)
	return results, err
}

// inOrder returns the indexes of the events in the order of their conversations, in which concurrent calls lock transcripts.
func inOrder(events []WebhookEvent) []int {
	order := make([]int, len(events))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := events[a], events[b]
		if x.ConversationID != y.ConversationID {
			return int(min(max(x.ConversationID-y.ConversationID, -1), 1))
		}
		if c := x.At.Compare(y.At); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
	return order
}

// stored returns the event with its values in stored form.
func (e WebhookEvent) stored() WebhookEvent {
	for _, text := range []*string{&e.ID, &e.Type, &e.FQN, &e.AuthorID, &e.AuthorType, &e.AuthorName, &e.Text, &e.MessageID, &e.AgentID} {
		*text = clean(*text)
	}
	e.At = storableTime(e.At, sqlitePrecision)
	if e.CSID == e.ConversationID {
		e.CSID = 0
	}
	return e
}

// timeArg returns a time as an argument, null for the zero time.
func timeArg(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// AttachEvents gives stored events the transcripts whose conversations were recorded since, and lets those learn of the effects. It returns
// the number of attached events.
func (s *Store) AttachEvents(ctx context.Context) (attached int64, err error) {
	found := false
	read := anyAttachable.with()
	read.row = func(row scanner) error {
		found = true
		return row.Scan(new(int))
	}
	if err := s.read(ctx, "read", read); err != nil {
		return 0, err
	}
	if found {
		attach := attachEvents.with()
		attach.changed = func(n int64) error {
			attached = n
			return nil
		}
		if err := s.write(ctx, "attach events in", attach); err != nil {
			return 0, err
		}
	}
	return attached, s.applyEffects(ctx)
}

// applyEffects lets transcripts learn of the effects of attached events.
func (s *Store) applyEffects(ctx context.Context) error {
	var list []statement
	pending := pendingEffects.with()
	pending.row = func(row scanner) error {
		var id, effect, agent string
		var at time.Time
		err := row.Scan(&id, &effect, instant{&at}, &agent)
		list = append(list, applyEffect.with(id, effect, at, agent), clearEffect.with(id))
		return err
	}
	if err := s.read(ctx, "read", pending); err != nil || len(list) == 0 {
		return err
	}
	return s.write(ctx, "write", list...)
}

// SourcesOf returns the names of the sources that are tied to an organisation.
func (s *Store) SourcesOf(ctx context.Context, of Binding) (names []string, err error) {
	read := sourcesOf.with(clean(of.BaseURL), clean(of.Organisation))
	read.row = func(row scanner) error {
		var name string
		err := row.Scan(&name)
		names = append(names, name)
		return err
	}
	err = s.read(ctx, "read", read)
	return names, err
}

// HandedOver reports whether a conversation, by either of its numbers, was handed over to agents.
func (s *Store) HandedOver(ctx context.Context, of Binding, conversation, csid int64) (handed bool, err error) {
	read := handedOverOf.with(clean(of.BaseURL), clean(of.Organisation), conversation, csid)
	read.row = func(row scanner) error {
		handed = true
		var source, id string
		return row.Scan(&source, &id, &conversation)
	}
	err = s.read(ctx, "read", read)
	return handed, err
}

// Handover is what became of a conversation that was handed over to agents.
type Handover struct {
	State         string // waiting, assigned or closed; "" if it was not handed over
	QueueID       string
	AgentClosedAt time.Time
	ClosedBy      string // the agent who closed it
	FollowUpOf    string // the transcript that this one continues, once its conversation is linked to that of the other
	FollowedBy    []string
}

var (
	readHandover = both(`select coalesce(handover_state, ''), coalesce(queue_id, ''), {at agent_closed_at}, coalesce(closed_by, ''), coalesce(follow_up_of, '')
		from dixa_import.transcripts where source = $1::text and transcript_id = $2::text`)
	readFollowers = both(`select transcript_id from dixa_import.transcripts where source = $1::text and follow_up_of = $2::text order by created_at, transcript_id`)
)

// Handover returns what became of the conversation of a transcript, the zero Handover if nothing is known.
func (s *Store) Handover(ctx context.Context, source, id string) (h Handover, err error) {
	read := readHandover.with(source, clean(id))
	read.row = func(row scanner) error {
		return row.Scan(&h.State, &h.QueueID, instant{&h.AgentClosedAt}, &h.ClosedBy, &h.FollowUpOf)
	}
	followers := readFollowers.with(source, clean(id))
	followers.row = func(row scanner) error {
		var follower string
		err := row.Scan(&follower)
		h.FollowedBy = append(h.FollowedBy, follower)
		return err
	}
	if err = s.read(ctx, "read", read); err == nil {
		err = s.read(ctx, "read", followers)
	}
	return h, err
}
