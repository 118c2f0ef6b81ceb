package dixa

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w, g); diff != "" {
		t.Errorf("unexpected JSON (-want +got):\n%s", diff)
	}
}

func anImport(n int) ConversationImport {
	at := func(s int) Time { return At(time.Date(2021, 12, 1, 11, 0, s, 1e6, time.UTC)) }
	in := ConversationImport{RequesterID: userID, RequesterConnectionStatus: Disconnected, Direction: Inbound, CreatedAt: at(0), ExternalID: "bot/t-1",
		Assignment: &Assignment{AgentID: agentID, AssignedAt: at(0)}, Closing: &Closing{ClosedAt: at(n), ClosedBy: agentID}}
	for i := range n {
		m := ImportMessage{Type: InboundImport, Content: Content{Type: Text, Value: "Where is my order? It's <2 days> & counting"},
			ExternalID: fmt.Sprintf("bot/t-1:%d", i+1), CreatedAt: at(i)}
		if i%2 == 1 {
			m.Type, m.AgentID, m.Content = OutboundImport, agentID, Content{Type: Markdown, Value: "It ships **today**."}
			m.Attachments = []Attachment{{URL: "https://cdn.example.org/label.pdf?a=1&b=2", PrettyName: "Label"}}
		}
		in.Messages = append(in.Messages, m)
	}
	return in
}

func TestTheImportIsWhatDixaDocuments(t *testing.T) {
	t.Parallel()
	c, rec := answering(t, 201, `{"data":{"id":100,"partialErrors":[]}}`)
	if result, err := c.ImportConversation(t.Context(), anImport(2), nil); err != nil || result.ID != 100 || len(result.PartialErrors) != 0 {
		t.Fatalf("%+v %v", result, err)
	}
	body := rec.all()[0].body
	sameJSON(t, body, `{"_type":"GenericConversationImport","genericChannelName":"genericapimessaging","requesterId":"`+userID+`",
		"requesterConnectionStatus":"Disconnected","direction":"Inbound","createdAt":"2021-12-01T11:00:00.001Z","externalId":"bot/t-1",
		"messages":[
		 {"_type":"InboundImport","content":{"_type":"Text","value":"Where is my order? It's <2 days> & counting"},"attachments":[],
		  "externalId":"bot/t-1:1","createdAt":"2021-12-01T11:00:00.001Z"},
		 {"_type":"OutboundImport","content":{"_type":"Markdown","value":"It ships **today**."},"agentId":"`+agentID+`",
		  "attachments":[{"url":"https://cdn.example.org/label.pdf?a=1&b=2","prettyName":"Label"}],"externalId":"bot/t-1:2","createdAt":"2021-12-01T11:00:01.001Z"}],
		"assignment":{"agentId":"`+agentID+`","assignedAt":"2021-12-01T11:00:00.001Z"},
		"closing":{"closedAt":"2021-12-01T11:00:02.001Z","closedBy":"`+agentID+`"}}`)
	if strings.Contains(body, `\u00`) {
		t.Errorf("escaped without need: %s", body)
	}
	in := anImport(0)
	in.Assignment, in.Closing, in.ExternalID = nil, nil, ""
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, string(data), `{"_type":"GenericConversationImport","genericChannelName":"genericapimessaging","requesterId":"`+userID+`",
		"requesterConnectionStatus":"Disconnected","direction":"Inbound","createdAt":"2021-12-01T11:00:00.001Z","messages":[]}`)
}

func TestImportAnswers(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]PartialError{
		`{"data":{"id":100}}`:                      nil,
		`{"data":{"id":100,"partialErrors":null}}`: nil,
		`{"data":{"id":100,"partialErrors":[{"message":"The conversation could not be assigned","new":1},{"message":"Invalid attachment url in message. externalId: bot/t-1:12"},
			{"message":"for ` + testEmail + `: externalId: bot/t-1:1"}]}}`: {{Reason: ReasonUnassigned, Message: "The conversation could not be assigned"},
			{Reason: ReasonAttachment, Message: "Invalid attachment url in message. externalId: bot/t-1:12", ExternalID: "bot/t-1:12"},
			{Message: "for ***: externalId: bot/t-1:1", ExternalID: "bot/t-1:1"}},
		`{"data":{"id":100,"partialErrors":["` + testEmail + `"]}}`: {{Message: "Dixa reported partial errors in a form that is not known"}},
	} {
		c, _ := answering(t, 201, body)
		got, err := c.ImportConversation(t.Context(), anImport(12), nil)
		if diff := cmp.Diff(ImportResult{ID: 100, PartialErrors: want}, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", body, err, diff)
		}
	}
	for _, body := range []string{`{"data":{}}`, `{"data":{"id":0}}`, `{"data":{"id":-1}}`, `{"data":{"id":"100"}}`, `{"data":{"id":1.5}}`} {
		c, rec := answering(t, 201, body)
		_, err := c.ImportConversation(t.Context(), anImport(1), nil)
		var answer *AnswerError
		if !errors.As(err, &answer) || answer.Status != 201 || NotApplied(err) || len(rec.all()) != 1 {
			t.Errorf("%s: %v, %d requests", body, err, len(rec.all()))
		}
	}
	// An external id that looks like a phone number is the transcript's name, not what the message says of a person.
	in := anImport(1)
	in.Messages[0].ExternalID = "lex/+4512345678:1"
	c, _ := answering(t, 201, `{"data":{"id":1,"partialErrors":[{"message":"Invalid url of +4587654321. externalId: lex/+4512345678:1"}]}}`)
	got, err := c.ImportConversation(t.Context(), in, nil)
	if err != nil || got.PartialErrors[0].Message != "Invalid url of ***. externalId: lex/+4512345678:1" {
		t.Errorf("%+v %v", got, err)
	}
}

func BenchmarkEncodeImport(b *testing.B) {
	in := anImport(9)
	b.ReportAllocs()
	for b.Loop() {
		data, err := encode(in)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(data)))
	}
}
