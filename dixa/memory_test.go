package dixa

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// memory is a listener whose connections are pipes, so that synctest sees who waits for what.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case conn := <-m.conns:
		return conn, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error   { close(m.closed); return nil }
func (m *memory) Addr() net.Addr { return &net.TCPAddr{} }

func (m *memory) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	m.conns <- there
	return here, nil
}

// api is a Dixa in memory that can be away.
type api struct {
	*Client
	*memory
	logged lockedBuffer
	ill    atomic.Pointer[illness] // nil: it answers
	mu     sync.Mutex
	missed []string // method and path of the requests and dials that came during an illness
}

// illness is what happens to requests; a dial that fails counts as one.
type illness struct {
	dial  error
	serve http.HandlerFunc
	only  string // a part of the method and path of the requests that it concerns; "": all
}

var illnesses = map[string]*illness{
	"503":          {serve: func(w http.ResponseWriter, _ *http.Request) { reply(w, 503, "<html>") }},
	"hangs":        {serve: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	"broken":       {serve: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	"captive page": {serve: func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, "<html>pay for your wifi") }},
	"refuses":      {dial: &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}},
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// inMemory starts an API inside a synctest bubble, with the default backoff.
func inMemory(t *testing.T, change ...func(*Config)) *api {
	t.Helper()
	a := &api{memory: &memory{conns: make(chan net.Conn), closed: make(chan struct{})}}
	server := &http.Server{Handler: a, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(a.memory) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	a.Client = newClient(t, "http://127.0.0.1", append([]func(*Config){func(cfg *Config) {
		cfg.Backoff, cfg.Timeout, cfg.Limiter = 0, 2*time.Second, NewLimiter(0, 0)
		cfg.Logger = slog.New(slog.NewTextHandler(&a.logged, nil))
	}}, change...)...)
	a.http.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if ill := a.ill.Load(); ill != nil && ill.dial != nil {
			a.miss("dial")
			return nil, ill.dial
		}
		return a.dial(ctx, network, addr)
	}
	return a
}

func (a *api) miss(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.missed = append(a.missed, what)
}

func (a *api) allMissed() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.missed...)
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // or the server would not notice that the client is gone
	ill := a.ill.Load()
	switch {
	case ill != nil && ill.serve != nil && strings.Contains(r.Method+" "+r.URL.Path, ill.only):
		a.miss(r.Method + " " + r.URL.Path)
		ill.serve(w, r)
	case strings.HasSuffix(r.URL.Path, "/import"):
		reply(w, 201, kinds["import"].good)
	case r.Method == http.MethodPost:
		reply(w, 201, kinds["create"].good)
	default:
		reply(w, 200, `{"data":[]}`)
	}
}

// fall makes the API ill and fails requests until the client has noticed, with a caller that waits for its return.
func (a *api) fall(t *testing.T, ill *illness) (wait func() error) {
	t.Helper()
	a.ill.Store(ill)
	errs := make(chan error, 1)
	go func() { errs <- kinds["get"].call(t.Context(), a.Client) }()
	time.Sleep(20 * time.Second)
	if !a.Stats().Down {
		t.Fatalf("the API is not down after %v", a.allMissed())
	}
	return func() error { return <-errs }
}

// count returns how many of the strings contain part.
func count(all []string, part string) (n int) {
	for _, s := range all {
		if strings.Contains(s, part) {
			n++
		}
	}
	return n
}
