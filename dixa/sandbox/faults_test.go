package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// post sends an import over a real connection.
func post(ctx context.Context, server *httptest.Server, s *Server) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/v1/conversations/import", strings.NewReader(importBody()))
	if err != nil {
		return reply{}, err
	}
	r.Header.Set("Authorization", "Bearer "+s.Token())
	r.Header.Set("Content-Type", "application/json")
	res, err := server.Client().Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	return reply{status: res.StatusCode, header: res.Header, body: string(raw)}, err
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault  Fault
		effect bool
		// broken says that the client gets no complete answer.
		broken bool
		status int
		body   func(string) bool
	}{
		{Fault{Kind: ErrorBefore}, false, false, 500, isText(`{"message":"` + msgServerError + `"}`)},
		{Fault{Kind: ErrorBefore, Status: 503}, false, false, 503, isText(`{"message":"` + msgServerError + `"}`)},
		{Fault{Kind: ErrorAfter, Status: 504}, true, false, 504, isText(`{"message":"` + msgServerError + `"}`)},
		{Fault{Kind: DropBefore}, false, true, 0, nil},
		{Fault{Kind: DropAfter}, true, true, 0, nil},
		{Fault{Kind: HangBefore, Duration: time.Millisecond}, false, true, 0, nil},
		{Fault{Kind: HangAfter, Duration: time.Millisecond}, true, true, 0, nil},
		{Fault{Kind: BrokenBody}, true, false, 201, func(b string) bool { return b != "" && !strings.Contains(b, "}") }},
		{Fault{Kind: CutBody}, true, true, 201, nil},
		{Fault{Kind: EmptyBody}, true, false, 201, isText("")},
		{Fault{Kind: SlowBody, Duration: time.Millisecond}, true, false, 201, func(b string) bool { return strings.HasSuffix(b, "}}") }},
		{Fault{Kind: HTMLBody}, false, false, 502, isHTML},
		{Fault{Kind: HTMLAfter, Status: 504}, true, false, 504, isHTML},
		{Fault{Kind: Throttle}, false, false, 429, isText(`{"message":"` + msgTooMany + `"}`)},
	}
	for _, tt := range tests {
		t.Run(string(tt.fault.Kind), func(t *testing.T) {
			t.Parallel()
			tt.fault.Times = 1
			s := setup(t, Options{Faults: []Fault{tt.fault}})
			server := httptest.NewServer(s)
			defer server.Close()
			r, err := post(t.Context(), server, s)
			equal(t, "broken", err != nil, tt.broken)
			if tt.status != 0 {
				equal(t, "status", r.status, tt.status)
			}
			if tt.body != nil && !tt.body(r.body) {
				t.Errorf("body %q", r.body)
			}
			equal(t, "effect", len(s.Conversations()) == 1, tt.effect)
			equal(t, "fired", s.Fired(), map[string]int{"any:" + string(tt.fault.Kind): 1})
			r, err = post(t.Context(), server, s)
			if err != nil || r.status != http.StatusCreated {
				t.Errorf("after the fault: %v, %d", err, r.status)
			}
			noViolations(t, s)
		})
	}
}

func isText(want string) func(string) bool { return func(got string) bool { return got == want } }

func isHTML(body string) bool { return strings.HasPrefix(body, "<html>") }

func TestHangEndsWithTheClient(t *testing.T) {
	t.Parallel()
	for _, kind := range []FaultKind{HangBefore, HangAfter} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			met := make(chan struct{})
			signal := func([]byte) bool { close(met); return true }
			s := setup(t, Options{Faults: []Fault{{Kind: kind, Match: signal}}, RecordRequests: true})
			left := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(left)
				s.ServeHTTP(w, r)
			}))
			defer server.Close()
			done := make(chan error)
			go func() {
				_, err := post(ctx, server, s)
				done <- err
			}()
			<-met
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			<-left
			equal(t, "effect", len(s.Conversations()) == 1, kind == HangAfter)
			equal(t, "status in the log", s.Requests()[0].Status, 0)
		})
	}
}

func TestFaultsChooseTheirRequests(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		faults []Fault
		fails  string // of ten requests, those that fail
		fired  map[string]int
	}{
		{"always", []Fault{{Kind: ErrorBefore}}, "xxxxxxxxxx", map[string]int{"any:error_before": 10}},
		{"some times", []Fault{{Kind: ErrorBefore, Times: 3}}, "xxx.......", map[string]int{"any:error_before": 3}},
		{"the third", []Fault{{Kind: ErrorBefore, Nth: 3}}, "..x.......", map[string]int{"any:error_before": 1}},
		{"from the third", []Fault{{Kind: ErrorBefore, Nth: 3, Times: 2}}, "..xx......", map[string]int{"any:error_before": 2}},
		{"never", []Fault{{Kind: ErrorBefore, Nth: 11}}, "..........", map[string]int{"any:error_before": 0}},
		{"another operation", []Fault{{Operation: Import, Kind: ErrorBefore}}, "..........", map[string]int{"import:error_before": 0}},
		{"this operation", []Fault{{Operation: CreateEndUser, Kind: Throttle}}, "xxxxxxxxxx", map[string]int{"create_end_user:throttle": 10}},
		{"by body", []Fault{{Name: "seven", Kind: ErrorAfter, Match: func(b []byte) bool { return bytes.Contains(b, []byte("7")) }}},
			".......x..", map[string]int{"seven": 1}},
		{"the first one wins", []Fault{{Kind: ErrorBefore, Nth: 2}, {Kind: ErrorBefore, Nth: 2}, {Kind: ErrorBefore, Nth: 4}}, ".x.x......",
			map[string]int{"any:error_before": 1, "any:error_before#2": 0, "any:error_before#3": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := New(Options{Faults: tt.faults})
			equal(t, "requests that fail", failures(t, s, 10), tt.fails)
			equal(t, "fired", s.Fired(), tt.fired)
		})
	}
}

// failures sends n requests and marks those that were not answered 201.
func failures(t testing.TB, s *Server, n int) string {
	t.Helper()
	var marks strings.Builder
	for i := range n {
		mark := "."
		if r := call(t, s, http.MethodPost, "/v1/endusers", `{"externalId":"`+string(rune('0'+i%10))+`"}`); r.status != http.StatusCreated {
			mark = "x"
		}
		marks.WriteString(mark)
	}
	return marks.String()
}

func TestProbabilityIsDecidedBySeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) string {
		return failures(t, New(Options{Seed: seed, Faults: []Fault{{Kind: ErrorBefore, Probability: 0.5}}}), 100)
	}
	first := run(1)
	equal(t, "the same seed", run(1), first)
	if run(2) == first {
		t.Error("another seed gives the same faults")
	}
	if n := strings.Count(first, "x"); n < 30 || n > 70 {
		t.Errorf("%d of 100 failed at a probability of a half", n)
	}
}

func TestSetFaults(t *testing.T) {
	t.Parallel()
	s := New(Options{Faults: []Fault{{Kind: ErrorBefore}}})
	equal(t, "before", failures(t, s, 2), "xx")
	s.SetFaults(nil)
	equal(t, "without", failures(t, s, 2), "..")
	equal(t, "fired", s.Fired(), map[string]int{"any:error_before": 2})
	defer func() {
		if recover() == nil {
			t.Error("an unknown kind of fault was accepted")
		}
	}()
	s.SetFaults([]Fault{{Kind: "explode"}})
}

func TestThrottleFault(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{Faults: []Fault{{Kind: Throttle, Duration: 1500 * time.Millisecond, Times: 1}}})
	r := call(t, s, "GET", "/v1/queues", "")
	equal(t, "Retry-After", r.header.Get("Retry-After"), "2")
	equal(t, "throttled", s.Throttled(), 1)
	equal(t, "seconds with accepted requests", len(s.PerSecond()), 0)
}

func TestOutage(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{})
	server := httptest.NewServer(s)
	defer server.Close()
	s.SetDown(503)
	if r, err := post(t.Context(), server, s); err != nil || r.status != 503 || !isHTML(r.body) {
		t.Errorf("%v %v", r, err)
	}
	s.SetDown(-1)
	if r, err := post(t.Context(), server, s); err == nil {
		t.Errorf("answered %v", r)
	}
	s.SetDown(0)
	if r, err := post(t.Context(), server, s); err != nil || r.status != 201 {
		t.Errorf("%v %v", r, err)
	}
	equal(t, "conversations", len(s.Conversations()), 1)
}
