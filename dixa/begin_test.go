package dixa

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// countedConn counts the bytes that reach the network.
type countedConn struct {
	net.Conn
	sent *atomic.Int64
}

func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// late is an API in memory whose connections can be held up.
type late struct {
	*Client
	sent    atomic.Int64 // bytes, TLS handshakes included
	dials   atomic.Int32
	imports recorder
	onDial  func() // before each dial
}

// tlsConfigs returns the configurations of a server and of a client that trusts it.
func tlsConfigs() (server, client *tls.Config) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS, s.Client().Transport.(*http.Transport).TLSClientConfig
}

// lateAPI starts an API inside a synctest bubble. It answers a GET after a second, and reads imports slowly.
func lateAPI(t *testing.T, server, client *tls.Config) *late {
	t.Helper()
	l, m := &late{onDial: func() {}}, &memory{conns: make(chan net.Conn), closed: make(chan struct{})}
	base, listener := "http://127.0.0.1", net.Listener(m)
	if server != nil {
		base, listener = "https://127.0.0.1", tls.NewListener(m, server)
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			time.Sleep(time.Second)
			reply(w, 200, `{"data":[]}`)
			return
		}
		time.Sleep(4 * time.Second) // the rest of a big body is written after the bound
		l.imports.add(r)
		reply(w, 201, kinds["import"].good)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(listener) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	l.Client = newClient(t, base)
	transport := l.http.Transport.(*http.Transport)
	transport.TLSClientConfig = client
	transport.DialContext = dialGuarded(func(ctx context.Context, network, addr string) (net.Conn, error) {
		l.dials.Add(1)
		l.onDial()
		conn, err := m.dial(ctx, network, addr)
		return countedConn{conn, &l.sent}, err
	})
	return l
}

// holdUp returns a function that holds up whoever calls it first.
func holdUp() func() {
	return sync.OnceFunc(func() { time.Sleep(2 * time.Second) })
}

func TestNoImportBeginsTooLate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		dials int32 // in all
		hold  func(ctx context.Context, t *testing.T, l *late) context.Context
	}{
		"at the dial": {2, func(ctx context.Context, _ *testing.T, l *late) context.Context {
			l.onDial = holdUp()
			return ctx
		}},
		"on a new connection": {2, holdUpConnection},
		"on a kept connection": {2, func(ctx context.Context, t *testing.T, l *late) context.Context {
			var wg sync.WaitGroup
			for range 2 { // so that the second one is left for the repetition
				wg.Go(func() {
					if err := kinds["get"].call(ctx, l.Client); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			return holdUpConnection(ctx, t, l)
		}},
	}
	for name, test := range tests {
		for _, size := range []int{10, 1 << 20} {
			for _, scheme := range []string{"http", "https"} {
				t.Run(name+" "+scheme+" "+itoa(size), func(t *testing.T) {
					t.Parallel()
					var server, client *tls.Config
					if scheme == "https" {
						server, client = tlsConfigs()
					}
					synctest.Test(t, func(t *testing.T) {
						l := lateAPI(t, server, client)
						importLate(test.hold(t.Context(), t, l), t, l, size)
						if got := l.dials.Load(); got != test.dials {
							t.Errorf("%d dials, want %d", got, test.dials)
						}
					})
				})
			}
		}
	}
}

// holdUpConnection holds up the next request between its connection and its first byte.
func holdUpConnection(ctx context.Context, _ *testing.T, _ *late) context.Context {
	hold := holdUp()
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { hold() }})
}

// importLate makes an import whose first attempt is held up for two seconds although it must begin within one.
func importLate(ctx context.Context, t *testing.T, l *late, size int) {
	t.Helper()
	earlier := l.Stats()
	var connected int64 // bytes sent when the first attempt had its connection
	noted := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if !noted {
			noted, connected = true, l.sent.Load()
		}
	}})
	var previous []error
	in := ConversationImport{Messages: []ImportMessage{{Type: InboundImport, Content: Content{Text, strings.Repeat("x", size)}}}}
	result, err := l.ImportConversation(ctx, in, func(_ context.Context, _ int, err error) (time.Time, error) {
		if previous = append(previous, err); len(previous) == 2 && l.sent.Load() != connected {
			t.Errorf("%d bytes of the late request were sent", l.sent.Load()-connected)
		}
		return time.Now().Add(time.Second), nil
	})
	all := l.imports.all()
	if err != nil || result.ID != 7 || len(all) != 1 || !noted {
		t.Fatalf("%+v %v, %d requests", result, err, len(all))
	}
	if n := strings.Count(all[0].body, "x"); n < size {
		t.Errorf("%d of %d bytes came", n, size)
	}
	var unwritten *TransportError
	if len(previous) != 2 || !errors.As(previous[1], &unwritten) || unwritten.Written || !errors.Is(previous[1], errTooLate) || !NotApplied(previous[1]) {
		t.Errorf("previous errors %v", previous)
	}
	if s := l.Stats(); s.Requests != earlier.Requests+1 || s.Retries != 1 {
		t.Errorf("stats %+v after %+v", s, earlier)
	}
}

func TestABoundThatIsOverNeedsNoConnection(t *testing.T) {
	t.Parallel()
	c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) { reply(w, 201, kinds["import"].good) },
		func(cfg *Config) { cfg.MaxAttempts = 2 * failuresInARow })
	c.http.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		t.Error("it was dialled")
		return nil, net.ErrClosed
	}
	_, err := c.ImportConversation(t.Context(), ConversationImport{}, func(context.Context, int, error) (time.Time, error) {
		return time.Now().Add(-time.Microsecond), nil
	})
	if !errors.Is(err, errTooLate) || !NotApplied(err) || !Transient(err) || len(rec.all()) != 0 {
		t.Errorf("error %v, %d requests", err, len(rec.all()))
	}
	if s := c.Stats(); s.Requests != 0 || s.Retries != 2*failuresInARow-1 || c.gate.failures != 0 {
		t.Errorf("stats %+v, %d failures that say something about the API", s, c.gate.failures)
	}
}

// forge returns a moment that is as far ahead as said, by either clock.
func forge(t *testing.T, wall, monotonic time.Duration) time.Time {
	t.Helper()
	now := time.Now()
	moment := now.Add(wall)
	*(*int64)(unsafe.Add(unsafe.Pointer(&moment), 8)) += int64(monotonic - wall) // time.Time.ext, the monotonic reading
	if moment.Sub(now) != monotonic || moment.Round(0).Sub(now.Round(0)) != wall {
		t.Fatal("time.Time is made differently now")
	}
	return moment
}

func TestEitherClockEndsABound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		notAfter time.Time
		want     bool
	}{
		"no bound":                     {time.Time{}, false},
		"ahead":                        {forge(t, time.Hour, time.Hour), false},
		"over":                         {forge(t, -time.Hour, -time.Hour), true},
		"over, machine suspended":      {forge(t, -time.Hour, time.Hour), true},
		"over, clock set back":         {forge(t, time.Hour, -time.Hour), true},
		"ahead, without monotonic":     {time.Now().Round(0).Add(time.Hour), false},
		"over, without monotonic":      {time.Now().Round(0).Add(-time.Hour), true},
		"over, of another time zone":   {time.Now().Add(-time.Second).In(time.FixedZone("", 3600)), true},
		"ahead, from a database's row": {time.Now().UTC().Add(time.Hour).Truncate(time.Millisecond), false},
	} {
		if got := isOver(test.notAfter); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTheBeginningOfARequest(t *testing.T) {
	t.Parallel()
	type world struct {
		*beginning
		*guardedConn
	}
	write := func(t *testing.T, w world, want error) {
		t.Helper()
		if _, err := w.Write([]byte("x")); !errors.Is(err, want) {
			t.Errorf("write: %v, want %v", err, want)
		}
	}
	again := func(w world) {
		w.trace().GetConn("")
		w.trace().GotConn(httptrace.GotConnInfo{Conn: w.guardedConn})
	}
	tests := map[string]struct {
		method string
		do     func(t *testing.T, w world)
		sent   int64
		want   bool // some of the request may have been written
	}{
		"nothing happened":   {http.MethodPost, func(*testing.T, world) {}, 0, false},
		"written":            {http.MethodPost, func(t *testing.T, w world) { write(t, w, nil) }, 1, true},
		"written and ended":  {http.MethodPost, func(t *testing.T, w world) { write(t, w, nil); w.end(); write(t, w, nil) }, 2, true},
		"ended, and written": {http.MethodPost, func(t *testing.T, w world) { w.end(); write(t, w, errTooLate) }, 0, false},
		"late": {http.MethodPost, func(t *testing.T, w world) {
			w.notAfter = time.Now().Add(-time.Second)
			write(t, w, errTooLate)
		}, 0, false},
		"late, and the clock is set back": {http.MethodPost, func(t *testing.T, w world) {
			w.notAfter = time.Now().Add(-time.Second)
			write(t, w, errTooLate)
			w.notAfter = time.Now().Add(time.Hour)
			again(w)
			write(t, w, errTooLate)
		}, 0, false},
		"late after the beginning": {http.MethodPost, func(t *testing.T, w world) {
			write(t, w, nil)
			w.notAfter = time.Now().Add(-time.Second)
			write(t, w, nil)
		}, 2, true},
		"POST repeated by net/http": {http.MethodPost, func(_ *testing.T, w world) { _ = w.begin(); again(w) }, 0, false},
		"POST repeated too late": {http.MethodPost, func(t *testing.T, w world) {
			_ = w.begin()
			w.notAfter = time.Now().Add(-time.Second)
			again(w)
			write(t, w, errTooLate)
		}, 0, false},
		"GET repeated by net/http": {http.MethodGet, func(_ *testing.T, w world) { _ = w.begin(); again(w) }, 0, true},
		"next request without bound": {http.MethodPost, func(t *testing.T, w world) {
			w.notAfter = time.Now().Add(-time.Second)
			next := &beginning{method: http.MethodGet}
			next.trace().GotConn(httptrace.GotConnInfo{Conn: w.guardedConn})
			write(t, w, nil)
		}, 1, false},
		"unguarded connection": {http.MethodPost, func(_ *testing.T, w world) {
			w.trace().GotConn(httptrace.GotConnInfo{Conn: w.Conn})
		}, 0, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here, there := net.Pipe()
			read := make(chan struct{})
			go func() { defer close(read); _, _ = io.Copy(io.Discard, there) }()
			var sent atomic.Int64
			w := world{&beginning{method: test.method, giveUp: func(error) {}}, &guardedConn{Conn: countedConn{here, &sent}}}
			inside := tls.Client(tls.Client(w.guardedConn, &tls.Config{}), &tls.Config{})
			w.trace().GotConn(httptrace.GotConnInfo{Conn: inside})
			test.do(t, w)
			if got := w.end(); got != test.want || sent.Load() != test.sent {
				t.Errorf("written %v, %d bytes sent", got, sent.Load())
			}
			_ = here.Close()
			<-read
		})
	}
}

// Whoever cancels a request at its beginning is told the truth about whether it left.
func TestACancelledBeginning(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		reply(w, 201, kinds["import"].good)
	}))
	c := newClient(t, server.URL)
	maybe := int32(0)
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		err := kinds["import"].call(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { cancel() }}), c)
		if !NotApplied(err) {
			maybe++
		}
		cancel()
	}
	server.Close() // waits for its requests
	if got := requests.Load(); got > maybe {
		t.Errorf("%d requests came, of which %d may have", got, maybe)
	}
	if got := c.Stats().Requests; got != int64(maybe) {
		t.Errorf("%d requests counted, %d may have left", got, maybe)
	}
}

// TestRequestsThatWereHeldUpLeaveOneByOne: what waited for the same thing takes another turn at the limiter.
func TestRequestsThatWereHeldUpLeaveOneByOne(t *testing.T) {
	t.Parallel()
	for _, window := range []time.Duration{time.Minute, 500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			a := inMemory(t, func(cfg *Config) { cfg.Limiter = NewLimiter(10, 4) })
			back := time.Now().Add(10 * time.Second)
			var mu sync.Mutex
			var left []time.Time
			var calls sync.WaitGroup
			for range 20 {
				calls.Go(func() {
					_, err := a.ImportConversation(t.Context(), ConversationImport{}, func(context.Context, int, error) (time.Time, error) {
						time.Sleep(time.Until(back))
						return time.Now().Add(window), nil
					})
					mu.Lock()
					defer mu.Unlock()
					left = append(left, time.Now())
					if err != nil {
						t.Error(err)
					}
				})
			}
			calls.Wait()
			for i := 1; i < len(left); i++ {
				if gap := left[i].Sub(left[i-1]); gap < 99*time.Millisecond || gap > 2*time.Second {
					t.Errorf("window %v: request %d left %v after the one before", window, i, gap)
				}
			}
			if n := a.Stats().Requests; n != 20 {
				t.Errorf("%d requests left", n)
			}
		})
	}
}
