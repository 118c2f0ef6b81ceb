package sandbox

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestFindEndUsers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, query string
		found       int
		violation   string
	}{
		{"email", "email=ann%40example.org", 1, ""},
		{"second email", "email=lee%40example.org", 1, ""},
		{"phone", "phone=%2B4512345678", 1, ""},
		{"externalId", "externalId=c%2042", 1, ""},
		{"externalId, + for the space", "externalId=c+42", 1, ""},
		{"externalId is exact", "externalId=C%2042", 0, ""},
		{"nobody", "email=bob%40example.org", 0, ""},
		{"unescaped plus", "phone=+4512345678", 0, "unescaped +"},
		{"not E.164", "phone=12345678", 0, "not E.164"},
		{"upper case", "email=Ann%40example.org", 1, "upper case"},
		{"white space", "email=%20ann%40example.org", 0, "white space"},
		{"misspelt", "externalID=c-42", 1, "unknown query parameter externalID"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := New(Options{})
			s.AddEndUser(EndUser{Email: "Ann@example.org", AdditionalEmails: []string{"lee@example.org", "ANN@example.org"},
				PhoneNumber: "+4512345678", ExternalID: "c 42"})
			equal(t, "found", len(call(t, s, "GET", "/v1/endusers?"+tt.query, "").list(t)), tt.found)
			v := strings.Join(s.Violations(), "\n")
			if !strings.Contains(v, tt.violation) || (tt.violation == "") != (v == "") {
				t.Errorf("violations %q, want one with %q", v, tt.violation)
			}
			if strings.Contains(v, "example.org") || strings.Contains(v, "1234") {
				t.Errorf("violations show personal data: %q", v)
			}
		})
	}
}

func TestGetRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, target string
		status       int
		message      string
		violations   int
	}{
		{"two filters", "/v1/endusers?email=a%40b.example&phone=%2B4512345678", 400, msgFilters, 1},
		{"empty filter", "/v1/endusers?email=", 400, "Invalid value for: query parameter email", 1},
		{"filter twice", "/v1/endusers?phone=%2B451&phone=%2B452", 400, "Invalid value for: query parameter phone", 1},
		{"broken query", "/v1/endusers?email=%zz", 400, "Invalid value extracted from request context", 1},
		{"page of none", "/v1/endusers?pageLimit=0", 400, "Invalid value for: query parameter pageLimit", 1},
		{"page of many", "/v1/endusers?pageLimit=4294967296", 400, "Invalid value for: query parameter pageLimit", 1},
		{"made-up key", "/v1/endusers?pageKey=abc", 400, "Invalid value for: query parameter pageKey", 1},
		{"end-user by number", "/v1/endusers/42", 400, "Invalid value for: path parameter userId", 1},
		{"unknown end-user", "/v1/endusers/" + otherAgent, 404, msgNotFound, 0},
		{"conversations of a number", "/v1/endusers/42/conversations", 400, "Invalid value for: path parameter userId", 1},
		{"conversations of a stranger", "/v1/endusers/" + otherAgent + "/conversations", 404, msgNotFound, 0},
		{"conversation by UUID", "/v1/conversations/" + userID, 400, "Invalid value for: path parameter conversationId", 1},
		{"conversation +1", "/v1/conversations/+1", 400, "Invalid value for: path parameter conversationId", 1},
		{"unknown conversation", "/v1/conversations/1", 404, msgNotFound, 0},
		{"messages by UUID", "/v1/conversations/" + userID + "/messages", 400, "Invalid value for: path parameter conversationId", 1},
		{"messages of none", "/v1/conversations/1/messages", 404, msgNotFound, 0},
		{"no such operation", "/v1/agents", 404, msgNotFound, 1},
		{"trailing slash", "/v1/queues/", 404, msgNotFound, 1},
		{"other version", "/v2/queues", 404, msgNotFound, 1},
		{"root", "/", 404, msgNotFound, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, Options{})
			r := call(t, s, "GET", tt.target, "")
			equal(t, "status", r.status, tt.status)
			equal(t, "message", r.message(), tt.message)
			equal(t, "violations", s.ViolationCount(), tt.violations)
		})
	}
}

func TestCreateEndUser(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		opts       Options
		status     int
		message    string
		violation  string
	}{
		{"all fields", `{"displayName":"Bo","email":"bo@example.org","phoneNumber":"+4587654321","additionalEmails":["b@example.org"],
			"additionalPhoneNumbers":["+4511111111"],"firstName":"Bo","lastName":"Lee","middleNames":["X"],"avatarUrl":"https://x.example",
			"externalId":"c-43"}`, Options{}, 201, "", ""},
		{"nothing", `{}`, Options{}, 201, "", ""},
		{"same externalId", `{"externalId":"c-42"}`, Options{}, 201, "", ""},
		{"same externalId, unique", `{"externalId":"c-42"}`, Options{UniqueExternalID: true}, 400, msgCreation, ""},
		{"same email", `{"email":"ANN@example.org"}`, Options{}, 400, msgCreation, ""},
		{"same phone", `{"additionalPhoneNumbers":["+4512345678"]}`, Options{}, 400, msgCreation, ""},
		{"null", `{"email":null}`, Options{}, 201, "", "email is null"},
		{"no address", `{"email":"ann"}`, Options{}, 201, "", "no address"},
		{"no phone number", `{"phoneNumber":"12 34 56 78"}`, Options{}, 201, "", "not E.164"},
		{"unknown field", `{"phone":"+4512345679"}`, Options{}, 400, msgDecoding, "does not know: phone"},
		{"number", `{"externalId":42}`, Options{}, 400, msgDecoding, "externalId is a number"},
		{"list of numbers", `{"middleNames":[1]}`, Options{}, 400, msgDecoding, "middleNames contains a number"},
		{"no list", `{"middleNames":"x"}`, Options{}, 400, msgDecoding, "middleNames is a string"},
		{"twice in a list", `{"additionalEmails":["x@example.org","x@example.org"]}`, Options{}, 400, msgDecoding, "twice"},
		{"wrapped", `{"data":{}}`, Options{}, 400, msgDecoding, "does not know: data"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, tt.opts)
			r := call(t, s, "POST", "/v1/endusers", tt.body)
			equal(t, "status", r.status, tt.status)
			equal(t, "message", r.message(), tt.message)
			equal(t, "somebody new", len(s.EndUsers()) == 2, tt.status == 201)
			v := strings.Join(s.Violations(), "\n")
			if !strings.Contains(v, tt.violation) || (tt.violation == "") != (v == "") {
				t.Errorf("violations %q, want one with %q", v, tt.violation)
			}
		})
	}
}

func TestPatchEndUser(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		id, body  string
		status    int
		want      string // display name
		violation string
	}{
		"a name":        {userID, `{"displayName":"Bo"}`, 200, "Bo", ""},
		"others":        {userID, `{"firstName":"Ann","lastName":"Lee"}`, 200, "Ann Lee", ""},
		"nothing":       {userID, `{}`, 200, "Ann Lee", "changes nothing"},
		"identifiers":   {userID, `{"externalId":"c-43"}`, 400, "Ann Lee", "does not know: externalId"},
		"a number":      {userID, `{"displayName":1}`, 400, "Ann Lee", "is a number"},
		"nobody":        {"00000000-0000-4000-8000-000000000000", `{"displayName":"Bo"}`, 404, "Ann Lee", ""},
		"no UUID":       {"7", `{"displayName":"Bo"}`, 400, "Ann Lee", "not a UUID"},
		"unknown field": {userID, `{"name":"Bo"}`, 400, "Ann Lee", "does not know: name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, Options{})
			r := call(t, s, "PATCH", "/v1/endusers/"+tt.id, tt.body)
			equal(t, "status", r.status, tt.status)
			equal(t, "name", s.EndUsers()[0].DisplayName, tt.want)
			equal(t, "external id", s.EndUsers()[0].ExternalID, "c-42")
			if bad := fmt.Sprint(s.Violations()); (tt.violation == "") != (s.ViolationCount() == 0) || !strings.Contains(bad, tt.violation) {
				t.Errorf("violations: %s", bad)
			}
		})
	}
}

func TestCreateEndUsers(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{UniqueExternalID: true})
	r := call(t, s, "POST", "/v1/endusers/bulk", `{"data":[{"phoneNumber":"+4512345678","externalId":"c-42"},{"email":"bo@example.org"},
		{"email":"bo@example.org"}]}`)
	equal(t, "status", r.status, http.StatusCreated)
	list := r.list(t)
	var types []any
	for _, entry := range list {
		types = append(types, entry["_type"])
	}
	equal(t, "types", types, []any{"BulkActionFailure", "BulkActionSuccess", "BulkActionFailure"})
	failure := list[0]["error"].(map[string]any)
	equal(t, "type of the error", failure["_type"], any("Validation"))
	want := fmt.Sprintf("Create EndUser [userId=%s] in [orgId=%s] failed with [errors=PhoneNumberExists, ExternalIdExists]",
		failure["id"], DefaultOrganizationID)
	equal(t, "message", failure["message"], any(want))
	users := s.EndUsers()
	equal(t, "end-users", len(users), 2)
	equal(t, "id", list[1]["data"].(map[string]any)["id"], any(users[1].ID))
	noViolations(t, s)

	for _, body := range []string{`{}`, `{"data":[]}`} {
		equal(t, "entries for "+body, len(call(t, s, "POST", "/v1/endusers/bulk", body).list(t)), 0)
	}
	for _, body := range []string{`[]`, `{"data":{}}`, `{"data":[null]}`, `{"data":[{"id":"x"}]}`, `{"endusers":[]}`} {
		equal(t, "answer to "+body, call(t, s, "POST", "/v1/endusers/bulk", body).message(), msgDecoding)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := New(Options{PageLimit: 3})
	var users []string
	for i := range 8 {
		users = append(users, s.AddEndUser(EndUser{ExternalID: "same", DisplayName: fmt.Sprint(i)}))
	}
	for range 7 {
		s.AddConversation(Conversation{RequesterID: users[0]})
	}
	tests := []struct {
		name, target string
		sizes        []int
	}{
		{"default", "/v1/endusers", []int{3, 3, 2}},
		{"smaller", "/v1/endusers?pageLimit=2", []int{2, 2, 2, 2}},
		{"larger than the largest", "/v1/endusers?pageLimit=100", []int{3, 3, 2}},
		{"filter", "/v1/endusers?externalId=same&pageLimit=3", []int{3, 3, 2}},
		{"conversations", "/v1/endusers/" + users[0] + "/conversations", []int{3, 3, 1}},
		{"no conversations", "/v1/endusers/" + users[1] + "/conversations", []int{0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var sizes []int
			seen := map[any]bool{}
			for target := tt.target; target != ""; {
				r := call(t, s, "GET", target, "")
				for _, entry := range r.list(t) {
					seen[entry["id"]] = true
				}
				sizes = append(sizes, len(r.list(t)))
				target = r.next()
				if target != "" && !strings.HasPrefix(target, "/v1/") {
					t.Errorf("next is %q, not relative to the host", target)
				}
			}
			equal(t, "sizes of the pages", sizes, tt.sizes)
			total := 0
			for _, n := range sizes {
				total += n
			}
			equal(t, "different entries", len(seen), total)
		})
	}
	t.Cleanup(func() { noViolations(t, s) })
}

func TestPageKeyOfAnotherList(t *testing.T) {
	t.Parallel()
	s := New(Options{PageLimit: 1})
	a, b := s.AddEndUser(EndUser{}), s.AddEndUser(EndUser{})
	s.AddConversation(Conversation{RequesterID: a})
	s.AddConversation(Conversation{RequesterID: a})
	next := call(t, s, "GET", "/v1/endusers/"+a+"/conversations", "").next()
	r := call(t, s, "GET", strings.Replace(next, a, b, 1), "")
	equal(t, "message", r.message(), "Invalid value for: query parameter pageKey")
}

func TestPagesStayRightWhileEntriesGo(t *testing.T) {
	t.Parallel()
	s := New(Options{PageLimit: 2})
	user := s.AddEndUser(EndUser{})
	var ids []int64
	for range 5 {
		ids = append(ids, s.AddConversation(Conversation{RequesterID: user}))
	}
	first := call(t, s, "GET", "/v1/endusers/"+user+"/conversations", "")
	s.DeleteConversation(ids[0])
	s.DeleteConversation(ids[2])
	second := call(t, s, "GET", first.next(), "").list(t)
	equal(t, "entries", []any{second[0]["id"], second[1]["id"]}, []any{float64(ids[3]), float64(ids[4])})
}
