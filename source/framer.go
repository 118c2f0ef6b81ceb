package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
)

// frame is a record as it stands in a file, or what is wrong at a place.
type frame struct {
	place   Place
	data    []byte // valid until the next frame
	id      string // by a quick scan of data, like open
	open    bool
	hash    Hash         // set if data does not hold the whole record
	failure *RejectError // why data must not be decoded; nil: it may be
	maybe   *damagedRow  // with failure, what the record may have been; nil: anything
	end     bool         // the file was read to its end
}

// errStopped means that the caller wants no more frames.
var errStopped = errors.New("stopped")

// framer finds the records in a text. A line that is a complete JSON object is a record. If a line is only the beginning of a JSON value, the
// record continues on the next lines until the value is complete. If it never is, only the first line is rejected, or, of a record
// written over several lines, everything up to the next record. So a truncated line does not take its neighbours with it.
type framer struct {
	*text
	ctx     context.Context
	path    string
	records []string // the path to the array of records in a value; nil: the framer finds it
	visit   func(frame) bool
	watch   *watch // for another encoding than UTF-8
	shape   *shape // of records that are mapped; nil: they are transcripts

	checker checker
	arrays  bool // the text begins with an array, so more may follow
	found   bool // there was an array at records
	damaged bool // a part that cannot be read was reported
	handed  bool // a frame was emitted
	inside  int  // number of open envelopes
}

// run reads the text to its end.
func (f *framer) run() error {
	for first := true; ; first = false {
		c, err := f.space()
		switch {
		case f.ended() && err != nil:
			return nil //nolint:nilerr // what ended is the text
		case err != nil:
			return err
		case c == ',' && !first:
			f.comma()
		case len(f.records) > 0:
			err = f.walk(f.records)
		case c == '[' && f.records == nil && f.wholeArray():
			err = f.value(false)
		case c == '[' && (f.records != nil || (first || f.arrays) && f.opensRecords()):
			f.arrays = true
			err = f.array()
		case c == '{':
			err = f.value(false)
		default:
			err = f.rejectLine()
		}
		if err != nil {
			return err
		}
		if err := f.ctx.Err(); err != nil {
			return err
		}
	}
}

// opensRecords reports whether the array at pos is empty, or begins with an object.
func (f *framer) opensRecords() bool {
	for i := 1; i < maxBlank; i++ {
		if f.pos+i == len(f.buf) && !f.more() {
			return false
		}
		switch f.buf[f.pos+i] {
		case ' ', '\t', '\r', '\n':
		case '{', ']':
			return true
		default:
			return false
		}
	}
	return false
}

func (f *framer) comma() {
	f.pos++
	f.low = f.pos
	if f.start >= 0 {
		f.start = f.pos
	}
}

// array reads the records in the array at pos.
func (f *framer) array() error {
	f.advance(1)
	for {
		c, err := f.space()
		switch {
		case f.ended() && err != nil:
			return errUnclosed
		case err != nil:
			return err
		case c == ']':
			f.advance(1)
			return nil
		case c == ',':
			f.comma()
		default:
			err = f.value(true)
		}
		if err != nil {
			return err
		}
		if err := f.ctx.Err(); err != nil {
			return err
		}
	}
}

// begin returns the place of a record that begins at pos, and counts it.
func (f *framer) begin() Place {
	f.nth++
	return f.here(f.nth)
}

func (f *framer) here(nth int) Place {
	if nth < 2 {
		nth = 0
	}
	return Place{Path: f.path, Line: f.line, Nth: nth}
}

// emit passes a frame to visit.
func (f *framer) emit(fr frame) error {
	if fr.failure == nil && fr.hash == (Hash{}) {
		fr.failure = f.watch.record(fr.data)
	}
	f.handed = true
	if !f.visit(fr) {
		return errStopped
	}
	return nil
}

// value reads the value at pos as a record.
func (f *framer) value(inArray bool) error {
	if f.fresh {
		if done, err := f.whole(inArray); done || err != nil {
			return err
		}
	}
	f.checker.reset()
	for n := 0; ; {
		fed, state := f.checker.feed(f.buf[f.pos+n:])
		n += fed
		switch {
		case n > maxLine:
			return f.giant(n, state, inArray)
		case state == complete:
			return f.completed(n, inArray)
		case state == broken:
			return f.broken(n, inArray)
		}
		if !f.more() {
			return f.cutOff(n, inArray)
		}
	}
}

// whole emits the value if it is an object that fills its line. It does not check the JSON: Transcript does.
func (f *framer) whole(inArray bool) (done bool, err error) {
	end := f.lineEnd(chunkSize)
	if end < 0 {
		return false, nil
	}
	from := f.lineStart()
	line := f.trim(f.buf[from:end])
	if len(line) > maxLine {
		return false, nil
	}
	s := f.outline(line)
	if s.end < 0 || s.bare && (!f.handed || f.envelope(line[:s.end]) != nil) {
		return false, nil
	}
	rest := afterSpace(line, s.end)
	switch {
	case rest == len(line) && !inArray:
		err = f.emit(frame{place: f.begin(), data: line, id: s.id, open: s.open})
		f.pos, f.low, f.start, f.fresh = end, end, -1, false
		return true, err
	case inArray && (rest == len(line) || line[rest] == ',' || line[rest] == ']'):
		err = f.emit(frame{place: f.begin(), data: f.buf[f.pos : from+s.end], id: s.id, open: s.open})
		f.pos = from + s.end
		f.low, f.start, f.fresh = f.pos, -1, false
		return true, err
	}
	return false, nil
}

// completed reads the value of n bytes at pos, which is valid JSON.
func (f *framer) completed(n int, inArray bool) error {
	c, at := f.behind(n)
	next := c
	if c == ',' {
		next, _ = f.behind(at + 1)
	}
	value := f.buf[f.pos : f.pos+n]
	switch {
	case f.fresh && f.swallows(value):
		return f.recover(n, inArray)
	case c == '\n', c == '{', inArray && (c == ',' || c == ']'), c == ',' && (next == '{' || next == '\n'):
	default:
		return f.broken(n, inArray)
	}
	s := f.outline(value)
	if s.bare && f.records == nil {
		e := f.envelope(value)
		if e == nil && !inArray {
			if wrong := f.lonely(n); wrong != nil {
				e = &envelope{failure: wrong}
			}
		}
		if e != nil {
			return f.open(e)
		}
		value = f.buf[f.pos : f.pos+n] // looking ahead may have moved it
	}
	data := value
	if c == '\n' && !inArray && bytes.IndexByte(value, f.eol) < 0 {
		data = f.trim(f.buf[f.lineStart() : f.pos+at])
	}
	fr := frame{place: f.begin(), data: data, id: s.id, open: s.open}
	if len(data) > maxLine {
		fr = frame{place: fr.place, hash: sha256.Sum256(data), failure: tooLong()}
	}
	err := f.emit(fr)
	f.advance(n)
	return err
}

// broken rejects the value at pos, which is not JSON from the n-th byte on.
func (f *framer) broken(n int, inArray bool) error {
	if e := f.openedBy(n, inArray); e != nil {
		return f.open(e)
	}
	if bytes.IndexByte(f.buf[f.pos:f.pos+n], f.eol) >= 0 {
		return f.recover(n, inArray)
	}
	if !inArray {
		return f.rejectLine()
	}
	if size := f.balanced(); size > 0 {
		err := f.emit(frame{place: f.begin(), data: f.buf[f.pos : f.pos+size]})
		f.advance(size)
		return err
	}
	if f.fresh {
		return f.rejectLine()
	}
	f.damaged = true
	h := newLineHash()
	if err := f.skipLine(h.add); err != nil {
		return err
	}
	return f.emit(frame{place: f.begin(), hash: h.sum(), failure: reject(RejectFileDamaged,
		"the JSON array is broken here, and the start of the next record on this line cannot be found: export the file again")})
}

// openedBy returns the envelope that a value begins with, of which only n bytes are valid; nil if it is a record itself.
func (f *framer) openedBy(n int, inArray bool) *envelope {
	if inArray || f.records != nil {
		return nil
	}
	if prefix := f.buf[f.pos : f.pos+n]; f.outline(prefix).bare {
		return f.envelope(prefix)
	}
	return nil
}

// balanced returns the length of the object at pos by its brackets alone, if it ends on this line and another one or the end
// of the array follows; else 0.
func (f *framer) balanced() int {
	for seen := 0; ; {
		rest := f.buf[f.pos:]
		if line := f.endIn(rest); line >= 0 {
			rest = rest[:line]
		}
		if n := matching(rest); n > 0 {
			if c, _ := f.behind(n); c == ',' || c == ']' || c == '\n' {
				return n
			}
			return 0
		}
		if seen == len(rest) || len(rest) > maxLine {
			return 0
		}
		if seen = len(rest); !f.more() {
			return 0
		}
	}
}

// matching returns the index behind the bracket that closes the one at the beginning, 0 if there is none.
func matching(b []byte) int {
	var stack []byte
	for i := 0; i < len(b); {
		switch c := b[i]; c {
		case '"':
			i = afterString(b, i)
			continue
		case '{', '[':
			stack = append(stack, c+2) // its counterpart in ASCII
		case '}', ']':
			last := len(stack) - 1
			if last < 0 || stack[last] != c {
				return 0
			}
			if stack = stack[:last]; last == 0 {
				return i + 1
			}
		}
		i++
	}
	return 0
}

// rejectLine emits the rest of the line, which is not JSON.
func (f *framer) rejectLine() error {
	end := f.lineEnd(maxLine)
	if end < 0 && f.err != nil {
		return f.err
	}
	if end >= 0 {
		if line := f.trim(f.buf[f.lineStart():end]); len(line) <= maxLine {
			s := f.outline(line)
			err := f.emit(frame{place: f.begin(), data: line, id: s.id, open: s.open})
			f.pos, f.low, f.start, f.fresh = end, end, -1, false
			return err
		}
	}
	h := newLineHash()
	h.add(f.buf[f.lineStart():f.pos])
	if err := f.skipLine(h.add); err != nil {
		return err
	}
	return f.emit(frame{place: f.begin(), hash: h.sum(), failure: tooLong()})
}

func tooLong() *RejectError {
	return reject(RejectLineTooLong, "the line is longer than 16 MiB: shorten the transcript or split it")
}
