package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
)

// JSONLConfig describes which files are read, and how.
type JSONLConfig struct {
	// Paths are files, patterns with *, **, ?, [a-z] and {a,b}, folders, and "-" for standard input. They are read in this order, and the
	// matches of a pattern in the order of their names. In a folder and all folders below it, the files with the endings of transcripts
	// are read. ~ is the home directory. A file that is named twice is read once.
	Paths []string
	Stdin io.Reader // what "-" stands for; nil: os.Stdin
	// Records is the path to the array of records in each file, such as .data.chats. "": the records are lines, the elements of an array, or
	// those of the only array of transcripts within an object.
	Records string
	// Encoding is the encoding of files without a byte order mark, such as windows-1252. "": UTF-8; other encodings are rejected.
	Encoding string
	// CSV says that the files are tables of values; nil: they are JSON. Rows are no transcripts yet: see OpenMapped.
	CSV    *CSVConfig
	Now    func() time.Time // the clock by which times are in the future; nil: time.Now
	Logger *slog.Logger     // gets a warning about files in a folder or an archive that are not read; nil: no logging
	// TimeZone is the zone of times without one; nil: such times are rejected.
	TimeZone *time.Location
}

// JSONL reads transcripts from files with JSON objects: one a line, over several lines, one after the other, or in an array. Files may be
// compressed with gzip, zstd or bzip2, or be zip or tar archives.
type JSONL struct {
	inputs   []input
	records  []string
	shape    *shape  // of records that are mapped; nil: they are transcripts
	tables   *tables // nil: the files are JSON
	encoding charset
	now      func() time.Time
	logger   *slog.Logger
	zone     *time.Location
	total    int64
	done     atomic.Int64
	consumed atomic.Bool // set by the first Read, which standard input and pipes allow only once
}

// Read yields every record of every file and, after a file was read completely, a mark: see Record.EndOfFile. Blank lines are not records.
//
// If a file is damaged, unreadable, or has an unknown format or encoding, Read yields a rejected record for the place, leaves out the mark,
// and goes on with the next file. An error of standard input or a pipe ends the iteration.
func (s *JSONL) Read(ctx context.Context, _ time.Time) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if !s.Rereadable() && s.consumed.Swap(true) {
			yield(nil, ErrCannotReread)
			return
		}
		s.done.Store(0)
		for _, in := range s.inputs {
			stopped, err := s.frames(ctx, in, &s.done, s.logger, func(f frame) bool { return yield(s.record(f), nil) })
			if err != nil {
				yield(nil, err)
			}
			if stopped || err != nil {
				return
			}
		}
	}
}

// frames calls visit for each frame of an input, until it returns false.
func (s *JSONL) frames(ctx context.Context, in input, count *atomic.Int64, logger *slog.Logger, visit func(frame) bool) (stopped bool, err error) {
	r := reader{in: in, ctx: ctx, count: count, charset: s.encoding, records: s.records, shape: s.shape, tables: s.tables, logger: logger, visit: visit}
	return r.frames()
}

// Fetch reads the files again until it has found a record for each key. If several records have the same id, it yields the first closed
// one, or the first if all are open. For a place ("path:line") it yields the record that stands there, even if that only reports damage. Closed chats
// come first, each kind in the order of the files.
func (s *JSONL) Fetch(ctx context.Context, ids []string) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if !s.Rereadable() {
			yield(nil, ErrCannotReread)
			return
		}
		want := newWanted(ids)
		if !s.fetch(ctx, want, false, yield) || len(want.open) == 0 {
			return
		}
		s.fetch(ctx, &wanted{ids: want.open}, true, yield)
	}
}

// fetch reads the files once. It reports whether the caller wanted all of it.
func (s *JSONL) fetch(ctx context.Context, want *wanted, open bool, yield func(*Record, error) bool) bool {
	for _, in := range s.inputs {
		if want.empty() {
			return true
		}
		wanting := true
		stopped, err := s.frames(ctx, in, new(atomic.Int64), slog.New(slog.DiscardHandler), func(f frame) bool {
			r := s.fetched(want, f, open)
			wanting = r == nil || yield(r, nil)
			return wanting && !want.empty()
		})
		switch {
		case err != nil:
			yield(nil, err)
			return false
		case stopped:
			return wanting
		}
	}
	return true
}

// fetched returns the record of a frame if it is wanted, else nil. Among records with an id, it takes only open ones, or only closed ones.
func (s *JSONL) fetched(want *wanted, f frame, open bool) *Record {
	if f.end {
		return nil
	}
	place := want.place(f.place)
	if !place {
		// Hashing and copying are left for the records that are wanted.
		switch {
		case !want.ids[f.id] || f.failure != nil:
			return nil
		case f.open && !open:
			want.meet(f.id)
			return nil
		}
	} else if f.open && !open && want.ids[f.id] {
		want.meet(f.id)
	}
	r := s.record(f)
	_, _ = r.Transcript()                                // empties the ID of a broken record
	if key := r.Key(); want.ids[key] && r.Open == open { // a bad record that `errors` wrote for correction has the key of its original
		delete(want.ids, key)
		delete(want.open, key)
		place = true
	}
	if !place {
		return nil
	}
	delete(want.ids, r.Place.String())
	return r
}

// Rereadable reports whether all inputs are files: standard input and pipes can be read only once.
func (s *JSONL) Rereadable() bool {
	for _, in := range s.inputs {
		if !in.regular {
			return false
		}
	}
	return true
}

// ResolvePlace implements Reader. The file may also be one in an archive.
func (s *JSONL) ResolvePlace(short string) string {
	colon := strings.LastIndexByte(short, ':')
	if colon < 1 {
		return ""
	}
	found := ""
	for _, in := range s.inputs {
		for name, member := short[:colon], ""; name != ""; {
			if in.path == name || strings.HasSuffix(in.path, "/"+name) {
				if found != "" {
					return ""
				}
				found = in.path + member + short[colon:]
				break
			}
			slash := strings.LastIndexByte(name, '/') // what follows may be in an archive
			if slash < 0 {
				break
			}
			name, member = name[:slash], short[slash:colon]
		}
	}
	return found
}

// Inspect implements Reader: OpenJSONL has checked everything.
func (s *JSONL) Inspect(context.Context) []Finding { return nil }

// Ordered is false: files are read whole.
func (s *JSONL) Ordered() bool { return false }

// Progress returns how many bytes Read has read, before decompression. Total is 0 if the inputs include standard input or a pipe.
func (s *JSONL) Progress() Progress {
	return Progress{Done: s.done.Load(), Total: s.total, Unit: "bytes"}
}

// record makes a record of a frame; what it holds outlives the frame.
func (s *JSONL) record(f frame) *Record {
	r := &Record{Place: f.place, EndOfFile: f.end, Hash: f.hash, failure: f.failure}
	if f.data == nil || f.end {
		return r
	}
	r.raw = bytes.Clone(f.data)
	if f.hash == (Hash{}) {
		r.Hash = sha256.Sum256(r.raw)
	}
	r.raw = oneLine(r.raw)
	if f.failure == nil {
		r.ID, r.Open, r.decode = f.id, f.open, s.decode
	}
	return r
}

func (s *JSONL) decode(r *Record) (*Transcript, *RejectError) {
	return decodeRecord(r, s.now(), s.zone)
}

// wanted are the keys that Fetch looks for.
type wanted struct {
	ids  map[string]bool
	open map[string]bool // those for which an open chat was found, but no closed one yet
	buf  []byte
}

func newWanted(ids []string) *wanted {
	w := &wanted{ids: make(map[string]bool, len(ids)), open: map[string]bool{}}
	for _, id := range ids {
		w.ids[id] = true
		if place, ok := placeOf(id); ok {
			w.ids[place] = true
		}
	}
	return w
}

func (w *wanted) empty() bool { return len(w.ids) == 0 }

func (w *wanted) meet(id string) { w.open[id] = true }

// place reports whether the record at a place is wanted whatever its id.
func (w *wanted) place(p Place) bool {
	w.buf = p.append(w.buf[:0])
	return w.ids[string(w.buf)]
}
