package dixa

import (
	"context"
	"slices"
	"strings"
)

// Webhook is a webhook subscription. Its address, headers and secret are left out: they may hold credentials.
type Webhook struct {
	ID      string                   `json:"id"`
	Name    string                   `json:"name"`
	Enabled bool                     `json:"enabled"`
	Events  []string                 `json:"subscribedEvents"`
	Filters map[string]WebhookFilter `json:"filters"` // by what they are about: Conversation
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
