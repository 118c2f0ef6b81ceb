package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer/live"
)

func (p *webhooksCmd) replaying(c *cli.Context) (command, error) {
	if !c.IsSet("since") {
		return nil, config.Usagef("webhooks replay needs --since: how far back deliveries are looked at; Dixa does not keep them for ever")
	}
	var sinceErr, untilErr error
	p.since, sinceErr = parseTime("since", c.String("since"))
	if c.IsSet("until") {
		p.until, untilErr = parseTime("until", c.String("until"))
	}
	if err := errors.Join(sinceErr, untilErr, needUUID(p.id)); err != nil {
		return nil, err
	}
	if c.IsSet("until") && !p.since.Before(p.until) {
		return nil, config.Usagef("--since must be before --until")
	}
	return commandFunc(p.replay), nil
}

type replayedJSON struct {
	Read      int   `json:"read"`      // deliveries
	New       int   `json:"new"`       // events that the checkpoint did not have
	Known     int64 `json:"known"`     // or too old to wait for the import of their conversation
	Own       int64 `json:"own"`       // what this tool or the bot did itself
	Foreign   int64 `json:"foreign"`   // about no conversation
	Malformed int   `json:"malformed"` // cannot be read
}

// replay takes in what the delivery logs have and the checkpoint does not.
func (p *webhooksCmd) replay(ctx context.Context) (err error) {
	var settings config.Serve
	b, err := p.openBound(ctx, func(file *config.File) (err error) {
		settings, err = file.Serve()
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := b.confirmOrganisation(ctx); err != nil {
		return advice.OnAnswer(err)
	}
	intake, err := p.newIntake(b, settings, nil)
	if err != nil {
		return err
	}
	n, err := intake.CatchUp(ctx, deliveryLog{b.client, p.id, p.since, p.until})
	out := replayedJSON{n.Read, n.New, intake.Count(live.Repeated), intake.Count(live.Echo), intake.Count(live.Foreign), n.Malformed}
	if err != nil {
		return fmt.Errorf("%w; %s taken in before that, and it may be repeated", onWebhookAnswer(err), term.Plural(int64(n.New), "event"))
	}
	if p.json {
		return p.stdout.JSON(out)
	}
	p.stdout.Line(fmt.Sprintf("Took in %s, of %s in the delivery logs.", term.Plural(int64(out.New), "event"), term.Thousands(int64(out.Read))))
	for _, line := range []struct {
		n    int64
		what string
	}{{out.Known, "known already, or of no imported conversation"}, {out.Own, "caused by this tool or the bot"}, {out.Foreign, "about no conversation"}, {int64(out.Malformed), "that cannot be read"}} {
		if line.n > 0 {
			p.stdout.Printf("  %s %s\n", term.Thousands(line.n), line.what)
		}
	}
	if out.New > 0 && settings.ForwardURL != "" {
		p.stdout.Say("", "`dixa-import serve` forwards them to the bot.")
	}
	return nil
}
