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
	"runtime"
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
	mapper, err := m.compile()
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
		m.ends = append(m.ends, &Record{Place: f.place, EndOfFile: true})
		return nil
	case f.end:
		return m.hand(&Record{Place: f.place, EndOfFile: true})
	}
	m.add(func(c *MappingCounts) { c.Records++ })
	hash := f.hash
	if hash == (Hash{}) {
		hash = sha256.Sum256(f.data)
	}
	if f.failure != nil {
		return m.hand(&Record{Place: f.place, Hash: hash, raw: slices.Clone(f.data), failure: f.failure})
	}
	if row, ok := m.keysOf(f.data); ok {
		return m.group(f.place, hash, row, f.data)
	}
	value, err := jq.Parse(f.data)
	if err != nil {
		return m.hand(&Record{Place: f.place, Hash: hash, raw: slices.Clone(f.data), failure: invalidJSON(f.data)})
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
	return m.hand(&Record{Place: place, Hash: hash, raw: oneLine(slices.Clone(data)), failure: transformFailed(program, err)})
}

// group puts a row to those with the same key.
func (m *mapRun) group(place Place, hash Hash, row any, data []byte) error {
	key, err := one(m.ctx, m.mapper.groupBy, row, m.vars(place))
	if err != nil {
		return m.failed(place, hash, data, "group_by", err)
	}
	if key == nil {
		return m.hand(&Record{Place: place, Hash: hash, raw: oneLine(slices.Clone(data)), failure: reject(RejectNotATranscript,
			"the record does not belong to a group, as group_by yields null: correct source.format or source.group_by, or leave the record out")})
	}
	text, ok := key.(string)
	if !ok {
		encoded, err := jq.Marshal(key)
		if err != nil {
			return m.failed(place, hash, data, "group_by", err)
		}
		text = "\x00" + string(encoded) // no string
	}
	if m.mapper.sortBy != nil {
		sort, err := one(m.ctx, m.mapper.sortBy, row, m.vars(place))
		if err != nil {
			return m.failed(place, hash, data, "sort_by", err)
		}
		m.saw(m.millis(sort))
	}
	m.seq++
	return m.groups.Add(spill.Row{Key: text, Seq: m.seq, Place: m.encode(place), Data: data})
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
	if all, ok := v.([]any); ok && len(all) > 0 { // sort_by may yield a time and what decides between equal times
		v = all[0]
	}
	if v == nil {
		return noTime
	}
	at := jq.Time(v)
	if millis, ok := jq.Millis(at); ok {
		return millis
	}
	data, err := json.Marshal(at)
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

// finish hands on what was gathered, and then the marks.
func (m *mapRun) finish() error {
	if err := m.tables.unread(); err != nil || m.groups == nil {
		return err
	}
	if err := m.handGroups(); err != nil {
		return err
	}
	for _, end := range m.ends {
		if err := m.hand(end); err != nil {
			return err
		}
	}
	return nil
}

// handGroups makes transcripts of what was gathered on several goroutines, and hands them on in the order of the groups. They are a goroutine that reads
// from disk, and workers; all have ended when it returns.
func (m *mapRun) handGroups() error {
	ctx, cancel := context.WithCancel(m.ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	type job struct {
		rows      []spill.Row
		oversized bool
		records   []*Record
		err       error
		done      chan struct{}
	}
	workers := runtime.GOMAXPROCS(0)
	work, order := make(chan *job, workers), make(chan *job, 2*workers)
	for range workers {
		running.Go(func() {
			for j := range work {
				part := *m
				part.ctx = ctx
				part.visit = func(r *Record) bool { j.records = append(j.records, r); return true }
				if m.mapper.groupBy == nil {
					j.err = part.waiting(j.rows[0])
				} else {
					j.err = part.grouped(j.rows, j.oversized)
				}
				close(j.done)
			}
		})
	}
	var read error
	running.Go(func() {
		defer close(order)
		defer close(work)
		read = m.groups.Each(ctx, func(rows []spill.Row, oversized bool) error {
			j := &job{rows: rows, oversized: oversized, done: make(chan struct{})}
			for _, to := range []chan *job{work, order} {
				select {
				case to <- j:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	})
	for j := range order {
		<-j.done
		if j.err != nil {
			return j.err
		}
		for _, r := range j.records {
			if err := m.hand(r); err != nil {
				return err
			}
		}
	}
	return read
}

// sorted is a row of a group with what it is sorted by.
type sorted struct {
	value any
	by    any
	at    int64
	row   spill.Row
}

// grouped makes transcripts of the rows of one key.
func (m *mapRun) grouped(rows []spill.Row, oversized bool) error {
	m.add(func(c *MappingCounts) { c.Groups++ })
	first := m.decode(rows[0].Place)
	if oversized {
		return m.hand(&Record{Place: first, Hash: hashOf(rows), failure: reject(RejectLineTooLong,
			"the records of the group that begins here have more than %d MiB: set source.session_gap, or correct source.group_by", spill.MaxGroup>>20)})
	}
	all := make([]sorted, len(rows))
	for i, row := range rows {
		value := jq.ParseValid(row.Data)
		all[i] = sorted{value: value, row: row, at: noTime}
		if m.mapper.sortBy != nil {
			by, err := one(m.ctx, m.mapper.sortBy, value, m.vars(m.decode(row.Place)))
			if err != nil {
				return m.failed(m.decode(row.Place), hashOf(rows[i:i+1]), row.Data, "sort_by", err)
			}
			all[i].by = jq.Time(by)
			if m.mapper.gap > 0 {
				if all[i].at = m.millis(by); all[i].at == noTime {
					return m.hand(&Record{Place: m.decode(row.Place), Hash: hashOf(rows[i : i+1]), raw: oneLine(slices.Clone(row.Data)), failure: reject(RejectInvalidTime,
						"the record has no time by which its group could be sorted and cut: correct it, or source.sort_by")})
				}
			}
		}
	}
	if m.mapper.sortBy != nil {
		slices.SortStableFunc(all, func(a, b sorted) int { return jq.Compare(a.by, b.by) })
	}
	begins := m.beginnings(all)
	for from := 0; from < len(all); {
		to := from + 1
		for to < len(all) && (m.mapper.gap == 0 || !begins[to] && all[to].at-all[to-1].at < m.mapper.gap.Milliseconds()) {
			to++
		}
		if err := m.piece(all[from:to], to == len(all)); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// beginnings finds the rows with which a new session begins, whether or not there was a pause. A program that fails finds none.
func (m *mapRun) beginnings(rows []sorted) []bool {
	begins := make([]bool, len(rows))
	if m.mapper.begins == nil || m.mapper.gap == 0 || len(rows) < 2 {
		return begins
	}
	values := make([]any, len(rows))
	for i, r := range rows {
		values[i] = r.value
	}
	found, err := one(m.ctx, m.mapper.begins, values, jq.Vars{})
	all, _ := found.([]any)
	for i := range all {
		begins[i] = err == nil && len(all) == len(rows) && all[i] == true
	}
	return begins
}

// piece makes transcripts of a group, or of a part of one without a long pause.
func (m *mapRun) piece(rows []sorted, last bool) error {
	values, raw := make([]any, len(rows)), make([]spill.Row, len(rows))
	for i, r := range rows {
		values[i], raw[i] = r.value, r.row
	}
	place, hash := m.decode(raw[0].Place), hashOf(raw)
	results, err := m.mapper.transform.Run(m.ctx, values, m.vars(place))
	if err == nil {
		err = m.leftOut(results)
	}
	if err != nil {
		return m.failed(place, hash, lines(raw), "the transform", err)
	}
	for _, result := range results {
		if m.dropped(result) {
			continue
		}
		r := m.record(place, hash, result, func(t map[string]any, wrote int64) *RejectError {
			if m.mapper.gap == 0 {
				return m.close(t, wrote)
			}
			if id, ok := t["id"]; ok && id != nil {
				t["id"] = fmt.Sprintf("%v@%s", id, time.UnixMilli(rows[0].at).UTC().Format("2006-01-02T15:04:05Z"))
			}
			ended := rows[len(rows)-1].at
			if last && m.mapper.closed.Rule != ClosedByFile && m.latest-ended < max(m.mapper.gap, m.mapper.closed.Idle).Milliseconds() {
				return nil
			}
			if wrote == noTime {
				wrote = ended
			}
			return closeAt(t, wrote)
		})
		if !m.count {
			for _, row := range raw {
				r.origin = append(append(r.origin, row.Data...), '\n')
			}
		}
		if err := m.hand(r); err != nil {
			return err
		}
	}
	return nil
}

// transform makes transcripts of one record.
func (m *mapRun) transform(place Place, hash Hash, value any, data []byte) error {
	results, err := m.mapper.transform.Run(m.ctx, value, m.vars(place))
	if err == nil {
		err = m.leftOut(results)
	}
	if err != nil {
		return m.failed(place, hash, data, "the transform", err)
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
			return m.failed(place, hash, data, "the transform", err)
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
	result := jq.ParseValid(row.Data)
	r := m.record(m.decode(row.Place[len(Hash{}):]), Hash(row.Place), result, m.close)
	if _, n := binary.Varint([]byte(row.Key)); n < len(row.Key) {
		r.origin = []byte(row.Key[n:])
	}
	return m.hand(r)
}

// hashOf is the content hash of the records of a group.
func hashOf(rows []spill.Row) (h Hash) {
	sum := sha256.New()
	for _, r := range rows {
		_, _ = sum.Write(r.Data)
		_, _ = sum.Write([]byte{'\n'})
	}
	sum.Sum(h[:0])
	return h
}

func lines(rows []spill.Row) []byte {
	var b []byte
	for _, r := range rows {
		b = append(append(b, r.Data...), ' ')
	}
	return b
}

// record makes a record of what the program returned. closing sets closed_at of a transcript that has none; wrote is when its last message was written.
// _open and _closed say that a transcript is open whatever the rule, or closed at its last message.
func (m *mapRun) record(place Place, hash Hash, result any, closing func(t map[string]any, wrote int64) *RejectError) *Record {
	m.add(func(c *MappingCounts) { c.Transcripts++ })
	r := &Record{Place: place, Hash: hash}
	t, ok := result.(map[string]any)
	if !ok {
		r.failure = reject(RejectTransformFailed, "the transform returned something that is not an object: return a transcript with id, messages and closed_at, or empty")
		return r
	}
	t = maps.Clone(t)
	if t["messages"] == nil && t["closed_at"] == nil {
		r.failure = reject(RejectTransformFailed, "the transform returned an object without an array of messages: return a transcript with id, messages and closed_at, or empty")
		return r
	}
	if messages, ok := t["messages"].([]any); ok {
		t["messages"] = m.sent(messages)
	}
	open, closed := t["_open"] == true, t["_closed"] == true
	delete(t, "_open")
	delete(t, "_closed")
	if closed {
		closing = closeAt
	}
	if t["closed_at"] == nil && !open {
		if failure := closing(t, m.wrote(t)); failure != nil {
			r.failure = failure
		}
	}
	raw, err := jq.Marshal(t)
	if err != nil {
		r.failure = reject(RejectTransformFailed, "the transform returned a value that is not JSON: correct the program")
		return r
	}
	if r.raw = raw; len(raw) > maxLine {
		r.raw, r.failure = nil, tooLong()
	}
	if r.failure == nil {
		s := outlineOf(raw)
		r.ID, r.Open, r.decode = s.id, s.open, m.JSONL.decode
	}
	return r
}

// sent returns the messages without those that are only counted.
func (m *mapRun) sent(messages []any) []any {
	out := make([]any, 0, len(messages))
	for _, v := range messages {
		if !m.dropped(v) {
			out = append(out, v)
		}
	}
	return out
}

// dropped reports whether a value stands for something that is not sent, and counts it.
func (m *mapRun) dropped(v any) bool {
	object, _ := v.(map[string]any)
	kind, drop := object["_drop"].(string)
	if drop {
		m.add(func(c *MappingCounts) { c.Dropped[kind]++ })
	}
	return drop
}

// wrote returns the time of the last message, noTime if none has one.
func (m *mapRun) wrote(t map[string]any) int64 {
	latest := noTime
	messages, _ := t["messages"].([]any)
	for _, v := range messages {
		if message, ok := v.(map[string]any); ok {
			latest = max(latest, m.millis(message["created_at"]))
		}
	}
	if latest == noTime {
		latest = m.millis(t["created_at"])
	}
	return latest
}

// close sets closed_at by the rule of the mapping.
func (m *mapRun) close(t map[string]any, wrote int64) *RejectError {
	switch rule := m.mapper.closed; rule.Rule {
	case ClosedByFile:
		return closeAt(t, wrote)
	case ClosedIdle:
		if wrote == noTime || m.latest != noTime && m.latest-wrote >= rule.Idle.Milliseconds() {
			return closeAt(t, wrote)
		}
	}
	return nil
}

func closeAt(t map[string]any, millis int64) *RejectError {
	messages, ok := t["messages"].([]any)
	timed := func(v any) bool { m, _ := v.(map[string]any); return m["created_at"] != nil }
	if millis == noTime && ok && (len(messages) == 0 || slices.ContainsFunc(messages, timed)) {
		millis = 0 // nobody wrote, so it is skipped as empty; or the times are wrong, so it is rejected with their place
	}
	if millis == noTime {
		return reject(RejectInvalidTime, "neither the chat nor any of its messages has a time, so it is not known when it was closed: have the transform set closed_at")
	}
	t["closed_at"] = timeOf(millis).Format("2006-01-02T15:04:05.000Z")
	return nil
}
