package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"dixa-import/dixa"
)

func (p *program) queuesCommand() *cli.Command {
	return &cli.Command{Name: "queues", Usage: "list the queues of the Dixa organisation", Action: action(p.queues)}
}

// askAttempts is how often commands that only ask try: few enough to tell a person soon that Dixa is away.
const askAttempts = 2

// configuredClient returns a client for commands that only ask Dixa.
func (p *program) configuredClient() (*dixa.Client, error) {
	file, err := loadConfig(p.configPath, p.lookup)
	if err != nil {
		return nil, err
	}
	s, err := file.dixa()
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

func (p *program) queues(ctx context.Context, _ *cli.Context) error {
	client, err := p.configuredClient()
	if err != nil {
		return err
	}
	defer client.Close()
	queues, err := client.ListQueues(ctx)
	if err != nil {
		return advised(err)
	}
	if p.json {
		out := make([]queueJSON, len(queues))
		for i, q := range queues {
			out[i] = queueJSON{q.ID, q.Name, q.IsDefault}
		}
		return p.printJSON(out)
	}
	t := table{heads: []string{"ID", "NAME", "DEFAULT"}}
	for _, q := range queues {
		t.row(q.ID, q.Name, yes(q.IsDefault))
	}
	t.write(p.stdout, "")
	if len(queues) == 0 {
		p.stdout.line("The organisation has no queues.")
	}
	return nil
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
