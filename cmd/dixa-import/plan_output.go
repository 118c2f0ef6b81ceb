package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/term"
)

// printPlan writes a plan for people.
func (p *runCmd) printPlan(r planReport) {
	out := p.stdout
	work := r.Counts.Imported + r.Counts.Partial
	if work == 0 {
		out.Printf("%s: there is nothing to import\n\n", r.source)
	} else {
		out.Printf("%s: a run would import %s\n\n", r.source, term.Plural(work, "transcript"))
	}
	p.printPlanCounts(r)
	if text := r.aboutMark(); text != "" {
		out.Line("")
		out.Say("", text)
	}
	p.printPlanCost(r)
	p.printPlanTroubles(r)
	for _, e := range r.Examples {
		out.Printf("\n%s\n\n", e.ID)
		p.printExample("POST /v1/conversations/import", e.Import)
		if len(e.Attributes) > 0 {
			p.printExample("PATCH /v1/conversations/<conversation>/custom-attributes", e.Attributes)
		}
	}
	if !r.known {
		out.Line("\nThere is no checkpoint yet, so nothing counts as imported.")
	}
	out.Line("\nNothing was written, here or in Dixa.")
}

// printPlanCounts writes how many records are what.
func (p *runCmd) printPlanCounts(r planReport) {
	c := r.Counts
	t := term.Table{Heads: []string{"", ">", ""}}
	add := func(name string, n int64, note string) {
		if n > 0 {
			t.Row(name, term.Thousands(n), note)
		}
	}
	t.Row("read", term.Thousands(c.Read), "")
	add("new", r.Work.New-r.Work.FollowUps, "")
	add("went on", r.Work.FollowUps, "after they were imported: the new messages become conversations of their own")
	add("left over", r.Work.Pending, "an earlier run did not get to them")
	add("closed now", r.Work.Closed, "they were open, empty, or anonymous")
	add("corrected", r.Work.Corrected, "they failed or were rejected, and have changed since")
	add("may be there", r.Work.Sending, "an earlier run got no clear answer: they are looked up in Dixa first")
	add("to be finished", r.Work.Attributes, "imported, but their attributes are not set yet")
	add("already done", c.AlreadyDone-r.Changed-r.FailedBefore-r.RejectedBefore-r.InDoubt, "")
	add("changed", r.Changed-r.Grown, "since they were imported, and Dixa cannot update them")
	add("went on", r.Grown, "after they were imported: `transcripts.grown: follow_up` imports the new messages")
	add("failed before", r.FailedBefore, "and the same since: `"+p.commandLine("errors")+"` says why")
	add("rejected before", r.RejectedBefore, "and the same since: `"+p.commandLine("errors")+"` says why")
	add("in doubt", r.InDoubt, "a person has to decide: `"+p.commandLine("errors")+"`")
	add("open", r.Open, "not closed yet")
	add("empty", r.Empty, "there is no message to send")
	add("anonymous", c.Skipped-r.Open-r.Empty, "skipped by configuration, dropped by a person, or undone")
	add("rejected", c.Rejected, "bad, see below")
	add("duplicate", c.Duplicate, "the same record again")
	add("in work", c.Pending, "another run is working on them")
	t.Write(p.stdout, "  ")
}

// printPlanCost writes what the run would take.
func (p *runCmd) printPlanCost(r planReport) {
	q := r.Requests
	if r.Counts.Requests == 0 || r.Counts.Imported+r.Counts.Partial == 0 {
		return
	}
	t := term.Table{Heads: []string{"", ">", ""}}
	people := fmt.Sprintf("for %s not known yet", term.Plural(r.People.Unknown, "end-user"))
	if r.People.Known > 0 {
		people += fmt.Sprintf("; known: %s", term.Thousands(r.People.Known))
	}
	if q.Directory > 0 {
		t.Row("list", term.Thousands(q.Directory), "of all end-users, which end_users.preload asks for")
	}
	t.Row("look-ups", term.Thousands(q.LookUps), people)
	created := fmt.Sprintf("for about %s, many per request", term.Plural(r.People.Created, "end-user"))
	if r.People.Sampled > 0 && r.People.Sampled < r.People.Unknown {
		created += fmt.Sprintf(" (from a sample of %d)", r.People.Sampled)
	}
	t.Row("creations", term.Thousands(q.Creations), created)
	if q.Looks > 0 {
		t.Row("looks", term.Thousands(q.Looks), "for conversations that may exist already")
	}
	t.Row("imports", term.Thousands(q.Imports), "")
	t.Row("attributes", term.Thousands(q.Patches), "")
	if q.Finishing > 0 {
		t.Row("after that", term.Thousands(q.Finishing), "for tags, ratings, notes, hand-overs and links")
	}
	t.Row("at the start", term.Thousands(q.Start), "about the organisation and its attributes")
	if q.Mark > 0 {
		t.Row("mark", term.Thousands(q.Mark), "of the source, which identifies the checkpoint")
	}
	t.Row("requests", term.Thousands(r.Counts.Requests), fmt.Sprintf("%.2f for each transcript",
		float64(r.Counts.Requests)/float64(r.Counts.Imported+r.Counts.Partial)))
	t.Row("duration", term.Roughly(r.Duration), r.pace())
	p.stdout.Line("\nEstimate\n")
	t.Write(p.stdout, "  ")
	p.printDirectory(r)
	if r.limit > 0 && r.Duration > r.limit {
		p.stdout.Printf("\n--for %s stops it earlier: about %d such runs are needed.\n", term.Short(r.limit), (r.Duration+r.limit-1)/r.limit)
	}
}

// printDirectory prints what it would cost to list all end-users instead of looking them up, or the other way round.
func (p *runCmd) printDirectory(r planReport) {
	d := r.Directory
	if d == nil {
		return
	}
	lookUps, list := term.Plural(d.LookUps, "look-up"), term.Plural(d.Requests, "request")
	if !d.Whole {
		list = "more than " + list
	}
	switch {
	case r.Requests.Directory > 0 && d.Whole:
		p.stdout.Printf("\nWithout end_users.preload, the list of all end-users would be %s.\n", lookUps)
	case r.Requests.Directory > 0:
		p.stdout.Line("")
		p.stdout.Say("", fmt.Sprintf("The list of all end-users takes %s, so all this takes longer. Without end_users.preload it would be %s.", list, lookUps))
	default:
		p.stdout.Printf("\nWith end_users.preload the %s would be %s for the list of all end-users.\n", lookUps, list)
	}
	if !d.Whole {
		p.stdout.Printf("The list saves requests if Dixa has fewer than about %s end-users.\n", term.Thousands(d.LookUps*d.PerPage))
	}
}

// pace says at how many requests a second the duration counts, and when a run that starts now ends.
func (r planReport) pace() string {
	if r.Duration < time.Second {
		return "as fast as Dixa answers"
	}
	at := r.finish.Format("15:04 UTC")
	if r.Duration > 12*time.Hour {
		at = r.finish.Format("2006-01-02 15:04 UTC")
	}
	return fmt.Sprintf("at %s requests a second; started now, it ends at %s", strings.TrimSuffix(fmt.Sprintf("%.1f", r.PerSecond), ".0"), at)
}

// printValues lists the values that a table under attributes could translate.
func (p *runCmd) printValues(r planReport) {
	if len(r.Values) == 0 {
		return
	}
	p.stdout.Line("")
	if !r.values {
		p.stdout.Say("  ", fmt.Sprintf("These are %s. --show-values lists them, to be translated under attributes, as in {attribute: contact_reason, values: {their word: [path, in, Dixa]}, else: omit}.",
			term.Plural(int64(len(r.Values)), "distinct value")))
		return
	}
	t := term.Table{Heads: []string{"ATTRIBUTE", ">COUNT", "VALUE"}}
	for _, v := range r.Values[:min(len(r.Values), maxListedValues)] {
		t.Row(v.Attribute, term.Thousands(v.Count), oneLineOf(v.Value))
	}
	t.Write(p.stdout, "  ")
	if more := len(r.Values) - maxListedValues; more > 0 || r.MoreValues {
		p.stdout.Line("  and more")
	}
	p.stdout.Say("  ", "Translate them under attributes, as in {attribute: contact_reason, values: {their word: [path, in, Dixa]}, else: omit}.")
}

// maxListedValues is how many values are listed.
const maxListedValues = 100

// oneLineOf returns the beginning of a value on one line.
func oneLineOf(value string) string {
	runes := []rune(strings.Join(strings.Fields(value), " "))
	if len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return string(runes)
}

// printPlanTroubles writes what would be rejected, refused or ignored.
func (p *runCmd) printPlanTroubles(r planReport) {
	out := p.stdout
	if len(r.Rejections) > 0 {
		out.Line("\nWhat would be rejected")
		for _, x := range r.Rejections {
			out.Line("")
			out.Say(fmt.Sprintf("  %s  ", term.Thousands(x.Count)), fmt.Sprintf("%s: %s", x.Code, advice.Of(string(x.Code))))
			for _, place := range x.Places {
				out.Say("   - ", place)
			}
			if more := x.Count - int64(len(x.Places)); more > 0 {
				out.Printf("   - and %s more\n", term.Thousands(more))
			}
		}
	}
	if len(r.Refused) > 0 {
		out.Line("\nAttribute values that could not be set (the transcripts are imported anyway)\n")
		for _, x := range r.Refused {
			out.Say(fmt.Sprintf("  %s  ", term.Thousands(x.Count)), x.Attribute+": "+x.Reason)
		}
	}
	p.printValues(r)
	for _, text := range []string{advice.IgnoredText(r.IgnoredIdentifiers), advice.RedactedText(r.Redacted), advice.DroppedText(r.Dropped)} {
		if text != "" {
			out.Line("")
			out.Say("", text)
		}
	}
	if lines := advice.SharedTexts(r.Shared, r.SharedMore); len(lines) > 0 {
		out.Line("\nIdentifiers that may belong to no one, or to several people\n")
		for _, line := range lines {
			out.Say("  ", line)
		}
	}
	more := ""
	if r.More {
		more = ", and more"
	}
	if len(r.Ignored) > 0 {
		out.Line("\nFields of the records that are ignored\n")
		out.Say("  ", strings.Join(r.Ignored, ", ")+more)
	}
	if len(r.Unmapped) > 0 {
		out.Line("\nAttributes of the records that the configuration does not use\n")
		out.Say("  ", strings.Join(r.Unmapped, ", ")+more)
	}
}

// printExample writes a request as Dixa would get it, indented.
func (p *runCmd) printExample(request string, body any) {
	var text bytes.Buffer
	if err := json.Indent(&text, term.CompactJSON(body), "  ", "  "); err != nil {
		panic(err) // it was written as JSON just now
	}
	p.stdout.Printf("  %s\n  %s\n", request, text.String())
}
