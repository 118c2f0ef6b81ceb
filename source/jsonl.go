package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
)

// ErrCannotReread says that the source includes standard input or a pipe, which give their records only once.
var ErrCannotReread = errors.New("standard input and pipes can be read only once: put the transcripts into a file")

// JSONLConfig says which files are read.
type JSONLConfig struct {
	// Paths are files, globs as of path/filepath, and "-" for standard input, read in this order, the matches of a glob in
	// the order of their names. A file that is named twice is read once.
	Paths []string
	Stdin io.Reader        // what "-" stands for; nil: os.Stdin
	Now   func() time.Time // the clock that tells which times are in the future; nil: time.Now
}

// JSONL reads transcripts from files with one JSON object a line: plain, gzip or zstd.
type JSONL struct {
	inputs   []input
	now      func() time.Time
	total    int64
	done     atomic.Int64
	consumed atomic.Bool // the inputs that cannot be read again were read
}

// Read yields every record of every file, and after the last one of a file the mark that it was read to its end. It
// reads all files whole and ignores the time from which another source would read. Lines that are blank are no records.
//
// A bad line is a Record whose Transcript returns an error, and so is the place where a file turns out to be damaged or
// unreadable: the mark of its end is missing then, and the other files are read. An error ends the iteration: that of ctx, or
// of standard input or a pipe. The second call gives ErrCannotReread unless Rereadable. Only one Read may run at a time.
func (s *JSONL) Read(ctx context.Context, _ time.Time) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if !s.Rereadable() && s.consumed.Swap(true) {
			yield(nil, ErrCannotReread)
			return
		}
		s.done.Store(0)
		for _, in := range s.inputs {
			var last int64
			stopped, err := in.lines(ctx, &s.done, func(l line) bool {
				last = l.number
				return yield(s.record(in.path, l), nil)
			})
			switch {
			case stopped:
				return
			case err != nil && in.regular && ctx.Err() == nil:
				if !yield(damaged(in.path, last+1, err), nil) {
					return
				}
				continue
			case err != nil:
				yield(nil, err)
				return
			case !yield(&Record{Place: Place{Path: in.path}, EndOfFile: true}, nil):
				return
			}
		}
	}
}

// Fetch reads the files again and yields the records that are known by the given keys, each key's once, in the order of
// the files: of records with one id the first that is closed, and for a key that is a place ("path:line") the record that
// stands there, also where that says that the file is damaged. It stops when all are found; a key without a record yields
// nothing. Errors are as with Read; ErrCannotReread comes at once unless Rereadable.
func (s *JSONL) Fetch(ctx context.Context, ids []string) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if !s.Rereadable() {
			yield(nil, ErrCannotReread)
			return
		}
		want := newWanted(ids)
		for _, in := range s.inputs {
			if want.empty() {
				return
			}
			var last int64
			stopped, err := in.lines(ctx, new(atomic.Int64), func(l line) bool {
				last = l.number
				r := s.fetched(want, in.path, l)
				return (r == nil || yield(r, nil)) && !want.empty()
			})
			switch {
			case stopped:
				return
			case err != nil && in.regular && ctx.Err() == nil:
				if want.place(in.path, last+1) && !yield(damaged(in.path, last+1, err), nil) {
					return
				}
			case err != nil:
				yield(nil, err)
				return
			}
		}
	}
}

// fetched returns the line's record if it is wanted.
func (s *JSONL) fetched(want *wanted, path string, l line) *Record {
	place := want.place(path, l.number)
	if !place {
		// Hashing and copying are left for the lines that are wanted.
		if id, open := scan(l.data); open || !want.ids[id] {
			return nil
		}
	}
	r := s.record(path, l)
	_, _ = r.Transcript()                         // empties the ID of a broken record
	if key := r.Key(); want.ids[key] && !r.Open { // of a bad one that was handed out to be mended: what it is known as
		delete(want.ids, key)
		place = true
	}
	if !place {
		return nil
	}
	delete(want.ids, r.Place.String())
	return r
}

// Rereadable says whether Fetch and a second Read are possible: not with standard input or a pipe.
func (s *JSONL) Rereadable() bool {
	for _, in := range s.inputs {
		if !in.regular {
			return false
		}
	}
	return true
}

// Place returns the place that a line is known by when its file is named without some of its folders, such as
// "../transcripts/2026-01.jsonl:4" for "2026-01.jsonl:4"; "" if no file or several are called so.
func (s *JSONL) Place(ending string) string {
	colon := strings.LastIndexByte(ending, ':')
	if colon < 1 {
		return ""
	}
	found := ""
	for _, in := range s.inputs {
		if in.path == ending[:colon] || strings.HasSuffix(in.path, "/"+ending[:colon]) {
			if found != "" {
				return ""
			}
			found = in.path + ending[colon:]
		}
	}
	return found
}

// Ordered is false: files are read whole.
func (s *JSONL) Ordered() bool { return false }

// Progress tells how many bytes of the files Read has read, before decompression. Total is 0 with standard input or a
// pipe. It may be called at any time from any goroutine.
func (s *JSONL) Progress() Progress {
	return Progress{Done: s.done.Load(), Total: s.total, Unit: "bytes"}
}

// record makes a record of a line; what it holds outlives the line.
func (s *JSONL) record(path string, l line) *Record {
	r := &Record{Place: Place{Path: path, Line: l.number}, Hash: l.hash}
	if l.tooLong {
		r.failure = reject(RejectLineTooLong, "the line is longer than 16 MiB: shorten the transcript or split it")
		return r
	}
	r.raw = bytes.Clone(l.data)
	r.Hash = sha256.Sum256(l.data)
	r.ID, r.Open = scan(l.data)
	r.decode = s.decode
	return r
}

// damaged is the record of the place where a file cannot be read any further.
func damaged(path string, number int64, err error) *Record {
	return &Record{Place: Place{Path: path, Line: number}, Hash: sha256.Sum256([]byte(err.Error())),
		failure: reject(RejectFileDamaged, "%s", err.Error())}
}

func (s *JSONL) decode(r *Record) (*Transcript, *RejectError) { return decodeRecord(r, s.now()) }

// lines calls visit for each line of the input, until it returns false.
func (in input) lines(ctx context.Context, count *atomic.Int64, visit func(line) bool) (stopped bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	o, err := in.open(ctx, count)
	if err != nil {
		return false, in.failure(ctx, 0, err)
	}
	defer o.Close()
	lines := newLineReader(o)
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		l, err := lines.next()
		if err == io.EOF { //nolint:errorlint // as in next
			return false, nil
		}
		if err != nil {
			return false, in.failure(ctx, lines.number, err)
		}
		if !visit(l) {
			return true, nil
		}
	}
}

// failure says what went wrong with an input after so many of its lines.
func (in input) failure(ctx context.Context, lines int64, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	cure := "the file is truncated or damaged, copy or compress it again"
	var pathError *fs.PathError
	switch {
	case errors.As(err, &pathError):
		err, cure = pathError.Err, "make the file readable and run again"
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		cure = "compress it again without --long"
	case errors.Is(err, errNotCompressed):
		cure = "correct the name or the file"
	}
	return fmt.Errorf("read %s after line %d: %w: %s", in.path, lines, err, cure)
}

// wanted are the keys that Fetch looks for.
type wanted struct {
	ids map[string]bool
	buf []byte
}

func newWanted(ids []string) *wanted {
	w := &wanted{ids: make(map[string]bool, len(ids))}
	for _, id := range ids {
		w.ids[id] = true
	}
	return w
}

func (w *wanted) empty() bool { return len(w.ids) == 0 }

// place says whether the record at a line is wanted whatever its id.
func (w *wanted) place(path string, number int64) bool {
	w.buf = append(append(w.buf[:0], path...), ':')
	w.buf = strconv.AppendInt(w.buf, number, 10)
	return w.ids[string(w.buf)]
}
