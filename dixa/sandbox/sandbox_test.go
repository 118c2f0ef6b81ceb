package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// setup returns a sandbox with one end-user, whose id is userID.
func setup(t testing.TB, opts Options) *Server {
	t.Helper()
	s := New(opts)
	s.AddEndUser(EndUser{ID: userID, DisplayName: "Ann Lee", Email: "ann@example.org", PhoneNumber: "+4512345678", ExternalID: "c-42"})
	return s
}

const userID = "9c2a2cce-699f-4a72-89d9-fda5bc8dec8b"

// reply is an answer of the API, decoded.
type reply struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (r reply) message() string { s, _ := r.json["message"].(string); return s }

func (r reply) data(t testing.TB) map[string]any {
	t.Helper()
	data, ok := r.json["data"].(map[string]any)
	if !ok {
		t.Fatalf("answer %d has no object as data: %s", r.status, r.body)
	}
	return data
}

func (r reply) list(t testing.TB) []map[string]any {
	t.Helper()
	items, ok := r.json["data"].([]any)
	if !ok {
		t.Fatalf("answer %d has no list as data: %s", r.status, r.body)
	}
	list := make([]map[string]any, len(items))
	for i := range items {
		list[i] = items[i].(map[string]any)
	}
	return list
}

// next returns the link to the next page, "" if there is none.
func (r reply) next() string {
	meta, _ := r.json["meta"].(map[string]any)
	next, _ := meta["next"].(string)
	return next
}

// call sends a request without a network.
func call(t testing.TB, s *Server, method, target, body string) reply {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+s.Token())
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return serve(s, r)
}

func serve(s *Server, r *http.Request) reply {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return read(w.Result())
}

func read(res *http.Response) reply {
	raw, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	out := reply{status: res.StatusCode, header: res.Header, body: string(raw)}
	_ = json.Unmarshal(raw, &out.json) // not every answer is JSON
	return out
}

// importBody is an import without a fault; edits are pairs of what to replace in it by what.
func importBody(edits ...string) string {
	body := `{
  "_type": "GenericConversationImport",
  "genericChannelName": "genericapimessaging",
  "requesterId": "` + userID + `",
  "requesterConnectionStatus": "Disconnected",
  "direction": "Inbound",
  "createdAt": "2026-11-19T08:00:00.000Z",
  "externalId": "bot/t-1",
  "messages": [
    {"_type": "InboundImport", "content": {"_type": "Text", "value": "Where is my order?"}, "attachments": [],
     "externalId": "bot/t-1:1", "createdAt": "2026-11-19T08:00:01.000Z"},
    {"_type": "OutboundImport", "content": {"_type": "Markdown", "value": "It ships **today**."}, "agentId": "` + DefaultAgentID + `",
     "attachments": [{"url": "https://cdn.example.org/label.pdf", "prettyName": "Label"}],
     "externalId": "bot/t-1:2", "createdAt": "2026-11-19T08:00:03.200Z"}
  ],
  "assignment": {"agentId": "` + DefaultAgentID + `", "assignedAt": "2026-11-19T08:00:00.000Z"},
  "closing": {"closedAt": "2026-11-19T08:12:30.000Z", "closedBy": "` + DefaultAgentID + `"}
}`
	for i := 0; i+1 < len(edits); i += 2 {
		if !strings.Contains(body, edits[i]) {
			panic("not in the body: " + edits[i])
		}
		body = strings.Replace(body, edits[i], edits[i+1], 1)
	}
	return body
}

// mustImport imports and returns the id.
func mustImport(t testing.TB, s *Server, edits ...string) int64 {
	t.Helper()
	r := call(t, s, "POST", "/v1/conversations/import", importBody(edits...))
	if r.status != http.StatusCreated {
		t.Fatalf("import answered %d %s; violations %q", r.status, r.body, s.Violations())
	}
	return int64(r.data(t)["id"].(float64))
}

func noViolations(t testing.TB, s *Server) {
	t.Helper()
	if v := s.Violations(); len(v) > 0 || s.ViolationCount() > 0 {
		t.Errorf("violations: %q", v)
	}
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}

func TestHappyPath(t *testing.T) {
	t.Parallel()
	s := New(Options{Webhooks: []Webhook{{Name: "all"}, {Name: "no imports", ExcludesImports: true}}})

	equal(t, "organisation", call(t, s, "GET", "/v1/organization", "").data(t)["id"], any(DefaultOrganizationID))
	equal(t, "number of queues", len(call(t, s, "GET", "/v1/queues", "").list(t)), 2)
	equal(t, "number of webhooks", len(call(t, s, "GET", "/v1/webhooks", "").list(t)), 2)
	equal(t, "number of attributes", len(call(t, s, "GET", "/v1/custom-attributes", "").list(t)), 5)

	equal(t, "look-up of a stranger", len(call(t, s, "GET", "/v1/endusers?email=ann%40example.org", "").list(t)), 0)
	created := call(t, s, "POST", "/v1/endusers", `{"displayName":"Ann Lee","email":"ann@example.org","phoneNumber":"+4512345678","externalId":"c-42"}`)
	equal(t, "status of the creation", created.status, 201)
	user := created.data(t)["id"].(string)
	for _, query := range []string{"email=ann%40example.org", "phone=%2B4512345678", "externalId=c-42", "pageLimit=10"} {
		found := call(t, s, "GET", "/v1/endusers?"+query, "").list(t)
		if len(found) != 1 || found[0]["id"] != user {
			t.Errorf("GET /v1/endusers?%s found %v", query, found)
		}
	}
	equal(t, "end-user", call(t, s, "GET", "/v1/endusers/"+user, "").data(t)["displayName"], any("Ann Lee"))
	bulk := call(t, s, "POST", "/v1/endusers/bulk", `{"data":[{"externalId":"c-1"},{"externalId":"c-2"}]}`).list(t)
	equal(t, "number of entries in bulk", len(bulk), 2)

	id := mustImport(t, s, userID, user)
	if id < 5_000_000_000 {
		t.Errorf("id %d is too low", id)
	}
	listed := call(t, s, "GET", "/v1/endusers/"+user+"/conversations", "").list(t)
	if len(listed) != 1 || listed[0]["id"] != float64(id) || listed[0]["state"] != "Closed" || listed[0]["channel"] != "genericapimessaging" {
		t.Errorf("conversations: %v", listed)
	}
	path := fmt.Sprintf("/v1/conversations/%d", id)
	patched := call(t, s, "PATCH", path+"/custom-attributes", `{"`+OrderNumberID+`":"1234","`+ContactReasonID+`":["payment","card"]}`)
	equal(t, "patched", patched.json, map[string]any{"data": []any{
		map[string]any{"id": OrderNumberID, "name": "Order number", "identifier": "order_number", "value": "1234"},
		map[string]any{"id": ContactReasonID, "name": "Contact reason", "identifier": "contact_reason", "value": []any{"payment", "card"}},
	}})
	conversation := call(t, s, "GET", path, "").data(t)
	equal(t, "attributes of the conversation", conversation["customAttributes"], patched.json["data"])
	equal(t, "assignment", conversation["assignment"], any(map[string]any{"agentId": DefaultAgentID, "assignedAt": "2026-11-19T08:00:00Z"}))

	messages := call(t, s, "GET", path+"/messages", "").list(t)
	equal(t, "number of messages", len(messages), 2)
	equal(t, "author of the first", messages[0]["authorId"], any(user))
	equal(t, "author of the second", messages[1]["authorId"], any(DefaultAgentID))
	equal(t, "externalId of the second", messages[1]["externalId"], any("bot/t-1:2"))
	equal(t, "time of the second", messages[1]["createdAt"], any("2026-11-19T08:00:03.2Z[GMT]"))
	attributes := messages[1]["attributes"].(map[string]any)
	equal(t, "content", attributes["content"], any(map[string]any{"_type": "Markdown", "value": "It ships **today**."}))
	equal(t, "type", attributes["_type"], any("GenericAttributes"))
	equal(t, "direction", attributes["direction"], any("Outbound"))
	equal(t, "attachments", attributes["attachments"], any([]any{map[string]any{"url": "https://cdn.example.org/label.pdf", "prettyName": "Label"}}))
	noViolations(t, s)
}

func newGet(target, token string) (*http.Request, *httptest.ResponseRecorder) {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r, httptest.NewRecorder()
}
