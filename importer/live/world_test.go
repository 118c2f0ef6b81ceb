package live

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/goleak"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/checkpoint/pgtest"
)

func TestMain(m *testing.M) {
	if spec, ok := os.LookupEnv(childEnv); ok {
		os.Exit(beChild(spec))
	}
	goleak.VerifyTestMain(pgtest.M{M: m})
}

const (
	// childEnv makes the test binary serve in a process of its own; its value says how.
	childEnv = "DIXA_IMPORT_TEST_LIVE"

	testSource    = "bot"
	testAgent     = "7a1b9c7e-0000-4000-8000-000000000001"
	secret        = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	oldSecret     = "ffeeddccbbaa99887766554433221100"
	forwardSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// beChild serves in a process of its own and returns the exit code. It needs signals, which some systems lack.
var beChild = func(string) int { return 2 }

var acme = checkpoint.Binding{BaseURL: "https://dev.dixa.io", Organisation: "org-1"}

// world is a checkpoint with imported transcripts.
type world struct {
	*testing.T
	url   string
	store *checkpoint.Store
	db    *sql.DB
	logs  *logs
}

// logs collects log lines.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

var backends = map[string]func(t testing.TB) string{
	"postgres": pgtest.New,
	"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "checkpoint.db") },
}

// each runs a test on both databases, and with -short on SQLite alone.
func each(t *testing.T, f func(w *world)) {
	t.Parallel()
	for name, newURL := range backends {
		if testing.Short() && name == "postgres" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(setup(t, newURL(t)))
		})
	}
}

func onSQLite(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	return setup(t, backends["sqlite"](t))
}

func setup(t *testing.T, url string) *world {
	t.Helper()
	w := &world{T: t, url: url, logs: &logs{}}
	w.store = w.open()
	if _, _, err := w.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for source, to := range map[string]checkpoint.Binding{testSource: acme, "second-bot": acme} {
		if err := w.store.Bind(t.Context(), source, to, false); err != nil {
			t.Fatal(err)
		}
	}
	driver, dsn := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_busy_timeout=10000"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	w.db = db
	t.Cleanup(func() {
		for _, secret := range []string{secret, oldSecret, forwardSecret, "whispered"} {
			if strings.Contains(w.logs.String(), secret) {
				t.Errorf("the log contains %q:\n%s", secret, w.logs)
			}
		}
	})
	return w
}

// open opens another store with the same checkpoint.
func (w *world) open() *checkpoint.Store {
	w.Helper()
	store, err := checkpoint.Open(w.Context(), w.url, checkpoint.Options{Create: true})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := store.Close(); err != nil {
			w.Error(err)
		}
	})
	return store
}

// imported records a transcript with a conversation.
func (w *world) imported(id string, conversation int64) {
	w.Helper()
	query := "insert into dixa_import.transcripts (source, transcript_id, status, conversation_id, created_at, updated_at) values ($1, $2, 'complete', $3, " +
		"'2026-11-19T08:00:00.000Z', '2026-11-19T08:00:00.000Z')"
	if strings.HasPrefix(w.url, "sqlite:") {
		query = strings.NewReplacer("dixa_import.", "", "$", "?").Replace(query)
	}
	if _, err := w.db.ExecContext(w.Context(), query, testSource, id, conversation); err != nil {
		w.Fatal(err)
	}
}

// events returns all stored events by their ids.
func (w *world) events() map[string]checkpoint.WebhookEvent {
	w.Helper()
	list, err := w.store.Events(w.Context(), checkpoint.EventFilter{})
	if err != nil {
		w.Fatal(err)
	}
	byID := map[string]checkpoint.WebhookEvent{}
	for _, e := range list {
		byID[e.ID] = e
	}
	return byID
}

// until waits until something is so.
func (w *world) until(what string, is func() bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	for !is() {
		if !pause(ctx, 5*time.Millisecond) {
			w.Fatalf("it never happened that %s", what)
		}
	}
}

// intake returns an Intake of the world's checkpoint. Without a change, it forwards at once.
func (w *world) intake(change func(*IntakeConfig)) *Intake {
	c := IntakeConfig{Store: w.store, Organisation: acme, Source: testSource, AgentID: testAgent, Forward: true, Reorder: -1, Logger: w.logger()}
	if change != nil {
		change(&c)
	}
	return NewIntake(c)
}

// receiver serves a Receiver and returns its address.
func (w *world) receiver(in *Intake, change func(*ReceiverConfig)) (url string, r *Receiver) {
	w.Helper()
	c := ReceiverConfig{Secrets: []string{secret, oldSecret}, Logger: w.logger()}
	if change != nil {
		change(&c)
	}
	r, err := NewReceiver(in, c)
	if err != nil {
		w.Fatal(err)
	}
	server := httptest.NewServer(r)
	w.Cleanup(server.Close)
	return server.URL + "/webhooks/dixa", r
}

// message is the payload of an added message.
func message(id string, conversation int64, at time.Time) []byte {
	return payload(map[string]any{
		"event_id": id, "event_fqn": "CONVERSATION_MESSAGE_ADDED", "event_version": "1", "event_timestamp": at.UTC().Format("2006-01-02T15:04:05.000Z"),
		"organization": map[string]any{"id": "o", "name": "Acme"},
		"data": map[string]any{"conversation": map[string]any{"id": conversation, "csid": conversation}, "text": "whispered by " + id, "message_id": "m-" + id,
			"direction": "outbound", "external_id": nil, "author": map[string]any{"id": "agent-1", "name": "Ann", "user_type": "Member"}},
	})
}

func payload(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return body
}

// sign returns the header of a delivery that was made at a time.
func sign(key string, at time.Time, body []byte) string {
	stamp := strconv.FormatInt(at.UnixMilli(), 10)
	return "t=" + stamp + ",v1=" + signature(key, stamp, body)
}

func signature(key, stamp string, body []byte) string {
	raw, err := hex.DecodeString(key)
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, raw)
	_, _ = fmt.Fprintf(mac, "%s.%s", stamp, body)
	return hex.EncodeToString(mac.Sum(nil))
}

// deliver sends a signed delivery and returns the status of the answer.
func deliver(ctx context.Context, client *http.Client, url string, body []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-DIXA-SIGNATURE", sign(secret, time.Now(), body))
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// bot is the endpoint that events are forwarded to.
type bot struct {
	*httptest.Server
	t      testing.TB
	answer func(n int, in Forwarded) int // the status for the nth request; nil: 204

	mu      sync.Mutex
	n       int
	posts   map[string]int       // requests by event
	bodies  map[string][]byte    // their bodies, which must all be the same
	order   map[string][]string  // accepted events by transcript
	first   map[string]time.Time // the first request of each event
	changed chan struct{}        // is closed and replaced with each accepted event
}

func newBot(t testing.TB, answer func(n int, in Forwarded) int) *bot {
	b := &bot{t: t, answer: answer, posts: map[string]int{}, bodies: map[string][]byte{}, order: map[string][]string{}, first: map[string]time.Time{}, changed: make(chan struct{})}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *bot) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil { // the sender has died
		return
	}
	var in Forwarded
	if err := json.Unmarshal(body, &in); err != nil {
		b.t.Errorf("the body is unreadable: %v", err)
	}
	id := req.Header.Get("webhook-id")
	key, _ := parseForwardSecret(forwardSecret)
	if want := signForward(key, id, req.Header.Get("webhook-timestamp"), body); req.Header.Get("webhook-signature") != want || id != in.EventID {
		b.t.Errorf("the signature of %s is wrong", id)
	}
	b.mu.Lock()
	b.n++
	n := b.n
	b.posts[id]++
	if b.bodies[id] == nil {
		b.bodies[id] = body
	}
	if !bytes.Equal(b.bodies[id], body) {
		b.t.Errorf("the body of %s has changed", id)
	}
	b.mu.Unlock()
	status := http.StatusNoContent
	if b.answer != nil {
		status = b.answer(n, in)
	}
	b.mu.Lock()
	if status < 300 {
		b.order[in.TranscriptID] = append(b.order[in.TranscriptID], id)
		close(b.changed)
		b.changed = make(chan struct{})
	}
	b.mu.Unlock()
	if status == http.StatusFound {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(status)
}

// accepted waits until n different events are accepted.
func (b *bot) accepted(n int) {
	b.t.Helper()
	timeout := time.After(30*time.Second + time.Duration(n)*20*time.Millisecond)
	for {
		b.mu.Lock()
		events, changed := map[string]bool{}, b.changed
		for _, list := range b.order {
			for _, id := range list {
				events[id] = true
			}
		}
		b.mu.Unlock()
		if len(events) >= n {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			b.t.Fatalf("%d of %d events were forwarded", len(events), n)
		}
	}
}

// forwarder starts a Forwarder to the bot; stop ends it and waits.
func (w *world) forwarder(b *bot, change func(*ForwarderConfig)) (f *Forwarder, stop func()) {
	w.Helper()
	c := ForwarderConfig{Store: w.store, Organisation: acme, Source: testSource, URL: b.URL, Secret: forwardSecret, Poll: 20 * time.Millisecond,
		MinBackoff: time.Millisecond, MaxBackoff: 50 * time.Millisecond, Logger: w.logger()}
	if change != nil {
		change(&c)
	}
	f, err := NewForwarder(c)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	w.Cleanup(stop)
	return f, stop
}
