package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// postgresPath is the Path of the rows' places.
const postgresPath = "postgres"

// row is a row of the query: a value for each of the columns that are read, nil for NULL. Times are in Postgres' binary
// form, which depends on no setting of the session, all else is text.
type row struct {
	columns []column
	values  [][]byte
	zone    *time.Location // of the columns that are a timestamp
}

func (s *Postgres) record(values [][]byte) *Record {
	w := row{columns: s.columns, values: values, zone: s.config.TimeZone}
	r := &Record{Hash: w.hash(), row: &w, decode: s.decode}
	r.Place = Place{Path: postgresPath, Key: r.Hash.String()[:12]}
	if id := string(w.get(columnID)); checkID(id) == "" {
		r.ID = id
	}
	if closedAt := w.get(columnClosedAt); closedAt == nil {
		r.Open = true
	} else if at, ok := w.time(columnClosedAt); ok {
		if _, _, problem := inRange(at.UnixMilli()); problem == "" { // with another one it is rejected
			r.ClosedAt = at
		}
	}
	return r
}

func (s *Postgres) decode(r *Record) (*Transcript, *RejectError) {
	return decodeRecord(r, s.config.Now(), s.config.TimeZone)
}

// get returns the value of a column, nil if it is NULL or the query does not have it.
func (w *row) get(name string) []byte {
	for i, c := range w.columns {
		if c.name == name {
			return w.values[i]
		}
	}
	return nil
}

// hash covers the columns in the order of their names, each with its length, so that no two rows look alike. Columns
// that are NULL are left out: a column that is added to the query changes nothing where it is empty.
func (w *row) hash() Hash {
	h := sha256.New()
	var size [binary.MaxVarintLen64]byte
	write := func(b []byte) {
		_, _ = h.Write(size[:binary.PutUvarint(size[:], uint64(len(b)))])
		_, _ = h.Write(b)
	}
	for i, c := range w.columns {
		if w.values[i] != nil {
			write([]byte(c.name))
			write(w.values[i])
		}
	}
	var sum Hash
	h.Sum(sum[:0])
	return sum
}

// json returns the row as a line in the transcript format.
func (w *row) json() []byte {
	var b bytes.Buffer
	b.Grow(sizeOf(w.values) + 256)
	separator := byte('{')
	field := func(name string, value []byte) {
		b.WriteByte(separator)
		separator = ','
		b.WriteString(`"` + name + `":`)
		b.Write(value)
	}
	for _, name := range []string{columnID, columnCreatedAt, columnClosedAt} {
		if value := w.value(name); value != nil {
			field(name, value)
		}
	}
	if user := w.endUser(); user != nil {
		field("end_user", user)
	}
	if value := w.value(columnMessages); value != nil {
		field(columnMessages, value)
	} else {
		field(columnMessages, []byte("null"))
	}
	for _, name := range []string{columnAttributes, columnTags, columnRating, columnNotes, columnHandover, columnFollowUpOf} {
		if value := w.value(name); value != nil {
			field(name, value)
		}
	}
	b.WriteByte('}')
	return b.Bytes()
}

func (w *row) endUser() []byte {
	var b bytes.Buffer
	for _, f := range []struct{ column, field string }{
		{columnExternalID, "external_id"}, {columnEmail, "email"}, {columnPhone, "phone"}, {columnName, "name"},
	} {
		text := w.get(f.column)
		if text == nil {
			continue
		}
		if b.Len() == 0 {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		b.WriteString(`"` + f.field + `":`)
		b.Write(quoted(text))
	}
	if b.Len() == 0 {
		return nil
	}
	b.WriteByte('}')
	return b.Bytes()
}

// value returns a column as a JSON value without line breaks, nil for NULL.
func (w *row) value(name string) []byte {
	i := slices.IndexFunc(w.columns, func(c column) bool { return c.name == name })
	if i < 0 || w.values[i] == nil {
		return nil
	}
	value, oid := w.values[i], w.columns[i].oid
	switch {
	case name == columnID:
		return quoted(value)
	case slices.Contains(timeTypes, oid):
		if at, ok := w.time(name); ok {
			return quoted(at.AppendFormat(nil, "2006-01-02T15:04:05.999999Z07:00"))
		}
		return []byte(`"infinity"`)
	case slices.Contains(numberTypes, oid) && json.Valid(value): // NaN and infinity are not JSON
		return value
	case oid == pgtype.BoolOID:
		return []byte(map[bool]string{true: "true", false: "false"}[string(value) == "t"])
	case oid == pgtype.TextArrayOID || oid == pgtype.VarcharArrayOID:
		return textArray(value)
	case slices.Contains(documents, name):
		if slices.Contains(textTypes, oid) && !json.Valid(value) {
			return quoted(value)
		}
		return oneLine(value)
	}
	return quoted(value)
}

// documents are the columns that hold JSON.
var documents = []string{columnMessages, columnAttributes, columnTags, columnRating, columnNotes, columnHandover}

// textArray returns an array of texts, as Postgres writes it, as JSON.
func textArray(value []byte) []byte {
	var all pgtype.FlatArray[pgtype.Text]
	out := []string{}
	if pgtype.NewMap().Scan(pgtype.TextArrayOID, pgtype.TextFormatCode, value, &all) == nil {
		for _, text := range all {
			out = append(out, text.String)
		}
	}
	encoded, _ := json.Marshal(out) // texts always have a JSON form
	return encoded
}

func quoted(text []byte) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(string(text)) // a string always has a JSON form
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}

// postgresEpoch is 2000-01-01T00:00:00Z in microseconds since 1970.
const postgresEpoch = 946_684_800_000_000

// decodeMicros reads the binary form of a time: microseconds since 2000. The largest and smallest numbers are infinity
// and -infinity; NULL reads as the latter.
func decodeMicros(value []byte) int64 {
	if len(value) != 8 {
		return math.MinInt64
	}
	return int64(binary.BigEndian.Uint64(value))
}

// encodeMicros returns the binary form of a time, -infinity for the zero time.
func encodeMicros(t time.Time) []byte {
	micros := int64(math.MinInt64)
	if !t.IsZero() {
		micros = t.UnixMicro() - postgresEpoch
	}
	return binary.BigEndian.AppendUint64(nil, uint64(micros))
}

func fromMicros(micros int64) time.Time { return time.UnixMicro(micros + postgresEpoch).UTC() }

// time returns the time in a column, of one without a zone when it was that in the zone of the row. ok is false for NULL and the
// infinities.
func (w *row) time(name string) (at time.Time, ok bool) {
	i := slices.IndexFunc(w.columns, func(c column) bool { return c.name == name })
	micros := decodeMicros(w.values[i])
	if micros == math.MaxInt64 || micros == math.MinInt64 {
		return at, false
	}
	if at = fromMicros(micros); w.columns[i].oid == pgtype.TimestampOID && w.zone != nil {
		at = instant(at, w.zone, noTime).UTC()
	}
	return at, true
}
