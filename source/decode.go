package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// maxUnknown is how many unknown fields a transcript names.
const maxUnknown = 20

// decoder decodes one record.
type decoder struct {
	latest  int64          // times after it, in milliseconds, are rejected
	zone    *time.Location // of times without one, nil: they are rejected
	unknown []unknownField
	foreign bool   // there are fields at the top that this project does not know
	unread  unread // the first thing that may be the text of a message that is not sent
	object  []byte // the record
}

type unknownField struct{ prefix, name string }

// fields are the raw values of a record's top-level fields, nil where absent.
type fields struct {
	id, createdAt, closedAt, endUser, messages, attributes, direction []byte
	tags, rating, notes, handover, followUpOf                         []byte

	asItWas bool // there is _raw: the original line, which `errors` wrote because it is not JSON
}

func reject(code RejectCode, format string, args ...any) *RejectError {
	return &RejectError{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// decodeRecord decodes the raw bytes of a record and sets the fields of the record that only decoding can tell.
func decodeRecord(r *Record, now time.Time, zone *time.Location) (*Transcript, *RejectError) {
	t, failure := decode(r.Raw(), now, zone)
	r.Original = original(r.Raw())
	if failure != nil {
		switch {
		case failure.Code == RejectInvalidJSON, failure.Code == RejectMissingID, failure.Code == RejectInvalidID, r.Original.Key != "",
			failure.Code == RejectNotATranscript: // its id is that of something else
			r.ID = ""
		}
		return nil, failure
	}
	if r.ClosedAt.IsZero() {
		r.ClosedAt = t.ClosedAt
	}
	return t, nil
}

// original returns what the field _error says about the record that `errors` wrote; the zero Original if there is no such field.
func original(line []byte) (o Original) {
	start := afterSpace(line, 0)
	if start == len(line) || line[start] != '{' || !bytes.Contains(line, []byte(`"_error"`)) {
		return o
	}
	why := member(line[start:], "_error")
	o.Key, _ = unquote(member(why, "transcript_id"))
	hash, _ := unquote(member(why, "content_hash"))
	place, _ := unquote(member(why, "place"))
	if place != "" && hash != "" && (o.Key == place || o.Key == ContentKey(place, hash)) {
		o.Place, o.Hash = place, hash
	}
	return o
}

// decode reads a transcript as the README describes it. Of fields that are there twice the last one counts. Times without a zone are
// those of zone, and rejected where it is nil.
func decode(line []byte, now time.Time, zone *time.Location) (*Transcript, *RejectError) {
	if !json.Valid(line) {
		return nil, invalidJSON(line)
	}
	start := afterSpace(line, 0)
	if line[start] != '{' {
		return nil, reject(RejectInvalidJSON, "the record is not a JSON object: write each transcript as one object on a line of its own")
	}
	d := decoder{latest: now.Add(24 * time.Hour).UnixMilli(), zone: zone}
	d.object = line[start:]
	f := d.fields(d.object)

	if !given(f.id) {
		switch {
		case f.asItWas:
			return nil, reject(RejectInvalidJSON, "_raw still holds the original line: replace _raw with the fields of a transcript")
		case d.foreign && f.messages == nil && f.closedAt == nil && f.endUser == nil:
			return nil, d.notATranscript("it has neither id nor messages nor closed_at")
		}
		return nil, reject(RejectMissingID, "id is missing: give each transcript an id of its own, a string or an integer")
	}
	id, problem := decodeID(f.id)
	if problem != "" {
		return nil, reject(RejectInvalidID, "id %s", problem)
	}
	t := &Transcript{ID: id, Direction: Inbound}
	if d.foreign {
		if failure := twin(d.object, "", ""); failure != nil {
			return nil, failure
		}
	}
	if !given(f.closedAt) && !handsOver(f.handover) {
		if lack := d.lackOfOpen(f); lack != "" {
			return nil, d.notATranscript(lack)
		}
		if field := d.closedElsewhere(); field != "" {
			is := "missing"
			if f.closedAt != nil {
				is = "null"
			}
			return nil, reject(RejectInvalidField, "closed_at is %s, but %s seems to say that the chat is closed: write the time of its end as closed_at, or remove %s if it is open", is, field, field)
		}
		t.Unknown = d.names()
		return t, nil
	}
	if failure := d.transcript(t, f); failure != nil {
		return nil, failure
	}
	t.Unknown = d.names()
	return t, nil
}

func invalidJSON(line []byte) *RejectError {
	var syntax *json.SyntaxError
	if err := json.Unmarshal(line, new(json.RawMessage)); errors.As(err, &syntax) {
		return reject(RejectInvalidJSON, "the record is not valid JSON from byte %d on: write each transcript as one object on a line of its own", syntax.Offset)
	}
	return reject(RejectInvalidJSON, "the record is not valid JSON: write each transcript as one object on a line of its own")
}

func (d *decoder) fields(object []byte) fields {
	var f fields
	all := members{object}
	for {
		name, value, ok := all.next()
		if !ok {
			return f
		}
		switch string(name) {
		case "id":
			f.id = value
		case "created_at":
			f.createdAt = value
		case "closed_at":
			f.closedAt = value
		case "end_user":
			f.endUser = value
		case "messages":
			f.messages = value
		case "attributes":
			f.attributes = value
		case "direction":
			f.direction = value
		case "tags":
			f.tags = value
		case "rating":
			f.rating = value
		case "notes":
			f.notes = value
		case "handover":
			f.handover = value
		case "follow_up_of":
			f.followUpOf = value
		case "_error": // what `dixa-import errors` adds to a record
		case "_raw": // and how it writes one that is not JSON
			f.asItWas = true
		default:
			d.foreign = true
			d.note("", name)
		}
	}
}

// transcript decodes all of a closed chat but its id.
func (d *decoder) transcript(t *Transcript, f fields) (failure *RejectError) {
	closedAt, createdAt := noTime, noTime
	if given(f.closedAt) { // a chat that is handed over may go on
		if closedAt, failure = d.time(f.closedAt, noTime, func() string { return "closed_at" }); failure != nil {
			return failure
		}
	}
	if given(f.createdAt) {
		if createdAt, failure = d.time(f.createdAt, noTime, func() string { return "created_at" }); failure != nil {
			return failure
		}
	}
	if t.Direction, failure = decodeDirection(f.direction); failure != nil {
		return failure
	}
	if t.EndUser, failure = d.endUser(f.endUser); failure != nil {
		return failure
	}
	if t.Attributes, failure = decodeAttributes(f.attributes); failure != nil {
		return failure
	}
	messages, failure := d.messages(f.messages)
	if failure != nil {
		return failure
	}
	if closedAt == noTime {
		if closedAt = lastOf(messages, createdAt); closedAt == noTime {
			return reject(RejectInvalidTime, "neither the chat nor any of its messages has a time: write closed_at, the time of the hand-over")
		}
	}
	messages = arrange(messages, createdAt, closedAt)
	if len(messages) == 0 {
		if d.unread.field != "" {
			return d.unread.reject()
		}
		if field := elsewhere(d.object); field != "" {
			return reject(RejectInvalidField, "messages holds nothing to send, but %s holds words: write the chat as messages with role and text", field)
		}
		return reject(RejectNoMessages, "messages holds nothing to send: at least one message of a user, bot or agent needs a text or an attachment")
	}
	first, last := messages[0].at, messages[len(messages)-1].at
	if createdAt == noTime || createdAt > first {
		createdAt = first
	}
	t.CreatedAt, t.ClosedAt = timeOf(createdAt), timeOf(max(closedAt, last))
	t.Messages = make([]Message, len(messages))
	for i := range messages {
		t.Messages[i] = messages[i].Message
		t.Messages[i].At = timeOf(messages[i].at)
	}
	return d.more(t, f)
}

func timeOf(millis int64) time.Time { return time.UnixMilli(millis).UTC() }

// time decodes a time. For after, see instant.
func (d *decoder) time(value []byte, after int64, path func() string) (int64, *RejectError) {
	millis, code, problem := decodeTime(value, d.zone, after)
	if problem != "" {
		return 0, reject(code, "%s %s", path(), problem)
	}
	if millis > d.latest {
		return 0, reject(RejectTimeInFuture, "%s is more than a day ahead: correct it, numbers are seconds or milliseconds since 1970", path())
	}
	return millis, nil
}

func decodeDirection(value []byte) (Direction, *RejectError) {
	if !given(value) {
		return Inbound, nil
	}
	text, _ := unquote(value)
	switch direction := Direction(text); direction {
	case Inbound, Outbound:
		return direction, nil
	}
	return "", reject(RejectInvalidField, "direction is neither inbound nor outbound: correct it or leave it out")
}

// note remembers a field that this project does not know, if its name looks like one: anything else could be data.
func (d *decoder) note(prefix string, name []byte) {
	if len(d.unknown) == maxUnknown || !identifier(name) {
		return
	}
	for _, u := range d.unknown {
		if u.prefix == prefix && u.name == string(name) {
			return
		}
	}
	d.unknown = append(d.unknown, unknownField{prefix, string(name)})
}

func (d *decoder) names() []string {
	var names []string
	for _, u := range d.unknown {
		names = append(names, u.prefix+u.name)
	}
	slices.Sort(names)
	return names
}

// identifier reports whether a name is safe to show: [A-Za-z0-9_.-]{1,64}.
func identifier(name []byte) bool {
	for _, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return len(name) >= 1 && len(name) <= 64
}
