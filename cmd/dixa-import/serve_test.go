package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer/checkpoint/pgtest"
)

// TestServe goes the whole circle: a bot posts a chat, an agent answers and closes it, the bot gets each event once and in order although Dixa delivers some
// twice, late or not at all; the conversation is reopened, and a follow-up is linked to it.
func TestServe(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"sqlite", "postgres"} {
		for _, names := range []string{"id", "csid"} {
			t.Run(database+" "+names, func(t *testing.T) {
				t.Parallel()
				goTheCircle(t, database, names)
			})
		}
	}
}

const testAgent = "11111111-2222-4333-8444-555555555555"

type forwarded struct {
	Type         string `json:"type"`
	Text         string `json:"text"`
	TranscriptID string `json:"transcript_id"`
}

func goTheCircle(t *testing.T, database, names string) {
	url := ""
	if database == "postgres" {
		url = pgtest.New(t)
	}
	secret := strings.Repeat("ab", 32)
	normal := sandbox.Deliveries{Repeat: 0.5, Spread: 100 * time.Millisecond, Conversation: names, EventTime: names == "csid"}
	dixa := sandbox.New(sandbox.Options{Agents: []string{testAgent}, Deliveries: normal})
	defer dixa.Close()
	api := httptest.NewServer(dixa)
	defer api.Close()
	got := make(chan forwarded, 100)
	bot := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e forwarded
		body, _ := io.ReadAll(r.Body)
		if json.Unmarshal(body, &e) != nil || r.Header.Get("webhook-id") == "" {
			t.Errorf("the bot got %d bytes without the form of an event", len(body))
		}
		got <- e
	}))
	defer bot.Close()
	s := startServe(t, url, api.URL, dixa.Token(), fmt.Sprintf("handover: {queue: Support}\nserve: {address: 'ADDRESS', token: %q, webhook_secrets: [%s], forward_url: %q, forward_secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}",
		serveToken, secret, bot.URL))
	dixa.AddWebhook(sandbox.Webhook{Name: "bot", URL: "http://" + s.address + "/webhooks/dixa", Events: []string{"ConversationMessageAdded", "ConversationClosed"}, Secret: secret})
	next := func() forwarded {
		t.Helper()
		select {
		case e := <-got:
			return e
		case <-time.After(time.Minute):
			t.Fatalf("the bot gets nothing\n%s", s.log)
		}
		return forwarded{}
	}
	settled := func() {
		t.Helper()
		if err := dixa.Settled(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	command := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if err := run(t.Context(), append([]string{"--config", s.config}, args...), strings.NewReader(""), &out, s.log); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, s.log)
		}
		return out.String()
	}
	conversation := func(id int64) sandbox.Conversation {
		t.Helper()
		list := dixa.Conversations()
		i := slices.IndexFunc(list, func(c sandbox.Conversation) bool { return c.ID == id })
		if i < 0 {
			t.Fatalf("Dixa does not have the conversation %d", id)
		}
		return list[i]
	}

	first := s.post(liveChat("t-1", `,"handover":true`), serveToken)
	if c := conversation(first.ConversationID); c.QueueID == "" || c.Transfers != 1 || !c.ClosedAt.IsZero() {
		t.Fatalf("Dixa has %+v", c)
	}
	dixa.AgentTakes(first.ConversationID, testAgent)
	settled()
	// A delivery that never arrives is found in the logs when the server starts.
	s.stop()
	dixa.SetDeliveries(sandbox.Deliveries{Loss: 1, Conversation: names})
	dixa.AgentReplies(first.ConversationID, testAgent, "Hello, how can I help?")
	settled()
	dixa.SetDeliveries(normal)
	s.start()
	if e := next(); e.Text != "Hello, how can I help?" || e.TranscriptID != "t-1" {
		t.Errorf("the first event is %+v", e)
	}
	dixa.AgentReplies(first.ConversationID, testAgent, "It is solved.")
	dixa.AgentCloses(first.ConversationID, testAgent)
	if e := next(); e.Text != "It is solved." {
		t.Errorf("the second event is %+v", e)
	}
	if e := next(); !strings.Contains(e.Type, "closed") {
		t.Errorf("the third event is %+v", e)
	}
	settled()
	for _, args := range [][]string{{"explain", "t-1"}, {"status"}, {"status", "--json"}, {"explain", "t-1", "--json"}} {
		if out := command(args...); !strings.Contains(out, testAgent) || strings.Contains(out, "solved") {
			t.Errorf("%v does not say who closed it, or says too much:\n%s", args, out)
		}
	}
	metrics, err := http.Get("http://" + s.address + "/metrics") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(metrics.Body)
	if err := errors.Join(err, metrics.Body.Close()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`dixa_import_forwards_total{outcome="accepted",source="bot"} 3`, `dixa_import_forward_latency_seconds_count{source="bot"} 3`,
		`dixa_import_events_total{outcome="stored",source="bot"} 3`, `dixa_import_handovers{source="bot",state="closed"} 1`,
		`dixa_import_deliveries_total{reason="ok",source="bot",status="200"}`, `dixa_import_finishing_steps{source="bot",state="done",step="transfer"} 1`,
		`dixa_import_requests_total{operation="list_webhooks",source="bot",status="200"} 1`, `dixa_import_checkpoint_transcripts{source="bot",status="complete"} 1`,
		`dixa_import_checkpoint_readable{source="bot"} 1`,
	} {
		if !strings.Contains(string(text), "\n"+want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", text)
	}
	if out := command("report", "--output", "-"); !strings.Contains(out, `id="handovers"`) || !strings.Contains(out, "<td>"+testAgent+"</td>") || !strings.Contains(out, "<th scope=\"row\">transfer</th><td>done</td>") {
		t.Error("the report does not tell of the hand-over")
	}
	// The customer comes back: either way of the guide.
	command("reopen", "t-1")
	if c := conversation(first.ConversationID); !c.ClosedAt.IsZero() {
		t.Error("it is not open again")
	}
	second := s.post(liveChat("t-2", `,"handover":true,"follow_up_of":"t-1"`), serveToken)
	if c := conversation(second.ConversationID); c.ParentID != first.ConversationID || c.QueueID == "" {
		t.Errorf("the follow-up is %+v", c)
	}
	settled()
	s.stop()
	if n := len(got); n > 0 {
		t.Errorf("%d events came twice", n)
	}
	if out := command("events", "--json"); strings.Contains(out, "solved") || strings.Count(out, `"forwarded"`) != 3 {
		t.Errorf("events: %s", out)
	}
	if n := dixa.ViolationCount(); n > 0 {
		t.Errorf("%d violations of the contract: %v", n, dixa.Violations())
	}
}
