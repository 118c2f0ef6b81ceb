package source

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
)

// maxLine is the length of the longest line that is read as a record, in bytes, without its terminator.
const maxLine = 16 << 20

// line is one line of a file, without its terminator. Its data is valid until the next call of next.
type line struct {
	data    []byte
	number  int64 // from 1; blank lines count
	tooLong bool  // the line was skipped: hash is set instead of data
	hash    Hash
}

// lineReader splits a stream into lines, in constant memory whatever their length.
type lineReader struct {
	r      *bufio.Reader
	number int64
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 256<<10)}
}

// next returns the next line that is not blank, and io.EOF after the last one. With any other error the line that was
// begun is dropped: nobody knows whether it is whole.
func (l *lineReader) next() (line, error) {
	for {
		data, err := l.r.ReadSlice('\n')
		//nolint:errorlint // io.EOF inside another error is not the end of the file, but what is wrong with it
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && (err != io.EOF || len(data) == 0) {
			return line{}, err
		}
		l.number++
		next := line{data: trimEnd(data), number: l.number}
		if errors.Is(err, bufio.ErrBufferFull) {
			if next, err = l.long(data); err != nil {
				return line{}, err
			}
		}
		if next.tooLong || afterSpace(next.data, 0) < len(next.data) {
			return next, nil
		}
	}
}

// long reads on in a line that does not fit into the buffer.
func (l *lineReader) long(start []byte) (line, error) {
	data := bytes.Clone(start)
	for {
		chunk, err := l.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && err != io.EOF {
			return line{}, err
		}
		data = append(data, chunk...)
		switch {
		case !errors.Is(err, bufio.ErrBufferFull):
			data = trimEnd(data)
			if len(data) > maxLine {
				return line{number: l.number, tooLong: true, hash: sha256.Sum256(data)}, nil
			}
			return line{data: data, number: l.number}, nil
		case len(data) > maxLine+len("\r\n"):
			return l.tooLong(data)
		}
	}
}

// tooLong reads a line to its end and keeps nothing but its hash.
func (l *lineReader) tooLong(start []byte) (line, error) {
	h := lineHash{Hash: sha256.New()}
	h.add(start)
	for {
		chunk, err := l.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && err != io.EOF {
			return line{}, err
		}
		h.add(chunk)
		if !errors.Is(err, bufio.ErrBufferFull) {
			long := line{number: l.number, tooLong: true}
			h.Sum(long.hash[:0])
			return long, nil
		}
	}
}

// lineHash hashes a line that comes in chunks, without its terminator.
type lineHash struct {
	hash.Hash
	held bool // a carriage return that may belong to the terminator
}

func (h *lineHash) add(chunk []byte) {
	if h.held && len(chunk) > 0 && chunk[0] != '\n' {
		_, _ = h.Write([]byte{'\r'})
		h.held = false
	}
	text := trimEnd(chunk)
	if bytes.HasSuffix(chunk, []byte{'\r'}) {
		h.held = true
	}
	_, _ = h.Write(text)
}

// trimEnd removes "\n", "\r\n", or the "\r" of a terminator that was cut off at the end of a file.
func trimEnd(data []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(data, []byte{'\n'}), []byte{'\r'})
}
