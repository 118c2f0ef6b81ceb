package rules

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// Mark names the first messages of a record: their number, and a hash of them. The zero value is before the first message.
type Mark struct {
	N    int
	Hash string // hexadecimal
}

func (m Mark) String() string {
	if m.N == 0 {
		return ""
	}
	return strconv.Itoa(m.N) + ":" + m.Hash
}

// After returns the mark after more messages, which follow the first ones.
func (m Mark) After(messages []source.Message) Mark {
	if len(messages) == 0 {
		return m
	}
	hash := []byte(m.Hash)
	var text []byte
	var at [20]byte
	for i := range messages {
		message := &messages[i]
		text = appendField(text[:0], hash)
		text = appendField(text, string(message.Role))
		text = appendField(text, message.AgentID)
		text = appendField(text, message.Text)
		text = appendField(text, string(message.Format))
		text = appendField(text, strconv.AppendInt(at[:0], message.At.UnixMilli(), 10))
		for _, a := range message.Attachments {
			text = appendField(appendField(text, a.URL), a.Name)
		}
		sum := sha256.Sum256(text)
		hash = hex.AppendEncode(hash[:0], sum[:])
	}
	return Mark{m.N + len(messages), string(hash)}
}

// appendField appends a field and, before it, its length.
func appendField[T string | []byte](to []byte, field T) []byte {
	return append(binary.AppendUvarint(to, uint64(len(field))), field...)
}

// Sent says which messages of a record a transcript is: those after From, to To. From is zero for a transcript that continues no other, To until
// it was sent. checkpoint.Row.Sent holds it as a text.
type Sent struct{ From, To Mark }

func (s Sent) String() string {
	if s.From.N == 0 {
		return s.To.String()
	}
	return s.From.String() + ">" + s.To.String()
}

// SentOf returns what the checkpoint has about the messages of a transcript.
func SentOf(row checkpoint.Row) Sent {
	from, to, part := strings.Cut(row.Sent, ">")
	if !part {
		from, to = "", from
	}
	return Sent{parseMark(from), parseMark(to)}
}

func parseMark(text string) Mark {
	n, hash, _ := strings.Cut(text, ":")
	count, err := strconv.Atoi(n)
	if err != nil || count < 1 || hash == "" {
		return Mark{}
	}
	return Mark{count, hash}
}

// SentWith returns what checkpoint.Row.Sent is when a row's transcript is sent.
func SentWith(row checkpoint.Row, t *source.Transcript) string {
	from := SentOf(row).From
	return Sent{from, from.After(t.Messages)}.String()
}

// IsPart reports whether a row is that of new messages of a record that has grown.
func IsPart(row checkpoint.Row) bool { return SentOf(row).From.N > 0 }

// SentVersion returns the transcript as it was sent, if t still begins with the messages that were. t is that of the row's record.
func SentVersion(t *source.Transcript, row checkpoint.Row) (*source.Transcript, bool) {
	sent := SentOf(row)
	n := sent.To.N - sent.From.N
	switch {
	case n < 1 || n > len(t.Messages) || sent.From.After(t.Messages[:n]) != sent.To:
		return t, false
	case n == len(t.Messages):
		return t, true
	}
	return t.Until(n, cmp.Or(row.ClosedAt, t.ClosedAt)), true
}

// PartOf returns the record of a row's messages: whole, the record with the row's id, or the messages of it that the row is about. It returns nil if
// whole does not have them any more.
func PartOf(whole *source.Record, row checkpoint.Row) *source.Record {
	from := SentOf(row).From
	if from.N == 0 {
		return whole
	}
	t, err := whole.Transcript()
	if err != nil || t.ClosedAt.IsZero() || from.N >= len(t.Messages) || (Mark{}).After(t.Messages[:from.N]) != from {
		return nil
	}
	return whole.Part(row.ID, from.N)
}

// RecordID returns the id of the record that has the transcript of a row.
func RecordID(row checkpoint.Row) string {
	if id, ok := source.WholeID(row.ID); ok && IsPart(row) {
		return id
	}
	return row.ID
}

// growth is what became of a record after its import.
type growth int

const (
	edited growth = iota // not only messages were added, or that cannot be proven
	grown
	taken // it has grown, but another transcript has the id of its new messages
)

// growthOf finds the part that the new messages of a record are, and the row of that part if there is one. A row with the record's hash is the
// part of a version that was read before. rows must have the rows of the parts, as Known loads them.
func growthOf(rec *source.Record, rows map[string]checkpoint.Row) (how growth, id string, from Mark) {
	t, err := rec.Transcript()
	if err != nil || t.ClosedAt.IsZero() {
		return edited, "", Mark{}
	}
	row, at := rows[rec.ID], Mark{}
	for n := 2; ; n++ {
		sent := SentOf(row)
		if sent.From != at || sent.To.N <= at.N || sent.To.N >= len(t.Messages) || at.After(t.Messages[at.N:sent.To.N]) != sent.To {
			return edited, "", Mark{}
		}
		at = sent.To
		id = source.PartID(rec.ID, n)
		next, known := rows[id]
		switch {
		case !known:
			return grown, id, at
		case SentOf(next).From.N == 0:
			return taken, id, at
		case SameHash(next.ContentHash, rec.Hash), next.Status != checkpoint.Complete && next.Status != checkpoint.Partial:
			return grown, id, at
		}
		row = next
	}
}

// JudgeChanged decides about a record that was imported earlier and has changed since. If it has grown, it returns its new messages as a record of
// their own, and the verdict about that; from is what ClaimRequest.Sent takes. A verdict IsChanged with a part says that the part is not imported,
// because the configuration does not say so. IDConflict says why as an error.
func (p Policy) JudgeChanged(rec *source.Record, rows map[string]checkpoint.Row) (v Verdict, part *source.Record, from string, conflict *source.RejectError) {
	how, id, at := growthOf(rec, rows)
	switch how {
	case grown:
	case taken:
		return IDConflict, nil, "", errIDTaken(id)
	default:
		return IsChanged, nil, "", nil
	}
	part = rec.Part(id, at.N)
	row, known := rows[id]
	if known && SentOf(row).From != at {
		return IsChanged, nil, "", nil
	}
	v = p.Judge(part, rows, func() (bool, bool) { return false, false })
	if v == ToImport && !p.FollowUp && row.Status != checkpoint.Sending && row.Status != checkpoint.Imported {
		v = IsChanged
	}
	return v, part, Sent{From: at}.String(), nil
}

// sameAsPart reports whether a record is the version that one of its parts in the checkpoint is of.
func sameAsPart(rec *source.Record, rows map[string]checkpoint.Row) bool {
	for n := 2; ; n++ {
		row, known := rows[source.PartID(rec.ID, n)]
		if !known || !IsPart(row) || SameHash(row.ContentHash, rec.Hash) {
			return known && IsPart(row)
		}
	}
}

func errIDTaken(id string) *source.RejectError {
	return &source.RejectError{Code: source.RejectDuplicateID, Reason: fmt.Sprintf("the chat has gone on since its import, and its new messages would be transcript %s, "+
		"but another record has that id: write the new messages as a record of their own, with another id and follow_up_of", id)}
}

// errTakenByPart returns why a record is rejected that has the id of a part.
func errTakenByPart(id string) *source.RejectError {
	return &source.RejectError{Code: source.RejectDuplicateID,
		Reason: fmt.Sprintf("the new messages of a chat that went on after its import have the id %s: give this record another id", id)}
}

// IsOf reports whether a record is provably the one that a row was imported from: nothing of it has changed, or its messages have not, except for
// new ones.
func IsOf(rec *source.Record, row checkpoint.Row) bool {
	if SameHash(row.ContentHash, rec.Hash) {
		return true
	}
	t, err := rec.Transcript()
	if err != nil {
		return false
	}
	_, is := SentVersion(t, row)
	return is
}
