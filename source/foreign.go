package source

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxNamed is how many fields a reason names.
const maxNamed = 6

// notATranscript rejects a record of another kind. lack is what it lacks.
func (d *decoder) notATranscript(lack string) *RejectError {
	has, alike := "", ""
	if names := d.names(); len(names) > 0 {
		more := ""
		if len(names) > maxNamed {
			names, more = names[:maxNamed], ", ..."
		}
		has = " (it has " + strings.Join(names, ", ") + more + ")"
		if list := Resembling(names); len(list) > 0 {
			alike = "rename " + strings.Join(list, ", ") + ", or "
		}
	}
	return reject(RejectNotATranscript, "the record is not a transcript, %s%s: %sexport one object for each chat, with id, messages and, once it is closed, closed_at", lack, has, alike)
}

// lackOfOpen returns what a record without closed_at lacks to be an open chat, "" if it is one. An open chat has messages in the form of
// transcripts. One in which nobody has written yet has none, or no such field: then there must be nothing else, either, that could
// hold a chat, or two of the fields that only transcripts have.
func (d *decoder) lackOfOpen(f fields) string {
	own := 0
	for _, there := range []bool{f.messages != nil, f.closedAt != nil, userLike(f.endUser)} {
		if there {
			own++
		}
	}
	switch {
	case given(f.messages) && !messagesLike(f.messages):
		return "it has no closed_at, and its messages are not objects with role and text"
	case given(f.messages), own >= 2, !d.foreign:
		return ""
	}
	return "it has neither messages nor closed_at"
}

// closedElsewhere returns the unknown field that says when a chat without closed_at was closed, "" if there is none.
func (d *decoder) closedElsewhere() string {
	if !d.foreign {
		return ""
	}
	all := members{d.object}
	for {
		name, value, ok := all.next()
		if !ok {
			return ""
		}
		if !identifier(name) || resembles(string(name)) != "closed_at" {
			continue
		}
		if _, _, problem := decodeTime(value, time.UTC, noTime); problem == "" || value[0] == 't' {
			return string(name)
		}
	}
}

// messagesLike reports whether a value could be the messages of a transcript: an array that is empty, or has a message with a known role
// and a text or file.
func messagesLike(value []byte) bool {
	if value[0] != '[' {
		return false
	}
	all := elements{value}
	for n := 0; ; n++ {
		value, ok := all.next()
		if !ok {
			return n == 0
		}
		if _, known := roleOf(member(value, "role")); !known {
			continue
		}
		for _, name := range []string{"text", "content", "attachments"} {
			if member(value, name) != nil {
				return true
			}
		}
	}
}

// userLike reports whether a value is an end-user as transcripts have it.
func userLike(value []byte) bool {
	return slices.ContainsFunc([]string{"external_id", "email", "phone", "name"}, func(name string) bool { return member(value, name) != nil })
}

// spellings are the fields that others are mistaken for, with what they are called elsewhere.
var spellings = []struct {
	name  string
	alike []string
}{
	{"id", []string{"transcriptid"}},
	{"closed_at", []string{"closeat", "closed", "isclosed", "resolvedat", "solvedat", "closetime", "closedtime", "closedon", "closingtime", "endedat", "endat", "endtime", "finishedat", "completedat"}},
	{"created_at", []string{"createat", "created", "createtime", "createdtime", "createdon", "startedat", "startat", "starttime"}},
	{"messages", []string{"message", "msgs", "turns"}},
	{"end_user", []string{"enduser", "user", "customer", "contact"}},
	{"attributes", []string{"attribute", "customattributes"}},
	{"direction", nil},
	{"messages.text", nil}, // under another name it is an error, see unreadField
	{"messages.role", []string{"sender", "sendertype", "author", "authortype", "from", "speaker", "participant"}},
	{"messages.created_at", []string{"createat", "created", "createtime", "createdtime", "createdon", "timestamp", "ts", "time", "datetime", "date", "sentat", "senton"}},
	{"messages.attachments", []string{"attachment", "files", "file"}},
	{"messages.agent_id", []string{"agent", "agentuuid"}},
	{"end_user.external_id", []string{"id", "userid", "customerid", "externaluserid"}},
	{"end_user.email", []string{"mail", "emailaddress"}},
	{"end_user.phone", []string{"phonenumber", "mobile", "tel", "telephone"}},
	{"end_user.name", []string{"fullname", "displayname"}},
}

// Resembling returns those of a record's unknown fields that are likely another spelling of one that is known, such as
// "closedAt to closed_at".
func Resembling(unknown []string) []string {
	var out []string
	for _, name := range unknown {
		if to := resembles(name); to != "" && to != name {
			out = append(out, fmt.Sprintf("%s to %s", name, to))
		}
	}
	return out
}

// resembles returns the known field that an unknown one looks like, "" if there is none.
func resembles(name string) string {
	prefix, plain := inObject(name)
	for _, k := range spellings {
		in, want := inObject(k.name)
		if in == prefix && (plain == want || slices.Contains(k.alike, plain) || len(want) > 3 && oneEdit(plain, want)) {
			return k.name
		}
	}
	return ""
}

// inObject separates the plain name of a field from that of the object that it is in, "" at the top.
func inObject(name string) (object, plain string) {
	for _, object := range []string{"messages.", "end_user."} {
		if rest, ok := strings.CutPrefix(name, object); ok {
			return object, plainName(rest)
		}
	}
	return "", plainName(name)
}

// plainName is a name without case and what parts its words.
func plainName(name string) string {
	return strings.NewReplacer("_", "", "-", "", ".", "").Replace(strings.ToLower(name))
}

// oneEdit reports whether two words differ in one letter that is missing, surplus or another, or in two that changed places.
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	switch len(b) - len(a) {
	case 0:
		rest := min(i+1, len(a))
		return a[rest:] == b[rest:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
	case 1:
		return a[i:] == b[i+1:]
	}
	return false
}
