package sandbox

import (
	"fmt"
	"testing"
	"time"
)

func TestSeededConversations(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{FirstConversationID: 100})
	chat := s.AddConversation(Conversation{Type: "ChatConversation", Channel: "WidgetChat", RequesterID: userID,
		Messages: []Message{{Text: "Hello", Type: "ChatAttributes"}, {Text: "Hi", Direction: "Outbound"}}})
	future := s.AddConversation(Conversation{ID: 50, Type: "HologramConversation", Channel: "Hologram", RequesterID: userID})
	id := mustImport(t, s)
	equal(t, "ids", []int64{chat, future, id}, []int64{100, 50, 101})
	var types, states []any
	for _, c := range call(t, s, "GET", "/v1/endusers/"+userID+"/conversations", "").list(t) {
		types, states = append(types, c["_type"]), append(states, c["state"])
	}
	equal(t, "types", types, []any{"HologramConversation", "ChatConversation", "GenericConversation"})
	equal(t, "states", states, []any{"Open", "Open", "Closed"})
	c, _ := s.Conversation(chat)
	equal(t, "authors", []string{c.Messages[0].AuthorID, c.Messages[1].AuthorID}, []string{userID, DefaultAgentID})
	messages := call(t, s, "GET", "/v1/conversations/100/messages", "").list(t)
	equal(t, "type of the attributes", messages[0]["attributes"].(map[string]any)["_type"], any("ChatAttributes"))

	s.AddConversation(Conversation{ID: 50, RequesterID: userID, ExternalID: "replaced"})
	equal(t, "conversations", len(s.Conversations()), 3)
	equal(t, "the replaced one", s.Conversations()[0].ExternalID, "replaced")
}

func TestChanges(t *testing.T) {
	t.Parallel()
	texts := func(c Conversation) (list []string) {
		for _, m := range c.Messages {
			list = append(list, m.Text)
		}
		return list
	}
	tests := []struct {
		name   string
		change func(s *Server, id int64) bool
		done   bool
		check  func(c Conversation) any
		want   any
	}{
		{"message", func(s *Server, id int64) bool { return s.DeleteMessage(id, "bot/t-1:1") }, true,
			func(c Conversation) any { return texts(c) }, []string{"It ships **today**."}},
		{"no such message", func(s *Server, id int64) bool { return s.DeleteMessage(id, "bot/t-1:3") }, false,
			func(c Conversation) any { return len(c.Messages) }, 2},
		{"texts", func(s *Server, id int64) bool { return s.SwapTexts(id, 0, 1) }, true,
			func(c Conversation) any { return texts(c) }, []string{"It ships **today**.", "Where is my order?"}},
		{"no such texts", func(s *Server, id int64) bool { return s.SwapTexts(id, 0, 2) }, false, nil, nil},
		{"text", func(s *Server, id int64) bool { return s.SetText(id, 0, "x") }, true,
			func(c Conversation) any { return c.Messages[0].Text }, "x"},
		{"no such text", func(s *Server, id int64) bool { return s.SetText(id, -1, "x") }, false, nil, nil},
		{"state", func(s *Server, id int64) bool { return s.Reopen(id) }, true,
			func(c Conversation) any { return c.ClosedAt.IsZero() && c.ClosedBy == "" }, true},
		{"state twice", func(s *Server, id int64) bool { s.Reopen(id); return s.Reopen(id) }, false, nil, nil},
		{"assignee", func(s *Server, id int64) bool { return s.Assign(id, otherAgent) }, true,
			func(c Conversation) any { return c.Assignment.AgentID }, otherAgent},
		{"no assignee", func(s *Server, id int64) bool { return s.Assign(id, "") }, true,
			func(c Conversation) any { return c.Assignment == nil }, true},
		{"attribute", func(s *Server, id int64) bool { return s.SetAttribute(id, OrderNumberID, "1") }, true,
			func(c Conversation) any { return c.Attributes[OrderNumberID] }, "1"},
		{"no attribute", func(s *Server, id int64) bool {
			s.SetAttribute(id, OrderNumberID, "1")
			return s.SetAttribute(id, OrderNumberID, nil)
		}, true,
			func(c Conversation) any { return len(c.Attributes) }, 0},
		{"no such conversation", func(s *Server, id int64) bool { return s.Reopen(id + 1) }, false, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, Options{})
			id := mustImport(t, s)
			equal(t, "done", tt.change(s, id), tt.done)
			if c, _ := s.Conversation(id); tt.check != nil {
				equal(t, "after it", tt.check(c), tt.want)
			}
		})
	}
}

func TestDeletions(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{})
	id := mustImport(t, s)
	if !s.DeleteConversation(id) || s.DeleteConversation(id) {
		t.Error("a conversation must be deleted once")
	}
	for _, path := range []string{"", "/messages"} {
		equal(t, "status of "+path, call(t, s, "GET", fmt.Sprintf("/v1/conversations/%d%s", id, path), "").status, 404)
	}
	equal(t, "conversations", len(call(t, s, "GET", "/v1/endusers/"+userID+"/conversations", "").list(t)), 0)
	if !s.DeleteEndUser(userID) || s.DeleteEndUser(userID) {
		t.Error("an end-user must be deleted once")
	}
	equal(t, "status of the conversations", call(t, s, "GET", "/v1/endusers/"+userID+"/conversations", "").status, 404)
	equal(t, "import", call(t, s, "POST", "/v1/conversations/import", importBody()).message(), msgRequester)
	equal(t, "status of a new end-user", call(t, s, "POST", "/v1/endusers", `{"email":"ann@example.org","phoneNumber":"+4512345678"}`).status, 201)
}

func TestAnswersVary(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	nulls, absents := 0, 0
	for range 20 {
		user := s.AddEndUser(EndUser{CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
		data := call(t, s, "GET", "/v1/endusers/"+user, "").data(t)
		equal(t, "createdAt", data["createdAt"], any("2026-01-02T03:04:05Z"))
		if v, ok := data["email"]; !ok {
			absents++
		} else if v == nil {
			nulls++
		}
	}
	if nulls == 0 || absents == 0 || nulls+absents != 20 {
		t.Errorf("%d nulls, %d absent", nulls, absents)
	}
}
