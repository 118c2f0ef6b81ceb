package sandbox

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	msgNoQueue  = "Queue does not exist"
	msgClosed   = "Conversation is closed"
	msgNotTwice = "Conversation is already linked"
)

// SetAvailability decides whether somebody takes the conversations of a queue, by its id or its name, and reports whether there is such a queue.
func (s *Server) SetAvailability(queue string, available bool) (found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.opts.Queues {
		if q := &s.opts.Queues[i]; q.ID == queue || q.Name == queue {
			q.Unavailable, found = !available, true
		}
	}
	return found
}

// queueByID returns a queue; s.mu is held.
func (s *Server) queueByID(id string) (Queue, bool) {
	i := slices.IndexFunc(s.opts.Queues, func(q Queue) bool { return strings.EqualFold(q.ID, id) })
	if i < 0 {
		return Queue{}, false
	}
	return s.opts.Queues[i], true
}

func (s *Server) getAvailability(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	if !isUUID(x.id) {
		s.violate(x, "the path parameter queueId is not a UUID")
		return refuse(http.StatusBadRequest, "Invalid value for: path parameter queueId")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queueByID(x.id)
	if !ok {
		return refuse(http.StatusBadRequest, "queue does not exist")
	}
	waiting := 0
	for _, c := range s.data.conversations {
		if c.QueueID == q.ID && c.Assignment == nil && c.ClosedAt.IsZero() {
			waiting++
		}
	}
	state := obj{"genericChannelName": channelName, "availability": "Available", "_type": "GenericChannel"}
	if q.Unavailable {
		state["availability"], state["queueSize"] = "NotAvailable", waiting
	}
	return answer(http.StatusOK, obj{"data": []obj{
		{"error": obj{"channel": "kindlychat", "message": "Could not get availability for channel", "_type": "UnexpectedError"}, "_type": "Failure"},
		{"channelAvailability": state, "_type": "Success"},
	}})
}

// stored returns the conversation of a request; s.mu is held.
func (s *Server) stored(id int64) (*storedConversation, outcome, bool) {
	c, ok := s.data.byID[id]
	if !ok {
		return nil, refuse(http.StatusNotFound, msgNotFound), false
	}
	return c, outcome{}, true
}

// onConversation handles a request about one conversation: decode reads its body, if it is not nil, and then do has its effect, with s.mu held.
func (s *Server) onConversation(x *exchange, decode func(d *decoder, v *value), do func(c *storedConversation) outcome) outcome {
	id, refused, ok := s.conversationID(x)
	if !ok {
		return refused
	}
	if decode != nil {
		v, refused, ok := s.readBody(x)
		if !ok {
			return refused
		}
		var d decoder
		decode(&d, &v)
		if refused, ok := s.settle(x, &d); !ok {
			return refused
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refused, ok := s.stored(id)
	if !ok {
		return refused
	}
	return do(c)
}

// transfer puts a conversation into a queue, whoever has it: like the API, it does not mind taking it from an agent, which is a violation.
func (s *Server) transfer(x *exchange) outcome {
	id, refused, ok := s.conversationID(x)
	if !ok {
		return refused
	}
	v, refused, ok := s.readBody(x)
	if !ok {
		return refused
	}
	var d decoder
	queue, user := "", ""
	if d.object(&v, "transfer", []string{"queueId"}, []string{"userId"}) {
		queue, user = d.uuid(&v, "transfer", "queueId"), d.uuid(&v, "transfer", "userId")
	}
	if refused, ok := s.settle(x, &d); !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, found := s.queueByID(queue)
	switch {
	case !found:
		return refuse(http.StatusBadRequest, msgNoQueue)
	case user != "" && s.agents[user] == unknownAgent:
		return refuse(http.StatusBadRequest, "User not found")
	}
	c, refused, ok := s.stored(id)
	if !ok {
		return refused
	}
	if !c.ClosedAt.IsZero() {
		s.violate(x, "a closed conversation is transferred")
		return refuse(http.StatusBadRequest, msgClosed)
	}
	if a := c.Assignment; a != nil && a.AgentID != s.opts.AgentID {
		s.violate(x, "the conversation is taken from an agent")
	}
	s.enqueue(c, q.ID)
	s.emit(c, "ConversationTransferred", obj{})
	return outcome{status: http.StatusNoContent}
}

// enqueue puts a conversation into a queue; s.mu is held.
func (s *Server) enqueue(c *storedConversation, queue string) {
	had := c.Assignment != nil
	c.QueueID, c.Assignment, c.stateUpdatedAt = queue, nil, time.Now().UTC()
	c.Transfers++
	if had {
		s.emit(c, "ConversationUnassigned", obj{})
	}
	s.emit(c, "ConversationEnqueued", obj{})
}

// reopen opens a closed conversation in its queue, or in the default queue. The body is optional.
func (s *Server) reopen(x *exchange) outcome {
	var decode func(*decoder, *value)
	if len(x.body) > 0 {
		decode = func(d *decoder, v *value) {
			if d.object(v, "reopen", nil, []string{"userId"}) {
				d.uuid(v, "reopen", "userId")
			}
		}
	}
	return s.onConversation(x, decode, func(c *storedConversation) outcome {
		if c.ClosedAt.IsZero() {
			s.violate(x, "an open conversation is reopened")
			return refuse(http.StatusBadRequest, "Conversation is not closed")
		}
		queue := c.QueueID
		if queue == "" {
			for _, q := range s.opts.Queues {
				if q.Default {
					queue = q.ID
				}
			}
		}
		c.ClosedAt, c.ClosedBy = time.Time{}, ""
		s.emit(c, "ConversationOpen", obj{})
		s.enqueue(c, queue)
		return outcome{status: http.StatusNoContent}
	})
}

// linkConversation links a conversation to a parent. What a repeated link is answered is not documented: here it is refused.
func (s *Server) linkConversation(x *exchange) outcome {
	var parentID int64
	linkType := ""
	return s.onConversation(x, func(d *decoder, v *value) {
		if d.object(v, "link", []string{"parentId", "linkType"}, nil) {
			linkType = d.enum(v, "link", "linkType", "Related", "SideConversation")
			parentID = d.integer(v, "link", "parentId")
		}
	}, func(c *storedConversation) outcome {
		parent, refused, ok := s.stored(parentID)
		if !ok {
			return refused
		}
		children := func(id int64) (n int) {
			for _, other := range s.data.conversations {
				if other.ParentID == id {
					n++
				}
			}
			return n
		}
		switch {
		case c.ID == parentID:
			return refuse(http.StatusBadRequest, "A conversation cannot be linked to itself")
		case c.ParentID != 0:
			return refuse(http.StatusBadRequest, msgNotTwice)
		case parent.ParentID != 0, children(c.ID) > 0:
			return refuse(http.StatusBadRequest, "A child conversation cannot have child conversations")
		case children(parentID) >= 100:
			return refuse(http.StatusBadRequest, "Maximum number of child conversations reached")
		}
		c.ParentID, c.LinkType = parentID, linkType
		return outcome{status: http.StatusNoContent}
	})
}

// listLinked lists the children of a conversation, by id.
func (s *Server) listLinked(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	id, refused, ok := s.conversationID(x)
	if !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, refused, ok := s.stored(id); !ok {
		return refused
	}
	data := []obj{}
	for _, c := range s.data.conversations {
		if c.ParentID == id {
			data = append(data, showConversation(c))
		}
	}
	return answer(http.StatusOK, obj{"data": data})
}

// integer returns a field that is a whole number, 0 if it is absent or null.
func (d *decoder) integer(v *value, at, name string) int64 {
	m, ok := optional(v, name)
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(m.text, 10, 64)
	if m.kind != kindNumber || err != nil {
		d.refuse(at+"."+name, "is not an integer of 64 bits")
	}
	return n
}
