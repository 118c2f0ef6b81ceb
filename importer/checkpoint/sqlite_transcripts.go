package checkpoint

import (
	"context"
	"database/sql"
)

// sqliteLookup reads rows, of which there must be no more than one for each id.
const sqliteLookup = `select ` + sqliteRow + ` from transcripts where source = ? and transcript_id in (in)`

func (s *sqliteStore) Lookup(ctx context.Context, source string, run int64, ids []string) (map[string]Row, error) {
	found := make(map[string]Row, len(ids))
	err := s.reading(ctx, "read", func(tx sqliteTx) error {
		alive, err := sqliteAlive(tx)
		if err != nil {
			return err
		}
		return queryIn(tx, func(rows *sql.Rows) error {
			r, err := scanSQLiteRow(rows, tx.now)
			if err == nil {
				r.Held = r.ClaimedBy != run && alive[r.ClaimedBy]
				found[r.ID] = r.Row
			}
			return err
		}, sqliteLookup, cleanIDs(ids), source)
	})
	if err != nil {
		return nil, err
	}
	return byAsked(ids, found), nil
}

// Left to itself SQLite reads the whole table rather than a partial index that begins like the primary key.
const sqliteUnfinished = `select ` + sqliteRow + ` from transcripts indexed by transcripts_unfinished
	where source = ?1 and transcript_id > ?2 and unfinished and status <> 'pending'
		and (claimed_by is null or claimed_by <> ?3 and claimed_by not in
			(select id from runs where finished_at is null and lease_until > ?4))
	order by transcript_id limit ?5`

func (s *sqliteStore) Unfinished(ctx context.Context, source string, run int64, after string, limit int) ([]Row, error) {
	var found []Row
	err := s.reading(ctx, "read", func(tx sqliteTx) error {
		return tx.query(func(rows *sql.Rows) error {
			r, err := scanSQLiteRow(rows, tx.now)
			if err == nil {
				found = append(found, r.Row)
			}
			return err
		}, sqliteUnfinished, source, clean(after), run, sqliteTime(tx.now), limit)
	})
	return found, err
}

func (s *sqliteStore) Claim(ctx context.Context, source string, run int64, requests []ClaimRequest) ([]int64, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	requests, ids := cleanRequests(requests)
	var claims []int64
	err := s.writing(ctx, "claim transcripts in", func(tx sqliteTx) error {
		alive, err := sqliteAlive(tx)
		if err != nil {
			return err
		}
		records, err := sqliteRecords(tx, source, ids)
		if err != nil {
			return err
		}
		var dirty []*record
		claims, dirty = claimAll(records, run, requests, alive)
		return sqliteSave(tx, source, dirty)
	})
	return claims, err
}

func (s *sqliteStore) Write(ctx context.Context, source string, run int64, changes []Change) ([]Result, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	changes, err := checkChanges(changes)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(changes))
	err = s.writing(ctx, "write", func(tx sqliteTx) error {
		clear(results)
		for _, c := range usualOnes(changes) {
			if n, err := sqliteApplyUsual(tx, source, run, c); err != nil {
				return err
			} else if n == 1 {
				c.applied(results)
			}
		}
		others, at := theOthers(changes, results)
		if len(others) == 0 {
			return nil
		}
		applied, err := sqliteApply(tx, source, run, others)
		for j, r := range applied {
			results[at[j]] = r
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// Each changes only what it must: for a column that is set SQLite writes the indexes anew that have it.
const (
	sqliteSend = `update transcripts set status = 'sending', run_id = ?4, end_user_id = ?5, attempts = ?6, error_code = null, error = null,
		content_hash = ?7, closed_at = ?8, send_before = ?9, updated_at = ?10
		where source = ?1 and transcript_id = ?2 and claim = ?3 and claimed_by = ?4 and status = 'pending'`
	sqliteFound = `update transcripts set status = ?11, conversation_id = ?9, claimed_by = case when ?11 <> 'complete' then ?4 end,
		run_id = ?4, end_user_id = ?5, attempts = ?6, error_code = null, error = null, content_hash = ?7, closed_at = ?8, send_before = null,
		imported_at = ?10, updated_at = ?10
		where source = ?1 and transcript_id = ?2 and claim = ?3 and claimed_by = ?4 and status = 'sending' and attempts <= ?6
			and not exists (select 1 from transcripts where conversation_id = ?9 and source = ?1)
			and (?11 <> 'complete' or not exists (select 1 from partial_errors where source = ?1 and transcript_id = ?2))`
	sqliteFinish = `update transcripts set status = 'complete', run_id = ?4, end_user_id = ?5, attempts = ?6, error_code = null, error = null,
		content_hash = ?7, closed_at = ?8, claimed_by = null, updated_at = ?9
		where source = ?1 and transcript_id = ?2 and claim = ?3 and claimed_by = ?4 and status = 'imported'
			and not exists (select 1 from partial_errors where source = ?1 and transcript_id = ?2)`
)

// sqliteApplyUsual applies a usual change and returns how many rows it met.
func sqliteApplyUsual(tx sqliteTx, source string, run int64, c usualChange) (int64, error) {
	args := []any{source, c.ID, c.Claim, run, c.EndUserID, c.Attempts, c.ContentHash, sqliteTime(c.ClosedAt)}
	now := sqliteTime(tx.now)
	switch c.from {
	case Pending:
		return tx.exec(sqliteSend, append(args, sqliteTime(tx.now.Add(c.SendFor)), now)...)
	case Sending:
		return tx.exec(sqliteFound, append(args, c.ConversationID, now, c.to)...)
	default:
		return tx.exec(sqliteFinish, append(args, now)...)
	}
}

// sqliteApply applies changes of any kind.
func sqliteApply(tx sqliteTx, source string, run int64, changes []Change) ([]Result, error) {
	ids := changedIDs(changes)
	records, err := sqliteRecords(tx, source, ids)
	if err != nil {
		return nil, err
	}
	if needsPartial(changes) {
		if err := sqliteLoadPartial(tx, source, ids, records); err != nil {
			return nil, err
		}
	}
	holders, err := sqliteHolders(tx, source, foundConversations(changes))
	if err != nil {
		return nil, err
	}
	results, dirty := applyAll(records, run, changes, holders)
	return results, sqliteSave(tx, source, dirty)
}

func sqliteRecords(tx sqliteTx, source string, ids []string) (map[string]*record, error) {
	records := make(map[string]*record, len(ids))
	err := queryIn(tx, func(rows *sql.Rows) error {
		r, err := scanSQLiteRow(rows, tx.now)
		if err == nil {
			records[r.ID] = r
		}
		return err
	}, sqliteLookup, ids, source)
	return records, err
}

const sqliteLivingRuns = `select id from runs where finished_at is null and lease_until > ?`

// sqliteAlive returns the runs that are alive. Whoever holds the lock has ended the leases of the runs before it.
func sqliteAlive(tx sqliteTx) (map[int64]bool, error) {
	alive := map[int64]bool{}
	err := tx.query(func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		alive[id] = true
		return err
	}, sqliteLivingRuns, sqliteTime(tx.now))
	return alive, err
}

const sqliteConversationHolders = `select conversation_id, transcript_id from transcripts where source = ? and conversation_id in (in)`

// sqliteHolders returns which transcripts of the source have these conversations.
func sqliteHolders(tx sqliteTx, source string, conversations []int64) (map[int64]string, error) {
	holders := map[int64]string{}
	err := queryIn(tx, func(rows *sql.Rows) error {
		var conversation int64
		var id string
		err := rows.Scan(&conversation, &id)
		holders[conversation] = id
		return err
	}, sqliteConversationHolders, conversations, source)
	return holders, err
}

const (
	sqliteInsert = `insert into transcripts (source, transcript_id, status, content_hash, closed_at, run_id, claim, claimed_by, file,
		created_at, updated_at) values (?1, ?2, ?3, nullif(?4, ''), ?5, ?6, ?7, ?8, nullif(?9, ''), ?10, ?10)`
	sqliteUpdate = `update transcripts set status = ?3, conversation_id = nullif(?4, 0), end_user_id = nullif(?5, ''), attempts = ?6,
		error_code = nullif(?7, ''), error = nullif(?8, ''), content_hash = nullif(?9, ''), closed_at = ?10, run_id = ?11, claim = ?12,
		claimed_by = nullif(?13, 0), file = nullif(?14, ''), send_before = case when ?15 then ?16 else send_before end,
		imported_at = case when ?17 then ?18 else imported_at end, updated_at = ?18
		where source = ?1 and transcript_id = ?2`
)

// sqliteSave writes records.
func sqliteSave(tx sqliteTx, source string, records []*record) error {
	now := sqliteTime(tx.now)
	for _, r := range records {
		var err error
		if r.fresh {
			_, err = tx.exec(sqliteInsert, source, r.ID, r.Status, r.ContentHash, sqliteTime(r.ClosedAt), r.RunID, r.Claim, r.ClaimedBy,
				r.file, now)
		} else {
			var sendBefore any
			if r.send == setSend {
				sendBefore = sqliteTime(tx.now.Add(r.sendFor))
			}
			_, err = tx.exec(sqliteUpdate, source, r.ID, r.Status, r.ConversationID, r.EndUserID, r.Attempts, r.ErrorCode, r.Error,
				r.ContentHash, sqliteTime(r.ClosedAt), r.RunID, r.Claim, r.ClaimedBy, r.file, r.send != keepSend, sendBefore, r.found, now)
		}
		if err == nil && r.partialDirty {
			err = sqliteSavePartial(tx, source, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const (
	sqliteDeletePartial = `delete from partial_errors where source = ? and transcript_id = ?`
	sqliteInsertPartial = `insert into partial_errors (source, transcript_id, ordinal, kind, message, message_external_id, attribute)
		values (?, ?, ?, ?, ?, nullif(?, ''), nullif(?, ''))`
)

func sqliteSavePartial(tx sqliteTx, source string, r *record) error {
	if _, err := tx.exec(sqliteDeletePartial, source, r.ID); err != nil {
		return err
	}
	for i, p := range r.partial {
		if _, err := tx.exec(sqliteInsertPartial, source, r.ID, i+1, p.Kind, p.Message, p.MessageExternalID, p.Attribute); err != nil {
			return err
		}
	}
	return nil
}

const sqlitePartial = `select transcript_id, kind, message, coalesce(message_external_id, ''), coalesce(attribute, '')
	from partial_errors where source = ? and transcript_id in (in) order by transcript_id, ordinal`

func sqliteLoadPartial(tx sqliteTx, source string, ids []string, records map[string]*record) error {
	return queryIn(tx, func(rows *sql.Rows) error {
		var id string
		var p PartialError
		err := rows.Scan(&id, &p.Kind, &p.Message, &p.MessageExternalID, &p.Attribute)
		if r := records[id]; r != nil {
			r.partial = append(r.partial, p)
		}
		return err
	}, sqlitePartial, ids, source)
}

func (s *sqliteStore) PartialErrors(ctx context.Context, source, id string) ([]PartialError, error) {
	found, err := s.PartialErrorsOf(ctx, source, []string{id})
	return found[clean(id)], err
}

func (s *sqliteStore) PartialErrorsOf(ctx context.Context, source string, ids []string) (map[string][]PartialError, error) {
	ids = cleanIDs(ids)
	records := recordsOf(ids)
	err := s.reading(ctx, "read", func(tx sqliteTx) error { return sqliteLoadPartial(tx, source, ids, records) })
	return partialOf(records), err
}

const sqliteConversations = `select conversation_id from transcripts where (source = ?1 or source in (select other.source
	from sources other join sources mine using (base_url, organisation) where mine.source = ?1)) and conversation_id in (in)`

func (s *sqliteStore) Conversations(ctx context.Context, source string, ids []int64) (map[int64]bool, error) {
	held := map[int64]bool{}
	err := s.reading(ctx, "read", func(tx sqliteTx) error {
		return queryIn(tx, func(rows *sql.Rows) error {
			var id int64
			err := rows.Scan(&id)
			held[id] = true
			return err
		}, sqliteConversations, ids, source)
	})
	return held, err
}

const sqliteClearRejected = `delete from transcripts indexed by transcripts_file where source = ? and file = ? and status = 'rejected'
	and updated_at < (select started_at from runs where id = ?)`

func (s *sqliteStore) ClearRejected(ctx context.Context, source string, run int64, file string) error {
	return s.writing(ctx, "clear rejected records in", func(tx sqliteTx) error {
		_, err := tx.exec(sqliteClearRejected, source, clean(file), run)
		return err
	})
}

const sqliteTouch = `update transcripts set run_id = ?, updated_at = ?
	where source = ? and status = 'rejected' and file is not null and transcript_id in (in)`

func (s *sqliteStore) Touch(ctx context.Context, source string, run int64, ids []string) error {
	return s.writing(ctx, "write", func(tx sqliteTx) error {
		return execIn(tx, sqliteTouch, cleanIDs(ids), run, sqliteTime(tx.now), source)
	})
}

const sqliteTotals = `select source, status, coalesce(error_code, ''), count(*) from transcripts
	where (?1 = '' or source = ?1) and (?2 = 0 or run_id = ?2) group by 1, 2, 3 order by 1, 2, 3`

func (s *sqliteStore) Totals(ctx context.Context, source string, run int64) ([]Total, error) {
	var totals []Total
	err := s.reading(ctx, "count", func(tx sqliteTx) error {
		return tx.query(func(rows *sql.Rows) error {
			var t Total
			err := rows.Scan(&t.Source, &t.Status, &t.ErrorCode, &t.Count)
			totals = append(totals, t)
			return err
		}, sqliteTotals, source, run)
	})
	return totals, err
}
