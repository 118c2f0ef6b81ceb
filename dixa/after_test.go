package dixa

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
)

// stage is a client of a sandbox that holds an open conversation.
type stage struct {
	*testing.T
	c    *Client
	api  *sandbox.Server
	user string
	id   int64 // of the conversation
}

const (
	supportQueue = "497d2cb4-6b48-4fa2-99d2-21c2a5bad79f"
	refundTag    = "5c1d2f0e-9a53-4c38-8a3b-0f6f5f1f9d11"
	humanAgent   = "11111111-2222-4333-8444-555555555555"
	missingID    = 1
	secretWords  = "Ann Lee called about her refund of 500 crowns"
	secretURL    = "https://hooks.example.org/in?key=hunter2"
)

func onStage(t *testing.T, opts sandbox.Options, change ...func(*Config)) *stage {
	t.Helper()
	opts.Agents = append(opts.Agents, humanAgent)
	api := sandbox.New(opts)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	t.Cleanup(api.Close)
	user := api.AddEndUser(sandbox.EndUser{DisplayName: "Ann Lee", Email: testEmail})
	id := api.AddConversation(sandbox.Conversation{RequesterID: user, ImportedAt: time.Now(), Assignment: &sandbox.Assignment{AgentID: sandbox.DefaultAgentID},
		Messages: []sandbox.Message{{Text: "Hello"}, {Text: "Good day", Direction: "Outbound"}}})
	change = append([]func(*Config){func(cfg *Config) { cfg.Token = api.Token() }}, change...)
	return &stage{t, newClient(t, server.URL, change...), api, user, id}
}

// conversation returns the conversation as the sandbox holds it.
func (s *stage) conversation() sandbox.Conversation {
	s.Helper()
	c, ok := s.api.Conversation(s.id)
	if !ok {
		s.Fatal("the conversation is gone")
	}
	return c
}

func (s *stage) clean() {
	s.Helper()
	if v := s.api.Violations(); len(v) > 0 {
		s.Errorf("violations: %q", v)
	}
}

// want fails unless an error is a refusal with a status and a reason that leaks nothing.
func (s *stage) want(err error, status int, reason Reason) {
	s.Helper()
	api, ok := errors.AsType[*APIError](err)
	if !ok || api.Status != status || api.Reason != reason || !NotApplied(err) {
		s.Errorf("%v; want status %d for the reason %q", err, status, reason)
	}
	leaksNothing(s.T, err)
}

func leaksNothing(t *testing.T, err error) {
	t.Helper()
	noSecrets(t, err)
	for e := err; e != nil; e = errors.Unwrap(e) {
		if strings.Contains(e.Error(), "crowns") || strings.Contains(e.Error(), "hunter2") {
			t.Errorf("the error gives away what the request said: %v", e)
		}
	}
}

// after is an operation on a conversation, or around one.
type after struct {
	op       sandbox.Operation
	repeated bool // the client repeats it whatever happened
	prepare  func(s *stage)
	call     func(ctx context.Context, s *stage, conversation int64) error
	effects  func(s *stage) int // how often it was done; nil: it only reads
	empty    bool               // nothing is needed of its answer
	noID     bool               // it is about no conversation
}

var rated = RatingResult{Type: CSAT, Value: 4, Comment: secretWords, SubmittedAt: At(time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC))}

func offer(s *stage) string {
	id, err := s.c.OfferRating(s.Context(), s.id, RatingOffer{UserID: s.user, AgentID: sandbox.DefaultAgentID, Type: CSAT, OfferedAt: rated.SubmittedAt}, nil)
	if err != nil {
		s.Fatal(err)
	}
	return id
}

func parent(s *stage) int64 {
	return s.api.AddConversation(sandbox.Conversation{ID: s.id + 1, RequesterID: s.user})
}

func anyHook(s *stage) string {
	if hooks := s.api.Webhooks(); len(hooks) > 0 {
		return hooks[0].ID
	}
	return s.api.AddWebhook(sandbox.Webhook{Name: "bot", URL: secretURL, Events: []string{"ConversationClosed"}}).ID
}

var afters = []after{
	{op: sandbox.GetAvailability, repeated: true, noID: true, call: func(ctx context.Context, s *stage, _ int64) error {
		got, err := s.c.QueueAvailability(ctx, supportQueue)
		if err == nil && (!got.Available || got.QueueSize != 0) {
			s.Errorf("availability %+v", got)
		}
		return err
	}},
	{op: sandbox.Transfer, empty: true, call: func(ctx context.Context, s *stage, id int64) error {
		return s.c.TransferToQueue(ctx, id, supportQueue, nil)
	}, effects: func(s *stage) int { return s.conversation().Transfers }},
	{op: sandbox.Reopen, empty: true, prepare: func(s *stage) { s.api.AgentCloses(s.id, humanAgent) }, call: func(ctx context.Context, s *stage, id int64) error {
		return s.c.ReopenConversation(ctx, id, nil)
	}, effects: func(s *stage) int { return s.conversation().Transfers }},
	{op: sandbox.ListTags, repeated: true, noID: true, call: func(ctx context.Context, s *stage, _ int64) error {
		got, err := s.c.ListTags(ctx)
		if err == nil && (len(got) != 2 || got[1] != Tag{refundTag, "refund", "Active"}) {
			s.Errorf("tags %+v", got)
		}
		return err
	}},
	{op: sandbox.CreateTag, noID: true, call: func(ctx context.Context, s *stage, _ int64) error {
		got, err := s.c.CreateTag(ctx, "late")
		if err == nil && (got.ID == "" || got.Name != "late") {
			s.Errorf("tag %+v", got)
		}
		return err
	}, effects: func(s *stage) int {
		tags, err := s.c.ListTags(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		return len(tags) - 2
	}},
	{op: sandbox.AddTag, repeated: true, empty: true, call: func(ctx context.Context, s *stage, id int64) error { return s.c.AddTag(ctx, id, refundTag) },
		effects: func(s *stage) int { return len(s.conversation().TagIDs) }},
	{op: sandbox.ListConversationTags, repeated: true, prepare: func(s *stage) { _ = s.c.AddTag(s.Context(), s.id, refundTag) },
		call: func(ctx context.Context, s *stage, id int64) error {
			got, err := s.c.ListConversationTags(ctx, id)
			if err == nil && (len(got) != 1 || got[0].Name != "refund") {
				s.Errorf("tags %+v", got)
			}
			return err
		}},
	{op: sandbox.OfferRating, call: func(ctx context.Context, s *stage, id int64) error {
		got, err := s.c.OfferRating(ctx, id, RatingOffer{UserID: s.user, AgentID: sandbox.DefaultAgentID, Type: NPS, OfferedAt: rated.SubmittedAt}, nil)
		if ratings := s.conversation().Ratings; err == nil && (len(ratings) != 1 || ratings[0].ID != got || ratings[0].Type != "Nps") {
			s.Errorf("%s: %+v", got, ratings)
		}
		return err
	}, effects: func(s *stage) int { return len(s.conversation().Ratings) }},
	{op: sandbox.SubmitRating, empty: true, prepare: func(s *stage) { offer(s) }, call: func(ctx context.Context, s *stage, id int64) error {
		return s.c.SubmitRating(ctx, id, s.conversation().Ratings[0].ID, rated, nil)
	}, effects: func(s *stage) int {
		r := s.conversation().Ratings[0]
		if r.Rated && (r.Value != 4 || r.Comment != secretWords || !r.RatedAt.Equal(rated.SubmittedAt.Time)) {
			s.Errorf("rating %+v", r)
		}
		return map[bool]int{true: 1}[r.Rated]
	}},
	{op: sandbox.ListRatings, repeated: true, prepare: func(s *stage) { offer(s) }, call: func(ctx context.Context, s *stage, id int64) error {
		got, err := s.c.ListRatings(ctx, id)
		if err == nil && (len(got) != 1 || got[0].Type != CSAT || got[0].AgentID != sandbox.DefaultAgentID || got[0].Submitted() || !got[0].OfferedAt.Equal(rated.SubmittedAt.Time)) {
			s.Errorf("ratings %+v", got)
		}
		return err
	}},
	{op: sandbox.CreateNotes, call: func(ctx context.Context, s *stage, id int64) error {
		refused, err := s.c.CreateNotes(ctx, id, []NewNote{{Message: secretWords, AgentID: humanAgent, CreatedAt: rated.SubmittedAt}}, nil)
		if err == nil && !slices.Equal(refused, []string{""}) {
			s.Errorf("refused: %q", refused)
		}
		return err
	}, effects: func(s *stage) int { return len(s.conversation().Notes) }},
	{op: sandbox.ListNotes, repeated: true, prepare: func(s *stage) {
		_, _ = s.c.CreateNotes(s.Context(), s.id, []NewNote{{Message: secretWords, AgentID: humanAgent, CreatedAt: rated.SubmittedAt}}, nil)
	}, call: func(ctx context.Context, s *stage, id int64) error {
		got, err := s.c.ListNotes(ctx, id)
		if err == nil && (len(got) != 1 || got[0].ID == "" || got[0].Message != secretWords || got[0].AuthorID != humanAgent || !got[0].CreatedAt.Equal(rated.SubmittedAt.Time)) {
			s.Errorf("notes %+v", got)
		}
		return err
	}},
	{op: sandbox.LinkConversation, empty: true, prepare: func(s *stage) { parent(s) }, call: func(ctx context.Context, s *stage, id int64) error {
		return s.c.LinkConversation(ctx, id, s.id+1, nil)
	}, effects: func(s *stage) int { return map[bool]int{true: 1}[s.conversation().ParentID == s.id+1] }},
	{op: sandbox.ListLinked, repeated: true, prepare: func(s *stage) {
		s.api.AddConversation(sandbox.Conversation{ID: s.id + 1, RequesterID: s.user, ParentID: s.id})
	}, call: func(ctx context.Context, s *stage, id int64) error {
		got, err := s.c.ListLinked(ctx, id)
		if err == nil && (len(got) != 1 || got[0] != Linked{s.id + 1, s.id, "FollowUp"}) {
			s.Errorf("linked %+v", got)
		}
		return err
	}},
	{op: sandbox.CreateWebhook, noID: true, call: func(ctx context.Context, s *stage, _ int64) error {
		made, secret, err := s.c.CreateWebhook(ctx, NewWebhook{Name: "bot", URL: secretURL, Events: []string{"ConversationMessageAdded"}, Channel: ChannelName})
		if err == nil && (secret != s.api.Webhooks()[0].Secret || made.ID != s.api.Webhooks()[0].ID || made.URL != secretURL || !made.ReceivesImports()) {
			s.Errorf("made %+v with the secret %s", made, secret)
		}
		return err
	}, effects: func(s *stage) int { return len(s.api.Webhooks()) }},
	{op: sandbox.GetWebhook, repeated: true, noID: true, prepare: func(s *stage) { anyHook(s) }, call: func(ctx context.Context, s *stage, _ int64) error {
		secret, err := s.c.WebhookSecret(ctx, anyHook(s))
		if err == nil && secret != s.api.Webhooks()[0].Secret {
			s.Errorf("secret %q", secret)
		}
		return err
	}},
	{op: sandbox.DeleteWebhook, repeated: true, empty: true, noID: true, prepare: func(s *stage) { anyHook(s) }, call: func(ctx context.Context, s *stage, _ int64) error {
		return s.c.DeleteWebhook(ctx, anyHook(s))
	}, effects: func(s *stage) int { return 1 - len(s.api.Webhooks()) }},
	{op: sandbox.ListDeliveries, repeated: true, noID: true, prepare: func(s *stage) { anyHook(s) }, call: func(ctx context.Context, s *stage, _ int64) error {
		got, err := s.c.ListDeliveries(ctx, anyHook(s), "ConversationClosed")
		if len(got) != 0 {
			s.Errorf("deliveries %+v", got)
		}
		return err
	}},
	{op: sandbox.DeliveryStatus, repeated: true, noID: true, prepare: func(s *stage) { anyHook(s) }, call: func(ctx context.Context, s *stage, _ int64) error {
		got, err := s.c.ListDeliveryStatuses(ctx, anyHook(s))
		if err == nil && (len(got) != 1 || got[0] != DeliveryStatus{Event: "ConversationClosed"}) {
			s.Errorf("statuses %+v", got)
		}
		return err
	}},
}

// each runs a test for each of the operations, with a sandbox of its own that meets the fault.
func each(t *testing.T, fault sandbox.Fault, test func(s *stage, a after)) {
	for _, a := range afters {
		t.Run(string(a.op), func(t *testing.T) {
			t.Parallel()
			s := onStage(t, sandbox.Options{})
			if a.prepare != nil {
				a.prepare(s)
			}
			if fault.Kind != "" {
				own := fault
				own.Name, own.Operation = "fault", a.op
				s.api.SetFaults([]sandbox.Fault{own})
				defer func() {
					if s.api.Fired()["fault"] == 0 {
						t.Error("the fault has not fired")
					}
				}()
			}
			test(s, a)
		})
	}
}

// done fails unless the operation has been done n times, in so many requests.
func (a after) done(s *stage, n, requests int) {
	s.Helper()
	if got := s.api.Counts()[a.op]; got != requests {
		s.Errorf("%d requests, want %d", got, requests)
	}
	if a.effects == nil {
		return
	}
	if got := a.effects(s); got != n {
		s.Errorf("done %d times, want %d", got, n)
	}
}
