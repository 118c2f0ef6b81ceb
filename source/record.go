package source

import (
	"strings"
	"time"
)

// Record is one record of a source: a line of a file, a row of a query, or the mark that a file was read completely.
//
// ID and Open are found by a quick scan of the raw record; a broken record may therefore carry an ID until Transcript
// is called. Call Transcript before working on a record, unless the same bytes were accepted before.
type Record struct {
	Place Place
	// ID is the transcript's id, or "" when none can be read.
	ID string
	// Hash is the content hash of the raw record.
	Hash Hash
	// Open reports whether the chat has no closed_at. It is reliable once Transcript has returned without an error, or if the same bytes
	// were accepted before.
	Open bool
	// ClosedAt is set for Postgres rows; the lines of a file know theirs only after decoding.
	ClosedAt time.Time
	// EndOfFile marks that the file Place.Path was read from its first byte to its last. Such a record has no other content.
	EndOfFile bool
	// Original names the record that this one corrects, if it says so. Transcript sets it.
	Original Original

	whole     *Record // of a Part
	byContent bool    // the place alone does not identify the record
	raw       []byte
	row       *row // of a Postgres row: raw is built from it on demand
	decoded   *Transcript
	failure   *RejectError
	redactor  *Redactor // nil: nothing is replaced
	redacted  bool      // decoded is redacted
	origin    []byte    // of a mapped record that was fetched
	decode    func(*Record) (*Transcript, *RejectError)
	done      func() // nil: nobody waits for it
}

// Done says that whoever read the record has finished with it.
func (r *Record) Done() {
	if r.done != nil {
		r.done()
	}
}

// Original is what the field _error says in a record that `dixa-import errors` wrote for correction.
type Original struct {
	Key string // under which the checkpoint knows the original; "" for none
	// Place and Hash (hexadecimal) are set if the original is known by its place, alone or with its content. What is known about a
	// place says nothing about a record with another hash.
	Place, Hash string
}

// Key returns the name under which the checkpoint knows the record: its ID; without one, the key of the original that it corrects; without
// that, its place, with a part of its hash after UseContent.
func (r *Record) Key() string {
	switch {
	case r.ID != "":
		return r.ID
	case r.Original.Key != "":
		return r.Original.Key
	case r.byContent:
		return ContentKey(r.Place.String(), r.Hash.String())
	}
	return r.Place.String()
}

// KnownByPlace reports whether the record has no name but its place. It is reliable once Transcript was called.
func (r *Record) KnownByPlace() bool { return r.ID == "" && r.Original.Key == "" }

// UseContent decides whether a record without an id is known by its place and its content. That is needed when another record, such as
// the one that stood there yesterday, already has the place for a name.
func (r *Record) UseContent(use bool) { r.byContent = use }

// contentDigits is how much of a hash a ContentKey holds.
const contentDigits = 12

// ContentKey names what stood at a place by its hexadecimal hash as well: "path:line#0123456789ab".
func ContentKey(place, hash string) string { return place + "#" + hash[:min(len(hash), contentDigits)] }

// placeOf returns the place in a ContentKey, and false for any other key.
func placeOf(key string) (string, bool) {
	at := strings.LastIndexByte(key, '#')
	if at < 1 || len(key)-at-1 != contentDigits || strings.Trim(key[at+1:], "0123456789abcdef") != "" {
		return "", false
	}
	return key[:at], true
}

// Size returns how many bytes the source record takes, until Forget.
func (r *Record) Size() int64 {
	size := len(r.raw)
	if r.row != nil {
		for _, value := range r.row.values {
			size += len(value)
		}
	}
	return int64(size)
}

// Raw returns the source record as one line of JSON in the transcript format, or the bytes of a line that is not JSON. It returns nothing
// for a line that is too long.
func (r *Record) Raw() []byte {
	if r.row != nil {
		r.raw, r.row = r.row.json(), nil
	}
	return r.raw
}

// Shown is Raw for people and files: with a redactor, personal data is replaced.
func (r *Record) Shown() []byte {
	raw := r.Raw()
	if r.redactor == nil || len(raw) == 0 {
		return raw
	}
	return r.redactor.raw(raw)
}

// Origin returns the records of the source that a mapping made this one of, as they stand there, one a line, with personal data replaced as in Shown.
// Only Fetch keeps them; nil for records without a mapping.
func (r *Record) Origin() []byte {
	if r.redactor == nil || r.origin == nil {
		return r.origin
	}
	return []byte(r.redactor.text(string(r.origin)))
}

// Forget frees the memory of the source record: Raw returns nothing afterwards. Call it on decoded records when holding many.
func (r *Record) Forget() { r.raw, r.row, r.origin = nil, nil, nil }

// Transcript decodes the record, once; later calls return the same result. The error is a *RejectError. If the JSON or the id is invalid,
// Transcript empties ID, and Key is the place from then on. It also empties the ID of a bad record with an Original, which is known by the
// original's key. An open chat is returned without an error and with a zero ClosedAt; its messages are not necessarily checked.
func (r *Record) Transcript() (*Transcript, error) {
	if r.decode != nil {
		decode := r.decode
		r.decode = nil
		r.decoded, r.failure = decode(r)
	}
	if r.failure != nil {
		return nil, r.failure
	}
	if r.redactor != nil && !r.redacted { // the reader may have decoded it before it had a redactor
		r.redactor.transcript(r.decoded)
		r.redacted = true
	}
	return r.decoded, nil
}

// Reject rejects the record for the given reason and makes its place its key. The importer does that to the second of two records with
// the same id.
func (r *Record) Reject(failure *RejectError) {
	r.ID, r.decode, r.decoded, r.failure = "", nil, nil, failure
}
