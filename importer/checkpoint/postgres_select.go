package checkpoint

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// A condition on a null list is true. Postgres plans each statement with its values, so it drops such conditions.
var (
	postgresSelectColumns = `select ` + postgresRowColumns + `, claimed_by is not null and claimed_by <> $2::bigint and claimed_by in
		(select id from dixa_import.runs where finished_at is null and lease_until > clock_timestamp())`
	postgresSelectFrom = postgresSelectColumns + `
		from dixa_import.transcripts t where source = $1::text and transcript_id > $3::text`
	postgresSelectPage = ` and ($5::text[] is null or status = any($5::text[]))
		and ($6::text[] is null or coalesce(error_code, '') = any($6::text[]))
		and ($7::text[] is null or status <> 'partial' or ` + postgresWithPartial + `)
		order by transcript_id limit $4::bigint`
	// This is not written with "exists", because Postgres would ignore the limit and read all partial errors for each page.
	postgresWithPartial = `(select true from dixa_import.partial_errors p
			where p.source = t.source and p.transcript_id = t.transcript_id and p.kind = any($7::text[]) limit 1)`
)

var postgresSelect = map[selection]string{
	selectAny:        postgresSelectFrom + postgresSelectPage,
	selectUnfinished: postgresSelectFrom + ` and unfinished` + postgresSelectPage,
	selectIDs:        postgresSelectFrom + ` and transcript_id = any($8::text[])` + postgresSelectPage,
	// The inner query is an index-only scan, so a rare code is found without reading a million rows of failed transcripts.
	selectAttention: postgresSelectColumns + ` from dixa_import.transcripts join (
			select source, transcript_id from dixa_import.transcripts t
			where source = $1::text and transcript_id > $3::text and attention is not null and attention = any($5::text[])
				and ($6::text[] is null or coalesce(attention_code, '') = any($6::text[]))
				and ($7::text[] is null or attention <> 'partial' or ` + postgresWithPartial + `)
			order by transcript_id limit $4::bigint) as page using (source, transcript_id)
		order by transcript_id`,
}

func (s *postgresStore) Select(ctx context.Context, source string, run int64, f Filter) ([]Row, error) {
	return selectPages(f, func(by selection, f Filter) ([]Row, error) {
		args := []any{source, run, f.After, nullInt(f.Limit), texts(f.Statuses), texts(f.Codes), texts(f.WithPartial)}
		if by == selectIDs {
			args = append(args, f.IDs)
		}
		var found []Row
		err := s.query(ctx, "read", func(rows pgx.Rows) error {
			var held bool
			r, err := scanPostgresRow(extended{rows, &held})
			if err == nil {
				r.Held = held
				found = append(found, r.Row)
			}
			return err
		}, postgresSelect[by], args...)
		return found, err
	})
}

// texts converts a list to an array for Postgres, null if it is empty.
func texts[T ~string](list []T) []string {
	var all []string
	for _, v := range list {
		all = append(all, string(v))
	}
	return all
}

// nullInt converts 0 to null.
func nullInt(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}
