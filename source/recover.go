package source

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"slices"
)

// maxBad is how many bytes are kept of a record that is not JSON and was written over several lines.
const maxBad = 1 << 20

// swallows reports whether a value that is written over several lines holds one that began as a record of its own: the first
// line was cut off, and what follows happens to fit. Such a line has all names of the first one, and is not indented below it.
func (f *framer) swallows(value []byte) bool {
	first, rest, lines := bytes.Cut(value, []byte{f.eol})
	if !lines {
		return false
	}
	want := names(first)
	if len(want) == 0 {
		return false
	}
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{f.eol})
		if n := blanks(line); n > f.indent || n == len(line) || line[n] != '{' {
			continue
		}
		has := names(line)
		if !slices.ContainsFunc(want, func(name string) bool { return !slices.Contains(has, name) }) {
			return true
		}
	}
	return false
}

// names returns the names of the members of an object that may be cut off.
func names(object []byte) (all []string) {
	i := afterSpace(object, 0) + 1
	for {
		if i = afterSpace(object, i); i >= len(object) || object[i] != '"' {
			return all
		}
		end := afterString(object, i)
		colon := afterSpace(object, end)
		if colon >= len(object) || object[colon] != ':' {
			return all
		}
		all = append(all, string(object[i:end]))
		if i = afterSpace(object, colon+1); i >= len(object) {
			return all
		}
		if i = afterSpace(object, afterValue(object, i)); i >= len(object) || object[i] != ',' {
			return all
		}
		i++
	}
}

// resumesWithin reports whether another record may begin within the n bytes at pos, which are not a record.
func (f *framer) resumesWithin(n int) bool {
	_, rest, _ := bytes.Cut(f.buf[f.pos:f.pos+n], []byte{f.eol})
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{f.eol})
		if n := blanks(line); n <= f.indent && n < len(line) && line[n] == '{' {
			return true
		}
	}
	return false
}

// recover rejects the record at pos, which goes on over several lines and is not JSON from the n-th byte on, and moves to where
// the next one may begin: to the second line, or, if the first one ends as lines do in JSON that is written to be read, to the
// next line that is not indented below it and begins as a record does.
func (f *framer) recover(n int, inArray bool) error {
	bad := f.buf[f.pos : f.pos+n]
	line := f.line + int64(bytes.Count(bad, []byte{f.eol}))
	place, indent := f.begin(), f.indent
	end := f.lineEnd(n)
	first := f.trim(f.buf[f.lineStart():end])
	if shown := bytes.TrimRight(first, " \t\r"); len(shown) == 0 || bytes.IndexByte([]byte("{[,:"), shown[len(shown)-1]) < 0 {
		s := outlineOf(first)
		err := f.emit(frame{place: place, data: first, id: s.id, open: s.open})
		f.pos, f.low, f.start, f.fresh = end, end, -1, false
		return err
	}
	r := rejected{hash: sha256.New(), first: bytes.Clone(first)}
	r.add(first)
	f.pos, f.low, f.start, f.fresh = end, end, -1, false
	if err := f.absorb(&r, indent, inArray); err != nil {
		return err
	}
	fr := frame{place: place, failure: reject(RejectInvalidJSON,
		"the record that begins here is not valid JSON from line %d on: correct it, or write each transcript as one object on a line of its own", line)}
	switch {
	case r.lines == 1: // another one follows at once, so it is the line that was cut off
		s := outlineOf(r.first)
		fr = frame{place: place, data: r.first, id: s.id, open: s.open}
	case n > maxLine:
		fr.failure = tooLong()
		fallthrough
	default:
		fr.data = r.kept
		r.hash.Sum(fr.hash[:0])
	}
	return f.emit(fr)
}

// absorb moves from the end of the first line of a bad record to where the next one may begin.
func (f *framer) absorb(r *rejected, indent int, inArray bool) error {
	for {
		if f.pos == len(f.buf) && !f.more() {
			if f.ended() {
				return nil
			}
			return f.err
		}
		if f.buf[f.pos] == separator {
			return nil
		}
		f.newLine()
		r.lines++
		if f.lineEnd(maxBlank) < 0 && f.err != nil && !f.ended() {
			return f.err
		}
		start := f.buf[f.pos:min(len(f.buf), f.pos+maxBlank)]
		n := blanks(start)
		if n < len(start) && n <= indent {
			switch c := start[n]; {
			case c == '{':
				return nil
			case inArray && c == ']':
				if after := bytes.TrimLeft(start[n+1:], " \t"); len(after) == 0 || after[0] != '}' {
					return nil
				}
			case c == '}':
				rest := afterBracket(start, n)
				if rest < 0 {
					break
				}
				f.indent = n
				r.lines++
				r.add(start[:rest])
				f.pos += rest
				f.low, f.start, f.fresh = f.pos, -1, false
				return nil
			}
		}
		if err := f.skipLine(r.add); err != nil {
			return err
		}
	}
}

// afterBracket returns the index behind the closing bracket at n if that ends a record: the line ends there, or a comma, the
// next record or the end of the array follows. Else it returns -1.
func afterBracket(line []byte, n int) int {
	i := n + 1
	for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
		i++
	}
	if i == len(line) || bytes.IndexByte([]byte(",{]\r\n\x1e"), line[i]) >= 0 {
		return n + 1
	}
	return -1
}

// rejected gathers the lines of a bad record.
type rejected struct {
	hash  hash.Hash
	first []byte
	kept  []byte
	lines int
}

func (r *rejected) add(line []byte) {
	_, _ = r.hash.Write(line)
	if len(r.kept)+len(line) <= maxBad {
		r.kept = append(append(r.kept, line...), '\n')
	}
}

// giant goes on with a value that is too long to be a record; n bytes of it are read.
func (f *framer) giant(n int, state checked, inArray bool) error {
	if e := f.openedBy(n, inArray); e != nil {
		return f.open(e)
	}
	if bytes.IndexByte(f.buf[f.pos:f.pos+n], f.eol) >= 0 {
		return f.recover(n, inArray)
	}
	if state == broken {
		return f.broken(n, inArray)
	}
	place, h := f.begin(), newLineHash()
	h.add(f.buf[f.lineStart():f.pos])
	for state == unfinished {
		h.add(f.buf[f.pos : f.pos+n])
		f.advance(n)
		if f.pos == len(f.buf) && !f.more() {
			if !f.ended() {
				return f.err
			}
			break
		}
		n, state = f.checker.feed(f.buf[f.pos:])
	}
	h.add(f.buf[f.pos : f.pos+n])
	f.advance(n)
	c, _ := f.behind(0)
	if state == broken || !inArray && c != '\n' && c != ',' && c != '{' {
		if err := f.skipLine(h.add); err != nil {
			return err
		}
	}
	return f.emit(frame{place: place, hash: h.sum(), failure: tooLong()})
}

// cutOff goes on where the stream ends within a value of which n bytes are there.
func (f *framer) cutOff(n int, inArray bool) error {
	if e := f.openedBy(n, inArray); e != nil {
		return f.open(e)
	}
	lines := bytes.IndexByte(f.buf[f.pos:f.pos+n], f.eol) >= 0
	switch {
	case lines && (f.ended() && !inArray || f.resumesWithin(n)):
		return f.recover(n, inArray)
	case !f.ended():
		return f.err
	case inArray:
		return errUnclosed
	}
	return f.rejectLine()
}
