package dixa

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
)

const (
	asBearer = "Bearer " + testToken
	asRaw    = testToken
	refusal  = `{"message":"User is unauthorized to perform an underlying operation"}`
)

// authAnswers is an API that answers by how the token was sent: each list has an answer for each request, its last one for all others. An
// answer is a status, or a page of a firewall with that status.
type authAnswers struct{ bearer, raw []string }

func (a authAnswers) serve() func(w http.ResponseWriter, r *http.Request, _ int) {
	var mu sync.Mutex
	count := map[string]int{}
	return func(w http.ResponseWriter, r *http.Request, _ int) {
		mu.Lock()
		defer mu.Unlock()
		sent := r.Header.Get("Authorization")
		list := map[string][]string{asBearer: a.bearer, asRaw: a.raw}[sent]
		answer := list[min(count[sent], len(list)-1)]
		count[sent]++
		status, isPage := 200, false
		switch answer {
		case "ok":
			reply(w, status, `{"data":{"id":"o","name":"Shop"}}`)
			return
		case "page 401":
			status, isPage = 401, true
		default:
			status, _ = strconv.Atoi(answer)
		}
		if isPage {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = w.Write([]byte("<html>go away</html>"))
			return
		}
		reply(w, status, refusal)
	}
}

func TestAuth(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		auth    Auth
		answers authAnswers
		want    []int // statuses of three calls, 200: success
		sent    []string
		found   Auth
	}{
		"bearer is accepted": {AuthAuto, authAnswers{[]string{"ok"}, []string{"401"}}, []int{200, 200, 200},
			[]string{asBearer, asBearer, asBearer}, AuthBearer},
		"only the bare token is": {AuthAuto, authAnswers{[]string{"401"}, []string{"ok"}}, []int{200, 200, 200},
			[]string{asBearer, asRaw, asRaw, asRaw}, AuthRaw},
		"both are": {AuthAuto, authAnswers{[]string{"ok"}, []string{"ok"}}, []int{200, 200, 200},
			[]string{asBearer, asBearer, asBearer}, AuthBearer},
		"a later 401 changes nothing": {AuthAuto, authAnswers{[]string{"ok", "401"}, []string{"ok"}}, []int{200, 401, 401},
			[]string{asBearer, asBearer, asBearer}, AuthBearer},
		"nor does one of the bare token": {AuthAuto, authAnswers{[]string{"401", "ok"}, []string{"ok", "401"}}, []int{200, 401, 401},
			[]string{asBearer, asRaw, asRaw, asRaw}, AuthRaw},
		"a wrong token": {AuthAuto, authAnswers{[]string{"401"}, []string{"401"}}, []int{401, 401, 401},
			[]string{asBearer, asRaw, asBearer, asRaw, asBearer, asRaw}, AuthAuto},
		"the first operation is denied, bare tokens are wanted": {AuthAuto, authAnswers{[]string{"401"}, []string{"401", "ok"}}, []int{401, 200, 200},
			[]string{asBearer, asRaw, asBearer, asRaw, asRaw}, AuthRaw},
		"the first operation is denied, bearer is wanted": {AuthAuto, authAnswers{[]string{"401", "ok"}, []string{"401"}}, []int{401, 200, 200},
			[]string{asBearer, asRaw, asBearer, asBearer}, AuthBearer},
		"a firewall's 401 says nothing": {AuthAuto, authAnswers{[]string{"page 401", "ok"}, []string{"ok"}}, []int{401, 200, 200},
			[]string{asBearer, asBearer, asBearer}, AuthBearer},
		"nor does it for the bare token": {AuthAuto, authAnswers{[]string{"401", "ok"}, []string{"page 401"}}, []int{401, 200, 200},
			[]string{asBearer, asRaw, asBearer, asBearer}, AuthBearer},
		"a gateway that cannot read a bare header": {AuthAuto, authAnswers{[]string{"401", "ok"}, []string{"403"}}, []int{401, 200, 200},
			[]string{asBearer, asRaw, asBearer, asBearer}, AuthBearer},
		"not found is found by somebody who was let in": {AuthAuto, authAnswers{[]string{"401"}, []string{"404", "ok"}}, []int{404, 200, 200},
			[]string{asBearer, asRaw, asRaw, asRaw}, AuthRaw},
		"a 5xx says nothing": {AuthAuto, authAnswers{[]string{"503", "401"}, []string{"503", "ok"}}, []int{200, 200, 200},
			[]string{asBearer, asBearer, asRaw, asBearer, asRaw, asRaw, asRaw}, AuthRaw},
		"a 429 says nothing": {AuthAuto, authAnswers{[]string{"429", "401"}, []string{"429", "ok"}}, []int{200, 200, 200},
			[]string{asBearer, asBearer, asRaw, asBearer, asRaw, asRaw, asRaw}, AuthRaw},
		"always bearer": {AuthBearer, authAnswers{[]string{"401"}, []string{"ok"}}, []int{401, 401, 401}, []string{asBearer, asBearer, asBearer}, AuthBearer},
		"always bare":   {AuthRaw, authAnswers{[]string{"ok"}, []string{"401"}}, []int{401, 401, 401}, []string{asRaw, asRaw, asRaw}, AuthRaw},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, rec := setup(t, tt.answers.serve(), func(cfg *Config) { cfg.Auth = tt.auth })
			for i, want := range tt.want {
				_, err := c.GetOrganization(t.Context())
				noSecrets(t, err)
				got := 200
				if api, ok := errors.AsType[*APIError](err); ok {
					got = api.Status
				} else if err != nil {
					got = 0
				}
				if got != want {
					t.Errorf("call %d: %v, want %d", i+1, err, want)
				}
			}
			var sent []string
			for _, r := range rec.all() {
				sent = append(sent, r.header.Get("Authorization"))
			}
			if !slices.Equal(sent, tt.sent) || c.Auth() != tt.found {
				t.Errorf("sent %q, then %s; want %q, then %s", sent, c.Auth(), tt.sent, tt.found)
			}
		})
	}
}

// TestAuthFirstRequestIsAlone has many callers begin at once: only one of them tries.
func TestAuthFirstRequestIsAlone(t *testing.T) {
	t.Parallel()
	release, arrived := make(chan struct{}), make(chan struct{}, 100)
	c, rec := setup(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.Header.Get("Authorization") != asRaw {
			arrived <- struct{}{}
			<-release
			reply(w, 401, refusal)
			return
		}
		reply(w, 200, `{"data":{"id":"o"}}`)
	}, func(cfg *Config) { cfg.Auth = AuthAuto })
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := c.GetOrganization(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	<-arrived
	close(release)
	wg.Wait()
	if n := len(rec.all()); n != 17 || len(arrived) != 0 {
		t.Errorf("%d requests, %d more than one with Bearer", n, len(arrived))
	}
}

// TestAuthOfAnImport has an import be the first request: a doubt about the bare attempt stays one, and nothing is imported twice.
func TestAuthOfAnImport(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault      sandbox.Fault
		applied    bool
		imports, n int
	}{
		"accepted":     {sandbox.Fault{}, true, 1, 2},
		"lost answer":  {sandbox.Fault{Operation: sandbox.Import, Kind: sandbox.ErrorAfter, Status: 502, Times: 1}, true, 1, 2},
		"an early 502": {sandbox.Fault{Operation: sandbox.Import, Kind: sandbox.ErrorBefore, Status: 502, Times: 1}, false, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sandbox.New(sandbox.Options{Token: testToken, Auth: sandbox.AuthRaw})
			user := s.AddEndUser(sandbox.EndUser{})
			if tt.fault.Kind != "" {
				s.SetFaults([]sandbox.Fault{tt.fault})
			}
			var requests atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				s.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			c := newClient(t, server.URL, func(cfg *Config) { cfg.Auth = AuthAuto })
			in := anImport(1)
			in.RequesterID, in.Assignment.AgentID, in.Closing.ClosedBy = user, sandbox.DefaultAgentID, sandbox.DefaultAgentID
			for i := range in.Messages {
				if in.Messages[i].AgentID != "" {
					in.Messages[i].AgentID = sandbox.DefaultAgentID
				}
			}
			_, err := c.ImportConversation(t.Context(), in, nil)
			if (err == nil) != (name == "accepted") || err != nil && NotApplied(err) {
				t.Errorf("%v, not applied: %v", err, NotApplied(err))
			}
			if n := len(s.Conversations()); n != tt.imports || int(requests.Load()) != tt.n {
				t.Errorf("%d conversations after %d requests", n, requests.Load())
			}
		})
	}
}

// TestObserve counts each request that left, and none that did not.
func TestObserve(t *testing.T) {
	t.Parallel()
	type key struct {
		op     Operation
		status int
	}
	var mu sync.Mutex
	got := map[key]int{}
	c, _ := setup(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		switch n {
		case 1:
			reply(w, 429, "")
		case 2:
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "no answer\r\n\r\n") // whose first byte keeps net/http from asking again by itself
			_ = conn.Close()
		case 3:
			reply(w, 500, "")
		default:
			reply(w, 200, `{"data":{"id":"o"}}`)
		}
	}, func(cfg *Config) {
		cfg.Observe = func(op Operation, status int, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			got[key{op, status}]++
			if took <= 0 {
				t.Errorf("it took %s", took)
			}
		}
	})
	if _, err := c.GetOrganization(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone := newClient(t, "http://127.0.0.1:1", func(cfg *Config) {
		cfg.MaxAttempts, cfg.Observe = 1, func(Operation, int, time.Duration) { t.Error("nothing left") }
	})
	if _, err := gone.GetOrganization(t.Context()); err == nil {
		t.Error("somebody answers")
	}
	total := 0
	for _, n := range got {
		total += n
	}
	if len(got) != 4 || total != 4 || got[key{OpGetOrganization, 0}] != 1 || got[key{OpGetOrganization, 429}] != 1 || int64(total) != c.Stats().Requests {
		t.Errorf("observed %v, sent %d", got, c.Stats().Requests)
	}
}
