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
	"dixa-import/importer/connect"
	"dixa-import/importer/verify"
)

// verifyCmd is the command verify.
type verifyCmd struct {
	*program
	pace
	options verify.Options
	bulk    bool
}

func verifyCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "compare what is in Dixa with the source",
		Description: "It reads each imported conversation back, which takes two requests, and reports what is not as it was " +
			"imported: never a text, only where. For each end-user it lists the conversations once, and reports transcripts that " +
			"have a second one; --doubles does that alone. A comparison of all that was stopped goes on where it was.\n\n" +
			"Exit codes: 0 no difference, 3 there are differences, 4 stopped early, 1 it could not be made.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "doubles", Usage: "only look for transcripts that have two conversations: one request for each end-user"},
			&cli.BoolFlag{Name: "bulk", Usage: "compare through the Exports API first, in a few requests, and one by one only what differs there"},
			&cli.BoolFlag{Name: "fallback", Usage: "with --bulk: compare all one by one if the token may not export"},
			&cli.IntFlag{Name: "sample", Usage: "compare `N` transcripts chosen at random", DefaultText: "all"},
			&cli.Uint64Flag{Name: "seed", Usage: "another `N` chooses another sample", Value: 1},
			&cli.BoolFlag{Name: "restart", Usage: "start over, although an earlier comparison was stopped halfway"},
			&cli.DurationFlag{Name: "for", Usage: "stop cleanly after `D`, such as 30m or 5h", DefaultText: "no bound"},
			&cli.Float64Flag{Name: "rate", Usage: "requests a second, `N`; 0 is unlimited", DefaultText: "dixa.rate"},
			&cli.IntFlag{Name: "workers", Usage: "transcripts at once, `N`; 0 is chosen from the rate", DefaultText: "import.workers"},
			jsonlFlag("compare the transcripts of `PATH` with their conversations, such as corrected records; may be repeated"),
		},
		Action: draining(p.readVerify),
	}
}

func (p *program) readVerify(c *cli.Context) (command, error) {
	switch {
	case c.IsSet("sample") && c.Int("sample") < 1:
		return nil, config.Usagef("--sample must be at least 1")
	case c.IsSet("seed") && !c.IsSet("sample"):
		return nil, config.Usagef("--seed chooses a sample: give --sample, too")
	case c.IsSet("sample") && c.Bool("restart"):
		return nil, config.Usagef("--restart is for a comparison of all: leave it or --sample out")
	case c.IsSet("jsonl") && c.Bool("restart"):
		return nil, config.Usagef("--restart is for a comparison of all: leave it or --jsonl out")
	}
	bulk := c.Bool("bulk")
	switch {
	case bulk && (c.IsSet("sample") || c.Bool("doubles") || c.IsSet("jsonl")):
		return nil, config.Usagef("--bulk is for a comparison of all: leave --sample, --doubles and --jsonl out")
	case c.Bool("fallback") && !bulk:
		return nil, config.Usagef("--fallback is for --bulk")
	}
	pace, err := paceOf(c)
	return &verifyCmd{p, pace, verify.Options{Sample: c.Int("sample"), Seed: c.Uint64("seed"), Restart: c.Bool("restart"), DoublesOnly: c.Bool("doubles"), Fallback: c.Bool("fallback")}, bulk}, err
}

// Run does the command.
func (p *verifyCmd) Run(ctx context.Context) (err error) {
	opening, stopOpening := interruptible(ctx)
	j, err := p.openJob(opening, p.pace, connect.Update)
	interrupted := opening.Err() != nil
	stopOpening()
	if j != nil {
		defer func() { err = errors.Join(err, j.Close()) }()
	}
	if interrupted {
		return p.stoppedBefore("signal")
	}
	if err != nil {
		return err
	}
	if p.bulk {
		exports, err := p.exportsClient()
		if err != nil {
			return err
		}
		defer exports.Close()
		p.options.Bulk = exports
	}
	out := p.verifyOutput(j.conversationURL, p.options.DoublesOnly)
	p.options.Report = out.differing
	v, err := verify.New(j.config, p.options)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer p.drainOnSignal(v.Stop, cancel)()
	if p.stopAfter > 0 {
		timer := time.AfterFunc(p.stopAfter, func() { v.Stop("--for " + term.Short(p.stopAfter) + " is over") })
		defer timer.Stop()
	}
	stop := p.watchVerify(v.Progress)
	s, err := v.Run(ctx)
	stop()
	if err != nil && !out.begun {
		return err
	}
	out.end(j.config.Source, s)
	return cmp.Or(err, ended(s.Outcome))
}

// exportsClient returns a client of the Exports API.
func (p *program) exportsClient() (*dixa.Client, error) {
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return nil, err
	}
	s, err := file.Dixa()
	if err != nil {
		return nil, err
	}
	s.BaseURL, s.Timeout = s.ExportsURL, dixa.ExportTimeout
	return p.newClient(s, askAttempts+1, 1, dixa.NewLimiter(dixa.ExportRate, 1))
}

// watchVerify shows how far a comparison is.
func (p *verifyCmd) watchVerify(progress func() verify.Progress) (stop func()) {
	if !p.console.Terminal() {
		return p.console.Every(term.LogInterval, func() {
			now, perSecond, left := speedOf(progress())
			args := []any{"compared", now.Checked, "of", now.Total, "differing", now.Differing, "per_second", fmt.Sprintf("%.1f", perSecond)}
			if now.Throttled > 0 {
				args = append(args, "throttled", now.Throttled)
			}
			if left > 0 {
				args = append(args, "left", term.Roughly(left))
			}
			p.log.Info("progress", args...)
		})
	}
	bar := &term.Bar{}
	return p.console.Every(term.BarInterval, func() {
		now, perSecond, left := speedOf(progress())
		parts := []string{term.Plural(now.Checked, "transcript")}
		if now.Differing > 0 {
			parts = append(parts, term.Thousands(now.Differing)+" differ")
		}
		parts = append(parts, fmt.Sprintf("%.1f/s", perSecond))
		if left > 0 {
			parts = append(parts, term.Roughly(left)+" left")
		}
		done := 0.0
		if now.Total > 0 {
			done = float64(now.Checked) / float64(now.Total)
		}
		p.console.Redraw(func() { bar.Set(p.console, done, now.Total > 0, parts) })
	})
}

// speedOf returns the transcripts a second of this comparison, and the time left, 0 if that is not known.
func speedOf(now verify.Progress) (_ verify.Progress, perSecond float64, left time.Duration) {
	if seconds := now.Elapsed.Seconds(); seconds > 0 {
		perSecond = float64(now.Checked-now.Earlier) / seconds
	}
	if perSecond > 0 && now.Total > now.Checked {
		left = time.Duration(float64(now.Total-now.Checked) / perSecond * float64(time.Second))
	}
	return now, perSecond, left
}
