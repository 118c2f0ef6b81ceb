package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
	"dixa-import/source"
)

const (
	demoTranscripts = 300
	demoRate        = 80.0 // requests a second: faster than Dixa, so that nobody waits for the demo
	demoLatency     = 20 * time.Millisecond
)

// demoCmd is the command demo.
type demoCmd struct {
	*program
	transcripts int
	rate        float64 // requests a second, 0: unlimited
	handover    bool
}

func demoCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "show a whole import, with a Dixa in memory and made-up transcripts",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "transcripts", Value: demoTranscripts, Usage: "import `N` transcripts"},
			&cli.Float64Flag{Name: "rate", Value: demoRate, Usage: "requests a second that the sandbox allows, `R`; Dixa allows 10; 0 is unlimited"},
			&cli.BoolFlag{Name: "handover", Usage: "show instead how a chat is handed over to a person, what the bot hears of it, and how it is resumed"},
		},
		Action: draining(func(c *cli.Context) (command, error) {
			n, rate := c.Int("transcripts"), c.Float64("rate")
			switch {
			case n < demoLeast || n > 1_000_000:
				return nil, config.Usagef("--transcripts must be from %d to 1000000", demoLeast)
			case !(rate >= 0 && rate <= 1e6):
				return nil, config.Usagef("--rate must be from 0 up")
			}
			if c.Bool("handover") && (c.IsSet("transcripts") || c.IsSet("rate")) {
				return nil, config.Usagef("--handover shows one chat: leave --transcripts and --rate out")
			}
			return &demoCmd{p, n, rate, c.Bool("handover")}, nil
		}),
	}
}

// Run does the command.
func (p *demoCmd) Run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "dixa-import-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if p.handover {
		ctx, stop := interruptible(ctx)
		defer stop()
		return p.demoHandover(ctx, dir)
	}
	path := filepath.Join(dir, "transcripts.jsonl")
	if err := makeDemoFile(path, p.transcripts); err != nil {
		return err
	}
	// The client asks for one request less in ten than the sandbox allows, as a real run should.
	// Its bucket grows with the rate: it holds as many milliseconds of requests as Dixa's.
	options := sandbox.Options{Rate: p.rate, Burst: max(config.DefaultBurst, int(0.4*p.rate))}
	if p.rate > 0 {
		options.Latency = demoLatency
	}
	server := sandbox.New(options)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start the sandbox: %w", err)
	}
	stop := serve(listener, server)
	defer func() { err = errors.Join(err, stop()) }()
	p.demoIntroduction()
	s := config.Dixa{BaseURL: "http://" + listener.Addr().String(), Token: server.Token(), AgentID: sandbox.DefaultAgentID,
		Rate: p.rate * 0.9, Burst: config.DefaultBurst, Timeout: config.DefaultTimeout}
	summary, totals, err := p.demoRun(ctx, s, path, "sqlite:"+filepath.Join(dir, "demo.db"))
	switch {
	case err != nil:
		return err
	case summary.Run == 0:
		return p.stoppedBefore(summary.Reason)
	}
	if err := p.printSummary(report.Result{Summary: summary, Totals: totals}); err != nil {
		return err
	}
	if summary.Outcome == importer.OutcomeStopped {
		return ended(summary.Outcome)
	}
	if !p.json {
		p.demoConclusion(server)
	}
	return nil
}

func makeDemoFile(path string, n int) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the transcripts of the demo: %w", err)
	}
	return errors.Join(writeDemo(f, n), f.Close())
}

// demoRun imports the transcripts as the command run would.
func (p *demoCmd) demoRun(ctx context.Context, s config.Dixa, path, database string) (_ importer.Summary, _ []checkpoint.Total, err error) {
	var none importer.Summary
	reader, err := source.OpenJSONL(source.JSONLConfig{Paths: []string{path}})
	if err != nil {
		return none, nil, err
	}
	client, err := p.newClient(s, config.DefaultMaxAttempts, 0, nil)
	if err != nil {
		return none, nil, err
	}
	defer client.Close()
	store, err := connect.Checkpoint(ctx, database, connect.Create)
	if err != nil {
		return none, nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	organisation, _ := dixa.TokenOrganization(s.Token)
	summary, err := p.work(ctx, importer.Config{
		Source: "demo", Reader: reader, Store: store, API: client, BaseURL: s.BaseURL, AgentID: s.AgentID,
		TokenOrganization: organisation, Region: config.DefaultRegion, Rate: s.Rate, RequestTimeout: s.Timeout,
		Settle: 2 * time.Second, Mark: true, Logger: p.demoLog(),
		Attributes: []importer.AttributeMapping{
			{Name: "order_number", Attribute: "order_number"},
			{Name: "contact_reason", Attribute: "contact_reason"},
			{Name: "bot_version", Attribute: "Bot version", Constant: &source.Value{Text: "2.4"}},
		},
	}, nil)
	if err != nil {
		return none, nil, err
	}
	totals, err := store.Totals(context.WithoutCancel(ctx), "demo", 0)
	return summary, totals, err
}

// demoLog leaves the output of the demo to its own words; --log-level debug brings the rest back.
func (p *demoCmd) demoLog() *slog.Logger {
	if p.log.Enabled(context.Background(), slog.LevelDebug) {
		return p.log
	}
	return slog.New(slog.DiscardHandler)
}

// serve answers requests until the returned function is called.
func serve(listener net.Listener, handler http.Handler) (stop func() error) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	return func() error {
		err := server.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}
}

func (p *demoCmd) demoIntroduction() {
	if p.json {
		return
	}
	limit := "without a rate limit"
	if p.rate > 0 {
		limit = fmt.Sprintf("at %g requests a second (Dixa allows 10)", p.rate)
	}
	p.stdout.Printf("Importing %s made-up transcripts into a Dixa in memory, %s ...\n\n", term.Thousands(int64(p.transcripts)), limit)
}

func (p *demoCmd) demoConclusion(server *sandbox.Server) {
	p.stdout.Printf(`
This is how it should be: four of the transcripts are special.
  demo-%05d  nobody is known: it has an end-user of its own
  demo-%05d  an attachment that Dixa cannot use: imported, and recorded as partial
  demo-%05d  a time without a zone: rejected, with the field and the cure, never sent
  demo-%05d  still open: skipped until it is closed

In the sandbox there are now %s and %s; %s twice.

Next
  1. in Dixa, create a bot user (Settings > AI agents > Third-party AI agents) and copy its token
  2. export DIXA_API_TOKEN=<the token>; copy config.example.yaml to config.yaml and fill it in
  3. dixa-import check
  4. dixa-import run --limit 10, look at them in Dixa, then dixa-import run
`, demoAnonymous+1, demoPartial+1, demoRejected+1, demoStillOpen+1,
		term.Plural(int64(len(server.Conversations())), "conversation"), term.Plural(int64(len(server.EndUsers())), "end-user"),
		noneOr(len(server.Duplicates())))
}

func noneOr(n int) string {
	if n == 0 {
		return "none is there"
	}
	return term.Plural(int64(n), "transcript") + " are there"
}
