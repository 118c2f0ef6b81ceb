package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
	"dixa-import/source"
)

// retryCmd is the command retry.
type retryCmd struct {
	importing
	selection importer.Selection
	named     bool      // --id or --ids-file is given
	idsFile   string    // "": none
	since     time.Time // with selection.Attributes
	dryRun    bool
}

func retryCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "retry",
		Usage: "retry what failed",
		Description: "By default: transcripts that failed, lack their attributes, or were left with an error. A transcript that has a " +
			"conversation only gets its missing attributes. A transcript in doubt is looked up in Dixa once " +
			"more, or settled as --resend, --drop or --conversation says. --drop is also for what cannot be corrected. " +
			"What `undo` took back is imported again with --id or --code undone. --attributes is for a changed mapping: it reads the source and " +
			"sets the attributes and tags that differ from what was set last.\n\n" + exitHelp,
		Flags: append([]cli.Flag{
			&cli.GenericFlag{Name: "status", Value: &texts{split: true}, Usage: "only transcripts of `STATUS`, such as failed or in_doubt; several with commas or repeated"},
			&cli.GenericFlag{Name: "code", Value: &texts{split: true}, Usage: "only those with the error `CODE`, such as refused; several with commas or repeated"},
			&cli.GenericFlag{Name: "id", Value: &texts{}, Usage: "only the transcript `ID`; may be repeated"},
			&cli.StringFlag{Name: "ids-file", Usage: "only the transcripts named in `FILE`, one id a line; - is standard input"},
			&cli.BoolFlag{Name: "resend", Usage: "in doubt: it is not in Dixa, send it"},
			&cli.BoolFlag{Name: "drop", Usage: "in doubt, failed or rejected: skip the selected transcripts permanently"},
			&cli.Int64Flag{Name: "conversation", Usage: "in doubt: it is conversation `N`; for exactly one --id", DefaultText: "none"},
			&cli.BoolFlag{Name: "attributes", Usage: "after a change of `attributes` or `tags` in the configuration: set what differs from what was set last, and nothing else"},
			&cli.StringFlag{Name: "since", Usage: "with --attributes: only transcripts that closed at `T` or later: RFC 3339 or a date (UTC)", DefaultText: "all"},
			&cli.BoolFlag{Name: "dry-run", Usage: "with --attributes: show what would be set; writes nothing"},
		}, paceFlags()...),
		Action: draining(p.readRetry),
	}
}

// texts is a flag that may be repeated. Unlike the one of the library it leaves commas alone unless told otherwise: an id
// may have some.
type texts struct {
	list  []string
	split bool
}

// Set adds a value.
func (t *texts) Set(s string) error {
	parts := []string{s}
	if t.split {
		parts = strings.Split(s, ",")
	}
	for _, part := range parts {
		if part = strings.TrimSpace(part); part != "" {
			t.list = append(t.list, part)
		}
	}
	return nil
}

// String is what the help shows as the default: nothing.
func (t *texts) String() string { return "" }

// textsOf returns the values of a flag that is a texts.
func textsOf(c *cli.Context, name string) []string {
	if t, ok := c.Generic(name).(*texts); ok {
		return t.list
	}
	return nil
}

// readRetry reads the flags of the command retry.
func (p *program) readRetry(c *cli.Context) (command, error) {
	r := &retryCmd{selection: importer.Selection{Codes: codesOf(c), IDs: textsOf(c, "id")},
		named: c.IsSet("id") || c.IsSet("ids-file"), idsFile: c.String("ids-file")}
	var err error
	r.selection.Statuses, err = statusesOf(c, func(s checkpoint.Status) bool { return s != checkpoint.Complete && s != checkpoint.Skipped }, "cannot be retried")
	if err != nil {
		return nil, err
	}
	if err := decide(c, &r.selection); err != nil {
		return nil, err
	}
	if err := r.readAttributes(c); err != nil {
		return nil, err
	}
	pace, err := paceOf(c)
	r.importing = importing{program: p, pace: pace, open: r.open}
	return r, err
}

// Run does the command.
func (p *retryCmd) Run(ctx context.Context) error {
	if p.dryRun {
		return p.plan(ctx)
	}
	return p.do(ctx)
}

// open opens what the command works with.
func (p *retryCmd) open(ctx context.Context) (_ *job, err error) {
	if err := p.addIDs(); err != nil {
		return nil, err
	}
	use := connect.Update
	if p.dryRun {
		use = connect.Look
	}
	j, err := p.openJob(ctx, p.pace, use)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close())
		}
	}()
	if !j.config.Reader.Rereadable() {
		return nil, fmt.Errorf("source.jsonl: %w, so that retry can look transcripts up in it", source.ErrCannotReread)
	}
	if len(p.selection.IDs) > 0 {
		if err := p.findNamed(ctx, j, p.selection.IDs); err != nil {
			return nil, err
		}
	}
	j.config.Command, j.config.Retry, j.config.Since = "retry", &p.selection, p.since
	return j, nil
}

// addIDs adds those of --ids-file to those of --id.
func (p *retryCmd) addIDs() error {
	s := &p.selection
	if p.idsFile != "" {
		ids, err := p.readIDs(p.idsFile)
		if err != nil {
			return err
		}
		s.IDs = append(s.IDs, ids...)
	}
	slices.Sort(s.IDs)
	s.IDs = slices.Compact(s.IDs)
	switch {
	case len(s.IDs) == 0 && p.named:
		return config.Usagef("--id and --ids-file name no transcript")
	case s.Decision == importer.Adopt && (len(s.IDs) != 1 || s.Conversation < 1):
		return config.Usagef("--conversation needs the number of a conversation and exactly one --id")
	}
	return nil
}

// codesOf reads the flag --code. The former name of a code means the present one.
func codesOf(c *cli.Context) []string {
	codes := textsOf(c, "code")
	for i := range codes {
		if codes[i] == "mended" {
			codes[i] = "corrected"
		}
	}
	return codes
}

// decide reads the flags that settle transcripts in doubt.
func decide(c *cli.Context, s *importer.Selection) error {
	n := 0
	for decision, given := range map[importer.Decision]bool{
		importer.Resend: c.Bool("resend"), importer.Drop: c.Bool("drop"), importer.Adopt: c.IsSet("conversation")} {
		if given {
			s.Decision = decision
			n++
		}
	}
	s.Conversation = c.Int64("conversation")
	fit := []checkpoint.Status{checkpoint.InDoubt}
	if s.Decision == importer.Drop {
		fit = append(fit, checkpoint.Failed, checkpoint.Rejected)
	}
	others := slices.ContainsFunc(s.Statuses, func(status checkpoint.Status) bool { return !slices.Contains(fit, status) })
	switch {
	case n > 1:
		return config.Usagef("--resend, --drop and --conversation exclude each other: keep one")
	case n == 1 && others:
		return config.Usagef("--resend and --conversation are for transcripts that are in_doubt, --drop also for failed and rejected ones: leave the other --status out")
	}
	return nil
}

// statusesOf reads the flag --status. Of the statuses that are not fit the error says why.
func statusesOf(c *cli.Context, fit func(checkpoint.Status) bool, why string) (statuses []checkpoint.Status, err error) {
	for _, name := range textsOf(c, "status") {
		status := checkpoint.Status(name)
		switch {
		case !slices.Contains(checkpoint.Statuses, status):
			return nil, config.Usagef("--status: there is no status %q%s", name, config.OrOneOf(name, statusNames()))
		case !fit(status):
			return nil, config.Usagef("--status: transcripts that are %s %s", status, why)
		}
		statuses = append(statuses, status)
	}
	return statuses, nil
}

func statusNames() []string {
	names := make([]string, len(checkpoint.Statuses))
	for i, s := range checkpoint.Statuses {
		names[i] = string(s)
	}
	return names
}

// readIDs reads a file with one id a line.
func (p *program) readIDs(path string) ([]string, error) {
	in := p.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("--ids-file: %w: name a file with one id a line, or - for standard input", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	var ids []string
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if id := strings.TrimSpace(line); id != "" {
			ids = append(ids, id)
		}
		switch {
		case errors.Is(err, io.EOF):
			return ids, nil
		case err != nil:
			return nil, fmt.Errorf("read --ids-file: %w", err)
		}
	}
}

const lookupBatch = 1000

// findNamed returns which of the ids the checkpoint does not know, or which there is nothing to do about. It returns an error
// if it knows none. Places that are named without their folders become those that the checkpoint knows.
func (p *program) findNamed(ctx context.Context, j *job, ids []string) error {
	var unknown, settled []string
	known := 0
	for batch := range slices.Chunk(ids, lookupBatch) {
		rows, err := j.config.Store.Lookup(ctx, j.config.Source, 0, batch)
		if err != nil {
			return err
		}
		var places []string
		for i, id := range batch {
			if place := j.config.Reader.ResolvePlace(id); place != "" && place != id && rows[id].Status == "" {
				batch[i] = place
				places = append(places, place)
			}
		}
		at, err := j.config.Store.Lookup(ctx, j.config.Source, 0, places)
		if err != nil {
			return err
		}
		maps.Copy(rows, at)
		for _, id := range batch {
			switch row, ok := rows[id]; {
			case !ok:
				unknown = append(unknown, id)
				continue
			case row.Status == checkpoint.Complete || row.Status == checkpoint.Skipped && row.ErrorCode != checkpoint.CodeUndone:
				settled = append(settled, id)
			}
			known++
		}
	}
	if len(settled) > 0 {
		p.log.Warn("these are complete or skipped, so there is nothing to retry", "count", len(settled), "ids", term.Some(settled))
	}
	if len(unknown) > 0 {
		p.log.Warn("the checkpoint does not know these transcripts", "source", j.config.Source, "count", len(unknown), "ids", term.Some(unknown))
	}
	if known == 0 {
		return fmt.Errorf("source %s: the checkpoint knows none of the given transcripts (%s): correct --id or --ids-file, or import them with `dixa-import run`",
			j.config.Source, term.Some(unknown))
	}
	return nil
}
