package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// summaryJSON is a summary as --json prints it.
type summaryJSON struct {
	Run         int64              `json:"run"`
	Outcome     importer.Outcome   `json:"outcome"`
	Reason      string             `json:"reason,omitempty"`
	Counts      checkpoint.Counts  `json:"counts"`
	Changed     int64              `json:"changed"`
	TwiceInDixa int64              `json:"twice_in_dixa"`
	Causes      map[string]int64   `json:"causes"`
	Throttled   int64              `json:"throttled"`
	Seconds     float64            `json:"seconds"`
	Totals      []checkpoint.Total `json:"totals"`
}

// printSummary writes what a run has done, what is known of its source by now, and what to do about the rest.
func (p *program) printSummary(s importer.Summary, totals []checkpoint.Total) error {
	sortTotals(totals)
	if p.json {
		if s.Causes == nil {
			s.Causes = map[string]int64{}
		}
		if totals == nil {
			totals = []checkpoint.Total{}
		}
		return p.printJSON(summaryJSON{s.Run, s.Outcome, s.Reason, s.Counts, s.Changed, s.Duplicates, s.Causes, s.Throttled,
			s.Duration.Seconds(), totals})
	}
	p.stdout.printf("Run %d: %s\n\n", s.Run, outcomeText(s))
	p.printCounts(s)
	p.printTotals(totals)
	p.printCauses(s)
	return nil
}

func outcomeText(s importer.Summary) string {
	switch s.Outcome {
	case importer.OutcomeOK:
		if s.Counts.Imported+s.Counts.Partial == 0 {
			return "there was nothing to import"
		}
		return "everything is imported"
	case importer.OutcomeIncomplete:
		return "it ran to the end, but not everything is imported"
	case importer.OutcomeStopped:
		return "stopped early (" + s.Reason + "); the next run continues"
	}
	return "it could not go on"
}

func (p *program) printCounts(s importer.Summary) {
	c := s.Counts
	t := table{heads: []string{"", ">", ""}}
	add := func(name string, n int64, note string) { t.row(name, thousands(n), note) }
	add("read", c.Read, "")
	add("imported", c.Imported, "")
	add("partial", c.Partial, ifAny(c.Partial, "imported, with a problem that Dixa named"))
	add("failed", c.Failed, "")
	add("rejected", c.Rejected, ifAny(c.Rejected, "the transcript is bad, it was not sent"))
	add("skipped", c.Skipped, ifAny(c.Skipped, "still open, or anonymous by configuration"))
	already := ""
	if s.Changed > 0 {
		already = fmt.Sprintf("%s of them changed since, which Dixa cannot take over", thousands(s.Changed))
	}
	add("already done", c.AlreadyDone, already)
	add("duplicate", c.Duplicate, ifAny(c.Duplicate, "the same transcript again in the source"))
	add("in doubt", c.InDoubt, ifAny(c.InDoubt, "may or may not be in Dixa"))
	add("pending", c.Pending, ifAny(c.Pending, "left to the next run"))
	add("requests", c.Requests, perTranscript(c))
	if s.Throttled > 0 {
		add("answers 429", s.Throttled, "over the limit: lower dixa.rate if there are many")
	}
	t.row("duration", roughDuration(s.Duration), perSecond(c, s.Duration))
	t.write(p.stdout, "  ")
	if s.Duplicates > 0 {
		p.stdout.printf("\n%s are in Dixa twice: the partial errors name both conversations.\n", plural(s.Duplicates, "transcript"))
	}
}

func ifAny(n int64, note string) string {
	if n == 0 {
		return ""
	}
	return note
}

func perTranscript(c checkpoint.Counts) string {
	n := c.Imported + c.Partial
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f for each transcript", float64(c.Requests)/float64(n))
}

func perSecond(c checkpoint.Counts, d time.Duration) string {
	n := c.Imported + c.Partial
	if n == 0 || d <= 0 {
		return ""
	}
	return fmt.Sprintf("%.1f transcripts a second", float64(n)/d.Seconds())
}

func roughDuration(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return short(d.Round(time.Second))
}

// printTotals writes how many transcripts of the source have each status by now.
func (p *program) printTotals(totals []checkpoint.Total) {
	sums := map[checkpoint.Status]int64{}
	for _, t := range totals {
		sums[t.Status] += t.Count
	}
	if len(sums) == 0 {
		return
	}
	p.stdout.printf("\nAll of %s so far\n\n", totals[0].Source)
	t := table{heads: []string{"", ">"}}
	for _, status := range checkpoint.Statuses {
		if sums[status] > 0 {
			t.row(status, thousands(sums[status]))
		}
	}
	t.write(p.stdout, "  ")
}

// printCauses writes why transcripts of the run are not imported, with advice.
func (p *program) printCauses(s importer.Summary) {
	if len(s.Causes) == 0 {
		return
	}
	codes := slices.SortedFunc(maps.Keys(s.Causes), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Causes[b], s.Causes[a]), cmp.Compare(a, b))
	})
	p.stdout.printf("\nWhat needs attention\n\n")
	t := table{heads: []string{">", "", ""}}
	for _, code := range codes {
		t.row(thousands(s.Causes[code]), code, advice(code))
	}
	t.write(p.stdout, "  ")
}

// printNext writes what to type next, if there is something to do.
func (p *program) printNext(s importer.Summary) {
	switch {
	case p.json:
	case s.Outcome == importer.OutcomeStopped:
		p.stdout.printf("\nNext: `dixa-import run` goes on from here.\n")
	case s.Outcome == importer.OutcomeIncomplete:
		p.stdout.printf("\nNext: mend what is named above and `dixa-import run` again; `dixa-import status --run %d` shows it again.\n", s.Run)
	}
}

// plural writes a number with its noun.
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}
