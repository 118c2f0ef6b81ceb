package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"dixa-import/importer/checkpoint/pgtest"
)

// request is a generated delivery and the answer that it must get.
type request struct {
	kind      string
	method    string
	body      []byte
	signature string
	truncated bool // the connection breaks before the body has ended
	want      int
	stores    string // the event that must be stored
}

// kinds generate deliveries around a genuine one with its own event.
var kinds = []func(rng *rand.Rand, id string, body []byte) request{
	func(_ *rand.Rand, id string, body []byte) request {
		return request{kind: "genuine", signature: sign(secret, time.Now(), body), want: 200, stores: id}
	},
	func(_ *rand.Rand, id string, body []byte) request {
		return request{kind: "of the second secret", signature: sign(oldSecret, time.Now(), body), want: 200, stores: id}
	},
	func(rng *rand.Rand, id string, body []byte) request {
		at := time.Now().Add(time.Duration(rng.IntN(400)-200) * time.Hour)
		return request{kind: "stale but valid", signature: sign(secret, at, body), want: 200, stores: id}
	},
	func(_ *rand.Rand, id string, body []byte) request {
		h := sign(secret, time.Now(), body)
		return request{kind: "several signatures", signature: strings.Replace(h, ",v1=", ",v1="+strings.Repeat("ab", 32)+", v0=x,v1=zz,v1=", 1), want: 200, stores: id}
	},
	func(_ *rand.Rand, _ string, _ []byte) request { return request{kind: "unsigned", want: 401} },
	func(rng *rand.Rand, _ string, body []byte) request {
		wrong := []byte(secret)
		at := rng.IntN(len(wrong))
		wrong[at] = map[bool]byte{true: '0', false: '1'}[wrong[at] != '0']
		return request{kind: "wrong secret", signature: sign(string(wrong), time.Now(), body), want: 401}
	},
	func(rng *rand.Rand, _ string, body []byte) request {
		h := sign(secret, time.Now(), body)
		forged := bytes.Clone(body)
		forged[rng.IntN(len(forged))] ^= byte(1 + rng.IntN(255))
		return request{kind: "forged body", body: forged, signature: h, want: 401}
	},
	func(rng *rand.Rand, _ string, body []byte) request {
		h := []byte(sign(secret, time.Now(), body))
		digits := bytes.Index(h, []byte("v1=")) + 3
		at := digits + rng.IntN(len(h)-digits)
		h[at] = map[bool]byte{true: '0', false: '1'}[h[at] != '0']
		return request{kind: "forged signature", signature: string(h), want: 401}
	},
	func(rng *rand.Rand, _ string, body []byte) request {
		h := sign(secret, time.Now(), body)
		stamp, rest, _ := strings.Cut(h, ",")
		other := []string{"t=" + strings.Repeat("9", 30) + h[15:], strings.Replace(h, "t=1", "t=2", 1), strings.Replace(h, "t=", "t=+", 1), strings.Replace(h, "t=", "t=-", 1), rest, stamp,
			strings.ToUpper(h), "v1=" + secret, strings.Replace(h, "v1=", "v2=", 1), h[:len(h)-2], " ", ",,,", strings.Repeat("v1=,", 500)}
		return request{kind: "malformed header", signature: other[rng.IntN(len(other))], want: 401}
	},
	func(rng *rand.Rand, _ string, body []byte) request {
		cut := body[:rng.IntN(len(body))]
		return request{kind: "truncated and signed", body: cut, signature: sign(secret, time.Now(), cut), want: 400}
	},
	func(rng *rand.Rand, _ string, body []byte) request {
		return request{kind: "broken off", signature: sign(secret, time.Now(), body), truncated: true, want: 400, body: body[:1+rng.IntN(len(body)-1)]}
	},
	func(rng *rand.Rand, _ string, _ []byte) request {
		bodies := []string{"", "null", "[]", "{}", `"x"`, `{"event_id":""}`, `{"event_id":{}}`, `{"event_id":"a b"}`, "\xff\xfe", `{"event_id":"x"}}`, strings.Repeat("[", 100000), `{"event_id":"` + strings.Repeat("x", 300) + `"}`}
		b := []byte(bodies[rng.IntN(len(bodies))])
		return request{kind: "malformed and signed", body: b, signature: sign(secret, time.Now(), b), want: 400}
	},
	func(_ *rand.Rand, id string, _ []byte) request {
		b := payload(map[string]any{"event_id": id, "event_fqn": "CONVERSATION_MESSAGE_ADDED", "data": map[string]any{"text": "no conversation"}})
		return request{kind: "of no conversation", body: b, signature: sign(secret, time.Now(), b), want: 200}
	},
	func(rng *rand.Rand, id string, _ []byte) request {
		b := message(id, 5000+rng.Int64N(1000), time.Now().Add(-3*time.Hour))
		return request{kind: "of another's conversation", body: b, signature: sign(secret, time.Now(), b), want: 200}
	},
	func(rng *rand.Rand, _ string, body []byte) request {
		source := []string{testSource, "second-bot"}[rng.IntN(2)]
		b := bytes.Replace(body, []byte(`"external_id":null`), []byte(`"external_id":"`+source+`/t-1:2"`), 1)
		return request{kind: "echo", body: b, signature: sign(secret, time.Now(), b), want: 200}
	},
	func(_ *rand.Rand, id string, body []byte) request {
		b := bytes.Replace(body, []byte(`"external_id":null`), []byte(`"external_id":"other/t-1:2"`), 1)
		return request{kind: "another program's external id", body: b, signature: sign(secret, time.Now(), b), want: 200, stores: id}
	},
	func(_ *rand.Rand, _ string, body []byte) request {
		b := bytes.Replace(body, []byte("agent-1"), []byte(testAgent), 1)
		return request{kind: "by the bot", body: b, signature: sign(secret, time.Now(), b), want: 200}
	},
	func(rng *rand.Rand, _ string, body []byte) request {
		methods := []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodPatch}
		return request{kind: "other method", method: methods[rng.IntN(len(methods))], signature: sign(secret, time.Now(), body), want: 405}
	},
}

// TestReceiverAnswers sends 2,000 generated deliveries, some of them several times, and then looks at what is stored.
func TestReceiverAnswers(t *testing.T) {
	each(t, func(w *world) {
		for i := range 10 {
			w.imported(fmt.Sprint("t-", i), int64(100+i))
		}
		in := w.intake(nil)
		url, r := w.receiver(in, nil)
		rng := rand.New(rand.NewPCG(3, 4))
		var requests []request
		want, seen := map[string]bool{}, map[string]int{}
		for n := 0; len(requests) < 2000; n++ {
			id := fmt.Sprintf("event-%d", n)
			body := message(id, 100+rng.Int64N(10), time.Now())
			q := kinds[n%len(kinds)](rng, id, body)
			if q.body == nil {
				q.body = body
			}
			requests = append(requests, q)
			seen[q.kind]++
			if q.stores != "" {
				want[q.stores] = true
				if rng.IntN(3) == 0 {
					requests = append(requests, q) // replayed
				}
			}
		}
		large := bytes.Repeat([]byte(" "), MaxBody+1)
		requests = append(requests, request{kind: "oversized", body: large, signature: sign(secret, time.Now(), large), want: 413},
			request{kind: "oversized and unsigned", body: large, want: 401})
		rng.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
		g, ctx := errgroup.WithContext(w.Context())
		g.SetLimit(8)
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		for _, q := range requests {
			g.Go(func() error {
				got, err := q.send(ctx, client, url)
				if err == nil && got != q.want {
					err = fmt.Errorf("answered %d, want %d", got, q.want)
				}
				if err != nil {
					return fmt.Errorf("%s: %w", q.kind, err)
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			w.Fatal(err)
		}
		events := w.events()
		for id, e := range events {
			if !want[id] || e.TranscriptID == "" || e.Text != "whispered by "+id {
				w.Errorf("%s is stored: %+v", id, e)
			}
			delete(want, id)
		}
		if len(want) > 0 || len(events) < 300 {
			w.Errorf("%d events are stored, %v are not", len(events), want)
		}
		if n := in.Count(Stored); n != int64(len(events)) || in.Count(Repeated) == 0 || in.Count(Echo) == 0 || in.Count(Foreign) == 0 {
			w.Errorf("%d events count as stored of %d", n, len(events))
		}
		answers := map[int]int64{}
		for a, n := range r.Answers() {
			answers[a.Status] += n
		}
		for _, status := range []int{200, 400, 401, 405, 413} {
			if answers[status] == 0 {
				w.Errorf("%d was never answered: %v", status, answers)
			}
		}
		if len(seen) != len(kinds) {
			w.Errorf("the kinds are %v", seen)
		}
	})
}

// send sends the request and returns the status of the answer.
func (q request) send(ctx context.Context, client *http.Client, url string) (int, error) {
	if q.truncated {
		return q.breakOff(ctx, url)
	}
	method := q.method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(q.body))
	if err != nil {
		return 0, err
	}
	if q.signature != "" {
		req.Header.Set("X-DIXA-SIGNATURE", q.signature)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if bytes.Contains(answer, []byte("whispered")) {
		return 0, errors.New("the answer repeats the delivery")
	}
	return res.StatusCode, err
}

// breakOff sends a part of the body that the header announces, and closes its side of the connection.
func (q request) breakOff(ctx context.Context, url string) (int, error) {
	address := strings.TrimPrefix(url[:strings.LastIndex(url, "/webhooks")], "http://")
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /webhooks/dixa HTTP/1.1\r\nHost: x\r\nX-Dixa-Signature: %s\r\nContent-Length: %d\r\n\r\n%s", q.signature, len(q.body)+10, q.body)
	if err == nil {
		err = conn.(*net.TCPConn).CloseWrite()
	}
	var version string
	status := 0
	if err == nil {
		_, err = fmt.Fscanf(conn, "%s %d", &version, &status)
	}
	return status, err
}

func TestReceiverSecrets(t *testing.T) {
	t.Parallel()
	for _, bad := range [][]string{nil, {}, {"whispered"}, {secret, ""}, {"abcd"}} {
		if _, err := NewReceiver(nil, ReceiverConfig{Secrets: bad}); err == nil || strings.Contains(err.Error(), "whispered") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestReceiverLogs: the log says that it was signed long ago, and a refused one why, without what they contain.
func TestReceiverLogs(t *testing.T) {
	w := onSQLite(t)
	url, _ := w.receiver(w.intake(nil), nil)
	body := message("e", 100, time.Now())
	for _, signature := range []string{sign(secret, time.Now().Add(-time.Hour), body), "t=1,v1=00"} {
		if _, err := (request{body: body, signature: signature}).send(t.Context(), http.DefaultClient, url); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"signed long ago", "was refused", "the signature is wrong"} {
		if !strings.Contains(w.logs.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, w.logs)
		}
	}
}

// TestDatabaseAway: while the database is away, a sender is asked to repeat its delivery; afterwards it is stored.
func TestDatabaseAway(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short")
	}
	t.Parallel()
	cluster := pgtest.Cluster(t)
	w := setup(t, cluster.URL())
	w.imported("t-1", 100)
	url, _ := w.receiver(w.intake(nil), func(c *ReceiverConfig) { c.Patience = 200 * time.Millisecond })
	cluster.Stop(pgtest.Fast)
	body := message("e", 100, time.Now())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-DIXA-SIGNATURE", sign(secret, time.Now(), body))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("answered %d with Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
	}
	cluster.Start()
	status := 0
	for range 100 { // the pool may still have broken connections
		if status, err = deliver(t.Context(), http.DefaultClient, url, body); err != nil {
			t.Fatal(err)
		}
		if status == http.StatusOK {
			break
		}
	}
	if e := w.events()["e"]; status != http.StatusOK || e.TranscriptID != "t-1" {
		t.Errorf("answered %d, and stored %+v", status, e)
	}
}
