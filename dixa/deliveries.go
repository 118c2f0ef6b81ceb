package dixa

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
)

// Delivery is an attempt to deliver an event to a webhook subscription, as Dixa logged it.
type Delivery struct {
	EventID string // "" if the payload does not say it
	// Payload is what was sent, or was to be sent: the words of customers are in it. It may be cut, and then is no JSON.
	Payload      json.RawMessage `json:"-"`
	Success      bool
	ResponseCode int  // of the receiver
	At           Time // the zero time if Dixa does not say it
}

// UnmarshalJSON reads an entry of the log. The payload is a string that holds JSON; if it ever is the JSON itself, that is taken.
func (d *Delivery) UnmarshalJSON(data []byte) error {
	var wire struct {
		Detail  json.RawMessage `json:"deliveryDetail"`
		Payload json.RawMessage `json:"payload"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	detail := readDetail(wire.Detail)
	*d = Delivery{Success: detail.Success, ResponseCode: detail.ResponseCode, At: detail.At, Payload: json.RawMessage(readField[string](wire.Payload))}
	if bytes.HasPrefix(wire.Payload, []byte("{")) {
		d.Payload = wire.Payload
	}
	d.EventID = readField[string](readField[map[string]json.RawMessage](d.Payload)["event_id"])
	return nil
}

// DeliveryStatus is what became of the latest delivery of a kind of events.
type DeliveryStatus struct {
	Event        string // such as ConversationClosed
	Recent       bool   // there was one lately; else the rest is zero
	Success      bool
	ResponseCode int
	At           Time
}

// UnmarshalJSON reads the status of one kind of events.
func (s *DeliveryStatus) UnmarshalJSON(data []byte) error {
	var wire struct {
		Event  string          `json:"event"`
		Status json.RawMessage `json:"deliveryStatus"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	*s = readDetail(wire.Status)
	s.Event = wire.Event
	return nil
}

// readDetail reads what became of a delivery; what is missing or of another form is zero.
func readDetail(data []byte) DeliveryStatus {
	fields := readField[map[string]json.RawMessage](data)
	return DeliveryStatus{Recent: len(fields["deliveryTimestamp"]) > 0, Success: readField[bool](fields["success"]),
		ResponseCode: readField[int](fields["responseCode"]), At: readField[Time](fields["deliveryTimestamp"])}
}

// ListDeliveries returns the latest deliveries of one kind of events, such as ConversationClosed, to a subscription. How many Dixa keeps, how
// long and in which order, is not documented.
func (c *Client) ListDeliveries(ctx context.Context, webhookID, event string) ([]Delivery, error) {
	for _, id := range []string{webhookID, event} {
		if err := needID(OpListDeliveries, id); err != nil {
			return nil, err
		}
	}
	return collect(pages[Delivery](ctx, c, OpListDeliveries, webhookPath(webhookID)+"/delivery-status/logs/"+url.PathEscape(event), nil))
}

// ListDeliveryStatuses returns what became of the latest delivery of each kind of events to a subscription.
func (c *Client) ListDeliveryStatuses(ctx context.Context, webhookID string) ([]DeliveryStatus, error) {
	if err := needID(OpListDeliveryStatuses, webhookID); err != nil {
		return nil, err
	}
	return collect(pages[DeliveryStatus](ctx, c, OpListDeliveryStatuses, webhookPath(webhookID)+"/delivery-status", nil))
}
