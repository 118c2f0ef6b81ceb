package sandbox

import (
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

// timeSent is the only spelling of times that is accepted in requests: ISO 8601 with milliseconds and Z.
const timeSent = "2006-01-02T15:04:05.000Z"

// decoder turns a JSON value into what an operation needs, strictly. It keeps the first reason to refuse the body, and
// what to note although the API would accept it.
type decoder struct {
	refusal string
	notes   []string
}

func (d *decoder) refuse(at, why string) {
	if d.refusal == "" {
		d.refusal = at + " " + why
	}
}

func (d *decoder) note(text string) {
	if !slices.Contains(d.notes, text) {
		d.notes = append(d.notes, text)
	}
}

// object checks that v is an object which has all required fields and no other than these and the optional ones.
func (d *decoder) object(v *value, at string, required, optional []string) bool {
	if v.kind != kindObject {
		d.refuse(at, "is "+v.kind.String()+", not an object")
		return false
	}
	found := 0
	for i := range v.fields {
		f := &v.fields[i]
		switch {
		case slices.Contains(required, f.name):
			found++
			if f.value.kind == kindNull {
				d.refuse(at+"."+f.name, "is null, but required")
				return false
			}
		case slices.Contains(optional, f.name):
			if f.value.kind == kindNull {
				d.note(at + "." + f.name + " is null: the vendor's description allows no null, leave the field out")
			}
		default:
			d.refuse(at, "has a field that the vendor's description does not know: "+quoteName(f.name))
			return false
		}
	}
	if found == len(required) {
		return true
	}
	for _, name := range required {
		if _, ok := v.member(name); !ok {
			d.refuse(at+"."+name, "is missing, but required")
		}
	}
	return false
}

// quoteName shows a field name in full only if it looks like one: a misplaced value is nobody's business.
func quoteName(name string) string {
	if len(name) > 40 {
		return "(a long name)"
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' {
			return "(not a plain name)"
		}
	}
	return name
}

// optional returns the member unless it is absent or null.
func optional(v *value, name string) (*value, bool) {
	m, ok := v.member(name)
	return m, ok && m.kind != kindNull
}

// str returns a string field, "" if it is absent or null.
func (d *decoder) str(v *value, at, name string) string {
	m, ok := optional(v, name)
	if !ok {
		return ""
	}
	if m.kind != kindString {
		d.refuse(at+"."+name, "is "+m.kind.String()+", not a string")
		return ""
	}
	if strings.IndexByte(m.text, 0) >= 0 {
		d.note(at + "." + name + " contains a NUL character")
	}
	return strings.Clone(m.text)
}

// enum returns a string field that must be one of the values, "" if it is absent or null.
func (d *decoder) enum(v *value, at, name string, values ...string) string {
	m, ok := optional(v, name)
	if !ok {
		return ""
	}
	if m.kind == kindString {
		for _, s := range values {
			if m.text == s {
				return s
			}
		}
	}
	d.refuse(at+"."+name, "is none of "+strings.Join(values, ", "))
	return ""
}

// uuid returns a UUID field in lower case, "" if it is absent or null.
func (d *decoder) uuid(v *value, at, name string) string {
	m, ok := optional(v, name)
	if !ok {
		return ""
	}
	if m.kind != kindString || !isUUID(m.text) {
		d.refuse(at+"."+name, "is not a UUID")
		return ""
	}
	return strings.Clone(strings.ToLower(m.text))
}

// time returns a time field, the zero time if it is absent or null.
func (d *decoder) time(v *value, at, name string) time.Time {
	m, ok := optional(v, name)
	if !ok {
		return time.Time{}
	}
	if m.kind == kindString && len(m.text) == len(timeSent) && m.text[19] == '.' {
		// The zero time is what a client sends that forgot to set one.
		if t, err := time.Parse(timeSent, m.text); err == nil && !t.IsZero() {
			return t
		}
	}
	d.refuse(at+"."+name, "is not a time written as "+timeSent)
	return time.Time{}
}

// boolean returns a boolean field, otherwise if it is absent or null.
func (d *decoder) boolean(v *value, at, name string, otherwise bool) bool {
	m, ok := optional(v, name)
	if !ok {
		return otherwise
	}
	if m.kind != kindBool {
		d.refuse(at+"."+name, "is "+m.kind.String()+", not a boolean")
	}
	return m.text == "true"
}

// list returns the items of an array field, none if it is absent or null.
func (d *decoder) list(v *value, at, name string) []value {
	m, ok := optional(v, name)
	if !ok {
		return nil
	}
	if m.kind != kindArray {
		d.refuse(at+"."+name, "is "+m.kind.String()+", not an array")
		return nil
	}
	return m.items
}

// strings returns a field that is an array of strings.
func (d *decoder) strings(v *value, at, name string) []string {
	var texts []string
	for _, item := range d.list(v, at, name) {
		if item.kind != kindString {
			d.refuse(at+"."+name, "contains "+item.kind.String()+", not only strings")
			return nil
		}
		texts = append(texts, strings.Clone(item.text))
	}
	return texts
}

// isUUID reports whether s is a UUID in its usual form of 36 characters.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !isHex(c) {
				return false
			}
		}
	}
	return true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// readBody parses the body of a request. A refusal is already noted.
func (s *Server) readBody(x *exchange) (value, outcome, bool) {
	media, _, err := mime.ParseMediaType(x.request.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		s.violate(x, "the Content-Type of the body is not application/json")
		return value{}, refuse(http.StatusUnsupportedMediaType, msgMediaType), false
	}
	if len(x.body) == 0 {
		s.violate(x, "the body is empty")
		return value{}, refuse(http.StatusBadRequest, msgBody), false
	}
	v, err := parse(x.body)
	if err != nil {
		s.violate(x, err.Error())
		return value{}, refuse(http.StatusBadRequest, msgDecoding), false
	}
	return v, outcome{}, true
}

// settle notes what the decoder found; the outcome is the answer if the body is refused.
func (s *Server) settle(x *exchange, d *decoder) (outcome, bool) {
	for _, note := range d.notes {
		s.violate(x, note)
	}
	if d.refusal == "" {
		return outcome{}, true
	}
	s.violate(x, d.refusal)
	return refuse(http.StatusBadRequest, msgDecoding), false
}
