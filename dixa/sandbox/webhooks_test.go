package sandbox

import (
	"strings"
	"testing"
)

// hookBody is the creation of a subscription without a fault; edits are pairs of what to replace in it by what.
func hookBody(url string, edits ...string) string {
	body := `{"name": "bot", "url": "` + url + `", "events": ["ConversationMessageAdded", "ConversationNoteAdded"], "enabled": true,
  "authorization": {"_type": "NoAuth"}, "customHeaders": {},
  "filters": {"Conversation": {"_type": "CombinedFilters", "strategy": "All", "conditions": [
    {"_type": "IsOneOf", "field": "InitialChannel", "values": ["genericapimessaging"]}]}}}`
	for i := 0; i+1 < len(edits); i += 2 {
		if !strings.Contains(body, edits[i]) {
			panic("not in the body: " + edits[i])
		}
		body = strings.Replace(body, edits[i], edits[i+1], 1)
	}
	return body
}

func TestCreateWebhook(t *testing.T) {
	t.Parallel()
	l := listen(t, ok)
	s := setup(t, Options{})
	t.Cleanup(s.Close)
	const queue = "497d2cb4-6b48-4fa2-99d2-21c2a5bad79f"
	made := call(t, s, "POST", "/v1/webhooks", hookBody(l.URL, `{"_type": "NoAuth"}`, `{"_type": "BasicAuth", "username": "u", "password": "p"}`,
		`"customHeaders": {}`, `"customHeaders": {"X-One": "1"}`, `"strategy": "All"`, `"strategy": "Any"`,
		`["genericapimessaging"]}`, `["email"]}, {"_type": "IsOneOf", "field": "QueueId", "values": ["`+queue+`"]}`))
	equal(t, "status", made.status, 201)
	hook := made.data(t)
	if len(hook["secretKey"].(string)) != 64 || hook["enabled"] != true {
		t.Errorf("%v", hook)
	}
	equal(t, "the same one", call(t, s, "GET", "/v1/webhooks/"+hook["id"].(string), "").json["data"], made.json["data"])
	equal(t, "in the list", call(t, s, "GET", "/v1/webhooks", "").json["data"], any([]any{made.json["data"]}))
	id := s.AddConversation(Conversation{RequesterID: userID})
	s.AgentReplies(id, human, "not heard")
	id = s.AddConversation(Conversation{RequesterID: userID, QueueID: queue})
	s.AgentReplies(id, human, "heard")
	s.AddConversation(Conversation{ID: 7, RequesterID: userID, Channel: "Email"})
	call(t, s, "POST", "/v1/conversations/7/notes/bulk", `{"data":[{"message":"a note"}]}`)
	got := l.all(t, s)
	equal(t, "events", fqns(got), []string{"CONVERSATION_MESSAGE_ADDED", "CONVERSATION_NOTE_ADDED"})
	if h := got[0].header; h.Get("X-One") != "1" || h.Get("Authorization") != "Basic dTpw" {
		t.Errorf("headers %v", h)
	}
	noViolations(t, s)

	other := call(t, s, "POST", "/v1/webhooks", hookBody(l.URL, `{"_type": "NoAuth"}`, `{"_type": "TokenAuth", "value": "v"}`, `"enabled": true`, `"enabled": false`))
	equal(t, "headers", other.data(t)["headers"], any(map[string]any{"Authorization": "Bearer v"}))
	equal(t, "enabled", other.data(t)["enabled"], any(false))
	if other.data(t)["secretKey"] == hook["secretKey"] || other.data(t)["id"] == hook["id"] {
		t.Error("two subscriptions share a secret or an id")
	}
	noViolations(t, s)
}

func TestCreateWebhookStrictly(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		edits     []string
		violation string // "": none
	}{
		"no headers":         {[]string{`"customHeaders": {},`, ``}, "webhook.customHeaders is missing"},
		"headers of numbers": {[]string{`"customHeaders": {}`, `"customHeaders": {"a": 1}`}, "not a string"},
		"no authorization":   {[]string{`"authorization": {"_type": "NoAuth"},`, ``}, "webhook.authorization is missing"},
		"other auth":         {[]string{`NoAuth`, `Digest`}, "is none of BasicAuth"},
		"no password":        {[]string{`"NoAuth"`, `"BasicAuth", "username": "u"`}, "webhook.authorization.password is missing"},
		"unknown event":      {[]string{`ConversationNoteAdded`, `CONVERSATION_NOTE_ADDED`}, "names an event that is not known"},
		"one event twice":    {[]string{`ConversationNoteAdded`, `ConversationMessageAdded`}, "names an event that is not known, or one twice"},
		"other filter":       {[]string{`"Conversation":`, `"Agent":`}, "does not know: Agent"},
		"no conditions":      {[]string{`{"_type": "IsOneOf", "field": "InitialChannel", "values": ["genericapimessaging"]}`, ``}, "are none"},
		"no values":          {[]string{`["genericapimessaging"]`, `[]`}, "are none"},
		"other field":        {[]string{`InitialChannel`, `Channel`}, "is none of InitialChannel"},
		"other strategy":     {[]string{`"All"`, `"None"`}, "is none of All, Any"},
		"enabled as a text":  {[]string{`true`, `"true"`}, "not a boolean"},
		"unknown field":      {[]string{`"enabled": true`, `"active": true`}, "does not know: active"},
		"no address":         {[]string{`http://127.0.0.1/hook`, `hook`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, Options{})
			r := call(t, s, "POST", "/v1/webhooks", hookBody("http://127.0.0.1/hook", tt.edits...))
			equal(t, "status", r.status, 400)
			equal(t, "webhooks", len(s.Webhooks()), 0)
			if all := strings.Join(s.Violations(), "\n"); !strings.Contains(all, tt.violation) || tt.violation == "" && all != "" {
				t.Errorf("violations %q", all)
			}
		})
	}
	s := setup(t, Options{})
	equal(t, "an unknown channel", call(t, s, "POST", "/v1/webhooks", hookBody("http://127.0.0.1/hook", `genericapimessaging`, `bots`)).status, 201)
	for _, path := range []string{"/v1/webhooks/7", "/v1/webhooks/7/delivery-status", "/v1/webhooks/7/delivery-status/logs/ConversationClosed",
		"/v1/webhooks/" + s.Webhooks()[0].ID + "/delivery-status/logs/Closed"} {
		equal(t, path, call(t, s, "GET", path, "").status, 400)
	}
	equal(t, "violations", s.ViolationCount(), 5)
	equal(t, "an unknown subscription", call(t, s, "GET", "/v1/webhooks/"+userID+"/delivery-status", "").status, 404)
}
