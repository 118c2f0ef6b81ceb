package source

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"dixa-import/source/internal/jq"
	"dixa-import/source/internal/spill"
)

// finish hands on what was gathered, and then the marks.
func (m *mapRun) finish() error {
	if err := m.tables.unread(); err != nil || m.groups == nil {
		return err
	}
	if m.broken { // nothing more can be said of the files, either
		return m.groups.Each(m.ctx, func([]spill.Row, bool) error {
			m.holdBack()
			return nil
		})
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
	by    any   // what it is sorted by
	nanos int64 // by, if it is a time
	timed bool  // nanos is known
	at    int64 // by in milliseconds, noTime if it is no time
	row   spill.Row
}

// grouped makes transcripts of the rows of one key.
func (m *mapRun) grouped(rows []spill.Row, oversized bool) error {
	if held := func(r spill.Row) bool { return len(r.Data) == 0 }; slices.ContainsFunc(rows, held) {
		if slices.ContainsFunc(rows, func(r spill.Row) bool { return !held(r) }) {
			m.holdBack()
		}
		return nil
	}
	m.add(func(c *MappingCounts) { c.Groups++ })
	if oversized {
		return m.rejected(m.decode(rows[0].Place), hashOf(rows), nil, reject(RejectLineTooLong,
			"the records of the group that begins here have more than %d MiB: set source.session_gap, or correct source.group_by", spill.MaxGroup>>20))
	}
	all, timed := make([]sorted, len(rows)), true
	for i, row := range rows {
		value, err := jq.Parse(row.Data)
		if err != nil { // only its keys have been read so far
			return m.withheld(rows, i, invalidJSON(row.Data))
		}
		all[i] = sorted{value: value, row: row, at: noTime}
		if m.mapper.sortBy != nil {
			by, err := one(m.ctx, m.mapper.sortBy, value, m.vars(m.decode(row.Place)))
			if err != nil {
				if _, ok := errors.AsType[*jq.Error](err); !ok {
					return err
				}
				return m.withheld(rows, i, transformFailed("sort_by", err))
			}
			all[i].by = by
			if _, several := by.([]any); !several {
				all[i].nanos, all[i].timed = jq.Nanos(by)
			}
			timed = timed && all[i].timed
			if m.mapper.gap > 0 {
				if all[i].at = all[i].nanos / 1e6; !all[i].timed {
					all[i].at = m.millis(by)
				}
				if all[i].at == noTime {
					if failure := m.recognized(m.decode(row.Place), row.Data); failure != nil {
						return m.withheld(rows, i, failure)
					}
					return m.withheld(rows, i, m.untimed(by))
				}
			}
		}
	}
	switch {
	case m.mapper.sortBy == nil:
	case timed:
		newestFirst := func(a, b sorted) int { return cmp.Compare(b.nanos, a.nanos) }
		if all[0].nanos > all[len(all)-1].nanos && slices.IsSortedFunc(all, newestFirst) { // of equal times, the later row is the earlier message
			slices.Reverse(all)
		}
		slices.SortStableFunc(all, func(a, b sorted) int { return cmp.Compare(a.nanos, b.nanos) })
	default:
		for i := range all {
			all[i].by = jq.Time(all[i].by)
		}
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

// untimed says why a record has no time by which its group can be sorted.
func (m *mapRun) untimed(by any) *RejectError {
	if all, ok := by.([]any); ok && len(all) > 0 {
		by = all[0]
	}
	if data, err := jq.Marshal(by); err == nil && by != nil {
		if _, code, problem := decodeTime(data, m.zone, noTime); code == RejectTimeWithoutZone {
			return reject(code, "the time of the record, by which its group is sorted and cut, %s", problem)
		}
	}
	return reject(RejectInvalidTime, "the record has no time by which its group could be sorted and cut: correct it, or source.sort_by")
}

// damaged rejects a record that cannot be read, and sees to it that no group is imported without it.
func (m *mapRun) damaged(f frame) error {
	if m.mapper.groupBy == nil {
		return m.hand(m.JSONL.record(f))
	}
	keys, err := m.keysMaybe(f)
	if err != nil {
		return err
	}
	whole := *f.failure
	if f.failure = &whole; keys == nil {
		m.broken = true
		whole.Reason += " (no chat of the source is imported until then, as any of them may be incomplete)"
	} else {
		whole.Reason += " (the chats that it may belong to are held back until then)"
	}
	for key := range keys {
		if err := m.groups.Add(spill.Row{Key: key, Place: m.encode(f.place)}); err != nil { // without data
			return err
		}
	}
	return m.hand(m.JSONL.record(f))
}

// keysMaybe returns the keys of the groups that a damaged record may belong to, nil if these may be any.
func (m *mapRun) keysMaybe(f frame) (map[string]bool, error) {
	if f.maybe == nil || m.mapper.each != nil {
		return nil, nil
	}
	keys := map[string]bool{}
	for _, row := range f.maybe.maybe {
		key, err := m.keyOf(f.place, row)
		if err != nil {
			return nil, err
		}
		if len(f.maybe.absent) > 0 { // the key must not depend on them
			for _, name := range f.maybe.absent {
				row[name] = "?"
			}
			other, err := m.keyOf(f.place, row)
			if err != nil || other != key || key == "" {
				return nil, err
			}
		}
		if key != "" {
			keys[key] = true
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return keys, nil
}

// keyOf returns the key of a row, "" if it has none. An error is not the program's.
func (m *mapRun) keyOf(place Place, row map[string]any) (string, error) {
	key, err := one(m.ctx, m.mapper.groupBy, row, m.vars(place))
	if err == nil && key != nil {
		var text string
		if text, err = keyText(key); err == nil {
			return text, nil
		}
	}
	if _, ok := errors.AsType[*jq.Error](err); ok {
		err = nil
	}
	return "", err
}

// heldBack is the kind of a group that is not imported because a damaged record may belong to it.
const heldBack = "chat that is held back until a damaged record is corrected"

// holdBack counts a group that is not imported.
func (m *mapRun) holdBack() { m.add(func(c *MappingCounts) { c.Dropped[heldBack]++ }) }

// withheld rejects the record of a group that cannot be read. The others are not imported without it: what it holds could not be added later.
func (m *mapRun) withheld(rows []spill.Row, bad int, failure *RejectError) error {
	if others := len(rows) - 1; others > 0 {
		whole := *failure
		whole.Reason += fmt.Sprintf(" (the other records of its group, %d of them, are held back until then)", others)
		failure = &whole
	}
	return m.rejected(m.decode(rows[bad].Place), hashOf(rows[bad:bad+1]), rows[bad].Data, failure)
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
	results, err := m.run(values, place)
	if err != nil {
		if at := m.culprit(rows, err); at >= 0 {
			return m.withheld(raw, at, transformFailed(m.program(), err))
		}
		return m.failed(place, hash, lines(raw), m.program(), err)
	}
	for _, result := range results {
		if m.dropped(result) {
			continue
		}
		if object, ok := result.(map[string]any); ok && m.mapper.gap > 0 && isName(object["id"]) { // each session of a group needs an id of its own
			object = maps.Clone(object)
			object["id"] = fmt.Sprintf("%v@%s", object["id"], time.UnixMilli(rows[0].at).UTC().Format("2006-01-02T15:04:05Z"))
			result = object
		}
		r := m.record(place, hash, result, func(t map[string]any, wrote int64) *RejectError {
			if m.mapper.gap == 0 {
				return m.close(t, wrote)
			}
			ended := rows[len(rows)-1].at
			if last && m.mapper.closed.Rule != ClosedByFile && m.latest-ended < max(m.mapper.gap, m.mapper.closed.Idle).Milliseconds() {
				return nil
			}
			if wrote == noTime {
				wrote = ended
			}
			return m.closeAt(t, wrote)
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

// culprit returns which of several rows makes the program fail, -1 if none does so alone.
func (m *mapRun) culprit(rows []sorted, err error) int {
	failed, ok := errors.AsType[*jq.Error](err)
	if !ok || len(rows) < 2 {
		return -1
	}
	for i, r := range rows {
		_, err := m.run([]any{r.value}, m.decode(r.row.Place))
		if e, ok := errors.AsType[*jq.Error](err); ok && e.Message == failed.Message && e.Raised == failed.Raised && e.Part == failed.Part {
			return i
		}
	}
	return -1
}

// isName reports whether a value can be an id: any other is rejected when the transcript is decoded.
func isName(v any) bool {
	switch v.(type) {
	case string, json.Number, int:
		return true
	}
	return false
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
