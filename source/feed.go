package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// feedPath is the path in the places of a Feed's records.
const feedPath = "live"

// Feed is a Reader of transcripts that are handed to it one at a time. Its Read lasts until its context ends. It keeps no records, so nothing can be
// read again.
type Feed struct {
	now     func() time.Time
	zone    *time.Location
	records chan taken
	offered atomic.Int64

	reading sync.Mutex // held during Read
	taken   []taken    // records that Read has yielded, without some of those that are done; guarded by reading
}

// taken is a record, and the channel that closes once its reader has finished with it.
type taken struct {
	*Record
	finished chan struct{}
}

func (t taken) isDone() bool {
	select {
	case <-t.finished:
		return true
	default:
		return false
	}
}

// NewFeed returns a Feed. zone is that of times without one; nil: such times are rejected.
func NewFeed(zone *time.Location) *Feed {
	return &Feed{now: time.Now, zone: zone, records: make(chan taken)}
}

// Parse returns the record of a JSON document: one transcript. Its hash does not depend on white space or on the order of fields. The error is a *RejectError;
// then the record cannot be imported.
func (f *Feed) Parse(document []byte) (*Record, error) {
	line, failure := canonicalLine(document)
	if failure != nil {
		return nil, failure
	}
	s := outlineOf(line)
	r := &Record{Place: Place{Path: feedPath, Line: f.offered.Add(1)}, ID: s.id, Open: s.open, Hash: sha256.Sum256(line), raw: line,
		decode: func(r *Record) (*Transcript, *RejectError) { return decodeRecord(r, f.now(), f.zone) }}
	t, err := r.Transcript()
	switch {
	case err != nil:
		return nil, err
	case t.ClosedAt.IsZero():
		return nil, reject(rejectStillOpen, "the chat is still open: give closed_at, or handover if a person is to take it over")
	}
	return r, nil
}

// rejectStillOpen is the code of a transcript that was handed to a Feed before its chat ended.
const rejectStillOpen RejectCode = "open"

// canonicalLine returns a document as one line with its fields in order.
func canonicalLine(document []byte) ([]byte, *RejectError) {
	if !utf8.Valid(document) {
		return nil, reject(RejectInvalidJSON, "the document is not UTF-8: send it in UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	var fields map[string]any
	if err := d.Decode(&fields); err != nil || fields == nil {
		return nil, reject(RejectInvalidJSON, "the document is not a JSON object: send one transcript")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, reject(RejectInvalidJSON, "something follows the transcript: send one transcript a request")
	}
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if err := e.Encode(fields); err != nil {
		return nil, reject(RejectInvalidJSON, "the document cannot be read as JSON")
	}
	return bytes.TrimRight(line.Bytes(), "\n"), nil
}

// Offer hands a record to Read. The channel that it returns is closed once the reader of the records has finished with this one. It fails if ctx ends before
// somebody takes it.
func (f *Feed) Offer(ctx context.Context, r *Record) (done <-chan struct{}, err error) {
	finished := make(chan struct{})
	r.done = sync.OnceFunc(func() { close(finished) })
	select {
	case f.records <- taken{r, finished}:
		return finished, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Abandon says that nobody works any longer on the records that Read has yielded. It waits for Read to end.
func (f *Feed) Abandon() {
	f.reading.Lock()
	defer f.reading.Unlock()
	for _, r := range f.taken {
		r.Done()
	}
	f.taken = nil
}

// Read yields the records that are offered until ctx ends.
func (f *Feed) Read(ctx context.Context, _ time.Time) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		f.reading.Lock()
		defer f.reading.Unlock()
		for {
			select {
			case r := <-f.records:
				f.taken = append(slices.DeleteFunc(f.taken, taken.isDone), r)
				if !yield(r.Record, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// Fetch yields ErrCannotReread.
func (f *Feed) Fetch(context.Context, []string) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) { yield(nil, ErrCannotReread) }
}

// Progress returns how many records were parsed.
func (f *Feed) Progress() Progress { return Progress{Done: f.offered.Load(), Unit: "rows"} }

// Ordered is false: records come as they are offered.
func (f *Feed) Ordered() bool { return false }

// Rereadable is false.
func (f *Feed) Rereadable() bool { return false }

// ResolvePlace returns "".
func (f *Feed) ResolvePlace(string) string { return "" }

// Inspect has nothing to say.
func (f *Feed) Inspect(context.Context) []Finding { return nil }
