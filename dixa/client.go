// Package dixa is a client of the Dixa API: the part of it that an import needs.
//
// Every request goes through one loop, which paces it, sends it, says what its answer means and repeats what may be
// repeated. While the API is down all requests wait until it is back, for as long as their contexts last, instead of using
// up their attempts. No error, log line or printed value of this package holds the token, and what Dixa says in an error is
// cleaned of email addresses and phone numbers, because its messages may quote them.
package dixa

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// DefaultBaseURL is where Dixa's API is.
const DefaultBaseURL = "https://dev.dixa.io"

// ChannelName is the genericChannelName of imported chats, the only one that Dixa takes for them besides email.
const ChannelName = "genericapimessaging"

// versionPrefix precedes the path of every operation.
const versionPrefix = "/v1"

// Config describes how to reach Dixa.
type Config struct {
	BaseURL     string        // default DefaultBaseURL; http:// only for this machine; a path prefix is kept
	Token       string        `json:"-"` // required: the API token, without "Bearer"
	Auth        Auth          // default AuthBearer
	Timeout     time.Duration // of one attempt, from dialling to the end of the answer; default 30s
	MaxAttempts int           // of a request that may be repeated, the first included, those during an outage not; default 5
	Backoff     time.Duration // the wait before the first repetition, which then doubles up to 15s; default 500ms; twice that between probes
	Limiter     Limiter       `json:"-"` // default: no limit, but a 429 still pauses everybody
	Connections int           // idle connections to keep; default 16
	UserAgent   string        // default "dixa-import"
	Logger      *slog.Logger  `json:"-"` // default: nothing is logged
	// Observe, if set, is called after each request that left, every attempt and every probe counted, from several goroutines: with the
	// status of the answer, 0 if there was none, and how long it took to get all of it.
	Observe func(op Operation, status int, took time.Duration) `json:"-"`
}

// Format writes the configuration without the token, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "{BaseURL:%s Timeout:%s MaxAttempts:%d Backoff:%s Connections:%d UserAgent:%s}",
		redactURL(c.BaseURL), c.Timeout, c.MaxAttempts, c.Backoff, c.Connections, c.UserAgent)
}

// redactURL drops what a URL could hide: user, password, query and fragment.
func redactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable)"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// withDefaults fills in what is not said.
func (c Config) withDefaults() Config {
	if c.BaseURL == "" {
		c.BaseURL = DefaultBaseURL
	}
	if c.Auth == "" {
		c.Auth = AuthBearer
	}
	if c.Observe == nil {
		c.Observe = func(Operation, int, time.Duration) {}
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.MaxAttempts == 0 {
		c.MaxAttempts = 5
	}
	if c.Backoff == 0 {
		c.Backoff = 500 * time.Millisecond
	}
	if c.Limiter == nil {
		c.Limiter = NewLimiter(0, 0)
	}
	if c.Connections == 0 {
		c.Connections = 16
	}
	if c.UserAgent == "" {
		c.UserAgent = "dixa-import"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Token = strings.TrimSpace(c.Token)
	return c
}

// validate returns the base URL, or what is wrong with the configuration.
func (c Config) validate() (*url.URL, error) {
	base, err := parseBaseURL(c.BaseURL)
	switch {
	case err != nil:
		return nil, err
	case c.Token == "":
		return nil, errors.New("the Dixa API token is missing")
	case strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("the Dixa API token holds spaces or characters that no token has: give the bare token, without \"Bearer\"")
	case strings.ContainsFunc(c.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }):
		return nil, errors.New("the user agent holds characters that a header cannot carry")
	case !slices.Contains([]Auth{AuthBearer, AuthRaw, AuthAuto}, c.Auth):
		return nil, fmt.Errorf("the way to send the Dixa API token is %q: it must be auto, bearer or raw", string(c.Auth))
	case c.Timeout < 0 || c.MaxAttempts < 0 || c.Backoff < 0 || c.Connections < 0:
		return nil, errors.New("timeout, attempts, backoff and connections of the Dixa client cannot be negative")
	}
	return base, nil
}

// parseBaseURL never quotes what it was given: a URL with a password in it is one of the mistakes that it refuses.
func parseBaseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, errors.New("the base URL of the Dixa API is unreadable: write it like " + DefaultBaseURL)
	case u.User != nil:
		return nil, errors.New("the base URL of the Dixa API holds a user name or a password: the token is the only credential")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("the base URL of the Dixa API holds a query or a fragment: write it like " + DefaultBaseURL)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, errors.New("the base URL of the Dixa API is http:// to another machine, which would send the token in clear: write https://")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	if strings.HasSuffix(u.Path, versionPrefix) {
		return nil, errors.New("the base URL of the Dixa API ends in " + versionPrefix + ": leave that out, the client adds it")
	}
	return u, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && addr.Unmap().IsLoopback())
}

// Client calls the Dixa API. It is safe for concurrent use.
type Client struct {
	base        *url.URL
	http        *http.Client
	token       func() string // holds it where no formatting of a Client can print it
	auth        *authFinder
	observe     func(op Operation, status int, took time.Duration)
	timeout     time.Duration
	maxAttempts int
	backoff     time.Duration
	limiter     Limiter
	gate        *gate
	rests       *rests

	probesFailed atomic.Int64 // in a row
	userAgent    string
	log          *slog.Logger

	requests, throttled, retries atomic.Int64
	paced                        atomic.Int64 // nanoseconds
	skew                         atomic.Pointer[time.Duration]
	date                         atomic.Pointer[serverDate] // of the last answer
	paused                       atomic.Pointer[time.Time]  // when the pause that was logged last began
}

// New returns a client, or says what is wrong with the configuration. Nothing is sent yet.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	base, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	c := &Client{
		base:        base,
		http:        &http.Client{Transport: newTransport(cfg), CheckRedirect: stayHere},
		token:       func() string { return cfg.Token },
		auth:        newAuthFinder(cfg.Auth),
		observe:     cfg.Observe,
		timeout:     cfg.Timeout,
		maxAttempts: cfg.MaxAttempts,
		backoff:     cfg.Backoff,
		limiter:     cfg.Limiter,
		userAgent:   cfg.UserAgent,
		log:         cfg.Logger,
	}
	c.rests = &rests{backoff: cfg.Backoff, log: cfg.Logger}
	c.gate = &gate{probe: c.probe, back: c.rests.forget, backoff: 2 * cfg.Backoff, log: cfg.Logger}
	return c, nil
}

// stayHere keeps a redirect from being followed: it would carry the token elsewhere, and turn a POST into a GET.
func stayHere(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// newTransport returns a transport that never sends a POST twice by itself.
//
// net/http repeats a request silently in two cases: when a kept connection turned out to be closed before one byte of
// the request was written to it, which is harmless and welcome, and, for methods that are idempotent or carry an
// Idempotency-Key, when it broke before the first byte of the answer. A POST and a PATCH of this package are neither.
// HTTP/2 has rules of its own for repeating (GOAWAY, REFUSED_STREAM), which rest on what the server says it has not
// done; so it is not offered. At ten requests a second it would gain nothing.
func newTransport(cfg Config) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialGuarded(dialer.DialContext),
		Protocols:           protocols,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        cfg.Connections,
		MaxIdleConnsPerHost: cfg.Connections,
		// Well below the 60 s after which common load balancers hang up: a POST written into a connection that is just
		// being closed by the other side is an import in doubt.
		IdleConnTimeout:        20 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Stats counts what a client has done since New, and reports whether the API is down.
type Stats struct {
	Requests  int64 // HTTP requests that left, every attempt and every probe counted
	Throttled int64 // answers with status 429
	Retries   int64 // attempts that repeated another one, those after a 429 aside
	Down      bool  // the API does not answer at present, and all requests wait until it does
	// Paced is how long requests have waited for their turn at the limiter, all added up: divided by the time that has
	// passed, how many of them wait at a moment.
	Paced time.Duration
}

// Rests returns the operations that have rested because they failed again and again while others were answered.
func (c *Client) Rests() []Rest { return c.rests.list() }

// Stats returns the counts up to now.
func (c *Client) Stats() Stats {
	return Stats{Requests: c.requests.Load(), Throttled: c.throttled.Load(), Retries: c.retries.Load(), Down: c.gate.down(),
		Paced: time.Duration(c.paced.Load())}
}

// ClockSkew returns how far Dixa's clock is ahead of this machine's, by the Date header of the last answer, which has
// whole seconds. It is false until an answer had one.
func (c *Client) ClockSkew() (time.Duration, bool) {
	d := c.skew.Load()
	if d == nil {
		return 0, false
	}
	return *d, true
}

// serverDate is a Date header and what it says.
type serverDate struct {
	text string
	date time.Time
}

// noteDate keeps the clock skew and returns the time of the answer by the server's clock, or the local one.
func (c *Client) noteDate(h http.Header) time.Time {
	now, text := time.Now(), h.Get("Date")
	// Many answers have the same date, and the first of them the skew.
	if last := c.date.Load(); last != nil && last.text == text {
		return last.date
	}
	date, err := http.ParseTime(text)
	if err != nil {
		return now
	}
	skew := date.Sub(now).Round(time.Second)
	c.skew.Store(&skew)
	c.date.Store(&serverDate{text, date})
	return date
}

// readCapped reads up to limit bytes and says whether that was all.
func readCapped(r io.Reader, limit int64) (data []byte, whole bool, err error) {
	data, err = io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(data)) > limit {
		return data[:limit], false, err
	}
	return data, true, err
}

// Sleep waits for d, or until the context ends: then it returns the error of the context.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
