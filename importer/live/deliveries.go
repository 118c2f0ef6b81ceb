package live

import (
	"context"
	"errors"
	"iter"
	"time"
)

// DeliveryLog is where Dixa keeps what it delivered, or tried to: the payloads, as they were sent. Dixa gives them over its authenticated
// API, so they need no signature.
type DeliveryLog interface {
	// Payloads returns the logged payloads. After an error it returns no more.
	Payloads(ctx context.Context) iter.Seq2[[]byte, error]
}

// CaughtUp counts the payloads of a DeliveryLog.
type CaughtUp struct {
	Read, New, Malformed int
}

// CatchUp takes in the events of a log that did not arrive. The error is that of the log or of the checkpoint.
func (in *Intake) CatchUp(ctx context.Context, log DeliveryLog) (n CaughtUp, err error) {
	for payload, err := range log.Payloads(ctx) {
		if err != nil {
			return n, err
		}
		n.Read++
		outcome, err := in.Take(ctx, payload)
		switch {
		case errors.Is(err, ErrMalformed):
			n.Malformed++
		case err != nil:
			return n, err
		case outcome == Stored || outcome == Held:
			n.New++
		}
	}
	return n, ctx.Err()
}

// Follow catches up at once, and then again and again, until ctx ends.
func (in *Intake) Follow(ctx context.Context, every time.Duration, log DeliveryLog) {
	failing := ""
	for {
		n, err := in.CatchUp(ctx, log)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && err.Error() != failing:
			failing = err.Error()
			in.Logger.Warn("the delivery logs of the webhook could not be read: events that did not arrive are missing until they can be", "error", failing)
		case err == nil:
			failing = ""
			if n.New > 0 {
				in.Logger.Info("events that had not arrived were taken from the delivery logs", "events", n.New)
			}
		}
		if !pause(ctx, every) {
			return
		}
	}
}
