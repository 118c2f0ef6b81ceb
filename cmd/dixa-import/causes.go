package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"dixa-import/importer/checkpoint"
)

func (p *program) errorsCommand() *cli.Command {
	return &cli.Command{
		Name:  "errors",
		Usage: "say what failed and why, and what to do about it",
		Description: "By cause, or with --format one by one: csv, jsonl, or transcripts, which writes the source records of\n" +
			"what failed or was rejected, each with its reason in the field _error. Mend them, then import them with\n" +
			"`dixa-import run --jsonl FILE`.",
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
	p.printCauseGroups(groups)
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

// nextCommands are the command lines that go on with the transcripts of a cause.
func (p *program) nextCommands(c cause, goesOn next) []string {
	only := ""
	if c.ErrorCode != "" {
		only = " --code " + c.ErrorCode
	}
	if c.ErrorCode == "" || c.Status == checkpoint.InDoubt {
		only = " --status " + string(c.Status) + only
	}
	switch goesOn {
	case byMending:
		return []string{p.commandLine("errors" + only + " --format transcripts > mend.jsonl"), p.commandLine("run --jsonl mend.jsonl")}
	case byRetry, byDecision:
		return []string{p.commandLine("retry" + only)}
	case byRun:
		return []string{p.commandLine("run")}
	}
	return []string{}
}

// commandLine is how this program was called, with another command.
func (p *program) commandLine(command string) string {
	if p.configPath == "config.yaml" {
		return "dixa-import " + command
	}
	return "dixa-import --config " + shellQuoted(p.configPath) + " " + command
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+-]+$`)

// shellQuoted writes a word as a shell takes it.
func shellQuoted(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// saysNoMore are the codes whose message says nothing that the code does not, but in many ways.
var saysNoMore = map[string]bool{"unavailable": true, "not_found": true, "look_failed": true, "end_user_gone": true,
	"source_missing": true, "end_user_conflict": true, "end_user_missing": true, "unreadable": true, "conversation_taken": true,
	"attributes_unset": true, "file_damaged": true, "duplicate_id": true, "invalid_json": true}

// commonMessage is what the error of a transcript says about others, too.
func commonMessage(r checkpoint.Row) string {
	if saysNoMore[r.ErrorCode] {
		return ""
	}
	if r.Status == checkpoint.Rejected { // the reader's words, with an example of a time in them
		return anyIndex.ReplaceAllString(withoutPlace(r), "[N]")
	}
	return normalise(r.Error)
}

var placePrefix = regexp.MustCompile(`^(?:postgres:\S*|.+?:\d+): `)

// withoutPlace is the reason of a rejection; its place stands before it.
func withoutPlace(r checkpoint.Row) string {
	if rest, ok := strings.CutPrefix(r.Error, r.ID+": "); ok {
		return rest
	}
	return r.Error[len(placePrefix.FindString(r.Error)):]
}

// What differs between messages that mean the same.
var (
	anyUUID   = regexp.MustCompile(`[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`)
	anyURL    = regexp.MustCompile(`\bhttps?://\S+`)
	anyName   = regexp.MustCompile(`(?i)(external_?id: ?)\S+`)
	anyIndex  = regexp.MustCompile(`\[\d+\]`)
	anyNumber = regexp.MustCompile(`\b\d+\b`)
	status    = regexp.MustCompile(`\b[1-5]\d\d\b`)
)

// messageMax is how many characters of a message tell causes apart.
const messageMax = 200

// normalise leaves out of a message what differs between transcripts. The status of an answer stays.
func normalise(message string) string {
	message = anyUUID.ReplaceAllString(message, "<id>")
	message = anyURL.ReplaceAllString(message, "<url>")
	message = anyName.ReplaceAllString(message, "${1}<id>")
	message = anyNumber.ReplaceAllStringFunc(message, func(n string) string {
		if status.MatchString(n) {
			return n
		}
		return "N"
	})
	if runes := []rune(message); len(runes) > messageMax {
		message = string(runes[:messageMax]) + "..."
	}
	return message
}

func (p *program) printCauseGroups(sources []sourceCauses) {
	if len(sources) == 0 {
		p.stdout.line("There is nothing that needs attention.")
		return
	}
	for i, s := range sources {
		if i > 0 {
			p.stdout.line("")
		}
		needs := "need"
		if s.Count == 1 {
			needs = "needs"
		}
		p.stdout.printf("%s: %s %s attention\n", s.Source, plural(s.Count, "transcript"), needs)
		for _, g := range s.Groups {
			p.printCauseGroup(g)
		}
	}
}

const causeIndent = "          "

func (p *program) printCauseGroup(g *causeGroup) {
	name := string(g.Status)
	for _, part := range []string{g.ErrorCode, string(g.Kind), g.Attribute} {
		if part != "" {
			name += ", " + part
		}
	}
	p.stdout.printf("\n%8s  %s: %s\n", thousands(g.Count), name, g.Means)
	line := func(head, text string) {
		for i, l := range wrap(text, 100-len(causeIndent)-12) {
			if i > 0 {
				head = ""
			}
			p.stdout.line(strings.TrimRight(causeIndent+padded(head, 12)+l, " "))
		}
	}
	if g.Message != "" {
		line("said", g.Message)
	}
	line("what to do", g.Advice)
	line("such as", strings.Join(g.Examples, ", "))
	if g.goesOn == byDecision {
		line("one by one", p.commandLine("retry --id "+shellQuoted(g.Examples[0])+" --conversation N, or --resend, or --drop"))
	}
	head := "command"
	for _, command := range g.Commands { // each in one line, to be copied
		p.stdout.line(causeIndent + padded(head, 12) + command)
		head = "and then"
	}
}

func padded(s string, width int) string { return s + strings.Repeat(" ", max(0, width-len(s))) }

// wrap breaks a text into lines of at most width characters, where it has spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
