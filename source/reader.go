package source

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Reader yields the records of a source. JSONL and Postgres are readers, and TestReaders holds every reader to the promises made here.
//
// Only one Read may run at a time. All other methods may be called at any time from any goroutine.
type Reader interface {
	// Read yields every record of the source once. An Ordered reader starts at since and goes by closed_at; the zero time means the
	// beginning. Any other reader ignores since, and marks the end of each file with a record of its own: see Record.EndOfFile.
	//
	// A record that cannot be imported is yielded like any other; its Transcript returns a *RejectError. An error from the iterator ends
	// it: the source cannot be read any further, ctx was cancelled, or this is a second Read and the reader is not Rereadable
	// (ErrCannotReread).
	Read(ctx context.Context, since time.Time) iter.Seq2[*Record, error]
	// Fetch reads the source again and yields the records with these keys (see Record.Key), open ones too, each once, with the same key
	// and hash as in Read. A key may also be a place. Keys without a record yield nothing. Errors are as with Read; a reader that is
	// not Rereadable yields ErrCannotReread alone.
	Fetch(ctx context.Context, keys []string) iter.Seq2[*Record, error]
	// Progress returns how far the latest Read is. During a Read, Done never decreases.
	Progress() Progress

	// Ordered reports whether Read goes by closed_at and starts at since. If not, every Read yields the whole source.
	Ordered() bool
	// Rereadable reports whether Fetch and a second Read are possible. Standard input and pipes can be read only once.
	Rereadable() bool
	// ResolvePlace returns the full form of a place that lacks leading folders, such as "../in/2026-01.jsonl:4" for
	// "2026-01.jsonl:4". It returns "" if no file matches, if several do, or if the source has no files.
	ResolvePlace(short string) string
	// Inspect returns what can be said of the source's configuration without reading records.
	Inspect(ctx context.Context) []Finding
}

// ErrCannotReread is what a reader yields that is not Rereadable when it is asked for its records again.
var ErrCannotReread = errors.New("standard input and pipes can be read only once: put the transcripts into a file")

// Progress describes how far a Read is. Total is 0 while it is not known.
type Progress struct {
	Done, Total int64
	Unit        string // "bytes" or "rows"
}

// Finding is the result of one check of a source's configuration.
type Finding struct {
	Subject string // what was checked, in a word
	OK      bool   // false: a person should look at it
	Text    string // what was found and, unless OK, what to do
}
