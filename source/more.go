package source

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// more decodes what a record says about the conversation beside the chat itself. The times of the chat are known.
func (d *decoder) more(t *Transcript, f fields) (failure *RejectError) {
	if t.Tags, failure = decodeTags(f.tags); failure != nil {
		return failure
	}
	if t.Rating, failure = d.rating(f.rating, t); failure != nil {
		return failure
	}
	if t.Notes, failure = d.notes(f.notes, t); failure != nil {
		return failure
	}
	if t.Handover, failure = decodeHandover(f.handover); failure != nil {
		return failure
	}
	if given(f.followUpOf) {
		id, problem := decodeID(f.followUpOf)
		switch {
		case problem != "":
			return reject(RejectInvalidField, "follow_up_of %s", problem)
		case id == t.ID:
			return reject(RejectInvalidField, "follow_up_of is the id of the record itself: write the id of the chat that this one continues, or leave it out")
		}
		t.FollowUpOf = id
	}
	return nil
}

// handsOver reports whether the field handover asks for a hand-over, well written or not.
func handsOver(value []byte) bool { return given(value) && value[0] != 'f' }

func decodeHandover(value []byte) (*Handover, *RejectError) {
	switch {
	case !handsOver(value):
		return nil, nil //nolint:nilnil // most chats are not handed over
	case value[0] == 't':
		return &Handover{}, nil
	case value[0] != '{':
		return nil, reject(RejectInvalidField, "handover is neither true nor an object: write true for the default queue, or an object with queue")
	}
	queue := member(value, "queue")
	if !given(queue) {
		return &Handover{}, nil
	}
	text, ok := unquote(queue)
	if text = strings.TrimSpace(text); !ok || text == "" {
		return nil, reject(RejectInvalidField, "handover.queue is not a text: write the name or the UUID of a queue, or leave it out for the default")
	}
	return &Handover{Queue: text}, nil
}

func decodeTags(value []byte) (tags []string, failure *RejectError) {
	if !given(value) {
		return nil, nil
	}
	bad := reject(RejectInvalidField, "tags is not an array of texts: write the names of tags, or leave it out")
	if value[0] != '[' {
		return nil, bad
	}
	all := elements{value}
	for {
		item, ok := all.next()
		if !ok {
			return tags, nil
		}
		text, ok := unquote(item)
		if text = strings.TrimSpace(text); !ok {
			return nil, bad
		}
		if !blank(text) && !slices.Contains(tags, text) {
			tags = append(tags, text)
		}
	}
}

// ratings are the words for the types, without case and punctuation, and the range of the values.
var ratings = map[string]struct {
	kind   RatingType
	lo, hi int
}{
	"csat": {CSAT, 1, 5}, "nps": {NPS, 0, 10},
	"thumbs": {Thumbs, 0, 1}, "thumbsupordown": {Thumbs, 0, 1}, "thumbsupdown": {Thumbs, 0, 1},
}

// thumbs are the values of a thumb that are no numbers.
var thumbs = map[string]int{"true": 1, "up": 1, "false": 0, "down": 0}

func (d *decoder) rating(value []byte, t *Transcript) (*Rating, *RejectError) {
	if !given(value) {
		return nil, nil //nolint:nilnil // most chats have no rating
	}
	if value[0] != '{' {
		return nil, reject(RejectInvalidField, "rating is not an object: write an object with type and value, or leave it out")
	}
	name, _ := unquote(member(value, "type"))
	kind, known := ratings[plainName(name)]
	if !known {
		return nil, reject(RejectInvalidField, "rating.type is none of csat, nps and thumbs: correct it")
	}
	r := &Rating{Type: kind.kind, At: t.ClosedAt}
	raw := string(member(value, "value"))
	if text, ok := unquote([]byte(raw)); ok {
		raw = strings.ToLower(strings.TrimSpace(text))
	}
	n, err := strconv.Atoi(strings.TrimSuffix(raw, ".0"))
	if up, word := thumbs[raw]; word && kind.kind == Thumbs {
		n, err = up, nil
	}
	if err != nil || n < kind.lo || n > kind.hi {
		return nil, reject(RejectInvalidField, "rating.value is not a whole number from %d to %d, as %s needs it: correct it, or leave the rating out", kind.lo, kind.hi, kind.kind)
	}
	r.Value = n
	if comment := member(value, "comment"); given(comment) {
		text, ok := unquote(comment)
		if !ok {
			return nil, reject(RejectInvalidField, "rating.comment is not a text: correct it or leave it out")
		}
		if !blank(text) {
			r.Comment = text
		}
	}
	var failure *RejectError
	r.At, failure = d.moment(member(value, "at"), t.ClosedAt, func() string { return "rating.at" })
	if failure == nil && r.At.Before(t.CreatedAt) {
		r.At = t.CreatedAt
	}
	return r, failure
}

func (d *decoder) notes(value []byte, t *Transcript) (notes []Note, failure *RejectError) {
	if !given(value) {
		return nil, nil
	}
	if value[0] != '[' {
		return nil, reject(RejectInvalidField, "notes is not an array: write the notes as an array of objects with text, or leave it out")
	}
	all := elements{value}
	for i := 0; ; i++ {
		item, ok := all.next()
		if !ok {
			return notes, nil
		}
		text, at := item, []byte(nil)
		if item[0] == '{' {
			text, at = member(item, "text"), member(item, "at")
		}
		note, ok := unquote(text)
		if !ok && given(text) || item[0] != '{' && item[0] != '"' {
			return nil, reject(RejectInvalidField, "notes[%d] is neither a text nor an object with a text: correct it or leave it out", i)
		}
		if blank(note) {
			continue
		}
		when, failure := d.moment(at, t.ClosedAt, func() string { return "notes[" + strconv.Itoa(i) + "].at" })
		if failure != nil {
			return nil, failure
		}
		notes = append(notes, Note{Text: note, At: when})
	}
}

// moment decodes a time that may be missing.
func (d *decoder) moment(value []byte, otherwise time.Time, path func() string) (time.Time, *RejectError) {
	if !given(value) {
		return otherwise, nil
	}
	millis, failure := d.time(value, noTime, path)
	if failure != nil {
		return time.Time{}, failure
	}
	return timeOf(millis), nil
}

// lastOf returns the time of the latest message, otherwise createdAt.
func lastOf(messages []message, createdAt int64) int64 {
	latest := createdAt
	for _, m := range messages {
		latest = max(latest, m.at)
	}
	return latest
}
