package source

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
)

const (
	// maxLine is the length of the longest record that is read, in bytes: of a line without its terminator.
	maxLine = 16 << 20
	// chunkSize is the least number of bytes to read at a time, if there are so many.
	chunkSize = 256 << 10
	// maxBlank bounds the white space that is kept or looked through.
	maxBlank = 64 << 10
	// separator stands before each record in JSON text sequences (RFC 7464).
	separator = 0x1e
)

// text is a window on a stream of UTF-8, and knows on which line it is.
type text struct {
	r   io.Reader
	buf []byte
	pos int   // where the next byte is
	low int   // bytes before it are no longer needed
	err error // what the stream ended with

	eol    byte  // what ends a line: '\n', or '\r' in a file without any '\n'
	line   int64 // the number of the line, from 1
	start  int   // where the line begins, -1 if that is no longer in buf
	fresh  bool  // there is only white space before pos on the line
	indent int   // how much white space the line begins with
	nth    int   // how many records have begun on the line
}

func newText(r io.Reader) *text {
	return &text{r: r, buf: make([]byte, 0, chunkSize), eol: '\n', line: 1, fresh: true}
}

// more reads on and reports whether it got anything. If not, err is set.
func (t *text) more() bool {
	if t.err != nil {
		return false
	}
	if kept := t.buf[t.low:]; len(t.buf) == cap(t.buf) || t.low >= chunkSize && len(kept) <= chunkSize { // what is small stays in the processor's cache
		if len(kept) <= cap(t.buf)/2 {
			t.buf = t.buf[:copy(t.buf[:cap(t.buf)], kept)]
		} else {
			t.buf = append(make([]byte, 0, 2*cap(t.buf)), kept...)
		}
		t.pos -= t.low
		if t.start -= t.low; t.start < 0 {
			t.start = -1
		}
		t.low = 0
	}
	for range 100 {
		n, err := t.r.Read(t.buf[len(t.buf):min(cap(t.buf), len(t.buf)+chunkSize)])
		t.buf, t.err = t.buf[:len(t.buf)+n], err
		if n > 0 || err != nil {
			return n > 0
		}
	}
	t.err = io.ErrNoProgress
	return false
}

// ended reports whether the stream has come to its end without an error. An io.EOF inside another error is not the end: the file is
// damaged.
func (t *text) ended() bool {
	return t.err == io.EOF //nolint:errorlint // see above
}

// space moves to the next byte that is neither white space nor a separator, and returns it, or what the stream ended with.
func (t *text) space() (byte, error) {
	for {
		for t.pos < len(t.buf) {
			switch c := t.buf[t.pos]; c {
			case t.eol:
				t.newLine()
			case ' ', '\t', '\r', '\n':
				t.pos++
			case separator:
				t.pos++
				t.low, t.start = t.pos, t.pos
			default:
				if c == byteOrder[0] && t.fresh && t.marked() {
					continue
				}
				if t.fresh && t.start >= 0 {
					t.indent = t.pos - t.start
				}
				return c, nil
			}
		}
		if !t.fresh || t.pos-t.low > maxBlank {
			t.low, t.start = t.pos, -1
		}
		if !t.more() {
			return 0, t.err
		}
	}
}

// byteOrder is the byte order mark of UTF-8. It occurs within a text where files were concatenated.
const byteOrder = "\xef\xbb\xbf"

// marked moves past a byte order mark at pos and reports whether there was one.
func (t *text) marked() bool {
	for len(t.buf)-t.pos < len(byteOrder) && t.more() {
	}
	if !bytes.HasPrefix(t.buf[t.pos:], []byte(byteOrder)) {
		return false
	}
	t.pos += len(byteOrder)
	t.low, t.start = t.pos, t.pos
	return true
}

// newLine moves past the terminator at pos.
func (t *text) newLine() {
	t.pos++
	t.line++
	t.nth, t.fresh, t.start, t.low, t.indent = 0, true, t.pos, t.pos, 0
}

// advance moves past n bytes, which may contain line ends.
func (t *text) advance(n int) {
	passed := t.buf[t.pos : t.pos+n]
	if lines := bytes.Count(passed, []byte{t.eol}); lines > 0 {
		t.line += int64(lines)
		t.nth = 0
		t.indent = blanks(passed[bytes.LastIndexByte(passed, t.eol)+1:])
	}
	t.pos += n
	t.low, t.start, t.fresh = t.pos, -1, false
}

// lineStart is where the line begins as far as it is kept and belongs to no other record.
func (t *text) lineStart() int {
	if t.fresh && t.start >= 0 {
		return t.start
	}
	return t.pos
}

// lineEnd returns the index of the terminator of the line, or of the separator in it, len(buf) at the end of the stream, and -1
// if it is not within the next so many bytes or cannot be read.
func (t *text) lineEnd(within int) int {
	for from := 0; ; {
		rest := t.buf[t.pos:]
		if n := t.endIn(rest[from:]); n >= 0 {
			return t.pos + from + n
		}
		if from = len(rest); from > within {
			return -1
		}
		if !t.more() {
			if t.ended() {
				return len(t.buf)
			}
			return -1
		}
	}
}

func (t *text) endIn(b []byte) int {
	n := bytes.IndexByte(b, t.eol)
	if n >= 0 {
		b = b[:n]
	}
	if s := bytes.IndexByte(b, separator); s >= 0 {
		return s
	}
	return n
}

// behind returns what stands i bytes behind pos or after that on this line: a byte that is no white space, or the terminator or a
// separator or the end of the stream as '\n'; and its distance.
func (t *text) behind(i int) (c byte, at int) {
	for limit := i + maxBlank; i < limit; i++ {
		if t.pos+i == len(t.buf) && !t.more() {
			break
		}
		switch c := t.buf[t.pos+i]; c {
		case t.eol, separator:
			return '\n', i
		case ' ', '\t', '\r', '\n':
		default:
			return c, i
		}
	}
	return '\n', i
}

// skipLine moves past the rest of the line and calls use with its pieces.
func (t *text) skipLine(use func([]byte)) error {
	for {
		rest := t.buf[t.pos:]
		n := t.endIn(rest)
		if n >= 0 {
			rest = rest[:n]
		}
		use(rest)
		t.pos += len(rest)
		t.low, t.start = t.pos, -1
		if n >= 0 {
			t.fresh = t.fresh && n == 0
			return nil
		}
		t.fresh = false
		if !t.more() {
			if t.ended() {
				return nil
			}
			return t.err
		}
	}
}

// trim removes the carriage return of a terminator.
func (t *text) trim(line []byte) []byte {
	if t.eol == '\r' {
		return line
	}
	return bytes.TrimSuffix(line, []byte{'\r'})
}

// blanks counts the white space at the beginning of a line.
func blanks(line []byte) int {
	n := 0
	for n < len(line) && (line[n] == ' ' || line[n] == '\t') {
		n++
	}
	return n
}

// lineHash hashes a line that comes in pieces, without a carriage return at its end.
type lineHash struct {
	hash.Hash
	held bool
}

func newLineHash() *lineHash { return &lineHash{Hash: sha256.New()} }

func (h *lineHash) add(piece []byte) {
	if len(piece) == 0 {
		return
	}
	if h.held {
		_, _ = h.Write([]byte{'\r'})
	}
	h.held = piece[len(piece)-1] == '\r'
	if h.held {
		piece = piece[:len(piece)-1]
	}
	_, _ = h.Write(piece)
}

func (h *lineHash) sum() (s Hash) {
	h.Sum(s[:0])
	return s
}

var errUnclosed = errors.New("the JSON array is not closed: the file is truncated")
