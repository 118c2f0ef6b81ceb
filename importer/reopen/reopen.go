// Package reopen puts closed conversations back into their queues, each once, whatever fails.
package reopen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
)

// API is what this package needs of Dixa.
type API interface {
	GetConversation(ctx context.Context, id int64) (dixa.Conversation, error)
	ReopenConversation(ctx context.Context, id int64, before dixa.Before) error
}

// Store is what this package needs of the checkpoint.
type Store interface {
	Lookup(ctx context.Context, source string, run int64, ids []string) (map[string]checkpoint.Row, error)
	Handover(ctx context.Context, source, id string) (checkpoint.Handover, error)
	HandedOver(ctx context.Context, of checkpoint.Binding, conversation, csid int64) (bool, error)
	BeginReopen(ctx context.Context, source, id string, hold time.Duration) (bool, error)
	EndReopen(ctx context.Context, source, id string, state checkpoint.StepState) error
	Reopened(ctx context.Context, source, id string, r checkpoint.Reopening) error
}

// Config is what Reopen needs.
type Config struct {
	API          API
	Store        Store
	Organisation checkpoint.Binding
	Source       string
	Force        bool          // also a conversation that was never handed over
	Timeout      time.Duration // of a request; default 30s
	// Settle is how long Dixa has to show the effect of a request that had no clear answer, before it is repeated; default 30s.
	Settle time.Duration
}

// Result is how the conversation is afterwards.
type Result struct {
	TranscriptID string
	Conversation dixa.Conversation
	Already      bool // it was open, and nothing was sent
}

// Waiting reports whether the conversation waits for an agent.
func (r Result) Waiting() bool { return state(r.Conversation) == "waiting" }

const (
	rounds = 3               // requests at most, each after Settle without an effect of the one before
	window = 5 * time.Second // in which a request may leave after it was recorded
)

// ErrNotHandedOver means that the conversation was never handed over to agents.
var ErrNotHandedOver = errors.New("the conversation was never handed over to agents: the bot's part of it is all there is. To have agents take it up nevertheless, pass --force")

// errBusy means that the request of another process may be on its way.
var errBusy = errors.New("another process is reopening it")

// errOpen means that another process has reopened the conversation meanwhile.
var errOpen = errors.New("another process has reopened it")

// Reopen reopens the conversation of a transcript unless it is open, and records that it waits for an agent. Dixa is asked how the conversation
// is before each request.
func Reopen(ctx context.Context, c Config, id string) (Result, error) {
	c.Timeout, c.Settle = cmp.Or(c.Timeout, 30*time.Second), cmp.Or(c.Settle, 30*time.Second)
	conversation, err := c.conversation(ctx, id)
	if err != nil {
		return Result{TranscriptID: id}, err
	}
	r := &reopening{Config: c, id: id, conversation: conversation}
	if err := r.do(ctx); err != nil {
		return Result{TranscriptID: id, Conversation: r.now}, err
	}
	return Result{TranscriptID: id, Conversation: r.now, Already: !r.sent}, nil
}

// conversation returns the conversation that may be reopened.
func (c Config) conversation(ctx context.Context, id string) (int64, error) {
	rows, err := c.Store.Lookup(ctx, c.Source, 0, []string{id})
	if err != nil {
		return 0, err
	}
	row, known := rows[id]
	switch {
	case !known:
		return 0, fmt.Errorf("the checkpoint knows no transcript %s of the source %s", id, c.Source)
	case row.ConversationID == 0:
		return 0, fmt.Errorf("the transcript %s has no conversation: it is %s; `dixa-import explain` tells more", id, row.Status)
	}
	handed, err := c.Store.HandedOver(ctx, c.Organisation, row.ConversationID, 0)
	if err == nil && !handed && !c.Force {
		err = ErrNotHandedOver
	}
	return row.ConversationID, err
}

// reopening is the work on one conversation.
type reopening struct {
	Config
	id           string
	conversation int64
	first, now   dixa.Conversation // as it was at first, and when it was looked at last
	sent         bool              // a request may have had an effect
}

func (r *reopening) do(ctx context.Context) error {
	if err := r.look(ctx); err != nil {
		return explained(err)
	}
	r.first = r.now
	var doubt error
	for range rounds {
		if r.isOpen() {
			return r.record(ctx)
		}
		began := time.Now()
		err := r.API.ReopenConversation(ctx, r.conversation, r.before)
		switch {
		case errors.Is(err, errOpen):
			return errors.Join(r.end(ctx), r.record(ctx))
		case errors.Is(err, errBusy):
			if err := r.waitForOther(ctx); err != nil {
				return err
			}
			continue
		case err == nil:
			r.sent = true
			return r.recordSuccess(ctx, began)
		case dixa.Refused(err):
			return r.refused(ctx, err)
		case dixa.NotApplied(err):
			return errors.Join(explained(err), r.end(ctx))
		}
		doubt, r.sent = err, true
		if err := r.settle(ctx, doubt); err != nil {
			return err
		}
	}
	if r.isOpen() {
		return r.record(ctx)
	}
	if doubt == nil {
		return fmt.Errorf("%w, and the conversation is still closed: run the command again", errBusy)
	}
	return fmt.Errorf("the conversation is still closed after %d requests: %w: run the command again when Dixa responds normally", rounds, doubt)
}

// before records that a request may be on its way. Then it looks once more: another process may have reopened the conversation between the
// last look and this record.
func (r *reopening) before(ctx context.Context, _ int, _ error) (notAfter time.Time, err error) {
	began := time.Now()
	begun, err := r.Store.BeginReopen(ctx, r.Source, r.id, window+r.Timeout)
	if err == nil && !begun && !r.sent {
		err = errBusy
	}
	if err == nil && !r.sent {
		if err = r.look(ctx); err == nil && r.isOpen() {
			err = errOpen
		}
	}
	return began.Add(window / 2), err
}

// look asks Dixa how the conversation is.
func (r *reopening) look(ctx context.Context) (err error) {
	now, err := r.API.GetConversation(ctx, r.conversation)
	if err == nil && now.State == "" {
		err = errors.New("Dixa does not say whether the conversation is closed")
	}
	if err == nil {
		r.now = now
	}
	return err
}

// isOpen reports whether the conversation is open, or was since it was looked at first.
func (r *reopening) isOpen() bool {
	return !strings.EqualFold(r.now.State, "Closed") || r.now.StateUpdatedAt.After(r.first.StateUpdatedAt.Time)
}

// settle looks whether a request that had no clear answer had its effect, for Config.Settle.
func (r *reopening) settle(ctx context.Context, doubt error) error {
	for range 3 {
		if err := r.look(ctx); err != nil {
			return fmt.Errorf("it is unclear whether the conversation was reopened (%w), and Dixa could not be asked: %w: run the command again, it looks first", doubt, err)
		}
		if r.isOpen() {
			return nil
		}
		if err := dixa.Sleep(ctx, r.Settle/2); err != nil {
			return fmt.Errorf("it is unclear whether the conversation was reopened (%w): run the command again, it looks first", doubt)
		}
	}
	return nil
}

// waitForOther waits until another process has reopened the conversation, or can do so no more.
func (r *reopening) waitForOther(ctx context.Context) error {
	for end := time.Now().Add(window + r.Timeout); time.Now().Before(end); {
		if err := dixa.Sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
		if err := r.look(ctx); err != nil || r.isOpen() {
			return err
		}
	}
	return nil
}

// refused finds out why Dixa has refused: somebody else may have reopened the conversation.
func (r *reopening) refused(ctx context.Context, refusal error) error {
	if r.look(ctx) == nil && r.isOpen() {
		return r.record(ctx)
	}
	return errors.Join(explained(refusal), r.end(ctx))
}

// end records that the request had no effect. What it records is for other processes, so that they need not wait.
func (r *reopening) end(ctx context.Context) error {
	return r.Store.EndReopen(context.WithoutCancel(ctx), r.Source, r.id, checkpoint.StepRefused)
}

// recordSuccess records a conversation that Dixa has reopened, whether it can be looked at or not.
func (r *reopening) recordSuccess(ctx context.Context, began time.Time) error {
	if r.look(context.WithoutCancel(ctx)) != nil || !r.isOpen() {
		r.now.State, r.now.Assignment, r.now.StateUpdatedAt = "Open", nil, dixa.At(began)
	}
	return r.record(ctx)
}

// record records what the conversation is now.
func (r *reopening) record(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // Dixa has done it
	known, err := r.Store.Handover(ctx, r.Source, r.id)
	if err != nil {
		return err
	}
	if !r.sent && known.State != "closed" && known.State != "" {
		return nil
	}
	change := checkpoint.Reopening{State: state(r.now), At: r.now.StateUpdatedAt.Time}
	if r.now.Queue != nil {
		change.QueueID = r.now.Queue.ID
	}
	// What is known to be of before must not count as later, however coarse Dixa's times are.
	for _, earlier := range []time.Time{r.first.StateUpdatedAt.Time, known.AgentClosedAt} {
		if change.At.Before(earlier) {
			change.At = earlier
		}
	}
	if change.At.IsZero() {
		change.At = time.Now()
	}
	if err := r.Store.Reopened(ctx, r.Source, r.id, change); err != nil {
		return fmt.Errorf("the conversation %d was reopened, but that could not be recorded: %w: run the command again", r.conversation, err)
	}
	return nil
}

// state is what the checkpoint calls the state of an open conversation.
func state(c dixa.Conversation) string {
	if c.Assignment != nil {
		return "assigned"
	}
	return "waiting"
}

// explained adds to an answer about the conversation what it means.
func explained(err error) error {
	api, ok := errors.AsType[*dixa.APIError](err)
	switch {
	case dixa.ReasonOf(err) == dixa.ReasonConversationID:
		return fmt.Errorf("%w: the checkpoint does not have the number that the import returned for it", err)
	case ok && api.Status == 404:
		return fmt.Errorf("%w: Dixa has no such conversation any more, or does not offer this operation", err)
	}
	return err
}
