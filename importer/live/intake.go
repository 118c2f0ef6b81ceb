package live

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"dixa-import/importer/checkpoint"
)

// Outcome is what became of an event.
type Outcome int

// The outcomes of Intake.Take.
const (
	Stored   Outcome = iota // it is new
	Held                    // it is new, and waits for the import of its conversation to be recorded
	Repeated                // it was stored before, or is too old to wait for the import of its conversation
	Echo                    // this tool caused it
	Foreign                 // it belongs to no conversation
	outcomes
)

// IntakeConfig is how events are stored.
type IntakeConfig struct {
	Store        Store
	Organisation checkpoint.Binding // whose events they are
	Source       string             // the source of this process; the other ones of the organisation are recognized as well
	AgentID      string             // the bot's id in Dixa: what the bot does is not reported to it
	Forward      bool               // whether new events are to be forwarded

	// Reorder is how long a new event waits for an earlier one that arrives after it; default 300ms, negative: not at all.
	Reorder time.Duration
	// Hold is how long an event of an unknown conversation waits for the import to be recorded; default 1h.
	Hold time.Duration

	Stored Signal       // is set for each new event; may be nil
	Logger *slog.Logger // default: discard
}

// DefaultHold is the default of IntakeConfig.Hold and KeeperConfig.Hold.
const DefaultHold = time.Hour

// Intake takes in events, from wherever they come. It may be used by several goroutines at once.
type Intake struct {
	IntakeConfig
	counts [outcomes]atomic.Int64
}

// NewIntake returns an Intake.
func NewIntake(c IntakeConfig) *Intake {
	c.Reorder, c.Hold = cmp.Or(c.Reorder, 300*time.Millisecond), cmp.Or(c.Hold, DefaultHold)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Intake{IntakeConfig: c}
}

// Take stores the event of a genuine payload. When it returns without an error, the event is durable or not wanted. The error is
// ErrMalformed, or that of the checkpoint.
func (in *Intake) Take(ctx context.Context, payload []byte) (Outcome, error) {
	outcome, err := in.take(ctx, payload)
	if err == nil {
		in.counts[outcome].Add(1)
	}
	return outcome, err
}

func (in *Intake) take(ctx context.Context, payload []byte) (Outcome, error) {
	e, err := parse(payload, time.Now())
	if err != nil {
		return 0, err
	}
	if e.ConversationID == 0 {
		return Foreign, nil
	}
	if echo, err := in.echo(ctx, e); err != nil || echo {
		return Echo, err
	}
	if in.bot(e.AgentID) {
		e.AgentID, e.AuthorID, e.AuthorName, e.AuthorType = "", "", "", "" // no agent closed it
	}
	stored, err := in.Store.StoreEvents(ctx, in.Organisation, []checkpoint.WebhookEvent{e.WebhookEvent},
		checkpoint.StoreOptions{Forward: in.Forward, Delay: max(in.Reorder, 0), Hold: in.Hold})
	switch {
	case err != nil:
		return 0, err
	case !stored[0].New:
		return Repeated, nil
	case stored[0].TranscriptID == "":
		return Held, nil
	}
	in.Stored.Set()
	return Stored, nil
}

// Count returns how many events had an outcome so far.
func (in *Intake) Count(o Outcome) int64 { return in.counts[o].Load() }

// bot reports whether somebody is the bot.
func (in *Intake) bot(id string) bool { return in.AgentID != "" && strings.EqualFold(id, in.AgentID) }

// echo reports whether an event is about what this tool or the bot did itself: a message with an external id that an import gave it, a
// message of the bot or its typing, or the assignment to the bot and the closing that are part of an import.
func (in *Intake) echo(ctx context.Context, e parsed) (bool, error) {
	switch {
	case in.bot(e.AuthorID) && (e.Type == TypeMessage || e.Type == TypeTyping), in.bot(e.AgentID) && e.Type == TypeAssigned:
		return true, nil
	case in.bot(e.AgentID): // the conversation is closed, and nobody else has had it
		handed, err := in.Store.HandedOver(ctx, in.Organisation, e.ConversationID, e.CSID)
		return !handed, err
	}
	source, ok := importedBy(e.externalID)
	if !ok || source == in.Source {
		return ok, nil
	}
	sources, err := in.Store.SourcesOf(ctx, in.Organisation)
	return slices.Contains(sources, source), err
}

// importedBy returns the source in the external id that an import gives to a message: <source>/<transcript>:<number>.
func importedBy(externalID string) (source string, ok bool) {
	source, rest, found := strings.Cut(externalID, "/")
	colon := strings.LastIndexByte(rest, ':')
	if !found || colon < 1 || source == "" || len(source) > 64 || number(rest[colon+1:]) == 0 {
		return "", false
	}
	return source, true
}
