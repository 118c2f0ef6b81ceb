package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// plan says what a run would do.
func (p *program) plan(ctx context.Context, c *cli.Context) (err error) {
	if c.IsSet("show") && c.Int("show") < 1 {
		return usagef("--show must be at least 1")
	}
	ctx, stopped := interruptible(ctx)
	defer stopped()
	j, err := p.openRun(ctx, c)
	if j != nil {
		defer func() { err = errors.Join(err, j.Close()) }()
	}
	if ctx.Err() != nil {
		return p.stoppedBefore("signal")
	}
	if err != nil {
		return err
	}
	planner, err := importer.NewPlanner(j.config, c.Int("show"))
	if err != nil {
		return err
	}
	stop := p.watchPlan(planner.Progress)
	plan, err := planner.Plan(ctx)
	stop()
	switch {
	case ctx.Err() != nil:
		return p.stoppedBefore("signal")
	case err != nil:
		return err
	}
	report := planReport{Plan: plan, source: j.config.Source, known: j.config.Store != nil, finish: time.Now().Add(plan.Duration).UTC(),
		limit: c.Duration("for")}
	if p.json {
		err = p.printJSON(report.json())
	} else {
		p.printPlan(report)
	}
	if err == nil && plan.Counts.Rejected > 0 {
		err = ended(importer.OutcomeIncomplete)
	}
	return err
}

// watchPlan shows how far the reading for a plan is.
func (p *program) watchPlan(progress func() importer.PlanProgress) (stop func()) {
	part := func(now importer.PlanProgress) (float64, bool) {
		return float64(now.Source.Done) / float64(max(now.Source.Total, 1)), now.Source.Total > 0
	}
	if !p.console.terminal() {
		return p.every(logInterval, func() {
			now := progress()
			args := []any{"read", now.Read, "end_users_looked_up", now.LookedUp}
			if f, ok := part(now); ok {
				args = append(args, "done", fmt.Sprintf("%.0f%%", 100*f))
			}
			p.log.Info("planning", args...)
		})
	}
	bar := &progressBar{}
	return p.every(barInterval, func() {
		now := progress()
		text := "reading: " + plural(now.Read, "record")
		if now.LookedUp > 0 {
			text = fmt.Sprintf("looking up a sample of the end-users: %d", now.LookedUp)
		}
		f, sized := part(now)
		p.console.redraw(func() { bar.set(p.console, f, sized, []string{text}) })
	})
}

// planReport is a plan with what is to be said about it beside.
type planReport struct {
	importer.Plan
	source string
	known  bool // there is a checkpoint
	finish time.Time
	limit  time.Duration // of --for, 0 for none
}

// planJSON is a plan as --json prints it. Its figures are those of the run that would follow, estimated where they cannot
// be known: requests, seconds, finish_at, and what is said of end-users beside known and unknown.
type planJSON struct {
	Counts         checkpoint.Counts        `json:"counts"`
	Work           importer.PlanWork        `json:"work"`
	Changed        int64                    `json:"changed"`
	FailedBefore   int64                    `json:"failed_before"`
	RejectedBefore int64                    `json:"rejected_before"`
	InDoubtBefore  int64                    `json:"in_doubt_before"`
	Open           int64                    `json:"open"`
	Rejections     []importer.PlanRejection `json:"rejections"`
	EndUsers       importer.PlanPeople      `json:"end_users"`
	RequestsBy     importer.PlanRequests    `json:"requests_by"`
	Directory      *importer.PlanDirectory  `json:"directory"`
	Refused        []importer.PlanRefusal   `json:"attribute_values_refused"`
	Ignored        []string                 `json:"ignored_fields"`
	Unmapped       []string                 `json:"unmapped_attributes"`
	Requests       int64                    `json:"requests"`
	PerSecond      float64                  `json:"requests_per_second"`
	Seconds        float64                  `json:"seconds"`
	FinishAt       time.Time                `json:"finish_at"`
	Show           []importer.Example       `json:"show,omitempty"`
}

func (r planReport) json() planJSON {
	return planJSON{
		Counts: r.Counts, Work: r.Work, Changed: r.Changed, FailedBefore: r.FailedBefore, RejectedBefore: r.RejectedBefore,
		InDoubtBefore: r.InDoubt, Open: r.Open, Rejections: listOf(r.Rejections), EndUsers: r.People, RequestsBy: r.Requests, Directory: r.Directory,
		Refused: listOf(r.Refused), Ignored: listOf(r.Ignored), Unmapped: listOf(r.Unmapped), Requests: r.Counts.Requests,
		PerSecond: r.PerSecond, Seconds: r.Duration.Seconds(), FinishAt: r.finish.Truncate(time.Second), Show: r.Examples,
	}
}

// listOf makes a list that JSON writes as one, even if it is empty.
func listOf[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
