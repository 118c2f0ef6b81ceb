package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const human = "11111111-2222-4333-8444-555555555555"

// listener is the receiver of a webhook.
type listener struct {
	*httptest.Server
	mu  sync.Mutex
	got []delivered
}

type delivered struct {
	header http.Header
	body   string
	event  struct {
		ID           string         `json:"event_id"`
		FQN          string         `json:"event_fqn"`
		Version      string         `json:"event_version"`
		Timestamp    time.Time      `json:"event_timestamp"`
		Organization map[string]any `json:"organization"`
		Data         map[string]any `json:"data"`
	}
}

// listen starts a listener that answers its n-th delivery, from 1, with a status.
func listen(t *testing.T, status func(n int) int) *listener {
	t.Helper()
	l := &listener{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		d := delivered{header: r.Header, body: string(raw)}
		if err := json.Unmarshal(raw, &d.event); err != nil {
			t.Errorf("%v: %s", err, raw)
		}
		l.mu.Lock()
		l.got = append(l.got, d)
		n := len(l.got)
		l.mu.Unlock()
		w.WriteHeader(status(n))
	}))
	t.Cleanup(l.Close)
	return l
}

func ok(int) int { return http.StatusOK }

// all returns what was delivered, once nothing more is to come.
func (l *listener) all(t *testing.T, s *Server) []delivered {
	t.Helper()
	if err := s.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.got)
}

func fqns(list []delivered) (names []string) {
	for _, d := range list {
		names = append(names, d.event.FQN)
	}
	return names
}

func (d delivered) conversation() map[string]any {
	c, _ := d.event.Data["conversation"].(map[string]any)
	return c
}

// live returns a sandbox that tells a listener of events.
func live(t *testing.T, l *listener, d Deliveries, events ...string) (*Server, Webhook) {
	t.Helper()
	s := setup(t, Options{Deliveries: d, Agents: []string{human}})
	t.Cleanup(s.Close)
	return s, s.AddWebhook(Webhook{Name: "bot", URL: l.URL, Events: events})
}

// texts are the texts of messages, wherever they are.
func texts(t *testing.T, list []delivered) (all []string) {
	t.Helper()
	for _, d := range list {
		text, plain := d.event.Data["text"].(string)
		content, _ := d.event.Data["content"].(map[string]any)
		inner, nested := content["text"].(string)
		if !plain && !nested || plain && nested && text != inner {
			t.Errorf("a message without its text: %s", d.body)
		}
		if !plain {
			text = inner
		}
		all = append(all, text)
	}
	return all
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	l := listen(t, ok)
	s, hook := live(t, l, Deliveries{}, "ConversationMessageAdded", "ConversationClosed", "ConversationAssigned", "TypingStarted", "ConversationEnqueued")
	id := mustImport(t, s, `,
  "closing": {"closedAt": "2026-11-19T08:12:30.000Z", "closedBy": "`+DefaultAgentID+`"}`, "")
	call(t, s, "PUT", fmt.Sprintf("/v1/conversations/%d/transfer/queue", id), `{"queueId":"497d2cb4-6b48-4fa2-99d2-21c2a5bad79f"}`)
	s.AgentTakes(id, human)
	s.AgentTypes(id, human)
	message := s.AgentReplies(id, human, "It is on its way")
	s.AgentCloses(id, human)
	got := l.all(t, s)
	equal(t, "events", fqns(got), []string{"CONVERSATION_MESSAGE_ADDED", "CONVERSATION_MESSAGE_ADDED", "CONVERSATION_ASSIGNED", "CONVERSATION_ENQUEUED",
		"CONVERSATION_ASSIGNED", "TYPING_STARTED", "CONVERSATION_MESSAGE_ADDED", "CONVERSATION_CLOSED"})
	ids := map[string]bool{}
	for _, d := range got {
		ids[d.event.ID] = true
		stamp, _, _ := strings.Cut(strings.TrimPrefix(d.header.Get("X-DIXA-SIGNATURE"), "t="), ",")
		n, err := strconv.ParseInt(stamp, 10, 64)
		at := time.UnixMilli(n)
		if err != nil || d.header.Get("X-DIXA-SIGNATURE") != Sign(hook.Secret, at, []byte(d.body)) || time.Since(at).Abs() > time.Minute {
			t.Errorf("signature %q", d.header.Get("X-DIXA-SIGNATURE"))
		}
		if d.header.Get("X-DIXA-SUBSCRIPTION-ID") != hook.ID || d.header.Get("Content-Type") != "application/json" {
			t.Errorf("headers %v", d.header)
		}
		if d.conversation()["id"] != float64(id) || d.event.Version != "1" || d.event.Organization["id"] != DefaultOrganizationID || d.event.Timestamp.IsZero() {
			t.Errorf("payload %s", d.body)
		}
	}
	equal(t, "event ids", len(ids), len(got))
	equal(t, "texts", texts(t, []delivered{got[0], got[1], got[6]}), []string{"Where is my order?", "It ships **today**.", "It is on its way"})
	equal(t, "external id of our message", got[1].event.Data["external_id"], any("bot/t-1:2"))
	reply := got[6].event.Data
	author := reply["author"].(map[string]any)
	if reply["message_id"] != message || reply["direction"] != "OUTBOUND" || reply["external_id"] != nil || author["id"] != human || author["user_type"] != "Member" || author["name"] == "" {
		t.Errorf("reply %v", reply)
	}
	if closed := got[7]; closed.conversation()["status"] != "CLOSED" || closed.event.Data["author"].(map[string]any)["id"] != human {
		t.Errorf("closing %s", closed.body)
	}
	noViolations(t, s)
	c, _ := s.Conversation(id)
	if c.ClosedBy != human || c.ClosedAt.IsZero() || c.Assignment.AgentID != human || len(c.Messages) != 3 {
		t.Errorf("conversation %+v", c)
	}
	if s.AgentTakes(id, human) || s.AgentTypes(id, human) || s.AgentReplies(id, human, "late") != "" || s.AgentCloses(id, human) || s.AgentTakes(1, human) {
		t.Error("an agent works in a closed conversation, or in none")
	}
}

func TestDisorder(t *testing.T) {
	t.Parallel()
	const n = 40
	l := listen(t, ok)
	s, hook := live(t, l, Deliveries{Repeat: 0.5, Loss: 0.2, Spread: 60 * time.Millisecond, RetryAfter: time.Millisecond, Conversation: "csid"}, "ConversationMessageAdded")
	id := s.AddConversation(Conversation{RequesterID: userID})
	for i := range n {
		s.AgentReplies(id, human, fmt.Sprintf("%02d", i))
	}
	got := l.all(t, s)
	times := map[string]int{}
	for _, text := range texts(t, got) {
		times[text]++
	}
	if slices.IsSorted(texts(t, got)) || len(got) == len(times) || len(times) == n || len(times) < n/2 {
		t.Errorf("%d deliveries of %d events, in the order %v", len(got), len(times), texts(t, got))
	}
	if c := got[0].conversation(); c["csid"] != float64(id) || c["id"] != nil {
		t.Errorf("conversation %v", c)
	}
	logged, lost := map[string]bool{}, 0
	for _, entry := range call(t, s, "GET", "/v1/webhooks/"+hook.ID+"/delivery-status/logs/ConversationMessageAdded", "").list(t) {
		logged[entry["payload"].(string)] = true
		if entry["deliveryDetail"].(map[string]any)["success"] == false {
			lost++
		}
	}
	equal(t, "logged events", len(logged), n)
	equal(t, "lost events", lost, n-len(times))
	noViolations(t, s)
}

func TestRetries(t *testing.T) {
	t.Parallel()
	l := listen(t, func(n int) int { return map[bool]int{true: 500, false: 204}[n <= 2] })
	s, hook := live(t, l, Deliveries{RetryAfter: time.Millisecond, EventTime: true, Conversation: "both"}, "ConversationMessageAdded", "ConversationClosed")
	id := s.AddConversation(Conversation{RequesterID: userID})
	s.AgentReplies(id, human, "one")
	got := l.all(t, s)
	if len(got) != 3 || got[0].body != got[2].body || got[0].conversation()["id"] != got[0].conversation()["csid"] {
		t.Fatalf("%d deliveries", len(got))
	}
	if signature := got[2].header.Get("X-DIXA-SIGNATURE"); signature != Sign(hook.Secret, got[2].event.Timestamp, []byte(got[2].body)) {
		t.Errorf("signature %s is not of the time of the event", signature)
	}
	status := call(t, s, "GET", "/v1/webhooks/"+hook.ID+"/delivery-status", "").list(t)
	equal(t, "success of the last", status[0]["deliveryStatus"].(map[string]any)["responseCode"], any(204.0))
	equal(t, "another event", status[1]["deliveryStatus"], any(map[string]any{"_type": "NoRecentDelivery"}))

	l = listen(t, func(int) int { return 503 })
	s, hook = live(t, l, Deliveries{RetryAfter: time.Millisecond, Attempts: 2, LogSize: 3}, "ConversationMessageAdded")
	id = s.AddConversation(Conversation{RequesterID: userID})
	s.AgentReplies(id, human, "one")
	s.AgentReplies(id, human, "two")
	equal(t, "deliveries", len(l.all(t, s)), 4)
	equal(t, "logged", len(call(t, s, "GET", "/v1/webhooks/"+hook.ID+"/delivery-status/logs/ConversationMessageAdded", "").list(t)), 3)
}

func TestNothingIsDelivered(t *testing.T) {
	t.Parallel()
	l := listen(t, ok)
	s := setup(t, Options{})
	t.Cleanup(s.Close)
	events := []string{"ConversationMessageAdded"}
	s.AddWebhook(Webhook{Name: "disabled", URL: l.URL, Events: events, Disabled: true})
	s.AddWebhook(Webhook{Name: "other event", URL: l.URL, Events: []string{"ConversationClosed"}})
	s.AddWebhook(Webhook{Name: "other channel", URL: l.URL, Events: events, Channels: []string{"email"}})
	s.AddWebhook(Webhook{Name: "no imports", URL: l.URL, Events: events, Channels: []string{channelName}, ExcludesImports: true})
	elsewhere := s.AddWebhook(Webhook{Name: "elsewhere", URL: "https://hooks.example", Events: events})
	deleted := s.AddWebhook(Webhook{Name: "deleted", URL: l.URL, Events: events})
	equal(t, "status of the deletion", call(t, s, "DELETE", "/v1/webhooks/"+deleted.ID, "").status, 204)
	equal(t, "status of another deletion", call(t, s, "DELETE", "/v1/webhooks/"+deleted.ID, "").status, 404)
	id := mustImport(t, s, `,
  "closing": {"closedAt": "2026-11-19T08:12:30.000Z", "closedBy": "`+DefaultAgentID+`"}`, "")
	s.AgentReplies(id, human, "one")
	equal(t, "deliveries", len(l.all(t, s)), 0)
	log := call(t, s, "GET", "/v1/webhooks/"+elsewhere.ID+"/delivery-status/logs/ConversationMessageAdded", "").list(t)
	equal(t, "logged", len(log), 3)
	if text := log[0]["deliveryDetail"].(map[string]any)["responseText"].(string); !strings.Contains(text, "this machine only") {
		t.Errorf("%s", text)
	}
	noViolations(t, s)
}

func TestCloseEndsDeliveries(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	release := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}))
	defer receiver.Close()
	defer close(release)
	s := setup(t, Options{})
	s.AddWebhook(Webhook{Name: "bot", URL: receiver.URL, Events: []string{"ConversationMessageAdded"}})
	id := s.AddConversation(Conversation{RequesterID: userID})
	s.AgentReplies(id, human, "one")
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Settled(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("settled: %v", err)
	}
	s.AgentReplies(id, human, "two")
	s.Close()
	s.Close()
	if s.AgentReplies(id, human, "three") == "" {
		t.Error("the API has ended")
	}
	if err := s.Settled(t.Context()); err == nil {
		t.Error("settled, though two events were not delivered")
	}
}

func TestAgentsOverHTTP(t *testing.T) {
	t.Parallel()
	l := listen(t, ok)
	s, _ := live(t, l, Deliveries{}, "ConversationAssigned", "ConversationMessageAdded", "ConversationClosed", "TypingStarted")
	id := s.AddConversation(Conversation{RequesterID: userID})
	for _, action := range []string{"agent_takes", "agent_types", "agent_replies", "agent_closes"} {
		equal(t, action, call(t, s, "POST", "/_sandbox/mutate", fmt.Sprintf(`{"action":%q,"conversation":%d,"agent":%q,"text":"Hello"}`, action, id, human)).status, 204)
	}
	equal(t, "events", fqns(l.all(t, s)), []string{"CONVERSATION_ASSIGNED", "TYPING_STARTED", "CONVERSATION_MESSAGE_ADDED", "CONVERSATION_CLOSED"})
	equal(t, "a closed one", call(t, s, "POST", "/_sandbox/mutate", fmt.Sprintf(`{"action":"agent_takes","conversation":%d,"agent":%q}`, id, human)).status, 404)
	equal(t, "availability", call(t, s, "POST", "/_sandbox/mutate", `{"action":"set_availability","queue":"Support","value":false}`).status, 204)
	equal(t, "of no queue", call(t, s, "POST", "/_sandbox/mutate", `{"action":"set_availability","queue":"Sales","value":false}`).status, 404)
	equal(t, "undelivered", call(t, s, "GET", "/_sandbox/state", "").json["undelivered"], any(0.0))
	s.Reset()
	equal(t, "webhooks after a reset", len(s.Webhooks()), 1)
}
