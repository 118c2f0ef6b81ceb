package checkpoint

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

var (
	// The rows are sorted by id, so two processes that insert the same ones cannot deadlock.
	postgresInsert = `insert into dixa_import.transcripts (source, ` + perColumn(insertColumns, 0, columnName) + `)
		select $1::text, ` + perColumn(insertColumns, 0, postgresValue) + `
		from unnest(` + perColumn(insertColumns, 2, postgresArray) + `) with ordinality as v (` + perColumn(insertColumns, 0, columnName) + `, ordinal)
		order by v.ordinal
		on conflict (source, transcript_id) do nothing
		returning transcript_id`

	postgresUpdate = fmt.Sprintf(`update dixa_import.transcripts t set `+perColumn(updateColumns[1:], 0, postgresSet)+`,
			send_before = case v.send when 0 then t.send_before
				when 1 then clock_timestamp() + v.send_for * interval '1 microsecond' end,
			imported_at = case when v.found_by <> 0 then now() else t.imported_at end,
			imported_by = case when v.found_by <> 0 then v.found_by else t.imported_by end,
			updated_at = now()
		from (select * from unnest(`+perColumn(updateColumns, 2, postgresArray)+`, $%d::integer[], $%d::bigint[], $%d::bigint[])
				as asked (`+perColumn(updateColumns, 0, columnName)+`, send, send_for, found_by)
			cross join lateral (select ctid as place from dixa_import.transcripts as at
				where at.source = $1::text and at.transcript_id = asked.transcript_id offset 0) as l) as v
		where t.ctid = v.place`, 2+len(updateColumns), 3+len(updateColumns), 4+len(updateColumns))
)

// queueSave writes records, which must be sorted by id. It adds to inserted the ids of the fresh ones, except those that another process
// inserted first.
func queueSave(b *pgx.Batch, source string, records []*record, inserted map[string]bool) {
	var fresh, existing []*record
	for _, r := range records {
		if r.fresh {
			fresh = append(fresh, r)
		} else {
			existing = append(existing, r)
		}
	}
	if len(fresh) > 0 {
		b.Queue(postgresInsert, append([]any{source}, postgresColumns(insertColumns, fresh)...)...).Query(eachRow(func(rows pgx.Rows) error {
			var id string
			err := rows.Scan(&id)
			inserted[id] = true
			return err
		}))
	}
	if len(existing) > 0 {
		sends, sendFors, found := make([]int32, len(existing)), make([]int64, len(existing)), make([]int64, len(existing))
		for i, r := range existing {
			sends[i], sendFors[i], found[i] = int32(r.send), r.SendIn.Microseconds(), r.foundBy
		}
		b.Queue(postgresUpdate, append(append([]any{source}, postgresColumns(updateColumns, existing)...), sends, sendFors, found)...)
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

// scanPartial returns a function that scans a row of postgresPartial into its record.
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

func (s *postgresStore) PartialErrorsOf(ctx context.Context, source string, ids []string) (map[string][]PartialError, error) {
	ids = cleanIDs(ids)
	records := recordsOf(ids)
	err := s.query(ctx, "read", scanPartial(records), postgresPartial, source, ids)
	return partialOf(records), err
}
