package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

func (p *program) reportCommand() *cli.Command {
	return &cli.Command{
		Name:  "report",
		Usage: "write one HTML file about a run",
		Description: "What it did from minute to minute, what failed and why, and where the time went. The file needs nothing " +
			"else, not even a network, and holds ids of transcripts but nothing that customers wrote.",
		Flags: []cli.Flag{
			&cli.Int64Flag{Name: "run", Usage: "about run `N`", DefaultText: "the latest"},
			&cli.StringFlag{Name: "output", Usage: "write `FILE`; - is standard output", DefaultText: "dixa-import-run-N.html"},
		},
		Action: action(p.report),
	}
}

// reportRows is how many transcripts the report's table has at most.
const reportRows = 5000

//go:embed report.html
var reportHTML string

var reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{"thousands": thousands}).Parse(reportHTML))

func (p *program) report(ctx context.Context, c *cli.Context) (err error) {
	switch {
	case c.IsSet("run") && c.Int64("run") < 1:
		return usagef("--run must be the number of a run, from 1 up")
	case c.String("output") == "-" && p.json:
		return usagef("--json names the file that was written: it does not go with --output -")
	}
	file, store, err := p.configuredCheckpoint(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	run, err := findRun(ctx, store, c.Int64("run"))
	if err != nil {
		return err
	}
	page, err := p.reportPage(ctx, store, run, file.conversationURL())
	if err != nil {
		return err
	}
	var html bytes.Buffer
	if err := reportTemplate.Execute(&html, page); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return p.writeReport(cmp.Or(c.String("output"), fmt.Sprintf("dixa-import-run-%d.html", run.ID)), run.ID, html.Bytes())
}

// findRun returns a run, the latest one for 0.
func findRun(ctx context.Context, store checkpoint.Store, id int64) (checkpoint.Run, error) {
	if id == 0 {
		runs, err := store.Runs(ctx, "", 1)
		if err == nil && len(runs) == 0 {
			err = errors.New("there was no run yet: `dixa-import run` makes one")
		}
		if err != nil {
			return checkpoint.Run{}, err
		}
		return runs[0], nil
	}
	run, found, err := store.Run(ctx, id)
	if err == nil && !found {
		err = fmt.Errorf("there is no run %d: `dixa-import status` lists the last ones", id)
	}
	return run, err
}

// writeReport writes the file as a whole or not at all.
func (p *program) writeReport(path string, run int64, html []byte) error {
	if path == "-" {
		_, err := p.stdout.Write(html)
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".dixa-import-*.html")
	if err == nil {
		_, err = f.Write(html)
		err = errors.Join(err, f.Chmod(0o644), f.Close())
		if err == nil {
			err = os.Rename(f.Name(), path)
		}
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) { // it names a file of another name
		err = pathError.Err
	}
	if err != nil {
		return fmt.Errorf("write the report %s: %w: name another file with --output", path, err)
	}
	if p.json {
		return p.printJSON(struct {
			Run  int64  `json:"run"`
			File string `json:"file"`
		}{run, path})
	}
	p.stdout.printf("%s is written: open it in a browser.\n", path)
	return nil
}

// reportPage is what the template shows.
type reportPage struct {
	Run                     checkpoint.Run
	Outcome, Mark, Tone     string // Tone is good, warn or bad; the mark says the same without colour
	Started, Finished, Took string
	Written, Version        string
	Figures                 []reportFigure
	Charts                  []reportChart
	Moments                 []reportMoment
	Causes, Partial         []*causeGroup
	Steps                   []reportStep
	Failed                  []reportFailure
	Conversations           bool  // some of Failed have one
	FailedAll               int64 // of which Failed are the first
	Elsewhere               int64 // failed in this run, and were worked on by another one since
	Totals                  []reportTotal
}

type reportFigure struct {
	Name, Value, Note string
	Tone              string
}

type reportStep struct{ Name, Count, Total, Mean, Max string }

type reportFailure struct {
	ID, Status, Code, Reason string
	Conversation             int64
	Link                     string
}

type reportTotal struct{ Status, Code, Count, Advice string }

const reportTime = "2006-01-02 15:04:05 UTC"

func (p *program) reportPage(ctx context.Context, store checkpoint.Store, run checkpoint.Run, conversationURL string) (reportPage, error) {
	now := time.Now().UTC()
	page := reportPage{Run: run, Started: run.StartedAt.UTC().Format(reportTime), Written: now.Format(reportTime), Version: version()}
	page.Outcome, page.Mark, page.Tone = reportOutcome(run)
	samples, err := store.Samples(ctx, run.ID)
	if err != nil {
		return page, err
	}
	end := now
	switch {
	case !run.FinishedAt.IsZero():
		end = run.FinishedAt
		page.Finished = end.UTC().Format(reportTime)
	case !run.Alive && len(samples) > 0:
		end = samples[len(samples)-1].At
	}
	took := end.Sub(run.StartedAt)
	page.Took = roughDuration(took)
	page.Figures = reportFigures(run, took)
	page.Charts, page.Moments = reportCharts(samples)
	steps, err := store.Steps(ctx, run.ID)
	if err != nil {
		return page, err
	}
	page.Steps = reportSteps(steps)
	if err := p.reportTroubles(ctx, store, &page, conversationURL); err != nil {
		return page, err
	}
	totals, err := store.Totals(ctx, run.Source, 0)
	sortTotals(totals)
	for _, t := range totals {
		page.Totals = append(page.Totals, reportTotal{string(t.Status), t.ErrorCode, thousands(t.Count), advice(t.ErrorCode)})
	}
	return page, err
}

// reportOutcome says how a run ended, in words, with a mark and a tone.
func reportOutcome(r checkpoint.Run) (text, mark, tone string) {
	switch outcome := runOutcome(r); importer.Outcome(outcome) {
	case importer.OutcomeOK:
		if r.Counts.Partial > 0 {
			return "Everything is imported, " + thousands(r.Counts.Partial) + " of them with problems", "✓", "good"
		}
		return "Everything is imported", "✓", "good"
	case importer.OutcomeIncomplete:
		return "It ran to the end, but not everything is imported", "!", "warn"
	case importer.OutcomeStopped:
		return "It was stopped early; the next run continues", "■", "warn"
	case importer.OutcomeAborted, importer.OutcomeLost:
		return "It could not go on: a person must act", "✗", "bad"
	case "running":
		return "It is still running", "…", "warn"
	}
	return "It was killed; the next run continues", "✗", "bad"
}

// reportFigures are the counts of a run, those that are 0 and need no attention left out.
func reportFigures(run checkpoint.Run, took time.Duration) []reportFigure {
	c := run.Counts
	figures := []reportFigure{{Name: "read", Value: thousands(c.Read)}, {Name: "imported", Value: thousands(c.Imported), Note: perSecond(c, took)}}
	add := func(name string, n int64, tone, note string) {
		if n > 0 {
			figures = append(figures, reportFigure{name, thousands(n), note, tone})
		}
	}
	add("partial", c.Partial, "warn", "imported, but with problems")
	add("failed", c.Failed, "bad", "")
	add("rejected", c.Rejected, "bad", "bad transcripts, not sent")
	add("in doubt", c.InDoubt, "bad", "may or may not be in Dixa")
	add("pending", c.Pending, "warn", "left to the next run")
	add("skipped", c.Skipped, "", "open, or anonymous")
	add("already done", c.AlreadyDone, "", "")
	add("duplicate", c.Duplicate, "", "the same again in the source")
	figures = append(figures, reportFigure{Name: "requests", Value: thousands(c.Requests), Note: perTranscript(c)})
	add("answers 429", run.Throttled, "warn", "over the rate limit")
	return figures
}

// reportSteps are the steps of a run, that which took most first.
func reportSteps(steps []checkpoint.StepTime) []reportStep {
	slices.SortStableFunc(steps, func(a, b checkpoint.StepTime) int { return cmp.Compare(b.Total, a.Total) })
	var out []reportStep
	for _, s := range steps {
		mean := time.Duration(0)
		if s.Count > 0 {
			mean = s.Total / time.Duration(s.Count)
		}
		out = append(out, reportStep{s.Name, thousands(s.Count), fineDuration(s.Total), fineDuration(mean), fineDuration(s.Max)})
	}
	return out
}

// fineDuration writes a duration with three digits or so, from microseconds to hours.
func fineDuration(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return short(d.Round(time.Second))
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
}

// reportTroubles gathers what needs attention of what the run was the last to work on.
func (p *program) reportTroubles(ctx context.Context, store checkpoint.Store, page *reportPage, conversationURL string) error {
	causes, partial := p.newCauses(true), p.newCauses(true)
	err := p.eachTrouble(ctx, store, page.Run.Source, checkpoint.Filter{Statuses: troubled}, troublePage,
		func(rows []checkpoint.Row, errors map[string][]checkpoint.PartialError) error {
			for _, r := range rows {
				switch {
				case r.RunID != page.Run.ID:
				case r.Status == checkpoint.Partial:
					partial.add(r, errors[r.ID])
				default:
					causes.add(r, nil)
					if page.FailedAll++; len(page.Failed) < reportRows {
						page.Conversations = page.Conversations || r.ConversationID != 0
						page.Failed = append(page.Failed, reportFailure{r.ID, string(r.Status), r.ErrorCode, r.Error, r.ConversationID,
							link("", conversationURL, r.ConversationID)})
					}
				}
			}
			return nil
		})
	page.Causes, page.Partial = causes.sorted(), partial.sorted()
	c := page.Run.Counts
	page.Elsewhere = max(0, c.Failed+c.Rejected+c.InDoubt-page.FailedAll)
	return err
}
