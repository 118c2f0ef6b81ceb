package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Deliveries says how events are delivered to webhook subscriptions: by default at once, once, and in order.
type Deliveries struct {
	// Repeat is the probability that an event which was delivered is delivered once more.
	Repeat float64
	// Loss is the probability that an event never arrives. The logs have it, as one that failed.
	Loss float64
	// Spread is how long an event is held back at most, at random, so that events overtake each other.
	Spread time.Duration
	// Attempts is how often an event is sent until it is answered with 2xx. Default 3.
	Attempts int
	// RetryAfter is the pause before another attempt, meanwhile other events are delivered. Default 200 ms.
	RetryAfter time.Duration
	// Timeout of an attempt. Default 5 s.
	Timeout time.Duration
	// Conversation is the field of data.conversation that has the number: id (the default), csid, or both.
	Conversation string
	// EventTime makes the t of a signature the time of the event. Default: that of the attempt.
	EventTime bool
	// LogSize is how many attempts of each kind of events the logs of a subscription keep. Default 100.
	LogSize int
}

func (d Deliveries) withDefaults() Deliveries {
	if d.Attempts <= 0 {
		d.Attempts = 3
	}
	if d.RetryAfter <= 0 {
		d.RetryAfter = 200 * time.Millisecond
	}
	if d.Timeout <= 0 {
		d.Timeout = 5 * time.Second
	}
	if d.LogSize <= 0 {
		d.LogSize = 100
	}
	return d
}

// SetDeliveries changes how events are delivered from now on.
func (s *Server) SetDeliveries(d Deliveries) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Deliveries = d.withDefaults()
}

// postman delivers events: one goroutine for each subscription for which there is something due. Its fields but the first three are reached
// only under Server.mu.
type postman struct {
	client  *http.Client
	closing context.Context
	close   context.CancelFunc

	workers sync.WaitGroup // not added to once closing has ended
	pending int            // dispatches that are not settled
	idle    chan struct{}  // closed when pending becomes 0
}

func newPostman() *postman {
	closing, stop := context.WithCancel(context.Background())
	return &postman{closing: closing, close: stop, client: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// dispatch is an event on its way to a subscription.
type dispatch struct {
	event    string
	at       time.Time // of the event
	payload  []byte
	due      time.Time
	attempts int
	lost     bool // never to arrive
	repeated bool // was delivered already
}

// logEntry is what became of an attempt.
type logEntry struct {
	at      time.Time
	code    int
	text    string
	payload []byte
	final   bool // another attempt would be no use
}

func (e logEntry) success() bool { return e.code >= 200 && e.code < 300 }

func (e logEntry) show() obj {
	return obj{"deliveryTimestamp": spellEvent(e.at), "success": e.success(), "responseCode": e.code, "responseText": e.text}
}

// Close ends all deliveries and waits until they have ended. The API goes on, but nothing is delivered any more.
func (s *Server) Close() {
	s.mu.Lock()
	s.post.close()
	s.mu.Unlock()
	s.post.workers.Wait()
}

// Settled waits until every event has been delivered or given up.
func (s *Server) Settled(ctx context.Context) error {
	for {
		s.mu.Lock()
		pending, idle := s.post.pending, s.post.idle
		s.mu.Unlock()
		if pending == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-s.post.closing.Done():
			return context.Canceled
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// dispatch hands an event over to be delivered; s.mu is held.
func (s *Server) dispatch(sub *subscription, d *dispatch, wait time.Duration) {
	if s.post.closing.Err() != nil || sub.deleted {
		return
	}
	d.due = time.Now().Add(wait)
	sub.due = append(sub.due, d)
	if s.post.pending++; s.post.pending == 1 {
		s.post.idle = make(chan struct{})
	}
	if sub.working {
		select {
		case sub.wake <- struct{}{}:
		default:
		}
		return
	}
	sub.working = true
	s.post.workers.Go(func() { s.deliverAll(sub) })
}

// settled counts dispatches that need nothing more; s.mu is held.
func (s *Server) settled(n int) {
	if s.post.pending -= n; n > 0 && s.post.pending == 0 {
		close(s.post.idle)
	}
}

// forgetDeliveries drops the logs of a subscription and what is due; s.mu is held.
func (s *Server) forgetDeliveries(sub *subscription) {
	n := len(sub.due)
	sub.due, sub.logs = nil, map[string][]logEntry{}
	s.settled(n)
}

// deliverAll delivers what is due to a subscription until nothing is left.
func (s *Server) deliverAll(sub *subscription) {
	for {
		d, wait, ok := s.nextDispatch(sub)
		switch {
		case !ok:
			return
		case d != nil:
			s.record(sub, d, s.attempt(sub, d))
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-sub.wake:
		case <-s.post.closing.Done():
		}
		timer.Stop()
	}
}

// nextDispatch returns what is due first, or how long it takes until something is; not ok: nothing is left.
func (s *Server) nextDispatch(sub *subscription) (d *dispatch, wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(sub.due) == 0 || s.post.closing.Err() != nil {
		sub.working = false
		return nil, 0, false
	}
	first := 0
	for i, other := range sub.due {
		if other.due.Before(sub.due[first].due) {
			first = i
		}
	}
	if wait := time.Until(sub.due[first].due); wait > 0 {
		return nil, wait, true
	}
	d = sub.due[first]
	sub.due = slices.Delete(sub.due, first, first+1)
	return d, 0, true
}

// attempt sends an event once.
func (s *Server) attempt(sub *subscription, d *dispatch) logEntry {
	s.mu.Lock()
	opts, target, secret, headers := s.opts.Deliveries, sub.URL, sub.Secret, sub.headers
	s.mu.Unlock()
	entry := logEntry{at: time.Now().UTC(), payload: d.payload}
	switch {
	case d.lost:
		entry.text, entry.final = "no answer", true
		return entry
	case !onThisMachine(target):
		entry.text, entry.final = "not sent: the sandbox delivers to this machine only", true
		return entry
	}
	ctx, cancel := context.WithTimeout(s.post.closing, opts.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(d.payload))
	if err != nil {
		entry.text, entry.final = "not sent: the address is unusable", true
		return entry
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	at := entry.at
	if opts.EventTime {
		at = d.at
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-DIXA-SUBSCRIPTION-ID", sub.ID)
	r.Header.Set("X-DIXA-SIGNATURE", Sign(secret, at, d.payload))
	response, err := s.post.client.Do(r)
	if err != nil {
		entry.text = "no answer"
		return entry
	}
	_, _ = io.CopyN(io.Discard, response.Body, 1<<20)
	_ = response.Body.Close()
	entry.code, entry.text = response.StatusCode, http.StatusText(response.StatusCode)
	return entry
}

// record logs an attempt and decides whether there is to be another one.
func (s *Server) record(sub *subscription, d *dispatch, entry logEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	opts := s.opts.Deliveries
	log := slices.Insert(sub.logs[d.event], 0, entry)
	sub.logs[d.event] = log[:min(len(log), opts.LogSize)]
	d.attempts++
	switch {
	case entry.success() && !d.repeated && s.random.Float64() < opts.Repeat:
		d.repeated = true
		s.dispatch(sub, d, s.upTo(opts.RetryAfter))
	case !entry.success() && !entry.final && d.attempts < opts.Attempts:
		s.dispatch(sub, d, opts.RetryAfter)
	}
	s.settled(1)
}

// upTo returns a random duration; s.mu is held.
func (s *Server) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(s.random.Int64N(int64(d) + 1))
}

// Sign returns the value of X-DIXA-SIGNATURE for a body. It panics if the secret is not hexadecimal.
func Sign(secret string, at time.Time, body []byte) string {
	key := decodeSecret(secret)
	stamp := strconv.FormatInt(at.UnixMilli(), 10)
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s", stamp, body)
	return "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

func decodeSecret(secret string) []byte {
	key, err := hex.DecodeString(secret)
	if err != nil {
		panic("sandbox: the secret of a webhook subscription is not hexadecimal")
	}
	return key
}

func onThisMachine(target string) bool {
	u, err := url.Parse(target)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func (s *Server) listDeliveries(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	event := x.parameter(6)
	if !slices.Contains(eventNames, event) {
		s.violate(x, "the path parameter event is not one that is known")
		return refuse(http.StatusBadRequest, "Invalid value for: path parameter event")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, refused, ok := s.subscription(x)
	if !ok {
		return refused
	}
	data := []obj{}
	for _, entry := range sub.logs[event] {
		data = append(data, obj{"deliveryDetail": entry.show(), "payload": string(entry.payload)})
	}
	return answer(http.StatusOK, obj{"data": data})
}

func (s *Server) deliveryStatus(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, refused, ok := s.subscription(x)
	if !ok {
		return refused
	}
	data := []obj{}
	for _, event := range sub.Events {
		status := obj{"_type": "NoRecentDelivery"}
		if log := sub.logs[event]; len(log) > 0 {
			status = log[0].show()
			status["_type"] = "DeliveryDetail"
		}
		data = append(data, obj{"event": event, "deliveryStatus": status})
	}
	return answer(http.StatusOK, obj{"data": data})
}
