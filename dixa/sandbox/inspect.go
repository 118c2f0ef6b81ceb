package sandbox

import "slices"

// Conversations returns a copy of all conversations, by id.
func (s *Server) Conversations() []Conversation {
	return s.snapshot(func(*Conversation) bool { return true })
}

// ConversationsByExternalID returns a copy of the conversations that were imported with this externalId, by id. More than
// one is a duplicate.
func (s *Server) ConversationsByExternalID(externalID string) []Conversation {
	return s.snapshot(func(c *Conversation) bool { return c.ExternalID == externalID })
}

// Conversation returns a copy of one conversation.
func (s *Server) Conversation(id int64) (Conversation, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.anonymizeDue()
	c, ok := s.data.byID[id]
	if !ok {
		return Conversation{}, false
	}
	return c.clone(), true
}

func (s *Server) snapshot(wanted func(*Conversation) bool) []Conversation {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.anonymizeDue()
	var list []Conversation
	for _, c := range s.data.conversations {
		if wanted(&c.Conversation) {
			list = append(list, c.clone())
		}
	}
	return list
}

// EndUsers returns a copy of all end-users, the oldest first.
func (s *Server) EndUsers() []EndUser {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.anonymizeDue()
	var list []EndUser
	for _, u := range s.data.users {
		list = append(list, u.clone())
	}
	return list
}

// Duplicate is an externalId that more than one conversation has.
type Duplicate struct {
	ExternalID    string  `json:"external_id"`
	Conversations []int64 `json:"conversations"`
}

// Duplicates returns the externalIds that were imported more than once, sorted.
func (s *Server) Duplicates() []Duplicate {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := map[string][]int64{}
	var twice []string
	for _, c := range s.data.conversations {
		if c.ExternalID == "" {
			continue
		}
		ids[c.ExternalID] = append(ids[c.ExternalID], c.ID)
		if len(ids[c.ExternalID]) == 2 {
			twice = append(twice, c.ExternalID)
		}
	}
	slices.Sort(twice)
	list := make([]Duplicate, len(twice))
	for i, ext := range twice {
		list[i] = Duplicate{ExternalID: ext, Conversations: ids[ext]}
	}
	return list
}
