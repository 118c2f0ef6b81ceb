package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/cmd/dixa-import/internal/window"
	"dixa-import/importer"
)

// hours are the times of day at which a run works.
type hours struct {
	until   *window.TimeOfDay // nil: no bound
	between string            // a window, "": all day
	clock   clock
}

// clock is what tells the time.
type clock struct {
	now  func() time.Time
	wait func(ctx context.Context, until time.Time) error
}

var wallClock = clock{time.Now, window.Wait}

func hoursFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "until", Usage: "stop cleanly at `T`, a time of day such as 07:00", DefaultText: "no bound"},
		&cli.StringFlag{Name: "between", Usage: "work at these times of day only, `A-B`, such as 22:00-07:00: rest outside, go on the next day, end when all is done", DefaultText: "all day"},
		&cli.StringFlag{Name: "time-zone", Usage: "the `ZONE` of --until and --between, such as Europe/Copenhagen", DefaultText: "import.time_zone"},
	}
}

// hoursOf reads the flags of hoursFlags.
func hoursOf(c *cli.Context, o *config.Overrides) (hours, error) {
	h := hours{between: c.String("between"), clock: wallClock}
	switch {
	case c.IsSet("until") && c.IsSet("between"):
		return h, config.Usagef("--until and --between exclude each other: keep one")
	case c.IsSet("time-zone") && !c.IsSet("until") && !c.IsSet("between"):
		return h, config.Usagef("--time-zone is for --until and --between")
	case (c.IsSet("until") || c.IsSet("between")) && c.Bool("dry-run"):
		return h, config.Usagef("--until and --between do nothing with --dry-run: leave them out")
	case c.IsSet("between") && c.IsSet("limit"):
		return h, config.Usagef("--limit and --between exclude each other: keep one")
	}
	if c.IsSet("time-zone") {
		zone := c.String("time-zone")
		o.TimeZone = &zone
	}
	if c.IsSet("between") {
		if _, err := window.Parse(h.between, time.UTC); err != nil {
			return h, config.Usagef("--between: %s", err.Error())
		}
	}
	if c.IsSet("until") {
		at, err := window.ParseTimeOfDay(c.String("until"))
		if err != nil {
			return h, config.Usagef("--until: %s", err.Error())
		}
		h.until = &at
	}
	return h, nil
}

// ending stops a run when wait returns without an error.
type ending struct {
	why  string
	wait func(ctx context.Context) error
}

// endings are what stops the whole work, whenever it rests in between. They count from now on.
func (p *importing) endings() []ending {
	if p.stopAfter <= 0 {
		return nil
	}
	deadline := time.Now().Add(p.stopAfter)
	return []ending{{"--for " + term.Short(p.stopAfter) + " is over", func(ctx context.Context) error {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}}
}

// stopAt calls stop for the first of the endings that comes, until the returned function is called.
func stopAt(ctx context.Context, endings []ending, stop func(why string)) func() {
	ctx, cancel := context.WithCancel(ctx)
	var waiting sync.WaitGroup
	for _, e := range endings {
		waiting.Go(func() {
			if e.wait(ctx) == nil {
				stop(e.why)
			}
		})
	}
	return func() {
		cancel()
		waiting.Wait()
	}
}

// runs makes the run, or with --between one run in each window until one is not stopped by the window's end.
func (p *importing) runs(ctx context.Context) (r report.Result, err error) {
	endings := p.endings()
	if p.between == "" {
		return p.attempt(ctx, endings)
	}
	signalled, release := interruptible(ctx)
	defer release()
	w, err := p.prepareWindow(signalled)
	switch {
	case signalled.Err() != nil:
		return p.stoppedResting(r, "signal")
	case err != nil:
		return r, err
	}
	for {
		start, end := w.Next(p.clock.now())
		if start.After(p.clock.now()) {
			p.log.Info("resting until the window begins", "window", w.String(), "until", start.In(w.Zone).Format("Mon 2006-01-02 15:04 MST"))
			if why := p.rest(signalled, start, endings); why != "" {
				return p.stoppedResting(r, why)
			}
		}
		over := "the window " + w.String() + " is over"
		r, err = p.attempt(ctx, append(slices.Clone(endings), ending{over, func(ctx context.Context) error { return p.clock.wait(ctx, end) }}))
		if r.Outcome != importer.OutcomeStopped || r.Reason != over || signalled.Err() != nil {
			return r, err
		}
	}
}

// prepareWindow opens what the run works with, so that what is wrong is said before the run rests, and closes it again.
func (p *importing) prepareWindow(ctx context.Context) (w window.Window, err error) {
	j, err := p.open(ctx)
	if err != nil {
		return w, err
	}
	if w, err = window.Parse(p.between, j.zone); err == nil && j.stdin {
		err = config.Usagef("standard input can be read once only, but --between may need it on several days: write it to a file")
	}
	return w, errors.Join(err, j.Close())
}

// rest waits for a time, and returns why the run ends before it, "" if it does not. A signal ends the rest at once.
func (p *importing) rest(ctx context.Context, until time.Time, endings []ending) (why string) {
	resting, cancel := context.WithCancel(ctx)
	defer cancel()
	reasons := make(chan string, len(endings)) // each ending stops once
	defer stopAt(resting, endings, func(why string) {
		reasons <- why
		cancel()
	})()
	if p.clock.wait(resting, until) == nil {
		return ""
	}
	select {
	case why = <-reasons:
		return why
	default:
		return "signal"
	}
}

// stoppedResting is the end of a run that was stopped while it rested. The result is that of the last window, if there was one.
func (p *importing) stoppedResting(r report.Result, why string) (report.Result, error) {
	p.log.Info("stopped outside the window", "reason", why)
	r.Outcome, r.Reason = importer.OutcomeStopped, why
	return r, ended(importer.OutcomeStopped)
}
