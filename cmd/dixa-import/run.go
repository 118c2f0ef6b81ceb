package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/dixa"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

func (p *program) runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "import what is not imported yet",
		Description: "It continues where the last run ended, and may be repeated at any time. The first signal lets " +
			"work in flight finish within 20 seconds, a second one ends it at once.\n\n" + exitHelp,
		Flags: append([]cli.Flag{
			&cli.Int64Flag{Name: "limit", Usage: "work on at most `N` transcripts", DefaultText: "all"},
			&cli.StringFlag{Name: "since", Usage: "read Postgres from `T` on instead of the watermark: RFC 3339 or a date (UTC)"},
			&cli.BoolFlag{Name: "full", Usage: "read Postgres from the beginning, ignoring the watermark"},
			&cli.BoolFlag{Name: "reconcile", Usage: "look in Dixa before every send: for a checkpoint that was lost or restored"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what the run would do, and how long it would take; writes nothing"},
			&cli.IntFlag{Name: "show", Usage: "with --dry-run: print `N` import requests as they would leave", DefaultText: "none"},
			&cli.BoolFlag{Name: "rebind", Usage: "tie the source to the token's organisation although it was imported into another one"},
			&cli.BoolFlag{Name: "if-idle", Usage: "do nothing, with exit code 0, if another process works on the same SQLite checkpoint"},
		}, paceFlags()...),
		Action: func(c *cli.Context) error {
			switch {
			case c.Bool("dry-run"):
				return p.plan(c.Context, c)
			case c.IsSet("show"):
				return usagef("--show is for --dry-run: give that, too")
			}
			return p.make(c.Context, c, p.openRun)
		},
	}
}

// paceFlags are the flags of all commands that import.
func paceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.DurationFlag{Name: "for", Usage: "stop cleanly after `D`, such as 30m or 5h", DefaultText: "no bound"},
		&cli.Float64Flag{Name: "rate", Usage: "requests a second, `N`; 0 is unlimited", DefaultText: "dixa.rate"},
		&cli.IntFlag{Name: "workers", Usage: "transcripts at once, `N`; 0 is chosen from the rate", DefaultText: "import.workers"},
		&cli.StringFlag{Name: "max-failures", Usage: "stop after so many failed transcripts, `N` or 5%; 0 is never", DefaultText: "import.max_failures"},
		jsonlFlag("take the transcripts from `PATH` instead of the configured source, such as records that were mended; may be repeated"),
	}
}

// jsonlFlag is the flag that takes records from other files, under the name of the configured source.
func jsonlFlag(usage string) cli.Flag {
	return &cli.GenericFlag{Name: "jsonl", Value: &texts{}, Usage: usage}
}

// overrideSource puts --jsonl in the place of the configured source, save its name.
func overrideSource(file *configFile, c *cli.Context) {
	paths := textsOf(c, "jsonl")
	if len(paths) == 0 {
		return
	}
	file.Source.Postgres, file.Source.JSONL = nil, new(jsonlSection)
	for _, path := range paths {
		var s setting
		s.override("jsonl", path)
		file.Source.JSONL.Paths = append(file.Source.JSONL.Paths, s)
	}
}

// job is everything that a run needs.
type job struct {
	config          importer.Config
	conversationURL string // with {id}, "" if none is configured
	database        string // as it may be shown
	canary          *canary
	close           []func() error
}

func (j *job) Close() error {
	var problems []error
	for i := len(j.close) - 1; i >= 0; i-- {
		problems = append(problems, j.close[i]())
	}
	return errors.Join(problems...)
}

// make makes a run of what open has prepared, and says what became of it.
func (p *program) make(ctx context.Context, c *cli.Context, open func(context.Context, *cli.Context) (*job, error)) error {
	r, err := p.attempt(ctx, c, open)
	var usage *usageError
	if errors.As(err, &usage) || r.Run == 0 && !p.json { // whoever reads JSON wants an object in any case
		return err
	}
	if r.exit = exitCode(err); r.exit == exitFailure {
		r.Outcome, r.Reason = importer.OutcomeAborted, message(err)
		_, r.lost = errors.AsType[*importer.LostCheckpointError](err)
	}
	printErr := p.printSummary(r)
	if !p.json {
		p.printNext(r)
	}
	return cmp.Or(err, printErr)
}

// attempt makes a run. The result has no Run if it did not come to that.
func (p *program) attempt(ctx context.Context, c *cli.Context, open func(context.Context, *cli.Context) (*job, error)) (r runResult, err error) {
	opening, stopOpening := interruptible(ctx)
	j, err := open(opening, c)
	interrupted := opening.Err() != nil
	stopOpening()
	if j != nil {
		defer func() {
			closeErr := j.Close()
			if closeErr != nil && err != nil {
				p.log.Warn("not everything could be closed", "error", closeErr.Error())
			}
			err = cmp.Or(err, closeErr)
		}()
	}
	switch {
	case interrupted:
		r.Outcome, r.Reason = importer.OutcomeStopped, "signal"
		return r, p.stoppedBefore("signal")
	case err != nil:
		return r, err
	}
	r.Summary, err = p.work(ctx, j.config, c.Duration("for"))
	var lost *importer.LostCheckpointError
	if errors.As(err, &lost) {
		err = fmt.Errorf("%s: %w", j.database, err)
	}
	var busy *checkpoint.BusyError
	switch {
	case c.Bool("if-idle") && errors.As(err, &busy):
		p.log.Info("nothing to do: another run is working", "database", busy.Path)
		r.Outcome, r.Reason = outcomeIdle, "another run is working"
		return r, nil
	case r.Run == 0 && err == nil:
		return r, p.stoppedBefore(r.Reason)
	case r.Run == 0:
		return r, err
	}
	r.files = textsOf(c, "jsonl")
	r.canary, r.url, r.retry, r.reconcile = j.canary, j.conversationURL, j.config.Retry != nil, j.config.Reconcile
	after := context.WithoutCancel(ctx)
	var totalsErr, watermarkErr error
	r.totals, totalsErr = j.config.Store.Totals(after, j.config.Source, 0)
	r.watermark, watermarkErr = j.config.Store.Watermark(after, j.config.Source)
	if standing := errors.Join(totalsErr, watermarkErr); standing != nil {
		p.log.Warn("the totals could not be read", "error", standing.Error())
	}
	return r, cmp.Or(err, ended(r.Outcome))
}

// stoppedBefore is the end of a run that was stopped before it began.
func (p *program) stoppedBefore(reason string) error {
	p.log.Info("stopped before the run began", "reason", reason)
	return ended(importer.OutcomeStopped)
}

// work makes a run that signals and --for can stop, and shows how far it is. If it is stopped before it begins, the
// summary has no Run and a Reason.
func (p *program) work(ctx context.Context, config importer.Config, limit time.Duration) (importer.Summary, error) {
	im, err := importer.New(config)
	if err != nil {
		return importer.Summary{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var reason atomic.Value
	stop := func(why string) {
		reason.CompareAndSwap(nil, why)
		im.Stop(why)
	}
	defer p.drainOnSignal(stop, cancel)()
	if limit > 0 {
		timer := time.AfterFunc(limit, func() { stop("--for " + short(limit) + " is over") })
		defer timer.Stop()
	}
	defer p.watch(im.Progress)()
	summary, err := im.Run(ctx)
	if why, ok := reason.Load().(string); ok && summary.Run == 0 {
		return importer.Summary{Outcome: importer.OutcomeStopped, Reason: why}, nil
	}
	return summary, err
}

// drainOnSignal stops the run at the first SIGINT or SIGTERM and abandons it at the second, until the returned function
// is called.
func (p *program) drainOnSignal(stop func(reason string), abandon func()) func() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for n := 0; ; n++ {
			select {
			case <-quit:
				return
			case s := <-signals:
				if n > 0 {
					p.log.Warn("second signal: work in flight is abandoned, the next run reconciles it")
					abandon()
					continue
				}
				p.log.Info("stopping: work in flight is finished first, a second signal ends it at once", "signal", s.String())
				stop("signal: " + s.String())
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(quit)
		<-gone
	}
}

// openRun opens what the command run works with.
func (p *program) openRun(ctx context.Context, c *cli.Context) (*job, error) {
	since, err := runFlags(c)
	if err != nil {
		return nil, err
	}
	use := createCheckpoint
	if c.Bool("dry-run") {
		use = lookAtCheckpoint
	}
	j, err := p.openJob(ctx, c, use)
	if err != nil {
		return nil, err
	}
	j.config.Limit, j.config.Since, j.config.Full = c.Int64("limit"), since, c.Bool("full")
	j.config.Reconcile, j.config.Rebind = c.Bool("reconcile"), c.Bool("rebind")
	if j.config.Limit > 0 {
		j.canary = &canary{}
		j.config.OnImported = j.canary.add
	}
	if _, rows := j.config.Reader.(*source.Postgres); !rows && (!since.IsZero() || c.Bool("full")) {
		p.log.Warn("--since and --full are for Postgres sources: files are always read whole")
	}
	return j, nil
}

// openJob reads the configuration and the flags that all imports have, and opens what they work with.
func (p *program) openJob(ctx context.Context, c *cli.Context, use checkpointUse) (_ *job, err error) {
	if c.IsSet("for") && c.Duration("for") <= 0 {
		return nil, usagef("--for must be a duration above zero, such as 30m")
	}
	file, err := loadConfig(p.configPath, p.lookup)
	if err != nil {
		return nil, err
	}
	overridePace(file, c)
	overrideSource(file, c)
	api, apiErr := file.dixa()
	src, srcErr := file.source()
	users, usersErr := file.endUsers()
	attributes, attributesErr := file.attributes()
	imports, importsErr := file.importing()
	database, databaseErr := file.databaseURL()
	if err := errors.Join(apiErr, databaseErr, srcErr, usersErr, attributesErr, importsErr); err != nil {
		return nil, err
	}
	agent, err := agentID(api)
	if err != nil {
		return nil, err
	}
	j := &job{conversationURL: api.ConversationURL, database: withoutPassword(database), config: importer.Config{
		Source: src.Name, BaseURL: api.BaseURL, AgentID: agent, Match: users.Match, Region: users.Region,
		Anonymous: users.Anonymous, Preload: users.Preload, Attributes: attributes, Workers: imports.Workers, Rate: api.Rate,
		RequestTimeout: api.Timeout, MaxAttempts: imports.MaxAttempts, MaxFailures: imports.MaxFailures, Settle: imports.Settle,
		DatabasePatience: imports.DatabasePatience, Overlap: src.Overlap, Excerpt: len(textsOf(c, "jsonl")) > 0, Logger: p.log,
	}}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close())
		}
	}()
	j.config.TokenOrganization, _ = dixa.TokenOrganization(api.Token)
	reader, closeReader, err := p.openSource(ctx, src, imports.DatabasePatience)
	if err != nil {
		return nil, err
	}
	j.close = append(j.close, func() error { closeReader(); return nil })
	j.config.Reader = reader
	if j.config.Store, err = openCheckpoint(ctx, database, use); err != nil {
		return nil, err
	}
	if j.config.Store != nil {
		j.close = append(j.close, j.config.Store.Close)
	}
	client, err := p.newClient(api, imports.MaxAttempts, imports.Workers, p.sharedLimiter(j.config.Store, api))
	if err != nil {
		return nil, err
	}
	j.close = append(j.close, func() error { client.Close(); return nil })
	j.config.API = client
	return j, nil
}

// overridePace puts flags in the place of what the file says.
func overridePace(file *configFile, c *cli.Context) {
	if c.IsSet("rate") {
		file.Dixa.Rate.override("rate", strconv.FormatFloat(c.Float64("rate"), 'g', -1, 64))
	}
	if c.IsSet("workers") {
		file.Import.Workers.override("workers", strconv.Itoa(c.Int("workers")))
	}
	if c.IsSet("max-failures") {
		file.Import.MaxFailures.override("max-failures", c.String("max-failures"))
	}
}

// runFlags checks the flags of run alone, and returns --since.
func runFlags(c *cli.Context) (since time.Time, err error) {
	switch {
	case c.IsSet("limit") && c.Int64("limit") < 1:
		return since, usagef("--limit must be at least 1")
	case c.IsSet("since") && c.Bool("full"):
		return since, usagef("--since and --full exclude each other: keep one")
	}
	if !c.IsSet("since") {
		return since, nil
	}
	return parseSince(c.String("since"))
}

// parseSince reads a time with a zone or a date, which begins at midnight UTC.
func parseSince(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, usagef("--since must be a date such as 2026-11-19 or a time with a zone such as 2026-11-19T08:00:00Z")
}
