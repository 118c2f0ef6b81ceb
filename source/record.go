package source

import "time"

// Record is one record of a source: a line of a file, a row of a query, or the mark that a file was read to its end.
//
// ID and Open are found by a quick scan of the raw record; a broken record may therefore carry an ID until Transcript
// is called. Whoever works on a record that is not known to be settled calls Transcript first.
type Record struct {
	Place Place
	// ID is the transcript's id, or "" when none can be read.
	ID string
	// Hash is the content hash of the raw record.
	Hash Hash
	// Open says that the chat has no closed_at. It is to be trusted after Transcript has returned without an error, and
	// before that for records whose bytes were accepted earlier.
	Open bool
	// ClosedAt is set for Postgres rows; the lines of a file know theirs only after decoding.
	ClosedAt time.Time
	// EndOfFile marks that the file Place.Path was read from its first byte to its last. Such a record holds nothing else.
	EndOfFile bool
	// Original is the key under which the checkpoint knows the record that this one is to replace, "" if it does not say so: the
	// field _error of records that `dixa-import errors` has written to be mended. It is set by Transcript.
	Original string

	raw     []byte
	row     *row // what raw is built from when somebody asks for it, of a Postgres row
	decoded *Transcript
	failure *RejectError
	decode  func(*Record) (*Transcript, *RejectError)
}

// Key returns the name under which the record is known in the checkpoint: its ID, or, when it has none, what it is to replace,
// else its place.
func (r *Record) Key() string {
	switch {
	case r.ID != "":
		return r.ID
	case r.Original != "":
		return r.Original
	}
	return r.Place.String()
}

// Raw returns the source record as one line of JSON in the transcript format, or the bytes of a line that is no JSON. Of a
// line that is too long there is nothing.
func (r *Record) Raw() []byte {
	if r.row != nil {
		r.raw, r.row = r.row.json(), nil
	}
	return r.raw
}

// Forget lets go of the source record, which Raw returns no more. Whoever holds many records calls it once they are decoded.
func (r *Record) Forget() { r.raw, r.row = nil, nil }

// Transcript decodes the record, once; later calls return the same. The error is a *RejectError. When the record turns
// out to be broken beyond its id (invalid JSON, an unusable id), ID is emptied, so that Key is its place from then on. So it is
// of a bad one that has an Original: that is what it is known as.
// An open chat is returned without an error and with a zero ClosedAt, its messages not necessarily checked.
func (r *Record) Transcript() (*Transcript, error) {
	if r.decode != nil {
		decode := r.decode
		r.decode = nil
		r.decoded, r.failure = decode(r)
	}
	if r.failure != nil {
		return nil, r.failure
	}
	return r.decoded, nil
}

// Reject makes the record a rejected one that is known by its place, whatever its content: the importer uses it for the
// second of two records with one id.
func (r *Record) Reject(failure *RejectError) {
	r.ID, r.decode, r.decoded, r.failure = "", nil, nil, failure
}
