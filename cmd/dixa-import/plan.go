package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/plan"
)

// plan prints what a run would do.
func (p *runCmd) plan(ctx context.Context) error {
	return p.planning(ctx, func(ctx context.Context, j *job) (show func() error, err error) {
		planner, err := plan.New(j.config, p.show)
		if err != nil {
			return nil, err
		}
		defer p.watchPlan(planner.Progress)()
		plan, err := planner.Plan(ctx)
		return func() error { return p.showPlan(j, plan) }, err
	})
}

// planning makes a plan of a run that open prepares, and shows it unless a signal came before.
func (p *importing) planning(ctx context.Context, plan func(context.Context, *job) (show func() error, err error)) (err error) {
	ctx, stopped := interruptible(ctx)
	defer stopped()
	j, err := p.open(ctx)
	if j != nil {
		defer func() { err = errors.Join(err, j.Close()) }()
	}
	var show func() error
	if err == nil && ctx.Err() == nil {
		show, err = plan(ctx, j)
	}
	switch {
	case ctx.Err() != nil:
		return p.stoppedBefore("signal")
	case err != nil:
		return err
	}
	return show()
}

// showPlan prints a plan.
func (p *runCmd) showPlan(j *job, plan plan.Plan) (err error) {
	report := planReport{Plan: plan, source: j.config.Source, takes: j.config.Reconcile, known: j.config.Store != nil, finish: time.Now().Add(plan.Duration).UTC(),
		limit: p.stopAfter, values: p.showValues || !p.json && p.stdout.Terminal()}
	if p.json {
		err = p.stdout.JSON(report.json())
	} else {
		p.printPlan(report)
	}
	if err == nil && plan.Counts.Rejected > 0 {
		err = ended(importer.OutcomeIncomplete)
	}
	return err
}

// watchPlan shows how far the reading for a plan is.
func (p *runCmd) watchPlan(progress func() plan.Progress) (stop func()) {
	part := func(now plan.Progress) (float64, bool) {
		return float64(now.Source.Done) / float64(max(now.Source.Total, 1)), now.Source.Total > 0
	}
	if !p.console.Terminal() {
		return p.console.Every(term.LogInterval, func() {
			now := progress()
			args := []any{"read", now.Read, "end_users_looked_up", now.LookedUp}
			if f, ok := part(now); ok {
				args = append(args, "done", fmt.Sprintf("%.0f%%", 100*f))
			}
			p.log.Info("planning", args...)
		})
	}
	bar := &term.Bar{}
	return p.console.Every(term.BarInterval, func() {
		now := progress()
		text := "reading: " + term.Plural(now.Read, "record")
		if now.LookedUp > 0 {
			text = fmt.Sprintf("looking up a sample of the end-users: %d", now.LookedUp)
		}
		f, sized := part(now)
		p.console.Redraw(func() { bar.Set(p.console, f, sized, []string{text}) })
	})
}

// planReport is a plan with the notes shown beside it.
type planReport struct {
	plan.Plan
	source string
	takes  bool // a mark that is another checkpoint's would be taken over
	known  bool // there is a checkpoint
	finish time.Time
	limit  time.Duration // of --for, 0 for none
	values bool          // the attributes' values may be shown, which are customers' data
}

// planJSON is a plan as --json prints it. Its figures are those of the run that would follow, estimated where they cannot
// be known: requests, seconds, finish_at, and what is said of end-users beside known and unknown.
type planJSON struct {
	Counts             checkpoint.Counts           `json:"counts"`
	Work               plan.Work                   `json:"work"`
	Changed            int64                       `json:"changed"`
	Grown              int64                       `json:"grown"`
	FailedBefore       int64                       `json:"failed_before"`
	RejectedBefore     int64                       `json:"rejected_before"`
	InDoubtBefore      int64                       `json:"in_doubt_before"`
	Open               int64                       `json:"open"`
	Empty              int64                       `json:"empty"`
	Rejections         []plan.Rejection            `json:"rejections"`
	EndUsers           plan.People                 `json:"end_users"`
	IdentifiersIgnored importer.IgnoredIdentifiers `json:"identifiers_ignored"`
	IdentifiersShared  []importer.SharedIdentifier `json:"identifiers_shared"`
	RequestsBy         plan.Requests               `json:"requests_by"`
	Directory          *plan.Directory             `json:"directory"`
	Mark               *markJSON                   `json:"mark,omitempty"`
	Refused            []plan.Refusal              `json:"attribute_values_refused"`
	Values             []plan.UnsetValue           `json:"attribute_values"`
	Redacted           map[string]int64            `json:"redacted,omitempty"`
	Dropped            map[string]int64            `json:"dropped,omitempty"`
	Ignored            []string                    `json:"ignored_fields"`
	Unmapped           []string                    `json:"unmapped_attributes"`
	Requests           int64                       `json:"requests"`
	PerSecond          float64                     `json:"requests_per_second"`
	Seconds            float64                     `json:"seconds"`
	FinishAt           time.Time                   `json:"finish_at"`
	Show               []plan.Example              `json:"show,omitempty"`
}

func (r planReport) json() planJSON {
	values := []plan.UnsetValue{}
	if r.values {
		values = listOf(r.Values)
	}
	return planJSON{
		Counts: r.Counts, Work: r.Work, Changed: r.Changed, Grown: r.Grown, FailedBefore: r.FailedBefore, RejectedBefore: r.RejectedBefore,
		InDoubtBefore: r.InDoubt, Open: r.Open, Empty: r.Empty, Rejections: listOf(r.Rejections), EndUsers: r.People,
		IdentifiersIgnored: r.IgnoredIdentifiers, IdentifiersShared: listOf(r.Shared), RequestsBy: r.Requests, Directory: r.Directory, Mark: r.markJSON(),
		Refused: listOf(r.Refused), Values: values, Redacted: r.Redacted, Dropped: r.Dropped, Ignored: listOf(r.Ignored), Unmapped: listOf(r.Unmapped), Requests: r.Counts.Requests,
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
