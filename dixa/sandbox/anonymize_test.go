package sandbox

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAnonymizeStrictly(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{AnonymizeDelay: time.Hour})
	user := s.AddEndUser(EndUser{DisplayName: "Ann Lee", Email: "ann@example.org", ExternalID: "c-1"})
	open := s.AddConversation(Conversation{RequesterID: user, Messages: []Message{{Text: "Hello", ExternalID: "x:1", Attachments: []Attachment{{URL: "https://x"}}}}})
	path := fmt.Sprintf("/v1/conversations/%d", open)
	for _, tt := range []struct {
		request, body string
		status        int
		violation     string
	}{
		{"PATCH " + path + "/anonymize", "", 409, ""},
		{"PATCH " + path + "/anonymize?force=false", "", 409, ""},
		{"PATCH " + path + "/anonymize?force=yes", "", 400, "force is neither"},
		{"PATCH " + path + "/anonymize?close=true", "", 409, "unknown query parameter close"},
		{"PATCH " + path + "/anonymize", `{"force":true}`, 409, "has a body"},
		{"PATCH /v1/conversations/" + user + "/anonymize", "", 400, "conversationId is not an integer"},
		{"PATCH /v1/conversations/1/anonymize", "", 404, ""},
		{"PATCH /v1/endusers/" + user + "/anonymize", "", 409, ""},
		{"PATCH /v1/endusers/7/anonymize", "", 400, "userId is not a UUID"},
		{"PATCH /v1/endusers/" + human + "/anonymize", "", 404, ""},
		{"GET /v1/anonymization/request/" + human, "", 404, ""},
		{"GET /v1/anonymization/request/7", "", 400, "requestId is not a UUID"},
		{"GET /v1/anonymization/requests/" + human, "", 404, "no such operation"},
		{"POST " + path + "/anonymize", "", 404, "no such operation"},
	} {
		before := len(s.Violations())
		method, target, _ := strings.Cut(tt.request, " ")
		r := call(t, s, method, target, tt.body)
		noted := strings.Join(s.Violations()[before:], "\n")
		if r.status != tt.status || (noted != "") != (tt.violation != "") || !strings.Contains(noted, tt.violation) {
			t.Errorf("%s %s: status %d, violations %q", tt.request, tt.body, r.status, noted)
		}
	}
	equal(t, "requests", len(s.Anonymizations()), 0)
	equal(t, "by force", call(t, s, "PATCH", path+"/anonymize?force=true", "").status, 202)
	equal(t, "the end-user", call(t, s, "PATCH", "/v1/endusers/"+user+"/anonymize", "").status, 202)
	c, _ := s.Conversation(open)
	if c.ClosedAt.IsZero() || !c.AnonymizedAt.IsZero() || c.Messages[0].Text != "Hello" {
		t.Errorf("while it waits: %+v", c)
	}
	equal(t, "processed", s.ProcessAnonymizations(), 2)
	c, _ = s.Conversation(open)
	if c.AnonymizedAt.IsZero() || c.Messages[0].Text == "Hello" || c.Messages[0].Attachments != nil || c.Messages[0].ExternalID != "x:1" {
		t.Errorf("afterwards: %+v", c)
	}
	for _, u := range s.EndUsers() {
		if u.ID == user && (u.Email != "" || u.ExternalID != "" || u.DisplayName == "Ann Lee") {
			t.Errorf("the end-user: %+v", u)
		}
	}
	equal(t, "again", s.ProcessAnonymizations(), 0)
}
