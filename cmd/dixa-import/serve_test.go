package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
)

// TestServe goes the whole way of a chat that is handed over: it is imported into its queue, an agent answers and closes it, and the bot gets the
// events in their order, also those that Dixa delivered twice, in another order or not at all.
func TestServe(t *testing.T) {
	t.Parallel()
	const agent = "11111111-2222-4333-8444-555555555555"
	secret := strings.Repeat("ab", 32)
	dixa := sandbox.New(sandbox.Options{Agents: []string{agent}, Deliveries: sandbox.Deliveries{Repeat: 0.5, Conversation: "csid"}})
	defer dixa.Close()
	api := httptest.NewServer(dixa)
	defer api.Close()
	type event struct{ Type, Text, TranscriptID string }
	got := make(chan event, 100)
	bot := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e struct {
			Type         string `json:"type"`
			Text         string `json:"text"`
			TranscriptID string `json:"transcript_id"`
		}
		body, _ := io.ReadAll(r.Body)
		if json.Unmarshal(body, &e) != nil || r.Header.Get("webhook-id") == "" {
			t.Errorf("the bot got %d bytes without the form of an event", len(body))
		}
		got <- event{e.Type, e.Text, e.TranscriptID}
	}))
	defer bot.Close()
	port, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := port.Addr().String()
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	configPath := filepath.Join(dir, "config.yaml")
	for name, text := range map[string]string{
		configPath: fmt.Sprintf(`dixa: {base_url: %q, token: %q, rate: 0}
database: sqlite:%s
source: {name: bot, jsonl: {paths: [%s]}}
handover: {queue: Support}
serve: {address: %q, webhook_secrets: [%s], forward_url: %q, forward_secret: whsec_%s}
`, api.URL, dixa.Token(), filepath.Join(dir, "bot.db"), filepath.Join(dir, "c.jsonl"), address, secret, bot.URL, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
		filepath.Join(dir, "c.jsonl"): `{"id":"t-1","handover":true,"end_user":{"external_id":"c-1"},"messages":[{"role":"user","text":"A human, please","created_at":"2026-11-19T08:00:00Z"}]}` + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, log bytes.Buffer
	if err := run(t.Context(), []string{"--config", configPath, "run"}, strings.NewReader(""), &out, &log); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	list := dixa.Conversations()
	if len(list) != 1 || list[0].QueueID == "" || list[0].Transfers != 1 || !list[0].ClosedAt.IsZero() {
		t.Fatalf("Dixa has %+v", list)
	}
	// Before there is anybody to hear of it: Dixa logs a delivery that never arrives.
	dixa.AddWebhook(sandbox.Webhook{Name: "bot", URL: "http://" + address + "/webhooks/dixa", Events: []string{"ConversationMessageAdded", "ConversationClosed"}, Secret: secret})
	dixa.AgentTakes(list[0].ID, agent)
	dixa.AgentReplies(list[0].ID, agent, "Hello, how can I help?")
	if err := dixa.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- run(ctx, []string{"--config", configPath, "serve"}, strings.NewReader(""), io.Discard, io.Discard)
	}()
	next := func() event {
		t.Helper()
		select {
		case e := <-got:
			return e
		case err := <-served:
			t.Fatalf("serve ended: %v", err)
		case <-time.After(time.Minute):
			t.Fatal("the bot gets nothing")
		}
		return event{}
	}
	if e := next(); e.Text != "Hello, how can I help?" || e.TranscriptID != "t-1" {
		t.Errorf("the first event is %+v", e)
	}
	dixa.AgentReplies(list[0].ID, agent, "It is solved.")
	if e := next(); e.Text != "It is solved." {
		t.Errorf("the second event is %+v", e)
	}
	dixa.AgentCloses(list[0].ID, agent)
	if e := next(); !strings.Contains(e.Type, "closed") {
		t.Errorf("the third event is %+v", e)
	}
	if err := dixa.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	metrics, err := http.Get("http://" + address + "/metrics")
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
		`dixa_import_last_success_timestamp_seconds{source="bot"} 1`, `dixa_import_checkpoint_readable{source="bot"} 1`,
	} {
		if !strings.Contains(string(text), "\n"+want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", text)
	}
	stop()
	if err := <-served; err != nil {
		t.Errorf("serve ended with %v", err)
	}
	if n := len(got); n > 0 {
		t.Errorf("%d events came twice", n)
	}
	out.Reset()
	if err := run(t.Context(), []string{"--config", configPath, "events", "--json"}, strings.NewReader(""), &out, io.Discard); err != nil || strings.Contains(out.String(), "solved") {
		t.Errorf("%v %s", err, out.String())
	}
}
