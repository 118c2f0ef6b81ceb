package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/progress"
	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/dixa"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
)

// pace is what the flags of all commands that import say.
type pace struct {
	stopAfter time.Duration // 0: no bound
	overrides config.Overrides
	monitoring
	again string // the command with those of its flags that say what is worked on, and how
}

// paceFlags are the flags of all commands that import.
func paceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.DurationFlag{Name: "for", Usage: "stop cleanly after `D`, such as 30m or 5h", DefaultText: "no bound"},
		&cli.Float64Flag{Name: "rate", Usage: "requests a second, `N`; 0 is unlimited", DefaultText: "dixa.rate"},
		&cli.IntFlag{Name: "workers", Usage: "transcripts at once, `N`; 0 is chosen from the rate", DefaultText: "import.workers"},
		&cli.StringFlag{Name: "max-failures", Usage: "stop after so many failed transcripts, `N` or 5%; 0 is never", DefaultText: "import.max_failures"},
		&cli.StringFlag{Name: "metrics-file", Usage: "write Prometheus metrics to `FILE` every 10 seconds and at the end, for node exporter's textfile collector (*.prom)", DefaultText: "none"},
		&cli.StringFlag{Name: "notify-command", Usage: "run `COMMAND` with the JSON summary as its input if the exit code is neither 0 nor 4; words are split at spaces, without a shell", DefaultText: "none"},
		jsonlFlag("take the transcripts from `PATH` instead of the configured source, such as corrected records; may be repeated"),
	}
}

// jsonlFlag is the flag that takes records from other files, under the name of the configured source.
func jsonlFlag(usage string) cli.Flag {
	return &cli.GenericFlag{Name: "jsonl", Value: &texts{}, Usage: usage}
}

// outcomeIdle is the outcome of a run that left the work to another one, as --if-idle wants it.
const outcomeIdle importer.Outcome = "idle"

// job is everything that a run needs.
type job struct {
	config          importer.Config
	conversationURL string // with {id}, "" if none is configured
	database        string // as it may be shown
	canary          *report.Canary
	zone            *time.Location // of times of day
	stdin           bool           // standard input is part of the source
	close           []func() error
}

func (j *job) Close() error {
	var problems []error
	for i := len(j.close) - 1; i >= 0; i-- {
		problems = append(problems, j.close[i]())
	}
	return errors.Join(problems...)
}

// importing is what the commands run and retry have in common: both make a run, of what open prepares.
type importing struct {
	*program
	pace
	hours
	ifIdle bool // a run that finds another one at the same SQLite checkpoint does nothing
	open   func(ctx context.Context) (*job, error)
}

// do makes a run, and says what became of it.
func (p *importing) do(ctx context.Context) error {
	r, err := p.runs(ctx)
	if r.Exit = exitCode(err); r.Exit == exitFailure {
		r.Outcome, r.Reason = importer.OutcomeAborted, message(err)
		_, r.Lost = errors.AsType[*importer.LostCheckpointError](err)
	}
	p.endMetrics(r, err)
	err = cmp.Or(err, p.report(r))
	p.notify(ctx, r)
	return err
}

// report prints what became of a run.
func (p *importing) report(r report.Result) error {
	if r.Exit == exitUsage || r.Run == 0 && !p.json { // a reader of JSON needs an object in any case
		return nil
	}
	printErr := p.printSummary(r)
	if !p.json {
		r.PrintNext(p.stdout, p.commandLine)
	}
	return printErr
}

// attempt makes a run that the endings stop. The result has no Run if it did not come to that.
func (p *importing) attempt(ctx context.Context, endings []ending) (r report.Result, err error) {
	opening, stopOpening := interruptible(ctx)
	j, err := p.open(opening)
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
	p.askStanding(ctx, j)
	if p.until != nil {
		until := p.until.Next(p.clock.now(), j.zone)
		endings = append(endings, ending{"it is " + p.until.String(), func(ctx context.Context) error { return p.clock.wait(ctx, until) }})
	}
	r.Summary, err = p.work(ctx, j.config, endings)
	var lost *importer.LostCheckpointError
	if errors.As(err, &lost) {
		err = fmt.Errorf("%s: %w", j.database, err)
	}
	var busy *checkpoint.BusyError
	switch {
	case p.ifIdle && errors.As(err, &busy):
		p.log.Info("nothing to do: another run is working", "database", busy.Path)
		r.Outcome, r.Reason = outcomeIdle, "another run is working"
		return r, nil
	case r.Run == 0 && err == nil:
		return r, p.stoppedBefore(r.Reason)
	case r.Run == 0:
		return r, err
	}
	r.Files, r.Again = p.overrides.JSONL, p.again
	r.Canary, r.ConversationURL, r.Retry = j.canary, j.conversationURL, j.config.Retry != nil
	r.Attributes = r.Retry && j.config.Retry.Attributes
	after := context.WithoutCancel(ctx)
	p.askStanding(after, j)
	var totalsErr, watermarkErr error
	r.Totals, totalsErr = j.config.Store.Totals(after, j.config.Source, 0)
	r.Watermark, _, watermarkErr = j.config.Store.Watermark(after, j.config.Source)
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

// work makes a run that signals and endings can stop, and shows how far it is. If it is stopped before it begins, the
// summary has no Run and a Reason.
func (p *program) work(ctx context.Context, config importer.Config, endings []ending) (importer.Summary, error) {
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
	defer stopAt(ctx, endings, stop)()
	defer progress.Watch(p.console, p.log, im.Progress)()
	defer p.watchMetrics(ctx, config, im.Progress)()
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

// importSettings is what the configuration says about imports, whatever their source.
type importSettings struct {
	api      config.Dixa
	imports  config.Import
	database string
	config   importer.Config // without a source, a checkpoint and a client
}

func (p *program) importSettings(file *config.File) (s importSettings, err error) {
	var apiErr, databaseErr, importsErr error
	s.api, apiErr = file.Dixa()
	s.database, databaseErr = file.DatabaseURL()
	transcripts, transcriptsErr := file.Transcripts()
	users, usersErr := file.EndUsers()
	attributes, attributesErr := file.Attributes()
	finishing, finishingErr := file.Finishing()
	s.imports, importsErr = file.Importing()
	if err := errors.Join(apiErr, databaseErr, transcriptsErr, usersErr, attributesErr, finishingErr, importsErr); err != nil {
		return s, err
	}
	agent, err := s.api.BotUser()
	if err != nil {
		return s, err
	}
	s.config = importer.Config{
		BaseURL: s.api.BaseURL, AgentID: agent, Match: users.Match, Region: users.Region,
		Empty: transcripts.Empty, Grown: transcripts.Grown, Anonymous: users.Anonymous, AnonymousName: users.AnonymousName, Ignore: users.Ignore, Preload: users.Preload, Mark: s.api.Mark, Attributes: attributes,
		Tags: finishing.Tags, CreateTags: finishing.CreateTags, Handover: finishing.Handover, Workers: s.imports.Workers, Rate: s.api.Rate,
		RequestTimeout: s.api.Timeout, MaxAttempts: s.imports.MaxAttempts, MaxFailures: s.imports.MaxFailures, Settle: s.imports.Settle,
		DatabasePatience: s.imports.DatabasePatience, Logger: p.log,
	}
	s.config.TokenOrganization, _ = dixa.TokenOrganization(s.api.Token)
	return s, nil
}

// openJob reads the configuration and the flags that all imports have, and opens what they work with.
func (p *program) openJob(ctx context.Context, pace pace, use connect.Access) (_ *job, err error) {
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return nil, err
	}
	if err := p.openMetrics(file, pace.metricsFile); err != nil {
		return nil, err
	}
	file.Override(pace.overrides)
	src, srcErr := file.Source()
	how, howErr := p.importSettings(file)
	if err := errors.Join(howErr, srcErr); err != nil {
		return nil, err
	}
	api, imports, database := how.api, how.imports, how.database
	j := &job{conversationURL: api.ConversationURL, database: connect.Shown(database), config: how.config, zone: imports.TimeZone, stdin: slices.Contains(src.Paths, "-")}
	j.config.Source, j.config.Overlap, j.config.Excerpt = src.Name, src.Overlap, len(pace.overrides.JSONL) > 0
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close())
		}
	}()
	reader, closeReader, err := p.openSource(ctx, src, imports.DatabasePatience)
	if err != nil {
		return nil, err
	}
	j.close = append(j.close, func() error { closeReader(); return nil })
	j.config.Reader = reader
	store, err := connect.Checkpoint(ctx, database, use)
	if err != nil {
		return nil, err
	}
	if store != nil {
		j.config.Store = store
		j.close = append(j.close, store.Close)
	}
	client, err := p.newClient(api, imports.MaxAttempts, imports.Workers, p.sharedLimiter(store, api))
	if err != nil {
		return nil, err
	}
	j.close = append(j.close, func() error { client.Close(); return nil })
	j.config.API = client
	return j, nil
}

// paceOf reads the flags of paceFlags.
func paceOf(c *cli.Context) (pace, error) {
	p := pace{stopAfter: c.Duration("for"), overrides: config.Overrides{JSONL: textsOf(c, "jsonl")}, again: againOf(c),
		monitoring: monitoring{metricsFile: c.String("metrics-file"), notifyCommand: strings.Fields(c.String("notify-command"))}}
	if c.IsSet("for") && p.stopAfter <= 0 {
		return p, config.Usagef("--for must be a duration above zero, such as 30m")
	}
	for _, name := range []string{"metrics-file", "notify-command"} {
		if c.IsSet(name) && strings.TrimSpace(c.String(name)) == "" {
			return p, config.Usagef("--%s is empty: give it a value, or leave it out", name)
		}
	}
	if c.IsSet("rate") {
		rate := strconv.FormatFloat(c.Float64("rate"), 'g', -1, 64)
		p.overrides.Rate = &rate
	}
	if c.IsSet("workers") {
		workers := strconv.Itoa(c.Int("workers"))
		p.overrides.Workers = &workers
	}
	if c.IsSet("max-failures") {
		failures := c.String("max-failures")
		p.overrides.MaxFailures = &failures
	}
	return p, nil
}

// notAgain are flags that are about one invocation alone.
var notAgain = []string{"for", "until", "if-idle", "rebind", "workers", "max-failures", "metrics-file", "notify-command", "help"}

// againOf returns the command and its flags as they are typed to go on with the same work: a run over other files, or from another time on, would leave it
// undone.
func againOf(c *cli.Context) string {
	out := c.Command.Name
	for _, flag := range c.Command.Flags {
		name := flag.Names()[0]
		if !c.IsSet(name) || slices.Contains(notAgain, name) {
			continue
		}
		switch flag.(type) {
		case *cli.BoolFlag:
			if c.Bool(name) {
				out += " --" + name
			}
		case *cli.GenericFlag:
			for _, text := range textsOf(c, name) {
				out += " --" + name + " " + term.ShellQuoted(text)
			}
		default:
			out += " --" + name + " " + term.ShellQuoted(fmt.Sprint(c.Value(name)))
		}
	}
	return out
}
