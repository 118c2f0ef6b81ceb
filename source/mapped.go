package source

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dixa-import/source/internal/jq"
	"dixa-import/source/internal/spill"
)

// Mapped reads transcripts from files whose records have another format: see Mapping. Records of a group are gathered on disk, so the memory that it
// takes does not depend on the size of the files.
type Mapped struct {
	*JSONL
	mapper   *mapper
	postgres *Postgres // nil: the records are in files

	mu     sync.Mutex
	counts MappingCounts // guarded by mu
}

// MappingCounts says what a mapping made of a source.
type MappingCounts struct {
	Records     int64 // of the source
	Groups      int64 // 0: the mapping has none
	Transcripts int64
	Dropped     Dropped // messages and events that are not sent
}

var errNothingToMap = errors.New("there is nothing to map: set source.format or source.transform")

// OpenMapped is OpenJSONL for records that a mapping makes transcripts of.
func OpenMapped(config JSONLConfig, m Mapping) (*Mapped, error) {
	return openMapped(config, m, jq.Limits{})
}

func openMapped(config JSONLConfig, m Mapping, limits jq.Limits) (*Mapped, error) {
	mapper, err := m.compile(limits)
	if err != nil {
		return nil, err
	}
	if mapper == nil {
		return nil, errNothingToMap
	}
	s, err := OpenJSONL(config)
	if err != nil {
		return nil, err
	}
	s.shape = &mapper.shape
	return &Mapped{JSONL: s, mapper: mapper}, nil
}

// Counts returns what the latest Read has counted so far.
func (s *Mapped) Counts() MappingCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Dropped = maps.Clone(c.Dropped)
	return c
}

// Read yields the transcripts. Those of groups come after the last file was read, and the marks for the ends of files after them.
func (s *Mapped) Read(ctx context.Context, _ time.Time) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if !s.Rereadable() && s.consumed.Swap(true) {
			yield(nil, ErrCannotReread)
			return
		}
		s.done.Store(0)
		s.mu.Lock()
		s.counts = MappingCounts{Dropped: Dropped{}}
		s.mu.Unlock()
		if err := s.read(ctx, &s.done, s.logger, true, func(r *Record) bool { return yield(r, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

// Fetch reads all files again, as the record of a transcript may be anywhere in them.
func (s *Mapped) Fetch(ctx context.Context, keys []string) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if !s.Rereadable() {
			yield(nil, ErrCannotReread)
			return
		}
		want := newWanted(keys)
		for _, open := range []bool{false, true} {
			if open {
				want = &wanted{ids: want.open, open: map[string]bool{}}
			}
			if want.empty() {
				return
			}
			wanting := true
			err := s.read(ctx, new(atomic.Int64), slog.New(slog.DiscardHandler), false, func(r *Record) bool {
				if want.takes(r, open) {
					wanting = yield(r, nil)
				}
				return wanting && !want.empty()
			})
			if err != nil {
				yield(nil, err)
				return
			}
			if !wanting {
				return
			}
		}
	}
}

// takes reports whether a record is wanted, and no longer wants what it is.
func (w *wanted) takes(r *Record, open bool) bool {
	if r.EndOfFile {
		return false
	}
	_, _ = r.Transcript() // empties the ID of a broken record
	key, place := r.Key(), r.Place.String()
	switch {
	case !w.ids[key] && !w.ids[place]:
		return false
	case r.Open && !open:
		w.meet(key)
		return false
	case r.Open != open:
		return false
	}
	delete(w.ids, key)
	delete(w.ids, place)
	delete(w.open, key)
	return true
}

// errNoMore means that the caller wants no more records.
var errNoMore = errors.New("no more")

// mapRun is one way through the files.
type mapRun struct {
	*Mapped
	ctx   context.Context
	count bool // whether what happens is counted
	visit func(*Record) bool

	groups *spill.Groups // rows of groups, or transcripts whose closing is not known yet; nil: everything is handed on at once
	ends   []*Record     // marks for the ends of files, until the groups are handed on
	paths  []string      // of the files that rows are from
	seq    int64
	latest int64 // the latest time in the data, noTime while there is none
	broken bool  // a damaged record may belong to any group
}

// read calls visit with each record until it returns false.
func (s *Mapped) read(ctx context.Context, done *atomic.Int64, logger *slog.Logger, count bool, visit func(*Record) bool) error {
	run := &mapRun{Mapped: s, ctx: ctx, count: count, visit: visit, latest: noTime}
	if s.mapper.groupBy != nil || s.mapper.closed.Rule == ClosedIdle {
		run.groups = spill.New()
		defer run.groups.Close()
	}
	var failed error
	take := func(f frame) bool {
		failed = run.frame(f)
		return failed == nil
	}
	if s.postgres != nil {
		stopped, err := s.postgres.frames(ctx, take)
		if err := errors.Join(failed, err); err != nil || stopped {
			return ignore(err)
		}
	}
	for _, in := range s.inputs {
		stopped, err := s.frames(ctx, in, done, logger, take)
		if err := errors.Join(failed, err); err != nil || stopped {
			return ignore(err)
		}
	}
	return ignore(run.finish())
}

func ignore(err error) error {
	if errors.Is(err, errNoMore) {
		return nil
	}
	return err
}

func (m *mapRun) vars(p Place) jq.Vars {
	tables, columns := m.tables.known()
	return jq.Vars{File: p.Path, Tables: tables, Columns: columns}
}

func (m *mapRun) hand(r *Record) error {
	if !m.visit(r) {
		return errNoMore
	}
	return nil
}

// add adds to the counts.
func (m *mapRun) add(change func(c *MappingCounts)) {
	if m.count {
		m.mu.Lock()
		defer m.mu.Unlock()
		change(&m.counts)
	}
}

// frame takes one record of a file.
func (m *mapRun) frame(f frame) error {
	switch {
	case f.end && m.groups != nil:
		m.ends = append(m.ends, m.JSONL.record(f))
		return nil
	case f.end:
		return m.hand(m.JSONL.record(f))
	}
	m.add(func(c *MappingCounts) { c.Records++ })
	hash := f.hash
	if hash == (Hash{}) {
		hash = sha256.Sum256(f.data)
	}
	if f.failure != nil {
		return m.damaged(f)
	}
	if row, ok := m.keysOf(f.data); ok {
		return m.group(f.place, hash, row, f.data)
	}
	value, err := jq.Parse(f.data)
	if err != nil {
		f.failure = invalidJSON(f.data)
		return m.damaged(f)
	}
	rows, dataOf := []any{value}, func(any) ([]byte, error) { return f.data, nil }
	if m.mapper.each != nil {
		if rows, err = m.mapper.each.Run(m.ctx, value, m.vars(f.place)); err != nil {
			return m.failed(f.place, hash, f.data, "the format", err)
		}
		dataOf = jq.Marshal
	}
	for _, row := range rows {
		if m.mapper.each != nil && m.dropped(row) {
			continue
		}
		data, err := dataOf(row)
		if err != nil {
			return m.failed(f.place, hash, f.data, "the format", err)
		}
		switch {
		case m.mapper.groupBy != nil:
			err = m.group(f.place, hash, row, data)
		default:
			err = m.transform(f.place, hash, row, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keysOf returns what group_by and sort_by need of a row, if they are nothing but fields of it: the rest need not be decoded yet.
func (m *mapRun) keysOf(data []byte) (row map[string]any, ok bool) {
	if m.mapper.each != nil || m.mapper.groupBy == nil || len(m.mapper.groupBy.Field()) != 1 || m.mapper.sortBy != nil && len(m.mapper.sortBy.Field()) != 1 {
		return nil, false
	}
	names := m.mapper.groupBy.Field()
	if m.mapper.sortBy != nil {
		names = []string{names[0], m.mapper.sortBy.Field()[0]}
	}
	start := afterSpace(data, 0)
	if start == len(data) || data[start] != '{' {
		return nil, false
	}
	row = make(map[string]any, 2)
	for _, name := range names {
		raw := member(data[start:], name)
		if raw == nil {
			continue
		}
		value, err := jq.Parse(raw)
		if err != nil {
			return nil, false
		}
		row[name] = value
	}
	return row, true
}

// failed hands a record on that a program failed on. Errors that are not the program's end the read.
func (m *mapRun) failed(place Place, hash Hash, data []byte, program string, err error) error {
	if _, ok := errors.AsType[*jq.Error](err); !ok {
		return err
	}
	return m.rejected(place, hash, data, transformFailed(program, err))
}

// rejected hands a record on that no transcript is made of.
func (m *mapRun) rejected(place Place, hash Hash, data []byte, failure *RejectError) error {
	return m.hand(m.JSONL.record(frame{place: place, hash: hash, data: data, failure: failure}))
}

// group puts a row to those with the same key.
func (m *mapRun) group(place Place, hash Hash, row any, data []byte) error {
	key, err := one(m.ctx, m.mapper.groupBy, row, m.vars(place))
	if err != nil {
		return m.failed(place, hash, data, "group_by", err)
	}
	if key == nil && !json.Valid(data) { // only its keys have been read so far
		return m.damaged(frame{place: place, hash: hash, data: data, failure: invalidJSON(data)})
	}
	if key == nil {
		if failure := m.recognized(place, data); failure != nil {
			return m.rejected(place, hash, data, failure)
		}
		return m.rejected(place, hash, data, reject(RejectNotATranscript,
			"the record does not belong to a group, as group_by yields null: correct source.format or source.group_by, or leave the record out"))
	}
	text, err := keyText(key)
	if err != nil {
		return m.failed(place, hash, data, "group_by", err)
	}
	if m.mapper.sortBy != nil {
		sort, err := one(m.ctx, m.mapper.sortBy, row, m.vars(place))
		if _, failed := errors.AsType[*jq.Error](err); err != nil && !failed {
			return err
		}
		if err == nil { // else the row is rejected with its group
			m.saw(m.millis(sort))
		}
	}
	m.seq++
	return m.groups.Add(spill.Row{Key: text, Seq: m.seq, Place: m.encode(place), Data: data})
}

// keyText is the key of a group as text: 7 and "7" name one group.
func keyText(key any) (string, error) {
	if text, ok := key.(string); ok {
		return text, nil
	}
	encoded, err := jq.Marshal(key)
	return string(encoded), err
}

// encode writes a place down, with the number of its path.
func (m *mapRun) encode(p Place) []byte {
	n := len(m.paths) - 1
	if n < 0 || m.paths[n] != p.Path {
		m.paths = append(m.paths, p.Path)
		n++
	}
	b := binary.AppendUvarint(nil, uint64(n)) //nolint:gosec // an index
	b = binary.AppendVarint(b, p.Line)
	return append(binary.AppendVarint(b, int64(p.Nth)), p.Key...)
}

func (m *mapRun) decode(b []byte) Place {
	n, size := binary.Uvarint(b)
	line, more := binary.Varint(b[size:])
	nth, last := binary.Varint(b[size+more:])
	return Place{Path: m.paths[n], Line: line, Nth: int(nth), Key: string(b[size+more+last:])}
}

// millis returns a time of a record in milliseconds, noTime if it is none.
func (m *mapRun) millis(v any) int64 {
	if nanos, ok := jq.Nanos(v); ok {
		return nanos / 1e6
	}
	if all, ok := v.([]any); ok && len(all) > 0 { // sort_by may yield a time and what decides between equal times
		v = all[0]
	}
	if v == nil {
		return noTime
	}
	data, err := json.Marshal(v)
	if err != nil {
		return noTime
	}
	millis, _, problem := decodeTime(data, m.zone, noTime)
	if problem != "" {
		return noTime
	}
	return millis
}

// saw notes a time of the data. What lies in the future is a mistake, and says nothing about when the data end.
func (m *mapRun) saw(millis int64) {
	if millis != noTime && millis > m.latest && millis <= m.now().UnixMilli() {
		m.latest = millis
	}
}

// transform makes transcripts of one record.
func (m *mapRun) transform(place Place, hash Hash, value any, data []byte) error {
	results, err := m.run(value, place)
	if err != nil {
		return m.failed(place, hash, data, m.program(), err)
	}
	for _, result := range results {
		if m.dropped(result) {
			continue
		}
		if m.groups == nil {
			r := m.record(place, hash, result, m.close)
			if !m.count {
				r.origin = slices.Clone(data)
			}
			if err := m.hand(r); err != nil {
				return err
			}
			continue
		}
		if t, ok := result.(map[string]any); ok {
			m.saw(m.wrote(t))
		}
		encoded, err := jq.Marshal(result)
		if err != nil {
			return m.failed(place, hash, data, m.program(), err)
		}
		m.seq++
		key := binary.AppendVarint(nil, m.seq)
		if !m.count {
			key = append(key, data...) // for Origin
		}
		row := spill.Row{Key: string(key), Seq: m.seq, Place: append(hash[:], m.encode(place)...), Data: encoded}
		if err := m.groups.Add(row); err != nil {
			return err
		}
	}
	return nil
}

// leftOut counts what a transform yields nothing for. A format always says what it drops.
func (m *mapRun) leftOut(results []any) error {
	if len(results) > 0 {
		return nil
	}
	if m.mapper.preset {
		return &jq.Error{Message: "it yields nothing for the record"}
	}
	m.add(func(c *MappingCounts) { c.Dropped[leftOut]++ })
	return nil
}

// leftOut is the kind of what a transform yields nothing for.
const leftOut = "record that the transform yields nothing for"

// waiting hands on a transcript that waited for the end of the data.
func (m *mapRun) waiting(row spill.Row) error {
	result, err := jq.Parse(row.Data)
	if err != nil {
		return fmt.Errorf("read a transcript from disk: %w", err)
	}
	r := m.record(m.decode(row.Place[len(Hash{}):]), Hash(row.Place), result, m.close)
	if _, n := binary.Varint([]byte(row.Key)); n < len(row.Key) {
		r.origin = []byte(row.Key[n:])
	}
	return m.hand(r)
}
