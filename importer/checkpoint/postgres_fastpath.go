package checkpoint

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// postgresFastPath finds its rows like postgresAsked, and updates them by ctid: a row that another process has written meanwhile has another
// ctid and is left out. The unique index refuses a conversation that another transcript has.
const postgresFastPath = `update dixa_import.transcripts t set status = v.becomes, conversation_id = nullif(v.conversation_id, 0),
		end_user_id = v.end_user_id, attempts = v.attempts, error_code = null, error = null, reason = null,
		content_hash = v.content_hash, closed_at = v.closed_at,
		sent_messages = case when v.becomes = 'sending' then nullif(v.sent_messages, '') else t.sent_messages end,
		set_values = case when v.becomes = 'complete' then nullif(v.set_values, '') else t.set_values end, run_id = $2::bigint,
		claimed_by = case when v.becomes <> 'complete' then $2::bigint end,
		send_before = case when v.becomes = 'sending' then clock_timestamp() + v.send_for * interval '1 microsecond' end,
		imported_at = case when v.was = 'sending' then now() else t.imported_at end,
		imported_by = case when v.was = 'sending' then $2::bigint else t.imported_by end, updated_at = now()
	from (select asked.*, place
		from unnest($3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::integer[], $10::text[],
			$11::timestamptz[], $12::bigint[], $13::text[], $14::text[]) as asked (asked_id, asked_claim, was, becomes, conversation_id, end_user_id, attempts,
			content_hash, closed_at, send_for, sent_messages, set_values)
		cross join lateral (select ctid as place from dixa_import.transcripts as t
			where t.source = $1::text and t.transcript_id = asked_id and t.claim = asked_claim and t.claimed_by = $2::bigint
				and t.status = was and (was <> 'sending' or t.attempts <= asked.attempts)
				and (was <> 'imported' or t.conversation_id = asked.conversation_id)
				and (becomes <> 'complete' or not exists (select 1 from dixa_import.partial_errors p
					where p.source = $1::text and p.transcript_id = asked_id)) offset 0) as l) as v
	where t.ctid = v.place
	returning t.transcript_id`

// writeFastPath applies fast-path changes in one round trip, and sets the results of those whose row matched. If the index refuses one, none
// is applied.
func (s *postgresStore) writeFastPath(ctx context.Context, source string, run int64, changes []fastPathChange, results []Result) error {
	if len(changes) == 0 {
		return nil
	}
	var updated []string
	err := s.writing(ctx, "write", func(b *pgx.Batch) error {
		updated = updated[:0]
		queueFastPath(b, source, run, changes).Query(eachRow(func(rows pgx.Rows) error {
			var id string
			err := rows.Scan(&id)
			updated = append(updated, id)
			return err
		}))
		return nil
	})
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && raced(pg) {
		return nil
	}
	if err != nil {
		return err
	}
	byID := make(map[string]fastPathChange, len(changes))
	for _, c := range changes {
		byID[c.ID] = c
	}
	for _, id := range updated {
		byID[id].setApplied(run, results)
	}
	return nil
}

func queueFastPath(b *pgx.Batch, source string, run int64, changes []fastPathChange) *pgx.QueuedQuery {
	var ids, from, to, endUsers, hashes, sent, values []string
	var claims, conversations, sendFors []int64
	var attempts []int32
	var closed []*time.Time
	for _, c := range changes {
		ids, claims, conversations = append(ids, c.ID), append(claims, c.Claim), append(conversations, c.conversation())
		from, to = append(from, string(c.from)), append(to, string(c.to))
		endUsers, attempts, hashes = append(endUsers, c.EndUserID), append(attempts, int32(c.Attempts)), append(hashes, c.ContentHash)
		closed, sendFors = append(closed, nullTime(c.ClosedAt)), append(sendFors, c.SendFor.Microseconds())
		sent, values = append(sent, c.Sent), append(values, c.SetValues)
	}
	return b.Queue(postgresFastPath, source, run, ids, claims, from, to, conversations, endUsers, attempts, hashes, closed, sendFors, sent, values)
}
