package main

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"dixa-import/dixa"
)

// deliveryLog reads what Dixa logged of its deliveries to the subscriptions of the organisation. What is not about an imported conversation is
// not kept.
type deliveryLog struct {
	client       *dixa.Client
	id           string    // of a subscription; "": all
	since, until time.Time // of the deliveries; zero: no bound
}

// Payloads implements live.DeliveryLog.
func (l deliveryLog) Payloads(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		hooks, err := l.client.ListWebhooks(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		hooks = slices.DeleteFunc(hooks, func(w dixa.Webhook) bool { return l.id != "" && !strings.EqualFold(w.ID, l.id) })
		for _, hook := range hooks {
			for _, event := range hook.Events {
				deliveries, err := l.client.ListDeliveries(ctx, hook.ID, event)
				if err != nil {
					yield(nil, err)
					return
				}
				for _, d := range deliveries {
					if l.wants(d.At.Time) && !yield(d.Payload, nil) {
						return
					}
				}
			}
		}
	}
}

// wants reports whether a delivery is in the time that is asked for; one without a time is.
func (l deliveryLog) wants(at time.Time) bool {
	return at.IsZero() || !at.Before(l.since) && (l.until.IsZero() || at.Before(l.until))
}
