package dixa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	agentID = "cd4ceb58-bb3a-443c-9cd8-4f088feafe5b"
	userID  = "9c2a2cce-699f-4a72-89d9-fda5bc8dec8b"
)

// answering starts a server that gives the same answer to everything.
func answering(t *testing.T, status int, body string) (*Client, *recorder) {
	t.Helper()
	return setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) { reply(w, status, body) })
}

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

func TestPaths(t *testing.T) {
	t.Parallel()
	one, list := `{"data":{"id":"x"}}`, `{"data":[]}`
	tests := map[string]struct {
		call   func(ctx context.Context, c *Client) error
		answer string
	}{
		"GET /endusers?phone=%2B4512345678": {func(ctx context.Context, c *Client) error {
			_, err := c.FindEndUsers(ctx, ByPhone, testPhone)
			return err
		}, list},
		"GET /endusers?email=ann.lee%2Bshop%40example.org": {func(ctx context.Context, c *Client) error {
			_, err := c.FindEndUsers(ctx, ByEmail, testEmail)
			return err
		}, list},
		"GET /endusers?externalId=a%20b%26c%3Dd%2F%23%C3%B8": {func(ctx context.Context, c *Client) error {
			_, err := c.FindEndUsers(ctx, ByExternalID, "a b&c=d/#ø")
			return err
		}, list},
		"GET /endusers/a%2Fb%3Fc": {func(ctx context.Context, c *Client) error {
			_, err := c.GetEndUser(ctx, "a/b?c")
			return err
		}, one},
		"GET /endusers": {func(ctx context.Context, c *Client) error {
			_, err := collect(c.ListEndUsers(ctx, 0))
			return err
		}, list},
		"GET /endusers?pageLimit=500": {func(ctx context.Context, c *Client) error {
			_, err := collect(c.ListEndUsers(ctx, 500))
			return err
		}, list},
		"POST /endusers": {func(ctx context.Context, c *Client) error {
			_, err := c.CreateEndUser(ctx, NewEndUser{})
			return err
		}, one},
		"POST /endusers/bulk": {func(ctx context.Context, c *Client) error {
			_, err := c.CreateEndUsers(ctx, make([]NewEndUser, 1))
			return err
		}, `{"data":[{"data":{"id":"x"},"_type":"BulkActionSuccess"}]}`},
		"GET /endusers/u/conversations": {func(ctx context.Context, c *Client) error {
			_, err := c.ListConversations(ctx, "u")
			return err
		}, list},
		"GET /conversations/7": {func(ctx context.Context, c *Client) error {
			_, err := c.GetConversation(ctx, 7)
			return err
		}, `{"data":{"id":7}}`},
		"GET /conversations/7/messages": {func(ctx context.Context, c *Client) error {
			_, err := c.ListMessages(ctx, 7)
			return err
		}, list},
		"POST /conversations/import": {kinds["import"].call, kinds["import"].good},
		"PATCH /conversations/7/custom-attributes": {func(ctx context.Context, c *Client) error {
			return c.PatchAttributes(ctx, 7, map[string]AttributeValue{"u": {}})
		}, list},
		"GET /custom-attributes": {func(ctx context.Context, c *Client) error {
			_, err := c.ListAttributes(ctx)
			return err
		}, list},
		"GET /queues": {func(ctx context.Context, c *Client) error {
			_, err := c.ListQueues(ctx)
			return err
		}, list},
		"GET /webhooks": {func(ctx context.Context, c *Client) error {
			_, err := c.ListWebhooks(ctx)
			return err
		}, list},
	}
	for want, test := range tests {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			c, rec := answering(t, 200, test.answer)
			if err := test.call(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			got := rec.all()[0]
			if line := got.method + " " + strings.TrimPrefix(got.uri, "/gateway/v1"); line != want || len(rec.all()) != 1 {
				t.Errorf("%s", line)
			}
			if withBody := got.method != http.MethodGet; withBody != (got.body != "") || withBody != (got.header.Get("Content-Type") == "application/json") {
				t.Errorf("body %q of type %q", got.body, got.header.Get("Content-Type"))
			}
		})
	}
}

func TestUselessArgumentsAreNotSent(t *testing.T) {
	t.Parallel()
	c, rec := answering(t, 200, `{"data":[]}`)
	ctx := t.Context()
	_, empty := c.FindEndUsers(ctx, ByEmail, "")
	_, unknown := c.FindEndUsers(ctx, "name", "Ann")
	_, noUser := c.GetEndUser(ctx, "")
	_, dots := c.ListConversations(ctx, "..")
	none := c.PatchAttributes(ctx, 7, nil)
	_, badTime := c.ImportConversation(ctx, ConversationImport{CreatedAt: At(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))}, nil)
	for i, err := range []error{empty, unknown, noUser, dots, none, badTime} {
		if err == nil || !NotApplied(err) || Transient(err) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if results, err := c.CreateEndUsers(ctx, nil); results != nil || err != nil {
		t.Errorf("nobody: %v %v", results, err)
	}
	if n := len(rec.all()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestPagesAreFollowed(t *testing.T) {
	t.Parallel()
	const first = "/gateway/v1/endusers/u/conversations"
	tests := map[string]struct {
		next func(host string) string // what the first page names
		want string                   // what is asked next; "" for an error
		err  string
	}{
		"relative to the host":    {func(string) string { return "/next/c?pageKey=a%2Bb%3D" }, "/next/c?pageKey=a%2Bb%3D", ""},
		"without a slash":         {func(string) string { return "next/c?pageKey=x" }, "/next/c?pageKey=x", ""},
		"absolute":                {func(h string) string { return "http://" + h + "/next/c" }, "/next/c", ""},
		"query alone":             {func(string) string { return "?pageKey=x" }, first + "?pageKey=x", ""},
		"another host":            {func(string) string { return "http://evil.example/next" }, "", "another host"},
		"another host, no scheme": {func(string) string { return "//evil.example/next" }, "", "another host"},
		"another port":            {func(string) string { return "http://127.0.0.1:1/next" }, "", "another host"},
		"another scheme":          {func(h string) string { return "https://" + h + "/next" }, "", "another host"},
		"with a user":             {func(h string) string { return "http://a:b@" + h + "/next" }, "", "another host"},
		"unreadable":              {func(string) string { return ":" + testEmail }, "", "unreadable"},
		"the same again":          {func(string) string { return first + "#x" }, "", "came before"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, rec := setup(t, func(w http.ResponseWriter, r *http.Request, n int) {
				next := test.next(r.Host)
				if n > 1 {
					next = ""
				}
				reply(w, 200, fmt.Sprintf(`{"data":[{"id":%d}],"meta":{"previous":null,"next":%q}}`, n, next))
			})
			got, err := c.ListConversations(t.Context(), "u")
			if test.err != "" {
				var answer *AnswerError
				if !errors.As(err, &answer) || !strings.Contains(err.Error(), test.err) || got != nil || len(rec.all()) != 1 {
					t.Errorf("%v %v, %d requests", got, err, len(rec.all()))
				}
				noSecrets(t, err)
				return
			}
			if err != nil || len(got) != 2 || got[1].ID != 2 {
				t.Fatalf("%+v %v", got, err)
			}
			if uri := rec.all()[1].uri; uri != test.want {
				t.Errorf("the second page is %s, want %s", uri, test.want)
			}
		})
	}
}

func TestPagesEndWhereTheReaderEnds(t *testing.T) {
	t.Parallel()
	c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 3 {
			reply(w, 404, `{"message":"gone"}`)
			return
		}
		reply(w, 200, fmt.Sprintf(`{"data":[{"id":"%d"}],"meta":{"next":"/next/%d"}}`, n, n))
	})
	for page, err := range c.ListEndUsers(t.Context(), 1) {
		if err != nil || page[0].ID != "1" {
			t.Errorf("%v %v", page, err)
		}
		break
	}
	if n := len(rec.all()); n != 1 {
		t.Errorf("%d requests after the first page", n)
	}
	var last error
	for _, err := range c.ListEndUsers(t.Context(), 1) {
		last = err
	}
	if api, ok := errors.AsType[*APIError](last); !ok || api.Status != 404 || len(rec.all()) != 3 {
		t.Errorf("%v, %d requests", last, len(rec.all()))
	}
}

func TestEndUsers(t *testing.T) {
	t.Parallel()
	c, rec := answering(t, 201, `{"data":{"id":"u","createdAt":"2020-12-16T09:41:43Z","displayName":null,"email":"a@b.c",
		"phoneNumber":"+45","additionalEmails":["x@y.z"],"additionalPhoneNumbers":null,"externalId":"#1","avatarUrl":"new","customAttributes":[{"id":1}]}}`)
	got, err := c.CreateEndUser(t.Context(), NewEndUser{DisplayName: "Ann <Lee>", ExternalID: "#1", AdditionalEmails: []string{"x@y.z"}})
	want := EndUser{ID: "u", CreatedAt: At(time.Date(2020, 12, 16, 9, 41, 43, 0, time.UTC)), Email: "a@b.c", PhoneNumber: "+45",
		AdditionalEmails: []string{"x@y.z"}, ExternalID: "#1"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if body := rec.all()[0].body; body != `{"displayName":"Ann <Lee>","additionalEmails":["x@y.z"],"externalId":"#1"}` {
		t.Errorf("sent %s", body)
	}
}

func TestBulkCreation(t *testing.T) {
	t.Parallel()
	const failure = `{"error":{"id":"x","message":"Create EndUser [userId=` + userID + `] for ` + testEmail + ` failed with [errors=PhoneNumberExists]","_type":"Validation"},"_type":"BulkActionFailure"}`
	c, rec := answering(t, 201, `{"data":[{"data":{"id":"u"},"_type":"BulkActionSuccess"},`+failure+`,{"error":{"message":"down","_type":"Infrastructure"}}]}`)
	got, err := c.CreateEndUsers(t.Context(), []NewEndUser{{Email: "a"}, {Email: "b"}, {}})
	if err != nil || len(got) != 3 || got[0].EndUser.ID != "u" || got[0].Err != nil {
		t.Fatalf("%+v %v", got, err)
	}
	if e := got[1].Err; !AlreadyExists(e) || !NotApplied(e) || !strings.Contains(e.Message, userID) {
		t.Errorf("second: %v", e)
	}
	noSecrets(t, got[1].Err)
	if e := got[2].Err; AlreadyExists(e) || NotApplied(e) || AlreadyExists(got[0].Err) {
		t.Errorf("third: %v", e)
	}
	if body := rec.all()[0].body; body != `{"data":[{"email":"a"},{"email":"b"},{}]}` {
		t.Errorf("sent %s", body)
	}
	for _, body := range []string{`{"data":[]}`, `{"data":[{"data":{"id":"u"}},{"data":{"id":"v"}}]}`, `{"data":[{"_type":"BulkActionSuccess"}]}`, `{"data":[{"data":{}}]}`} {
		c, _ := answering(t, 201, body)
		_, err := c.CreateEndUsers(t.Context(), make([]NewEndUser, 1))
		var answer *AnswerError
		if !errors.As(err, &answer) || NotApplied(err) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestAlreadyExists(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		op      Operation
		status  int
		message string
		want    bool
	}{
		{OpCreateEndUser, 400, "Validation failure during enduser creation", true},
		{OpCreateEndUser, 400, "Duplicate email address", true},
		{OpCreateEndUsers, 400, "failed with [errors=EmailExists,ExternalIdExists]", true},
		{OpCreateEndUsers, 409, "ExternalIdExists", true},
		{OpCreateEndUser, 400, "Decoding failure in request", false},
		{OpCreateEndUser, 400, "Invalid email", false},
		{OpCreateEndUser, 500, "EmailExists", false},
		{OpLookUpEndUser, 400, "Duplicate email address", false},
	} {
		if got := AlreadyExists(fmt.Errorf("x: %w", &APIError{Operation: test.op, Status: test.status, Message: test.message})); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
	if AlreadyExists(nil) || AlreadyExists(errors.New("EmailExists")) {
		t.Error("other errors say so")
	}
}

func TestConversationsAndMessages(t *testing.T) {
	t.Parallel()
	c, _ := answering(t, 200, `{"data":{"id":7,"_type":"GenericConversation","channel":"genericapimessaging","state":"Closed","direction":"Inbound",
		"createdAt":"2021-12-01T11:00:00.001Z[GMT]","requesterId":"`+userID+`","assignment":{"agentId":"`+agentID+`","assignedAt":"2021-12-01T12:00:00Z"},
		"queue":null,"link":{"_type":"New"},"customAttributes":[{"id":"a","name":"A","identifier":"i","value":"x"},{"id":"b","value":["p","q"]},
		{"id":"c","value":null},{"id":"d","value":12},{"id":"e","value":{"new":1}},{"id":"f","value":[]}]}}`)
	got, err := c.GetConversation(t.Context(), 7)
	want := Conversation{ID: 7, Type: "GenericConversation", Channel: ChannelName, State: "Closed", Direction: Inbound,
		CreatedAt: At(time.Date(2021, 12, 1, 11, 0, 0, 1e6, time.UTC)), RequesterID: userID,
		Assignment: &Assignment{AgentID: agentID, AssignedAt: At(time.Date(2021, 12, 1, 12, 0, 0, 0, time.UTC))},
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

// anImport is a chat with n messages.
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
	for body, want := range map[string][]string{
		`{"data":{"id":100}}`:                      nil,
		`{"data":{"id":100,"partialErrors":null}}`: nil,
		`{"data":{"id":100,"partialErrors":[{"message":"The conversation could not be assigned","new":1},{"message":"Invalid attachment url in message. externalId: bot/t-1:12"},
			{"message":"for ` + testEmail + `: externalId: bot/t-1:1"}]}}`: {"The conversation could not be assigned",
			"Invalid attachment url in message. externalId: bot/t-1:12", "for ***: externalId: bot/t-1:1"},
		`{"data":{"id":100,"partialErrors":["` + testEmail + `"]}}`: {"Dixa reported partial errors in a form that is not known"},
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
	if err != nil || got.PartialErrors[0] != "Invalid url of ***. externalId: lex/+4512345678:1" {
		t.Errorf("%+v %v", got, err)
	}
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	c, rec := answering(t, 200, `{"data":[
		{"id":"t","entityType":"Conversation","identifier":"parcel_id","label":"Parcel ID","inputDefinition":{"placeholder":"1234","_type":"Text"},
		 "createdAt":"2023-01-01T08:23:54.246Z[GMT]","isRequired":false,"isArchived":false,"isDeactivated":true},
		{"id":"s","entityType":"Contact","identifier":"reason","label":"Reason","isRequired":true,"isArchived":true,"isDeactivated":false,
		 "inputDefinition":{"_type":"Select","options":[{"id":"1","label":"Payment","value":"payment","isDeactivated":false,"orderIndex":1,
		  "nestedOptions":[{"label":"Card","value":"card","isDeactivated":true,"nestedOptions":[]}]},{"label":"Access","value":"access","nestedOptions":null}]}},
		{"id":"n","inputDefinition":{"_type":"Number","options":"none"}},{"id":"x","inputDefinition":null}]}`)
	got, err := c.ListAttributes(t.Context())
	want := []AttributeDefinition{
		{ID: "t", EntityType: EntityConversation, Identifier: "parcel_id", Label: "Parcel ID", Type: AttributeText, Deactivated: true},
		{ID: "s", EntityType: "Contact", Identifier: "reason", Label: "Reason", Type: AttributeSelect, Required: true, Archived: true,
			Options: []Option{{Value: "payment", Label: "Payment", Nested: []Option{{Value: "card", Label: "Card", Deactivated: true, Nested: []Option{}}}},
				{Value: "access", Label: "Access"}}},
		{ID: "n", Type: "Number"}, {ID: "x"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	err = c.PatchAttributes(t.Context(), 7, map[string]AttributeValue{"a": {Text: "<1>"}, "b": {List: []string{"payment", "card"}}, "c": {List: []string{}}})
	if body := rec.all()[1].body; err != nil || body != `{"a":"<1>","b":["payment","card"],"c":[]}` {
		t.Errorf("%v, sent %s", err, body)
	}
	c, _ = answering(t, 204, "")
	if err := c.PatchAttributes(t.Context(), 7, map[string]AttributeValue{"a": {}}); err != nil {
		t.Errorf("an answer without a body: %v", err)
	}
}

func TestOrganizationAndQueues(t *testing.T) {
	t.Parallel()
	c, _ := answering(t, 200, `{"data":{"id":"o","name":"Acme","subdomain":"acme","status":"Active","avatarUrl":null}}`)
	if got, err := c.GetOrganization(t.Context()); err != nil || got != (Organization{"o", "Acme", "acme", "Active"}) {
		t.Errorf("%+v %v", got, err)
	}
	c, _ = answering(t, 200, `{"data":{"name":"Acme"}}`)
	if _, err := c.GetOrganization(t.Context()); err == nil {
		t.Error("an organisation without an id was accepted")
	}
	c, _ = answering(t, 200, `{"data":[{"id":"q","name":"Main","isDefault":true,"organizationId":"o","usages":{}}],"meta":null}`)
	if got, err := c.ListQueues(t.Context()); err != nil || len(got) != 1 || got[0] != (Queue{"q", "Main", true, "o"}) {
		t.Errorf("%+v %v", got, err)
	}
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	const not, only = `{"field":"OperationOrigin","values":["ApiImport"],"_type":"IsNotOneOf"}`, `{"field":"OperationOrigin","values":["Agent"],"_type":"IsOneOf"}`
	const email = `{"field":"InitialChannel","values":["email"],"_type":"IsOneOf"}`
	const queue = `{"field":"QueueId","values":["q"],"_type":"IsNotOneOf"}`
	for filters, want := range map[string]bool{
		`null`: true, `{}`: true, `{"Conversation":null}`: true, `{"Agent":{"strategy":"All","conditions":[` + not + `]}}`: true,
		`{"Conversation":{"strategy":"All","conditions":[` + queue + `,` + not + `]}}`:   false,
		`{"Conversation":{"strategy":"All","conditions":[` + only + `]}}`:                false,
		`{"Conversation":{"strategy":"All","conditions":[` + email + `]}}`:               false,
		`{"Conversation":{"strategy":"All","conditions":[` + queue + `]}}`:               true,
		`{"Conversation":{"strategy":"Any","conditions":[` + queue + `,` + not + `]}}`:   true,
		`{"Conversation":{"strategy":"Any","conditions":[` + email + `,` + not + `]}}`:   false,
		`{"Conversation":{"strategy":"All","conditions":[{"field":"New","_type":"X"}]}}`: true,
	} {
		c, _ := answering(t, 200, `{"data":[{"id":"w","name":"Hook","enabled":true,"secretKey":"hunter2","headers":{"Authorization":"hunter2"},
			"subscribedEvents":["ConversationClosed"],"filters":`+filters+`},{"id":"off","enabled":false}]}`)
		got, err := c.ListWebhooks(t.Context())
		if err != nil || len(got) != 2 || got[0].Events[0] != "ConversationClosed" || strings.Contains(fmt.Sprintf("%+v", got), "hunter2") {
			t.Fatalf("%+v %v", got, err)
		}
		if got[0].ReceivesImports() != want || got[1].ReceivesImports() {
			t.Errorf("%s: %v", filters, !want)
		}
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
