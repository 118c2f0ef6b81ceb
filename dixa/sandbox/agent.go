package sandbox

import (
	"strings"
	"time"
)

// work lets an agent, who becomes known if they are not, do something in a conversation that is open. It reports whether there is one.
func (s *Server) work(id int64, agentID string, do func(c *storedConversation, agentID string, now time.Time)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.data.byID[id]
	if !ok || !c.ClosedAt.IsZero() {
		return false
	}
	agentID = strings.ToLower(agentID)
	if s.agents[agentID] == unknownAgent {
		s.agents[agentID] = assignable
	}
	do(c, agentID, time.Now().UTC().Truncate(time.Millisecond))
	return true
}

// AgentTakes assigns an open conversation to an agent, as if they had accepted it from its queue. This and the following report whether there is
// such a conversation. Webhook subscriptions hear of all of them.
func (s *Server) AgentTakes(id int64, agentID string) bool {
	return s.work(id, agentID, func(c *storedConversation, agentID string, now time.Time) {
		c.Assignment, c.stateUpdatedAt = &Assignment{AgentID: agentID, AssignedAt: now}, now
		s.emit(c, "ConversationAssigned", obj{})
	})
}

// AgentTypes lets an agent type in an open conversation.
func (s *Server) AgentTypes(id int64, agentID string) bool {
	return s.work(id, agentID, func(c *storedConversation, agentID string, _ time.Time) {
		s.emit(c, "TypingStarted", obj{"author": s.showPerson(agentID)})
	})
}

// AgentReplies adds a message of an agent to an open conversation and returns its id, "" if there is no such conversation.
func (s *Server) AgentReplies(id int64, agentID, text string) (messageID string) {
	s.work(id, agentID, func(c *storedConversation, agentID string, now time.Time) {
		messageID = s.newUUID()
		c.Messages = append(c.Messages, Message{ID: messageID, AuthorID: agentID, Direction: "Outbound", ContentType: "Text", Text: text,
			CreatedAt: now, Type: genericAttributes})
		s.emitMessage(c, &c.Messages[len(c.Messages)-1])
	})
	return messageID
}

// AgentCloses lets an agent close an open conversation.
func (s *Server) AgentCloses(id int64, agentID string) bool {
	return s.work(id, agentID, func(c *storedConversation, agentID string, now time.Time) {
		c.ClosedAt, c.ClosedBy, c.stateUpdatedAt = now, agentID, now
		s.emit(c, "ConversationClosed", obj{"author": s.showPerson(agentID)})
	})
}
