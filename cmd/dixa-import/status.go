package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/importer/checkpoint"
)

// lastRuns is how many runs status shows.
const lastRuns = 10

func (p *program) statusCommand() *cli.Command {
	return &cli.Command{
		Name:   "status",
		Usage:  "count the transcripts by status and error code, and list the last runs",
		Flags:  []cli.Flag{&cli.Int64Flag{Name: "run", Usage: "only transcripts that run `N` was the last to work on", DefaultText: "all"}},
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
	runs, err := store.Runs(ctx, "", lastRuns)
	if err != nil {
		return err
	}
	if p.json {
		return p.statusJSON(totals, runs)
	}
	p.printStatus(totals, c.Int64("run"))
	p.printRuns(runs)
	return nil
}

// sortTotals puts totals into the order in which they are shown: by source, status and number.
func sortTotals(totals []checkpoint.Total) {
	slices.SortStableFunc(totals, func(a, b checkpoint.Total) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source),
			cmp.Compare(slices.Index(checkpoint.Statuses, a.Status), slices.Index(checkpoint.Statuses, b.Status)),
			cmp.Compare(b.Count, a.Count), cmp.Compare(a.ErrorCode, b.ErrorCode))
	})
}

func (p *program) statusJSON(totals []checkpoint.Total, runs []checkpoint.Run) error {
	out := struct {
		Totals []checkpoint.Total `json:"totals"`
		Runs   []runJSON          `json:"runs"`
	}{Totals: totals, Runs: make([]runJSON, len(runs))}
	if totals == nil {
		out.Totals = []checkpoint.Total{}
	}
	for i, r := range runs {
		out.Runs[i] = runJSON{r.ID, r.Source, r.Command, r.StartedAt, r.FinishedAt, runOutcome(r), r.Counts}
	}
	return p.printJSON(out)
}

func (p *program) printStatus(totals []checkpoint.Total, run int64) {
	if len(totals) == 0 {
		if run > 0 {
			p.stdout.printf("There are no transcripts that run %d was the last to work on.\n", run)
			return
		}
		p.stdout.line("The checkpoint holds no transcripts yet: `dixa-import run` imports them.")
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
		of := ""
		if run > 0 {
			of = fmt.Sprintf(" of run %d", run)
		}
		p.stdout.printf("%s: %s%s\n\n", totals[first].Source, plural(sum, "transcript"), of)
		t := table{heads: []string{"", ">", "", ""}}
		for _, x := range totals[first:end] {
			t.row(x.Status, thousands(x.Count), x.ErrorCode, advice(x.ErrorCode))
		}
		t.write(p.stdout, "  ")
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
