package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer/plan"
)

// readAttributes reads --attributes and the flags that belong to it.
func (p *retryCmd) readAttributes(c *cli.Context) (err error) {
	p.selection.Attributes, p.dryRun = c.Bool("attributes"), c.Bool("dry-run")
	if !p.selection.Attributes {
		for _, name := range []string{"since", "dry-run"} {
			if c.IsSet(name) {
				return config.Usagef("--%s is for --attributes only", name)
			}
		}
		return nil
	}
	for _, name := range []string{"status", "code", "id", "ids-file", "resend", "drop", "conversation"} {
		if c.IsSet(name) {
			return config.Usagef("--attributes works on all transcripts: leave --%s out", name)
		}
	}
	if p.dryRun && (c.IsSet("metrics-file") || c.IsSet("notify-command")) {
		return config.Usagef("--metrics-file and --notify-command are for runs that import: leave them out with --dry-run")
	}
	if c.IsSet("since") {
		p.since, err = parseTime("since", c.String("since"))
	}
	return err
}

// plan shows what --attributes would set.
func (p *retryCmd) plan(ctx context.Context) error {
	return p.planning(ctx, func(ctx context.Context, j *job) (show func() error, err error) {
		values, err := plan.SetAgain(ctx, j.config)
		return func() error {
			if p.json {
				return p.stdout.JSON(values)
			}
			p.printValues(j.config.Source, values)
			return nil
		}, err
	})
}

// printValues writes a plan for people.
func (p *retryCmd) printValues(source string, v plan.Values) {
	out := p.stdout
	if v.Differing == 0 {
		out.Printf("%s: there is nothing to set\n\n", source)
	} else {
		out.Printf("%s: `retry --attributes` would set attributes or tags of %s\n\n", source, term.Plural(v.Differing, "transcript"))
	}
	t := term.Table{Heads: []string{"", ">", ""}}
	add := func(name string, n int64, note string) {
		if n > 0 {
			t.Row(name, term.Thousands(n), note)
		}
	}
	t.Row("imported", term.Thousands(v.Transcripts), "transcripts that the source still has as they were imported")
	for _, name := range slices.Sorted(maps.Keys(v.Attributes)) {
		add(name, v.Attributes[name], "to set, because the value differs from what was set last")
	}
	for _, name := range slices.Sorted(maps.Keys(v.Refused)) {
		add(name, v.Refused[name], "cannot be set: they become partial errors")
	}
	add("tags", v.Tags, "to add")
	add("left", v.Leftover, "attributes and tags that are not mapped any more: Dixa's API cannot remove them")
	add("changed", v.Changed, "the record is another one than was imported: they are left alone")
	add("others", v.Others, "not imported yet, or another run works on them")
	pace := ""
	if v.PerSecond > 0 && v.Requests > 0 {
		pace = fmt.Sprintf("%s at %g requests a second", term.Roughly(time.Duration(float64(v.Requests)/v.PerSecond*float64(time.Second))), v.PerSecond)
	}
	t.Row("requests", term.Thousands(v.Requests), pace)
	t.Write(out, "  ")
	out.Line("\nNothing was written, here or in Dixa.")
}
