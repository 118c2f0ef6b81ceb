package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// lastRuns is how many runs status shows.
const lastRuns = 10

func (p *program) statusCommand() *cli.Command {
	return &cli.Command{
		Name:   "status",
		Usage:  "count the transcripts by status and error code, and list the last runs",
		Flags:  []cli.Flag{&cli.Int64Flag{Name: "run", Usage: "what run `N` did, and what has become of the transcripts that it was the last to work on", DefaultText: "all runs"}},
		Action: action(p.status),
	}
}

type runJSON struct {
	Run        int64             `json:"run"`
	Source     string            `json:"source"`
	Command    string            `json:"command"`
	StartedAt  time.Time         `json:"started_at"`
	FinishedAt time.Time         `json:"finished_at,omitzero"`
	Outcome    string            `json:"outcome"`
	Counts     checkpoint.Counts `json:"counts"`
}

func (p *program) status(ctx context.Context, c *cli.Context) (err error) {
	if c.IsSet("run") && c.Int64("run") < 1 {
		return usagef("--run must be the number of a run, from 1 up")
	}
	_, store, err := p.configuredCheckpoint(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	totals, err := store.Totals(ctx, "", c.Int64("run"))
	if err != nil {
		return err
	}
	sortTotals(totals)
	var runs []checkpoint.Run
	if c.IsSet("run") {
		run, err := findRun(ctx, store, c.Int64("run"))
		if err != nil {
			return err
		}
		runs = []checkpoint.Run{run}
	} else if runs, err = store.Runs(ctx, "", lastRuns); err != nil {
		return err
	}
	problems, err := p.problems(ctx, store, totals, c.Int64("run"))
	switch {
	case err != nil:
		return err
	case p.json:
		return p.statusJSON(totals, runs, problems)
	case c.IsSet("run"):
		p.printRun(runs[0])
		p.printStatus(totals, problems, runs[0].ID)
	default:
		p.printStatus(totals, problems, 0)
		p.printRuns(runs)
	}
	return nil
}

// problems counts the partial transcripts by what is wrong with them, for each source that has some: of those that a run was
// the last to work on, or of all.
func (p *program) problems(ctx context.Context, store checkpoint.Store, totals []checkpoint.Total, run int64) (map[string][]importer.Problem, error) {
	out := map[string][]importer.Problem{}
	for _, t := range totals {
		if t.Status != checkpoint.Partial || out[t.Source] != nil {
			continue
		}
		var found importer.Problems
		partial := checkpoint.Filter{Statuses: []checkpoint.Status{checkpoint.Partial}}
		err := p.eachTrouble(ctx, store, t.Source, partial, troublePage, func(rows []checkpoint.Row, errors map[string][]checkpoint.PartialError) error {
			for _, r := range rows {
				if run == 0 || r.RunID == run {
					found.Add(errors[r.ID])
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		out[t.Source] = found.List()
	}
	return out, nil
}

// sortTotals puts totals into the order in which they are shown: by source, status and number.
func sortTotals(totals []checkpoint.Total) {
	slices.SortStableFunc(totals, func(a, b checkpoint.Total) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source),
			cmp.Compare(slices.Index(checkpoint.Statuses, a.Status), slices.Index(checkpoint.Statuses, b.Status)),
			cmp.Compare(b.Count, a.Count), cmp.Compare(a.ErrorCode, b.ErrorCode))
	})
}

func (p *program) statusJSON(totals []checkpoint.Total, runs []checkpoint.Run, problems map[string][]importer.Problem) error {
	out := struct {
		Totals   []checkpoint.Total            `json:"totals"`
		Problems map[string][]importer.Problem `json:"problems"`
		Runs     []runJSON                     `json:"runs"`
	}{Totals: totals, Problems: problems, Runs: make([]runJSON, len(runs))}
	if totals == nil {
		out.Totals = []checkpoint.Total{}
	}
	for i, r := range runs {
		out.Runs[i] = runJSON{r.ID, r.Source, r.Command, r.StartedAt, r.FinishedAt, runOutcome(r), r.Counts}
	}
	return p.printJSON(out)
}

// printRun writes what a run has done.
func (p *program) printRun(r checkpoint.Run) {
	took := time.Duration(0)
	if !r.FinishedAt.IsZero() {
		took = r.FinishedAt.Sub(r.StartedAt)
	}
	p.stdout.printf("Run %d of %s: %s (%s), started %s\n\n", r.ID, r.Source, runOutcome(r), r.Command, r.StartedAt.UTC().Format(reportTime))
	p.printCounts(r.Counts, 0, r.Throttled, took)
	p.stdout.line("")
}

// printStatus writes what the transcripts are by now: all, or those that a run was the last to work on.
func (p *program) printStatus(totals []checkpoint.Total, problems map[string][]importer.Problem, run int64) {
	if len(totals) == 0 {
		if run > 0 {
			p.stdout.say("", fmt.Sprintf("Other runs have worked since on all transcripts that run %d worked on, if there were any.", run))
			return
		}
		p.stdout.line("The checkpoint holds no transcripts yet: `" + p.commandLine("run") + "` imports them.")
		return
	}
	for first := 0; first < len(totals); {
		end := first
		var sum int64
		for end < len(totals) && totals[end].Source == totals[first].Source {
			sum += totals[end].Count
			end++
		}
		if first > 0 {
			p.stdout.line("")
		}
		if run > 0 {
			p.stdout.printf("What the %s that it was the last to work on are now\n\n", plural(sum, "transcript"))
		} else {
			p.stdout.printf("%s: %s\n\n", totals[first].Source, plural(sum, "transcript"))
		}
		t := table{heads: []string{"", ">", "", ""}}
		for _, x := range totals[first:end] {
			t.row(x.Status, thousands(x.Count), x.ErrorCode, advice(x.ErrorCode))
		}
		t.write(p.stdout, "  ")
		if list := problems[totals[first].Source]; len(list) > 0 {
			p.stdout.printf("\nWhat is wrong with partial ones\n\n")
			t := table{heads: []string{">", "", ""}}
			t.problems(list)
			t.write(p.stdout, "  ")
		}
		first = end
	}
}

func (p *program) printRuns(runs []checkpoint.Run) {
	if len(runs) == 0 {
		return
	}
	p.stdout.printf("\nLast runs\n\n")
	t := table{heads: []string{">RUN", "SOURCE", "STARTED (UTC)", "TOOK", "OUTCOME", ">IMPORTED", ">PARTIAL", ">FAILED", ">REJECTED"}}
	for _, r := range runs {
		took := ""
		if !r.FinishedAt.IsZero() {
			took = roughDuration(r.FinishedAt.Sub(r.StartedAt))
		}
		t.row(r.ID, r.Source, r.StartedAt.UTC().Format("2006-01-02 15:04"), took, runOutcome(r), thousands(r.Counts.Imported),
			thousands(r.Counts.Partial), thousands(r.Counts.Failed), thousands(r.Counts.Rejected))
	}
	t.write(p.stdout, "  ")
}

// runOutcome says how a run ended, or that it has not.
func runOutcome(r checkpoint.Run) string {
	switch {
	case r.Outcome != "":
		return r.Outcome
	case r.Alive:
		return "running"
	}
	return "killed"
}
