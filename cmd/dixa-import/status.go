package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// lastRuns is how many runs status shows.
const lastRuns = 10

// statusCmd is the command status.
type statusCmd struct {
	*program
	run    int64 // 0: all
	byFile bool
	csv    bool
}

func statusCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "count the transcripts by status and error code, and list the last runs",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "by-file", Usage: "count the transcripts of each file, or of the query, by status"},
			&cli.StringFlag{Name: "format", Usage: "csv: one row for each count, for spreadsheets", DefaultText: "text"},
			&cli.Int64Flag{Name: "run", Usage: "show what run `N` did, and the current status of the transcripts it was the last to work on", DefaultText: "all runs"},
		},
		Action: action(func(c *cli.Context) (command, error) {
			if c.IsSet("run") && c.Int64("run") < 1 {
				return nil, config.Usagef("--run must be the number of a run, from 1 up")
			}
			switch format := c.String("format"); {
			case format != "" && format != "csv":
				return nil, config.Usagef("--format must be csv, not %q", format)
			case format != "" && c.Bool("json"):
				return nil, config.Usagef("--json and --format exclude each other: keep one")
			}
			return &statusCmd{p, c.Int64("run"), c.Bool("by-file"), c.IsSet("format")}, nil
		}),
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

// Run does the command.
func (p *statusCmd) Run(ctx context.Context) (err error) {
	_, store, err := p.configuredCheckpoint(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	totals, err := store.Totals(ctx, "", p.run)
	if err != nil {
		return err
	}
	report.SortTotals(totals)
	var runs []checkpoint.Run
	if p.run > 0 {
		run, err := findRun(ctx, store, p.run)
		if err != nil {
			return err
		}
		runs = []checkpoint.Run{run}
	} else if runs, err = store.Runs(ctx, "", lastRuns); err != nil {
		return err
	}
	problems, err := p.problems(ctx, store, totals, p.run)
	if err != nil {
		return err
	}
	handovers, err := store.Handovers(ctx, "")
	if err != nil {
		return err
	}
	backlog, err := store.EventCounts(ctx)
	if err != nil {
		return err
	}
	var files []checkpoint.FileTotal
	if p.byFile {
		if files, err = store.FileTotals(ctx, "", p.run); err != nil {
			return err
		}
	}
	if moved := store.CheckMoved(ctx); moved != nil {
		p.log.Warn(moved.Error())
	}
	switch {
	case p.csv:
		return p.statusCSV(totals, files)
	case p.json:
		return p.statusJSON(totals, files, runs, problems, handovers, backlog)
	case p.byFile:
		p.printFiles(files)
	case p.run > 0:
		p.printRun(runs[0])
		p.printStatus(totals, problems, runs[0].ID)
	default:
		p.printStatus(totals, problems, 0)
		p.printHandovers(handovers, backlog)
		p.printRuns(runs)
	}
	return nil
}

// problems counts the partial transcripts by what is wrong with them, for each source that has some: of those that a run was
// the last to work on, or of all.
func (p *statusCmd) problems(ctx context.Context, store *checkpoint.Store, totals []checkpoint.Total, run int64) (map[string][]importer.Problem, error) {
	out := map[string][]importer.Problem{}
	for _, t := range totals {
		if t.Status != checkpoint.Partial || out[t.Source] != nil {
			continue
		}
		var found importer.Problems
		partial := checkpoint.Filter{Statuses: []checkpoint.Status{checkpoint.Partial}}
		err := advice.EachTrouble(ctx, store, t.Source, partial, advice.TroublePage, func(rows []checkpoint.Row, errors map[string][]checkpoint.PartialError) error {
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

func (p *statusCmd) statusJSON(totals []checkpoint.Total, files []checkpoint.FileTotal, runs []checkpoint.Run, problems map[string][]importer.Problem,
	handovers []checkpoint.HandoverTotal, events map[checkpoint.EventState]int64) error {
	out := struct {
		Totals   []checkpoint.Total            `json:"totals"`
		Problems map[string][]importer.Problem `json:"problems"`
		Runs     []runJSON                     `json:"runs"`
		// Files, Handovers and Events are left out where there are none.
		Files     []checkpoint.FileTotal          `json:"files,omitempty"`
		Handovers []checkpoint.HandoverTotal      `json:"handovers,omitempty"`
		Events    map[checkpoint.EventState]int64 `json:"events,omitempty"`
	}{Totals: totals, Files: files, Problems: problems, Handovers: handovers, Events: events, Runs: make([]runJSON, len(runs))}
	if totals == nil {
		out.Totals = []checkpoint.Total{}
	}
	for i, r := range runs {
		out.Runs[i] = runJSON{r.ID, r.Source, r.Command, r.StartedAt, r.FinishedAt, report.RunOutcome(r), r.Counts}
	}
	return p.stdout.JSON(out)
}

// printRun writes what a run has done.
func (p *statusCmd) printRun(r checkpoint.Run) {
	took := time.Duration(0)
	if !r.FinishedAt.IsZero() {
		took = r.FinishedAt.Sub(r.StartedAt)
	}
	p.stdout.Printf("Run %d of %s: %s (%s), started %s\n\n", r.ID, r.Source, report.RunOutcome(r), r.Command, r.StartedAt.UTC().Format(report.TimeLayout))
	report.PrintCounts(p.stdout, r.Counts, nil, r.Changed, r.Throttled, took)
	if text := advice.GrownText(r.Grown); text != "" {
		p.stdout.Line("")
		p.stdout.Say("", text)
	}
	p.stdout.Line("")
}

// printStatus writes what the transcripts are by now: all, or those that a run was the last to work on.
func (p *statusCmd) printStatus(totals []checkpoint.Total, problems map[string][]importer.Problem, run int64) {
	if len(totals) == 0 {
		if run > 0 {
			p.stdout.Say("", fmt.Sprintf("Other runs have worked since on all transcripts that run %d worked on, if there were any.", run))
			return
		}
		p.stdout.Line("The checkpoint holds no transcripts yet: `" + p.commandLine("run") + "` imports them.")
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
			p.stdout.Line("")
		}
		if run > 0 {
			p.stdout.Printf("Current status of the %s last touched by this run\n\n", term.Plural(sum, "transcript"))
		} else {
			p.stdout.Printf("%s: %s\n\n", totals[first].Source, term.Plural(sum, "transcript"))
		}
		t := term.Table{Heads: []string{"", ">", "", ""}}
		for _, x := range totals[first:end] {
			t.Row(x.Status, term.Thousands(x.Count), x.ErrorCode, advice.Of(x.ErrorCode))
		}
		t.Write(p.stdout, "  ")
		if list := problems[totals[first].Source]; len(list) > 0 {
			p.stdout.Printf("\nWhat is wrong with partial ones\n\n")
			t := term.Table{Heads: []string{">", "", ""}}
			report.AddProblems(&t, list)
			t.Write(p.stdout, "  ")
		}
		first = end
	}
}

func (p *statusCmd) printRuns(runs []checkpoint.Run) {
	if len(runs) == 0 {
		return
	}
	p.stdout.Printf("\nLast runs\n\n")
	t := term.Table{Heads: []string{">RUN", "SOURCE", "STARTED (UTC)", "TOOK", "OUTCOME", ">IMPORTED", ">PARTIAL", ">FAILED", ">REJECTED"}}
	for _, r := range runs {
		took := ""
		if !r.FinishedAt.IsZero() {
			took = term.RoughDuration(r.FinishedAt.Sub(r.StartedAt))
		}
		t.Row(r.ID, r.Source, r.StartedAt.UTC().Format("2006-01-02 15:04"), took, report.RunOutcome(r), term.Thousands(r.Counts.Imported),
			term.Thousands(r.Counts.Partial), term.Thousands(r.Counts.Failed), term.Thousands(r.Counts.Rejected))
	}
	t.Write(p.stdout, "  ")
}
