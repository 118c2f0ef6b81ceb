package dixa

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Webhook is a webhook subscription. Its headers and its secret are left out: they are credentials.
type Webhook struct {
	ID      string                   `json:"id"`
	Name    string                   `json:"name"`
	URL     string                   `json:"url"` // may hold credentials: Format leaves it out
	Enabled bool                     `json:"enabled"`
	Events  []string                 `json:"subscribedEvents"`
	Filters map[string]WebhookFilter `json:"filters"` // by what they are about: Conversation

	CreatedAt Time `json:"createdAt"` // the zero time if Dixa does not say it
}

// Format writes the subscription without its address, whatever the verb.
func (w Webhook) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "{ID:%s Name:%s Enabled:%t Events:%v Filters:%+v}", w.ID, w.Name, w.Enabled, w.Events, w.Filters)
}

// WebhookFilter describes which events a subscription gets.
type WebhookFilter struct {
	Strategy   string             `json:"strategy"` // All: every condition must hold; Any: one of them
	Conditions []WebhookCondition `json:"conditions"`
}

// WebhookCondition is one condition of a filter.
type WebhookCondition struct {
	Type   string   `json:"_type"` // IsOneOf or IsNotOneOf
	Field  string   `json:"field"` // InitialChannel, OperationOrigin or QueueId
	Values []string `json:"values"`
}

// ReceivesImports reports whether the subscription is enabled and its filters let the events of imported chats through.
func (w Webhook) ReceivesImports() bool {
	filter, ok := w.Filters["Conversation"]
	if !w.Enabled || !ok || len(filter.Conditions) == 0 {
		return w.Enabled
	}
	if filter.Strategy == "Any" {
		return slices.ContainsFunc(filter.Conditions, WebhookCondition.admitsImports)
	}
	return !slices.ContainsFunc(filter.Conditions, func(c WebhookCondition) bool { return !c.admitsImports() })
}

// admitsImports takes conditions that cannot be judged, such as those on a queue, for fulfilled.
func (c WebhookCondition) admitsImports() bool {
	imported, known := map[string]string{"OperationOrigin": "apiimport", "InitialChannel": ChannelName}[c.Field]
	if !known {
		return true
	}
	// The vendor's examples write channels here as pstn_phone, unlike elsewhere: how ours is written is not documented.
	listed := slices.ContainsFunc(c.Values, func(v string) bool {
		return strings.EqualFold(strings.ReplaceAll(v, "_", ""), imported)
	})
	switch c.Type {
	case "IsOneOf":
		return listed
	case "IsNotOneOf":
		return !listed
	}
	return true
}

// ListWebhooks returns the webhook subscriptions of the organisation. Whether a bot's token may ask is not documented.
func (c *Client) ListWebhooks(ctx context.Context) ([]Webhook, error) {
	return collect(pages[Webhook](ctx, c, OpListWebhooks, "/webhooks", nil))
}

// NewWebhook is a webhook subscription to create.
type NewWebhook struct {
	Name   string
	URL    string   // where the events are sent to
	Events []string // such as ConversationMessageAdded
	// Channel, if set, is the one in which the conversations must have begun, such as ChannelName; "": all.
	Channel string
}

// Format writes the subscription without its address, whatever the verb.
func (w NewWebhook) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "{Name:%s Events:%v Channel:%s}", w.Name, w.Events, w.Channel)
}

type webhookBody struct {
	Name          string                `json:"name"`
	Events        []string              `json:"events"`
	URL           string                `json:"url"`
	Authorization webhookAuthorization  `json:"authorization"`
	CustomHeaders map[string]string     `json:"customHeaders"` // required, though there are none
	Enabled       bool                  `json:"enabled"`
	Filters       map[string]filterBody `json:"filters,omitempty"`
}

type webhookAuthorization struct {
	Type string `json:"_type"`
}

type filterBody struct {
	Type string `json:"_type"`
	WebhookFilter
}

func (b webhookBody) private() private { return private{b.URL} }

// body leaves OperationOrigin alone: it may mean the conversation's, and then excluding imports would hide agents' replies to imported chats.
func (w NewWebhook) body() webhookBody {
	b := webhookBody{Name: w.Name, Events: w.Events, URL: w.URL, Authorization: webhookAuthorization{"NoAuth"}, CustomHeaders: map[string]string{}, Enabled: true}
	if w.Channel != "" {
		b.Filters = map[string]filterBody{"Conversation": {"CombinedFilters", WebhookFilter{Strategy: "All",
			Conditions: []WebhookCondition{{Type: "IsOneOf", Field: "InitialChannel", Values: []string{w.Channel}}}}}}
	}
	return b
}

// secretWebhook is a subscription with the key that its deliveries are signed with.
type secretWebhook struct {
	Webhook
	Secret string `json:"secretKey"`
}

func readSecretWebhook(body []byte) (secretWebhook, error) {
	w, err := readData[secretWebhook](body)
	switch {
	case err != nil:
	case w.ID == "":
		err = errors.New("it has no id of a webhook subscription")
	case w.Secret == "":
		err = errors.New("it has no secret key")
	}
	return w, err
}

// CreateWebhook creates a webhook subscription and returns it with the key, in hexadecimal digits, that its deliveries are signed with. It is
// not idempotent: after a doubt, ListWebhooks shows whether the subscription exists, and WebhookSecret gives its key.
func (c *Client) CreateWebhook(ctx context.Context, w NewWebhook) (made Webhook, secret string, err error) {
	got, err := do(ctx, c, call[secretWebhook]{op: OpCreateWebhook, method: http.MethodPost, url: c.url("/webhooks", nil), body: w.body(), read: readSecretWebhook})
	return got.Webhook, got.Secret, err
}

// WebhookSecret returns the key that the deliveries of a subscription are signed with.
func (c *Client) WebhookSecret(ctx context.Context, id string) (secret string, err error) {
	if err := needID(OpGetWebhook, id); err != nil {
		return "", err
	}
	got, err := do(ctx, c, call[secretWebhook]{op: OpGetWebhook, method: http.MethodGet, url: c.url(webhookPath(id), nil), read: readSecretWebhook})
	return got.Secret, err
}

// DeleteWebhook deletes a webhook subscription. An APIError with status 404 says that there is none.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	if err := needID(OpDeleteWebhook, id); err != nil {
		return err
	}
	_, err := do(ctx, c, call[struct{}]{op: OpDeleteWebhook, method: http.MethodDelete, url: c.url(webhookPath(id), nil), read: readNothing})
	if _, again := errors.AsType[*repeatedError](err); again && Absent(err) {
		return nil // an earlier attempt has deleted it
	}
	return err
}

func webhookPath(id string) string { return "/webhooks/" + url.PathEscape(id) }
