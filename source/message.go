package source

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/google/uuid"
)

// noTime marks a message or a chat whose record gives no time.
const noTime int64 = math.MinInt64

// message is a message of the record, before those without content are dropped.
type message struct {
	Message
	at   int64 // milliseconds since 1970, or noTime
	drop bool
}

func (d *decoder) messages(value []byte) ([]message, *RejectError) {
	switch {
	case value == nil:
		return nil, reject(RejectInvalidField, "messages is missing: give each transcript an array of its messages")
	case !given(value): // as a database aggregates no rows
		return nil, nil
	}
	if value[0] != '[' {
		return nil, reject(RejectInvalidField, "messages is not an array: write the messages as an array of objects")
	}
	messages, last := make([]message, 0, 16), noTime
	all := elements{value}
	for {
		value, ok := all.next()
		if !ok {
			return messages, nil
		}
		m, failure := d.message(value, len(messages), last)
		if failure != nil {
			return nil, failure
		}
		if m.at != noTime {
			last = m.at
		}
		messages = append(messages, m)
	}
}

// message decodes messages[i]; last is the latest known time of those before it.
func (d *decoder) message(value []byte, i int, last int64) (m message, failure *RejectError) {
	if value[0] != '{' {
		return m, reject(RejectInvalidField, "messages[%d] is not an object: write each message as an object with role and text", i)
	}
	var role, text, content, parts, format, createdAt, agentID, attachments []byte
	foreign := false
	all := members{value}
	for {
		name, value, ok := all.next()
		if !ok {
			break
		}
		switch string(name) {
		case "id": // nothing depends on it: messages are numbered by their position
		case "role":
			role = value
		case "text":
			text = value
		case "content":
			content = value
		case "parts":
			parts = value
		case "format":
			format = value
		case "created_at":
			createdAt = value
		case "agent_id":
			agentID = value
		case "attachments":
			attachments = value
		default:
			d.note("messages.", name)
			foreign = true
		}
	}
	if foreign {
		if failure := twin(value, "messages.", fmt.Sprintf("messages[%d].", i)); failure != nil {
			return m, failure
		}
	}
	m.at = noTime
	if given(createdAt) {
		m.at, failure = d.time(createdAt, last, func() string { return fmt.Sprintf("messages[%d].created_at", i) })
		if failure != nil {
			return m, failure
		}
	}
	if m.Role, failure = decodeRole(role, i); failure != nil {
		return m, failure
	}
	if m.Role == "" {
		m.drop = true
		return m, nil
	}
	unreadBefore := d.unread
	for _, field := range []struct {
		name  string
		value []byte
	}{{"text", text}, {"content", content}, {"parts", parts}} {
		if m.Text, m.Attachments, failure = d.content(field.value, field.name, i); failure != nil {
			return m, failure
		}
		if m.Text != "" || len(m.Attachments) > 0 {
			break
		}
	}
	if m.Format, failure = decodeFormat(format, i); failure != nil {
		return m, failure
	}
	if m.Role == RoleAgent {
		if m.AgentID, failure = decodeAgentID(agentID, i); failure != nil {
			return m, failure
		}
	}
	beside, failure := d.attachments(attachments, i)
	if failure != nil {
		return m, failure
	}
	m.Attachments = append(m.Attachments, beside...)
	m.drop = m.Text == "" && len(m.Attachments) == 0
	if !m.drop {
		d.unread = unreadBefore
		return m, nil
	}
	if u := unreadField(value, i); u.field != "" && (u.sure || d.unread.field == "") {
		d.unread = u
	}
	if d.unread.sure {
		return m, d.unread.reject()
	}
	return m, nil
}

// decodeRole returns "" for messages that are not sent.
func decodeRole(value []byte, i int) (Role, *RejectError) {
	if role, ok := roleOf(value); ok {
		return role, nil
	}
	is := ""
	if word := inside(value); roleLike.Match(word) {
		is = fmt.Sprintf(" is %q, which", word)
	}
	return "", reject(RejectInvalidRole, "messages[%d].role%s is none of user, bot, agent and system: correct it", i, is)
}

// roleOf returns the role that a word stands for in any case and between blanks, "" if its messages are not sent. ok is false for
// other words.
func roleOf(value []byte) (role Role, ok bool) {
	word := inside(value)
	if role, ok = roles[string(word)]; ok { // without an allocation, as nearly all are written so
		return role, true
	}
	role, ok = roles[strings.ToLower(strings.TrimSpace(string(word)))]
	return role, ok
}

// roles are the words for who wrote a message.
var roles = map[string]Role{
	"user": RoleUser, "customer": RoleUser, "end_user": RoleUser, "human": RoleUser,
	"bot": RoleBot, "assistant": RoleBot, "ai": RoleBot, "model": RoleBot,
	"agent":  RoleAgent,
	"system": "", "developer": "", "tool": "", "function": "", "event": "",
}

// roleLike is what a program may call a role, and what a message may quote: no customer's words.
var roleLike = regexp.MustCompile(`^(?:[a-z][a-z0-9_-]{0,19}|[A-Z][A-Z0-9_-]{0,19})$`)

func decodeFormat(value []byte, i int) (Format, *RejectError) {
	if !given(value) {
		return FormatText, nil
	}
	switch Format(inside(value)) {
	case FormatText:
		return FormatText, nil
	case FormatHTML:
		return FormatHTML, nil
	case FormatMarkdown:
		return FormatMarkdown, nil
	}
	return "", reject(RejectInvalidField, "messages[%d].format is none of text, html and markdown: correct it or leave it out", i)
}

func decodeAgentID(value []byte, i int) (string, *RejectError) {
	if !given(value) {
		return "", nil
	}
	text, _ := unquote(value)
	const uuidLength = 36 // uuid.Parse takes other notations too
	if id, err := uuid.Parse(text); err == nil && len(text) == uuidLength {
		return id.String(), nil
	}
	return "", reject(RejectInvalidField, "messages[%d].agent_id is not a UUID: write the id of the agent in Dixa, or leave it out", i)
}

func (d *decoder) attachments(value []byte, i int) ([]Attachment, *RejectError) {
	if !given(value) {
		return nil, nil
	}
	if value[0] != '[' {
		return nil, reject(RejectInvalidField, "messages[%d].attachments is not an array: write an array of objects with url and name", i)
	}
	var attachments []Attachment
	all := elements{value}
	for {
		value, ok := all.next()
		if !ok {
			return attachments, nil
		}
		a, failure := d.attachment(value, i, len(attachments))
		if failure != nil {
			return nil, failure
		}
		attachments = append(attachments, a)
	}
}

// attachment decodes messages[i].attachments[j].
func (d *decoder) attachment(value []byte, i, j int) (a Attachment, failure *RejectError) {
	if value[0] != '{' {
		return a, reject(RejectInvalidField, "messages[%d].attachments[%d] is not an object: write an object with url and name", i, j)
	}
	var url, name []byte
	all := members{value}
	for {
		field, value, ok := all.next()
		if !ok {
			break
		}
		switch string(field) {
		case "url":
			url = value
		case "name":
			name = value
		default:
			d.note("messages.attachments.", field)
		}
	}
	a.URL, _ = unquote(url)
	a.URL = strings.TrimFunc(a.URL, unicode.IsSpace)
	if a.URL == "" {
		return a, reject(RejectInvalidField, "messages[%d].attachments[%d].url is not a URL: write the address of the file as a string", i, j)
	}
	if given(name) {
		var ok bool
		if a.Name, ok = unquote(name); !ok {
			return a, reject(RejectInvalidField, "messages[%d].attachments[%d].name is not a string: correct it or leave it out", i, j)
		}
	}
	return a, nil
}

// arrange gives every message a time, drops those that are not sent, sorts the others by time and spreads those at the
// same millisecond.
func arrange(messages []message, createdAt, closedAt int64) []message {
	fillTimes(messages, createdAt, closedAt)
	messages = slices.DeleteFunc(messages, func(m message) bool { return m.drop })
	slices.SortStableFunc(messages, func(a, b message) int { return cmp.Compare(a.at, b.at) })
	for i := 1; i < len(messages); i++ {
		messages[i].at = max(messages[i].at, messages[i-1].at+1)
	}
	return messages
}

// fillTimes gives a message without a time that of the one before it plus 1 ms. Where the chat begins with such
// messages and has no created_at, they come just before the first one that has a time, or before the closing.
func fillTimes(messages []message, createdAt, closedAt int64) {
	if len(messages) == 0 {
		return
	}
	if messages[0].at == noTime {
		messages[0].at = createdAt
	}
	if messages[0].at == noTime {
		known := slices.IndexFunc(messages, func(m message) bool { return m.at != noTime })
		if known < 0 {
			messages[0].at = closedAt - int64(len(messages))
		} else {
			messages[0].at = messages[known].at - int64(known)
		}
		messages[0].at = max(messages[0].at, 0)
	}
	for i := 1; i < len(messages); i++ {
		if messages[i].at == noTime {
			messages[i].at = messages[i-1].at + 1
		}
	}
}
