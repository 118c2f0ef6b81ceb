package live

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve starts a Server; stop ends it and returns its error.
func serve(t *testing.T, c ServerConfig) (address string, stop func() error) {
	t.Helper()
	c.Address = "127.0.0.1:0"
	s, err := Listen(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	var failed error
	go func() {
		defer close(ended)
		failed = s.Serve(ctx)
	}()
	stop = func() error {
		cancel()
		<-ended
		return failed
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String(), stop
}

func get(t *testing.T, client *http.Client, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func newClient(t *testing.T, transport *http.Transport) *http.Client {
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestServer(t *testing.T) {
	t.Parallel()
	var away error
	address, _ := serve(t, ServerConfig{Ready: func(context.Context) error { return away },
		Handlers: map[string]http.Handler{"POST /transcripts": http.NotFoundHandler(), "/metrics": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })}})
	client := newClient(t, &http.Transport{})
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 201, "/transcripts": 405, "/other": 404} {
		if got := get(t, client, "http://"+address+path); got != want {
			t.Errorf("%s answers %d, want %d", path, got, want)
		}
	}
	away = errors.New("away")
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503} {
		if got := get(t, client, "http://"+address+path); got != want {
			t.Errorf("without the database, %s answers %d, want %d", path, got, want)
		}
	}
}

// TestServerLimits: slow headers and bodies are cut off, and a handler may take longer than the body.
func TestServerLimits(t *testing.T) {
	t.Parallel()
	bodies := make(chan error, 10)
	address, _ := serve(t, ServerConfig{HeaderTimeout: 250 * time.Millisecond, BodyTimeout: 250 * time.Millisecond, IdleTimeout: 10 * time.Second, Connections: 2,
		Handlers: map[string]http.Handler{"/": http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			_, err := io.ReadAll(req.Body)
			bodies <- err
			if err == nil {
				<-time.After(600 * time.Millisecond) // longer than the body may take
				if req.Context().Err() != nil {
					w.WriteHeader(http.StatusInternalServerError)
				}
			}
		})}})
	talk := func(text string) (net.Conn, *bufio.Reader) {
		t.Helper()
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		return conn, bufio.NewReader(conn)
	}
	conn, in := talk("GET / HTTP/1.1\r\nHost:")
	if _, err := io.ReadAll(in); err != nil { // the connection is closed
		t.Fatal(err)
	}
	_ = conn.Close()
	conn, _ = talk("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
	if err := <-bodies; err == nil {
		t.Error("a slow body is waited for")
	}
	_ = conn.Close()
	conn, in = talk("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n12")
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, " 200 ") {
		t.Errorf("a slow handler: %q, %v", line, err)
	}
	if err := <-bodies; err != nil {
		t.Error(err)
	}
	_ = conn.Close()
	conn, in = talk("GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10))
	if line, err := in.ReadString('\n'); err == nil && !strings.Contains(line, " 431 ") {
		t.Errorf("a large header: %q, %v", line, err)
	}
	_ = conn.Close()
	// The third connection waits until one of the first two ends.
	first, in := talk("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, " 200 ") {
		t.Errorf("the first of three: %q, %v", line, err)
	}
	_, second := talk("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := second.ReadString('\n'); err != nil || !strings.Contains(line, " 200 ") {
		t.Errorf("the second of three: %q, %v", line, err)
	}
	third, in := talk("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	_ = third.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if line, err := in.ReadString('\n'); err == nil {
		t.Errorf("the third of three is answered: %q", line)
	}
	_ = first.Close()
	_ = third.SetReadDeadline(time.Now().Add(10 * time.Second))
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, " 200 ") {
		t.Errorf("the third of three: %q, %v", line, err)
	}
}

// TestServerStops: a request under way is answered, unless it takes too long.
func TestServerStops(t *testing.T) {
	t.Parallel()
	for _, slow := range []bool{false, true} {
		began, finish := make(chan struct{}), make(chan struct{})
		drain := 10 * time.Second
		if slow {
			drain = 20 * time.Millisecond
		}
		address, stop := serve(t, ServerConfig{DrainTimeout: drain, Handlers: map[string]http.Handler{"/": http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			close(began)
			<-finish
		})}})
		client := newClient(t, &http.Transport{})
		answered := make(chan error)
		go func() {
			req, _ := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "http://"+address, nil)
			res, err := client.Do(req)
			if err == nil {
				_ = res.Body.Close()
			}
			answered <- err
		}()
		<-began
		stopped := make(chan error)
		go func() { stopped <- stop() }()
		if !slow {
			close(finish)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if err := <-answered; (err != nil) != slow {
			t.Errorf("slow %v: the request ends with %v", slow, err)
		}
		if slow {
			close(finish)
		}
	}
}

func TestServerTLS(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for file, data := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address, _ := serve(t, ServerConfig{CertFile: certFile, KeyFile: keyFile})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	client := newClient(t, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true})
	if got := get(t, client, "https://"+address+"/healthz"); got != 200 {
		t.Errorf("answered %d", got)
	}
	if _, err := Listen(t.Context(), ServerConfig{Address: "127.0.0.1:0", CertFile: certFile}); err == nil {
		t.Error("a certificate without a key is accepted")
	}
	if _, err := Listen(t.Context(), ServerConfig{Address: address}); err == nil {
		t.Error("an address that is taken is accepted")
	}
}
