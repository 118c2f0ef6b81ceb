package dixa

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
)

// TestAfterRefused requires the refusals that Dixa documents, and those of a strict sandbox.
func TestAfterRefused(t *testing.T) {
	t.Parallel()
	type refusal struct {
		status int
		reason Reason
		call   func(ctx context.Context, s *stage) error
	}
	for name, r := range map[string]refusal{
		"transfer to an unknown queue": {400, ReasonQueueMissing, func(ctx context.Context, s *stage) error {
			return s.c.TransferToQueue(ctx, s.id, humanAgent, nil)
		}},
		"availability of an unknown queue": {400, ReasonQueueMissing, func(ctx context.Context, s *stage) error {
			_, err := s.c.QueueAvailability(ctx, humanAgent)
			return err
		}},
		"create a nameless webhook": {400, ReasonUnknown, func(ctx context.Context, s *stage) error {
			_, _, err := s.c.CreateWebhook(ctx, NewWebhook{URL: secretURL, Events: []string{"ConversationClosed"}})
			return err
		}},
		"tag that is not active": {404, ReasonNotFound, func(ctx context.Context, s *stage) error {
			return s.c.AddTag(ctx, s.id, "0a6f7a52-7d7e-4f0e-93f4-b7f2a9a7a1c2")
		}},
		"rating about an unknown agent": {404, ReasonNotFound, func(ctx context.Context, s *stage) error {
			_, err := s.c.OfferRating(ctx, s.id, RatingOffer{AgentID: refundTag, Type: CSAT, OfferedAt: rated.SubmittedAt}, nil)
			return err
		}},
		"parent that is a child": {400, ReasonUnknown, func(ctx context.Context, s *stage) error {
			child := s.api.AddConversation(sandbox.Conversation{RequesterID: s.user, ParentID: parent(s)})
			return s.c.LinkConversation(ctx, s.id, child, nil)
		}},
		"child that is a parent": {400, ReasonUnknown, func(ctx context.Context, s *stage) error {
			s.api.AddConversation(sandbox.Conversation{RequesterID: s.user, ParentID: s.id})
			return s.c.LinkConversation(ctx, s.id, s.api.AddConversation(sandbox.Conversation{RequesterID: s.user}), nil)
		}},
		"second parent": {400, ReasonUnknown, func(ctx context.Context, s *stage) error {
			if err := s.c.LinkConversation(ctx, s.id, parent(s), nil); err != nil {
				s.Error(err)
			}
			return s.c.LinkConversation(ctx, s.id, s.id+1, nil)
		}},
		"parent of a hundred": {400, ReasonUnknown, func(ctx context.Context, s *stage) error {
			above := parent(s)
			for range 100 {
				s.api.AddConversation(sandbox.Conversation{RequesterID: s.user, ParentID: above})
			}
			return s.c.LinkConversation(ctx, s.id, above, nil)
		}},
		"parent that is not there": {404, ReasonNotFound, func(ctx context.Context, s *stage) error { return s.c.LinkConversation(ctx, s.id, missingID, nil) }},
		"secret of no webhook": {404, ReasonNotFound, func(ctx context.Context, s *stage) error {
			_, err := s.c.WebhookSecret(ctx, humanAgent)
			return err
		}},
		"no webhook to delete": {404, ReasonNotFound, func(ctx context.Context, s *stage) error { return s.c.DeleteWebhook(ctx, humanAgent) }},
		"deliveries of no webhook": {404, ReasonNotFound, func(ctx context.Context, s *stage) error {
			_, err := s.c.ListDeliveries(ctx, humanAgent, "ConversationClosed")
			return err
		}},
		"statuses of no webhook": {404, ReasonNotFound, func(ctx context.Context, s *stage) error {
			_, err := s.c.ListDeliveryStatuses(ctx, humanAgent)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onStage(t, sandbox.Options{})
			err := r.call(t.Context(), s)
			s.want(err, r.status, r.reason)
			if NotOffered(err) {
				t.Errorf("it is taken for an operation that is not there: %v", err)
			}
			s.clean()
		})
	}
	// Mistakes of a client, which the sandbox notes.
	for want, call := range map[string]func(ctx context.Context, s *stage) error{
		"a closed conversation is transferred": func(ctx context.Context, s *stage) error {
			s.api.AgentCloses(s.id, humanAgent)
			return s.c.TransferToQueue(ctx, s.id, supportQueue, nil)
		},
		"an open conversation is reopened": func(ctx context.Context, s *stage) error { return s.c.ReopenConversation(ctx, s.id, nil) },
		"names an event that is not known": func(ctx context.Context, s *stage) error {
			_, _, err := s.c.CreateWebhook(ctx, NewWebhook{Name: "bot", URL: secretURL, Events: []string{"ConversationEnded"}})
			return err
		},
		"event is not one that is known": func(ctx context.Context, s *stage) error {
			_, err := s.c.ListDeliveries(ctx, anyHook(s), "ConversationEnded")
			return err
		},
		"a rating is submitted twice": func(ctx context.Context, s *stage) error {
			id := offer(s)
			_ = s.c.SubmitRating(ctx, s.id, id, rated, nil)
			return s.c.SubmitRating(ctx, s.id, id, rated, nil)
		},
		"is outside of its range": func(ctx context.Context, s *stage) error {
			return s.c.SubmitRating(ctx, s.id, offer(s), RatingResult{Type: Thumbs, Value: 2, SubmittedAt: rated.SubmittedAt}, nil)
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			s := onStage(t, sandbox.Options{})
			err := call(t.Context(), s)
			if !Refused(err) {
				t.Error(err)
			}
			leaksNothing(t, err)
			if v := strings.Join(s.api.Violations(), "\n"); !strings.Contains(v, want) {
				t.Errorf("violations: %s", v)
			}
		})
	}
}

// TestAfterWording requires what Dixa documents, but a sandbox does not say by itself.
func TestAfterWording(t *testing.T) {
	t.Parallel()
	for _, r := range []struct {
		status  int
		message string
		reason  Reason
		call    func(ctx context.Context, c *Client) error
	}{
		{400, "Invalid value for: path parameter conversationId", ReasonConversationID, func(ctx context.Context, c *Client) error { return c.TransferToQueue(ctx, 7, "q", nil) }},
		{400, "Invalid value for: path parameter conversationId", ReasonConversationID, func(ctx context.Context, c *Client) error { return c.ReopenConversation(ctx, 7, nil) }},
		{409, "no supported channels", ReasonChannelUnsupported, func(ctx context.Context, c *Client) error {
			_, err := c.QueueAvailability(ctx, "q")
			return err
		}},
		{400, "No Queue does not exist for " + testEmail, ReasonUnknown, func(ctx context.Context, c *Client) error { return c.TransferToQueue(ctx, 7, "q", nil) }},
	} {
		c, _ := answering(t, r.status, fmt.Sprintf(`{"message":%q}`, r.message))
		err := r.call(t.Context(), c)
		if ReasonOf(err) != r.reason || !NotApplied(err) {
			t.Errorf("%v: %q", err, ReasonOf(err))
		}
		noSecrets(t, err)
	}
}

// TestAfterEchoes requires that no error repeats what a request said.
func TestAfterEchoes(t *testing.T) {
	t.Parallel()
	c, _ := answering(t, 400, fmt.Sprintf(`{"message":"cannot take %s or %s"}`, secretWords, secretURL))
	ctx := t.Context()
	_, notes := c.CreateNotes(ctx, 7, []NewNote{{Message: secretWords}}, nil)
	_, _, hook := c.CreateWebhook(ctx, NewWebhook{Name: "bot", URL: secretURL})
	for what, err := range map[string]error{"crowns": notes, "comment crowns": c.SubmitRating(ctx, 7, "r", rated, nil), "hunter2": hook} {
		secret := what[strings.LastIndexByte(what, ' ')+1:]
		if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), mask) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestNotesItemByItem requires that each refused note is told of, and the others are made.
func TestNotesItemByItem(t *testing.T) {
	t.Parallel()
	s := onStage(t, sandbox.Options{})
	notes := []NewNote{{Message: "one", AgentID: humanAgent, CreatedAt: rated.SubmittedAt}, {Message: "two", AgentID: refundTag, CreatedAt: rated.SubmittedAt},
		{Message: "three", CreatedAt: rated.SubmittedAt}}
	refused, err := s.c.CreateNotes(t.Context(), s.id, notes, nil)
	if err != nil || len(refused) != 3 || refused[0] != "" || !strings.Contains(refused[1], "cannot be found") || refused[2] != "" {
		t.Fatalf("%q %v", refused, err)
	}
	if made := s.conversation().Notes; len(made) != 2 || made[1].Text != "three" || made[1].AuthorID != sandbox.DefaultAgentID {
		t.Errorf("%+v", made)
	}
	s.clean()
}

// TestRatedTwoWays requires that a submitted rating is read, which no longer has the time of its offer, and that a tag of a known name is not an error.
func TestRatedTwoWays(t *testing.T) {
	t.Parallel()
	s := onStage(t, sandbox.Options{})
	id := offer(s)
	if err := s.c.SubmitRating(t.Context(), s.id, id, rated, nil); err != nil {
		t.Fatal(err)
	}
	got, err := s.c.ListRatings(t.Context(), s.id)
	if err != nil || len(got) != 1 || got[0].ID != id || !got[0].Submitted() || !got[0].OfferedAt.IsZero() || !got[0].SubmittedAt.Equal(rated.SubmittedAt.Time) {
		t.Errorf("%+v %v", got, err)
	}
	if tag, err := s.c.CreateTag(t.Context(), "refund"); err != nil || tag.ID != refundTag {
		t.Errorf("%+v %v", tag, err)
	}
	s.clean()
}

// TestUnavailable requires the size of a queue in which nobody is available.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	s := onStage(t, sandbox.Options{})
	if !s.api.SetAvailability("Support", false) || s.api.SetAvailability("Sales", false) {
		t.Fatal("the queue is not found")
	}
	if err := s.c.TransferToQueue(t.Context(), s.id, supportQueue, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := s.c.QueueAvailability(t.Context(), supportQueue); err != nil || got != (Availability{false, 1}) {
		t.Errorf("%+v %v", got, err)
	}
	got, err := s.c.GetConversation(t.Context(), s.id)
	if err != nil || got.Queue == nil || got.Queue.ID != supportQueue || got.Assignment != nil || got.State != "Open" {
		t.Errorf("%+v %v", got, err)
	}
	if !s.api.AgentTakes(s.id, humanAgent) {
		t.Fatal("nobody takes it")
	}
	if got, err = s.c.GetConversation(t.Context(), s.id); err != nil || got.Assignment == nil || got.Assignment.AgentID != humanAgent {
		t.Errorf("%+v %v", got, err)
	}
	s.clean()
}

// TestDeliveryLogs requires that the logs give each payload as it was sent.
func TestDeliveryLogs(t *testing.T) {
	t.Parallel()
	got := make(chan []byte, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- body
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(receiver.Close)
	s := onStage(t, sandbox.Options{})
	made, _, err := s.c.CreateWebhook(t.Context(), NewWebhook{Name: "bot", URL: receiver.URL, Events: []string{"ConversationMessageAdded", "ConversationClosed"}, Channel: ChannelName})
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Second)
	s.api.AgentReplies(s.id, humanAgent, secretWords)
	if err := s.api.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := s.c.ListDeliveries(t.Context(), made.ID, "ConversationMessageAdded")
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	d := list[0]
	var payload struct {
		ID string `json:"event_id"`
	}
	sent := <-got
	if string(d.Payload) != string(sent) || json.Unmarshal(sent, &payload) != nil || d.EventID != payload.ID || !d.Success || d.ResponseCode != 202 || d.At.Before(before) {
		t.Errorf("%+v, sent %s", d, sent)
	}
	statuses, err := s.c.ListDeliveryStatuses(t.Context(), made.ID)
	if err != nil || len(statuses) != 2 || !statuses[0].Recent || statuses[0].ResponseCode != 202 || !statuses[0].Success || statuses[1].Recent {
		t.Errorf("%+v %v", statuses, err)
	}
	s.clean()
}

// TestOddDeliveryLogs requires that entries of another form do not spoil the rest of a log.
func TestOddDeliveryLogs(t *testing.T) {
	t.Parallel()
	c, _ := answering(t, 200, `{"data":[{"payload":"{\"event_id\":\"e-1\"}","deliveryDetail":{"deliveryTimestamp":"2023-09-15T12:00:00.000Z","success":true,"responseCode":200}},
		{"payload":"{\"event_id\":\"e-2\", cut","deliveryDetail":null},{"payload":{"event_id":"e-3"},"deliveryDetail":7},{"payload":null},{}]}`)
	got, err := c.ListDeliveries(t.Context(), "w", "ConversationClosed")
	if err != nil || len(got) != 5 {
		t.Fatalf("%+v %v", got, err)
	}
	for i, want := range []string{"e-1", "", "e-3", "", ""} {
		if got[i].EventID != want || got[i].Success != (i == 0) {
			t.Errorf("%d: %+v", i, got[i])
		}
	}
	if !got[0].At.Equal(time.Date(2023, 9, 15, 12, 0, 0, 0, time.UTC)) || string(got[1].Payload) != `{"event_id":"e-2", cut` || len(got[3].Payload) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestWebhooksKeepSecrets requires that printing a subscription shows neither its secret nor what its address may hold.
func TestWebhooksKeepSecrets(t *testing.T) {
	t.Parallel()
	s := onStage(t, sandbox.Options{})
	in := NewWebhook{Name: "bot", URL: secretURL, Events: []string{"ConversationClosed"}, Channel: ChannelName}
	made, secret, err := s.c.CreateWebhook(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := s.c.ListWebhooks(t.Context())
	if err != nil || len(listed) != 1 || listed[0].URL != secretURL || listed[0].ID != made.ID {
		t.Fatalf("%+v %v", listed, err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		text := fmt.Sprintf(strings.Repeat(verb, 4), in, made, &made, listed)
		if strings.Contains(text, "hunter2") || strings.Contains(text, secret) {
			t.Errorf("%s", text)
		}
	}
	s.clean()
}
