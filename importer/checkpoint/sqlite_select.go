package checkpoint

import (
	"context"
	"database/sql"
	"encoding/json"
)

// A condition on a null list is true. The plus signs keep SQLite from looking each value of a list up in an index. Without "indexed by",
// it would read the whole table rather than one of the smaller indexes.
const (
	sqliteSelectWhere = ` where source = ?1 and transcript_id > ?2
		and (?3 is null or +status in (select value from json_each(?3)))
		and (?4 is null or coalesce(error_code, '') in (select value from json_each(?4)))
		and (?5 is null or +status <> 'partial' or exists (select 1 from partial_errors p
			where p.source = t.source and p.transcript_id = t.transcript_id and p.kind in (select value from json_each(?5))))`
	sqliteSelectPage = ` order by transcript_id limit ?6`
)

var sqliteSelect = map[selection]string{
	selectAny: `select ` + sqliteRow + ` from transcripts t` + sqliteSelectWhere + sqliteSelectPage,
	selectUnfinished: `select ` + sqliteRow + ` from transcripts t indexed by transcripts_unfinished` + sqliteSelectWhere +
		` and unfinished` + sqliteSelectPage,
	selectIDs: `select ` + sqliteRow + ` from transcripts t` + sqliteSelectWhere + ` and transcript_id in (in)`,
	// The inner query is an index-only scan, so a rare code is found without reading a million rows of failed transcripts.
	selectAttention: `select ` + sqliteRow + ` from (
			select source, transcript_id from transcripts t indexed by transcripts_attention` + sqliteSelectWhere + `
			and (status = 'failed' or status = 'in_doubt' or status = 'rejected' or status = 'partial' or status = 'skipped')` + sqliteSelectPage + `)
		cross join transcripts using (source, transcript_id) order by transcript_id`,
}

func (s *sqliteStore) Select(ctx context.Context, source string, run int64, f Filter) ([]Row, error) {
	return selectPages(f, func(by selection, f Filter) (found []Row, err error) {
		err = s.reading(ctx, "read", func(tx sqliteTx) error {
			alive, err := sqliteAlive(tx)
			if err != nil {
				return err
			}
			scan := func(rows *sql.Rows) error {
				r, err := scanSQLiteRow(rows, tx.now)
				if err == nil {
					r.Held = r.ClaimedBy != run && alive[r.ClaimedBy]
					found = append(found, r.Row)
				}
				return err
			}
			args := []any{source, f.After, jsonList(f.Statuses), jsonList(f.Codes), jsonList(f.WithPartial)}
			if by == selectIDs {
				return queryIn(tx, scan, sqliteSelect[by], f.IDs, args...)
			}
			limit := f.Limit
			if limit == 0 {
				limit = -1 // no limit, in SQLite
			}
			return tx.query(scan, sqliteSelect[by], append(args, limit)...)
		})
		return found, err
	})
}

// jsonList converts a list to JSON for json_each, null if it is empty.
func jsonList[T ~string](list []T) any {
	if len(list) == 0 {
		return nil
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic(err) // strings can always be marshalled
	}
	return string(b)
}
