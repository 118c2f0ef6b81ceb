package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
)

// eventsCmd is the command events.
type eventsCmd struct {
	*program
	dead, retry bool
	id          string // for retry; "": all
	transcript  string // "": all
	since       time.Time
	limit       int // 0: all
}

func eventsCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "events",
		Usage: "list what Dixa reported about imported conversations, and what of it was forwarded to the bot",
		Description: "Events come in through `dixa-import serve`, which forwards them to serve.forward_url. One that the bot has not accepted for " +
			"three days is dead: --dead lists those, --retry forwards them again. What people wrote is not shown.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dead", Usage: "only events that were given up"},
			&cli.BoolFlag{Name: "retry", Usage: "forward events that were given up again, all or those that --id or --transcript chooses"},
			&cli.StringFlag{Name: "id", Usage: "with --retry: only the event `ID`"},
			&cli.StringFlag{Name: "transcript", Usage: "only events of the transcript `ID`"},
			&cli.StringFlag{Name: "since", Usage: "only events that came in at `T` or later: RFC 3339 or a date (UTC)"},
			&cli.IntFlag{Name: "limit", Value: 100, Usage: "the latest `N`; 0: all"},
		},
		Action: action(func(c *cli.Context) (command, error) {
			e := &eventsCmd{program: p, dead: c.Bool("dead"), retry: c.Bool("retry"), id: c.String("id"), transcript: c.String("transcript"), limit: c.Int("limit")}
			switch {
			case e.id != "" && !e.retry:
				return nil, config.Usagef("--id needs --retry")
			case e.retry && (c.IsSet("since") || c.IsSet("limit")):
				return nil, config.Usagef("--retry takes all events that were given up, or those of --id or --transcript: leave --since and --limit out")
			case e.limit < 0:
				return nil, config.Usagef("--limit must be a number from 0 up")
			}
			var err error
			if c.IsSet("since") {
				e.since, err = parseTime("since", c.String("since"))
			}
			return e, err
		}),
	}
}

type eventJSON struct {
	EventID        string                `json:"event_id"`
	Source         string                `json:"source,omitempty"`
	TranscriptID   string                `json:"transcript_id,omitempty"`
	ConversationID int64                 `json:"conversation_id"`
	Type           string                `json:"type"`
	EventFQN       string                `json:"event_fqn"`
	At             time.Time             `json:"at"`
	ReceivedAt     time.Time             `json:"received_at"`
	AuthorID       string                `json:"author_id,omitempty"`
	MessageID      string                `json:"message_id,omitempty"`
	State          checkpoint.EventState `json:"state"`
	Attempts       int                   `json:"attempts"`
	NextAttemptAt  time.Time             `json:"next_attempt_at,omitzero"`
	ForwardedAt    time.Time             `json:"forwarded_at,omitzero"`
	LastStatus     int                   `json:"last_status,omitempty"`
	LastError      string                `json:"last_error,omitempty"`
}

func newEventsJSON(events []checkpoint.WebhookEvent) []eventJSON {
	out := make([]eventJSON, len(events))
	for i, e := range events {
		out[i] = eventJSON{e.ID, e.Source, e.TranscriptID, e.ConversationID, e.Type, e.FQN, e.At, e.ReceivedAt, e.AuthorID, e.MessageID, e.State, e.Attempts,
			e.NextAttemptAt, e.ForwardedAt, e.LastStatus, e.LastError}
	}
	return out
}

// kind is the type of an event in words.
func (e eventJSON) kind() string {
	if e.Type == "other" && e.EventFQN != "" {
		return strings.ToLower(e.EventFQN)
	}
	return e.Type
}

// Run does the command.
func (p *eventsCmd) Run(ctx context.Context) (err error) {
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return err
	}
	url, err := file.DatabaseURL()
	if err != nil {
		return err
	}
	if p.retry {
		return p.retryDead(ctx, file, url)
	}
	store, err := connect.Checkpoint(ctx, url, connect.Read)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	f := checkpoint.EventFilter{TranscriptID: p.transcript, Since: p.since, Limit: p.limit}
	if p.dead {
		f.States = []checkpoint.EventState{checkpoint.EventDead}
	}
	events, err := store.Events(ctx, f)
	if err != nil {
		return err
	}
	if p.json {
		return p.stdout.JSON(newEventsJSON(events))
	}
	counts, err := store.EventCounts(ctx)
	if err != nil {
		return err
	}
	p.print(newEventsJSON(events), counts)
	return nil
}

func (p *eventsCmd) print(events []eventJSON, counts map[checkpoint.EventState]int64) {
	if len(events) == 0 {
		p.stdout.Say("", "There are no such events.")
	} else {
		t := term.Table{Heads: []string{"RECEIVED", "TRANSCRIPT", "TYPE", "STATE", ">TRIES", "", "EVENT"}}
		for _, e := range events {
			t.Row(e.ReceivedAt.UTC().Format(report.TimeLayout), cmp.Or(e.TranscriptID, "(not known yet)"), e.kind(), e.State, e.Attempts, e.LastError, e.EventID)
		}
		t.Write(p.stdout, "")
		p.stdout.Line("")
	}
	if dead := counts[checkpoint.EventDead]; dead > 0 {
		p.stdout.Say("", fmt.Sprintf("%s given up: `%s` forwards them again.", term.Plural(dead, "event"), p.commandLine("events --retry")))
	}
	if waiting := counts[checkpoint.EventWaiting]; waiting > 0 {
		p.stdout.Say("", term.Plural(waiting, "event")+" not forwarded yet.")
	}
}

// retryDead makes events that were given up wait for forwarding again.
func (p *eventsCmd) retryDead(ctx context.Context, file *config.File, url string) (err error) {
	keep, err := file.Keep()
	if err != nil {
		return err
	}
	store, err := connect.Checkpoint(ctx, url, connect.Read)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	n, err := store.RetryEvents(ctx, p.id, p.transcript, keep)
	switch {
	case err != nil:
		return err
	case p.json:
		return p.stdout.JSON(struct {
			Retried int64 `json:"retried"`
		}{n})
	case n == 0:
		p.stdout.Say("", "There is no such event that was given up and still has its text.")
	default:
		p.stdout.Say("", term.Plural(n, "event")+" will be forwarded again by `dixa-import serve`.")
	}
	return nil
}
