package sandbox

import (
	"bytes"
	"strings"
	"time"
	"unicode"
)

// spellEvent writes times as the payloads of events have them.
func spellEvent(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// fqn is how payloads name an event: CONVERSATION_MESSAGE_ADDED for ConversationMessageAdded.
func fqn(event string) string {
	var b strings.Builder
	lower := false
	for _, r := range event {
		if lower && unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// emit tells the webhook subscriptions of an event; s.mu is held.
func (s *Server) emit(c *storedConversation, event string, data obj) {
	var payload []byte
	now := time.Now().UTC()
	for _, sub := range s.hooks {
		if !sub.wants(event, c) {
			continue
		}
		if payload == nil {
			payload = s.payload(c, event, now, data)
		}
		d := &dispatch{event: event, at: now, payload: payload, lost: s.random.Float64() < s.opts.Deliveries.Loss}
		s.dispatch(sub, d, s.upTo(s.opts.Deliveries.Spread))
	}
}

func (s *Server) payload(c *storedConversation, event string, at time.Time, data obj) []byte {
	data["conversation"] = s.showEventConversation(c)
	var buf bytes.Buffer
	err := newEncoder(&buf).Encode(obj{
		"event_id": s.newUUID(), "event_fqn": fqn(event), "event_version": "1", "event_timestamp": spellEvent(at),
		"organization": obj{"id": s.opts.OrganizationID, "name": "Sandbox"}, "data": data,
	})
	if err != nil {
		panic("encode an event: " + err.Error()) // cannot happen: only objects, lists, texts, numbers
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

func (s *Server) showEventConversation(c *storedConversation) obj {
	o := obj{
		"channel": strings.ToUpper(c.Channel), "status": "OPEN", "direction": strings.ToUpper(c.Direction), "queue": nil, "contact_point": nil,
		"requester": s.showPerson(c.RequesterID), "assignee": nil, "subject": nil, "tags": append([]string{}, c.TagIDs...),
		"created_at": spellEvent(c.CreatedAt),
	}
	if which := s.opts.Deliveries.Conversation; which == "csid" || which == "both" {
		o["csid"] = c.ID
	}
	if s.opts.Deliveries.Conversation != "csid" {
		o["id"] = c.ID
	}
	if !c.ClosedAt.IsZero() {
		o["status"] = "CLOSED"
	}
	if c.Assignment != nil {
		o["assignee"] = s.showPerson(c.Assignment.AgentID)
	}
	if q, ok := s.queueByID(c.QueueID); ok {
		o["queue"] = obj{"id": q.ID, "name": q.Name}
	}
	return o
}

// showPerson shows an end-user or an agent; s.mu is held.
func (s *Server) showPerson(id string) obj {
	o := obj{"id": id, "name": "", "email": nil, "phone": nil, "roles": []string{"Agent"}, "user_type": "Member"}
	u, ok := s.data.userByID[id]
	if !ok {
		o["name"] = "Agent " + id[:min(8, len(id))]
		return o
	}
	o["roles"], o["user_type"], o["name"] = []string{"Enduser"}, "Contact", u.DisplayName
	setOptional(o, "email", u.Email, true)
	setOptional(o, "phone", u.PhoneNumber, true)
	return o
}

// emitMessage tells of an added message. Its text is in one of two places, or in both, for either is said of the API.
func (s *Server) emitMessage(c *storedConversation, m *Message) {
	if len(s.hooks) == 0 {
		return
	}
	data := obj{
		"message_id": m.ID, "direction": strings.ToUpper(m.Direction), "created_at": spellEvent(m.CreatedAt), "author": s.showPerson(m.AuthorID),
		"attachments": []obj{},
	}
	where := s.random.IntN(3)
	if where != 0 {
		data["content"] = obj{"text": m.Text}
	}
	if where != 1 {
		data["text"] = m.Text
	}
	setOptional(data, "external_id", m.ExternalID, where == 2)
	s.emit(c, "ConversationMessageAdded", data)
}

// emitImport tells of everything that an import made: it fires the events of any conversation.
func (s *Server) emitImport(c *storedConversation) {
	if len(s.hooks) == 0 {
		return
	}
	s.emit(c, "ConversationCreated", obj{})
	for i := range c.Messages {
		s.emitMessage(c, &c.Messages[i])
	}
	if c.Assignment != nil {
		s.emit(c, "ConversationAssigned", obj{})
	}
	if !c.ClosedAt.IsZero() {
		s.emit(c, "ConversationClosed", obj{"author": s.showPerson(c.ClosedBy)})
	}
}
