package sandbox

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestExternalIDsThatDoNotComeBack(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{NoExternalIDs: true})
	id := mustImport(t, s)
	foreign := s.AddConversation(Conversation{RequesterID: s.EndUsers()[0].ID, Messages: []Message{{Type: "ChatAttributes", ExternalID: "x", Text: "x"}}})
	externalIDs := func(id int64) (ids []any) {
		for _, m := range call(t, s, "GET", fmt.Sprintf("/v1/conversations/%d/messages", id), "").list(t) {
			ids = append(ids, m["externalId"])
		}
		return ids
	}
	equal(t, "withheld", externalIDs(id), []any{nil, nil})
	equal(t, "of another channel", externalIDs(foreign), []any{"x"})
	equal(t, "what the sandbox holds", len(s.ConversationsByExternalID("bot/t-1")), 1)
	change := func(value string, status int) {
		equal(t, "status of "+value, call(t, s, "POST", "/_sandbox/mutate", `{"action":"withhold_external_ids","value":`+value+`}`).status, status)
	}
	change(`"no"`, 404)
	change("false", 204)
	equal(t, "returned", externalIDs(id), []any{"bot/t-1:1", "bot/t-1:2"})
	change("true", 204)
	s.Reset()
	equal(t, "withheld after a reset", s.withheld, true)
}

func TestMessagesThatAreNotThereYet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{MessageLag: 90 * time.Second})
		s.AddEndUser(EndUser{ID: userID})
		path := fmt.Sprintf("/v1/conversations/%d/messages", mustImport(t, s))
		time.Sleep(89 * time.Second)
		equal(t, "early", len(call(t, s, "GET", path, "").list(t)), 0)
		time.Sleep(2 * time.Second)
		equal(t, "late", len(call(t, s, "GET", path, "").list(t)), 2)
	})
}
