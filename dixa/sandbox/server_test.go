package sandbox

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestToken(t *testing.T) {
	t.Parallel()
	var claims jwt.MapClaims
	if _, _, err := jwt.NewParser().ParseUnverified(Token("a", "o"), &claims); err != nil {
		t.Fatal(err)
	}
	equal(t, "claims", claims, jwt.MapClaims{"agentId": "a", "organizationId": "o"})
	equal(t, "second token", Token("a", "o"), Token("a", "o"))
	equal(t, "token of a server", New(Options{AgentID: "a", OrganizationID: "o"}).Token(), Token("a", "o"))
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		auth       Auth
		headers    []string
		status     int
		violations int
	}{
		{"right", "", []string{"Bearer secret"}, 200, 0},
		{"right, bare", "", []string{"secret"}, 200, 0},
		{"bearer alone", AuthBearer, []string{"Bearer secret"}, 200, 0},
		{"bare where bearer is wanted", AuthBearer, []string{"secret"}, 401, 0},
		{"bare alone", AuthRaw, []string{"secret"}, 200, 0},
		{"bearer where bare is wanted", AuthRaw, []string{"Bearer secret"}, 401, 0},
		{"other token", "", []string{"Bearer other"}, 401, 0},
		{"other token, bare", "", []string{"other"}, 401, 0},
		{"none", "", nil, 401, 1},
		{"basic", "", []string{"Basic secret"}, 401, 1},
		{"bearer in small letters", "", []string{"bearer secret"}, 401, 1},
		{"bearer twice", "", []string{"Bearer Bearer secret"}, 401, 1},
		{"twice", "", []string{"Bearer secret", "Bearer secret"}, 401, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := New(Options{Token: "secret", Auth: tt.auth, Rate: 1, Burst: 1})
			r := httptest.NewRequest(http.MethodGet, "/v1/queues", nil)
			for _, h := range tt.headers {
				r.Header.Add("Authorization", h)
			}
			equal(t, "status", serve(s, r).status, tt.status)
			equal(t, "violations", s.ViolationCount(), tt.violations)
			if tt.status == 401 && tt.auth != AuthRaw {
				equal(t, "a token of the bucket is left", call(t, s, "GET", "/v1/queues", "").status, 200)
			}
			s.SetToken("new")
			equal(t, "status with the old token", serve(s, r).status, 401)
		})
	}
}

func TestForbidden(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{Forbidden: map[Operation]int{ListAttributes: 403}})
	equal(t, "status", call(t, s, "GET", "/v1/custom-attributes", "").status, 403)
	equal(t, "status of a look-up", call(t, s, "GET", "/v1/endusers?externalId=c-42", "").status, 200)
	s.Forbid(FindEndUsers, 401)
	s.Forbid(ListAttributes, 0)
	equal(t, "status", call(t, s, "GET", "/v1/custom-attributes", "").status, 200)
	equal(t, "status of a look-up", call(t, s, "GET", "/v1/endusers?externalId=c-42", "").message(), msgUnauthorised)
	equal(t, "status of the list", call(t, s, "GET", "/v1/endusers", "").status, 200)
	noViolations(t, s)
}

func TestBucket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setup(t, Options{Rate: 10, Burst: 4, RetryAfter: true})
		statuses := func(n int) (list []int) {
			for range n {
				list = append(list, call(t, s, "GET", "/v1/queues", "").status)
			}
			return list
		}
		equal(t, "a burst", statuses(6), []int{200, 200, 200, 200, 429, 429})
		equal(t, "Retry-After", call(t, s, "GET", "/v1/queues", "").header.Get("Retry-After"), "1")
		time.Sleep(100 * time.Millisecond)
		equal(t, "one token later", statuses(2), []int{200, 429})
		time.Sleep(time.Minute)
		equal(t, "a full bucket", statuses(5), []int{200, 200, 200, 200, 429})
		equal(t, "throttled", s.Throttled(), 5)
		equal(t, "requests", s.Counts(), map[Operation]int{ListQueues: 14})
		var accepted []int
		for _, second := range s.PerSecond() {
			accepted = append(accepted, second.Accepted)
		}
		equal(t, "accepted", accepted, []int{5, 4})
		noViolations(t, s)
	})
}

func TestNoRetryAfter(t *testing.T) {
	t.Parallel()
	s := New(Options{Rate: 0.001, Burst: 1})
	call(t, s, "GET", "/v1/queues", "")
	r := call(t, s, "GET", "/v1/queues", "")
	equal(t, "status", r.status, 429)
	equal(t, "Retry-After", r.header.Values("Retry-After"), []string(nil))
}

func TestLatency(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		opts      Options
		low, high time.Duration
		refused   bool // a request that the bucket refuses waits, too
	}{
		{"none", Options{}, 0, 0, false},
		{"behind the bucket", Options{Latency: time.Second}, time.Second, time.Second, false},
		{"before the bucket", Options{Latency: time.Second, LatencyBefore: true}, time.Second, time.Second, true},
		{"jitter", Options{Latency: time.Second, Jitter: time.Second / 2}, time.Second / 2, time.Second * 3 / 2, false},
		{"jitter alone", Options{Jitter: time.Second}, 0, time.Second, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tt.opts.Rate, tt.opts.Burst = 0.00001, 20
				s := New(tt.opts)
				took := func() time.Duration {
					began := time.Now()
					call(t, s, "GET", "/v1/queues", "")
					return time.Since(began)
				}
				different := map[time.Duration]bool{}
				for range 20 {
					d := took()
					different[d] = true
					if d < tt.low || d > tt.high {
						t.Errorf("took %v, not %v to %v", d, tt.low, tt.high)
					}
				}
				if tt.opts.Jitter > 0 && len(different) < 5 {
					t.Errorf("only %d different times", len(different))
				}
				d := took()
				equal(t, "a refused one waits", d > 0, tt.refused)
			})
		})
	}
}

func TestLags(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{ListLag: 10 * time.Second, EndUserLag: 5 * time.Second})
		user := call(t, s, "POST", "/v1/endusers", `{"email":"ann@example.org"}`).data(t)["id"].(string)
		found := func() []int {
			return []int{
				len(call(t, s, "GET", "/v1/endusers?email=ann%40example.org", "").list(t)),
				len(call(t, s, "GET", "/v1/endusers", "").list(t)),
				len(call(t, s, "GET", "/v1/endusers/"+user+"/conversations", "").list(t)),
			}
		}
		id := mustImport(t, s, userID, user)
		equal(t, "at once", found(), []int{0, 0, 0})
		equal(t, "end-user by id", call(t, s, "GET", "/v1/endusers/"+user, "").status, 200)
		equal(t, "conversation by id", call(t, s, "GET", fmt.Sprintf("/v1/conversations/%d", id), "").status, 200)
		equal(t, "the same end-user again", call(t, s, "POST", "/v1/endusers", `{"email":"ann@example.org"}`).status, 400)
		time.Sleep(5*time.Second - time.Millisecond)
		equal(t, "just before the end-user", found(), []int{0, 0, 0})
		time.Sleep(time.Millisecond)
		equal(t, "with the end-user", found(), []int{1, 1, 0})
		time.Sleep(5 * time.Second)
		equal(t, "with the conversation", found(), []int{1, 1, 1})
		noViolations(t, s)
	})
}

func TestOnRequest(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan string), make(chan struct{})
	s := New(Options{OnRequest: func(op Operation, n int) {
		arrived <- fmt.Sprint(op, " ", n)
		<-release
	}})
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() { call(t, s, "POST", "/v1/endusers", `{}`) })
	}
	got := map[string]bool{<-arrived: true, <-arrived: true}
	equal(t, "requests", got, map[string]bool{"create_end_user 1": true, "create_end_user 2": true})
	equal(t, "end-users while the hook blocks", len(s.EndUsers()), 0)
	close(release)
	group.Wait()
	equal(t, "end-users", len(s.EndUsers()), 2)
}

func TestRequests(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{RecordRequests: true, MaxRequests: 3, Faults: []Fault{{Operation: GetOrganization, Kind: Throttle}}})
	call(t, s, "GET", "/v1/queues", "")
	call(t, s, "GET", "/v1/endusers?email=ann%40example.org", "")
	call(t, s, "GET", "/v1/organization", "")
	call(t, s, "POST", "/v1/conversations/import", importBody())
	var got []string
	for _, r := range s.Requests() {
		got = append(got, fmt.Sprint(r.Operation, " ", r.Method, " ", r.Path, " ", r.Status, " ", r.Throttled, " ", r.ExternalID))
	}
	equal(t, "requests", got, []string{
		"find_end_users GET /v1/endusers 200 false ",
		"get_organization GET /v1/organization 429 true ",
		"import POST /v1/conversations/import 201 false bot/t-1",
	})
}

func TestViolationsAreCapped(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for i := range 3 * maxViolations {
		path := "/v1/" + strings.Repeat("a", i%28+1) + "/" + strings.Repeat("b", i/28+1)
		call(t, s, "GET", path, "")
	}
	call(t, s, "GET", "/v1/ann@example.org/1234", "")
	v := s.Violations()
	equal(t, "violations", len(v), maxViolations+1)
	equal(t, "last", v[maxViolations], "and 201 more")
	equal(t, "count", s.ViolationCount(), 301)
	if out := log.String(); strings.Contains(out, "example.org") || !strings.Contains(out, "/v1/{}/{}") {
		t.Errorf("log: %s", out)
	}
}

func TestBrokenUploads(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		body   io.Reader
		status int
	}{
		{"too large", io.LimitReader(zeros{}, maxBody+1), 413},
		{"stops half-way", io.MultiReader(strings.NewReader(importBody()[:500]), iotest.ErrReader(io.ErrUnexpectedEOF)), 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, Options{})
			r := httptest.NewRequest(http.MethodPost, "/v1/conversations/import", tt.body)
			r.Header.Set("Authorization", "Bearer "+s.Token())
			// The recorder says 200 when nothing is answered.
			got := serve(s, r)
			equal(t, "status", got.status, tt.status)
			equal(t, "an answer", got.body != "", tt.status != 200)
			equal(t, "requests", len(s.Counts()), 0)
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestReset(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{Faults: []Fault{{Operation: ListQueues, Kind: ErrorBefore, Times: 1}}, RecordRequests: true})
	first := mustImport(t, s)
	call(t, s, "GET", "/v1/queues", "")
	call(t, s, "GET", "/v1/agents", "")
	s.SetDown(500)
	s.Reset()
	equal(t, "left", []int{len(s.Conversations()), len(s.EndUsers()), len(s.Requests()), len(s.Counts()), s.ViolationCount(),
		s.Fired()["list_queues:error_before"]}, []int{0, 0, 0, 0, 0, 0})
	equal(t, "status with the fault again", call(t, s, "GET", "/v1/queues", "").status, 500)
	s.AddEndUser(EndUser{ID: userID})
	if second := mustImport(t, s); second <= first {
		t.Errorf("id %d after %d", second, first)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{RecordRequests: true, Rate: 1e6, Burst: 1e6, Jitter: time.Microsecond})
	server := httptest.NewServer(s)
	defer server.Close()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				if r, err := post(t.Context(), server, s); err != nil || r.status != 201 {
					t.Errorf("%v %v", r, err)
				}
				call(t, s, "GET", "/v1/endusers/"+userID+"/conversations?pageLimit=5", "")
				call(t, s, "POST", "/v1/endusers", `{"externalId":"x"}`)
				call(t, s, "GET", "/_sandbox/state", "")
			}
		})
	}
	group.Wait()
	equal(t, "conversations", len(s.Conversations()), 160)
	equal(t, "duplicates", len(s.Duplicates()), 1)
	noViolations(t, s)
}
