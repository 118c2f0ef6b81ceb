package checkpoint

import (
	"time"

	"github.com/jackc/pgx/v5"
)

// Each of these finds its rows as postgresAsked does, and by their place (ctid) updates those that are still there: a row that
// somebody else has written meanwhile has moved.
const (
	postgresSend = `update dixa_import.transcripts t set status = 'sending', run_id = $3::bigint, end_user_id = nullif(v.end_user_id, ''),
			attempts = v.attempts, error_code = null, error = null, content_hash = nullif(v.content_hash, ''), closed_at = v.closed_at,
			send_before = clock_timestamp() + v.send_for * interval '1 microsecond', updated_at = now()
		from (select asked.*, place
			from unnest($2::text[], $4::bigint[], $5::text[], $6::integer[], $7::text[], $8::timestamptz[], $9::bigint[])
				as asked (asked_id, asked_claim, end_user_id, attempts, content_hash, closed_at, send_for)
			cross join lateral (select ctid as place from dixa_import.transcripts where source = $1::text and transcript_id = asked_id
				and claim = asked_claim and claimed_by = $3::bigint and status = 'pending' offset 0) as l) as v
		where t.ctid = v.place
		returning t.transcript_id`

	// A conversation that another transcript has is refused by the index.
	postgresFound = `update dixa_import.transcripts t set status = 'imported', conversation_id = v.conversation_id,
			end_user_id = coalesce(nullif(v.end_user_id, ''), t.end_user_id), attempts = greatest(t.attempts, v.attempts), error_code = null,
			error = null, content_hash = coalesce(nullif(v.content_hash, ''), t.content_hash), closed_at = coalesce(v.closed_at, t.closed_at),
			send_before = null, imported_at = now(), updated_at = now()
		from (select asked.*, place
			from unnest($2::text[], $3::bigint[], $4::text[], $5::integer[], $6::text[], $7::timestamptz[])
				as asked (asked_id, conversation_id, end_user_id, attempts, content_hash, closed_at)
			cross join lateral (select ctid as place from dixa_import.transcripts where source = $1::text and transcript_id = asked_id
				and status = 'sending' offset 0) as l) as v
		where t.ctid = v.place
		returning t.transcript_id`

	postgresFinish = `update dixa_import.transcripts t set status = 'complete', run_id = $3::bigint, end_user_id = nullif(v.end_user_id, ''),
			attempts = v.attempts, error_code = null, error = null, content_hash = nullif(v.content_hash, ''), closed_at = v.closed_at,
			claimed_by = null, updated_at = now()
		from (select asked.*, place
			from unnest($2::text[], $4::bigint[], $5::text[], $6::integer[], $7::text[], $8::timestamptz[])
				as asked (asked_id, asked_claim, end_user_id, attempts, content_hash, closed_at)
			cross join lateral (select ctid as place from dixa_import.transcripts where source = $1::text and transcript_id = asked_id
				and claim = asked_claim and claimed_by = $3::bigint and status = 'imported' offset 0) as l
			where not exists (select 1 from dixa_import.partial_errors p
				where p.source = $1::text and p.transcript_id = asked_id)) as v
		where t.ctid = v.place
		returning t.transcript_id`
)

// queueUsual applies the usual ones of the changes, and marks in results those that met a row as it should be.
func queueUsual(b *pgx.Batch, source string, run int64, changes []Change, quick []bool, results []Result) {
	for _, event := range []Event{Send, Found, Finish} {
		var ids, endUsers, hashes []string
		var claims, conversations, sendFors []int64
		var attempts []int32
		var closed []*time.Time
		at := map[string]int{}
		for i, c := range changes {
			if !quick[i] || c.Event != event {
				continue
			}
			at[c.ID] = i
			ids, endUsers, hashes = append(ids, c.ID), append(endUsers, c.EndUserID), append(hashes, c.ContentHash)
			claims, conversations = append(claims, c.Claim), append(conversations, c.ConversationID)
			sendFors, attempts, closed = append(sendFors, c.SendFor.Microseconds()), append(attempts, int32(c.Attempts)), append(closed, nullTime(c.ClosedAt))
		}
		if len(ids) == 0 {
			continue
		}
		var q *pgx.QueuedQuery
		switch event {
		case Send:
			q = b.Queue(postgresSend, source, ids, run, claims, endUsers, attempts, hashes, closed, sendFors)
		case Found:
			q = b.Queue(postgresFound, source, ids, conversations, endUsers, attempts, hashes, closed)
		case Finish:
			q = b.Queue(postgresFinish, source, ids, run, claims, endUsers, attempts, hashes, closed)
		}
		q.Query(eachRow(func(rows pgx.Rows) error {
			var id string
			err := rows.Scan(&id)
			results[at[id]].Applied = true
			return err
		}))
	}
}
