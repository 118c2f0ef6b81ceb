package sandbox

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAdminState(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{Rate: 0.001, Burst: 2, Latency: time.Nanosecond})
	mustImport(t, s)
	mustImport(t, s)
	call(t, s, "GET", "/v1/queues", "")
	s.SetFaults([]Fault{{Operation: Import, Kind: DropAfter}})
	var state adminState
	if err := json.Unmarshal([]byte(call(t, s, "GET", "/_sandbox/state", "").body), &state); err != nil {
		t.Fatal(err)
	}
	accepted := 0
	for _, second := range state.PerSecond {
		accepted += second.Accepted
	}
	equal(t, "accepted", accepted, 2)
	state.PerSecond, state.Rate, state.Duplicates[0].Conversations = nil, 0, nil
	equal(t, "state", state, adminState{
		Conversations: 2, EndUsers: 1, Duplicates: []Duplicate{{ExternalID: "bot/t-1"}},
		Requests: map[Operation]int{Import: 2, ListQueues: 1}, Throttled: 1, Violations: []string{},
		Fired: map[string]int{"import:drop_after": 0},
	})
}

func TestAdminLists(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{Token: "secret"})
	id := mustImport(t, s)
	s.SetAttribute(id, OrderNumberID, "1<2")
	lines := strings.Split(strings.TrimSpace(call(t, s, "GET", "/_sandbox/conversations", "").body), "\n")
	equal(t, "lines", len(lines), 1)
	var c Conversation
	if err := json.Unmarshal([]byte(lines[0]), &c); err != nil {
		t.Fatal(err)
	}
	want, _ := s.Conversation(id)
	equal(t, "conversation", c, want)
	var u EndUser
	if err := json.Unmarshal([]byte(call(t, s, "GET", "/_sandbox/endusers", "").body), &u); err != nil {
		t.Fatal(err)
	}
	equal(t, "end-user", u, s.EndUsers()[0])
}

func TestAdminFaults(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{})
	r := call(t, s, "POST", "/_sandbox/faults", `[{"operation":"import","kind":"error_after","status":504,"match":"t-1:2"},
		{"name":"slow","kind":"slow_body","duration":"2s","nth":3,"probability":0.5,"times":4}]`)
	equal(t, "status", r.status, 204)
	equal(t, "import", call(t, s, "POST", "/v1/conversations/import", importBody()).status, 504)
	equal(t, "fired", s.Fired(), map[string]int{"import:error_after": 1, "slow": 0})
	equal(t, "second fault", s.faults[1].Fault, Fault{Name: "slow", Kind: SlowBody, Duration: 2 * time.Second, Nth: 3, Probability: 0.5, Times: 4})
	for _, body := range []string{``, `{}`, `[{"kind":"explode"}]`, `[{"kind":"drop_after","operation":"close"}]`,
		`[{"kind":"drop_after","probability":50}]`, `[{"kind":"drop_after","duration":"2"}]`, `[{"kind":"drop_after","nht":2}]`} {
		equal(t, "status for "+body, call(t, s, "POST", "/_sandbox/faults", body).status, 400)
	}
	equal(t, "faults after those", len(s.faults), 2)
	equal(t, "status of reset", call(t, s, "POST", "/_sandbox/reset", "").status, 204)
	equal(t, "end-users", len(s.EndUsers()), 0)
	equal(t, "status of another page", call(t, s, "GET", "/_sandbox/nothing", "").status, 404)
}

func TestAdminChanges(t *testing.T) {
	t.Parallel()
	tests := []struct {
		change string // %d is the conversation
		status int
		check  func(s *Server, id int64) any
		want   any
	}{
		{`{"action":"delete_message","conversation":%d,"external_id":"bot/t-1:2"}`, 204, messageCount, 1},
		{`{"action":"delete_message","conversation":%d,"external_id":"x"}`, 404, messageCount, 2},
		{`{"action":"swap_texts","conversation":%d,"i":0,"j":1}`, 204, firstText, "It ships **today**."},
		{`{"action":"set_text","conversation":%d,"i":0,"text":"x"}`, 204, firstText, "x"},
		{`{"action":"reopen","conversation":%d}`, 204, func(s *Server, _ int64) any { return s.Conversations()[0].ClosedAt.IsZero() }, true},
		{`{"action":"assign","conversation":%d,"agent":""}`, 204, func(s *Server, _ int64) any { return s.Conversations()[0].Assignment == nil }, true},
		{`{"action":"set_attribute","conversation":%d,"attribute":"` + ContactReasonID + `","value":["access"]}`, 204,
			func(s *Server, _ int64) any { return s.Conversations()[0].Attributes[ContactReasonID] }, []string{"access"}},
		{`{"action":"set_attribute","conversation":%d,"attribute":"` + OrderNumberID + `","value":"1"}`, 204,
			func(s *Server, _ int64) any { return s.Conversations()[0].Attributes[OrderNumberID] }, "1"},
		{`{"action":"set_attribute","conversation":%d,"attribute":"` + OrderNumberID + `","value":[1]}`, 404,
			func(s *Server, _ int64) any { return len(s.Conversations()[0].Attributes) }, 0},
		{`{"action":"delete_conversation","conversation":%d}`, 204, func(s *Server, _ int64) any { return len(s.Conversations()) }, 0},
		{`{"action":"delete_end_user","end_user":"` + userID + `"}`, 204, func(s *Server, _ int64) any { return len(s.EndUsers()) }, 0},
		{`{"action":"down","status":503}`, 204, queuesStatus, 503},
		{`{"action":"forbid","operation":"list_queues","status":403}`, 204, queuesStatus, 403},
		{`{"action":"token","token":"new"}`, 204, func(s *Server, _ int64) any { return s.Token() }, "new"},
		{`{"action":"add_agent","agent":"` + otherAgent + `"}`, 204, func(s *Server, _ int64) any { return s.agents[otherAgent] }, assignable},
		{`{"action":"remove_agent","agent":"` + DefaultAgentID + `"}`, 204, func(s *Server, _ int64) any { return s.agents[DefaultAgentID] }, unknownAgent},
		{`{"action":"dance"}`, 404, queuesStatus, 200},
		{`{"acton":"reopen"}`, 400, queuesStatus, 200},
	}
	for _, tt := range tests {
		t.Run(tt.change, func(t *testing.T) {
			t.Parallel()
			s := setup(t, Options{})
			id := mustImport(t, s)
			body := strings.Replace(tt.change, "%d", fmt.Sprint(id), 1)
			equal(t, "status", call(t, s, "POST", "/_sandbox/mutate", body).status, tt.status)
			equal(t, "after it", tt.check(s, id), tt.want)
		})
	}
}

func messageCount(s *Server, id int64) any { c, _ := s.Conversation(id); return len(c.Messages) }

func firstText(s *Server, id int64) any { c, _ := s.Conversation(id); return c.Messages[0].Text }

func queuesStatus(s *Server, _ int64) any {
	r, w := newGet("/v1/queues", s.Token())
	s.ServeHTTP(w, r)
	return w.Code
}
