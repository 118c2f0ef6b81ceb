package dixa

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	agentID = "cd4ceb58-bb3a-443c-9cd8-4f088feafe5b"
	userID  = "9c2a2cce-699f-4a72-89d9-fda5bc8dec8b"
)

// answering starts a server that gives the same answer to everything.

func answering(t *testing.T, status int, body string) (*Client, *recorder) {
	t.Helper()
	return setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) { reply(w, status, body) })
}

func TestPaths(t *testing.T) {
	t.Parallel()
	one, list := `{"data":{"id":"x"}}`, `{"data":[]}`
	tests := map[string]struct {
		call   func(ctx context.Context, c *Client) error
		answer string
	}{
		"GET /endusers?phone=%2B4512345678": {func(ctx context.Context, c *Client) error {
			_, err := c.FindEndUsers(ctx, ByPhone, testPhone)
			return err
		}, list},
		"GET /endusers?email=ann.lee%2Bshop%40example.org": {func(ctx context.Context, c *Client) error {
			_, err := c.FindEndUsers(ctx, ByEmail, testEmail)
			return err
		}, list},
		"GET /endusers?externalId=a%20b%26c%3Dd%2F%23%C3%B8": {func(ctx context.Context, c *Client) error {
			_, err := c.FindEndUsers(ctx, ByExternalID, "a b&c=d/#ø")
			return err
		}, list},
		"GET /endusers/a%2Fb%3Fc": {func(ctx context.Context, c *Client) error {
			_, err := c.GetEndUser(ctx, "a/b?c")
			return err
		}, one},
		"PATCH /endusers/u": {func(ctx context.Context, c *Client) error {
			_, err := c.RenameEndUser(ctx, "u", "Ann Lee")
			return err
		}, one},
		"GET /endusers": {func(ctx context.Context, c *Client) error {
			_, err := collect(c.ListEndUsers(ctx, 0))
			return err
		}, list},
		"GET /endusers?pageLimit=500": {func(ctx context.Context, c *Client) error {
			_, err := collect(c.ListEndUsers(ctx, 500))
			return err
		}, list},
		"POST /endusers": {func(ctx context.Context, c *Client) error {
			_, err := c.CreateEndUser(ctx, NewEndUser{}, nil)
			return err
		}, one},
		"POST /endusers/bulk": {func(ctx context.Context, c *Client) error {
			_, err := c.CreateEndUsers(ctx, make([]NewEndUser, 1), nil)
			return err
		}, `{"data":[{"data":{"id":"x"},"_type":"BulkActionSuccess"}]}`},
		"GET /endusers/u/conversations": {func(ctx context.Context, c *Client) error {
			_, err := c.ListConversations(ctx, "u")
			return err
		}, list},
		"GET /conversations/7": {func(ctx context.Context, c *Client) error {
			_, err := c.GetConversation(ctx, 7)
			return err
		}, `{"data":{"id":7}}`},
		"GET /conversations/7/messages": {func(ctx context.Context, c *Client) error {
			_, err := c.ListMessages(ctx, 7)
			return err
		}, list},
		"POST /conversations/import": {kinds["import"].call, kinds["import"].good},
		"PATCH /conversations/7/custom-attributes": {func(ctx context.Context, c *Client) error {
			return c.PatchAttributes(ctx, 7, map[string]AttributeValue{"u": {}})
		}, list},
		"GET /custom-attributes": {func(ctx context.Context, c *Client) error {
			_, err := c.ListAttributes(ctx)
			return err
		}, list},
		"GET /queues": {func(ctx context.Context, c *Client) error {
			_, err := c.ListQueues(ctx)
			return err
		}, list},
		"GET /webhooks": {func(ctx context.Context, c *Client) error {
			_, err := c.ListWebhooks(ctx)
			return err
		}, list},
	}
	for want, test := range tests {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			c, rec := answering(t, 200, test.answer)
			if err := test.call(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			got := rec.all()[0]
			if line := got.method + " " + strings.TrimPrefix(got.uri, "/gateway/v1"); line != want || len(rec.all()) != 1 {
				t.Errorf("%s", line)
			}
			if withBody := got.method != http.MethodGet; withBody != (got.body != "") || withBody != (got.header.Get("Content-Type") == "application/json") {
				t.Errorf("body %q of type %q", got.body, got.header.Get("Content-Type"))
			}
		})
	}
}

func TestUselessArgumentsAreNotSent(t *testing.T) {
	t.Parallel()
	c, rec := answering(t, 200, `{"data":[]}`)
	ctx := t.Context()
	_, empty := c.FindEndUsers(ctx, ByEmail, "")
	_, unknown := c.FindEndUsers(ctx, "name", "Ann")
	_, noUser := c.GetEndUser(ctx, "")
	_, dots := c.ListConversations(ctx, "..")
	none := c.PatchAttributes(ctx, 7, nil)
	_, badTime := c.ImportConversation(ctx, ConversationImport{CreatedAt: At(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))}, nil)
	_, noHook := c.WebhookSecret(ctx, "")
	_, noEvent := c.ListDeliveries(ctx, "w", "..")
	_, noStatus := c.ListDeliveryStatuses(ctx, ".")
	_, noQueue := c.QueueAvailability(ctx, "")
	for i, err := range []error{empty, unknown, noUser, dots, none, badTime, noHook, noEvent, noStatus, noQueue, c.DeleteWebhook(ctx, ""),
		c.AddTag(ctx, 7, ".."), c.SubmitRating(ctx, 7, "", RatingResult{}, nil)} {
		if err == nil || !NotApplied(err) || Transient(err) || !strings.Contains(err.Error(), "not sent: ") {
			t.Errorf("%d: %v", i, err)
		}
	}
	if results, err := c.CreateEndUsers(ctx, nil, nil); results != nil || err != nil {
		t.Errorf("nobody: %v %v", results, err)
	}
	if n := len(rec.all()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// anImport is a chat with n messages.
