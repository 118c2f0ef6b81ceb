package checkpoint

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// The rows come sorted by id: of two processes that insert the same ones, the second waits.
	postgresInsert = `insert into dixa_import.transcripts
		(source, transcript_id, status, content_hash, closed_at, run_id, claim, claimed_by, file)
		select $1::text, v.transcript_id, v.status, nullif(v.content_hash, ''), v.closed_at, v.run_id, v.claim, v.claimed_by,
			nullif(v.file, '')
		from unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[])
			with ordinality as v (transcript_id, status, content_hash, closed_at, run_id, claim, claimed_by, file, ordinal)
		order by v.ordinal
		on conflict (source, transcript_id) do nothing
		returning transcript_id`

	postgresUpdate = `update dixa_import.transcripts t set status = v.status, conversation_id = nullif(v.conversation_id, 0),
			end_user_id = nullif(v.end_user_id, ''), attempts = v.attempts, error_code = nullif(v.error_code, ''),
			error = nullif(v.error, ''), content_hash = nullif(v.content_hash, ''), closed_at = v.closed_at, run_id = v.run_id,
			claim = v.claim, claimed_by = nullif(v.claimed_by, 0), file = nullif(v.file, ''),
			send_before = case v.send when 0 then t.send_before
				when 1 then clock_timestamp() + v.send_for * interval '1 microsecond' end,
			imported_at = case when v.found then now() else t.imported_at end,
			updated_at = now()
		from (select * from unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::integer[], $7::text[], $8::text[], $9::text[],
				$10::timestamptz[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[], $15::integer[], $16::bigint[], $17::boolean[])
				as asked (asked_id, status, conversation_id, end_user_id, attempts, error_code, error, content_hash,
					closed_at, run_id, claim, claimed_by, file, send, send_for, found)
			cross join lateral (select ctid as place from dixa_import.transcripts
				where source = $1::text and transcript_id = asked_id offset 0) as l) as v
		where t.ctid = v.place`
)

// columns are records turned into arrays, one for each column.
type columns struct {
	ids, statuses, endUsers, codes, errors, hashes, files []string
	conversations, runs, claims, claimedBys, sendFors     []int64
	attempts, sends                                       []int32
	closed                                                []*time.Time
	found                                                 []bool
}

func columnsOf(records []*record, fresh bool) columns {
	var c columns
	for _, r := range records {
		if r.fresh != fresh {
			continue
		}
		c.ids = append(c.ids, r.ID)
		c.statuses = append(c.statuses, string(r.Status))
		c.conversations = append(c.conversations, r.ConversationID)
		c.endUsers = append(c.endUsers, r.EndUserID)
		c.attempts = append(c.attempts, int32(r.Attempts))
		c.codes = append(c.codes, r.ErrorCode)
		c.errors = append(c.errors, r.Error)
		c.hashes = append(c.hashes, r.ContentHash)
		c.closed = append(c.closed, nullTime(r.ClosedAt))
		c.runs = append(c.runs, r.RunID)
		c.claims = append(c.claims, r.Claim)
		c.claimedBys = append(c.claimedBys, r.ClaimedBy)
		c.files = append(c.files, r.file)
		c.sends = append(c.sends, int32(r.send))
		c.sendFors = append(c.sendFors, r.sendFor.Microseconds())
		c.found = append(c.found, r.found)
	}
	return c
}

// queueSave writes records, which are sorted by id. Of the fresh ones it notes those that nobody else has inserted meanwhile.
func queueSave(b *pgx.Batch, source string, records []*record, inserted map[string]bool) {
	if c := columnsOf(records, true); len(c.ids) > 0 {
		b.Queue(postgresInsert, source, c.ids, c.statuses, c.hashes, c.closed, c.runs, c.claims, c.claimedBys, c.files).
			Query(eachRow(func(rows pgx.Rows) error {
				var id string
				err := rows.Scan(&id)
				inserted[id] = true
				return err
			}))
	}
	if c := columnsOf(records, false); len(c.ids) > 0 {
		b.Queue(postgresUpdate, source, c.ids, c.statuses, c.conversations, c.endUsers, c.attempts, c.codes, c.errors, c.hashes,
			c.closed, c.runs, c.claims, c.claimedBys, c.files, c.sends, c.sendFors, c.found)
	}
	queueSavePartial(b, source, records)
}

const (
	postgresDeletePartial = `delete from dixa_import.partial_errors where source = $1::text and transcript_id = any($2::text[])`
	postgresInsertPartial = `insert into dixa_import.partial_errors
		(source, transcript_id, ordinal, kind, message, message_external_id, attribute)
		select $1::text, v.transcript_id, v.ordinal, v.kind, v.message, nullif(v.message_external_id, ''), nullif(v.attribute, '')
		from unnest($2::text[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[])
			as v (transcript_id, ordinal, kind, message, message_external_id, attribute)`
)

func queueSavePartial(b *pgx.Batch, source string, records []*record) {
	var replaced, ids, kinds, messages, externalIDs, attributes []string
	var ordinals []int32
	for _, r := range records {
		if !r.partialDirty {
			continue
		}
		replaced = append(replaced, r.ID)
		for i, p := range r.partial {
			ids, ordinals, kinds = append(ids, r.ID), append(ordinals, int32(i+1)), append(kinds, string(p.Kind))
			messages, externalIDs = append(messages, p.Message), append(externalIDs, p.MessageExternalID)
			attributes = append(attributes, p.Attribute)
		}
	}
	if len(replaced) > 0 {
		b.Queue(postgresDeletePartial, source, replaced)
	}
	if len(ids) > 0 {
		b.Queue(postgresInsertPartial, source, ids, ordinals, kinds, messages, externalIDs, attributes)
	}
}

const postgresPartial = `select transcript_id, kind, message, coalesce(message_external_id, ''), coalesce(attribute, '')
	from dixa_import.partial_errors where source = $1::text and transcript_id = any($2::text[]) order by transcript_id, ordinal`

// scanPartial reads postgresPartial into the records.
func scanPartial(records map[string]*record) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var id string
		var p PartialError
		err := rows.Scan(&id, &p.Kind, &p.Message, &p.MessageExternalID, &p.Attribute)
		if r := records[id]; r != nil {
			r.partial = append(r.partial, p)
		}
		return err
	}
}

func queueLoadPartial(b *pgx.Batch, source string, ids []string, records map[string]*record) {
	b.Queue(postgresPartial, source, ids).Query(eachRow(scanPartial(records)))
}

func (s *postgresStore) PartialErrors(ctx context.Context, source, id string) ([]PartialError, error) {
	found, err := s.PartialErrorsOf(ctx, source, []string{id})
	return found[clean(id)], err
}

func (s *postgresStore) PartialErrorsOf(ctx context.Context, source string, ids []string) (map[string][]PartialError, error) {
	ids = cleanIDs(ids)
	records := recordsOf(ids)
	err := s.query(ctx, "read", scanPartial(records), postgresPartial, source, ids)
	return partialOf(records), err
}
