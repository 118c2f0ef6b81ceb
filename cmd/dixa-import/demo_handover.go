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
	"os"
	"path/filepath"
	"strings"
	"time"

	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/dixa/sandbox"
)

const (
	demoAgent         = "5e0c5d9a-2f64-4d0b-9d58-9a0f3d1f7c11"
	demoToken         = "the-demo's-token"
	demoWebhookSecret = "3f1c0a52d7e84b6f9a20c4d815e6b37f"
	demoForwardSecret = "whsec_ZGVtby1oYW5kb3Zlci1zZWNyZXQ="
	demoPatience      = 20 * time.Second
)

// demoCircle is the way of a chat from the bot to an agent and back, between real HTTP servers of this process.
type demoCircle struct {
	*demoCmd
	dixa    *sandbox.Server
	address string         // of serve
	events  chan demoEvent // what the bot got
}

type demoEvent struct {
	Type           string `json:"type"`
	Text           string `json:"text"`
	TranscriptID   string `json:"transcript_id"`
	ConversationID int64  `json:"conversation_id"`
}

// demoHandover shows the live half in the folder.
func (p *demoCmd) demoHandover(ctx context.Context, dir string) (err error) {
	d := &demoCircle{demoCmd: p, events: make(chan demoEvent, 16), dixa: sandbox.New(sandbox.Options{
		Agents: []string{demoAgent}, Latency: demoLatency, Deliveries: sandbox.Deliveries{Repeat: 1, Conversation: "csid"}})}
	defer d.dixa.Close()
	api, stopAPI, err := listen(ctx, d.dixa)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopAPI()) }()
	bot, stopBot, err := listen(ctx, http.HandlerFunc(d.bot))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopBot()) }()
	if d.address, err = unusedAddress(ctx); err != nil {
		return err
	}
	configPath := filepath.Join(dir, "config.yaml")
	err = os.WriteFile(configPath, fmt.Appendf(nil, `dixa: {base_url: "http://%s", token: %s, rate: 0}
database: "sqlite:%s"
source: {name: demo, jsonl: {paths: ["%s"]}}
handover: {queue: Support}
serve: {address: "%s", token: "%s", webhook_secrets: [%s], forward_url: "http://%s/dixa", forward_secret: %s}
`, api, d.dixa.Token(), filepath.Join(dir, "demo.db"), filepath.Join(dir, "none.jsonl"), d.address, demoToken, demoWebhookSecret, bot, demoForwardSecret), 0o600)
	if err != nil {
		return fmt.Errorf("write the configuration of the demo: %w", err)
	}
	d.dixa.AddWebhook(sandbox.Webhook{Name: "demo", URL: "http://" + d.address + "/webhooks/dixa", Events: []string{"ConversationMessageAdded", "ConversationClosed"},
		Channels: []string{"genericapimessaging"}, Secret: demoWebhookSecret})
	quiet := *p.program
	quiet.configPath, quiet.log = configPath, p.demoLog()
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- (&serveCmd{program: &quiet, catchUp: time.Second}).Run(serving) }()
	err = d.show(ctx, &quiet)
	stop()
	if serveErr := <-ended; serveErr != nil { // the reason why nothing could be shown
		return serveErr
	}
	if ctx.Err() != nil {
		return context.Canceled
	}
	return err
}

// show goes the way and tells of it.
func (d *demoCircle) show(ctx context.Context, commands *program) error {
	if err := d.untilReady(ctx); err != nil {
		return err
	}
	d.say("`dixa-import serve` listens on " + d.address + ", with a Dixa in memory and a bot that is made up.")
	const chat = `{"id": "t-1001", "handover": {"queue": "Support"}, "end_user": {"email": "ann@example.org"},
   "messages": [{"role": "user", "text": "Where is my order?", "created_at": "2026-11-19T08:00:00Z"},
                {"role": "bot", "text": "I don't know.", "created_at": "2026-11-19T08:00:02Z"},
                {"role": "user", "text": "I want to talk to a human", "created_at": "2026-11-19T08:00:09Z"}]}`
	d.title("Hand over: the bot posts its chat")
	d.line("curl http://" + d.address + `/transcripts -H "Authorization: Bearer $SERVE_TOKEN" -d '` + chat + "'")
	id, err := d.post(ctx, chat)
	if err != nil {
		return err
	}
	c, err := d.conversation(id)
	if err != nil {
		return err
	}
	d.say(fmt.Sprintf("In Dixa, conversation %d is open and waits in the queue Support, with %d messages. The bot was not sure and posts the chat again:", id, len(c.Messages)))
	if _, err := d.post(ctx, chat); err != nil {
		return err
	}
	d.title("Listen: an agent takes it and answers")
	d.say("Dixa delivers every event twice; the bot gets each once:")
	d.dixa.AgentTakes(id, demoAgent)
	d.dixa.AgentReplies(id, demoAgent, "Hello Ann, let me look it up.")
	if err := d.heard(ctx); err != nil {
		return err
	}
	d.say("The next one never arrives: `dixa-import serve` finds it in Dixa's delivery log.")
	d.dixa.SetDeliveries(sandbox.Deliveries{Loss: 1, Conversation: "id"})
	d.dixa.AgentReplies(id, demoAgent, "It arrives tomorrow.")
	if err := d.heard(ctx); err != nil {
		return err
	}
	d.dixa.SetDeliveries(sandbox.Deliveries{Conversation: "id"})
	d.dixa.AgentCloses(id, demoAgent)
	if err := d.heard(ctx); err != nil {
		return err
	}
	d.title("Resume: the customer comes back")
	const later = `{"id": "t-1002", "follow_up_of": "t-1001", "handover": true, "end_user": {"email": "ann@example.org"},
   "messages": [{"role": "user", "text": "It did not arrive.", "created_at": "2026-11-21T08:00:00Z"}]}`
	d.line("curl ... -d '" + later + "'")
	next, err := d.post(ctx, later)
	if err != nil {
		return err
	}
	if c, err = d.conversation(next); err != nil {
		return err
	}
	d.say(fmt.Sprintf("Conversation %d waits in the queue and is linked to conversation %d.", next, c.ParentID))
	d.title("What is known: dixa-import events")
	if err := d.dixa.Settled(ctx); err != nil {
		return err
	}
	if err := (&eventsCmd{program: commands}).Run(ctx); err != nil {
		return err
	}
	d.say("Next: the section `For bot developers` of the README has the configuration and every call.")
	return nil
}

// say writes a paragraph. With --json, only the list of events is written.
func (d *demoCircle) say(text string) {
	if !d.json {
		d.stdout.Say("", text)
		d.stdout.Line("")
	}
}

// line writes a line that is not wrapped.
func (d *demoCircle) line(text string) {
	if !d.json {
		d.stdout.Line(text)
	}
}

func (d *demoCircle) title(text string) { d.line(text + "\n" + strings.Repeat("-", len(text))) }

// post posts a transcript and returns the number of its conversation.
func (d *demoCircle) post(ctx context.Context, chat string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.address+"/transcripts", strings.NewReader(chat))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+demoToken)
	began := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	var answer struct {
		ConversationID int64 `json:"conversation_id"`
	}
	d.line(fmt.Sprintf("%d %s (%s)\n", resp.StatusCode, bytes.TrimSpace(body), term.Short(time.Since(began).Round(time.Millisecond))))
	if err := json.Unmarshal(body, &answer); err != nil || answer.ConversationID == 0 {
		return 0, fmt.Errorf("the demo's chat was not imported: %s", bytes.TrimSpace(body))
	}
	return answer.ConversationID, nil
}

// heard waits for the next event that the bot gets, and shows it.
func (d *demoCircle) heard(ctx context.Context) error {
	patience := time.NewTimer(demoPatience)
	defer patience.Stop()
	select {
	case e := <-d.events:
		shown, err := json.Marshal(e)
		if err != nil {
			return err
		}
		d.line("the bot got " + string(shown) + "\n")
		return nil
	case <-patience.C:
		return errors.New("the demo's bot did not hear of what the agent did")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// bot is the address to which events are forwarded.
func (d *demoCircle) bot(_ http.ResponseWriter, req *http.Request) {
	var e demoEvent
	if json.NewDecoder(req.Body).Decode(&e) == nil {
		d.events <- e
	}
}

func (d *demoCircle) conversation(id int64) (sandbox.Conversation, error) {
	for _, c := range d.dixa.Conversations() {
		if c.ID == id {
			return c, nil
		}
	}
	return sandbox.Conversation{}, fmt.Errorf("the sandbox has no conversation %d", id)
}

// untilReady waits until serve is ready.
func (d *demoCircle) untilReady(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(limited, http.MethodGet, "http://"+d.address+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-limited.Done():
			return limited.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// listen serves on an address of this machine until stop is called.
func listen(ctx context.Context, handler http.Handler) (address string, stop func() error, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("start a server of the demo: %w", err)
	}
	return listener.Addr().String(), serve(listener, handler), nil
}

// unusedAddress returns an address of this machine at which nobody listens.
func unusedAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find an address for the demo: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
