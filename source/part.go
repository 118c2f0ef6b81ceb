package source

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// PartID returns the id of the n-th part of a transcript: the first has the transcript's id, the second "<id>#2".
func PartID(id string, n int) string {
	if n < 2 {
		return id
	}
	return id + "#" + strconv.Itoa(n)
}

// WholeID returns the id of the transcript that a part with this id belongs to, and false if it cannot be the id of a part.
func WholeID(part string) (id string, ok bool) {
	at := strings.LastIndexByte(part, '#')
	if at < 1 {
		return "", false
	}
	n, err := strconv.Atoi(part[at+1:])
	return part[:at], err == nil && n >= 2 && PartID(part[:at], n) == part
}

// Part returns a record for the messages of r after the first ones, as a transcript with an id of its own that continues the transcript of r.
// r must be a closed chat with more messages. The part has the hash of r, and Raw returns all of r.
func (r *Record) Part(id string, after int) *Record {
	whole, _ := r.Transcript()
	t := *whole
	t.ID, t.PartOf, t.FollowUpOf = id, whole.ID, whole.ID
	t.Messages = whole.Messages[after:]
	t.CreatedAt = t.Messages[0].At
	if t.Rating != nil && t.Rating.At.Before(t.CreatedAt) {
		rating := *t.Rating
		rating.At = t.CreatedAt
		t.Rating = &rating
	}
	part := *r
	part.ID, part.decode, part.decoded, part.Original, part.whole = id, nil, &t, Original{}, r
	return &part
}

// Whole returns the record of which r is a part, else r.
func (r *Record) Whole() *Record {
	if r.whole != nil {
		return r.whole
	}
	return r
}

// Until returns the transcript as it was when it had only its first n messages and closed at the given time.
func (t *Transcript) Until(n int, closed time.Time) *Transcript {
	before := *t
	before.Messages = t.Messages[:n]
	if last := before.Messages[n-1].At; closed.Before(last) {
		closed = last
	}
	before.ClosedAt = closed
	if t.Rating != nil && t.Rating.At.Equal(t.ClosedAt) { // it gave no time
		rating := *t.Rating
		rating.At = closed
		before.Rating = &rating
	}
	before.Notes = slices.Clone(t.Notes)
	for i, note := range before.Notes {
		if note.At.Equal(t.ClosedAt) {
			before.Notes[i].At = closed
		}
	}
	return &before
}
