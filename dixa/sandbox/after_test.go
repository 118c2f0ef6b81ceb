package sandbox

import (
	"fmt"
	"strings"
	"testing"
)

// TestAfterImportStrictly requires that what the vendor's description does not allow is refused and noted.
func TestAfterImportStrictly(t *testing.T) {
	t.Parallel()
	const queue, tag = "497d2cb4-6b48-4fa2-99d2-21c2a5bad79f", "5c1d2f0e-9a53-4c38-8a3b-0f6f5f1f9d11"
	for _, tt := range []struct {
		request, body string // {} in the request is the conversation's id
		violation     string
	}{
		{"PUT conversations/{}/transfer/queue", `{"queue":"` + queue + `"}`, "does not know: queue"},
		{"PUT conversations/{}/transfer/queue", `{"queueId":"Support"}`, "transfer.queueId is not a UUID"},
		{"PUT conversations/{}/transfer/queue", `{}`, "transfer.queueId is missing"},
		{"PUT conversations/{}/transfer/queue", ``, "Content-Type"},
		{"PUT conversations/" + userID + "/transfer/queue", `{"queueId":"` + queue + `"}`, "conversationId is not an integer"},
		{"PUT conversations/{}/reopen", `{"agentId":"` + userID + `"}`, "does not know: agentId"},
		{"PUT conversations/{}/reopen", `{}`, "an open conversation is reopened"},
		{"GET queues/Support/availability", ``, "queueId is not a UUID"},
		{"GET queues/" + queue + "/availability?channel=x", ``, ""},
		{"PUT conversations/{}/tags/refund", ``, "tagId is not a UUID"},
		{"POST tags", `{"label":"x"}`, "does not know: label"},
		{"POST conversations/{}/ratings/offer", `{"ratingType":"CSAT"}`, "offer.ratingType is none of"},
		{"POST conversations/{}/ratings/offer", `{"ratingType":"Csat","agentId":"` + human + `"}`, ""},
		{"POST conversations/{}/ratings/offer", `{"ratingType":"Csat","offeredAt":"2026-11-19 08:00"}`, "offer.offeredAt is not a time"},
		{"POST conversations/{}/ratings/x/submit", `{"ratingResult":{"value":6,"_type":"Csat"}}`, "outside of its range"},
		{"POST conversations/{}/ratings/x/submit", `{"ratingResult":{"value":"4","_type":"Csat"}}`, "is not an integer"},
		{"POST conversations/{}/ratings/x/submit", `{"ratingResult":4}`, "not an object"},
		{"POST conversations/{}/notes/bulk", `{"notes":[]}`, "does not know: notes"},
		{"POST conversations/{}/notes/bulk", `{"data":[{"text":"x"}]}`, "does not know: text"},
		{"POST conversations/{}/notes/bulk", `{"data":[{"message":"x","createdAt":"2021-12-01T12:46:36.581Z[GMT]"}]}`, "is not a time"},
		{"PUT conversations/{}/link", `{"parentId":"7","linkType":"Related"}`, "link.parentId is not an integer"},
		{"PUT conversations/{}/link", `{"parentId":7,"linkType":"FollowUp"}`, "link.linkType is none of"},
		{"PUT conversations/{}/linked", `{}`, "no such operation: PUT /v1/conversations/{}/linked"},
	} {
		s := setup(t, Options{})
		id := s.AddConversation(Conversation{RequesterID: userID})
		method, path, _ := strings.Cut(strings.Replace(tt.request, "{}", fmt.Sprint(id), 1), " ")
		r := call(t, s, method, "/v1/"+path, tt.body)
		all := strings.Join(s.Violations(), "\n")
		switch {
		case tt.violation == "": // the API takes it, but it is odd
			if all == "" && r.status < 300 {
				t.Errorf("%s %s: nothing is noted", tt.request, tt.body)
			}
		case r.status < 400 || !strings.Contains(all, tt.violation):
			t.Errorf("%s %s: status %d, violations %q", tt.request, tt.body, r.status, all)
		}
		c, _ := s.Conversation(id)
		if c.Transfers+len(c.TagIDs)+len(c.Notes) > 0 || c.ParentID != 0 {
			t.Errorf("%s %s: it had an effect: %+v", tt.request, tt.body, c)
		}
	}
	s := setup(t, Options{})
	id := s.AddConversation(Conversation{RequesterID: userID})
	path := fmt.Sprintf("/v1/conversations/%d", id)
	equal(t, "a tag", call(t, s, "PUT", path+"/tags/"+tag, "").status, 204)
	equal(t, "the same tag", call(t, s, "PUT", path+"/tags/"+tag, "").status, 204)
	equal(t, "tags", len(call(t, s, "GET", path+"/tags", "").list(t)), 1)
	equal(t, "a transfer from the bot", call(t, s, "PUT", path+"/transfer/queue", `{"queueId":"`+queue+`"}`).status, 204)
	noViolations(t, s)
	s.AgentTakes(id, human)
	call(t, s, "PUT", path+"/transfer/queue", `{"queueId":"`+queue+`"}`)
	equal(t, "violations", s.Violations(), []string{"transfer: the conversation is taken from an agent"})
	s.AgentCloses(id, human)
	equal(t, "a reopened one", call(t, s, "PUT", path+"/reopen", "").status, 204)
	c, _ := s.Conversation(id)
	if c.QueueID != queue || !c.ClosedAt.IsZero() || c.Assignment != nil || c.Transfers != 3 {
		t.Errorf("%+v", c)
	}
	other := s.AddConversation(Conversation{RequesterID: userID})
	s.AgentCloses(other, human)
	call(t, s, "PUT", fmt.Sprintf("/v1/conversations/%d/reopen", other), "")
	if c, _ := s.Conversation(other); c.QueueID != DefaultQueues()[0].ID {
		t.Errorf("%+v", c)
	}
}
