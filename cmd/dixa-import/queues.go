package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/dixa"
)

// queuesCmd is the command queues.
type queuesCmd struct{ *program }

func queuesCommand(p *program) *cli.Command {
	return &cli.Command{Name: "queues", Usage: "list the queues of the Dixa organisation", Action: action(func(*cli.Context) (command, error) { return &queuesCmd{p}, nil })}
}

// askAttempts is how often commands that only ask try: few enough to tell a person soon that Dixa is away.
const askAttempts = 2

// configuredClient returns a client for commands that only ask Dixa.
func (p *program) configuredClient() (*dixa.Client, error) {
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return nil, err
	}
	s, err := file.Dixa()
	if err != nil {
		return nil, err
	}
	return p.newClient(s, askAttempts, 1, nil)
}

type queueJSON struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Default bool   `json:"default"`
}

// Run does the command.
func (p *queuesCmd) Run(ctx context.Context) error {
	client, err := p.configuredClient()
	if err != nil {
		return err
	}
	defer client.Close()
	queues, err := client.ListQueues(ctx)
	if err != nil {
		return advice.OnAnswer(err)
	}
	if p.json {
		out := make([]queueJSON, len(queues))
		for i, q := range queues {
			out[i] = queueJSON{q.ID, q.Name, q.IsDefault}
		}
		return p.stdout.JSON(out)
	}
	t := term.Table{Heads: []string{"ID", "NAME", "DEFAULT"}}
	for _, q := range queues {
		t.Row(q.ID, q.Name, yes(q.IsDefault))
	}
	t.Write(p.stdout, "")
	if len(queues) == 0 {
		p.stdout.Line("The organisation has no queues.")
	}
	return nil
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
