// Package live is the half of the tool that runs all the time: it takes in transcripts that a bot posts, and what Dixa reports about imported
// conversations, which it forwards to the bot.
//
// A Poster hands posted transcripts to a run that reads a source.Feed, and answers with what the checkpoint says of them then. It decides
// nothing itself.
//
// A Receiver checks the deliveries of a webhook subscription, and an Intake stores their events in the checkpoint, each once. Intake.Follow
// does the same with the payloads in the subscription's delivery logs. A Forwarder posts stored events to the bot until it accepts them, in
// order within a conversation. A Keeper gives events to transcripts whose import is recorded later, and removes what is too old. They share
// nothing but the checkpoint and a Signal, so that several processes may run beside each other on one database. A Server has the HTTP side.
//
// An event is answered with success only when it is stored, and its text is removed only when the bot has accepted it. A crash at any time
// loses nothing; it may repeat a request to the bot that was under way, with the same webhook-id.
package live

import (
	"context"
	"time"

	"dixa-import/importer/checkpoint"
)

// Store is what this package needs of the checkpoint.
type Store interface {
	StoreEvents(ctx context.Context, of checkpoint.Binding, events []checkpoint.WebhookEvent, opts checkpoint.StoreOptions) ([]checkpoint.StoredEvent, error)
	AttachEvents(ctx context.Context) (int64, error)
	PurgeEvents(ctx context.Context, hold, keep time.Duration) error
	HandedOver(ctx context.Context, of checkpoint.Binding, conversation, csid int64) (bool, error)
	SourcesOf(ctx context.Context, of checkpoint.Binding) ([]string, error)
	ClaimEvents(ctx context.Context, of checkpoint.Binding, source, instance string, lease time.Duration, limit int) ([]checkpoint.WebhookEvent, time.Duration, error)
	MarkForwarded(ctx context.Context, id string, claim int64, status int) (bool, error)
	FailEvent(ctx context.Context, id string, claim int64, status int, reason string, delay, giveUp time.Duration) (checkpoint.EventState, error)
}

// Signal tells a Forwarder that there are new events. A nil Signal tells nobody.
type Signal chan struct{}

// NewSignal returns a Signal for one Forwarder.
func NewSignal() Signal { return make(Signal, 1) }

// Set wakes the Forwarder. It never blocks.
func (s Signal) Set() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// pause waits for d or until ctx ends, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// patiently repeats a call while the checkpoint says that it may succeed later, for up to patience.
func patiently(ctx context.Context, patience time.Duration, do func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := do(limited)
		if err == nil || !checkpoint.Retryable(err) || !pause(limited, wait) {
			return err
		}
	}
}
