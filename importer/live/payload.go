package live

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"dixa-import/importer/checkpoint"
)

// The types of events, as they are stored and forwarded.
const (
	TypeMessage  = "message_added"
	TypeClosed   = "conversation_closed"
	TypeAssigned = "conversation_assigned"
	TypeTyping   = "typing_started"
	TypeOther    = "other" // its event_fqn says what it is
)

// ErrMalformed says that a payload cannot be the one of an event. It never contains anything of the payload.
var ErrMalformed = errors.New("the payload is not an event")

// maxFQN is the length at which the type of an event is cut.
const maxFQN = 100

// parsed is an event with what it takes to recognize an echo.
type parsed struct {
	checkpoint.WebhookEvent
	externalID string // of an added message
}

// parse reads the payload of an event. Of what Dixa documents, any field but event_id may be missing, null or of another type.
func parse(payload []byte, now time.Time) (parsed, error) {
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	var root map[string]any
	if err := decoder.Decode(&root); err != nil {
		return parsed{}, ErrMalformed
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return parsed{}, ErrMalformed
	}
	e := parsed{WebhookEvent: checkpoint.WebhookEvent{ID: text(root["event_id"]), Type: TypeOther, FQN: cut(text(root["event_fqn"]), maxFQN)}}
	if !validID(e.ID) {
		return parsed{}, ErrMalformed
	}
	e.At = firstTime(now, root["event_timestamp"], at(root, "data", "created_at"))
	e.ConversationID, e.CSID = conversationNumbers(root)
	author := at(root, "data", "author")
	switch strings.ToLower(strings.ReplaceAll(e.FQN, "_", "")) {
	case "conversationmessageadded":
		e.Type = TypeMessage
		e.Text = firstText(at(root, "data", "text"), at(root, "data", "content", "text"))
		e.MessageID = text(at(root, "data", "message_id"))
		e.externalID = firstText(at(root, "data", "external_id"), at(root, "data", "message", "external_id"))
	case "conversationclosed":
		e.Type, e.Effect = TypeClosed, checkpoint.EffectClosed
		author = agentOf(root, "author", "closed_by", "closed_by_user", "user")
		e.AgentID = text(at(author, "id"))
	case "conversationabandoned": // closed without having an agent
		e.Effect = checkpoint.EffectClosed
	case "conversationassigned":
		e.Type, e.Effect = TypeAssigned, checkpoint.EffectAssigned
		author = agentOf(root, "assignee", "agent", "user")
		e.AgentID = text(at(author, "id"))
	case "typingstarted":
		e.Type = TypeTyping
		author = firstPerson(author, at(root, "data", "user"), at(root, "data", "agent"))
	}
	e.AuthorID, e.AuthorName, e.AuthorType = text(at(author, "id")), text(at(author, "name")), text(at(author, "user_type"))
	return e, nil
}

// validID reports whether an event's id can be a key and the value of a header.
func validID(id string) bool {
	if id == "" || len(id) > 200 {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}

// conversationNumbers returns the numbers under which an event names its conversation, 0 for one that it does not give.
func conversationNumbers(root map[string]any) (id, csid int64) {
	id, csid = number(at(root, "data", "conversation", "id")), number(at(root, "data", "conversation", "csid"))
	if id == 0 {
		id, csid = csid, 0
	}
	return id, csid
}

// agentOf returns who closed or has the conversation: what the event says under one of the names, or else the conversation's assignee.
func agentOf(root map[string]any, names ...string) any {
	people := make([]any, 0, len(names)+1)
	for _, name := range names {
		people = append(people, at(root, "data", name))
	}
	return firstPerson(append(people, at(root, "data", "conversation", "assignee"))...)
}

func firstPerson(people ...any) any {
	for _, p := range people {
		if text(at(p, "id")) != "" {
			return p
		}
	}
	return nil
}

// at returns what is at a path of names, nil if there is nothing.
func at(v any, path ...string) any {
	for _, name := range path {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[name]
	}
	return v
}

// text returns a string, or a number as it is written, "" for anything else.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func firstText(values ...any) string {
	for _, v := range values {
		if s := text(v); s != "" {
			return s
		}
	}
	return ""
}

// number returns a positive whole number, which may be written as a string, 0 for anything else.
func number(v any) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text(v)), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// firstTime returns the first of the values that is a time, now if none is. An event cannot have happened later than now, but clocks differ.
func firstTime(now time.Time, values ...any) time.Time {
	for _, v := range values {
		if t, ok := parseTime(v); ok && t.Before(now.Add(24*time.Hour)) {
			return t
		}
	}
	return now
}

// parseTime reads RFC 3339, with the name of a zone in brackets after it as Dixa sometimes writes it, and Unix seconds and milliseconds.
func parseTime(v any) (time.Time, bool) {
	s := strings.TrimSpace(text(v))
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return unixTime(n), n > 0 && n < 1e14
	}
	s, _, _ = strings.Cut(s, "[")
	t, err := time.Parse(time.RFC3339, s)
	return t.UTC(), err == nil && t.Year() > 1970
}

// cut returns at most n bytes of s.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
