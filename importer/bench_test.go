package importer_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/checkpoint/pgtest"
	"dixa-import/source"
)

var benchTranscripts = flag.Int("bench.transcripts", 2000, "transcripts of a measured import")

// benchSandboxEnv makes a test binary serve a sandbox until its standard input ends.
const benchSandboxEnv = "DIXA_IMPORT_TEST_SANDBOX"

func init() {
	if os.Getenv(benchSandboxEnv) != "" {
		os.Exit(serveSandbox())
	}
}

func serveSandbox() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	server := sandbox.New(sandbox.Options{})
	go func() { _ = http.Serve(listener, server) }()
	fmt.Printf("http://%s %s\n", listener.Addr(), server.Token())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// bench is a sandbox in another process and a file of transcripts.
type bench struct {
	*testing.B
	url, token string
	path       string
	lines      [][]byte
}

var benchWorkers = flag.Int("bench.workers", 256, "workers of a measured import, and of the loop that it is compared with")

func newBench(b *testing.B) *bench {
	b.Helper()
	cmd := osexec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), benchSandboxEnv+"=1"), os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	w := &bench{B: b, path: filepath.Join(b.TempDir(), "chats.jsonl"), lines: benchLines(*benchTranscripts)}
	first, err := bufio.NewReader(stdout).ReadString('\n')
	if _, scanErr := fmt.Sscan(first, &w.url, &w.token); err != nil || scanErr != nil {
		b.Fatal(err, scanErr)
	}
	if err := os.WriteFile(w.path, bytes.Join(w.lines, nil), 0o600); err != nil {
		b.Fatal(err)
	}
	return w
}

// benchLines returns n transcripts of nine messages, of 0.4 n customers in random order, with an attribute each.
func benchLines(n int) [][]byte {
	random := rand.New(rand.NewPCG(5, 5))
	words := strings.Fields("where is my order it ships today please wait a moment I will look that up for you thank you parcel label refund card")
	lines := make([][]byte, n)
	for i, at := range random.Perm(n) {
		began := time.Date(2026, 1, 1, 0, 0, 20*i, 0, time.UTC)
		messages := make([]any, 9)
		for j := range messages {
			text := make([]string, 12)
			for k := range text {
				text[k] = words[random.IntN(len(words))]
			}
			messages[j] = fields{"role": []string{"user", "bot"}[j%2], "text": strings.Join(text, " "),
				"created_at": began.Add(time.Duration(7*j) * time.Second).Format(time.RFC3339)}
		}
		line, err := json.Marshal(fields{"id": fmt.Sprintf("t-%d", i), "created_at": began.Format(time.RFC3339),
			"closed_at": began.Add(9 * time.Minute).Format(time.RFC3339), "messages": messages,
			"end_user":   fields{"email": fmt.Sprintf("customer%d@example.org", at%max(1, n*4/10)), "name": "Customer"},
			"attributes": fields{"order": fmt.Sprint(100000 + i)}})
		if err != nil {
			panic(err)
		}
		lines[i] = append(line, '\n')
	}
	return lines
}

// fresh empties the sandbox.
func (w *bench) fresh() {
	w.Helper()
	resp, err := http.Post(w.url+"/_sandbox/reset", "", nil)
	if err != nil {
		w.Fatal(err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}

// conversations returns the number of conversations in the sandbox.
func (w *bench) conversations() (n int) {
	w.Helper()
	resp, err := http.Get(w.url + "/_sandbox/state")
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var state struct {
		Conversations int
		Duplicates    []json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&state); err != nil {
		w.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return state.Conversations - len(state.Duplicates)
}

// store opens an empty checkpoint.
func (w *bench) store(kind string) *checkpoint.Store {
	w.Helper()
	where := "sqlite:" + filepath.Join(w.TempDir(), "checkpoint.db")
	if kind == "postgres" {
		where = pgtest.New(w.B)
	}
	s, err := checkpoint.Open(w.Context(), where, checkpoint.Options{Create: true})
	if err != nil {
		w.Fatal(err)
	}
	if _, _, err := s.Migrate(w.Context()); err != nil {
		w.Fatal(err)
	}
	return s
}

func (w *bench) config(store *checkpoint.Store) importer.Config {
	w.Helper()
	client, err := dixa.New(dixa.Config{BaseURL: w.url, Token: w.token, Limiter: dixa.NewLimiter(0, 0), Connections: 2 * *benchWorkers})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(client.Close)
	reader, err := source.OpenJSONL(source.JSONLConfig{Paths: []string{w.path}})
	if err != nil {
		w.Fatal(err)
	}
	return importer.Config{Source: testSource, Reader: reader, Store: store, API: client, BaseURL: w.url, Attributes: orderNumber,
		AgentID: sandbox.DefaultAgentID, Workers: *benchWorkers, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// runAll performs a run in which ended must count every transcript.
func (w *bench) runAll(cfg importer.Config, ended func(checkpoint.Counts) int64) importer.Summary {
	w.Helper()
	im, err := importer.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	s, err := im.Run(context.Background())
	if err != nil || ended(s.Counts) != int64(len(w.lines)) {
		w.Fatal(err, s.Outcome, s.Reason, s.Counts)
	}
	return s
}

// BenchmarkRun imports -bench.transcripts transcripts into an empty sandbox in another process, without a rate limit. Compare
// it with BenchmarkBareLoop.
func BenchmarkRun(b *testing.B) {
	for _, kind := range stores {
		b.Run(kind, func(b *testing.B) {
			w := newBench(b)
			b.ReportAllocs()
			var requests int64
			var before, after runtime.MemStats
			var allocated uint64
			for range b.N {
				b.StopTimer()
				w.fresh()
				store := w.store(kind)
				cfg := w.config(store)
				runtime.ReadMemStats(&before)
				b.StartTimer()
				requests += w.runAll(cfg, func(c checkpoint.Counts) int64 { return c.Imported }).Counts.Requests
				b.StopTimer()
				runtime.ReadMemStats(&after)
				allocated += after.Mallocs - before.Mallocs
				if n := w.conversations(); n != len(w.lines) {
					b.Fatalf("Dixa has %d conversations", n)
				}
				if err := store.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			all := float64(len(w.lines) * b.N)
			b.ReportMetric(all/b.Elapsed().Seconds(), "transcripts/s")
			b.ReportMetric(float64(requests)/all, "requests/transcript")
			b.ReportMetric(float64(allocated)/all, "allocs/transcript")
		})
	}
}

// BenchmarkRunAgain reads transcripts that are all imported already.
func BenchmarkRunAgain(b *testing.B) {
	for _, kind := range stores {
		b.Run(kind, func(b *testing.B) {
			w := newBench(b)
			store := w.store(kind)
			defer func() { _ = store.Close() }()
			w.runAll(w.config(store), func(c checkpoint.Counts) int64 { return c.Imported })
			b.ReportAllocs()
			for b.Loop() {
				w.runAll(w.config(store), func(c checkpoint.Counts) int64 { return c.AlreadyDone })
			}
			b.ReportMetric(float64(len(w.lines)*b.N)/b.Elapsed().Seconds(), "transcripts/s")
		})
	}
}

// BenchmarkBareLoop sends only the requests of an import, without a checkpoint, a limit or any checks of the answers.
func BenchmarkBareLoop(b *testing.B) {
	w := newBench(b)
	b.ReportAllocs()
	var requests atomic.Int64
	for range b.N {
		b.StopTimer()
		w.fresh()
		b.StartTimer()
		bareLoop(w, &requests)
		b.StopTimer()
		if n := w.conversations(); n != len(w.lines) {
			b.Fatalf("Dixa has %d conversations", n)
		}
		b.StartTimer()
	}
	all := float64(len(w.lines) * b.N)
	b.ReportMetric(all/b.Elapsed().Seconds(), "transcripts/s")
	b.ReportMetric(float64(requests.Load())/all, "requests/transcript")
}

// bareTranscript is the part of a line that the bare loop reads.
type bareTranscript struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	ClosedAt  time.Time `json:"closed_at"`
	EndUser   struct {
		Email string `json:"email"`
		Name  string `json:"name"`
	} `json:"end_user"`
	Messages []struct {
		Role      string    `json:"role"`
		Text      string    `json:"text"`
		CreatedAt time.Time `json:"created_at"`
	} `json:"messages"`
	Attributes map[string]string `json:"attributes"`
}

const bareTime = "2006-01-02T15:04:05.000Z"

// bareLoop looks up every customer and creates the missing ones, 50 at a time. Then it imports and patches every transcript.
func bareLoop(w *bench, requests *atomic.Int64) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 2 * *benchWorkers, MaxIdleConnsPerHost: 2 * *benchWorkers}}
	defer client.CloseIdleConnections()
	send := func(method, path string, in, out any) {
		var body io.Reader
		if in != nil {
			data, err := json.Marshal(in)
			if err != nil {
				panic(err)
			}
			body = bytes.NewReader(data)
		}
		req, err := http.NewRequest(method, w.url+"/v1"+path, body)
		if err != nil {
			panic(err)
		}
		req.Header.Set("Authorization", "Bearer "+w.token)
		if in != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := client.Do(req)
		if err != nil {
			panic(err)
		}
		defer func() { _ = resp.Body.Close() }()
		requests.Add(1)
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil || resp.StatusCode > 299 {
			panic(fmt.Sprint(resp.Status, err))
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	transcripts, customers := make([]bareTranscript, len(w.lines)), map[string]string{}
	inParallel(len(w.lines), func(i int) {
		if err := json.Unmarshal(w.lines[i], &transcripts[i]); err != nil {
			panic(err)
		}
	})
	var emails []string
	for _, t := range transcripts {
		if _, met := customers[t.EndUser.Email]; !met {
			customers[t.EndUser.Email] = ""
			emails = append(emails, t.EndUser.Email)
		}
	}
	inParallel(len(emails), func(i int) {
		var found struct{ Data []struct{ ID string } }
		send(http.MethodGet, "/endusers?email="+url.QueryEscape(emails[i]), nil, &found)
	})
	var mu sync.Mutex
	inParallel((len(emails)+49)/50, func(i int) {
		some := emails[50*i : min(50*i+50, len(emails))]
		users := make([]map[string]string, len(some))
		for j, email := range some {
			users[j] = map[string]string{"email": email, "displayName": "Customer"}
		}
		var created struct {
			Data []struct{ Data struct{ ID string } }
		}
		send(http.MethodPost, "/endusers/bulk", fields{"data": users}, &created)
		mu.Lock()
		defer mu.Unlock()
		for j, email := range some {
			customers[email] = created.Data[j].Data.ID
		}
	})
	inParallel(len(transcripts), func(i int) {
		t := transcripts[i]
		var imported struct{ Data struct{ ID int64 } }
		send(http.MethodPost, "/conversations/import", barePayload(t, customers[t.EndUser.Email]), &imported)
		var patched any
		send(http.MethodPatch, fmt.Sprintf("/conversations/%d/custom-attributes", imported.Data.ID),
			map[string]string{sandbox.OrderNumberID: t.Attributes["order"]}, &patched)
	})
}

type bareMessage struct {
	Type        string            `json:"_type"`
	Content     map[string]string `json:"content"`
	AgentID     string            `json:"agentId,omitempty"`
	Attachments []string          `json:"attachments"`
	ExternalID  string            `json:"externalId"`
	CreatedAt   string            `json:"createdAt"`
}

func barePayload(t bareTranscript, requester string) fields {
	name := testSource + "/" + t.ID
	messages := make([]bareMessage, len(t.Messages))
	for j, m := range t.Messages {
		messages[j] = bareMessage{Type: "InboundImport", Content: map[string]string{"_type": "Text", "value": m.Text}, Attachments: []string{},
			ExternalID: fmt.Sprintf("%s:%d", name, j+1), CreatedAt: m.CreatedAt.UTC().Format(bareTime)}
		if m.Role != "user" {
			messages[j].Type, messages[j].AgentID = "OutboundImport", sandbox.DefaultAgentID
		}
	}
	created, closed := t.CreatedAt.UTC().Format(bareTime), t.ClosedAt.UTC().Format(bareTime)
	return fields{"_type": "GenericConversationImport", "genericChannelName": dixa.ChannelName, "requesterId": requester,
		"requesterConnectionStatus": "Disconnected", "direction": "Inbound", "createdAt": created, "externalId": name, "messages": messages,
		"assignment": fields{"agentId": sandbox.DefaultAgentID, "assignedAt": created},
		"closing":    fields{"closedAt": closed, "closedBy": sandbox.DefaultAgentID}}
}

// inParallel calls do with all numbers below n, in as many goroutines as there are workers.
func inParallel(n int, do func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range *benchWorkers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	all.Wait()
}

// BenchmarkLimiter waits for a limiter with a high rate, with as many workers as a run has.
func BenchmarkLimiter(b *testing.B) { takeTurns(b, dixa.NewLimiter(1e9, 4)) }

// BenchmarkSharedLimiter is BenchmarkLimiter with rate slots in Postgres.
func BenchmarkSharedLimiter(b *testing.B) {
	s, err := checkpoint.Open(b.Context(), pgtest.New(b), checkpoint.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, _, err := s.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	slots := s.RateSlots()
	takeTurns(b, importer.NewSharedLimiter(slots, "token", 1e6, 4, slog.New(slog.DiscardHandler)))
}

func takeTurns(b *testing.B, limiter dixa.Limiter) {
	b.ReportAllocs()
	b.ResetTimer()
	inParallel(b.N, func(int) {
		if err := limiter.Wait(b.Context()); err != nil {
			b.Error(err)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
