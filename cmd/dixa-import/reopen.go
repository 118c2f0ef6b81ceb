package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/importer/reopen"
)

// reopenCmd is the command reopen.
type reopenCmd struct {
	*program
	id           string
	conversation int64 // 0: that of the transcript id
	force        bool
}

func reopenCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:      "reopen",
		Usage:     "put the closed conversation of a handed-over transcript back into its queue",
		ArgsUsage: "ID | --conversation N",
		Args:      true,
		Description: "For a customer who comes back after an agent has closed the conversation. The conversation is looked at first: one that is open stays as it is, so the command may be " +
			"repeated. It goes to the queue that it was in, or to the organisation's default queue. The checkpoint has it as waiting again, and `dixa-import serve` goes " +
			"on reporting what becomes of it.",
		Flags: []cli.Flag{
			&cli.Int64Flag{Name: "conversation", Usage: "the transcript that has the conversation `N`"},
			&cli.BoolFlag{Name: "force", Usage: "also one that was never handed over to agents"},
		},
		Action: action(func(c *cli.Context) (command, error) {
			r := &reopenCmd{p, c.Args().First(), c.Int64("conversation"), c.Bool("force")}
			switch {
			case c.Args().Len() > 1 || (r.id == "") != c.IsSet("conversation"):
				return nil, config.Usagef("reopen needs the id of one transcript, or --conversation")
			case c.IsSet("conversation") && r.conversation < 1:
				return nil, config.Usagef("--conversation must be the number of a conversation")
			}
			return r, nil
		}),
	}
}

type reopenedJSON struct {
	Source         string    `json:"source"`
	TranscriptID   string    `json:"transcript_id"`
	ConversationID int64     `json:"conversation_id"`
	Reopened       bool      `json:"reopened"` // false: it was open already
	HandoverState  string    `json:"handover_state"`
	QueueID        string    `json:"queue_id,omitempty"`
	AgentID        string    `json:"agent_id,omitempty"`
	At             time.Time `json:"at,omitzero"`
	URL            string    `json:"url,omitempty"`
}

// Run does the command.
func (p *reopenCmd) Run(ctx context.Context) (err error) {
	var settle time.Duration
	b, err := p.openBound(ctx, func(file *config.File) error {
		imports, err := file.Importing()
		settle = imports.Settle
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := b.confirmOrganisation(ctx); err != nil {
		return advice.OnAnswer(err)
	}
	if p.conversation != 0 {
		holders, err := b.store.Holders(ctx, b.source, []int64{p.conversation})
		if err != nil {
			return err
		}
		if p.id = holders[p.conversation]; p.id == "" {
			return fmt.Errorf("no transcript of the source %s has the conversation %d", b.source, p.conversation)
		}
	}
	r, err := reopen.Reopen(ctx, reopen.Config{API: b.client, Store: b.store, Organisation: b.organisation, Source: b.source, Force: p.force, Timeout: b.api.Timeout, Settle: settle}, p.id)
	if err != nil {
		return advice.OnAnswer(err)
	}
	out := reopenedJSON{Source: b.source, TranscriptID: p.id, ConversationID: r.Conversation.ID, Reopened: !r.Already, HandoverState: "assigned", At: r.Conversation.StateUpdatedAt.Time,
		URL: report.Link("", b.file.ConversationURL(), r.Conversation.ID)}
	if r.Waiting() {
		out.HandoverState = "waiting"
	}
	if r.Conversation.Queue != nil {
		out.QueueID = r.Conversation.Queue.ID
	}
	if r.Conversation.Assignment != nil {
		out.AgentID = r.Conversation.Assignment.AgentID
	}
	if p.json {
		return p.stdout.JSON(out)
	}
	said := "is open again"
	if r.Already {
		said = "is open already"
	}
	if r.Waiting() {
		said += ", and waits for an agent"
	} else {
		said += ", and an agent has it"
	}
	p.stdout.Say("", fmt.Sprintf("The conversation %d of %s %s.", out.ConversationID, out.TranscriptID, said))
	if out.URL != "" {
		p.stdout.Line(out.URL)
	}
	return nil
}
