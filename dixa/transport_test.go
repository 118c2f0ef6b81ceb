package dixa

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func countNew(n *atomic.Int32) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			n.Add(1)
		}
	}
}

// rawServer accepts connections and lets serve talk on each, told its number from 1. It returns the address.
func rawServer(t *testing.T, serve func(conn *net.TCPConn, n int)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				serve(conn.(*net.TCPConn), n)
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); wg.Wait() })
	return "http://" + listener.Addr().String()
}

// readRequest reads a whole request, and reports whether one came.
func readRequest(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

func say(conn net.Conn, body string) {
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "+
		itoa(len(body))+"\r\n\r\n"+body)
}

func itoa(n int) string {
	if n >= 10 {
		return itoa(n/10) + string(rune('0'+n%10))
	}
	return string(rune('0' + n))
}

func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	reset := func(conn *net.TCPConn) { _ = conn.SetLinger(0) }
	tests := map[string]func(conn *net.TCPConn, r *bufio.Reader){
		"closed after the request": func(*net.TCPConn, *bufio.Reader) {},
		"reset after the request":  func(conn *net.TCPConn, _ *bufio.Reader) { reset(conn) },
		"no HTTP": func(conn *net.TCPConn, _ *bufio.Reader) {
			_, _ = io.WriteString(conn, "hello "+testEmail+"\r\n\r\n")
		},
		"bad header": func(conn *net.TCPConn, _ *bufio.Reader) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+testEmail+" "+testPhone+"\r\n\r\n")
		},
		"answer cut off": func(conn *net.TCPConn, _ *bufio.Reader) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":[\""+testEmail)
		},
		"bad chunk": func(conn *net.TCPConn, _ *bufio.Reader) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+testEmail+"\r\n")
		},
	}
	for name, end := range tests {
		for kind, k := range kinds {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				var requests atomic.Int32
				base := rawServer(t, func(conn *net.TCPConn, _ int) {
					r := bufio.NewReader(conn)
					if readRequest(r) {
						requests.Add(1)
						end(conn, r)
					}
				})
				c := newClient(t, base, func(cfg *Config) { cfg.MaxAttempts = 3 })
				err := k.call(t.Context(), c)
				if err == nil || NotApplied(err) || !Transient(err) {
					t.Fatalf("error %v: not applied %v, transient %v", err, NotApplied(err), Transient(err))
				}
				noSecrets(t, err)
				want := int32(1)
				if k.idempotent {
					want = 3
				}
				if got := requests.Load(); got != want {
					t.Errorf("%d requests, want %d", got, want)
				}
			})
		}
	}
}

// A kept connection that the server closes is the place where net/http repeats by itself.
func TestNoPostIsSentTwiceOnAKeptConnection(t *testing.T) {
	t.Parallel()
	t.Run("closed after reading the request", func(t *testing.T) {
		t.Parallel()
		for _, kind := range []string{"import", "create", "patch"} {
			var requests atomic.Int32
			base := rawServer(t, func(conn *net.TCPConn, _ int) {
				r := bufio.NewReader(conn)
				for first := true; readRequest(r); first = false {
					if requests.Add(1); !first {
						return // the second request of a connection gets no answer
					}
					say(conn, kinds[kind].good)
				}
			})
			c := newClient(t, base, func(cfg *Config) { cfg.MaxAttempts = 1 })
			if err := kinds[kind].call(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			err := kinds[kind].call(t.Context(), c)
			var transport *TransportError
			if !errors.As(err, &transport) || !transport.Written {
				t.Errorf("%s: error %v", kind, err)
			}
			if got := requests.Load(); got != 2 {
				t.Errorf("%s: the server saw %d requests for 2 calls", kind, got)
			}
		}
	})
	t.Run("closed while idle", func(t *testing.T) {
		t.Parallel()
		var requests, connections atomic.Int32
		base := rawServer(t, func(conn *net.TCPConn, _ int) {
			connections.Add(1)
			if r := bufio.NewReader(conn); readRequest(r) {
				requests.Add(1)
				say(conn, kinds["import"].good)
			}
		})
		c := newClient(t, base)
		good, doubts := int32(0), int32(0)
		for range 100 {
			err := kinds["import"].call(t.Context(), c)
			switch {
			case err == nil:
				good++
			case NotApplied(err):
				t.Errorf("a refusal: %v", err)
			default:
				doubts++
			}
		}
		// What was written to a closing connection is in doubt, but nothing may have been seen twice.
		if got := requests.Load(); got != good || good+doubts != 100 {
			t.Errorf("%d requests seen, %d answered, %d in doubt", got, good, doubts)
		}
		if connections.Load() < good {
			t.Errorf("%d connections for %d answers: the fault did not happen", connections.Load(), good)
		}
	})
}

func TestGetSurvivesAKeptConnectionThatCloses(t *testing.T) {
	t.Parallel()
	base := rawServer(t, func(conn *net.TCPConn, n int) {
		r := bufio.NewReader(conn)
		for first := true; readRequest(r) && (first || n > 1); first = false {
			say(conn, `{"data":[]}`)
		}
	})
	c := newClient(t, base, func(cfg *Config) { cfg.MaxAttempts = 1 })
	for range 5 {
		if _, err := c.ListQueues(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnUnreachableServerProvesThatNothingWasWritten(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := "http://" + listener.Addr().String()
	_ = listener.Close()
	noTLS := strings.Replace(rawServer(t, func(conn *net.TCPConn, _ int) {
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
	}), "http:", "https:", 1)
	stranger := httptest.NewTLSServer(http.NotFoundHandler())
	stranger.Config.ErrorLog = nil
	t.Cleanup(stranger.Close)
	silent := strings.Replace(rawServer(t, func(conn *net.TCPConn, _ int) { _, _ = io.Copy(io.Discard, conn) }), "http:", "https:", 1)
	for name, base := range map[string]string{"connection refused": refused, "no TLS": noTLS,
		"unknown certificate": stranger.URL, "TLS handshake hangs": silent, "no such host": "https://dixa.invalid"} {
		for kind, k := range kinds {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				c := newClient(t, base, func(cfg *Config) {
					cfg.MaxAttempts, cfg.Timeout = 3, 300*time.Millisecond
				})
				err := k.call(t.Context(), c)
				var transport *TransportError
				if !errors.As(err, &transport) || transport.Written || !NotApplied(err) || !Transient(err) {
					t.Fatalf("error %v", err)
				}
				if errors.Is(err, context.DeadlineExceeded) {
					t.Error("it looks like the end of the caller's context")
				}
				noSecrets(t, err)
				if s := c.Stats(); s.Requests != 0 || s.Retries != 2 {
					t.Errorf("stats %+v: every kind may be repeated, and none left", s)
				}
			})
		}
	}
}

func TestThePreviousErrorOfAnUnwrittenImport(t *testing.T) {
	t.Parallel()
	c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) { reply(w, 201, `{"data":{"id":7}}`) })
	transport := c.http.Transport.(*http.Transport)
	dial, dials := transport.DialContext, 0
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dials++; dials == 1 {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		}
		return dial(ctx, network, addr)
	}
	var previous []error
	result, err := c.ImportConversation(t.Context(), ConversationImport{}, func(_ context.Context, _ int, err error) (time.Time, error) {
		previous = append(previous, err)
		return time.Time{}, nil
	})
	if err != nil || result.ID != 7 || len(rec.all()) != 1 {
		t.Fatalf("%+v %v, %d requests", result, err, len(rec.all()))
	}
	var unwritten *TransportError
	if len(previous) != 2 || previous[0] != nil || !errors.As(previous[1], &unwritten) || unwritten.Written {
		t.Errorf("previous errors %v", previous)
	}
}

func TestAProtocolSwitchIsNotRead(t *testing.T) {
	t.Parallel()
	base := rawServer(t, func(conn *net.TCPConn, _ int) {
		r := bufio.NewReader(conn)
		if readRequest(r) {
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			_, _ = r.ReadByte()
		}
	})
	err := kinds["import"].call(t.Context(), newClient(t, base))
	if api, ok := errors.AsType[*APIError](err); !ok || api.Status != 101 || NotApplied(err) {
		t.Errorf("error %v", err)
	}
}

func TestHTTP2IsNotSpoken(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec.add(r)
		reply(w, 200, `{"data":[]}`)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	c := newClient(t, server.URL)
	c.http.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	if _, err := c.ListQueues(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := rec.all()[0].proto; got != 1 {
		t.Errorf("HTTP/%d", got)
	}
}
