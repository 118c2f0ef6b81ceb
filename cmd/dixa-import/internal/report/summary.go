package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// Print writes what a run has done, what is known of its source by now, and what to do about the rest.
func (r Result) Print(out *term.Output) {
	SortTotals(r.Totals)
	out.Printf("Run %d: %s\n\n", r.Run, outcomeText(r))
	PrintCounts(out, r.Counts, r.Skipped, r.Changed, r.Throttled, r.Duration)
	if code, _ := r.MostlySkipped(); code != "" {
		out.Line("")
		out.Say("", "Warning: of the records, "+advice.MostlyTexts[code]+".")
	}
	if r.Duplicates > 0 {
		out.Line("")
		out.Say("", fmt.Sprintf("%s in Dixa twice: the partial errors list both conversations.", term.AreOf(r.Duplicates, "transcript")))
	}
	for _, text := range []string{advice.GrownText(r.Grown), advice.IgnoredText(r.Ignored), advice.RedactedText(r.Redacted), advice.DroppedText(r.Dropped)} {
		if text != "" {
			out.Line("")
			out.Say("", text)
		}
	}
	r.printRests(out)
	r.printImported(out)
	printTotals(out, r.Totals)
	r.printCauses(out)
}

// printImported writes where to look at what a limited run has imported.
func (r Result) printImported(out *term.Output) {
	list := r.Canary.list(r.ConversationURL)
	if len(list) == 0 {
		return
	}
	out.Printf("\nLook at them in Dixa\n\n")
	t := term.Table{Heads: []string{"", "", ""}}
	for _, c := range list {
		t.Row(c.TranscriptID, c.ConversationID, c.URL)
	}
	t.Write(out, "  ")
	if more := r.Canary.n - int64(len(list)); more > 0 {
		out.Printf("  and %s more\n", term.Thousands(more))
	}
}

func outcomeText(s Result) string {
	switch s.Outcome {
	case importer.OutcomeOK:
		if s.Attributes && s.Counts.Imported+s.Counts.Partial == 0 {
			return "there was nothing to set"
		} else if s.Attributes {
			return "the attributes and tags that differed are set" + ifAny(s.Counts.Partial, ", of "+term.Thousands(s.Counts.Partial)+" with problems")
		}
		if s.Counts.Imported+s.Counts.Partial == 0 {
			return "there was nothing to import"
		}
		if s.Counts.Partial > 0 {
			return "everything is imported, " + term.Thousands(s.Counts.Partial) + " of them with problems"
		}
		return "everything is imported"
	case importer.OutcomeIncomplete:
		return "it finished, but not everything was imported"
	case importer.OutcomeStopped:
		return "stopped early (" + s.Reason + ")"
	}
	return "it could not continue"
}

// skipTexts say why records are skipped, in the order in which that is shown.
var skipTexts = []struct{ code, text string }{
	{"open", "still open"}, {"empty", "empty"}, {"anonymous", "anonymous by configuration"}, {"dropped", "dropped by a person"}, {"undone", "undone"},
	{"corrected", "going on under another id"},
}

// skippedText returns why records were skipped, and of several reasons how many for which.
func skippedText(skipped map[string]int64) string {
	var texts []string
	for _, x := range skipTexts {
		if n := skipped[x.code]; n > 0 {
			texts = append(texts, term.Thousands(n)+" "+x.text)
		}
	}
	switch {
	case len(texts) == 0:
		return "still open, empty, anonymous by configuration, or settled by a person"
	case len(texts) == 1:
		_, text, _ := strings.Cut(texts[0], " ")
		return text
	}
	return strings.Join(texts, ", ")
}

// PrintCounts writes the figures of a run; skipped may be nil where it is not known why.
func PrintCounts(out *term.Output, c checkpoint.Counts, skipped map[string]int64, changed, throttled int64, took time.Duration) {
	t := term.Table{Heads: []string{"", ">", ""}}
	add := func(name string, n int64, note string) { t.Row(name, term.Thousands(n), note) }
	add("read", c.Read, "")
	add("imported", c.Imported, "")
	add("partial", c.Partial, ifAny(c.Partial, "imported, but with problems"))
	add("failed", c.Failed, "")
	add("rejected", c.Rejected, ifAny(c.Rejected, "the transcript is bad, it was not sent"))
	add("skipped", c.Skipped, ifAny(c.Skipped, skippedText(skipped)))
	already := ""
	if changed > 0 {
		already = fmt.Sprintf("%s of them changed since, and Dixa cannot update them", term.Thousands(changed))
	}
	add("already done", c.AlreadyDone, already)
	add("duplicate", c.Duplicate, ifAny(c.Duplicate, "the same transcript again in the source"))
	add("in doubt", c.InDoubt, ifAny(c.InDoubt, "may or may not be in Dixa"))
	add("pending", c.Pending, ifAny(c.Pending, "left to the next run"))
	add("requests", c.Requests, perTranscript(c))
	if throttled > 0 {
		add("answers 429", throttled, "over the rate limit: lower dixa.rate if there are many")
	}
	if took > 0 {
		t.Row("duration", term.RoughDuration(took), perSecond(c, took))
	}
	t.Write(out, "  ")
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

// printTotals writes how many transcripts of the source have each status by now.
func printTotals(out *term.Output, totals []checkpoint.Total) {
	sums := map[checkpoint.Status]int64{}
	for _, t := range totals {
		sums[t.Status] += t.Count
	}
	if len(sums) == 0 {
		return
	}
	out.Printf("\nAll runs of %s so far\n\n", totals[0].Source)
	t := term.Table{Heads: []string{"", ">"}}
	for _, status := range checkpoint.Statuses {
		if sums[status] > 0 {
			t.Row(status, term.Thousands(sums[status]))
		}
	}
	t.Write(out, "  ")
}

// printCauses writes why transcripts of the run are not imported, or not as a whole, with advice.
func (r Result) printCauses(out *term.Output) {
	if len(r.Causes)+len(r.Problems) == 0 {
		return
	}
	codes := slices.SortedFunc(maps.Keys(r.Causes), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Causes[b], r.Causes[a]), cmp.Compare(a, b))
	})
	out.Printf("\nWhat needs attention in this run\n\n")
	t := term.Table{Heads: []string{">", "", ""}}
	for _, code := range codes {
		t.Row(term.Thousands(r.Causes[code]), code, advice.Of(code))
	}
	AddProblems(&t, r.Problems)
	t.Write(out, "  ")
}

// AddProblems adds rows about what is wrong with partial transcripts.
func AddProblems(t *term.Table, list []importer.Problem) {
	for _, x := range list {
		t.Row(term.Thousands(x.Count), strings.TrimSpace("partial: "+string(x.Kind)+" "+x.Attribute), advice.Partial[x.Kind].Advice)
	}
}

// PrintNext writes what to type next, if there is something to do.
func (r Result) PrintNext(out *term.Output, line advice.Commander) {
	say := func(text string) { out.Line(""); out.Say("", "Next: "+text) }
	switch r.Outcome {
	case importer.OutcomeAborted:
		if r.Lost {
			say("set `database` to the right one, or `" + line("run --reconcile") + "`, which looks in Dixa before every send.")
		}
	case importer.OutcomeStopped:
		if r.Retry {
			say("the same `" + line(r.Again) + "` again continues from here.")
			return
		}
		say("`" + line(r.Again) + "` continues from here.")
	case importer.OutcomeIncomplete:
		say(fmt.Sprintf("`%s` lists what to do about each; `%s` shows this summary again.", line("errors"),
			line(fmt.Sprintf("status --run %d", r.Run))))
	case importer.OutcomeOK:
		if r.Counts.Partial > 0 {
			say(fmt.Sprintf("`%s` lists what is wrong with them and how to fix it.", line("errors --status partial")))
		}
	}
	if r.Changed > 0 && len(r.Files) > 0 && !r.Retry {
		retry := "retry --status partial"
		for _, file := range r.Files {
			retry += " --jsonl " + term.ShellQuoted(file)
		}
		say("`" + line(retry) + "` sets the missing attributes of those that were imported earlier.")
	}
}

// printRests writes which operations failed while others were answered.
func (r Result) printRests(out *term.Output) {
	for _, rest := range r.Rests {
		out.Line("")
		out.Say("", fmt.Sprintf("One operation of Dixa (%s) kept failing while others succeeded: %s left to the next run.",
			rest.Operation, term.IsOrAre(rest.Left, "step")))
	}
}
