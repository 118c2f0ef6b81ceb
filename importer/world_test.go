package importer_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/goleak"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/checkpoint/pgtest"
	"dixa-import/source"
)

// slow is set if the tests work more than they wait: with the race detector.
var slow bool

func TestMain(m *testing.M) {
	if spec, ok := os.LookupEnv(childEnv); ok {
		os.Exit(beChild(spec))
	}
	// These tests wait more than they work.
	flag.Parse()
	if at := flag.Lookup("test.parallel"); !slow && at.Value.String() == at.DefValue {
		_ = at.Value.Set(strconv.Itoa(4 * runtime.GOMAXPROCS(0)))
	}
	goleak.VerifyTestMain(pgtest.M{M: m})
}

// childEnv makes a test binary perform a run in a process of its own; its value describes the run.
const childEnv = "DIXA_IMPORT_TEST_CHILD"

// beChild performs that run and returns the exit code. It needs signals, which some systems lack.
var beChild = func(string) int { return 2 }

const testSource = "bot"

// world is a sandbox, a checkpoint and a directory for files.
type world struct {
	*testing.T
	api   *sandbox.Server
	http  *httptest.Server
	url   string // of the checkpoint
	files string
	logs  *lockedBuffer

	requests  atomic.Int64
	operation atomic.Pointer[func(sandbox.Operation)]
	before    atomic.Pointer[func(n int64)] // called before each request is served, with its number from 1
	tap       atomic.Pointer[tap]

	inspecting   sync.Mutex
	inspector    *checkpoint.Store // see inspected
	inspectedURL string
}

// ServeHTTP serves a request with the sandbox.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	n := w.requests.Add(1)
	if before := w.before.Load(); before != nil {
		(*before)(n)
	}
	if tap := w.tap.Load(); tap != nil {
		(*tap)(operationOf(r), rw, func(rw http.ResponseWriter) { w.api.ServeHTTP(rw, r) })
		return
	}
	w.api.ServeHTTP(rw, r)
}

// onOperation calls f for each request of the API, before it is served.
func (w *world) onOperation(f func(sandbox.Operation)) { w.operation.Store(&f) }

func (w *world) onRequest(before func(n int64)) { w.before.Store(&before) }

// stores are the kinds of checkpoints.
var stores = []string{"sqlite", "postgres"}

func onEveryStore(t *testing.T, test func(t *testing.T, store string)) { onStores(t, stores, test) }

// storesFor returns all stores, or only the faster one if not all are needed: the stores have tests of their own.
func storesFor(all bool) []string {
	if all {
		return stores
	}
	return stores[:1]
}

func onStores(t *testing.T, stores []string, test func(t *testing.T, store string)) {
	if testing.Short() {
		stores = storesFor(false)
	}
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			test(t, store)
		})
	}
}

func setup(t *testing.T, store string, opts sandbox.Options) *world {
	t.Helper()
	w := &world{T: t, files: t.TempDir(), logs: &lockedBuffer{}}
	opts.OnRequest = func(op sandbox.Operation, _ int) {
		if on := w.operation.Load(); on != nil && *on != nil {
			(*on)(op)
		}
	}
	w.api = sandbox.New(opts)
	w.http = httptest.NewServer(w)
	t.Cleanup(w.http.Close)
	if store == "postgres" {
		w.url = pgtest.NewPrepared(t, migrated)
	} else {
		path := filepath.Join(t.TempDir(), "checkpoint.db")
		empty, err := emptySQLite()
		if err == nil {
			err = os.WriteFile(path, empty, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.url = "sqlite:" + path
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("log of the runs:\n" + w.logs.String())
		}
		for _, v := range w.api.Violations() {
			t.Errorf("contract violation: %s", v)
		}
	})
	return w
}

// warnings returns the warnings of the runs, save those about a slow checkpoint: what a loaded disk causes is not tested.
func (w *world) warnings() (lines []string) {
	for line := range strings.Lines(w.logs.String()) {
		if strings.Contains(line, "level=WARN") && !strings.Contains(line, "the checkpoint database is slow") {
			lines = append(lines, line)
		}
	}
	return lines
}

// skipIfShort skips a test that kills, suspends or waits for long.
func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("with -short")
	}
}

// migrated creates the checkpoint's tables in a database.
func migrated(url string) error {
	s, err := checkpoint.Open(context.Background(), url, checkpoint.Options{Create: true})
	if err != nil {
		return err
	}
	_, _, err = s.Migrate(context.Background())
	return errors.Join(err, s.Close())
}

// emptySQLite returns an empty checkpoint. Copying it is faster than migrating each.
var emptySQLite = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "dixa-import-empty-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "checkpoint.db")
	if err := migrated("sqlite:" + path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func (w *world) open() *checkpoint.Store {
	w.Helper()
	s, err := checkpoint.Open(context.Background(), w.url, checkpoint.Options{Create: true})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = s.Close() })
	return s
}

// setFacts stores facts about Dixa's answers, so that a run need not find them out.
func (w *world) setFacts(ids checkpoint.ExternalIDs, lag time.Duration) {
	w.Helper()
	s := w.open()
	defer func() { _ = s.Close() }()
	of := checkpoint.Binding{BaseURL: w.http.URL, Organisation: sandbox.DefaultOrganizationID}
	if _, err := s.Learn(w.Context(), of, checkpoint.Facts{ExternalIDs: ids, ListLag: &lag, LookUpLag: &lag}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) client(change func(*dixa.Config)) *dixa.Client {
	w.Helper()
	cfg := dixa.Config{BaseURL: w.http.URL, Token: w.api.Token(), Timeout: 400 * time.Millisecond, Backoff: time.Millisecond,
		MaxAttempts: 3, Limiter: dixa.NewLimiter(0, 0)}
	if change != nil {
		change(&cfg)
	}
	c, err := dixa.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(c.Close)
	return c
}

// sql changes the checkpoint directly. The statement is written for Postgres.
func (w *world) sql(statement string) {
	w.Helper()
	driver, dsn := "pgx", w.url
	if path, ok := strings.CutPrefix(w.url, "sqlite:"); ok {
		driver, dsn, statement = "sqlite", path, strings.ReplaceAll(statement, "dixa_import.", "")
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(context.Background(), statement); err != nil {
		w.Fatal(err)
	}
}

// file writes lines to a file and returns its path.
func (w *world) file(name string, lines ...string) string {
	w.Helper()
	path := filepath.Join(w.files, name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		w.Fatal(err)
	}
	return path
}

func (w *world) jsonl(paths ...string) *source.JSONL {
	w.Helper()
	r, err := source.OpenJSONL(source.JSONLConfig{Paths: paths})
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// importer returns an Importer with short times. The store is closed at the end of the test.
func (w *world) importer(reader source.Reader, change func(*importer.Config)) *importer.Importer {
	w.Helper()
	cfg := importer.Config{
		Empty:  importer.EmptyReject, // so that some records are rejected
		Source: testSource, Reader: reader, BaseURL: w.http.URL, AgentID: sandbox.DefaultAgentID,
		Region: "DK", Workers: 16, RequestTimeout: 400 * time.Millisecond, Settle: 60 * time.Millisecond, SendWindow: sendWindow(), LearnPatience: 5 * time.Second,
		Logger: slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
	if change != nil {
		change(&cfg)
	}
	if cfg.API == nil {
		cfg.API = w.client(nil)
	}
	if cfg.Store == nil {
		cfg.Store = w.open()
	}
	im, err := importer.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	return im
}

// run performs a run and closes its store, as the end of a process does.
func (w *world) run(reader source.Reader, change func(*importer.Config)) (importer.Summary, error) {
	w.Helper()
	store := w.open()
	defer func() { _ = store.Close() }()
	s, err := w.importer(reader, func(c *importer.Config) {
		c.Store = store
		if change != nil {
			change(c)
		}
	}).Run(context.Background())
	checkCounts(w.T, s)
	return s, err
}

// sendWindow leaves time for a checkpoint all of whose statements are slow.
func sendWindow() time.Duration {
	if slow {
		return 1200 * time.Millisecond
	}
	return 300 * time.Millisecond
}

func checkCounts(t *testing.T, s importer.Summary) {
	t.Helper()
	c := s.Counts
	if sum := c.Imported + c.Partial + c.Failed + c.Rejected + c.Skipped + c.AlreadyDone + c.Duplicate + c.InDoubt + c.Pending; sum != c.Read {
		t.Errorf("read %d records, but the outcomes add up to %d: %+v", c.Read, sum, c)
	}
}

// mustRun performs a run that must end with the outcome.
func (w *world) mustRun(want importer.Outcome, reader source.Reader, change func(*importer.Config)) importer.Summary {
	w.Helper()
	s, err := w.run(reader, change)
	if err != nil || s.Outcome != want {
		w.Fatalf("run ended as %q (%s), error %v, want %q; counts %+v", s.Outcome, s.Reason, err, want, s.Counts)
	}
	return s
}

// inspected returns the checkpoint to read between runs, and a function to call afterwards. On Postgres, where connecting is expensive, it
// is shared by the whole test.
func (w *world) inspected() (s *checkpoint.Store, done func()) {
	w.Helper()
	if !strings.HasPrefix(w.url, "postgres:") {
		s = w.open()
		return s, func() { _ = s.Close() }
	}
	w.inspecting.Lock()
	defer w.inspecting.Unlock()
	if w.inspector == nil || w.inspectedURL != w.url {
		w.inspector, w.inspectedURL = w.open(), w.url
	}
	return w.inspector, func() {}
}

// row returns the row of a transcript.
func (w *world) row(id string) checkpoint.Row {
	w.Helper()
	s, done := w.inspected()
	defer done()
	rows, err := s.Lookup(context.Background(), testSource, 0, []string{id})
	if err != nil {
		w.Fatal(err)
	}
	return rows[id]
}

func (w *world) partialErrors(id string) []checkpoint.PartialError {
	w.Helper()
	s, done := w.inspected()
	defer done()
	p, err := s.PartialErrors(context.Background(), testSource, id)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// wantRow checks status and error code of a transcript, and that it has a conversation if and only if its status requires one.
func (w *world) wantRow(id string, status checkpoint.Status, code string) checkpoint.Row {
	w.Helper()
	row := w.row(id)
	if row.Status != status || row.ErrorCode != code {
		w.Errorf("transcript %s is %q (%s: %s), want %q (%s)", id, row.Status, row.ErrorCode, row.Error, status, code)
	}
	if (row.ConversationID != 0) != status.HasConversation() {
		w.Errorf("transcript %s is %q with conversation %d", id, row.Status, row.ConversationID)
	}
	return row
}

// wantOnce checks that Dixa has the transcript exactly once, and returns its conversation.
func (w *world) wantOnce(id string) sandbox.Conversation {
	w.Helper()
	list := w.api.ConversationsByExternalID(testSource + "/" + id)
	if len(list) != 1 {
		w.Fatalf("Dixa has %d conversations of transcript %s, want 1", len(list), id)
	}
	return list[0]
}

func (w *world) wantFired(faults ...string) {
	w.Helper()
	fired := w.api.Fired()
	for _, f := range faults {
		if fired[f] == 0 {
			w.Errorf("the fault %s did not fire: %v", f, fired)
		}
	}
}

// chat returns a simple closed transcript. The fields override or extend it; nil removes one.
func chat(id string, fields map[string]any) string {
	record := map[string]any{
		"id": id, "created_at": "2026-11-19T08:00:00Z", "closed_at": "2026-11-19T08:12:30Z",
		"end_user": map[string]any{"external_id": "c-" + id, "name": "Ann Lee"},
		"messages": []any{
			map[string]any{"role": "user", "text": "Where is my order?", "created_at": "2026-11-19T08:00:01Z"},
			map[string]any{"role": "bot", "text": "It ships **today**.", "format": "markdown", "created_at": "2026-11-19T08:00:03Z"},
		},
	}
	for k, v := range fields {
		if v == nil {
			delete(record, k)
			continue
		}
		record[k] = v
	}
	line, err := json.Marshal(record)
	if err != nil {
		panic(err)
	}
	return string(line)
}

func chats(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = chat(fmt.Sprintf("t-%d", i), map[string]any{"end_user": map[string]any{"external_id": fmt.Sprintf("c-%d", i%7)}})
	}
	return lines
}

type fields = map[string]any

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

// together runs a subtest for each case, several at once regardless of -parallel: they wait more than they work.
func together[T any](t *testing.T, cases []T, name func(T) string, test func(*testing.T, T)) {
	t.Helper()
	places := make(chan struct{}, 6)
	var all sync.WaitGroup
	for _, tc := range cases {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			t.Run(name(tc), func(t *testing.T) { test(t, tc) })
		})
	}
	all.Wait()
}
