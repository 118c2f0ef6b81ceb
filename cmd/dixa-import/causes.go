package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"dixa-import/importer/checkpoint"
)

func (p *program) errorsCommand() *cli.Command {
	return &cli.Command{
		Name:  "errors",
		Usage: "say what failed and why, and what to do about it",
		Description: "By cause, or with --format one by one: csv, jsonl, or transcripts, which writes the source records of " +
			"what failed or was rejected, each with its reason in the field _error. Mend them, then import them with " +
			"`dixa-import run --jsonl FILE`. With --status partial it writes those that lack something in Dixa, for " +
			"`dixa-import retry --status partial --jsonl FILE`, which sets their attributes.",
		Flags: []cli.Flag{
			&cli.GenericFlag{Name: "status", Value: &texts{split: true}, Usage: "only transcripts of `STATUS`, such as failed; several with commas or repeated"},
			&cli.GenericFlag{Name: "code", Value: &texts{split: true}, Usage: "only those with the error `CODE`; several with commas or repeated"},
			&cli.StringFlag{Name: "format", Usage: "write one row for each transcript: `F` is csv, jsonl or transcripts", DefaultText: "by cause"},
			jsonlFlag("with --format transcripts, take the records from `PATH` instead of the configured source; may be repeated"),
		},
		Action: action(p.errors),
	}
}

// troubled are the statuses that need attention; pending and imported ones only with an error code.
var troubled = []checkpoint.Status{checkpoint.Failed, checkpoint.InDoubt, checkpoint.Rejected, checkpoint.Partial, checkpoint.Imported, checkpoint.Pending}

// mendable are the statuses of which a run takes a mended record.
var mendable = []checkpoint.Status{checkpoint.Failed, checkpoint.Rejected}

func (p *program) errors(ctx context.Context, c *cli.Context) (err error) {
	format := c.String("format")
	filter, err := troubleFilter(c)
	if err != nil {
		return err
	}
	file, err := loadConfig(p.configPath, p.lookup)
	if err != nil {
		return err
	}
	url, urlErr := file.databaseURL()
	name, nameErr := file.sourceName()
	if err := errors.Join(urlErr, nameErr); err != nil {
		return err
	}
	store, err := readCheckpoint(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if format == "transcripts" {
		return p.writeMendable(ctx, c, file, store, filter)
	}
	sources, err := sourcesOf(ctx, store, name)
	if err != nil {
		return err
	}
	if format != "" {
		return p.writeRows(ctx, store, sources, filter, format)
	}
	groups := make([]sourceCauses, 0, len(sources))
	for _, source := range sources {
		g, err := p.group(ctx, store, source, source == name, filter)
		if err != nil {
			return err
		}
		if g.Count > 0 {
			groups = append(groups, g)
		}
	}
	if p.json {
		return p.printJSON(struct {
			Sources []sourceCauses `json:"sources"`
		}{groups})
	}
	p.printCauseGroups(groups, len(textsOf(c, "status"))+len(textsOf(c, "code")) > 0)
	return nil
}

// troubleFilter reads the flags that choose among the transcripts that need attention.
func troubleFilter(c *cli.Context) (checkpoint.Filter, error) {
	f := checkpoint.Filter{Statuses: troubled, Codes: textsOf(c, "code")}
	format := c.String("format")
	switch {
	case format != "" && !slices.Contains([]string{"csv", "jsonl", "transcripts"}, format):
		return f, usagef("--format must be csv, jsonl or transcripts, not %q", format)
	case format != "" && c.Bool("json"):
		return f, usagef("--json and --format exclude each other: keep one")
	case format != "transcripts" && c.IsSet("jsonl"):
		return f, usagef("--jsonl is for --format transcripts")
	}
	if format == "transcripts" {
		f.Statuses = mendable
	}
	given, err := statusesOf(c, func(s checkpoint.Status) bool { return slices.Contains(troubled, s) }, "need no attention")
	if len(given) > 0 {
		f.Statuses = given
	}
	return f, err
}

// sourcesOf returns the sources that the checkpoint knows, the configured one first.
func sourcesOf(ctx context.Context, store checkpoint.Store, configured string) ([]string, error) {
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

// cause is what transcripts have in common that need attention for one reason.
type cause struct {
	Status    checkpoint.Status           `json:"status"`
	ErrorCode string                      `json:"error_code,omitempty"`
	Kind      checkpoint.PartialErrorKind `json:"kind,omitempty"`      // of partial errors
	Attribute string                      `json:"attribute,omitempty"` // of partial errors
	Message   string                      `json:"message,omitempty"`   // as Dixa or the reader said it, what differs between transcripts left out
}

// causeGroup is a cause and those that it concerns.
type causeGroup struct {
	cause
	Count    int64    `json:"count"`
	Means    string   `json:"means"`
	Advice   string   `json:"advice"`
	Commands []string `json:"commands"`
	Examples []string `json:"examples"`

	goesOn next
}

// sourceCauses are the causes in one source. A partial transcript with several partial errors is in several groups.
type sourceCauses struct {
	Source string        `json:"source"`
	Count  int64         `json:"count"`
	Groups []*causeGroup `json:"groups"`
}

const (
	troublePage   = 5000 // transcripts that are read at once
	causeExamples = 3
	causesMax     = 1000 // causes of one source that are told apart by their messages
)

// eachTrouble calls visit for every transcript of a source that needs attention, in the order of the ids.
func (p *program) eachTrouble(ctx context.Context, store checkpoint.Store, source string, f checkpoint.Filter, page int,
	visit func(rows []checkpoint.Row, partial map[string][]checkpoint.PartialError) error) error {
	for f.Limit = page; ; {
		rows, err := store.Select(ctx, source, 0, f)
		if err != nil || len(rows) == 0 {
			return err
		}
		f.After = rows[len(rows)-1].ID
		rows = slices.DeleteFunc(rows, func(r checkpoint.Row) bool {
			return r.ErrorCode == "" && (r.Status == checkpoint.Pending || r.Status == checkpoint.Imported)
		})
		var ids []string
		for _, r := range rows {
			if r.Status == checkpoint.Partial {
				ids = append(ids, r.ID)
			}
		}
		partial, err := store.PartialErrorsOf(ctx, source, ids)
		if err != nil {
			return err
		}
		if err := visit(rows, partial); err != nil {
			return err
		}
	}
}

// group counts the transcripts of a source by cause. configured says whether the source is that of the configuration.
func (p *program) group(ctx context.Context, store checkpoint.Store, source string, configured bool, f checkpoint.Filter) (sourceCauses, error) {
	causes := p.newCauses(configured)
	err := p.eachTrouble(ctx, store, source, f, troublePage, func(rows []checkpoint.Row, partial map[string][]checkpoint.PartialError) error {
		for _, r := range rows {
			causes.add(r, partial[r.ID])
		}
		return nil
	})
	return sourceCauses{source, causes.count, causes.sorted()}, err
}

// causeCounter counts transcripts by cause.
type causeCounter struct {
	p          *program
	configured bool
	count      int64
	groups     map[cause]*causeGroup
}

func (p *program) newCauses(configured bool) *causeCounter {
	return &causeCounter{p: p, configured: configured, groups: map[cause]*causeGroup{}}
}

// add counts a transcript; one that is partial counts for each of its partial errors.
func (n *causeCounter) add(r checkpoint.Row, partial []checkpoint.PartialError) {
	n.count++
	if r.Status != checkpoint.Partial {
		n.addTo(cause{Status: r.Status, ErrorCode: r.ErrorCode, Message: commonMessage(r)}, r.ID, r.Error)
		return
	}
	seen := map[cause]bool{}
	for _, e := range partial {
		c := cause{Status: r.Status, Kind: e.Kind, Attribute: e.Attribute, Message: normalise(e.Message)}
		if !seen[c] {
			seen[c] = true
			n.addTo(c, r.ID, e.Message)
		}
	}
}

func (n *causeCounter) addTo(c cause, id, said string) {
	if _, known := n.groups[c]; !known && len(n.groups) >= causesMax {
		c.Message = ""
	}
	g := n.groups[c]
	if g == nil {
		g = &causeGroup{cause: c, Examples: []string{}, Commands: []string{}}
		found := cureOf(c.Status, c.ErrorCode, said)
		if c.Kind != "" {
			found = partialCures[c.Kind]
		}
		g.Means, g.Advice, g.goesOn = found.means, found.advice, found.goesOn
		if n.configured {
			g.Commands = n.p.nextCommands(c, g.goesOn)
		}
		n.groups[c] = g
	}
	if g.Count++; len(g.Examples) < causeExamples {
		g.Examples = append(g.Examples, id)
	}
}

// sorted are the groups, the largest first.
func (n *causeCounter) sorted() []*causeGroup {
	return slices.SortedFunc(maps.Values(n.groups), func(a, b *causeGroup) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count),
			cmp.Compare(slices.Index(troubled, a.Status), slices.Index(troubled, b.Status)),
			cmp.Compare(a.ErrorCode, b.ErrorCode), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.Message, b.Message))
	})
}
