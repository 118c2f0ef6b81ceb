package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/dixa"
	"dixa-import/importer/live"
	"dixa-import/importer/subscription"
)

// secretVariable is the environment variable that config.example.yaml reads the secret from.
const secretVariable = "WEBHOOK_SECRET"

// maxCreateSettle bounds how long a person waits for a creation that is in doubt.
const maxCreateSettle = 10 * time.Second

func (p *webhooksCmd) creating(c *cli.Context) (command, error) {
	p.name, p.events, p.channel = strings.TrimSpace(cmp.Or(p.name, "dixa-import")), neededEvents, dixa.ChannelName
	if c.Bool("typing") {
		p.events = append([]string{typingEvent}, neededEvents...)
	}
	if c.Bool("all-channels") {
		p.channel = ""
	}
	if err := checkWebhookURL(p.url); err != nil {
		return nil, err
	}
	if p.name == "" {
		return nil, config.Usagef("--name must not be empty")
	}
	return commandFunc(p.create), nil
}

type createdWebhookJSON struct {
	webhookJSON
	Created    bool     `json:"created"` // false: it was there before
	Secret     string   `json:"secret,omitempty"`
	SecretFile string   `json:"secret_file,omitempty"`
	Others     []string `json:"others"` // ids of more subscriptions with the same name and URL
}

// create creates the subscription unless it is there.
func (p *webhooksCmd) create(ctx context.Context) error {
	if p.secretFile != "" {
		if _, err := os.Lstat(p.secretFile); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s exists already, and is not overwritten: nothing was created; give another --secret-file or remove that one", p.secretFile)
		}
	}
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return err
	}
	api, apiErr := file.Dixa()
	imports, importsErr := file.Importing()
	if err := errors.Join(apiErr, importsErr); err != nil {
		return err
	}
	client, err := p.newClient(api, askAttempts, 1, nil)
	if err != nil {
		return err
	}
	defer client.Close()
	made, err := subscription.Ensure(ctx, subscription.Config{API: client, Settle: min(imports.Settle, maxCreateSettle),
		Want: dixa.NewWebhook{Name: p.name, URL: p.url, Events: p.events, Channel: p.channel}})
	if refused, ok := errors.AsType[*dixa.APIError](err); ok && refused.Status == 400 && refused.Operation == dixa.OpCreateWebhook && p.channel != "" {
		return fmt.Errorf("%w: should it be the filter on the channel, add --all-channels", err)
	}
	if err != nil {
		return onWebhookAnswer(err)
	}
	return p.tell(made)
}

// tell hands the secret over, and says what became of the subscription.
func (p *webhooksCmd) tell(made subscription.Result) error {
	out := createdWebhookJSON{webhookJSON: newWebhookJSON(made.Webhook), Created: made.Created, Secret: made.Secret, Others: append([]string{}, made.Others...)}
	out.Lacks = append([]string{}, subscription.Lacks(made.Webhook, p.events)...)
	out.Suits = len(out.Lacks) == 0
	if p.secretFile != "" {
		if err := writeSecret(p.secretFile, made.Secret); err != nil {
			return fmt.Errorf("the webhook subscription %s exists, but its secret could not be written: %w: run the command again with another --secret-file", made.Webhook.ID, err)
		}
		out.Secret, out.SecretFile = "", p.secretFile
	}
	switch {
	case p.json:
		if err := p.stdout.JSON(out); err != nil {
			return err
		}
	case p.secretFile == "":
		p.stdout.Line(secretVariable + "=" + made.Secret)
	}
	said := map[bool]string{true: "the webhook subscription was created", false: "the webhook subscription was there already"}[made.Created]
	p.log.Info(said, "id", made.Webhook.ID, "name", made.Webhook.Name, "url", out.URL, "events", strings.Join(made.Webhook.Events, ","))
	if !strings.HasSuffix(strings.TrimRight(out.URL, "/"), "/webhooks/dixa") {
		p.log.Warn("`dixa-import serve` takes deliveries in at /webhooks/dixa: whatever is at this address must pass them on to that")
	}
	if err := live.CheckWebhookSecret(made.Secret); err != nil {
		p.log.Warn("the secret that Dixa gave is not of the form that it documents", "error", err.Error())
	}
	if made.Unchecked != nil {
		p.log.Warn("whether another process has created the same subscription could not be looked up: see `dixa-import webhooks list`", "error", made.Unchecked.Error())
	}
	return p.troubles(made, out.Lacks)
}

// troubles are what a person has to settle about the subscription.
func (p *webhooksCmd) troubles(made subscription.Result, lacks []string) error {
	var err error
	if len(lacks) > 0 {
		err = fmt.Errorf("the webhook subscription %s has the same name and URL, but %s: correct it in Dixa, or delete it with `%s` and create it again, which gives it another secret",
			made.Webhook.ID, strings.Join(lacks, "; "), p.commandLine("webhooks delete "+made.Webhook.ID))
	}
	if len(made.Others) > 0 {
		err = errors.Join(err, fmt.Errorf("%d more subscriptions have the same name and URL (%s), so each event is delivered more than once, and signed with several secrets: delete them with `%s`",
			len(made.Others), strings.Join(made.Others, ", "), p.commandLine("webhooks delete "+made.Others[0])))
	}
	return err
}

// writeSecret writes a file for the environment of serve.
func writeSecret(path, secret string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(secretVariable + "=" + secret + "\n")
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
