package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/checkpoint/pgtest"
)

// messages imports transcripts and returns messages for each, a second after the one before it, and their ids by transcript.
func (w *world) messages(conversations, each int) (ids map[string][]string, payloads [][]byte) {
	w.Helper()
	ids = map[string][]string{}
	base := time.Now().Add(-time.Minute)
	for c := range conversations {
		transcript := fmt.Sprint("t-", c)
		w.imported(transcript, int64(100+c))
		for i := range each {
			id := fmt.Sprintf("%d-%d", c, i)
			ids[transcript] = append(ids[transcript], id)
			payloads = append(payloads, message(id, int64(100+c), base.Add(time.Duration(i)*time.Second)))
		}
	}
	return ids, payloads
}

// stored takes in messages, and returns their ids by transcript.
func (w *world) stored(in *Intake, conversations, each int) map[string][]string {
	w.Helper()
	ids, payloads := w.messages(conversations, each)
	for _, p := range payloads {
		if outcome, err := in.Take(w.Context(), p); err != nil || outcome != Stored {
			w.Fatal(outcome, err)
		}
	}
	return ids
}

// inOrder checks that each event was accepted once and in order.
func (b *bot) inOrder(want map[string][]string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for transcript, ids := range want {
		if !slices.Equal(b.order[transcript], ids) {
			b.t.Errorf("%s: accepted %v, want %v", transcript, b.order[transcript], ids)
		}
	}
}

// TestDeliveriesReachTheBot sends doubled and shuffled deliveries over HTTP, and then forwards them.
func TestDeliveriesReachTheBot(t *testing.T) {
	each(t, func(w *world) {
		in := w.intake(nil)
		url, _ := w.receiver(in, nil)
		const conversations, each = 6, 10
		want, bodies := w.messages(conversations, each)
		bodies = append(bodies, bodies...)
		rng := rand.New(rand.NewPCG(5, 6))
		rng.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		g, ctx := errgroup.WithContext(w.Context())
		g.SetLimit(6)
		for _, body := range bodies {
			g.Go(func() error {
				status, err := deliver(ctx, client, url, body)
				if err == nil && status != http.StatusOK {
					err = fmt.Errorf("answered %d", status)
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			w.Fatal(err)
		}
		b := newBot(w, nil)
		f, stop := w.forwarder(b, nil)
		b.accepted(conversations * each)
		stop()
		b.inOrder(want)
		for id, e := range w.events() {
			if e.State != checkpoint.EventForwarded || e.Text != "" || e.AuthorName != "" {
				w.Errorf("%s is %+v", id, e)
			}
		}
		if n := f.Counts(); n.Forwarded != conversations*each || n.Failures != 0 {
			w.Errorf("the counts are %+v", n)
		}
	})
}

func TestForwardedBody(t *testing.T) {
	w := onSQLite(t)
	w.imported("t-1", 100)
	at := time.Date(2026, 11, 26, 8, 0, 0, 120e6, time.UTC)
	in := w.intake(nil)
	body := bytes.Replace(message("e-1", 100, at), []byte("whispered by e-1"), []byte("1 < 2 & \u2028"), 1)
	typing := payload(map[string]any{"event_id": "e-2", "event_fqn": "TYPING_STARTED", "event_timestamp": at.Add(time.Second).Format(time.RFC3339Nano), "data": map[string]any{"conversation": map[string]any{"csid": 100}}})
	for _, p := range [][]byte{body, typing} {
		if _, err := in.Take(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	b := newBot(t, nil)
	_, stop := w.forwarder(b, nil)
	b.accepted(2)
	stop()
	for id, want := range map[string]string{
		"e-1": `{"type":"message_added","event_id":"e-1","event_fqn":"CONVERSATION_MESSAGE_ADDED","transcript_id":"t-1","conversation_id":100,"text":"1 < 2 & \u2028","author":{"id":"agent-1","name":"Ann","type":"Member"},"at":"2026-11-26T08:00:00.120Z"}`,
		"e-2": `{"type":"typing_started","event_id":"e-2","event_fqn":"TYPING_STARTED","transcript_id":"t-1","conversation_id":100,"text":null,"author":null,"at":"2026-11-26T08:00:01.120Z"}`,
	} {
		if got := string(b.bodies[id]); got != want || !json.Valid(b.bodies[id]) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestFailingBot: an event is repeated until it is accepted, whatever the answer, and later events of its conversation wait for it.
func TestFailingBot(t *testing.T) {
	each(t, func(w *world) {
		ids := w.stored(w.intake(nil), 3, 4)
		statuses := []int{500, 410, 302, 404, 429, 503}
		b := newBot(w, func(n int, _ Forwarded) int {
			if n <= 4*len(statuses) {
				return statuses[n%len(statuses)]
			}
			return 200
		})
		f, stop := w.forwarder(b, nil)
		b.accepted(12)
		stop()
		b.inOrder(ids)
		if n := f.Counts(); n.Failures != int64(4*len(statuses)) {
			w.Errorf("the counts are %+v", n)
		}
		for _, want := range []string{"the bot answered 500", "the bot answered 302", "check serve.forward_url"} {
			if !strings.Contains(w.logs.String(), want) {
				w.Errorf("the log lacks %q:\n%s", want, w.logs)
			}
		}
		if n := strings.Count(w.logs.String(), "the bot answered 410"); n != 1 {
			w.Errorf("410 is logged %d times", n)
		}
	})
}

// TestDeadEvent: after GiveUp an event is dead, the next one of its conversation is forwarded, and a retry forwards the dead one.
func TestDeadEvent(t *testing.T) {
	each(t, func(w *world) {
		w.stored(w.intake(nil), 1, 2)
		refuse := make(chan struct{})
		b := newBot(w, func(_ int, in Forwarded) int {
			select {
			case <-refuse:
			default:
				if in.EventID == "0-0" {
					return 500
				}
			}
			return 200
		})
		signal := NewSignal()
		f, stop := w.forwarder(b, func(c *ForwarderConfig) { c.GiveUp, c.Stored = 20*time.Millisecond, signal })
		b.accepted(1)
		dead, err := w.store.Events(w.Context(), checkpoint.EventFilter{States: []checkpoint.EventState{checkpoint.EventDead}})
		if err != nil || len(dead) != 1 || dead[0].ID != "0-0" || dead[0].LastStatus != 500 || dead[0].Text == "" || f.Counts().Dead != 1 {
			w.Fatalf("dead are %+v, %v", dead, err)
		}
		close(refuse)
		if n, err := w.store.RetryEvents(w.Context(), "", "", time.Hour); err != nil || n != 1 {
			w.Fatal(n, err)
		}
		signal.Set()
		b.accepted(2)
		stop()
		if !strings.Contains(w.logs.String(), "an event was given up") {
			w.Errorf("the log is silent:\n%s", w.logs)
		}
	})
}

// TestSlowBot: a request that takes too long is given up, and other conversations go on.
func TestSlowBot(t *testing.T) {
	w := onSQLite(t)
	ids := w.stored(w.intake(nil), 3, 2)
	held := make(chan struct{})
	b := newBot(t, func(_ int, in Forwarded) int {
		if in.TranscriptID == "t-0" {
			select {
			case <-held:
			default:
				<-held
				return 500
			}
		}
		return 200
	})
	_, stop := w.forwarder(b, func(c *ForwarderConfig) { c.Timeout, c.Lease = 100*time.Millisecond, 30*time.Second })
	b.accepted(4)
	w.until("the first request has timed out", func() bool { return w.events()["0-0"].LastError != "" })
	close(held)
	b.accepted(6)
	stop()
	b.inOrder(ids)
	if !strings.Contains(w.logs.String(), "did not answer in time") {
		t.Errorf("the log lacks the timeout:\n%s", w.logs)
	}
}

// TestUnreachableBot: what is recorded about a failure does not contain the address.
func TestUnreachableBot(t *testing.T) {
	w := onSQLite(t)
	w.stored(w.intake(nil), 1, 1)
	b := newBot(t, nil)
	b.Close()
	_, stop := w.forwarder(b, func(c *ForwarderConfig) { c.URL += "/whispered?token=whispered" })
	w.until("an attempt has failed", func() bool { return w.events()["0-0"].LastError != "" })
	stop()
	if last := w.events()["0-0"].LastError; last != "the connection to the bot was refused" {
		t.Errorf("the error is %q", last)
	}
	for _, bad := range []ForwarderConfig{{URL: "", Secret: forwardSecret}, {URL: "ftp://whispered", Secret: forwardSecret}, {URL: "https://whispered:x y/", Secret: forwardSecret}, {URL: "https://bot", Secret: "whispered"}} {
		if _, err := NewForwarder(bad); err == nil || strings.Contains(err.Error(), "whispered") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestLeftoverLease: what a process had claimed when it died is forwarded once its lease has ended, and in order.
func TestLeftoverLease(t *testing.T) {
	each(t, func(w *world) {
		ids := w.stored(w.intake(nil), 2, 3)
		const lease = 300 * time.Millisecond
		claimed, _, err := w.store.ClaimEvents(w.Context(), acme, testSource, "dead", lease, 10)
		if err != nil || len(claimed) != 2 {
			w.Fatal(claimed, err)
		}
		ended := time.Now().Add(lease)
		b := newBot(w, nil)
		b.answer = func(int, Forwarded) int {
			if early := time.Until(ended); early > 10*time.Millisecond {
				w.Errorf("an event is forwarded %v before the lease ends", early)
			}
			return 200
		}
		_, stop := w.forwarder(b, nil)
		b.accepted(6)
		stop()
		b.inOrder(ids)
	})
}

// TestTwoForwarders: two processes with one database post each event once.
func TestTwoForwarders(t *testing.T) {
	each(t, func(w *world) {
		const conversations, each = 10, 12
		ids := w.stored(w.intake(nil), conversations, each)
		rng := make(chan *rand.Rand, 1)
		rng <- rand.New(rand.NewPCG(7, 8))
		b := newBot(w, func(int, Forwarded) int {
			r := <-rng
			d := time.Duration(r.IntN(4)) * time.Millisecond
			rng <- r
			<-time.After(d)
			return 200
		})
		var stops []func()
		for range 2 {
			store := w.open()
			_, stop := w.forwarder(b, func(c *ForwarderConfig) { c.Store, c.Poll = store, 3*time.Millisecond })
			stops = append(stops, stop)
		}
		b.accepted(conversations * each)
		for _, stop := range stops {
			stop()
		}
		b.inOrder(ids)
		for id, n := range b.posts {
			if n != 1 {
				w.Errorf("%s was posted %d times", id, n)
			}
		}
	})
}

// TestStoppedForwarder: a request under way when the forwarder is stopped is finished and recorded.
func TestStoppedForwarder(t *testing.T) {
	w := onSQLite(t)
	w.stored(w.intake(nil), 1, 2)
	began, finish := make(chan struct{}), make(chan struct{})
	b := newBot(t, func(n int, _ Forwarded) int {
		if n == 1 {
			close(began)
			<-finish
		}
		return 200
	})
	_, stop := w.forwarder(b, nil)
	<-began
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	close(finish)
	<-stopped
	events := w.events()
	if events["0-0"].State != checkpoint.EventForwarded || b.posts["0-0"] != 1 {
		t.Errorf("the event under way is %+v", events["0-0"])
	}
}

// TestForwardingWithoutTheDatabase: while the database is away nothing is forwarded, and nothing twice afterwards.
func TestForwardingWithoutTheDatabase(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short")
	}
	t.Parallel()
	cluster := pgtest.Cluster(t)
	w := setup(t, cluster.URL())
	ids := w.stored(w.intake(nil), 4, 5)
	restart, restarted := make(chan struct{}), make(chan struct{})
	b := newBot(t, func(n int, _ Forwarded) int {
		if n == 7 {
			close(restart)
			<-restarted
		}
		return 200
	})
	_, stop := w.forwarder(b, func(c *ForwarderConfig) { c.Lease = time.Minute })
	<-restart
	cluster.Restart(pgtest.Fast)
	close(restarted)
	b.accepted(20)
	stop()
	b.inOrder(ids)
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	f, err := NewForwarder(ForwarderConfig{URL: "https://bot.example.org", Secret: forwardSecret})
	if err != nil {
		t.Fatal(err)
	}
	for attempts, most := range map[int]time.Duration{0: 2 * time.Second, 1: 4 * time.Second, 10: 2048 * time.Second, 11: time.Hour, 1000: time.Hour} {
		for range 100 {
			if d := f.backoff(attempts, 0); d < most/2 || d > most {
				t.Fatalf("after %d attempts: %v, want up to %v", attempts, d, most)
			}
		}
	}
	if d := f.backoff(0, 10*time.Minute); d != 10*time.Minute {
		t.Errorf("asked for 10m: %v", d)
	}
	if d := f.backoff(0, 100*time.Hour); d != time.Hour {
		t.Errorf("asked for 100h: %v", d)
	}
	for value, want := range map[string]time.Duration{"": 0, "5": 5 * time.Second, "-5": 0, "x": 0, "Thu, 01 Jan 1970 00:00:00 GMT": 0} {
		if got := parseRetryAfter(value); got != want {
			t.Errorf("%q is %v", value, got)
		}
	}
}
