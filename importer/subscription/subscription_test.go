package subscription_test

import (
	"context"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer/subscription"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var want = dixa.NewWebhook{Name: "bot", URL: "https://hooks.example.org/webhooks/dixa", Events: []string{"ConversationMessageAdded", "ConversationClosed"}, Channel: dixa.ChannelName}

func setup(t *testing.T) (*sandbox.Server, *dixa.Client) {
	t.Helper()
	s := sandbox.New(sandbox.Options{})
	api := httptest.NewServer(s)
	client, err := dixa.New(dixa.Config{BaseURL: api.URL, Token: s.Token(), Timeout: time.Second, MaxAttempts: 2, Backoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		api.Close()
		s.Close()
		if v := s.Violations(); len(v) > 0 {
			t.Errorf("violations: %v", v)
		}
	})
	return s, client
}

// TestAtOnce: of processes that create the same subscription at once, all end with the same one.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	for range 3 {
		s, client := setup(t)
		start := make(chan struct{})
		results := make([]subscription.Result, 6)
		var all sync.WaitGroup
		for i := range results {
			all.Go(func() {
				<-start
				var err error
				if results[i], err = subscription.Ensure(t.Context(), subscription.Config{API: client, Want: want, Settle: 2 * time.Second}); err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		all.Wait()
		left := s.Webhooks()
		if len(left) != 1 {
			t.Fatalf("Dixa has %d subscriptions", len(left))
		}
		created := 0
		for _, r := range results {
			if r.Webhook.ID != left[0].ID || r.Secret != left[0].Secret || len(r.Others) > 0 || r.Unchecked != nil {
				t.Errorf("one ended with %+v", r)
			}
			if r.Created {
				created++
			}
		}
		if created > 1 {
			t.Errorf("%d say that they have created it", created)
		}
	}
}

// meeting has another process create the same subscription right after the own one; it has not seen the own one and keeps its.
type meeting struct {
	subscription.API
	meet func()
}

func (m *meeting) CreateWebhook(ctx context.Context, w dixa.NewWebhook) (dixa.Webhook, string, error) {
	made, secret, err := m.API.CreateWebhook(ctx, w)
	if m.meet != nil {
		m.meet()
		m.meet = nil
	}
	return made, secret, err
}

// TestTheOtherOneStays: a subscription whose creator is content with it is not deleted, whichever id is lower.
func TestTheOtherOneStays(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"00000000-0000-4000-8000-000000000000", "ffffffff-ffff-4fff-8fff-ffffffffffff"} {
		s, client := setup(t)
		api := &meeting{API: client, meet: func() { s.AddWebhook(sandbox.Webhook{ID: id, Name: want.Name, URL: want.URL, Events: want.Events}) }}
		r, err := subscription.Ensure(t.Context(), subscription.Config{API: api, Want: want, Settle: 20 * time.Millisecond})
		left := s.Webhooks()
		if err != nil || r.Created || r.Webhook.ID != id || len(left) != 1 || left[0].ID != id || r.Secret != left[0].Secret {
			t.Errorf("%+v, %v; Dixa has %+v", r, err, left)
		}
	}
}

// TestFaults: whatever becomes of the request, there is one subscription in the end, or none and an error.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, kind := range []sandbox.FaultKind{sandbox.ErrorBefore, sandbox.ErrorAfter, sandbox.DropBefore, sandbox.DropAfter, sandbox.HangAfter, sandbox.BrokenBody, sandbox.CutBody,
		sandbox.EmptyBody, sandbox.HTMLAfter} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s, client := setup(t)
			s.SetFaults([]sandbox.Fault{{Operation: sandbox.CreateWebhook, Kind: kind, Times: 1}})
			r, err := subscription.Ensure(t.Context(), subscription.Config{API: client, Want: want, Settle: 10 * time.Millisecond})
			left := s.Webhooks()
			if err != nil || len(left) != 1 || r.Secret != left[0].Secret || r.Webhook.ID != left[0].ID || !r.Created {
				t.Errorf("%+v, %v; Dixa has %d", r, err, len(left))
			}
			again, err := subscription.Ensure(t.Context(), subscription.Config{API: client, Want: want, Settle: 10 * time.Millisecond})
			if err != nil || again.Created || again.Webhook.ID != r.Webhook.ID || again.Secret != r.Secret || len(s.Webhooks()) != 1 {
				t.Errorf("the second time: %+v, %v", again, err)
			}
		})
	}
}

// lagging shows what was created only after a while, and its answers are lost.
type lagging struct {
	subscription.API
	from time.Time
	made []dixa.Webhook
}

func (l *lagging) ListWebhooks(context.Context) ([]dixa.Webhook, error) {
	if time.Now().Before(l.from) {
		return nil, nil
	}
	return append([]dixa.Webhook{}, l.made...), nil
}

func (l *lagging) CreateWebhook(_ context.Context, w dixa.NewWebhook) (dixa.Webhook, string, error) {
	l.made = append(l.made, dixa.Webhook{ID: "w", Name: w.Name, URL: w.URL, Enabled: true, Events: w.Events})
	return dixa.Webhook{}, "", &dixa.TransportError{Operation: dixa.OpCreateWebhook, Err: context.DeadlineExceeded, Written: true}
}

func (l *lagging) WebhookSecret(context.Context, string) (string, error) { return "ab", nil }

// TestLag: a subscription that shows late is not created twice.
func TestLag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &lagging{from: time.Now().Add(4 * time.Second)}
		r, err := subscription.Ensure(t.Context(), subscription.Config{API: api, Want: want})
		if err != nil || r.Webhook.ID != "w" || !r.Created || len(api.made) != 1 {
			t.Errorf("%+v, %v, created %d times", r, err, len(api.made))
		}
	})
}

func TestLacks(t *testing.T) {
	t.Parallel()
	full := dixa.Webhook{Enabled: true, Events: append([]string{"ConversationAssigned"}, want.Events...)}
	off, few, blind := full, full, full
	off.Enabled, few.Events = false, few.Events[:2]
	blind.Filters = map[string]dixa.WebhookFilter{"Conversation": {Strategy: "All", Conditions: []dixa.WebhookCondition{{Type: "IsNotOneOf", Field: "OperationOrigin", Values: []string{"ApiImport"}}}}}
	for _, tt := range []struct {
		hook dixa.Webhook
		want string
	}{{full, ""}, {off, "it is disabled"}, {few, "it does not send ConversationClosed"}, {blind, "its filter keeps imported chats out"}} {
		got := subscription.Lacks(tt.hook, want.Events)
		if len(got) > 1 || len(got) == 1 && got[0] != tt.want || (len(got) == 0) != (tt.want == "") {
			t.Errorf("it lacks %q, want %q", got, tt.want)
		}
	}
}

func TestSameURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"https://h.example", "HTTPS://H.example:443/", true}, {"http://h.example:80/a", "http://h.example/a", true}, {"https://h.example/a", "https://h.example/A", false},
		{"https://h.example/a", "https://h.example/a/", false}, {"https://h.example/?k=1", "https://h.example/?k=2", false}, {"https://h.example:8443", "https://h.example", false},
	} {
		if got := subscription.SameURL(tt.a, tt.b); got != tt.want {
			t.Errorf("%s and %s: %v", tt.a, tt.b, got)
		}
	}
}
