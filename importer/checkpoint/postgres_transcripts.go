package checkpoint

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresRowColumns selects the columns of a record, and the time left until send_before.
var postgresRowColumns = perColumn(columns, 0, column.postgresRead) + `, (extract(epoch from send_before - clock_timestamp()) * 1000000)::bigint`

// scanPostgresRow scans a row of postgresRowColumns.
func scanPostgresRow(rows pgx.Rows) (*record, error) {
	r := &record{}
	fields := make([]any, len(columns), len(columns)+2)
	for i, c := range columns {
		fields[i] = c.of(r)
		if at, ok := fields[i].(*time.Time); ok {
			fields[i] = instant{at}
		}
	}
	var sendIn *int64
	if err := rows.Scan(append(fields, &sendIn)...); err != nil {
		return nil, err
	}
	r.ErrorCode = currentCode(r.ErrorCode)
	if sendIn != nil {
		r.SendIn = time.Duration(*sendIn) * time.Microsecond
	}
	return r, nil
}

const postgresPrecision = time.Microsecond

// nullTime converts the zero time to null.
func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// postgresAsked begins a query that looks each of the ids $2 of the source $1 up by the primary key; postgresOne or postgresOneLocked ends
// it. With a plain list of ids, Postgres reads the whole source while it has no statistics of the table, as in the first hour of an import.
// "offset 0", or the lock, keeps Postgres from flattening the subquery.
const (
	postgresAsked = ` from unnest($2::text[]) as asked (asked_id) cross join lateral
		(select * from dixa_import.transcripts where source = $1::text and transcript_id = asked_id`
	postgresOne       = ` offset 0) as t`
	postgresOneLocked = ` for update) as t`
)

var (
	postgresLookup = `select ` + postgresRowColumns + `, claimed_by is not null and claimed_by <> $3::bigint and claimed_by in
		(select id from dixa_import.runs where finished_at is null and lease_until > clock_timestamp())` + postgresAsked + postgresOne

	// The rows are locked in the order of their ids, which prevents deadlocks between processes.
	postgresLock = `select ` + postgresRowColumns + postgresAsked + postgresOneLocked

	postgresUnfinished = `select ` + postgresRowColumns + ` from dixa_import.transcripts
		where source = $1::text and transcript_id > $2::text and unfinished and status in ('sending', 'imported')
			and (claimed_by is null or claimed_by <> $3::bigint and claimed_by not in
				(select id from dixa_import.runs where finished_at is null and lease_until > clock_timestamp()))
		order by transcript_id limit $4::bigint`
)

func (s *postgresStore) Lookup(ctx context.Context, source string, run int64, ids []string) (map[string]Row, error) {
	found := make(map[string]Row, len(ids))
	err := s.query(ctx, "read", func(rows pgx.Rows) error {
		var held bool
		r, err := scanPostgresRow(extended{rows, &held})
		if err == nil {
			r.Held = held
			found[r.ID] = r.Row
		}
		return err
	}, postgresLookup, source, cleanIDs(ids), run)
	if err != nil {
		return nil, err
	}
	return byAsked(ids, found), nil
}

// postgresComplete returns the numbers of the conversations, 0 for none, in one text.
const postgresComplete = `select coalesce(string_agg(coalesce((select t.conversation_id from dixa_import.transcripts t where t.source = $1::text
		and t.transcript_id = asked.id and t.status = 'complete' and t.content_hash = asked.hash), 0)::text, ',' order by n), '')
	from unnest($2::text[], $3::text[]) with ordinality as asked (id, hash, n)`

func (s *postgresStore) Complete(ctx context.Context, source string, ids, hashes []string) ([]int64, error) {
	var numbers string
	err := s.query(ctx, "read", func(rows pgx.Rows) error { return rows.Scan(&numbers) }, postgresComplete, source, cleanEach(ids), hashes)
	conversations, i := make([]int64, len(ids)), 0
	for number := range strings.SplitSeq(numbers, ",") {
		if i < len(ids) && err == nil {
			conversations[i], err = strconv.ParseInt(number, 10, 64)
		}
		i++
	}
	return conversations, err
}

// extended scans one more column than its caller asks for.
type extended struct {
	pgx.Rows
	last any
}

func (e extended) Scan(dest ...any) error { return e.Rows.Scan(append(dest, e.last)...) }

func (s *postgresStore) Unfinished(ctx context.Context, source string, run int64, after string, limit int) ([]Row, error) {
	var found []Row
	err := s.query(ctx, "read", func(rows pgx.Rows) error {
		r, err := scanPostgresRow(rows)
		if err == nil {
			found = append(found, r.Row)
		}
		return err
	}, postgresUnfinished, source, clean(after), run, limit)
	return found, err
}

func (s *postgresStore) Claim(ctx context.Context, source string, run int64, requests []ClaimRequest) ([]Row, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	requests, _ = cleanRequests(requests, postgresPrecision)
	// Most transcripts are not in the checkpoint yet. They are inserted without reading it first.
	rows, fresh := claimAll(map[string]*record{}, run, requests, nil)
	inserted := map[string]bool{}
	if len(fresh) > 0 {
		err := s.writing(ctx, "claim transcripts in", func(b *pgx.Batch) error {
			queueSave(b, source, fresh, inserted)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	var known []ClaimRequest
	var at []int
	for i, req := range requests {
		if !inserted[req.ID] {
			known, at = append(known, req), append(at, i)
		}
	}
	if len(known) == 0 {
		return rows, nil
	}
	again, err := s.claimKnown(ctx, source, run, known)
	for j, row := range again {
		rows[at[j]] = row
	}
	return rows, err
}

// claimKnown claims transcripts that may be in the checkpoint.
func (s *postgresStore) claimKnown(ctx context.Context, source string, run int64, requests []ClaimRequest) ([]Row, error) {
	ids := make([]string, len(requests))
	for i, r := range requests {
		ids[i] = r.ID
	}
	slices.Sort(ids)
	records, alive, inserted := map[string]*record{}, map[int64]bool{}, map[string]bool{}
	var rows []Row
	err := s.writing(ctx, "claim transcripts in", func(b *pgx.Batch) error {
		queueLock(b, source, ids, records)
		queueAlive(b, alive)
		return nil
	}, func(b *pgx.Batch) error {
		var dirty []*record
		rows, dirty = claimAll(records, run, requests, alive)
		queueSave(b, source, dirty, inserted)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, req := range requests {
		if records[req.ID] != nil && records[req.ID].fresh && !inserted[req.ID] {
			rows[i] = Row{}
		}
	}
	return rows, nil
}

const postgresHolders = `select conversation_id, transcript_id from dixa_import.transcripts
	where source = $1::text and conversation_id = any($2::bigint[])`

func (s *postgresStore) Write(ctx context.Context, source string, run int64, changes []Change) ([]Result, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	changes, err := checkChanges(changes, postgresPrecision)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(changes))
	if err := s.writeFastPath(ctx, source, run, onFastPath(changes), results); err != nil {
		return nil, err
	}
	rest, at := unapplied(changes, results)
	if len(rest) == 0 {
		return results, nil
	}
	var applied []Result
	err = retryRaces(func() error {
		records, holders := map[string]*record{}, map[int64]string{}
		return s.writing(ctx, "write", func(b *pgx.Batch) error {
			queueRead(b, source, rest, records, holders)
			return nil
		}, func(b *pgx.Batch) error {
			var dirty []*record
			applied, dirty = applyAll(records, run, rest, holders)
			queueSave(b, source, dirty, nil)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	for j, r := range applied {
		results[at[j]] = r
	}
	return results, nil
}

// queueRead locks the transcripts of changes, and reads what applyAll needs.
func queueRead(b *pgx.Batch, source string, changes []Change, records map[string]*record, holders map[int64]string) {
	ids := changedIDs(changes)
	queueLock(b, source, ids, records)
	if needsPartial(changes) {
		queueLoadPartial(b, source, ids, records)
	}
	if conversations := foundConversations(changes); len(conversations) > 0 {
		b.Queue(postgresHolders, source, conversations).Query(eachRow(func(rows pgx.Rows) error {
			var conversation int64
			var id string
			err := rows.Scan(&conversation, &id)
			holders[conversation] = id
			return err
		}))
	}
}

// queueLock locks the transcripts and reads them into records.
func queueLock(b *pgx.Batch, source string, ids []string, records map[string]*record) {
	b.Queue(postgresLock, source, ids).Query(eachRow(func(rows pgx.Rows) error {
		r, err := scanPostgresRow(rows)
		if err == nil {
			records[r.ID] = r
		}
		return err
	}))
}

const postgresLivingRuns = `select id from dixa_import.runs where finished_at is null and lease_until > clock_timestamp()`

// queueAlive reads which runs are alive. It must come after the lock: if another run claims a row while this one waits for the lock, that
// run is among them.
func queueAlive(b *pgx.Batch, alive map[int64]bool) {
	b.Queue(postgresLivingRuns).Query(eachRow(func(rows pgx.Rows) error {
		var id int64
		err := rows.Scan(&id)
		alive[id] = true
		return err
	}))
}

const postgresConversations = `select conversation_id from dixa_import.transcripts
	where conversation_id = any($2::bigint[]) and (source = $1::text or source in (select other.source from dixa_import.sources other
		join dixa_import.sources mine using (base_url, organisation) where mine.source = $1::text))
	union all select conversation_id from dixa_import.withdrawals where action = 'anonymize' and conversation_id = any($2::bigint[])
		and organisation = (select organisation from dixa_import.sources where source = $1::text)`

func (s *postgresStore) Holders(ctx context.Context, source string, conversations []int64) (map[int64]string, error) {
	holders := map[int64]string{}
	err := s.query(ctx, "read", func(rows pgx.Rows) error {
		var conversation int64
		var id string
		err := rows.Scan(&conversation, &id)
		holders[conversation] = id
		return err
	}, postgresHolders, source, conversations)
	return holders, err
}

func (s *postgresStore) Conversations(ctx context.Context, source string, ids []int64) (map[int64]bool, error) {
	held := map[int64]bool{}
	if len(ids) == 0 {
		return held, nil
	}
	err := s.query(ctx, "read", func(rows pgx.Rows) error {
		var id int64
		err := rows.Scan(&id)
		held[id] = true
		return err
	}, postgresConversations, source, ids)
	return held, err
}
