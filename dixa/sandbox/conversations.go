package sandbox

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// listConversations lists what an end-user requested, by id, without custom attributes.
func (s *Server) listConversations(x *exchange) outcome {
	q, refused, ok := s.query(x, "pageLimit", "pageKey")
	if !ok {
		return refused
	}
	user, refused, ok := s.userID(x)
	if !ok {
		return refused
	}
	resource := "conversations/" + user
	p, refused, ok := s.page(x, q, resource)
	if !ok {
		return refused
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.data.userByID[user]; !ok {
		return refuse(http.StatusNotFound, msgNotFound)
	}
	page, more := cutPage(s.data.byRequester[user], func(c *storedConversation) int64 { return c.ID },
		func(c *storedConversation) bool { return !now.Before(c.visibleAt) }, p)
	data := make([]obj, len(page))
	var last int64
	for i, c := range page {
		data[i] = showConversation(c)
		last = c.ID
	}
	return showPage(x, q, resource, data, p, last, more)
}

func (s *Server) getConversation(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	id, refused, ok := s.conversationID(x)
	if !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.data.byID[id]
	if !ok {
		return refuse(http.StatusNotFound, msgNotFound)
	}
	o := showConversation(c)
	o["customAttributes"] = s.showAttributes(c, func(string) bool { return true })
	return answer(http.StatusOK, obj{"data": o})
}

// listMessages lists the messages from oldest to newest. Like the vendor's it has no pages.
func (s *Server) listMessages(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	id, refused, ok := s.conversationID(x)
	if !ok {
		return refused
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.data.byID[id]
	if !ok {
		return refuse(http.StatusNotFound, msgNotFound)
	}
	if now.Before(c.messagesAt) {
		return answer(http.StatusOK, obj{"data": []obj{}})
	}
	messages := slices.Clone(c.Messages)
	slices.SortFunc(messages, func(a, b Message) int {
		// Messages of one time are in no particular order: the vendor promises none.
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	data := make([]obj, len(messages))
	for i := range messages {
		if s.withheld && messages[i].Type == genericAttributes {
			messages[i].ExternalID = ""
		}
		data[i] = showMessage(&messages[i], (id+int64(i))%2 == 0)
	}
	return answer(http.StatusOK, obj{"data": data})
}

func (s *Server) conversationID(x *exchange) (int64, outcome, bool) {
	id, err := strconv.ParseInt(x.id, 10, 64)
	if err != nil || x.id[0] == '+' {
		s.violate(x, "the path parameter conversationId is not an integer of 64 bits")
		return 0, refuse(http.StatusBadRequest, "Invalid value for: path parameter conversationId"), false
	}
	return id, outcome{}, true
}

func showConversation(c *storedConversation) obj {
	null := c.ID%2 == 0
	state := "Open"
	if !c.ClosedAt.IsZero() {
		state = "Closed"
	}
	o := obj{
		"_type": c.Type, "id": c.ID, "requesterId": c.RequesterID, "channel": c.Channel,
		"createdAt": spellRFC(c.CreatedAt), "state": state, "stateUpdatedAt": spellRFC(c.stateUpdatedAt),
	}
	setOptional(o, "direction", c.Direction, null)
	if !c.AnonymizedAt.IsZero() {
		o["anonymizedAt"] = spellRFC(c.AnonymizedAt)
		return o
	}
	if a := c.Assignment; a != nil {
		o["assignment"] = obj{"agentId": a.AgentID, "assignedAt": spellRFC(a.AssignedAt)}
	} else if null {
		o["assignment"] = nil
	}
	if null {
		o["queue"], o["transportExpiresAt"], o["fromContactPointId"] = nil, nil, nil
	}
	if c.QueueID != "" {
		o["queue"] = obj{"id": c.QueueID, "queuedAt": spellRFC(c.stateUpdatedAt)}
	}
	// Answers may gain fields and types at any time.
	switch c.ID % 5 {
	case 0:
		o["link"] = obj{"_type": "AddedLater", "parent": obj{"id": "1234"}}
	case 1:
		o["unheardOf"] = []any{1, "two", nil}
	}
	if c.ParentID != 0 {
		kind := c.LinkType
		if kind != "SideConversation" { // the vendor's answers do not have the Related of requests
			kind = "FollowUp"
		}
		o["link"] = obj{"_type": kind, "parentId": c.ParentID}
	}
	return o
}

func showMessage(m *Message, null bool) obj {
	files := make([]obj, len(m.Attachments))
	for i, a := range m.Attachments {
		files[i] = obj{"url": a.URL}
		setOptional(files[i], "prettyName", a.PrettyName, null)
	}
	attributes := obj{
		"_type": m.Type, "direction": m.Direction, "attachments": files,
		"content": obj{"_type": m.ContentType, "value": m.Text},
	}
	if !null {
		attributes["unheardOf"] = obj{"_type": "AddedLater"}
	}
	o := obj{"id": m.ID, "authorId": m.AuthorID, "createdAt": spellZone(m.CreatedAt), "attributes": attributes}
	setOptional(o, "externalId", m.ExternalID, null)
	return o
}
