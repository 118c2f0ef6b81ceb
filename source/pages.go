package source

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// maxEqual is how many rows may share closed_at and id.
const maxEqual = 10_000

const fetchBatch = 500

// Read yields the closed rows from since on (closed_at >= since; the zero time: all) in the order of closed_at and id,
// and binds @since in the query to since. Each page is a transaction of its own; while the database is away the page is
// tried again for as long as Patience says.
//
// An error ends the iteration: the database is away for good, the query is refused, or the error of ctx. A bad row is no
// error but a Record whose Transcript returns one.
func (s *Postgres) Read(ctx context.Context, since time.Time) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		s.done.Store(0)
		s.total.Store(0)
		defer s.count(ctx, since)()
		for r, err := range s.records(ctx, since) {
			if err == nil {
				s.done.Add(1)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func (s *Postgres) records(ctx context.Context, since time.Time) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		p := pager{s: s, since: since, closedAt: s.position(columnClosedAt), id: s.position(columnID)}
		for {
			records, more, err := p.next(ctx)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
			if !more {
				return
			}
		}
	}
}

// pager reads page after page. A page begins with the key that the one before it ended with, and leaves out what was
// seen of it: rows that share a key are all read, also those that have no id.
type pager struct {
	s            *Postgres
	since        time.Time
	closedAt, id int

	started bool
	key     [2][]byte // closed_at in binary form and id of the last row; an id may be NULL
	seen    []Hash    // the rows with this key that were read
}

const pageOrder = " order by t.closed_at, t.id limit "

// next returns the next page, and whether there may be more.
func (p *pager) next(ctx context.Context) (records []*Record, more bool, err error) {
	if len(p.seen) > maxEqual {
		return nil, false, fmt.Errorf("more than %d rows of the query have the same closed_at and id, or no id: make it return one row for each transcript, with an id", maxEqual)
	}
	limit := p.s.config.PageSize + len(p.seen)
	rows, err := p.s.patiently(ctx, "read the source", func() ([][][]byte, error) {
		sql, args := p.statement(limit)
		return p.s.rows(ctx, "", sql, args, p.s.formats())
	})
	if err != nil {
		return nil, false, err
	}
	more = len(rows) == limit
	for _, values := range p.unseen(rows) {
		records = append(records, p.s.record(values))
	}
	p.advance(records, rows)
	return records, more, nil
}

func (p *pager) statement(limit int) (string, []arg) {
	closedAt := "{key}::" + p.s.typeOf(columnClosedAt)
	where := "where t.closed_at >= " + closedAt
	args := []arg{{encodeMicros(p.since), true}}
	if p.started {
		where += " and (t.closed_at > " + closedAt + " or t.id >= {id}::" + p.s.typeOf(columnID) + " or t.id is null)"
		args = []arg{{p.key[0], true}, {p.key[1], false}}
	}
	return p.s.wrap(p.s.list(), where+pageOrder+strconv.Itoa(limit), p.since, args...)
}

func (p *pager) hasKey(values [][]byte) bool {
	return p.started && bytes.Equal(values[p.closedAt], p.key[0]) && same(values[p.id], p.key[1])
}

// same compares values, of which NULL is not the empty one.
func same(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

// unseen leaves out the rows that the page before ended with. As long as no more rows have its key than were seen, they
// are those, even if one was changed meanwhile.
func (p *pager) unseen(rows [][][]byte) [][][]byte {
	again := 0
	for again < len(rows) && p.hasKey(rows[again]) {
		again++
	}
	if again <= len(p.seen) {
		return rows[again:]
	}
	left := slices.Clone(p.seen)
	return slices.DeleteFunc(slices.Clone(rows), func(values [][]byte) bool {
		if !p.hasKey(values) {
			return false
		}
		w := row{p.s.columns, values}
		i := slices.Index(left, w.hash())
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
		return true
	})
}

// advance moves the key to the last row of a page.
func (p *pager) advance(records []*Record, rows [][][]byte) {
	if len(records) == 0 {
		return
	}
	last := rows[len(rows)-1]
	if !p.hasKey(last) {
		p.seen = nil
	}
	p.started = true
	p.key = [2][]byte{last[p.closedAt], last[p.id]}
	for _, r := range records {
		if p.hasKey(r.row.values) {
			p.seen = append(p.seen, r.Hash)
		}
	}
}

// list returns the columns that are read, in the order of s.columns.
func (s *Postgres) list() string {
	names := make([]string, len(s.columns))
	for i, c := range s.columns {
		names[i] = "t." + c.name
		if c.oid == pgtype.BPCharOID {
			names[i] += "::text" // without the blanks that fill it up
		}
	}
	return strings.Join(names, ", ")
}

func (s *Postgres) formats() []int16 {
	formats := make([]int16, len(s.columns))
	for i, c := range s.columns {
		if slices.Contains(timeTypes, c.oid) {
			formats[i] = 1
		}
	}
	return formats
}

// Fetch yields the records that are known by the given keys, closed or not, of any age, each key's once: of rows with
// one id the first that is closed. Keys that are places ("postgres:...") make it read the whole query; a key without a
// row yields nothing. @since is -infinity. Errors are as with Read.
func (s *Postgres) Fetch(ctx context.Context, ids []string) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		for batch := range slices.Chunk(s.possible(ids), fetchBatch) {
			rows, err := s.byID(ctx, batch)
			if err != nil {
				yield(nil, err)
				return
			}
			found := map[string]bool{}
			for _, values := range rows {
				r := s.record(values)
				if found[r.ID] {
					continue
				}
				found[r.ID] = true
				if !yield(r, nil) {
					return
				}
			}
		}
		s.fetchPlaces(ctx, ids, yield)
	}
}

// fetchPlaces yields the rows that have no id that one could ask the database for.
func (s *Postgres) fetchPlaces(ctx context.Context, keys []string, yield func(*Record, error) bool) {
	places := map[string]bool{}
	for _, key := range keys {
		if strings.HasPrefix(key, postgresPath+":") {
			places[key] = true
		}
	}
	if len(places) == 0 {
		return
	}
	for r, err := range s.records(ctx, time.Time{}) {
		if err != nil {
			yield(nil, err)
			return
		}
		place := r.Place.String()
		if !places[place] {
			continue
		}
		delete(places, place)
		if !yield(r, nil) || len(places) == 0 {
			return
		}
	}
}

// byID reads the rows of ids, closed ones first, in the column's own type so that its index can be used.
func (s *Postgres) byID(ctx context.Context, ids []string) ([][][]byte, error) {
	list := s.typeOf(columnID)
	if list == "bpchar" {
		list = "text"
	}
	where := "where t.id = any({key}::" + list + "[]) order by t.closed_at nulls last"
	sql, args := s.wrap(s.list(), where, time.Time{}, arg{arrayLiteral(ids), false})
	return s.patiently(ctx, "fetch from the source", func() ([][][]byte, error) {
		return s.rows(ctx, "", sql, args, s.formats())
	})
}

// possible returns the ids that the id column can hold, as Postgres writes them, each once.
func (s *Postgres) possible(ids []string) []string {
	fits := func(id string) bool { return checkID(id) == "" }
	switch s.typeOf(columnID) {
	case "bigint":
		fits = func(id string) bool {
			n, err := strconv.ParseInt(id, 10, 64)
			return err == nil && strconv.FormatInt(n, 10) == id
		}
	case "uuid":
		fits = func(id string) bool {
			u, err := uuid.Parse(id)
			return err == nil && u.String() == id
		}
	}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !fits(id) })
	slices.Sort(ids)
	return slices.Compact(ids)
}

// arrayLiteral writes a Postgres array of texts.
func arrayLiteral(texts []string) []byte {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	b := []byte{'{'}
	for i, text := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), escape.Replace(text)...), '"')
	}
	return append(b, '}')
}

// count counts the rows in the background, if the database can do so quickly. Call what it returns to end it.
func (s *Postgres) count(ctx context.Context, since time.Time) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		where := "where t.closed_at >= {key}::" + s.typeOf(columnClosedAt)
		sql, args := s.wrap("count(*)", where, since, arg{encodeMicros(since), true})
		rows, err := s.rows(ctx, "set local statement_timeout = '5s'", sql, args, nil)
		if err != nil || len(rows) != 1 {
			return // progress is shown without a total
		}
		total, _ := strconv.ParseInt(string(rows[0][0]), 10, 64)
		s.total.Store(total)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// patiently runs a read, and again after what a database that is away or busy answers.
func (s *Postgres) patiently(ctx context.Context, doing string, read func() ([][][]byte, error)) ([][][]byte, error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, 10*time.Second
	rows, err := backoff.Retry(ctx, func() ([][][]byte, error) {
		rows, err := read()
		if err != nil && !transient(err) {
			return nil, backoff.Permanent(err)
		}
		return rows, err
	}, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(s.config.Patience), backoff.WithNotify(func(err error, wait time.Duration) {
		s.config.Logger.Warn("the source database is away, trying again", "wait", wait.Round(time.Millisecond), "error", describeError(err))
	}))
	switch {
	case err == nil:
		return rows, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case transient(err):
		doing = fmt.Sprintf("%s, tried for %v", doing, s.config.Patience)
	}
	return nil, s.failure(doing, err)
}
