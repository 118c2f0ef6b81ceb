package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// printPlan writes a plan for people.
func (p *program) printPlan(r planReport) {
	out := p.stdout
	work := r.Counts.Imported + r.Counts.Partial
	if work == 0 {
		out.printf("%s: there is nothing to import\n\n", r.source)
	} else {
		out.printf("%s: a run would import %s\n\n", r.source, plural(work, "transcript"))
	}
	p.printPlanCounts(r)
	p.printPlanCost(r)
	p.printPlanTroubles(r)
	for _, e := range r.Examples {
		out.printf("\n%s\n\n", e.ID)
		p.printExample("POST /v1/conversations/import", e.Import)
		if len(e.Attributes) > 0 {
			p.printExample("PATCH /v1/conversations/<conversation>/custom-attributes", e.Attributes)
		}
	}
	if !r.known {
		out.line("\nThere is no checkpoint yet, so nothing counts as imported.")
	}
	out.line("\nNothing was written, here or in Dixa.")
}

// printPlanCounts writes how many records are what.
func (p *program) printPlanCounts(r planReport) {
	c := r.Counts
	t := table{heads: []string{"", ">", ""}}
	add := func(name string, n int64, note string) {
		if n > 0 {
			t.row(name, thousands(n), note)
		}
	}
	t.row("read", thousands(c.Read), "")
	add("new", r.Work.New, "")
	add("left over", r.Work.Pending, "an earlier run did not come to them")
	add("closed now", r.Work.Closed, "they were open, or anonymous")
	add("mended", r.Work.Mended, "they failed or were rejected, and are others now")
	add("may be there", r.Work.Sending, "an earlier run did not learn: they are looked for in Dixa first")
	add("to be finished", r.Work.Attributes, "imported, their attributes are not set yet")
	add("already done", c.AlreadyDone-r.Changed-r.FailedBefore-r.RejectedBefore-r.InDoubt, "")
	add("changed", r.Changed, "since they were imported, which Dixa cannot take over")
	add("failed before", r.FailedBefore, "and the same since: `"+p.commandLine("errors")+"` says why")
	add("rejected before", r.RejectedBefore, "and the same since: `"+p.commandLine("errors")+"` says why")
	add("in doubt", r.InDoubt, "a person has to decide: `"+p.commandLine("errors")+"`")
	add("open", r.Open, "not closed yet")
	add("anonymous", c.Skipped-r.Open, "skipped by configuration, or dropped by a person")
	add("rejected", c.Rejected, "bad, see below")
	add("duplicate", c.Duplicate, "the same record again")
	add("in work", c.Pending, "another run works on them at the moment")
	t.write(p.stdout, "  ")
}

// printPlanCost writes what the run would take.
func (p *program) printPlanCost(r planReport) {
	q := r.Requests
	if r.Counts.Requests == 0 || r.Counts.Imported+r.Counts.Partial == 0 {
		return
	}
	t := table{heads: []string{"", ">", ""}}
	people := fmt.Sprintf("for %s not known yet", plural(r.People.Unknown, "end-user"))
	if r.People.Known > 0 {
		people += fmt.Sprintf("; known: %s", thousands(r.People.Known))
	}
	if q.Directory > 0 {
		t.row("list", thousands(q.Directory), "of all end-users, which end_users.preload asks for")
	}
	t.row("look-ups", thousands(q.LookUps), people)
	created := fmt.Sprintf("for about %s, many in one request", plural(r.People.Created, "end-user"))
	if r.People.Sampled > 0 && r.People.Sampled < r.People.Unknown {
		created += fmt.Sprintf(" (a sample of %d was looked up)", r.People.Sampled)
	}
	t.row("creations", thousands(q.Creations), created)
	if q.Looks > 0 {
		t.row("looks", thousands(q.Looks), "for conversations that may be there already")
	}
	t.row("imports", thousands(q.Imports), "")
	t.row("attributes", thousands(q.Patches), "")
	t.row("at the start", thousands(q.Start), "about the organisation and its attributes")
	t.row("requests", thousands(r.Counts.Requests), fmt.Sprintf("%.2f for each transcript",
		float64(r.Counts.Requests)/float64(r.Counts.Imported+r.Counts.Partial)))
	t.row("duration", roughly(r.Duration), r.pace())
	p.stdout.line("\nWhat it would take, about\n")
	t.write(p.stdout, "  ")
	p.printDirectory(r)
	if r.limit > 0 && r.Duration > r.limit {
		p.stdout.printf("\n--for %s stops it earlier: it takes about %d such runs.\n", short(r.limit), (r.Duration+r.limit-1)/r.limit)
	}
}

// printDirectory says what it would cost to list all end-users instead of looking them up, or the other way round.
func (p *program) printDirectory(r planReport) {
	d := r.Directory
	if d == nil {
		return
	}
	lookUps, list := plural(d.LookUps, "look-up"), plural(d.Requests, "request")
	if !d.Whole {
		list = "more than " + list
	}
	switch {
	case r.Requests.Directory > 0 && d.Whole:
		p.stdout.printf("\nWithout end_users.preload the list of all end-users would be %s.\n", lookUps)
	case r.Requests.Directory > 0:
		p.stdout.line("")
		p.stdout.say("", fmt.Sprintf("The list of all end-users takes %s, so all this takes longer. Without end_users.preload it would be %s.", list, lookUps))
	default:
		p.stdout.printf("\nWith end_users.preload the %s would be %s for the list of all end-users.\n", lookUps, list)
	}
	if !d.Whole {
		p.stdout.printf("The list pays if Dixa has fewer than about %s end-users.\n", thousands(d.LookUps*d.PerPage))
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

// printPlanTroubles writes what would be rejected, refused or ignored.
func (p *program) printPlanTroubles(r planReport) {
	out := p.stdout
	if len(r.Rejections) > 0 {
		out.line("\nWhat would be rejected")
		for _, x := range r.Rejections {
			out.line("")
			out.say(fmt.Sprintf("  %s  ", thousands(x.Count)), fmt.Sprintf("%s: %s", x.Code, advice(string(x.Code))))
			for _, place := range x.Places {
				out.say("   - ", place)
			}
			if more := x.Count - int64(len(x.Places)); more > 0 {
				out.printf("   - and %s more\n", thousands(more))
			}
		}
	}
	if len(r.Refused) > 0 {
		out.line("\nAttribute values that could not be set (the transcripts are imported all the same)\n")
		for _, x := range r.Refused {
			out.say(fmt.Sprintf("  %s  ", thousands(x.Count)), x.Attribute+": "+x.Reason)
		}
	}
	more := ""
	if r.More {
		more = ", and more"
	}
	if len(r.Ignored) > 0 {
		out.line("\nFields of the records that nothing reads\n")
		out.say("  ", strings.Join(r.Ignored, ", ")+more)
	}
	if len(r.Unmapped) > 0 {
		out.line("\nAttributes of the records that the configuration does not use\n")
		out.say("  ", strings.Join(r.Unmapped, ", ")+more)
	}
}

// printExample writes a request as Dixa would get it, indented.
func (p *program) printExample(request string, body any) {
	var text bytes.Buffer
	if err := json.Indent(&text, compactJSON(body), "  ", "  "); err != nil {
		panic(err) // it was written as JSON just now
	}
	p.stdout.printf("  %s\n  %s\n", request, text.String())
}
