package checkpoint

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// sqliteLookup selects rows by id.
var sqliteLookup = `select ` + sqliteRow + ` from transcripts where source = ? and transcript_id in (in)`

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

// sqliteComplete returns ids, hashes and conversations in one text, separated by NUL: reading a row costs about as much as finding one.
const sqliteComplete = `select coalesce(group_concat(transcript_id || x'00' || content_hash || x'00' || conversation_id, x'00'), '') from transcripts
	where source = ? and transcript_id in (in) and +status = 'complete' and content_hash is not null`

func (s *sqliteStore) Complete(ctx context.Context, source string, ids, hashes []string) ([]int64, error) {
	ids = cleanEach(ids)
	type complete struct{ hash, conversation string }
	known := make(map[string]complete, len(ids))
	err := s.reading(ctx, "read", func(tx sqliteTx) error {
		return queryIn(tx, func(rows *sql.Rows) error {
			var packed string
			if err := rows.Scan(&packed); err != nil {
				return err
			}
			for packed != "" {
				var id string
				var c complete
				id, packed, _ = strings.Cut(packed, "\x00")
				c.hash, packed, _ = strings.Cut(packed, "\x00")
				c.conversation, packed, _ = strings.Cut(packed, "\x00")
				known[id] = c
			}
			return nil
		}, sqliteComplete, ids, source)
	})
	conversations := make([]int64, len(ids))
	for i, id := range ids {
		if c := known[id]; c.hash == hashes[i] && c.hash != "" && err == nil {
			conversations[i], err = strconv.ParseInt(c.conversation, 10, 64)
		}
	}
	return conversations, err
}

// Without "indexed by", SQLite reads the whole table rather than a partial index that begins like the primary key.
var sqliteUnfinished = `select ` + sqliteRow + ` from transcripts indexed by transcripts_unfinished
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

func (s *sqliteStore) Claim(ctx context.Context, source string, run int64, requests []ClaimRequest) (rows []Row, err error) {
	if len(requests) == 0 {
		return nil, nil
	}
	requests, ids := cleanRequests(requests, sqlitePrecision)
	err = s.writing(ctx, "claim transcripts in", func(tx sqliteTx) error {
		alive, err := sqliteAlive(tx)
		if err != nil {
			return err
		}
		records, err := sqliteRecords(tx, source, ids)
		if err != nil {
			return err
		}
		var dirty []*record
		rows, dirty = claimAll(records, run, requests, alive)
		return sqliteSave(tx, source, dirty)
	})
	return rows, err
}

func (s *sqliteStore) Write(ctx context.Context, source string, run int64, changes []Change) ([]Result, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	changes, err := checkChanges(changes, sqlitePrecision)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(changes))
	err = s.writing(ctx, "write", func(tx sqliteTx) error {
		clear(results)
		for _, c := range onFastPath(changes) {
			if n, err := sqliteApplyFastPath(tx, source, run, c); err != nil {
				return err
			} else if n == 1 {
				c.setApplied(run, results)
			}
		}
		rest, at := unapplied(changes, results)
		if len(rest) == 0 {
			return nil
		}
		applied, err := sqliteApply(tx, source, run, rest)
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

// Each statement sets only the columns that change: for each one that is set, SQLite rewrites the indexes with it.
const (
	sqliteSend = `update transcripts set status = 'sending', run_id = ?4, end_user_id = ?5, attempts = ?6, error_code = null, error = null, reason = null,
		content_hash = ?7, closed_at = ?8, send_before = ?9, updated_at = ?10, sent_messages = nullif(?11, '')
		where source = ?1 and transcript_id = ?2 and claim = ?3 and claimed_by = ?4 and status = 'pending'`
	sqliteFound = `update transcripts set status = ?11, conversation_id = ?9, claimed_by = case when ?11 <> 'complete' then ?4 end,
		run_id = ?4, end_user_id = ?5, attempts = ?6, error_code = null, error = null, reason = null, content_hash = ?7, closed_at = ?8, send_before = null,
		imported_at = ?10, imported_by = ?4, updated_at = ?10,
		set_values = case when ?11 = 'complete' then nullif(?12, '') else set_values end
		where source = ?1 and transcript_id = ?2 and claim = ?3 and claimed_by = ?4 and status = 'sending' and attempts <= ?6
			and not exists (select 1 from transcripts where conversation_id = ?9 and source = ?1)
			and (?11 <> 'complete' or not exists (select 1 from partial_errors where source = ?1 and transcript_id = ?2))`
	sqliteFinish = `update transcripts set status = 'complete', run_id = ?4, end_user_id = ?5, attempts = ?6, error_code = null, error = null, reason = null,
		content_hash = ?7, closed_at = ?8, claimed_by = null, updated_at = ?9, set_values = nullif(?11, '')
		where source = ?1 and transcript_id = ?2 and claim = ?3 and claimed_by = ?4 and status = 'imported' and +conversation_id = ?10
			and not exists (select 1 from partial_errors where source = ?1 and transcript_id = ?2)`
)

// sqliteApplyFastPath applies a fast-path change and returns the number of rows that matched.
func sqliteApplyFastPath(tx sqliteTx, source string, run int64, c fastPathChange) (int64, error) {
	args := []any{source, c.ID, c.Claim, run, c.EndUserID, c.Attempts, c.ContentHash, sqliteTime(c.ClosedAt)}
	now := sqliteTime(tx.now)
	switch c.from {
	case Pending:
		return tx.exec(sqliteSend, append(args, sqliteTime(tx.now.Add(c.SendFor)), now, c.Sent)...)
	case Sending:
		return tx.exec(sqliteFound, append(args, c.ConversationID, now, c.to, c.SetValues)...)
	default:
		return tx.exec(sqliteFinish, append(args, now, c.ConversationID, c.SetValues)...)
	}
}

// sqliteApply applies changes on the slow path.
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

// sqliteAlive returns the runs that are alive. The process that holds the lock has ended the leases of earlier runs.
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

// sqliteHolders returns the transcripts of the source that have these conversations.
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

var (
	sqliteInsert = fmt.Sprintf(`insert into transcripts (source, `+perColumn(insertColumns, 0, columnName)+`, created_at, updated_at)
		values (?1, `+perColumn(insertColumns, 2, sqliteParameter)+`, ?%[1]d, ?%[1]d)`, 2+len(insertColumns))
	sqliteUpdate = fmt.Sprintf(`update transcripts set `+perColumn(updateColumns[1:], 3, sqliteSet)+`,
		send_before = case when ?%d then ?%d else send_before end,
		imported_at = case when ?%d <> 0 then ?%[4]d else imported_at end, imported_by = case when ?%[3]d <> 0 then ?%[3]d else imported_by end, updated_at = ?%[4]d
		where source = ?1 and transcript_id = ?2`, 2+len(updateColumns), 3+len(updateColumns), 4+len(updateColumns), 5+len(updateColumns))
)

// sqliteSave writes records.
func sqliteSave(tx sqliteTx, source string, records []*record) error {
	now := sqliteTime(tx.now)
	for _, r := range records {
		var err error
		if r.fresh {
			_, err = tx.exec(sqliteInsert, append(append([]any{source}, sqliteValues(insertColumns, r)...), now)...)
		} else {
			var sendBefore any
			if r.send == setSend {
				sendBefore = sqliteTime(tx.now.Add(r.SendIn))
			}
			_, err = tx.exec(sqliteUpdate, append(append([]any{source}, sqliteValues(updateColumns, r)...), r.send != keepSend, sendBefore, r.foundBy, now)...)
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

func (s *sqliteStore) PartialErrorsOf(ctx context.Context, source string, ids []string) (map[string][]PartialError, error) {
	ids = cleanIDs(ids)
	records := recordsOf(ids)
	err := s.reading(ctx, "read", func(tx sqliteTx) error { return sqliteLoadPartial(tx, source, ids, records) })
	return partialOf(records), err
}

const (
	sqliteConversations = `select conversation_id from transcripts where (source = ?1 or source in (select other.source
		from sources other join sources mine using (base_url, organisation) where mine.source = ?1)) and conversation_id in (in)`
	sqliteWithdrawn = `select conversation_id from withdrawals where action = 'anonymize' and organisation = (select organisation from sources where source = ?1)
		and conversation_id in (in)`
)

func (s *sqliteStore) Holders(ctx context.Context, source string, conversations []int64) (holders map[int64]string, err error) {
	err = s.reading(ctx, "read", func(tx sqliteTx) error {
		holders, err = sqliteHolders(tx, source, conversations)
		return err
	})
	return holders, err
}

func (s *sqliteStore) Conversations(ctx context.Context, source string, ids []int64) (map[int64]bool, error) {
	held := map[int64]bool{}
	err := s.reading(ctx, "read", func(tx sqliteTx) error {
		scan := func(rows *sql.Rows) error {
			var id int64
			err := rows.Scan(&id)
			held[id] = true
			return err
		}
		if err := queryIn(tx, scan, sqliteConversations, ids, source); err != nil {
			return err
		}
		return queryIn(tx, scan, sqliteWithdrawn, ids, source)
	})
	return held, err
}
