package dixa

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testToken = "top.secret-token.value"
	testEmail = "ann.lee+shop@example.org"
	testPhone = "+4512345678"
)

// recorder keeps what a server saw.
type recorder struct {
	mu       sync.Mutex
	requests []seen
}

type seen struct {
	method, uri, body string
	header            http.Header
	proto             int
}

func (r *recorder) add(req *http.Request) int {
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body)) // for the handler
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, seen{req.Method, req.RequestURI, string(body), req.Header.Clone(), req.ProtoMajor})
	return len(r.requests)
}

func (r *recorder) all() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]seen(nil), r.requests...)
}

// quickLimiter neither paces nor pauses; it counts.
type quickLimiter struct {
	mu        sync.Mutex
	waits     int
	throttled []time.Duration
}

func (l *quickLimiter) Wait(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits++
	return ctx.Err()
}

func (l *quickLimiter) Throttled(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.throttled = append(l.throttled, d)
}

func (l *quickLimiter) counts() (int, []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waits, append([]time.Duration(nil), l.throttled...)
}

// setup starts a server under the base path /gateway whose handler is told the number of the request, from 1.
func setup(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int), change ...func(*Config)) (*Client, *recorder) {
	t.Helper()
	rec := &recorder{}
	mux := http.NewServeMux()
	serve := func(w http.ResponseWriter, r *http.Request) { answer(w, r, rec.add(r)) }
	mux.HandleFunc("/gateway/v1/", serve)
	mux.HandleFunc("/next/", serve)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return newClient(t, server.URL+"/gateway/", change...), rec
}

func newClient(t *testing.T, base string, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{BaseURL: base, Token: testToken, Timeout: 10 * time.Second, Backoff: time.Microsecond, Limiter: &quickLimiter{}}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// reply answers with a status and a body.
func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// noSecrets fails if an error, or anything that it wraps, gives away what it must not.
func noSecrets(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		text := fmt.Sprintf("%v %+v %#v %s", e, e, e, e.Error())
		for _, secret := range []string{testToken, testEmail, testPhone, testPhone[1:], "%40example", "example.org"} {
			if strings.Contains(text, secret) {
				t.Errorf("the error %T gives away %q: %s", e, secret, text)
			}
		}
	}
}

func TestNewValidates(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cfg  Config
		want string // part of the error, "" for none
	}{
		"defaults":              {Config{Token: "t"}, ""},
		"path prefix":           {Config{Token: "t", BaseURL: "https://proxy.example/dixa/"}, ""},
		"loopback IPv4":         {Config{Token: "t", BaseURL: "http://127.0.0.2:8080"}, ""},
		"loopback IPv6":         {Config{Token: "t", BaseURL: "http://[::1]:8080"}, ""},
		"localhost":             {Config{Token: "t", BaseURL: "http://localhost:8080"}, ""},
		"token with newline":    {Config{Token: "t\n"}, ""},
		"no token":              {Config{}, "token is missing"},
		"bearer in the token":   {Config{Token: "Bearer abc"}, "without \"Bearer\""},
		"control in the token":  {Config{Token: "a\x00b"}, "characters"},
		"http elsewhere":        {Config{Token: "t", BaseURL: "http://dev.dixa.io"}, "https://"},
		"http, loopback prefix": {Config{Token: "t", BaseURL: "http://localhost.evil.example"}, "https://"},
		"userinfo":              {Config{Token: "t", BaseURL: "https://user:hunter2@dev.dixa.io"}, "user name or a password"},
		"query":                 {Config{Token: "t", BaseURL: "https://dev.dixa.io?x=1"}, "query"},
		"version":               {Config{Token: "t", BaseURL: "https://dev.dixa.io/v1/"}, "leave that out"},
		"no scheme":             {Config{Token: "t", BaseURL: "dev.dixa.io"}, "unreadable"},
		"other scheme":          {Config{Token: "t", BaseURL: "ftp://dev.dixa.io"}, "unreadable"},
		"unparsable":            {Config{Token: "t", BaseURL: "https://user:hunter2@[::1"}, "unreadable"},
		"negative timeout":      {Config{Token: "t", Timeout: -1}, "negative"},
		"header injection":      {Config{Token: "t", UserAgent: "a\r\nX: y"}, "user agent"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := New(test.cfg)
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("New: %v, want an error with %q", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error gives away the password: %v", err)
			}
		})
	}
}

func TestNothingPrintsTheToken(t *testing.T) {
	t.Parallel()
	cfg := Config{BaseURL: "https://user:hunter2@dev.dixa.io?q=hunter2", Token: testToken}
	valid := cfg
	valid.BaseURL = ""
	c, err := New(valid)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, cfg, &cfg, c, struct{ C Config }{cfg})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("", "config", cfg, "client", c)
	slog.New(slog.NewTextHandler(&out, nil)).Info("", "config", cfg, "client", c)
	data, _ := json.Marshal(valid)
	out.Write(data)
	for _, secret := range []string{testToken, fmt.Sprintf("%x", testToken)} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the token is printed: %s", out.String())
		}
	}
}

func TestEveryRequestIsComplete(t *testing.T) {
	t.Parallel()
	c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		reply(w, 200, `{"data":{"id":"org"}}`)
	})
	if _, ok := c.ClockSkew(); ok {
		t.Error("a skew before the first answer")
	}
	if _, err := c.GetOrganization(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := rec.all()[0]
	for name, want := range map[string]string{"Authorization": "Bearer " + testToken, "User-Agent": "dixa-import", "Accept": "application/json"} {
		if got.header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.header.Get(name), want)
		}
	}
	if got.uri != "/gateway/v1/organization" {
		t.Errorf("path %s", got.uri)
	}
	skew, ok := c.ClockSkew()
	if !ok || (skew-time.Hour).Abs() > 3*time.Second {
		t.Errorf("clock skew %v %v, want an hour", skew, ok)
	}
	s := c.Stats()
	if s.Paced = 0; s != (Stats{Requests: 1}) {
		t.Errorf("stats %+v", s)
	}
}
