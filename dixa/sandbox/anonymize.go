package sandbox

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	msgNotClosed  = "Conversation is not closed"
	msgNotClosedU = "End user has conversations that are not closed"
	anonymized    = "anonymized" // what stands in the place of texts
)

// Anonymization is a request to anonymize a conversation or an end-user.
type Anonymization struct {
	ID          string    `json:"id"`
	Type        string    `json:"type"`   // Conversation or User
	Target      string    `json:"target"` // the number of the conversation, or the id of the end-user
	Force       bool      `json:"force,omitempty"`
	InitiatedAt time.Time `json:"initiated_at"`
	ProcessedAt time.Time `json:"processed_at,omitzero"` // zero: it waits
}

// Anonymizations returns all requests, the oldest first. What a repeated request does is not documented: here it is one more request.
func (s *Server) Anonymizations() []Anonymization {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.data.anonymizations)
}

// ProcessAnonymizations does what was asked, whatever Options.AnonymizeDelay says, and returns how many requests that were.
func (s *Server) ProcessAnonymizations() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.anonymizeUntil(time.Now().UTC(), 0)
}

// anonymizeUntil processes the requests that have waited for delay, in their order; s.mu is held.
func (s *Server) anonymizeUntil(now time.Time, delay time.Duration) (n int) {
	for ; s.data.processed < len(s.data.anonymizations); s.data.processed++ {
		a := &s.data.anonymizations[s.data.processed]
		if now.Sub(a.InitiatedAt) < delay {
			break
		}
		a.ProcessedAt, n = now.Truncate(time.Millisecond), n+1
		if a.Type == "User" {
			s.anonymizeUser(a.Target, now)
			continue
		}
		if id, err := strconv.ParseInt(a.Target, 10, 64); err == nil && s.data.byID[id] != nil {
			s.data.byID[id].anonymize(now)
		}
	}
	return n
}

// anonymizeDue processes what is due; s.mu is held. With a negative delay, that is nothing.
func (s *Server) anonymizeDue() {
	if s.opts.AnonymizeDelay >= 0 {
		s.anonymizeUntil(time.Now().UTC(), s.opts.AnonymizeDelay)
	}
}

// anonymize keeps what the vendor's description of an anonymized conversation has. Whether external ids stay is not documented: they do here.
func (c *storedConversation) anonymize(now time.Time) {
	c.Type, c.AnonymizedAt, c.stateUpdatedAt = "AnonymizedConversation", now, now
	for i := range c.Messages {
		c.Messages[i].Text, c.Messages[i].Attachments = anonymized, nil
	}
	for i := range c.Notes {
		c.Notes[i].Text = anonymized
	}
	for i := range c.Ratings {
		c.Ratings[i].Comment = ""
	}
}

func (s *Server) anonymizeUser(id string, now time.Time) {
	u := s.data.userByID[id]
	if u == nil {
		return
	}
	at, visible := u.CreatedAt, u.visibleAt
	s.data.deleteUser(id)
	s.data.addUser(EndUser{ID: id, CreatedAt: at, DisplayName: anonymized}, visible)
	for _, c := range s.data.byRequester[id] {
		c.anonymize(now)
	}
}

func (s *Server) anonymizeConversation(x *exchange) outcome {
	force, refused, ok := s.force(x)
	if !ok {
		return refused
	}
	return s.onConversation(x, nil, func(c *storedConversation) outcome {
		if c.ClosedAt.IsZero() && !force {
			return refuse(http.StatusConflict, msgNotClosed)
		}
		s.forceClosed(c)
		return s.queueAnonymization("Conversation", strconv.FormatInt(c.ID, 10), force)
	})
}

func (s *Server) anonymizeEndUser(x *exchange) outcome {
	force, refused, ok := s.force(x)
	if !ok {
		return refused
	}
	user, refused, ok := s.userID(x)
	if !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data.userByID[user] == nil {
		return refuse(http.StatusNotFound, msgNotFound)
	}
	for _, c := range s.data.byRequester[user] {
		if c.ClosedAt.IsZero() && !force {
			return refuse(http.StatusConflict, msgNotClosedU)
		}
	}
	for _, c := range s.data.byRequester[user] {
		s.forceClosed(c)
	}
	return s.queueAnonymization("User", user, force)
}

// force reads the query parameter force of a request, which has no body.
func (s *Server) force(x *exchange) (bool, outcome, bool) {
	q, refused, ok := s.query(x, "force")
	if !ok {
		return false, refused, false
	}
	if len(x.body) > 0 {
		s.violate(x, "the request has a body, which the vendor's description does not know")
	}
	switch q.Get("force") {
	case "", "false":
		return false, outcome{}, true
	case "true":
		return true, outcome{}, true
	}
	s.violate(x, "force is neither true nor false")
	return false, refuse(http.StatusBadRequest, "Invalid value for: query parameter force"), false
}

// forceClosed closes a conversation that is open; s.mu is held.
func (s *Server) forceClosed(c *storedConversation) {
	if c.ClosedAt.IsZero() {
		c.ClosedAt, c.ClosedBy, c.stateUpdatedAt = time.Now().UTC().Truncate(time.Millisecond), s.opts.AgentID, time.Now().UTC()
		s.emit(c, "ConversationClosed", obj{"author": s.showPerson(s.opts.AgentID)})
	}
}

// queueAnonymization takes a request; s.mu is held.
func (s *Server) queueAnonymization(kind, target string, force bool) outcome {
	a := Anonymization{ID: s.newUUID(), Type: kind, Target: target, Force: force, InitiatedAt: time.Now().UTC()}
	s.data.anonymizations = append(s.data.anonymizations, a)
	return answer(http.StatusAccepted, obj{"data": s.showAnonymization(a)})
}

func (s *Server) showAnonymization(a Anonymization) obj {
	o := obj{"id": a.ID, "entityType": a.Type + "AnonymizationType", "_type": a.Type, "initiatedAt": spellZone(a.InitiatedAt),
		"targetEntityId": a.Target, "requestedBy": s.opts.AgentID}
	if !a.ProcessedAt.IsZero() {
		o["processedAt"] = spellZone(a.ProcessedAt)
	}
	return o
}

func (s *Server) getAnonymization(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	id := strings.ToLower(x.parameter(4))
	if !isUUID(id) {
		s.violate(x, "the path parameter requestId is not a UUID")
		return refuse(http.StatusBadRequest, "Invalid value for: path parameter requestId")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.data.anonymizations, func(a Anonymization) bool { return a.ID == id })
	if i < 0 {
		return refuse(http.StatusNotFound, msgNotFound)
	}
	return answer(http.StatusOK, obj{"data": s.showAnonymization(s.data.anonymizations[i])})
}
