package report

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"time"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

//go:embed report.html
var reportHTML string

// MaxRows is how many transcripts the report's table has at most.
const MaxRows = 5000

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{"thousands": term.Thousands}).Parse(reportHTML))

// Options are what a page needs to know beside the run.
type Options struct {
	Line            advice.Commander
	ConversationURL string // with {id}, "" if none is configured
	Version         string // of this program
}

// Store is what a page is made from; *checkpoint.Store is one.
type Store interface {
	advice.Rows
	Samples(ctx context.Context, run int64) ([]checkpoint.Sample, error)
	Steps(ctx context.Context, run int64) ([]checkpoint.StepTime, error)
	Totals(ctx context.Context, source string, run int64) ([]checkpoint.Total, error)
	Handovers(ctx context.Context, source string) ([]checkpoint.HandoverTotal, error)
	StepCounts(ctx context.Context, source string) ([]checkpoint.StepCount, error)
}

// HTML returns the page about a run as one file of HTML.
func HTML(ctx context.Context, store Store, run checkpoint.Run, o Options) ([]byte, error) {
	page, err := newPage(ctx, store, run, o)
	if err != nil {
		return nil, err
	}
	var html bytes.Buffer
	if err := pageTemplate.Execute(&html, page); err != nil {
		return nil, fmt.Errorf("write the report: %w", err)
	}
	return html.Bytes(), nil
}

// page is what the template shows.
type page struct {
	Run                     checkpoint.Run
	Outcome, Mark, Tone     string // Tone is good, warn or bad; the mark says the same without colour
	Started, Finished, Took string
	Written, Version        string
	Figures                 []countFigure
	Charts                  []chart
	Moments                 []moment
	Causes, Partial         []*advice.Group
	Steps                   []stepRow
	Failed                  []failureRow
	Conversations           bool  // some of Failed have one
	FailedAll               int64 // of which Failed are the first
	Elsewhere               int64 // failed in this run, and were worked on by another one since
	Totals                  []totalRow
	Handovers               []checkpoint.HandoverTotal
	Finishing               []checkpoint.StepCount // steps after imports, of the whole source
}

type countFigure struct {
	Name, Value, Note string
	Tone              string
}

type stepRow struct{ Name, Count, Total, Mean, Max string }

type failureRow struct {
	ID, Status, Code, Reason string
	Conversation             int64
	Link                     string
}

type totalRow struct{ Status, Code, Count, Advice string }

// TimeLayout is how reports write a moment.
const TimeLayout = "2006-01-02 15:04:05 UTC"

func newPage(ctx context.Context, store Store, run checkpoint.Run, o Options) (page, error) {
	now := time.Now().UTC()
	page := page{Run: run, Started: run.StartedAt.UTC().Format(TimeLayout), Written: now.Format(TimeLayout), Version: o.Version}
	page.Outcome, page.Mark, page.Tone = reportOutcome(run)
	samples, err := store.Samples(ctx, run.ID)
	if err != nil {
		return page, err
	}
	end := now
	switch {
	case !run.FinishedAt.IsZero():
		end = run.FinishedAt
		page.Finished = end.UTC().Format(TimeLayout)
	case !run.Alive && len(samples) > 0:
		end = samples[len(samples)-1].At
	}
	took := end.Sub(run.StartedAt)
	page.Took = term.RoughDuration(took)
	page.Figures = reportFigures(run, took)
	page.Charts, page.Moments = reportCharts(samples)
	steps, err := store.Steps(ctx, run.ID)
	if err != nil {
		return page, err
	}
	page.Steps = reportSteps(steps)
	if err := page.troubles(ctx, store, o); err != nil {
		return page, err
	}
	totals, err := store.Totals(ctx, run.Source, 0)
	SortTotals(totals)
	for _, t := range totals {
		page.Totals = append(page.Totals, totalRow{string(t.Status), t.ErrorCode, term.Thousands(t.Count), advice.Of(t.ErrorCode)})
	}
	if err == nil {
		page.Handovers, err = store.Handovers(ctx, run.Source)
	}
	if err == nil {
		page.Finishing, err = store.StepCounts(ctx, run.Source)
	}
	return page, err
}

// reportOutcome returns how a run ended, in words, with a mark and a tone.
func reportOutcome(r checkpoint.Run) (text, mark, tone string) {
	switch outcome := RunOutcome(r); importer.Outcome(outcome) {
	case importer.OutcomeOK:
		if r.Counts.Partial > 0 {
			return "Everything is imported, " + term.Thousands(r.Counts.Partial) + " of them with problems", "✓", "good"
		}
		return "Everything is imported", "✓", "good"
	case importer.OutcomeIncomplete:
		return "It finished, but not everything was imported", "!", "warn"
	case importer.OutcomeStopped:
		return "It was stopped early; the next run continues", "■", "warn"
	case importer.OutcomeAborted, importer.OutcomeLost:
		return "It could not continue: a person must act", "✗", "bad"
	case "running":
		return "It is still running", "…", "warn"
	}
	return "It was killed; the next run continues", "✗", "bad"
}

// reportFigures are the counts of a run, those that are 0 and need no attention left out.
func reportFigures(run checkpoint.Run, took time.Duration) []countFigure {
	c := run.Counts
	figures := []countFigure{{Name: "read", Value: term.Thousands(c.Read)}, {Name: "imported", Value: term.Thousands(c.Imported), Note: perSecond(c, took)}}
	add := func(name string, n int64, tone, note string) {
		if n > 0 {
			figures = append(figures, countFigure{name, term.Thousands(n), note, tone})
		}
	}
	add("partial", c.Partial, "warn", "imported, but with problems")
	add("failed", c.Failed, "bad", "")
	add("rejected", c.Rejected, "bad", "bad transcripts, not sent")
	add("in doubt", c.InDoubt, "bad", "may or may not be in Dixa")
	add("pending", c.Pending, "warn", "left to the next run")
	add("skipped", c.Skipped, "", "open, empty, or anonymous")
	add("already done", c.AlreadyDone, "", "")
	add("changed", run.Changed, "", "already done, but the record has changed since")
	add("went on", run.Grown, "warn", "after the import: transcripts.grown: follow_up imports the new messages")
	add("duplicate", c.Duplicate, "", "repeated in the source")
	figures = append(figures, countFigure{Name: "requests", Value: term.Thousands(c.Requests), Note: perTranscript(c)})
	add("answers 429", run.Throttled, "warn", "over the rate limit")
	return figures
}

// reportSteps are the steps of a run, that which took most first.
func reportSteps(steps []checkpoint.StepTime) []stepRow {
	slices.SortStableFunc(steps, func(a, b checkpoint.StepTime) int { return cmp.Compare(b.Total, a.Total) })
	var out []stepRow
	for _, s := range steps {
		mean := time.Duration(0)
		if s.Count > 0 {
			mean = s.Total / time.Duration(s.Count)
		}
		out = append(out, stepRow{s.Name, term.Thousands(s.Count), term.FineDuration(s.Total), term.FineDuration(mean), term.FineDuration(s.Max)})
	}
	return out
}

// troubles gathers what needs attention of what the run was the last to work on.
func (page *page) troubles(ctx context.Context, store Store, o Options) error {
	causes, partial := advice.NewCounter(o.Line), advice.NewCounter(o.Line)
	err := advice.EachTrouble(ctx, store, page.Run.Source, checkpoint.Filter{Statuses: advice.Troubled}, advice.TroublePage,
		func(rows []checkpoint.Row, errors map[string][]checkpoint.PartialError) error {
			for _, r := range rows {
				switch {
				case r.RunID != page.Run.ID:
				case r.Status == checkpoint.Partial:
					partial.Add(r, errors[r.ID])
				default:
					causes.Add(r, nil)
					if page.FailedAll++; len(page.Failed) < MaxRows {
						page.Conversations = page.Conversations || r.ConversationID != 0
						page.Failed = append(page.Failed, failureRow{r.ID, string(r.Status), r.ErrorCode, advice.Fact(r), r.ConversationID,
							Link("", o.ConversationURL, r.ConversationID)})
					}
				}
			}
			return nil
		})
	page.Causes, page.Partial = causes.Sorted(), partial.Sorted()
	c := page.Run.Counts
	page.Elsewhere = max(0, c.Failed+c.Rejected+c.InDoubt-page.FailedAll)
	return err
}
