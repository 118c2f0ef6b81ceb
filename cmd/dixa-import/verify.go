package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/importer"
)

func (p *program) verifyCommand() *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "compare what is in Dixa with the source",
		Description: "It reads each imported conversation back, which takes two requests, and reports what is not as it was " +
			"imported: never a text, only where. A comparison of all that was stopped goes on where it was.\n\n" +
			"Exit codes: 0 no difference, 3 there are differences, 4 stopped early, 1 it could not be made.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "sample", Usage: "compare `N` transcripts chosen at random", DefaultText: "all"},
			&cli.Uint64Flag{Name: "seed", Usage: "another `N` chooses another sample", Value: 1},
			&cli.BoolFlag{Name: "restart", Usage: "begin anew, although an earlier comparison was stopped on its way"},
			&cli.DurationFlag{Name: "for", Usage: "stop cleanly after `D`, such as 30m or 5h", DefaultText: "no bound"},
			&cli.Float64Flag{Name: "rate", Usage: "requests a second, `N`; 0 is unlimited", DefaultText: "dixa.rate"},
			&cli.IntFlag{Name: "workers", Usage: "transcripts at once, `N`; 0 is chosen from the rate", DefaultText: "import.workers"},
			jsonlFlag("compare the transcripts of `PATH` with their conversations, such as records that were mended; may be repeated"),
		},
		Action: func(c *cli.Context) error { return p.verify(c.Context, c) },
	}
}

func (p *program) verify(ctx context.Context, c *cli.Context) (err error) {
	switch {
	case c.IsSet("sample") && c.Int("sample") < 1:
		return usagef("--sample must be at least 1")
	case c.IsSet("seed") && !c.IsSet("sample"):
		return usagef("--seed chooses a sample: give --sample, too")
	case c.IsSet("sample") && c.Bool("restart"):
		return usagef("--restart is for a comparison of all: leave it or --sample out")
	case c.IsSet("jsonl") && c.Bool("restart"):
		return usagef("--restart is for a comparison of all: leave it or --jsonl out")
	}
	opening, stopOpening := interruptible(ctx)
	j, err := p.openJob(opening, c, existingCheckpoint)
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
	out := p.verifyOutput(j.conversationURL)
	v, err := importer.NewVerifier(j.config, importer.VerifyOptions{Sample: c.Int("sample"), Seed: c.Uint64("seed"),
		Restart: c.Bool("restart"), Report: out.differing})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer p.drainOnSignal(v.Stop, cancel)()
	if limit := c.Duration("for"); limit > 0 {
		timer := time.AfterFunc(limit, func() { v.Stop("--for " + short(limit) + " is over") })
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

// watchVerify shows how far a comparison is.
func (p *program) watchVerify(progress func() importer.VerifyProgress) (stop func()) {
	if !p.console.terminal() {
		return p.every(logInterval, func() {
			now, perSecond, left := paceOf(progress())
			args := []any{"compared", now.Checked, "of", now.Total, "differing", now.Differing, "per_second", fmt.Sprintf("%.1f", perSecond)}
			if now.Throttled > 0 {
				args = append(args, "throttled", now.Throttled)
			}
			if left > 0 {
				args = append(args, "left", roughly(left))
			}
			p.log.Info("progress", args...)
		})
	}
	bar := &progressBar{}
	return p.every(barInterval, func() {
		now, perSecond, left := paceOf(progress())
		parts := []string{plural(now.Checked, "transcript")}
		if now.Differing > 0 {
			parts = append(parts, thousands(now.Differing)+" differ")
		}
		parts = append(parts, fmt.Sprintf("%.1f/s", perSecond))
		if left > 0 {
			parts = append(parts, roughly(left)+" left")
		}
		done := 0.0
		if now.Total > 0 {
			done = float64(now.Checked) / float64(now.Total)
		}
		p.console.redraw(func() { bar.set(p.console, done, now.Total > 0, parts) })
	})
}

// paceOf returns the transcripts a second of this comparison, and the time left, 0 if that is not known.
func paceOf(now importer.VerifyProgress) (_ importer.VerifyProgress, perSecond float64, left time.Duration) {
	if seconds := now.Elapsed.Seconds(); seconds > 0 {
		perSecond = float64(now.Checked-now.Earlier) / seconds
	}
	if perSecond > 0 && now.Total > now.Checked {
		left = time.Duration(float64(now.Total-now.Checked) / perSecond * float64(time.Second))
	}
	return now, perSecond, left
}
