package checkpoint

import (
	"context"
	"strconv"
	"time"
)

// CodeUndone is the error code of a Skipped transcript whose import was undone: its conversation is anonymized, or to be.
const CodeUndone = "undone"

// WithdrawalAction is what is asked of Dixa to take an import back.
type WithdrawalAction string

// The actions.
const (
	WithdrawTag     WithdrawalAction = "tag"                // a conversation
	WithdrawImport  WithdrawalAction = "anonymize"          // a conversation
	WithdrawEndUser WithdrawalAction = "anonymize_end_user" // an end-user with all conversations
)

// WithdrawalState is how far a withdrawal is.
type WithdrawalState string

// The states of a withdrawal. One that has not begun has none.
const (
	WithdrawalSending WithdrawalState = "sending" // its request may be on its way
	WithdrawalAsked   WithdrawalState = "asked"   // Dixa has taken the request, and it waits in a queue
	WithdrawalDone    WithdrawalState = "done"
	WithdrawalRefused WithdrawalState = "refused" // by Dixa; it may be asked again
	WithdrawalGone    WithdrawalState = "gone"    // Dixa does not have the conversation or the end-user any more
)

// Withdrawal is what is recorded of one request to take back an import.
type Withdrawal struct {
	Organisation string
	Action       WithdrawalAction
	Target       string // of WithdrawImport and WithdrawEndUser the id; of WithdrawTag the conversation's and the tag's
	// These are set unless the action is WithdrawEndUser.
	ConversationID       int64
	Source, TranscriptID string
	RunID                int64 // the run that imported it

	State     WithdrawalState
	RequestID string // of Dixa's
	Detail    string // the name of the tag, or why Dixa refused
	Attempts  int    // requests that were sent
	// SendIn is, for WithdrawalSending, the time left in which its request may leave, negative if that has passed.
	SendIn  time.Duration
	AskedAt time.Time
}

// ImportTarget returns the target of WithdrawImport for a conversation.
func ImportTarget(conversation int64) string { return strconv.FormatInt(conversation, 10) }

// ImportOf is a conversation that a run imported and that a transcript still has.
type ImportOf struct {
	TranscriptID   string
	Status         Status
	ConversationID int64
	ImportedAt     time.Time
	Held           bool       // a run that is alive works on it
	Withdrawal     Withdrawal // of the conversation; the zero value if nothing is recorded
}

const withdrawalColumns = `w.organisation, w.action, w.target, coalesce(w.conversation_id, 0), coalesce(w.source, ''), coalesce(w.transcript_id, ''), coalesce(w.run_id, 0),
	w.state, coalesce(w.request_id, ''), coalesce(w.detail, ''), w.attempts, {at w.send_before}, {at w.asked_at}`

var (
	// Imports before version 10 of the schema do not say which run recorded the conversation.
	readImportsOf = both(`select t.transcript_id, t.status, t.conversation_id, {at t.imported_at},
			t.claimed_by is not null and t.claimed_by in (select id from dixa_import.runs where finished_at is null and lease_until > {in $5}),
			coalesce(w.state, ''), coalesce(w.request_id, ''), coalesce(w.detail, ''), coalesce(w.attempts, 0), {at w.send_before}, {at w.asked_at}, {at {in $5}}
		from dixa_import.transcripts t left join dixa_import.withdrawals w on w.organisation = $3::text and w.action = 'anonymize' and w.conversation_id = t.conversation_id
		where t.source = $1::text and t.transcript_id > $4::text and t.conversation_id is not null and (t.imported_by = $2::bigint or t.imported_by is null and t.run_id = $2::bigint
			and t.imported_at >= (select started_at from dixa_import.runs where id = $2::bigint))
		order by t.transcript_id limit $6::bigint`)
	readWithdrawals = both(`select ` + withdrawalColumns + `, {at {in $6}} from dixa_import.withdrawals w
		where w.run_id = $1::bigint and w.organisation = $2::text and w.action = $3::text and w.target > $4::text and ($5::text[] is null or w.state {any $5})
		order by w.target limit $7::bigint`)
	readWithdrawal = both(`select ` + withdrawalColumns + `, {at {in $4}} from dixa_import.withdrawals w
		where w.organisation = $1::text and w.action = $2::text and w.target = $3::text`)
	// A repetition of a call whose answer was lost finds its own attempt.
	beginWithdrawal = both(`insert into dixa_import.withdrawals as w (organisation, action, target, conversation_id, source, transcript_id, run_id, state, detail, attempts, claimed_by,
			send_before, updated_at)
		values ($1::text, $2::text, $3::text, nullif($4::bigint, 0), nullif($5::text, ''), nullif($6::text, ''), nullif($7::bigint, 0), 'sending', nullif($8::text, ''),
			$9::bigint + 1, $10::text, {in $11}, {in $12})
		on conflict (organisation, action, target) do update set conversation_id = excluded.conversation_id, source = excluded.source, transcript_id = excluded.transcript_id,
			run_id = excluded.run_id, state = 'sending', detail = excluded.detail, request_id = null, attempts = excluded.attempts, claimed_by = excluded.claimed_by,
			send_before = excluded.send_before, asked_at = null, updated_at = excluded.updated_at
		where w.state in ('sending', 'refused', 'gone') and (w.attempts = $9::bigint or w.attempts = $9::bigint + 1 and w.claimed_by = $10::text)`)
	endWithdrawal = both(`update dixa_import.withdrawals set state = $4::text, request_id = coalesce(nullif($5::text, ''), request_id), detail = nullif($6::text, ''),
			send_before = null, asked_at = coalesce(asked_at, case when $4::text = 'asked' then {in $8} end), updated_at = {in $8}
		where organisation = $1::text and action = $2::text and target = $3::text and attempts = $7::bigint and state in ('sending', 'asked')`)
	// An attempt of which nothing left says nothing about the one before it.
	forgetFirstAttempt = both(`delete from dixa_import.withdrawals
		where organisation = $1::text and action = $2::text and target = $3::text and attempts = $4::bigint and attempts = 1 and state = 'sending'`)
	endUnsentAttempt = both(`update dixa_import.withdrawals set send_before = {in $5}, updated_at = {in $5}
		where organisation = $1::text and action = $2::text and target = $3::text and attempts = $4::bigint and state = 'sending'`)

	undoTranscript = both(`update dixa_import.transcripts set status = 'skipped', error_code = 'undone', error = $4::text, reason = null, conversation_id = null,
			claimed_by = null, claim = claim + 1, send_before = null, queue_id = null, handover_state = null, agent_closed_at = null, closed_by = null, updated_at = {in $5}
		where source = $1::text and transcript_id = $2::text and conversation_id = $3::bigint and (claimed_by is null or not exists
			(select 1 from dixa_import.runs where id = claimed_by and finished_at is null and lease_until > {in $5}))`)
	// These follow undoTranscript, and do nothing if that did not find the transcript.
	ofUndone    = ` where source = $1::text and transcript_id = $2::text and exists (select 1 from dixa_import.transcripts t where t.source = $1::text and t.transcript_id = $2::text and t.error_code = 'undone')`
	undoSteps   = both(`delete from dixa_import.steps` + ofUndone)
	undoPartial = both(`delete from dixa_import.partial_errors` + ofUndone + ` and kind <> 'duplicate'`)
	undoEvents  = both(`update dixa_import.events set text = null, author_name = null, state = case when state = 'waiting' then 'dead' else state end,
			next_attempt_at = null, claimed_by = null, last_error = case when state = 'waiting' then 'the import was undone' else last_error end` + ofUndone)
	readOrganisation = both(`select distinct end_user_id from dixa_import.end_users where organisation <> $1::text and end_user_id {any $2}`)
)

// ImportsOf returns conversations that a run imported and that transcripts of its source still have, in the order of the transcripts' ids,
// after the one given. Those that were undone are among WithdrawalsOf.
func (s *Store) ImportsOf(ctx context.Context, source string, run int64, organisation, after string, limit int) (list []ImportOf, err error) {
	read := readImportsOf.with(source, run, organisation, clean(after), present, limit)
	read.row = func(row scanner) error {
		var x ImportOf
		var before, now time.Time
		w := &x.Withdrawal
		err := row.Scan(&x.TranscriptID, &x.Status, &x.ConversationID, instant{&x.ImportedAt}, &x.Held, &w.State, &w.RequestID, &w.Detail, &w.Attempts, instant{&before},
			instant{&w.AskedAt}, instant{&now})
		w.Organisation, w.Action, w.Target, w.ConversationID = organisation, WithdrawImport, ImportTarget(x.ConversationID), x.ConversationID
		w.Source, w.TranscriptID, w.RunID = source, x.TranscriptID, run
		w.setSendIn(before, now)
		list = append(list, x)
		return err
	}
	err = s.read(ctx, "read", read)
	return list, err
}

func (w *Withdrawal) setSendIn(before, now time.Time) {
	if w.State == WithdrawalSending {
		w.SendIn = before.Sub(now)
	}
}

func (w *Withdrawal) scan(row scanner) error {
	var before, now time.Time
	err := row.Scan(&w.Organisation, &w.Action, &w.Target, &w.ConversationID, &w.Source, &w.TranscriptID, &w.RunID, &w.State, &w.RequestID, &w.Detail, &w.Attempts,
		instant{&before}, instant{&w.AskedAt}, instant{&now})
	w.setSendIn(before, now)
	return err
}

// WithdrawalsOf returns what was asked of Dixa about the conversations of a run, in the order of the targets, after the one given; of these
// states, or of all.
func (s *Store) WithdrawalsOf(ctx context.Context, run int64, organisation string, action WithdrawalAction, states []WithdrawalState, after string, limit int) (list []Withdrawal, err error) {
	var of any
	if len(states) > 0 {
		of = texts(states)
	}
	read := readWithdrawals.with(run, organisation, string(action), after, of, present, limit)
	read.row = func(row scanner) error {
		var w Withdrawal
		err := w.scan(row)
		list = append(list, w)
		return err
	}
	err = s.read(ctx, "read", read)
	return list, err
}

// Withdrawal returns what is recorded of one, with no State if that is nothing.
func (s *Store) Withdrawal(ctx context.Context, organisation string, action WithdrawalAction, target string) (w Withdrawal, err error) {
	w = Withdrawal{Organisation: organisation, Action: action, Target: target}
	read := readWithdrawal.with(organisation, string(action), target, present)
	read.row = w.scan
	err = s.read(ctx, "read", read)
	return w, err
}

// BeginWithdrawal records, before a request leaves, that it may be on its way for window. It reports false, and records nothing, unless
// w.Attempts is the recorded number of attempts: another process has begun, or it is asked or done. me names the process. On success the number of
// attempts is one higher.
func (s *Store) BeginWithdrawal(ctx context.Context, w Withdrawal, me string, window time.Duration) (begun bool, err error) {
	begin := beginWithdrawal.with(w.Organisation, string(w.Action), w.Target, w.ConversationID, w.Source, clean(w.TranscriptID), w.RunID, clean(w.Detail), w.Attempts, me,
		fromNow(window), present)
	begin.changed = func(n int64) error {
		begun = n == 1
		return nil
	}
	err = s.write(ctx, "write", begin)
	return begun, err
}

// EndWithdrawal records what became of the attempt w.Attempts, or of a request that was asked: State, RequestID and Detail. If an import is
// asked, done or gone, its transcript is Skipped with CodeUndone and has no conversation any more, unless a run that is alive works on it.
func (s *Store) EndWithdrawal(ctx context.Context, w Withdrawal) error {
	list := []statement{endWithdrawal.with(w.Organisation, string(w.Action), w.Target, string(w.State), w.RequestID, clean(w.Detail), w.Attempts, present)}
	if w.Action == WithdrawImport && w.State != WithdrawalRefused {
		list = append(list, s.undo(w)...)
	}
	return s.write(ctx, "write", list...)
}

// Undo marks the transcript of a withdrawn import as EndWithdrawal does, for one that could not be marked then.
func (s *Store) Undo(ctx context.Context, w Withdrawal) error {
	return s.write(ctx, "write", s.undo(w)...)
}

func (s *Store) undo(w Withdrawal) []statement {
	id := clean(w.TranscriptID)
	why := "its import was undone: conversation " + w.Target + " is anonymized, or to be"
	return []statement{undoTranscript.with(w.Source, id, w.ConversationID, why, present), undoSteps.with(w.Source, id), undoPartial.with(w.Source, id),
		undoEvents.with(w.Source, id)}
}

// AbandonWithdrawal records that nothing of the attempt w.Attempts left.
func (s *Store) AbandonWithdrawal(ctx context.Context, w Withdrawal) error {
	return s.write(ctx, "write", forgetFirstAttempt.with(w.Organisation, string(w.Action), w.Target, w.Attempts),
		endUnsentAttempt.with(w.Organisation, string(w.Action), w.Target, w.Attempts, present))
}

// Elsewhere returns which of these end-users belong to another organisation.
func (s *Store) Elsewhere(ctx context.Context, organisation string, endUserIDs []string) (others []string, err error) {
	read := readOrganisation.with(organisation, endUserIDs)
	read.row = func(row scanner) error {
		var id string
		err := row.Scan(&id)
		others = append(others, id)
		return err
	}
	err = s.read(ctx, "read", read)
	return others, err
}
