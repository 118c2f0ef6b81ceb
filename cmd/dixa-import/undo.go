package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/dixa"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
	"dixa-import/importer/withdraw"
)

// defaultWait is how long commands wait for Dixa to anonymize what they asked for.
const defaultWait = 10 * time.Minute

// undoCmd is the command undo.
type undoCmd struct {
	*program
	run            int64
	tag            string // "": none
	anonymize, yes bool
	format         string // of the list; "": for people
	rate           *string
	options        withdraw.Options
}

func undoCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "undo",
		Usage: "list, tag or anonymize what a run imported",
		Description: "The API of Dixa deletes nothing: a conversation that was imported by mistake stays, but it can be tagged, so that reports leave " +
			"it out, or anonymized, which removes what people wrote and cannot be undone. Dixa queues requests to anonymize; the command waits for them " +
			"up to --wait, and repeated it goes on where it was. Transcripts whose conversations are anonymized are skipped by later runs, changed or " +
			"not; `retry --id` or `retry --code undone` imports them again.\n\n" +
			"Exit codes: 0 all is done, 3 something is left or was refused, 4 stopped early, 1 it could not go on.",
		Flags: []cli.Flag{
			&cli.Int64Flag{Name: "run", Usage: "the run `N`, as `status` lists them"},
			&cli.StringFlag{Name: "tag", Usage: "set the tag `NAME` on its conversations"},
			&cli.BoolFlag{Name: "anonymize", Usage: "ask Dixa to anonymize its conversations"},
			&cli.BoolFlag{Name: "force", Usage: "with --anonymize: close conversations that are open, which Dixa refuses otherwise"},
			&cli.DurationFlag{Name: "wait", Value: defaultWait, Usage: "with --anonymize: wait up to `D` until it is done"},
			&cli.BoolFlag{Name: "yes", Usage: "with --anonymize: do not ask"},
			&cli.StringFlag{Name: "format", Usage: "list as `F`: csv", DefaultText: "for people"},
			&cli.Float64Flag{Name: "rate", Usage: "requests a second, `N`; 0 is unlimited", DefaultText: "dixa.rate"},
		},
		Action: draining(p.readUndo),
	}
}

func (p *program) readUndo(c *cli.Context) (command, error) {
	u := &undoCmd{program: p, run: c.Int64("run"), tag: c.String("tag"), anonymize: c.Bool("anonymize"), yes: c.Bool("yes"), format: c.String("format"),
		options: withdraw.Options{Force: c.Bool("force"), Wait: c.Duration("wait")}}
	switch {
	case u.run < 1:
		return nil, config.Usagef("undo needs --run with the number of a run: `dixa-import status` lists the last ones")
	case u.tag != "" && u.anonymize:
		return nil, config.Usagef("--tag and --anonymize exclude each other: run the command twice")
	case c.IsSet("tag") && u.tag == "":
		return nil, config.Usagef("--tag needs the name of a tag")
	case !u.anonymize && (u.options.Force || u.yes || c.IsSet("wait")):
		return nil, config.Usagef("--force, --wait and --yes are for --anonymize")
	case u.options.Wait < 0:
		return nil, config.Usagef("--wait must not be negative")
	case u.format != "" && u.format != "csv":
		return nil, config.Usagef("--format must be csv, not %q", u.format)
	case u.format != "" && (u.tag != "" || u.anonymize || p.json):
		return nil, config.Usagef("--format is for the list alone: leave --tag, --anonymize and --json out")
	}
	pace, err := paceOf(c)
	u.rate = pace.overrides.Rate
	return u, err
}

// withdrawJob is what the commands that ask Dixa to take something back work with.
type withdrawJob struct {
	file  *config.File
	store *checkpoint.Store
	// open returns what asks Dixa; end releases it.
	open func(options withdraw.Options) (w *withdraw.Withdrawer, end func(), err error)
}

// openWithdraw reads the configuration and opens the checkpoint. The API needs no configuration before open.
func (p *program) openWithdraw(ctx context.Context, rate *string, use connect.Access) (*withdrawJob, error) {
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return nil, err
	}
	file.Override(config.Overrides{Rate: rate})
	url, err := file.DatabaseURL()
	if err != nil {
		return nil, err
	}
	store, err := connect.Checkpoint(ctx, url, use)
	if err != nil {
		return nil, err
	}
	j := &withdrawJob{file: file, store: store}
	j.open = func(options withdraw.Options) (*withdraw.Withdrawer, func(), error) {
		name, nameErr := file.SourceName()
		api, apiErr := file.Dixa()
		imports, importsErr := file.Importing()
		finishing, finishingErr := file.Finishing()
		if err := errors.Join(nameErr, apiErr, importsErr, finishingErr); err != nil {
			return nil, nil, err
		}
		agent, err := api.BotUser()
		if err != nil {
			return nil, nil, err
		}
		client, err := p.newClient(api, imports.MaxAttempts, imports.Workers, p.sharedLimiter(store, api))
		if err != nil {
			return nil, nil, err
		}
		cfg := importer.Config{Source: name, BaseURL: api.BaseURL, AgentID: agent, CreateTags: finishing.CreateTags, RequestTimeout: api.Timeout,
			MaxAttempts: imports.MaxAttempts, Settle: imports.Settle, DatabasePatience: imports.DatabasePatience, Logger: p.log}
		cfg.TokenOrganization, _ = dixa.TokenOrganization(api.Token)
		return withdraw.New(cfg, store, client, options), client.Close, nil
	}
	return j, nil
}

// Run does the command.
func (p *undoCmd) Run(ctx context.Context) (err error) {
	j, err := p.openWithdraw(ctx, p.rate, connect.Update)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.store.Close()) }()
	run, err := findRun(ctx, j.store, p.run)
	if err != nil {
		return err
	}
	if name, err := j.file.SourceName(); err != nil || run.Source != name {
		return cmp.Or(err, fmt.Errorf("run %d is of the source %s: use the configuration of that source", run.ID, run.Source))
	}
	if !p.anonymize && p.tag == "" {
		return p.list(ctx, j, run)
	}
	if p.anonymize && !p.yes {
		sure, err := p.confirm(ctx, fmt.Sprintf("Ask Dixa to anonymize what run %d imported (%s)? This cannot be undone.", run.ID,
			term.Plural(run.Counts.Imported+run.Counts.Partial, "transcript")), "Nothing was asked.")
		if err != nil || !sure {
			return err
		}
	}
	w, end, err := j.open(p.options)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer p.drainOnSignal(w.Stop, cancel)()
	var s withdraw.Summary
	if p.anonymize {
		s, err = w.Anonymize(ctx, run.ID)
	} else {
		s, err = w.Tag(ctx, run.ID, p.tag)
	}
	if err != nil {
		return err
	}
	return cmp.Or(p.printUndone(run, s), ended(s.Outcome))
}

// undoneJSON is what became of a run's conversations.
type undoneJSON struct {
	Run       int64            `json:"run"`
	Outcome   importer.Outcome `json:"outcome"`
	Reason    string           `json:"reason,omitempty"`
	Tagged    int64            `json:"tagged"`
	Done      int64            `json:"anonymized"`
	Queued    int64            `json:"queued"`
	Unclear   int64            `json:"unclear"`
	Refused   int64            `json:"refused"`
	Gone      int64            `json:"gone"`
	Left      int64            `json:"left"`
	Requests  int64            `json:"requests"`
	Throttled int64            `json:"throttled"`
	Seconds   float64          `json:"seconds"`
}

func (p *undoCmd) printUndone(run checkpoint.Run, s withdraw.Summary) error {
	if p.json {
		out := undoneJSON{run.ID, s.Outcome, s.Reason, 0, s.Done, s.Queued, s.Unclear, s.Refused, s.Gone, s.Left, s.Requests, s.Throttled, s.Duration.Seconds()}
		if p.tag != "" {
			out.Tagged, out.Done = s.Done, 0
		}
		return p.stdout.JSON(out)
	}
	done := "anonymized in Dixa"
	if p.tag != "" {
		done = "have the tag"
	}
	p.stdout.Printf("Run %d of %s\n\n", run.ID, run.Source)
	t := term.Table{Heads: []string{">", "", ""}}
	for _, x := range []struct {
		n          int64
		what, cure string
	}{
		{s.Done, done, ""},
		{s.Queued, "wait in Dixa's queue", "repeat the command later"},
		{s.Unclear, "asked without an answer", "repeat the command, which looks in Dixa first"},
		{s.Refused, "refused by Dixa", "`undo --run` lists why; then repeat the command"},
		{s.Gone, "are not in Dixa any more", ""},
		{s.Left, "not asked yet", "repeat the command when no run works on them"},
	} {
		if x.n > 0 {
			t.Row(term.Thousands(x.n), x.what, x.cure)
		}
	}
	if len(t.Rows) == 0 {
		p.stdout.Line("It imported nothing.")
		return nil
	}
	t.Write(p.stdout, "  ")
	p.stdout.Line("")
	if p.anonymize {
		p.stdout.Say("", "Dixa deletes nothing: the conversations stay, without what was written. Runs skip their transcripts from now on; `"+
			p.commandLine("retry --code undone")+"` imports all of them again, --id single ones.")
	}
	p.stdout.Printf("%s in %s.\n", term.Plural(s.Requests, "request"), term.RoughDuration(s.Duration))
	if s.Outcome == importer.OutcomeStopped {
		p.stdout.Printf("Stopped early (%s): the same command continues from here.\n", s.Reason)
	}
	return nil
}
