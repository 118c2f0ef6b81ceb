package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer/checkpoint/pgtest"
)

const serveToken = "the bot's own token"

// freeAddress returns an address of this machine that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	return port.Addr().String()
}

// served is a `serve` that runs.
type served struct {
	*testing.T
	config, address string
	stop            func() // ends it, and waits for that
	log             *lockedBuffer
}

// startServe writes a configuration, with the given sections beside dixa, database and source, and serves until the test ends.
func startServe(t *testing.T, database, apiURL, token, sections string) *served {
	t.Helper()
	dir := t.TempDir()
	s := &served{T: t, config: filepath.Join(dir, "config.yaml"), address: freeAddress(t), log: &lockedBuffer{}}
	if database == "" {
		database = "sqlite:" + filepath.Join(dir, "bot.db")
	}
	text := fmt.Sprintf("dixa: {base_url: %q, token: %q, rate: 0}\ndatabase: %q\nsource: {name: bot, jsonl: {paths: [%s]}}\nimport: {settle: 50ms}\n%s\n",
		apiURL, token, database, filepath.Join(dir, "c.jsonl"), strings.ReplaceAll(sections, "ADDRESS", s.address))
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, isPostgres := strings.CutPrefix(database, "postgres"); isPostgres {
		if err := run(t.Context(), []string{"--config", s.config, "migrate"}, strings.NewReader(""), io.Discard, s.log); err != nil {
			t.Fatalf("%v\n%s", err, s.log)
		}
	}
	s.start()
	return s
}

// edit replaces a text in the configuration.
func (s *served) edit(old, replacement string) {
	s.Helper()
	text, err := os.ReadFile(s.config)
	if err == nil {
		err = os.WriteFile(s.config, []byte(strings.Replace(string(text), old, replacement, 1)), 0o600)
	}
	if err != nil {
		s.Fatal(err)
	}
}

func (s *served) start() {
	ctx, stop := context.WithCancel(s.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"--config", s.config, "serve"}, strings.NewReader(""), io.Discard, s.log)
		close(ended)
	}()
	s.stop = func() {
		stop()
		if err := <-ended; err != nil {
			s.Errorf("serve ended with %v\n%s", err, s.log)
		}
	}
	s.Cleanup(func() { s.stop() })
	for {
		select {
		case err := <-ended:
			s.Fatalf("serve ended with %v\n%s", err, s.log)
		case <-time.After(10 * time.Millisecond):
		}
		if resp, err := http.Get("http://" + s.address + "/readyz"); err == nil { //nolint:noctx // a test
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
	}
}

// lockedBuffer is a buffer that several goroutines write to.
type lockedBuffer struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// answer is what POST /transcripts answers.
type answer struct {
	status         int
	TranscriptID   string `json:"transcript_id"`
	Status         string `json:"status"`
	ConversationID int64  `json:"conversation_id"`
	Code           string `json:"code"`
	Message        string `json:"message"`
}

func (s *served) post(body, token string) answer {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), http.MethodPost, "http://"+s.address+"/transcripts", strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		s.Fatalf("%d: %v", resp.StatusCode, err)
	}
	if (a.status == http.StatusServiceUnavailable) != (resp.Header.Get("Retry-After") != "") {
		s.Errorf("%d with Retry-After %q", a.status, resp.Header.Get("Retry-After"))
	}
	return a
}

func liveChat(id, more string) string {
	return fmt.Sprintf(`{"id":%q,"end_user":{"external_id":"c-%s"},"messages":[{"role":"user","text":"A human, please","created_at":"2026-11-19T08:00:00Z"}]%s}`, id, id, more)
}

// writeChats writes closed chats into the file that the source reads.
func (s *served) writeChats(n int) {
	s.Helper()
	var chats strings.Builder
	for i := range n {
		chats.WriteString(liveChat(fmt.Sprint("old-", i), `,"closed_at":"2026-11-19T09:00:00Z"`) + "\n")
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.config), "c.jsonl"), []byte(chats.String()), 0o600); err != nil {
		s.Fatal(err)
	}
}

// TestPostTranscripts posts transcripts of every kind, repeatedly and from several senders at once.
func TestPostTranscripts(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			url := ""
			if database == "postgres" {
				url = pgtest.New(t)
			}
			dixa := sandbox.New(sandbox.Options{})
			defer dixa.Close()
			api := httptest.NewServer(dixa)
			defer api.Close()
			s := startServe(t, url, api.URL, dixa.Token(), "handover: {queue: Support}\nserve: {address: 'ADDRESS', token: \""+serveToken+"\"}")
			first := s.post(liveChat("t-1", `,"handover":true`), serveToken)
			if list := dixa.Conversations(); first.status != http.StatusCreated || first.Status != "complete" || len(list) != 1 || list[0].ID != first.ConversationID ||
				list[0].QueueID == "" || list[0].Transfers != 1 || !list[0].ClosedAt.IsZero() {
				t.Fatalf("%+v; Dixa has %+v\n%s", first, list, s.log)
			}
			for _, tt := range []struct {
				name, body, token string
				want              answer
			}{
				{"again", liveChat("t-1", `,"handover":true`), serveToken, answer{status: 200, TranscriptID: "t-1", Status: "complete", ConversationID: first.ConversationID}},
				{"again, its fields in another order", " {\n \"handover\" : true, " + strings.TrimPrefix(liveChat("t-1", ""), "{"), serveToken, answer{status: 200, TranscriptID: "t-1", Status: "complete", ConversationID: first.ConversationID}},
				{"no id", strings.Replace(liveChat("t-1", `,"handover":true`), `"id":"t-1",`, "", 1), serveToken, answer{status: 422, Code: "missing_id"}},
				{"other content", liveChat("t-1", `,"handover":true,"direction":"outbound"`), serveToken, answer{status: 409, TranscriptID: "t-1", Status: "complete", ConversationID: first.ConversationID, Code: "other_content"}},
				{"a closed chat", liveChat("t-2", `,"closed_at":"2026-11-19T09:00:00Z"`), serveToken, answer{status: 201, TranscriptID: "t-2", Status: "complete"}},
				{"an open chat", liveChat("t-3", ""), serveToken, answer{status: 422, Code: "open"}},
				{"no messages", `{"id":"t-4","closed_at":"2026-11-19T09:00:00Z","messages":[]}`, serveToken, answer{status: 422, Code: "no_messages"}},
				{"no JSON", `{"id":"t-5"`, serveToken, answer{status: 422, Code: "invalid_json"}},
				{"two", liveChat("t-5", "") + liveChat("t-6", ""), serveToken, answer{status: 422, Code: "invalid_json"}},
				{"an array", "[" + liveChat("t-5", "") + "]", serveToken, answer{status: 422, Code: "invalid_json"}},
				{"Latin-1", "{\"id\":\"t-5\",\"text\":\"\xe6\"}", serveToken, answer{status: 422, Code: "invalid_json"}},
				{"an unknown queue", liveChat("t-7", `,"handover":{"queue":"Nowhere"}`), serveToken, answer{status: 422, TranscriptID: "t-7", Status: "failed", Code: "queue_unknown"}},
				{"a wrong token", liveChat("t-8", `,"handover":true`), "another", answer{status: 401, Code: "unauthorized"}},
				{"no token", liveChat("t-8", `,"handover":true`), "", answer{status: 401, Code: "unauthorized"}},
			} {
				got := s.post(tt.body, tt.token)
				if tt.want.ConversationID == 0 {
					got.ConversationID = 0
				}
				if message := got.Message; (message == "") != (tt.want.status < 300) || strings.Contains(message, "human") {
					t.Errorf("%s: the message is %q", tt.name, message)
				}
				got.Message = ""
				if got != tt.want {
					t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
				}
			}
			answers := make(chan answer)
			for i := range 30 {
				go func() { answers <- s.post(liveChat(fmt.Sprint("many-", i%3), `,"handover":true`), serveToken) }()
			}
			for range 30 {
				if a := <-answers; a.status != http.StatusCreated && a.status != http.StatusOK || a.ConversationID == 0 {
					t.Errorf("%+v", a)
				}
			}
			s.stop()
			s.start()
			if a := s.post(liveChat("t-1", `,"handover":true`), serveToken); a.status != http.StatusOK || a.ConversationID != first.ConversationID {
				t.Errorf("after a restart: %+v", a)
			}
			if n := len(dixa.Conversations()); n != 5 {
				t.Errorf("%d conversations", n)
			}
			for _, c := range dixa.Conversations() {
				if c.Transfers > 1 {
					t.Errorf("conversation %d was transferred %d times", c.ID, c.Transfers)
				}
			}
			if strings.Contains(s.log.String(), serveToken) {
				t.Error("the token is in the log")
			}
		})
	}
}
