package main

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/importer/connect"
)

// runCmd is the command run.
type runCmd struct {
	importing
	limit             int64 // transcripts, 0: all
	since             time.Time
	full              bool
	reconcile, rebind bool
	dryRun            bool
	show              int // with dryRun: import requests to print
	showValues        bool
}

func runCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "import transcripts that are not imported yet",
		Description: "It continues where the last run ended, and may be repeated at any time. After the first signal, " +
			"work in flight has 20 seconds to finish; a second signal ends the run at once.\n\n" + exitHelp,
		Flags: append([]cli.Flag{
			&cli.Int64Flag{Name: "limit", Usage: "work on at most `N` transcripts", DefaultText: "all"},
			&cli.StringFlag{Name: "since", Usage: "read Postgres from `T` on, ignoring the watermark: RFC 3339 or a date (UTC)"},
			&cli.BoolFlag{Name: "full", Usage: "read Postgres from the beginning, ignoring the watermark"},
			&cli.BoolFlag{Name: "reconcile", Usage: "look in Dixa before every send: use it after the checkpoint was lost or restored"},
			&cli.BoolFlag{Name: "dry-run", Usage: "show what the run would do and how long it would take; writes nothing"},
			&cli.BoolFlag{Name: "show-values", Usage: "with --dry-run: list the attribute values that Dixa does not take; on a terminal they are always listed"},
			&cli.IntFlag{Name: "show", Usage: "with --dry-run: print `N` import requests as they would be sent", DefaultText: "none"},
			&cli.BoolFlag{Name: "rebind", Usage: "tie the source to the token's organisation even though it was imported into another one"},
			&cli.BoolFlag{Name: "if-idle", Usage: "do nothing, with exit code 0, if another process works on the same SQLite checkpoint"},
		}, append(paceFlags(), hoursFlags()...)...),
		Action: draining(p.readRun),
	}
}

// readRun reads the flags of the command run.
func (p *program) readRun(c *cli.Context) (command, error) {
	switch {
	case c.Bool("show-values") && !c.Bool("dry-run"):
		return nil, config.Usagef("--show-values is for --dry-run only")
	case c.IsSet("show") && !c.Bool("dry-run"):
		return nil, config.Usagef("--show is for --dry-run: give that, too")
	case c.Bool("dry-run") && (c.IsSet("metrics-file") || c.IsSet("notify-command")):
		return nil, config.Usagef("--metrics-file and --notify-command are for runs that import: leave them out with --dry-run")
	case c.IsSet("show") && c.Int("show") < 1:
		return nil, config.Usagef("--show must be at least 1")
	case c.IsSet("limit") && c.Int64("limit") < 1:
		return nil, config.Usagef("--limit must be at least 1")
	case c.IsSet("since") && c.Bool("full"):
		return nil, config.Usagef("--since and --full exclude each other: keep one")
	}
	r := &runCmd{limit: c.Int64("limit"), full: c.Bool("full"), reconcile: c.Bool("reconcile"), rebind: c.Bool("rebind"), dryRun: c.Bool("dry-run"), show: c.Int("show"), showValues: c.Bool("show-values")}
	var err error
	if c.IsSet("since") {
		if r.since, err = parseTime("since", c.String("since")); err != nil {
			return nil, err
		}
	}
	pace, err := paceOf(c)
	if err != nil {
		return nil, err
	}
	hours, err := hoursOf(c, &pace.overrides)
	r.importing = importing{program: p, pace: pace, hours: hours, ifIdle: c.Bool("if-idle"), open: r.open}
	return r, err
}

// Run does the command.
func (p *runCmd) Run(ctx context.Context) error {
	if p.dryRun {
		return p.plan(ctx)
	}
	return p.do(ctx)
}

// open opens what the command works with.
func (p *runCmd) open(ctx context.Context) (*job, error) {
	use := connect.Create
	if p.dryRun {
		use = connect.Look
	}
	j, err := p.openJob(ctx, p.pace, use)
	if err != nil {
		return nil, err
	}
	j.config.Limit, j.config.Since, j.config.Full = p.limit, p.since, p.full
	j.config.Reconcile, j.config.Rebind = p.reconcile, p.rebind
	if j.config.Limit > 0 {
		j.canary = &report.Canary{}
		j.config.OnImported = j.canary.Add
	}
	if !j.config.Reader.Ordered() && (!p.since.IsZero() || p.full) {
		p.log.Warn("--since and --full are for Postgres sources: files are always read whole")
	}
	return j, nil
}

// parseTime reads the value of a flag: a time with a zone or a date, which begins at midnight UTC.
func parseTime(flag, s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, config.Usagef("--%s must be a date such as 2026-11-19 or a time with a zone such as 2026-11-19T08:00:00Z", flag)
}
