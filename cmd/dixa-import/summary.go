package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// outcomeIdle is the outcome of a run that left the work to another one, as --if-idle wants it.
const outcomeIdle importer.Outcome = "idle"

// runResult is a run and what there is to say after it.
type runResult struct {
	importer.Summary
	retry     bool // it was made by the command retry
	exit      int
	totals    []checkpoint.Total
	watermark time.Time // zero if the source has none
	canary    *canary   // nil unless the run was limited
	url       string    // of a conversation, with {id}
	files     []string  // given with --jsonl
	reconcile bool      // it looked before every send
	lost      bool      // it found that the checkpoint was lost
}

// canary collects the conversations of a limited run, so that somebody can look at them.
type canary struct {
	mu    sync.Mutex
	first []importedJSON
	n     int64
}

type importedJSON struct {
	TranscriptID   string `json:"transcript_id"`
	ConversationID int64  `json:"conversation_id"`
	URL            string `json:"url,omitempty"`
}

// canaryMax is how many conversations are shown.
const canaryMax = 100

func (c *canary) add(id string, conversation int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n++; len(c.first) < canaryMax {
		c.first = append(c.first, importedJSON{TranscriptID: id, ConversationID: conversation})
	}
}

// list returns the conversations with their addresses.
func (c *canary) list(url string) []importedJSON {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.first {
		c.first[i].URL = link("", url, c.first[i].ConversationID)
	}
	return c.first
}

// summaryJSON is a summary as --json prints it; README.md describes it.
type summaryJSON struct {
	Run          int64              `json:"run"`
	Outcome      importer.Outcome   `json:"outcome"`
	ExitCode     int                `json:"exit_code"`
	Reason       string             `json:"reason,omitempty"`
	Counts       checkpoint.Counts  `json:"counts"`
	Changed      int64              `json:"changed"`
	TwiceInDixa  int64              `json:"twice_in_dixa"`
	Causes       map[string]int64   `json:"causes"`
	Problems     []importer.Problem `json:"problems"`
	Throttled    int64              `json:"throttled"`
	Seconds      float64            `json:"seconds"`
	Watermark    time.Time          `json:"watermark,omitzero"`
	WatermarkAge float64            `json:"watermark_age_seconds,omitempty"`
	Totals       []checkpoint.Total `json:"totals"`
	Imported     []importedJSON     `json:"imported,omitempty"`
}

func (r runResult) json() summaryJSON {
	out := summaryJSON{Run: r.Run, Outcome: r.Outcome, ExitCode: r.exit, Reason: r.Reason, Counts: r.Counts, Changed: r.Changed,
		TwiceInDixa: r.Duplicates, Causes: r.Causes, Problems: r.Problems, Throttled: r.Throttled, Seconds: r.Duration.Seconds(), Watermark: r.watermark,
		Totals: r.totals, Imported: r.canary.list(r.url)}
	if out.Causes == nil {
		out.Causes = map[string]int64{}
	}
	if out.Problems == nil {
		out.Problems = []importer.Problem{}
	}
	if out.Totals == nil {
		out.Totals = []checkpoint.Total{}
	}
	if !r.watermark.IsZero() {
		out.WatermarkAge = time.Since(r.watermark).Seconds()
	}
	return out
}

// printSummary writes what a run has done, what is known of its source by now, and what to do about the rest.
func (p *program) printSummary(r runResult) error {
	sortTotals(r.totals)
	if p.json {
		return p.printJSON(r.json())
	}
	p.stdout.printf("Run %d: %s\n\n", r.Run, outcomeText(r.Summary))
	p.printCounts(r.Counts, r.Changed, r.Throttled, r.Duration)
	if r.Duplicates > 0 {
		p.stdout.line("")
		p.stdout.say("", fmt.Sprintf("%s in Dixa twice: the partial errors name both conversations.", areOf(r.Duplicates, "transcript")))
	}
	p.printImported(r)
	p.printTotals(r.totals)
	p.printCauses(r.Summary)
	return nil
}

// printImported writes where to look at what a limited run has imported.
func (p *program) printImported(r runResult) {
	list := r.canary.list(r.url)
	if len(list) == 0 {
		return
	}
	p.stdout.printf("\nLook at them in Dixa\n\n")
	t := table{heads: []string{"", "", ""}}
	for _, c := range list {
		t.row(c.TranscriptID, c.ConversationID, c.URL)
	}
	t.write(p.stdout, "  ")
	if more := r.canary.n - int64(len(list)); more > 0 {
		p.stdout.printf("  and %s more\n", thousands(more))
	}
}

func outcomeText(s importer.Summary) string {
	switch s.Outcome {
	case importer.OutcomeOK:
		if s.Counts.Imported+s.Counts.Partial == 0 {
			return "there was nothing to import"
		}
		if s.Counts.Partial > 0 {
			return "everything is imported, " + thousands(s.Counts.Partial) + " of them with problems"
		}
		return "everything is imported"
	case importer.OutcomeIncomplete:
		return "it ran to the end, but not everything is imported"
	case importer.OutcomeStopped:
		return "stopped early (" + s.Reason + ")"
	}
	return "it could not go on"
}

// printCounts writes the figures of a run.
func (p *program) printCounts(c checkpoint.Counts, changed, throttled int64, took time.Duration) {
	t := table{heads: []string{"", ">", ""}}
	add := func(name string, n int64, note string) { t.row(name, thousands(n), note) }
	add("read", c.Read, "")
	add("imported", c.Imported, "")
	add("partial", c.Partial, ifAny(c.Partial, "imported, but with problems"))
	add("failed", c.Failed, "")
	add("rejected", c.Rejected, ifAny(c.Rejected, "the transcript is bad, it was not sent"))
	add("skipped", c.Skipped, ifAny(c.Skipped, "still open, anonymous by configuration, or settled by a person"))
	already := ""
	if changed > 0 {
		already = fmt.Sprintf("%s of them changed since, which Dixa cannot take over", thousands(changed))
	}
	add("already done", c.AlreadyDone, already)
	add("duplicate", c.Duplicate, ifAny(c.Duplicate, "the same transcript again in the source"))
	add("in doubt", c.InDoubt, ifAny(c.InDoubt, "may or may not be in Dixa"))
	add("pending", c.Pending, ifAny(c.Pending, "left to the next run"))
	add("requests", c.Requests, perTranscript(c))
	if throttled > 0 {
		add("answers 429", throttled, "over the limit: lower dixa.rate if there are many")
	}
	if took > 0 {
		t.row("duration", roughDuration(took), perSecond(c, took))
	}
	t.write(p.stdout, "  ")
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
	p.stdout.printf("\nAll of %s so far, other runs included\n\n", totals[0].Source)
	t := table{heads: []string{"", ">"}}
	for _, status := range checkpoint.Statuses {
		if sums[status] > 0 {
			t.row(status, thousands(sums[status]))
		}
	}
	t.write(p.stdout, "  ")
}

// printCauses writes why transcripts of the run are not imported, or not as a whole, with advice.
func (p *program) printCauses(s importer.Summary) {
	if len(s.Causes)+len(s.Problems) == 0 {
		return
	}
	codes := slices.SortedFunc(maps.Keys(s.Causes), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Causes[b], s.Causes[a]), cmp.Compare(a, b))
	})
	p.stdout.printf("\nWhat needs attention of this run\n\n")
	t := table{heads: []string{">", "", ""}}
	for _, code := range codes {
		t.row(thousands(s.Causes[code]), code, advice(code))
	}
	t.problems(s.Problems)
	t.write(p.stdout, "  ")
}

// problems adds rows about what is wrong with partial transcripts.
func (t *table) problems(list []importer.Problem) {
	for _, x := range list {
		t.row(thousands(x.Count), strings.TrimSpace("partial: "+string(x.Kind)+" "+x.Attribute), partialCures[x.Kind].advice)
	}
}

// printNext writes what to type next, if there is something to do.
func (p *program) printNext(r runResult) {
	say := func(text string) { p.stdout.line(""); p.stdout.say("", "Next: "+text) }
	switch r.Outcome {
	case importer.OutcomeAborted:
		if r.lost {
			say("set `database` to the right one, or `" + p.commandLine("run --reconcile") + "`, which looks in Dixa before every send.")
		}
	case importer.OutcomeStopped:
		if r.retry {
			say("the same `" + p.commandLine("retry") + "` again goes on from here.")
			return
		}
		run := "run"
		if r.reconcile { // until one comes to its end
			run += " --reconcile"
		}
		say("`" + p.commandLine(run) + "` goes on from here.")
	case importer.OutcomeIncomplete:
		say(fmt.Sprintf("`%s` says what to do about each; `%s` shows this again.", p.commandLine("errors"),
			p.commandLine(fmt.Sprintf("status --run %d", r.Run))))
	case importer.OutcomeOK:
		if r.Counts.Partial > 0 {
			say(fmt.Sprintf("`%s` says what is wrong with them, and how to mend it.", p.commandLine("errors --status partial")))
		}
	}
	if r.Changed > 0 && len(r.files) > 0 && !r.retry {
		retry := "retry --status partial"
		for _, file := range r.files {
			retry += " --jsonl " + shellQuoted(file)
		}
		say("`" + p.commandLine(retry) + "` sets the missing attributes of those that were imported earlier.")
	}
}

// areOf writes a number with its noun and the verb that fits.
func areOf(n int64, noun string) string {
	if n == 1 {
		return plural(n, noun) + " is"
	}
	return plural(n, noun) + " are"
}

// plural writes a number with its noun.
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}
