package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
	"dixa-import/importer/live"
)

// catchUpEvery is how often the delivery logs of the subscriptions are read.
const catchUpEvery = 10 * time.Minute

// serveCmd is the command serve.
type serveCmd struct {
	*program
	certFile, keyFile string
}

func serveCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "take in what Dixa reports about imported conversations, and forward it to the bot",
		Description: "It runs until it is interrupted, beside `dixa-import run`. Dixa's webhooks post to /webhooks/dixa on serve.address; an event counts as received once it is stored. " +
			"Events are posted to serve.forward_url, signed as Standard Webhooks are, in order within a conversation, until the bot accepts them or three days have passed. " +
			"What did not arrive is read from Dixa's delivery logs. GET /healthz and /readyz are for probes.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "tls-cert", Usage: "serve HTTPS with the certificate in `FILE`"},
			&cli.StringFlag{Name: "tls-key", Usage: "the key of the certificate, in `FILE`"},
		},
		Action: action(func(c *cli.Context) (command, error) {
			s := &serveCmd{p, c.String("tls-cert"), c.String("tls-key")}
			if (s.certFile == "") != (s.keyFile == "") {
				return nil, config.Usagef("--tls-cert and --tls-key need each other")
			}
			return s, nil
		}),
	}
}

// Run does the command.
func (p *serveCmd) Run(ctx context.Context) (err error) {
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return err
	}
	api, apiErr := file.Dixa()
	name, nameErr := file.SourceName()
	settings, serveErr := file.Serve()
	url, urlErr := file.DatabaseURL()
	if err := errors.Join(apiErr, urlErr, nameErr, serveErr); err != nil {
		return err
	}
	if len(settings.WebhookSecrets) == 0 {
		return errors.New("serve.webhook_secrets is empty: give the secret that Dixa showed when the webhook subscription was created")
	}
	agent, err := api.BotUser()
	if err != nil {
		return err
	}
	store, err := connect.Checkpoint(ctx, url, connect.Update)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	organisation, err := store.Binding(ctx, name)
	if err != nil {
		return err
	}
	if organisation == (checkpoint.Binding{}) {
		return fmt.Errorf("the checkpoint has no source %s yet: import something with `dixa-import run` first, which ties the source to its organisation", name)
	}
	client, err := p.newClient(api, askAttempts, 1, p.sharedLimiter(store, api))
	if err != nil {
		return err
	}
	defer client.Close()
	return p.serve(ctx, store, organisation, client, settings, name, agent)
}

// serve works until ctx ends.
func (p *serveCmd) serve(ctx context.Context, store *checkpoint.Store, organisation checkpoint.Binding, client *dixa.Client, s config.Serve, name, agent string) error {
	stored := live.NewSignal()
	intake := live.NewIntake(live.IntakeConfig{Store: store, Organisation: organisation, Source: name, AgentID: agent, Forward: s.ForwardURL != "", Stored: stored, Logger: p.log})
	receiver, err := live.NewReceiver(intake, live.ReceiverConfig{Secrets: s.WebhookSecrets, Logger: p.log})
	if err != nil {
		return err
	}
	keeper := live.NewKeeper(live.KeeperConfig{Store: store, Keep: s.Keep, Attached: stored, Logger: p.log})
	workers := []func(context.Context){keeper.Run, func(ctx context.Context) { intake.Follow(ctx, catchUpEvery, deliveryLog{client}) }}
	if s.ForwardURL != "" {
		forwarder, err := live.NewForwarder(live.ForwarderConfig{Store: store, Organisation: organisation, Source: name, URL: s.ForwardURL, Secret: s.ForwardSecret, Stored: stored, Logger: p.log})
		if err != nil {
			return err
		}
		workers = append(workers, forwarder.Run)
	}
	server, err := live.Listen(ctx, live.ServerConfig{Address: s.Address, Handlers: map[string]http.Handler{"/webhooks/dixa": receiver}, Ready: store.CheckSchema,
		CertFile: p.certFile, KeyFile: p.keyFile, Logger: p.log})
	if err != nil {
		return err
	}
	p.log.Info("serving", "address", server.Addr(), "forwarding", s.ForwardURL != "")
	working, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for _, work := range workers {
		running.Go(func() { work(working) })
	}
	return server.Serve(ctx)
}

// deliveryLog reads what Dixa logged of its deliveries to all subscriptions of the organisation. What is not about an imported conversation is
// not kept.
type deliveryLog struct{ client *dixa.Client }

// Payloads implements live.DeliveryLog.
func (l deliveryLog) Payloads(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		hooks, err := l.client.ListWebhooks(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, hook := range hooks {
			for _, event := range hook.Events {
				deliveries, err := l.client.ListDeliveries(ctx, hook.ID, event)
				if err != nil {
					yield(nil, err)
					return
				}
				for _, d := range deliveries {
					if !yield(d.Payload, nil) {
						return
					}
				}
			}
		}
	}
}
