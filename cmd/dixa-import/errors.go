package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
)

// errorsCmd is the command errors.
type errorsCmd struct {
	*program
	filter checkpoint.Filter
	chosen bool     // the filter is a person's choice
	format string   // "": by cause
	jsonl  []string // files in the place of the source
}

func errorsCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "errors",
		Usage: "list what failed, why, and what to do about it",
		Description: "By cause, or with --format one by one: csv, jsonl, or transcripts, which writes the source records of " +
			"what failed or was rejected, each with its reason in the field _error. Correct them, then import them with " +
			"`dixa-import run --jsonl FILE`. With --status partial it writes those that lack something in Dixa, for " +
			"`dixa-import retry --status partial --jsonl FILE`, which sets their attributes.",
		Flags: []cli.Flag{
			&cli.GenericFlag{Name: "status", Value: &texts{split: true}, Usage: "only transcripts of `STATUS`, such as failed; several with commas or repeated"},
			&cli.GenericFlag{Name: "code", Value: &texts{split: true}, Usage: "only those with the error `CODE`; several with commas or repeated"},
			&cli.StringFlag{Name: "format", Usage: "write one row for each transcript: `F` is csv, jsonl or transcripts", DefaultText: "by cause"},
			jsonlFlag("with --format transcripts, take the records from `PATH` instead of the configured source; may be repeated"),
		},
		Action: action(func(c *cli.Context) (command, error) {
			filter, err := troubleFilter(c)
			return &errorsCmd{p, filter, len(textsOf(c, "status"))+len(textsOf(c, "code")) > 0, c.String("format"), textsOf(c, "jsonl")}, err
		}),
	}
}

// correctable are the statuses of which a run takes a corrected record.
var correctable = []checkpoint.Status{checkpoint.Failed, checkpoint.Rejected}

// Run does the command.
func (p *errorsCmd) Run(ctx context.Context) (err error) {
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return err
	}
	url, urlErr := file.DatabaseURL()
	name, nameErr := file.SourceName()
	if err := errors.Join(urlErr, nameErr); err != nil {
		return err
	}
	store, err := connect.Checkpoint(ctx, url, connect.Read)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if p.format == "transcripts" {
		return p.writeCorrectable(ctx, file, store)
	}
	sources, err := sourcesOf(ctx, store, name)
	if err != nil {
		return err
	}
	if p.format != "" {
		return p.writeRows(ctx, store, sources)
	}
	groups := make([]advice.SourceCauses, 0, len(sources))
	for _, source := range sources {
		line := advice.Commander(p.commandLine)
		if source != name {
			line = nil
		}
		g, err := advice.OfSource(ctx, store, source, line, p.filter)
		if err != nil {
			return err
		}
		if g.Count > 0 {
			groups = append(groups, g)
		}
	}
	if p.json {
		return p.stdout.JSON(struct {
			Sources []advice.SourceCauses `json:"sources"`
		}{groups})
	}
	p.printCauseGroups(groups)
	return nil
}

// troubleFilter reads the flags that choose among the transcripts that need attention.
func troubleFilter(c *cli.Context) (checkpoint.Filter, error) {
	f := checkpoint.Filter{Statuses: advice.Troubled, Codes: codesOf(c)}
	format := c.String("format")
	switch {
	case format != "" && !slices.Contains([]string{"csv", "jsonl", "transcripts"}, format):
		return f, config.Usagef("--format must be csv, jsonl or transcripts, not %q", format)
	case format != "" && c.Bool("json"):
		return f, config.Usagef("--json and --format exclude each other: keep one")
	case format != "transcripts" && c.IsSet("jsonl"):
		return f, config.Usagef("--jsonl is for --format transcripts")
	}
	if format == "transcripts" {
		f.Statuses = correctable
	}
	given, err := statusesOf(c, func(s checkpoint.Status) bool { return slices.Contains(advice.Troubled, s) }, "need no attention")
	if len(given) > 0 {
		f.Statuses = given
	}
	return f, err
}

// sourcesOf returns the sources that the checkpoint knows, the configured one first.
func sourcesOf(ctx context.Context, store *checkpoint.Store, configured string) ([]string, error) {
	totals, err := store.Totals(ctx, "", 0)
	if err != nil {
		return nil, err
	}
	var sources []string
	for _, t := range totals {
		sources = append(sources, t.Source)
	}
	slices.SortFunc(sources, func(a, b string) int {
		if (a == configured) != (b == configured) {
			return map[bool]int{true: -1, false: 1}[a == configured]
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(sources), nil
}

func (p *errorsCmd) printCauseGroups(sources []advice.SourceCauses) {
	if len(sources) == 0 && p.chosen {
		p.stdout.Line("There is nothing with that status or code.")
		return
	}
	if len(sources) == 0 {
		p.stdout.Line("There is nothing that needs attention.")
		return
	}
	for i, s := range sources {
		if i > 0 {
			p.stdout.Line("")
		}
		needs := "need"
		if s.Count == 1 {
			needs = "needs"
		}
		p.stdout.Printf("%s: %s %s attention\n", s.Source, term.Plural(s.Count, "transcript"), needs)
		for _, g := range s.Groups {
			p.printCauseGroup(g)
		}
	}
}

const causeIndent = "           "

func (p *errorsCmd) printCauseGroup(g *advice.Group) {
	name := string(g.Status)
	for _, part := range []string{g.ErrorCode, string(g.Kind), g.Attribute} {
		if part != "" {
			name += ", " + part
		}
	}
	p.stdout.Line("")
	p.stdout.Say(fmt.Sprintf("%9s  ", term.Thousands(g.Count)), name+": "+g.Means)
	line := func(head, text string) { p.stdout.Say(causeIndent+term.Padded(head, 12), text) }
	if g.Message != "" {
		line("said", g.Message)
	}
	line("what to do", g.Advice)
	line("such as", strings.Join(g.Examples, ", "))
	if g.GoesOn == advice.ByDecision {
		line("one by one", p.commandLine("retry --id "+term.ShellQuoted(g.Examples[0])+" --conversation N, or --resend, or --drop"))
	}
	head := "command"
	for _, command := range g.Commands {
		p.stdout.Command(causeIndent+term.Padded(head, 12), command)
		head = "and then"
	}
	if g.GoesOn == advice.ByCorrection && len(g.Commands) > 0 && (g.Status == checkpoint.Rejected || g.Status == checkpoint.Failed) {
		p.stdout.Command(causeIndent+term.Padded("or dismiss", 12), p.commandLine("retry --drop --code "+g.ErrorCode))
	}
}
