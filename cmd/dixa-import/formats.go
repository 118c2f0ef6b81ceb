package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/source"
)

// formatsCmd is the command formats.
type formatsCmd struct {
	*program
	action string // list, show or detect
	args   []string
	sql    bool // show the query instead of the program
}

func formatsCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:      "formats",
		Usage:     "list the formats that are read, print one, or find out which one a file has",
		ArgsUsage: "[show NAME | detect FILE...]",
		Args:      true,
		Description: "Without arguments: all formats. `show NAME` prints the program of one, to be copied and changed; use the copy with source.transform. " +
			"`detect FILE...` says which format the first records of files have.",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "sql", Usage: "with show: print a query for source.postgres.query, for the tables that the product keeps in Postgres"}},
		Action: action(func(c *cli.Context) (command, error) {
			args := c.Args().Slice()
			if c.Bool("sql") && (len(args) == 0 || args[0] != "show") {
				return nil, config.Usagef("--sql is for formats show NAME only")
			}
			switch {
			case len(args) == 0:
				return &formatsCmd{p, "list", nil, false}, nil
			case args[0] == "show" && len(args) == 2, args[0] == "detect" && len(args) > 1:
				return &formatsCmd{p, args[0], args[1:], c.Bool("sql")}, nil
			case args[0] == "show":
				return nil, config.Usagef("formats show needs the name of one format: `dixa-import formats` lists them")
			case args[0] == "detect":
				return nil, config.Usagef("formats detect needs a file")
			}
			return nil, config.Usagef("formats knows show and detect, not %q", args[0])
		}),
	}
}

type formatJSON struct {
	Name   string `json:"name"`
	Title  string `json:"title"`
	Record string `json:"record"`
}

type detectedJSON struct {
	File   string   `json:"file"`
	Format string   `json:"format"` // "": none fits
	Also   []string `json:"also"`
	Reason string   `json:"reason,omitempty"`
	Other  []string `json:"other,omitempty"` // files of a folder or a pattern that are of another format, each with what it is
}

// Run does the command.
func (p *formatsCmd) Run(ctx context.Context) error {
	switch p.action {
	case "show":
		return p.show(p.args[0])
	case "detect":
		return p.detect(ctx)
	}
	list := []formatJSON{{source.Canonical, "transcripts as README.md describes them", "an object with id, messages and closed_at"}}
	for _, f := range source.Presets() {
		list = append(list, formatJSON{f.Name, f.Title, f.Record})
	}
	if p.json {
		return p.stdout.JSON(list)
	}
	t := term.Table{Heads: []string{"FORMAT", "WHAT"}}
	for _, f := range list {
		t.Row(f.Name, f.Title)
	}
	t.Write(p.stdout, "")
	return nil
}

func (p *formatsCmd) show(name string) error {
	f, ok := source.PresetNamed(name)
	if !ok {
		names := []string{}
		for _, f := range source.Presets() {
			names = append(names, f.Name)
		}
		return config.Usagef("there is no format %q%s", name, config.DidYouMean(name, names))
	}
	if p.json {
		return p.stdout.JSON(formatJSON{f.Name, f.Title, f.Record})
	}
	if p.sql {
		if f.SQL == "" {
			return config.Usagef("there is no query for %s, which is read from files", name)
		}
		p.stdout.Printf("%s", f.SQL)
		return nil
	}
	p.stdout.Printf("%s", f.Text)
	p.stdout.Line("\n# Functions that a program may use beside those of jq:")
	for line := range strings.Lines(source.PresetFunctions()) {
		p.stdout.Printf("#   %s", line)
	}
	return nil
}

func (p *formatsCmd) detect(ctx context.Context) error {
	var out []detectedJSON
	var unknown []string
	for _, file := range p.args {
		d, err := source.Detect(ctx, source.JSONLConfig{Paths: []string{file}})
		if err != nil {
			return err
		}
		found := detectedJSON{File: file, Format: d.Format, Also: []string{}, Reason: d.Reason}
		for _, m := range d.Also {
			found.Also = append(found.Also, m.Format)
		}
		for _, m := range d.Misfits {
			found.Other = append(found.Other, m.String())
		}
		if d.Format == "" || len(d.Misfits) > 0 {
			unknown = append(unknown, file)
		}
		out = append(out, found)
	}
	if p.json {
		if err := p.stdout.JSON(out); err != nil {
			return err
		}
	} else {
		p.printDetected(out)
	}
	if len(unknown) > 0 {
		return fmt.Errorf("no format fits %s as a whole: `dixa-import formats` lists the formats", strings.Join(unknown, ", "))
	}
	return nil
}

func (p *formatsCmd) printDetected(out []detectedJSON) {
	for _, d := range out {
		switch {
		case d.Format == "":
			p.stdout.Say(d.File+": ", "unknown: "+d.Reason)
		case d.Reason != "":
			p.stdout.Say(d.File+": ", d.Format+"; "+d.Reason)
		default:
			p.stdout.Say(d.File+": ", d.Format)
		}
		for _, other := range d.Other {
			p.stdout.Say("  ", "but "+other)
		}
	}
}
