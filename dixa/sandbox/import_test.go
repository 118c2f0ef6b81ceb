package sandbox

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const otherAgent = "11111111-2222-4333-8444-555555555555"

func TestImportRefusals(t *testing.T) {
	t.Parallel()
	const first = `"externalId": "bot/t-1:1"`
	tests := []struct {
		name    string
		body    string
		message string
		// violation is a part of the one violation, "" when the refusal is none.
		violation string
	}{
		{"no JSON", `{"_type"`, msgDecoding, "not valid JSON"},
		{"invalid UTF-8", importBody("Where", "\xff"), msgDecoding, "UTF-8"},
		{"two values", importBody() + "{}", msgDecoding, "not valid JSON"},
		{"an array", `[]`, msgDecoding, "an array, not an object"},
		{"duplicate key", importBody(`"direction"`, `"direction": "Inbound", "direction"`), msgDecoding, "twice"},
		{"unknown key", importBody(`"direction"`, `"status": "x", "direction"`), msgDecoding, "does not know: status"},
		{"wrong case", importBody(`"requesterId"`, `"requesterID"`), msgDecoding, "does not know: requesterID"},
		{"no _type", importBody(`"_type": "GenericConversationImport",`, ``), msgDecoding, "import._type is missing"},
		{"wrong _type", importBody("GenericConversationImport", "ConversationImport"), msgDecoding, "import._type is none of"},
		{"no requester", importBody(`"requesterId": "`+userID+`",`, ``), msgDecoding, "requesterId is missing"},
		{"null requester", importBody(`"`+userID+`"`, `null`), msgDecoding, "requesterId is null"},
		{"requester is no UUID", importBody(userID, "42"), msgDecoding, "requesterId is not a UUID"},
		{"no direction", importBody(`"direction": "Inbound",`, ``), msgDecoding, "direction is missing"},
		{"wrong direction", importBody(`"direction": "Inbound"`, `"direction": "inbound"`), msgDecoding, "direction is none of"},
		{"wrong status", importBody(`"Disconnected"`, `"Away"`), msgDecoding, "requesterConnectionStatus is none of"},
		{"time without fraction", importBody("08:00:00.000Z", "08:00:00Z"), msgDecoding, "createdAt is not a time"},
		{"time with microseconds", importBody("08:00:00.000Z", "08:00:00.000000Z"), msgDecoding, "createdAt is not a time"},
		{"time with offset", importBody("08:00:00.000Z", "08:00:00.000+01:00"), msgDecoding, "createdAt is not a time"},
		{"time with comma", importBody("08:00:00.000Z", "08:00:00,000Z"), msgDecoding, "createdAt is not a time"},
		{"zero time", importBody("2026-11-19T08:00:00.000Z", "0001-01-01T00:00:00.000Z"), msgDecoding, "createdAt is not a time"},
		{"no such day", importBody("2026-11-19T08:00:00.000Z", "2026-11-31T08:00:00.000Z"), msgDecoding, "createdAt is not a time"},
		{"time as number", importBody(`"2026-11-19T08:00:00.000Z"`, "1795075200000"), msgDecoding, "createdAt is not a time"},
		{"externalId is a number", importBody(`"bot/t-1"`, `1`), msgDecoding, "externalId is a number"},
		{"messages is an object", importBody(`"messages": [`, `"attributes": [`, `],
  "assignment"`, `], "messages": {}, "assignment"`), msgDecoding, "messages is an object"},
		{"message is a string", importBody(`"messages": [`, `"messages": ["hello", `), msgDecoding, "messages[] is a string"},
		{"message without _type", importBody(`"_type": "InboundImport",`, ``), msgDecoding, "messages[]._type is missing"},
		{"message of a wrong _type", importBody("InboundImport", "Inbound"), msgDecoding, "messages[]._type is none of"},
		{"message without time", importBody(`, "createdAt": "2026-11-19T08:00:01.000Z"`, ``), msgDecoding, "messages[].createdAt is missing"},
		{"inbound with agent", importBody(first, first+`, "agentId": "`+DefaultAgentID+`"`), msgDecoding, "does not know: agentId"},
		{"outbound without agent", importBody(`"agentId": "`+DefaultAgentID+`",
`, ``), msgDecoding, "messages[].agentId is missing"},
		{"content is a string", importBody(`{"_type": "Text", "value": "Where is my order?"}`, `"Where"`), msgDecoding, "content is a string"},
		{"content without _type", importBody(`"_type": "Text", `, ``), msgDecoding, "content._type is missing"},
		{"content of a wrong _type", importBody(`"Markdown"`, `"markdown"`), msgDecoding, "content._type is none of"},
		{"content without value", importBody(`, "value": "Where is my order?"`, ``), msgDecoding, "content.value is missing"},
		{"attachment without url", importBody(`"url"`, `"href"`), msgDecoding, "does not know: href"},
		{"attachment is a string", importBody(`"attachments": []`, `"attachments": ["https://x.example"]`), msgDecoding, "attachments[] is a string"},
		{"assignment without time", importBody(`, "assignedAt": "2026-11-19T08:00:00.000Z"`, ``), msgDecoding, "assignedAt is missing"},
		{"closing without agent", importBody(`, "closedBy": "`+DefaultAgentID+`"`, ``), msgDecoding, "closedBy is missing"},
		{"other channel", importBody("genericapimessaging", "GenericApiMessaging"), msgChannel, "genericChannelName"},
		{"message without content", importBody("Where is my order?", `\n \t`), msgMessage, "neither text nor attachment"},
		{"unknown requester", importBody(userID, otherAgent), msgRequester, ""},
		{"unknown author", importBody(`"agentId": "`+DefaultAgentID+`",
`, `"agentId": "`+otherAgent+`",
`), msgAgent, ""},
		{"unknown assignee", importBody(`{"agentId": "`+DefaultAgentID, `{"agentId": "`+otherAgent), msgAgent, ""},
		{"unknown closer", importBody(`"closedBy": "`+DefaultAgentID, `"closedBy": "`+otherAgent), msgAgent, ""},
		{"attachment out of reach", importBody("cdn.example.org", UnreachableHost), msgDownload, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, Options{})
			r := call(t, s, "POST", "/v1/conversations/import", tt.body)
			equal(t, "status", r.status, http.StatusBadRequest)
			equal(t, "message", r.message(), tt.message)
			equal(t, "conversations", len(s.Conversations()), 0)
			v := strings.Join(s.Violations(), "\n")
			if s.ViolationCount() > 1 || tt.violation == "" && v != "" || !strings.Contains(v, tt.violation) {
				t.Errorf("violations %q, want one with %q", v, tt.violation)
			}
		})
	}
}

func TestImportNotes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		edits     []string
		violation string // "" when it is none
	}{
		{"as it should be", nil, ""},
		{"absent optionals", []string{`"requesterConnectionStatus": "Disconnected",`, ``, `"attachments": [],`, ``, `, "prettyName": "Label"`, ``}, ""},
		{"dynamic attributes", []string{`"direction"`, `"attributes": {"a": [1, null]}, "direction"`}, ""},
		{"upper case UUID", []string{userID, strings.ToUpper(userID)}, ""},
		{"null optional", []string{`"Disconnected"`, `null`}, "requesterConnectionStatus is null"},
		{"no externalId", []string{`"externalId": "bot/t-1",`, ``, `"bot/t-1:1"`, `":1"`, `"bot/t-1:2"`, `":2"`}, "import.externalId is missing"},
		{"message without externalId", []string{`"externalId": "bot/t-1:1", `, ``}, "messages[].externalId is missing"},
		{"counted from 0", []string{"t-1:1", "t-1:0", "t-1:2", "t-1:1"}, "with n from 1"},
		{"other prefix", []string{"bot/t-1:1", "t-1:1"}, "with n from 1"},
		{"no messages", []string{`"messages": [`, `"messages": [], "attributes": [`}, "messages is empty"},
		{"closed before the last message", []string{"08:12:30.000Z", "08:00:03.199Z"}, "closedAt is before a message"},
		{"closed before it began", []string{"08:12:30.000Z", "07:00:00.000Z"}, "closedAt is before createdAt"},
		{"created after the first message", []string{"08:00:00.000Z", "08:00:01.001Z"}, "createdAt is after a message"},
		{"equal times", []string{"08:00:03.200Z", "08:00:01.000Z"}, "same time"},
		{"wrong order", []string{"08:00:03.200Z", "08:00:00.500Z"}, "not in the order of time"},
		{"NUL", []string{"Where", `\u0000Where`}, "NUL character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, Options{})
			mustImport(t, s, tt.edits...)
			v := strings.Join(s.Violations(), "\n")
			if !strings.Contains(v, tt.violation) || (tt.violation == "") != (v == "") {
				t.Errorf("violations %q, want one with %q", v, tt.violation)
			}
		})
	}
}

func TestImportIsNotIdempotent(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{FirstConversationID: 7})
	a, b := mustImport(t, s), mustImport(t, s)
	equal(t, "ids", []int64{a, b}, []int64{7, 8})
	equal(t, "duplicates", s.Duplicates(), []Duplicate{{ExternalID: "bot/t-1", Conversations: []int64{7, 8}}})
	equal(t, "number by externalId", len(s.ConversationsByExternalID("bot/t-1")), 2)
}

func TestImportIsKept(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{})
	id := mustImport(t, s)
	c, ok := s.Conversation(id)
	if !ok || c.ImportedAt.IsZero() {
		t.Fatalf("conversation %d: %v %v", id, ok, c)
	}
	at := time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC)
	want := Conversation{
		ID: id, Type: "GenericConversation", Channel: "genericapimessaging", ExternalID: "bot/t-1", RequesterID: userID,
		Direction: "Inbound", CreatedAt: at, ClosedAt: at.Add(750 * time.Second), ClosedBy: DefaultAgentID,
		Assignment: &Assignment{AgentID: DefaultAgentID, AssignedAt: at}, ImportedAt: c.ImportedAt,
		Messages: []Message{
			{ID: c.Messages[0].ID, ExternalID: "bot/t-1:1", AuthorID: userID, Direction: "Inbound", ContentType: "Text",
				Text: "Where is my order?", CreatedAt: at.Add(time.Second), Type: "GenericAttributes"},
			{ID: c.Messages[1].ID, ExternalID: "bot/t-1:2", AuthorID: DefaultAgentID, Direction: "Outbound", ContentType: "Markdown",
				Text: "It ships **today**.", CreatedAt: at.Add(3200 * time.Millisecond), Type: "GenericAttributes",
				Attachments: []Attachment{{URL: "https://cdn.example.org/label.pdf", PrettyName: "Label"}}},
		},
	}
	equal(t, "conversation", c, want)
	c.Messages[0].Text = "changed"
	again, _ := s.Conversation(id)
	equal(t, "text after the copy was changed", again.Messages[0].Text, "Where is my order?")
}

func TestPartialErrors(t *testing.T) {
	t.Parallel()
	const unassigned, badFile = msgUnassigned, msgAttachment + "bot/t-1:2"
	tests := []struct {
		name  string
		opts  Options
		edits []string
		want  []string
	}{
		{"none", Options{}, nil, nil},
		{"host", Options{}, []string{"cdn.example.org", InvalidHost}, []string{badFile}},
		{"scheme", Options{}, []string{"https://cdn", "ftp://cdn"}, []string{badFile}},
		{"relative", Options{}, []string{"https://cdn.example.org", ""}, []string{badFile}},
		{"assignee", Options{UnassignableAgents: []string{otherAgent}},
			[]string{`{"agentId": "` + DefaultAgentID, `{"agentId": "` + otherAgent}, []string{unassigned}},
		{"every one", Options{PartialErrorEvery: 1}, []string{"cdn.example.org", InvalidHost}, []string{unassigned, badFile}},
		{"every second one", Options{PartialErrorEvery: 2}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, tt.opts)
			r := call(t, s, "POST", "/v1/conversations/import", importBody(tt.edits...))
			equal(t, "status", r.status, http.StatusCreated)
			var got []string
			list, _ := r.data(t)["partialErrors"].([]any)
			for _, e := range list {
				got = append(got, e.(map[string]any)["message"].(string))
			}
			equal(t, "partial errors", got, tt.want)
			c := s.Conversations()[0]
			if assigned := c.Assignment != nil; assigned == (len(tt.want) > 0 && tt.want[0] == unassigned) {
				t.Errorf("assigned: %v", assigned)
			}
			noViolations(t, s)
		})
	}
}

func TestAgentsComeAndGo(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{Agents: []string{strings.ToUpper(otherAgent)}})
	mustImport(t, s, `"closedBy": "`+DefaultAgentID, `"closedBy": "`+otherAgent)
	s.RemoveAgent(otherAgent)
	body := importBody(`"closedBy": "`+DefaultAgentID, `"closedBy": "`+otherAgent)
	equal(t, "message", call(t, s, "POST", "/v1/conversations/import", body).message(), msgAgent)
	s.AddAgent(otherAgent)
	equal(t, "status", call(t, s, "POST", "/v1/conversations/import", body).status, http.StatusCreated)
	noViolations(t, s)
}

func TestPartialErrorsNoneIsSpelledDifferently(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{})
	spellings := map[string]bool{}
	for range 3 {
		data := call(t, s, "POST", "/v1/conversations/import", importBody()).data(t)
		list, ok := data["partialErrors"]
		switch {
		case !ok:
			spellings["absent"] = true
		case list == nil:
			spellings["null"] = true
		default:
			spellings["empty"] = true
		}
	}
	equal(t, "spellings", len(spellings), 3)
}

func TestBodies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, contentType, body string
		status                  int
	}{
		{"no content type", "", importBody(), http.StatusUnsupportedMediaType},
		{"form", "application/x-www-form-urlencoded", importBody(), http.StatusUnsupportedMediaType},
		{"charset", "application/json; charset=utf-8", importBody(), http.StatusCreated},
		{"empty", "application/json", "", http.StatusBadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, Options{})
			r := httptest.NewRequest(http.MethodPost, "/v1/conversations/import", strings.NewReader(tt.body))
			r.Header.Set("Authorization", "Bearer "+s.Token())
			if tt.contentType != "" {
				r.Header.Set("Content-Type", tt.contentType)
			}
			equal(t, "status", serve(s, r).status, tt.status)
			equal(t, "violations", s.ViolationCount() == 0, tt.status == http.StatusCreated)
		})
	}
}
