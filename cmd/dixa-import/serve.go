package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/metrics"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
	"dixa-import/importer/live"
)

// catchUpEvery is the default of serveCmd.catchUp.
const catchUpEvery = 10 * time.Minute

// serveCmd is the command serve.
type serveCmd struct {
	*program
	certFile, keyFile string
	catchUp           time.Duration // how often the delivery logs of the subscriptions are read
}

func serveCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "import transcripts that a bot posts, take in what Dixa reports about imported conversations, and forward it to the bot",
		Description: "It runs until it is interrupted, beside `dixa-import run`. With serve.token set, POST /transcripts on serve.address imports one transcript, hands it over if it says so, and answers with " +
			"the number of its conversation. With serve.webhook_secrets set, Dixa's webhooks post to /webhooks/dixa; an event counts as received once it is stored. " +
			"Events are posted to serve.forward_url, signed as Standard Webhooks are, in order within a conversation, until the bot accepts them or three days have passed. " +
			"What did not arrive is read from Dixa's delivery logs. GET /healthz and /readyz are for probes, GET /metrics is for Prometheus.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "tls-cert", Usage: "serve HTTPS with the certificate in `FILE`"},
			&cli.StringFlag{Name: "tls-key", Usage: "the key of the certificate, in `FILE`"},
		},
		Action: action(func(c *cli.Context) (command, error) {
			s := &serveCmd{p, c.String("tls-cert"), c.String("tls-key"), catchUpEvery}
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
	how, howErr := p.importSettings(file)
	name, nameErr := file.SourceName()
	settings, serveErr := file.Serve()
	if err := errors.Join(howErr, nameErr, serveErr); err != nil {
		return err
	}
	if len(settings.WebhookSecrets) == 0 && settings.Token == "" {
		return errors.New("there is nothing to serve: set serve.token to take in transcripts, or serve.webhook_secrets to take in Dixa's webhooks. " +
			"`dixa-import webhooks create --url URL` creates the webhook subscription, and prints its secret as often as it is called")
	}
	use := connect.Update
	if settings.Token != "" {
		use = connect.Create
	}
	store, err := connect.Checkpoint(ctx, how.database, use)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	how.config.Source, how.config.Store = name, store
	s := &serving{serveCmd: p, Serve: settings, how: how, store: store, handlers: map[string]http.Handler{}, ready: []func(context.Context) error{store.CheckSchema}}
	s.counts, s.monitored = metrics.NewServe(), metrics.ServeConfig{Source: name, Store: store, Requests: metrics.NewRequests(), Logger: p.log}
	p.observe = s.monitored.Requests.Observe
	defer s.close()
	if settings.Token != "" {
		if err := s.takeTranscripts(ctx); err != nil {
			return err
		}
	}
	if len(settings.WebhookSecrets) > 0 {
		if err := s.takeEvents(ctx); err != nil {
			return err
		}
	}
	return s.serve(ctx)
}

// serving is what a serve is made of.
type serving struct {
	*serveCmd
	config.Serve
	how      importSettings
	store    *checkpoint.Store
	handlers map[string]http.Handler
	workers  []func(context.Context)
	ready    []func(context.Context) error
	closers  []func()

	counts    *metrics.Serve
	monitored metrics.ServeConfig
}

func (s *serving) close() {
	for _, release := range slices.Backward(s.closers) {
		release()
	}
}

// takeEvents adds what takes in Dixa's webhooks, and forwards the events.
func (s *serving) takeEvents(ctx context.Context) error {
	b, err := s.bind(ctx, s.store, s.how.api, s.how.config.Source)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, b.client.Close)
	stored := live.NewSignal()
	intake, err := s.newIntake(b, s.Serve, stored)
	if err != nil {
		return err
	}
	receiver, err := live.NewReceiver(intake, live.ReceiverConfig{Secrets: s.WebhookSecrets, Logger: s.log})
	if err != nil {
		return err
	}
	keeper := live.NewKeeper(live.KeeperConfig{Store: s.store, Keep: s.Keep, Attached: stored, Logger: s.log})
	s.handlers["/webhooks/dixa"] = receiver
	s.monitored.Intake, s.monitored.Receiver = intake, receiver
	s.workers = append(s.workers, keeper.Run, func(ctx context.Context) { intake.Follow(ctx, s.catchUp, deliveryLog{client: b.client}) })
	if s.ForwardURL == "" {
		return nil
	}
	forwarder, err := live.NewForwarder(live.ForwarderConfig{Store: s.store, Organisation: b.organisation, Source: b.source, URL: s.ForwardURL, Secret: s.ForwardSecret, Stored: stored,
		Forwarded: s.counts.Forwarded, Logger: s.log})
	if err != nil {
		return err
	}
	s.workers, s.monitored.Forwarder = append(s.workers, forwarder.Run), forwarder
	return nil
}

// serve works until ctx ends.
func (s *serving) serve(ctx context.Context) error {
	s.handlers["GET /metrics"] = s.counts.Handler(s.monitored)
	server, err := live.Listen(ctx, live.ServerConfig{Address: s.Address, Handlers: s.handlers, CertFile: s.certFile, KeyFile: s.keyFile, Logger: s.log,
		Ready: func(ctx context.Context) error {
			for _, ready := range s.ready {
				if err := ready(ctx); err != nil {
					return err
				}
			}
			return nil
		}})
	if err != nil {
		return err
	}
	s.log.Info("serving", "address", server.Addr(), "transcripts", s.Token != "", "webhooks", len(s.WebhookSecrets) > 0, "forwarding", s.ForwardURL != "")
	working, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for _, work := range s.workers {
		running.Go(func() { work(working) })
	}
	return server.Serve(ctx)
}
