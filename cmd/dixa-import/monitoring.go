package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/metrics"
	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// monitoring is what the flags say of those who watch over runs.
type monitoring struct {
	metricsFile   string   // "": none
	notifyCommand []string // the program and its arguments; nil: none
}

const (
	standingTakes = 5 * time.Second  // the longest that the checkpoint is asked for metrics
	notifyTakes   = 30 * time.Second // the longest that --notify-command may run
)

// openMetrics begins the metrics of a run, if they are wanted, and finds out whether their file can be written. Without the name of the
// source nothing can be said.
func (p *program) openMetrics(file *config.File, path string) (err error) {
	name, nameErr := file.SourceName()
	if path != "" && nameErr == nil {
		if p.metrics, err = metrics.NewRun(path, name); err == nil {
			p.observe = p.metrics.Observe
		}
	}
	return err
}

// askStanding asks the checkpoint for what the metrics say of it.
func (p *importing) askStanding(ctx context.Context, j *job) {
	store, ok := j.config.Store.(*checkpoint.Store)
	if p.metrics == nil || !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, standingTakes)
	defer cancel()
	if err := p.metrics.Ask(ctx, store, j.config.Source); err != nil {
		p.log.Debug("metrics: the checkpoint could not be read", "error", err.Error())
	}
}

// watchMetrics writes the metrics as often as a run tells the checkpoint that it lives, until stop is called.
func (p *program) watchMetrics(ctx context.Context, c importer.Config, now func() importer.Progress) (stop func()) {
	if p.metrics == nil {
		return func() {}
	}
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(checkpoint.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				p.metrics.SetProgress(now())
				return
			case <-tick.C:
			}
			p.metrics.SetProgress(now())
			if at, _, err := c.Store.Watermark(ctx, c.Source); err == nil {
				p.metrics.SetWatermark(at)
			}
			p.writeMetrics()
		}
	}()
	return func() {
		close(quit)
		<-gone
	}
}

// writeMetrics writes the metrics. A run is not stopped by a file that cannot be written.
func (p *program) writeMetrics() {
	err := p.metrics.Write()
	if err != nil && !p.metricsFailed {
		p.log.Warn("the metrics are not up to date; the run is not affected", "error", err.Error())
	}
	p.metricsFailed = err != nil
}

// endMetrics writes how a run ended. One that found another one at work leaves the file to that.
func (p *program) endMetrics(r report.Result, err error) {
	var busy *checkpoint.BusyError
	if p.metrics == nil || r.Outcome == outcomeIdle || errors.As(err, &busy) {
		return
	}
	if r.Run > 0 {
		p.metrics.SetCounts(r.Counts)
	}
	if r.Run > 0 && r.Exit == exitOK && !r.Retry {
		p.metrics.SetLastSuccess(time.Now())
	}
	p.metrics.End(r.Exit)
	p.writeMetrics()
}

// notify tells a program of a run that ended with an exit code for people.
func (p *importing) notify(ctx context.Context, r report.Result) {
	if len(p.notifyCommand) == 0 || r.Exit == exitOK || r.Exit == exitStopped {
		return
	}
	text, err := json.Marshal(r.JSON())
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), notifyTakes)
		defer cancel()
		cmd := exec.CommandContext(ctx, p.notifyCommand[0], p.notifyCommand[1:]...) //nolint:gosec // it is the user's
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(text, '\n')), p.console, p.console
		cmd.WaitDelay = time.Second // for what it started and left behind
		err = cmd.Run()
		if ctx.Err() != nil {
			err = errors.New("it did not end within " + notifyTakes.String())
		}
	}
	if err != nil {
		p.log.Warn("--notify-command did not succeed", "program", p.notifyCommand[0], "error", err.Error())
	}
}

// metricsCmd is the command metrics.
type metricsCmd struct {
	*program
	text []byte
}

func metricsCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:        "metrics",
		Usage:       "print alert rules for Prometheus or a dashboard for Grafana",
		ArgsUsage:   "rules | dashboard",
		Args:        true,
		Description: "They are about the metrics that `run --metrics-file` writes and `serve` has at /metrics.",
		Action: action(func(c *cli.Context) (command, error) {
			files := map[string][]byte{"rules": metrics.Rules, "dashboard": metrics.Dashboard}
			text, ok := files[c.Args().First()]
			if !ok || c.Args().Len() != 1 {
				return nil, config.Usagef("metrics needs one of rules and dashboard")
			}
			return &metricsCmd{p, text}, nil
		}),
	}
}

// Run does the command.
func (p *metricsCmd) Run(context.Context) error {
	_, err := p.stdout.Write(p.text)
	return err
}
