package source

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxEnvelope is how deep in objects an array of transcripts is looked for.
const maxEnvelope = 4

// errBroken means that the text around the records is not JSON.
var errBroken = errors.New("the JSON around the records is invalid from here on")

// parseRecords reads the place of the records in a file, such as .data.chats; nil for "".
func parseRecords(s string) ([]string, error) {
	rest := strings.TrimSuffix(strings.TrimSpace(s), "[]")
	if s = rest; s == "" {
		return nil, nil
	}
	path := []string{}
	for rest = strings.TrimPrefix(rest, "."); rest != ""; {
		var name string
		if rest[0] == '"' {
			end := afterString([]byte(rest), 0)
			quoted, ok := unquote([]byte(rest[:end]))
			if !ok || end < len(rest) && rest[end] != '.' {
				return nil, errRecords(s)
			}
			name, rest = quoted, strings.TrimPrefix(rest[end:], ".")
		} else {
			name, rest, _ = strings.Cut(rest, ".")
			name = strings.TrimSuffix(name, "[]")
		}
		if name == "" || strings.ContainsAny(name, "[]|") {
			return nil, errRecords(s)
		}
		path = append(path, name)
	}
	return path, nil
}

func errRecords(s string) error {
	return fmt.Errorf(`%s is not a path: write the names that lead to the array of transcripts, such as .data.chats, or ."my chats" for a name with other characters`, s)
}

// dotted writes a path as it stands in the configuration. A name that could be data is left out.
func dotted(path []string) string {
	var b strings.Builder
	for _, name := range path {
		if !identifier([]byte(name)) {
			name = "…"
		}
		b.WriteString("." + name)
	}
	return b.String()
}

// envelope is an object that is not a transcript itself: it says where in it the transcripts are.
type envelope struct {
	path    []string
	failure *RejectError
}

// arrays are the arrays of objects in an object.
type arrays struct {
	transcripts, others [][]string
}

// find looks for arrays of objects in an object, which may be cut off.
func (a *arrays) find(object []byte, path []string, like func([]byte) bool) {
	all := members{object}
	for {
		name, value, ok := all.next()
		if !ok {
			return
		}
		here := slices.Concat(path, []string{string(name)})
		switch first := afterSpace(value, 1); {
		case value[0] == '{' && len(here) < maxEnvelope:
			a.find(value, here, like)
		case value[0] != '[' || first >= len(value) || value[first] != '{':
		case like(value[first:]):
			a.transcripts = append(a.transcripts, here)
		default:
			a.others = append(a.others, here)
		}
	}
}

// likeTranscript reports whether an object, which may be followed by others or be cut off, looks like a transcript.
func likeTranscript(object []byte) bool {
	id, closed, all := false, false, members{object}
	for {
		name, value, ok := all.next()
		switch {
		case !ok:
			return id && closed
		case string(name) == "messages" && value[0] == '[':
			return true
		case string(name) == "id":
			id = true
		case string(name) == "closed_at":
			closed = true
		}
		if len(all.data) > 0 && all.data[0] == '}' {
			return id && closed
		}
	}
}

// envelope returns where the transcripts are in an object that is not one itself; nil if there is no array of transcripts.
func (f *framer) envelope(object []byte) *envelope {
	if f.records != nil {
		return nil
	}
	var a arrays
	a.find(object[afterSpace(object, 0):], nil, f.like)
	switch len(a.transcripts) {
	case 0:
		return nil
	case 1:
		return &envelope{path: a.transcripts[0]}
	}
	return &envelope{failure: severalArrays(a.transcripts)}
}

func severalArrays(paths [][]string) *RejectError {
	return reject(RejectUnknownFormat, "there are several arrays of transcripts in one object, %s: set source.jsonl.records to the one to read", listed(paths))
}

func listed(paths [][]string) string {
	var shown []string
	for _, p := range paths {
		shown = append(shown, dotted(p))
	}
	return some(shown)
}

// lonely returns what is wrong with a file whose only content is an object that is not a transcript but has arrays of objects.
func (f *framer) lonely(n int) *RejectError {
	if f.handed || f.inside > 0 || f.shape != nil && f.shape.explains {
		return nil
	}
	var a arrays
	a.find(f.buf[f.pos:f.pos+n], nil, f.like)
	if len(a.others) == 0 || !f.lastValue(n) {
		return nil
	}
	return reject(RejectUnknownFormat, "the file holds one JSON object, which is not a transcript: if one of its arrays (%s) holds the transcripts, set source.jsonl.records to it", listed(a.others))
}

// lastValue reports whether nothing but white space follows n bytes behind pos.
func (f *framer) lastValue(n int) bool {
	for i := n; i < n+maxBlank; i++ {
		if f.pos+i == len(f.buf) && !f.more() {
			return f.ended()
		}
		if bytes.IndexByte([]byte(" \t\r\n\x1e"), f.buf[f.pos+i]) < 0 {
			return false
		}
	}
	return false
}

// open reads the records within the object at pos.
func (f *framer) open(e *envelope) error {
	if e.failure != nil {
		return f.refuse(e.failure)
	}
	f.inside++
	defer func() { f.inside-- }()
	return f.walk(e.path)
}

// refuse reports what is wrong with the value at pos, and moves over it.
func (f *framer) refuse(failure *RejectError) error {
	f.damaged = true
	place, h := f.begin(), sha256.New()
	_, _ = h.Write([]byte(failure.Reason))
	if err := f.skip(func(b []byte) { _, _ = h.Write(b) }); err != nil {
		return err
	}
	fr := frame{place: place, failure: failure}
	h.Sum(fr.hash[:0])
	return f.emit(fr)
}

// walk reads the records at a path within the value at pos. Arrays on the way are read element by element.
func (f *framer) walk(path []string) error {
	c, err := f.next()
	switch {
	case err != nil:
		return err
	case c == '[' && len(path) == 0:
		f.found = true
		return f.array()
	case c == '[':
		return f.each(']', func() error { return f.walk(path) })
	case c != '{' || len(path) == 0:
		return f.skip(nil)
	}
	return f.each('}', func() error {
		name, err := f.name()
		switch {
		case err != nil:
			return err
		case name == path[0]:
			return f.walk(path[1:])
		}
		return f.pass(1)
	})
}

// pass moves over a value beside the path; depth is that of the object that it is in. Where the path was found out, a second
// array of transcripts is reported.
func (f *framer) pass(depth int) error {
	c, err := f.next()
	switch {
	case err != nil:
		return err
	case f.records != nil || depth >= maxEnvelope:
	case c == '{':
		return f.each('}', func() error {
			if _, err := f.name(); err != nil {
				return err
			}
			return f.pass(depth + 1)
		})
	case c == '[' && f.opensRecords():
		for len(f.buf)-f.pos < maxBlank && f.more() {
		}
		array := f.buf[f.pos:]
		if first := afterSpace(array, 1); first < len(array) && array[first] == '{' && f.like(array[first:]) {
			return f.refuse(reject(RejectUnknownFormat,
				"this is a second array of transcripts in one object, which was not read: set source.jsonl.records to the one to read"))
		}
	}
	return f.skip(nil)
}

// each reads what is between the bracket at pos and the one that closes it.
func (f *framer) each(closing byte, read func() error) error {
	f.advance(1)
	for {
		c, err := f.next()
		switch {
		case err != nil:
			return err
		case c == closing:
			f.advance(1)
			return nil
		case c == ',':
			f.advance(1)
		default:
			if err := read(); err != nil {
				return err
			}
		}
	}
}

// next is space where the text may not end.
func (f *framer) next() (byte, error) {
	c, err := f.space()
	if err != nil && f.ended() {
		err = errUnclosed
	}
	return c, err
}

// name reads the name of a member and the colon.
func (f *framer) name() (string, error) {
	f.checker.reset()
	for n := 0; f.buf[f.pos] == '"' && n < maxBlank; {
		fed, state := f.checker.feed(f.buf[f.pos+n:])
		n += fed
		if state == complete {
			name, _ := unquote(f.buf[f.pos : f.pos+n])
			f.advance(n)
			if c, err := f.next(); err != nil || c != ':' {
				return "", errors.Join(err, errBroken)
			}
			f.advance(1)
			return name, nil
		}
		if state == broken {
			break
		}
		if !f.more() {
			_, err := f.next()
			return "", errors.Join(err, errUnclosed)
		}
	}
	return "", errBroken
}

// skip moves over the value at pos, and calls use, if there is one, with its pieces.
func (f *framer) skip(use func([]byte)) error {
	f.checker.reset()
	for {
		n, state := f.checker.feed(f.buf[f.pos:])
		if use != nil {
			use(f.buf[f.pos : f.pos+n])
		}
		f.advance(n)
		switch {
		case state == complete:
			return nil
		case state == broken:
			return errBroken
		case !f.more() && f.ended():
			return errUnclosed
		case f.pos == len(f.buf):
			return f.err
		}
	}
}
