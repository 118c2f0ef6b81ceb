package dixa

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConversationsAndMessages(t *testing.T) {
	t.Parallel()
	c, _ := answering(t, 200, `{"data":{"id":7,"_type":"GenericConversation","channel":"genericapimessaging","state":"Closed","direction":"Inbound",
		"createdAt":"2021-12-01T11:00:00.001Z[GMT]","requesterId":"`+userID+`","assignment":{"agentId":"`+agentID+`","assignedAt":"2021-12-01T12:00:00Z"},
		"queue":null,"link":{"_type":"New"},"customAttributes":[{"id":"a","name":"A","identifier":"i","value":"x"},{"id":"b","value":["p","q"]},
		{"id":"c","value":null},{"id":"d","value":12},{"id":"e","value":{"new":1}},{"id":"f","value":[]}]}}`)
	got, err := c.GetConversation(t.Context(), 7)
	want := Conversation{ID: 7, Type: "GenericConversation", Channel: ChannelName, State: "Closed", Direction: Inbound,
		CreatedAt: At(time.Date(2021, 12, 1, 11, 0, 0, 1e6, time.UTC)), RequesterID: userID,
		Assignment: &Assignment{AgentID: agentID, AssignedAt: At(time.Date(2021, 12, 1, 12, 0, 0, 0, time.UTC))}, Link: &Link{},
		CustomAttributes: []CustomAttribute{{ID: "a", Name: "A", Identifier: "i", Value: AttributeValue{Text: "x"}},
			{ID: "b", Value: AttributeValue{List: []string{"p", "q"}}}, {ID: "c"}, {ID: "d", Value: AttributeValue{Text: "12"}}, {ID: "e"},
			{ID: "f", Value: AttributeValue{List: []string{}}}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := c.GetConversation(t.Context(), 8); err == nil {
		t.Error("another conversation than the one asked for was accepted")
	}
	c, _ = answering(t, 200, `{"data":[
		{"id":"m","authorId":"`+agentID+`","externalId":"bot/t:1","createdAt":"2021-12-01T12:56:36.581Z[GMT]","attributes":{"_type":"GenericAttributes",
		 "content":{"value":"<b>","_type":"Html"},"direction":"Outbound","attachments":[{"url":"https://x/y","prettyName":null}]}},
		{"id":"n","attributes":{"_type":"PhoneAttributes","content":"none","direction":7,"attachments":{}}},
		{"id":"o","externalId":null,"createdAt":null,"attributes":null},{"id":"p","attributes":"new"}]}`)
	messages, err := c.ListMessages(t.Context(), 7)
	wantMessages := []Message{{ID: "m", AuthorID: agentID, ExternalID: "bot/t:1", CreatedAt: At(time.Date(2021, 12, 1, 12, 56, 36, 581e6, time.UTC)),
		Attributes: MessageAttributes{Type: "GenericAttributes", Content: Content{Type: HTML, Value: "<b>"}, Direction: Outbound,
			Attachments: []Attachment{{URL: "https://x/y"}}}},
		{ID: "n", Attributes: MessageAttributes{Type: "PhoneAttributes"}}, {ID: "o"}, {ID: "p"}}
	if diff := cmp.Diff(wantMessages, messages); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestMayBeImported(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind, channel string
		want          bool
	}{
		{"GenericConversation", "", true}, {"", "", true}, {"AnonymizedConversation", "", true}, {"Brandnew", "Brandnew", true},
		{"EmailConversation", "Email", false}, {"ChatConversation", "WidgetChat", false}, {"ChatConversation", "GenericApiMessaging", true},
	} {
		if got := (Conversation{Type: test.kind, Channel: test.channel}).MayBeImported(); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
