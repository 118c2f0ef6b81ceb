package checkpoint

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"dixa-import/importer/checkpoint/pgtest"
)

// lossy is a proxy in front of Postgres that, once armed, loses the answer to one commit: the server commits, and the client's connection
// breaks.
type lossy struct {
	server string
	armed  atomic.Bool
	lost   atomic.Int64
	wg     sync.WaitGroup
}

// newLossy returns the proxy and the URL of the database through it.
func newLossy(t *testing.T, databaseURL string) (*lossy, string) {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &lossy{server: u.Host}
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.wg.Wait()
	})
	u.Host = l.Addr().String()
	return p, u.String()
}

func (p *lossy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var committing atomic.Bool
	p.wg.Go(func() {
		defer func() { _ = server.Close() }()
		buf := make([]byte, 64<<10)
		for {
			n, err := client.Read(buf)
			if bytes.Contains(buf[:n], []byte("commit")) && p.armed.CompareAndSwap(true, false) {
				committing.Store(true)
			}
			if _, writeErr := server.Write(buf[:n]); err != nil || writeErr != nil {
				return
			}
		}
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		// The tag of the answer to the commit. Earlier answers may pass.
		if committing.Load() && bytes.Contains(buf[:n], []byte("COMMIT\x00")) {
			p.lost.Add(1)
			return
		}
		if _, writeErr := client.Write(buf[:n]); err != nil || writeErr != nil {
			return
		}
	}
}

// TestLostCommitMayBeRepeated loses the answer to every kind of write, and repeats each.
func TestLostCommitMayBeRepeated(t *testing.T) {
	t.Parallel()
	proxy, through := newLossy(t, pgtest.New(t))
	s := setup(t, through)
	ctx, run := t.Context(), s.start(t)
	c := func(e Event) Change {
		c := change("a", 1, e)
		if e == Found {
			c.ConversationID = 100
			c.PartialErrors = []PartialError{{Kind: KindOther, Message: "m"}}
		}
		return c
	}
	write := func(e Event) func() error {
		return func() error {
			results, err := s.Write(ctx, bot, run, []Change{c(e)})
			if err == nil && !results[0].Applied {
				t.Errorf("%s: %+v", e, results[0])
			}
			return err
		}
	}
	steps := []struct {
		name string
		do   func() error
	}{
		{"bind", func() error { return s.Bind(ctx, bot, Binding{"b", "o"}, false) }},
		{"claim", func() error {
			claims, err := s.Claim(ctx, bot, run, []ClaimRequest{{ID: "a", Seen: -1}})
			if err == nil && claims[0].Claim != 1 {
				t.Errorf("claim: %v", claims)
			}
			return err
		}},
		{"reserve", func() error {
			answers, err := s.ReserveEndUsers(ctx, org, run, [][]Identifier{identifiers("x", "y")})
			if err == nil && !answers[0].Granted {
				t.Errorf("reserve: %+v", answers)
			}
			return err
		}},
		{"save", func() error {
			return s.SaveEndUsers(ctx, org, []EndUser{{ID: "u", Identifiers: identifiers("x", "y")}})
		}},
		{"send", write(Send)}, {"unsent", write(Unsent)}, {"send", write(Send)}, {"send again", write(SendAgain)},
		{"found", write(Found)}, {"release", write(Release)},
		{"claim again", func() error {
			claims, err := s.Claim(ctx, bot, run, []ClaimRequest{{ID: "a", Seen: 1, SeenAt: s.row(t, "a").UpdatedAt}})
			if err == nil && claims[0].Claim != 2 {
				t.Errorf("claim: %v", claims)
			}
			return err
		}},
		{"forget a person", func() error {
			users, removed, err := s.ForgetPerson(ctx, identifiers("x"))
			if err != nil { // the ids are still valid
				equal(t, "erased", users, []string{"u"})
			} else if len(users) > 0 || removed > 0 {
				t.Errorf("erased again: %v, %d", users, removed)
			}
			return err
		}},
		{"renew", func() error { return s.RenewRun(ctx, run, Beat{Counts: Counts{Read: 1}}) }},
		{"advance", func() error { _, err := s.AdvanceWatermark(ctx, bot, t0, 0); return err }},
		{"finish", func() error { return s.FinishRun(ctx, run, "complete", Beat{Counts: Counts{Read: 1}}) }},
		{"forget", func() error { return s.ForgetEndUser(ctx, org, "u") }},
	}
	for i, step := range steps {
		proxy.armed.Store(true)
		if err := step.do(); err == nil || !Retryable(err) {
			t.Fatalf("%s: the answer was lost: %v", step.name, err)
		}
		if got := proxy.lost.Load(); got != int64(i+1) {
			t.Fatalf("%s: %d answers were lost", step.name, got)
		}
		if err := step.do(); err != nil {
			t.Fatalf("%s again: %v", step.name, err)
		}
	}
	equal(t, "row", s.row(t, "a"), Row{ID: "a", Status: Imported, ConversationID: 100, EndUserID: "u", Attempts: 1, ErrorCode: "code",
		Error: "text", Reason: "reason", ContentHash: "h", ClosedAt: t0, RunID: run, Claim: 2})
	equal(t, "partial errors", len(s.partial(t, "a")), 1)
	runs, err := s.Runs(ctx, bot, 10)
	if err != nil || len(runs) != 1 || runs[0].Counts.Read != 1 || runs[0].Outcome != "complete" {
		t.Errorf("runs: %+v, %v", runs, err)
	}
}
