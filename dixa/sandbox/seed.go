package sandbox

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// newUUID returns a random UUID of version 4; s.mu is held.
func (s *Server) newUUID() string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], s.random.Uint64())
	binary.BigEndian.PutUint64(raw[8:], s.random.Uint64())
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[:8], raw[:4])
	hex.Encode(text[9:13], raw[4:6])
	hex.Encode(text[14:18], raw[6:8])
	hex.Encode(text[19:23], raw[8:10])
	hex.Encode(text[24:], raw[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// AddEndUser adds an end-user as if they had been there for long, visible at once and whatever the rules of creation, and
// returns their id. An empty ID and CreatedAt are filled in.
func (s *Server) AddEndUser(u EndUser) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	u = u.clone()
	u.ID = strings.ToLower(u.ID)
	if u.ID == "" {
		u.ID = s.newUUID()
	}
	if u.CreatedAt.IsZero() {
		u.CreatedAt = definedAt
	}
	s.data.addUser(u, time.Time{})
	return u.ID
}

// AddConversation adds a conversation as if it had been there for long, visible at once, and returns its id. What is
// empty is filled in: ID, Type (GenericConversation), Channel (genericapimessaging), Direction (Inbound), CreatedAt, and
// of messages ID, Type (GenericAttributes), ContentType (Text), Direction (Inbound), CreatedAt and AuthorID.
func (s *Server) AddConversation(c Conversation) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	c = c.clone()
	c.RequesterID = strings.ToLower(c.RequesterID)
	if c.ID == 0 {
		c.ID = s.data.nextID
	}
	fill(&c.Type, "GenericConversation")
	fill(&c.Channel, channelName)
	fill(&c.Direction, "Inbound")
	if c.CreatedAt.IsZero() {
		c.CreatedAt = definedAt
	}
	for i := range c.Messages {
		m := &c.Messages[i]
		if m.ID == "" {
			m.ID = s.newUUID()
		}
		fill(&m.Type, "GenericAttributes")
		fill(&m.ContentType, "Text")
		fill(&m.Direction, "Inbound")
		if m.AuthorID == "" {
			m.AuthorID = s.opts.AgentID
			if m.Direction == "Inbound" {
				m.AuthorID = c.RequesterID
			}
		}
		if m.CreatedAt.IsZero() {
			m.CreatedAt = c.CreatedAt.Add(time.Duration(i+1) * time.Second)
		}
	}
	stored := &storedConversation{Conversation: c, stateUpdatedAt: c.CreatedAt}
	if !c.ClosedAt.IsZero() {
		stored.stateUpdatedAt = c.ClosedAt
	}
	s.data.deleteConversation(c.ID)
	s.data.addConversation(stored)
	return c.ID
}

func fill(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

// change applies a change to a conversation and says whether it could be applied.
func (s *Server) change(id int64, apply func(*storedConversation) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.data.byID[id]
	return ok && apply(c)
}

// DeleteMessage removes the message with this externalId from a conversation. This and the following report whether
// there was what they were to change.
func (s *Server) DeleteMessage(id int64, externalID string) bool {
	return s.change(id, func(c *storedConversation) bool {
		before := len(c.Messages)
		c.Messages = slices.DeleteFunc(c.Messages, func(m Message) bool { return m.ExternalID == externalID })
		return len(c.Messages) < before
	})
}

// SwapTexts exchanges the texts of two messages of a conversation, counted from 0.
func (s *Server) SwapTexts(id int64, i, j int) bool {
	return s.change(id, func(c *storedConversation) bool {
		if min(i, j) < 0 || max(i, j) >= len(c.Messages) {
			return false
		}
		a, b := &c.Messages[i], &c.Messages[j]
		a.Text, b.Text = b.Text, a.Text
		a.ContentType, b.ContentType = b.ContentType, a.ContentType
		return true
	})
}

// SetText replaces the text of a message, counted from 0.
func (s *Server) SetText(id int64, i int, text string) bool {
	return s.change(id, func(c *storedConversation) bool {
		if i < 0 || i >= len(c.Messages) {
			return false
		}
		c.Messages[i].Text = text
		return true
	})
}

// Reopen opens a conversation that is closed.
func (s *Server) Reopen(id int64) bool {
	return s.change(id, func(c *storedConversation) bool {
		open := c.ClosedAt.IsZero()
		c.ClosedAt, c.ClosedBy, c.stateUpdatedAt = time.Time{}, "", time.Now().UTC()
		return !open
	})
}

// Assign assigns a conversation to an agent, known or not; "" to nobody.
func (s *Server) Assign(id int64, agentID string) bool {
	return s.change(id, func(c *storedConversation) bool {
		c.Assignment = nil
		if agentID != "" {
			c.Assignment = &Assignment{AgentID: agentID, AssignedAt: time.Now().UTC()}
		}
		return true
	})
}

// SetAttribute sets a custom attribute of a conversation by its UUID, to a string or a []string, whatever its definition
// says; nil removes it.
func (s *Server) SetAttribute(id int64, attributeID string, value any) bool {
	return s.change(id, func(c *storedConversation) bool {
		if value == nil {
			delete(c.Attributes, strings.ToLower(attributeID))
			return true
		}
		if c.Attributes == nil {
			c.Attributes = map[string]any{}
		}
		c.Attributes[strings.ToLower(attributeID)] = value
		return true
	})
}

// DeleteConversation removes a conversation: it is answered 404 from now on.
func (s *Server) DeleteConversation(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.deleteConversation(id)
}

// DeleteEndUser removes an end-user, but not their conversations: imports that name them are refused with "Requester does
// not exist".
func (s *Server) DeleteEndUser(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.deleteUser(strings.ToLower(id))
}
