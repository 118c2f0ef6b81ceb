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
	"github.com/jackc/pgx/v5/pgtype"
)

// maxEqual is how many rows may share closed_at and id.
const maxEqual = 10_000

const fetchBatch = 500

// Read yields the closed rows from since on (closed_at >= since; the zero time: all) in the order of closed_at and id, and binds @since
// in the query to since. Each page is a transaction of its own. While the database is unavailable, Read retries the page for as long as
// PostgresConfig.Patience allows; after that, or if the database refuses the query, an error ends the iteration.
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
			for i, r := range records {
				records[i] = nil // free the memory of what was yielded
				if !yield(r, nil) {
					return
				}
			}
			if !more {
				if err := ctx.Err(); err != nil {
					yield(nil, err)
				}
				return
			}
		}
	}
}

// pager reads page after page. A page begins with the last key of the page before it and skips the rows of that key that were read already, so
// that all rows with the same key are read, even those without an id. A page ends after PageSize rows or PageBytes bytes, so memory does
// not depend on the size of the rows.
type pager struct {
	s            *Postgres
	since        time.Time
	closedAt, id int

	limit   int // of new rows in a page, estimated from the page before
	started bool
	key     [2][]byte // closed_at in binary form and id of the last row; an id may be NULL
	seen    []Hash    // the rows with this key that were read
}

// page collects the rows of a page. Among those with the last key of the page before, it keeps the ones that look new.
type page struct {
	p     *pager
	left  []Hash // those of p.seen that were not met again
	again int    // rows with the key of the page before
	new   []*Record
	first int // the number of those among new that have that key
	bytes int
	last  [][]byte
	cut   bool // it ended because of its bytes
	rows  int
}

// next returns the next page, and whether there may be more.
func (p *pager) next(ctx context.Context) (records []*Record, more bool, err error) {
	if len(p.seen) > maxEqual {
		return nil, false, fmt.Errorf("more than %d rows of the query have the same closed_at and id, or no id: make it return one row for each transcript, with an id", maxEqual)
	}
	if p.limit == 0 {
		p.limit = p.s.config.PageSize
	}
	limit := p.limit + len(p.seen)
	var read page
	err = p.s.patiently(ctx, "read the source", func() error {
		read = page{p: p, left: slices.Clone(p.seen)}
		sql, args := p.statement(limit)
		return p.s.each(ctx, "", sql, args, p.s.formats(), read.take)
	})
	if err != nil {
		return nil, false, err
	}
	records = read.unseen()
	p.advance(records, read.last)
	p.limit = p.s.fitting(read.bytes, len(read.new), p.s.config.PageSize)
	return records, read.cut || read.rows == limit, nil
}

// take adds a row to the page and reports whether there is room for another.
func (g *page) take(values [][]byte) bool {
	g.rows++
	tied := g.p.hasKey(values)
	if tied {
		g.again++
		w := row{columns: g.p.s.columns, values: values}
		if i := slices.Index(g.left, w.hash()); i >= 0 {
			g.left = slices.Delete(g.left, i, i+1)
			return true
		}
		g.first++
	}
	kept := copyRow(values)
	g.last = kept
	g.new = append(g.new, g.p.s.record(kept))
	g.bytes += sizeOf(kept)
	// Unless a new row is known to be in the page, reading goes on.
	g.cut = g.bytes >= g.p.s.config.PageBytes && (!tied || g.again > len(g.p.seen))
	return !g.cut
}

// unseen returns the new rows. If no more rows have the last key of the page before than were seen then, they are the same rows, even if one was
// changed in the meantime.
func (g *page) unseen() []*Record {
	if g.again <= len(g.p.seen) {
		return g.new[g.first:]
	}
	return g.new
}

func (p *pager) statement(limit int) (string, []arg) {
	closedAt, id := "{key}::"+p.s.timeType(), "{id}::"+p.s.id.sql
	where := "where t.closed_at >= " + closedAt
	args := []arg{{p.s.from(p.since), true}}
	if p.started {
		where += " and (t.closed_at > " + closedAt + " or " + p.s.id.order + " >= " + id + " or t.id is null)"
		args = []arg{{p.key[0], true}, {p.key[1], false}}
	}
	return p.s.wrap(p.s.list(), where+" order by t.closed_at, "+p.s.id.order+" limit "+strconv.Itoa(limit), p.since, args...)
}

// from returns the value of closed_at where reading starts, in binary form. If the column has no time zone, that is the local time, less the
// time by which clocks may have been set back since.
func (s *Postgres) from(since time.Time) []byte {
	const setBack = 3 * time.Hour
	if since.IsZero() || s.timeType() != "timestamp" || s.config.TimeZone == time.UTC {
		return encodeMicros(since)
	}
	_, offset := since.In(s.config.TimeZone).Zone()
	return encodeMicros(since.Add(time.Duration(offset)*time.Second - setBack))
}

func (p *pager) hasKey(values [][]byte) bool {
	return p.started && bytes.Equal(values[p.closedAt], p.key[0]) && same(values[p.id], p.key[1])
}

// same compares values, of which NULL is not the empty one.
func same(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

// advance moves the key to the last row of a page.
func (p *pager) advance(records []*Record, last [][]byte) {
	if len(records) == 0 {
		return
	}
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
		if c.name == columnID {
			names[i] = s.id.text
		} else if c.oid == pgtype.BPCharOID {
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

// Fetch looks rows up by id, whatever their age. If several rows have the same id, it yields the first closed one. Keys that are places
// ("postgres:...") make it read the whole query. @since is -infinity.
func (s *Postgres) Fetch(ctx context.Context, ids []string) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		size := fetchBatch
		for left := s.possible(ids); len(left) > 0; {
			batch := left[:min(size, len(left))]
			records, bytes, cut, err := s.byID(ctx, batch)
			if err != nil {
				yield(nil, err)
				return
			}
			left = left[len(batch):]
			if cut {
				left = append(withoutFound(batch, records), left...)
			}
			size = s.fitting(bytes, len(records), fetchBatch)
			for i, r := range records {
				records[i] = nil
				if !yield(r, nil) {
					return
				}
			}
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
		}
		s.fetchPlaces(ctx, ids, yield)
	}
}

// fetchPlaces yields the rows with these places: they have no id by which the database could find them.
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

// withoutFound returns the ids that none of the records has.
func withoutFound(ids []string, records []*Record) []string {
	found := make(map[string]bool, len(records))
	for _, r := range records {
		found[r.ID] = true
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return found[id] })
}

// fitting returns how many rows fit into a page if they are as large as the n rows that were read, which had so many bytes; most if n is 0.
func (s *Postgres) fitting(bytes, n, most int) int {
	if n == 0 {
		return most
	}
	return min(max(s.config.PageBytes/(bytes/n+1), 1), most)
}

// byID reads the row of each id, closed ones first, until PageBytes is reached: then cut is true and there may be more.
func (s *Postgres) byID(ctx context.Context, ids []string) (records []*Record, bytes int, cut bool, err error) {
	where := "where " + s.id.found + " = any({key}::" + s.id.list + "[]) order by t.closed_at nulls last"
	sql, args := s.wrap(s.list(), where, time.Time{}, arg{arrayLiteral(ids), false})
	err = s.patiently(ctx, "fetch from the source", func() error {
		want := make(map[string]bool, len(ids))
		for _, id := range ids {
			want[id] = true
		}
		records, bytes, cut = nil, 0, false
		return s.each(ctx, "", sql, args, s.formats(), func(values [][]byte) bool {
			id := string(values[s.position(columnID)])
			if !want[id] { // it is equal in the database only, or the second one
				return true
			}
			delete(want, id)
			kept := copyRow(values)
			records = append(records, s.record(kept))
			bytes += sizeOf(kept)
			cut = bytes >= s.config.PageBytes
			return !cut
		})
	})
	return records, bytes, cut, err
}

func sizeOf(values [][]byte) (n int) {
	for _, v := range values {
		n += len(v)
	}
	return n
}

// possible returns the ids that the id column can contain, written as Postgres writes them, each once.
func (s *Postgres) possible(ids []string) []string {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !s.id.fits(id) })
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

// count starts to count the rows in the background, if the database can do that quickly. stop ends it and waits for it.
func (s *Postgres) count(ctx context.Context, since time.Time) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		where := "where t.closed_at >= {key}::" + s.timeType()
		sql, args := s.wrap("count(*)", where, since, arg{s.from(since), true})
		rows, err := s.rows(ctx, "set local statement_timeout = '5s'", sql, args...)
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

// patiently runs a read, and retries it while the database is unavailable or busy.
func (s *Postgres) patiently(ctx context.Context, doing string, read func() error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, 10*time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := read()
		if err != nil && !transient(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(s.config.Patience), backoff.WithNotify(func(err error, wait time.Duration) {
		s.config.Logger.Warn("the source database is away, trying again", "wait", wait.Round(time.Millisecond), "error", describeError(err))
	}))
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case transient(err):
		doing = fmt.Sprintf("%s, tried for %v", doing, s.config.Patience)
	}
	return s.failure(doing, err)
}
