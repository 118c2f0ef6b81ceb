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

	"github.com/urfave/cli/v2"

	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

func (p *program) retryCommand() *cli.Command {
	return &cli.Command{
		Name:  "retry",
		Usage: "run again what failed",
		Description: "Without a choice: what failed, lacks its attributes, or was left with an error. It repairs: what has a " +
			"conversation gets only the attributes that are missing. A transcript in doubt is looked for in Dixa once " +
			"more, or settled as --resend, --drop or --conversation says. --drop is also for what cannot be mended.\n\n" + exitHelp,
		Flags: append([]cli.Flag{
			&cli.GenericFlag{Name: "status", Value: &texts{split: true}, Usage: "only transcripts of `STATUS`, such as failed or in_doubt; several with commas or repeated"},
			&cli.GenericFlag{Name: "code", Value: &texts{split: true}, Usage: "only those with the error `CODE`, such as refused; several with commas or repeated"},
			&cli.GenericFlag{Name: "id", Value: &texts{}, Usage: "only the transcript `ID`; may be repeated"},
			&cli.StringFlag{Name: "ids-file", Usage: "only the transcripts named in `FILE`, one id a line; - is standard input"},
			&cli.BoolFlag{Name: "resend", Usage: "in doubt: it is not in Dixa, send it"},
			&cli.BoolFlag{Name: "drop", Usage: "in doubt, failed or rejected, as chosen: it is not to be in Dixa, skip it for good"},
			&cli.Int64Flag{Name: "conversation", Usage: "in doubt: it is conversation `N`; for exactly one --id", DefaultText: "none"},
		}, paceFlags()...),
		Action: func(c *cli.Context) error { return p.make(c.Context, c, p.openRetry) },
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

// openRetry opens what the command retry works with.
func (p *program) openRetry(ctx context.Context, c *cli.Context) (_ *job, err error) {
	selection, err := p.selection(c)
	if err != nil {
		return nil, err
	}
	j, err := p.openJob(ctx, c, existingCheckpoint)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close())
		}
	}()
	if files, ok := j.config.Reader.(*source.JSONL); ok && !files.Rereadable() {
		return nil, fmt.Errorf("source.jsonl: %w, so that retry can look transcripts up in it", source.ErrCannotReread)
	}
	if len(selection.IDs) > 0 {
		if err := p.findNamed(ctx, j, selection.IDs); err != nil {
			return nil, err
		}
	}
	j.config.Command, j.config.Retry = "retry", &selection
	return j, nil
}

// selection reads the flags that choose transcripts and decide about them.
func (p *program) selection(c *cli.Context) (importer.Selection, error) {
	s := importer.Selection{Codes: textsOf(c, "code"), IDs: textsOf(c, "id")}
	var err error
	s.Statuses, err = statusesOf(c, func(s checkpoint.Status) bool { return s != checkpoint.Complete && s != checkpoint.Skipped }, "cannot be retried")
	if err != nil {
		return s, err
	}
	if c.IsSet("ids-file") {
		ids, err := p.readIDs(c.String("ids-file"))
		if err != nil {
			return s, err
		}
		s.IDs = append(s.IDs, ids...)
	}
	slices.Sort(s.IDs)
	s.IDs = slices.Compact(s.IDs)
	if len(s.IDs) == 0 && (c.IsSet("id") || c.IsSet("ids-file")) {
		return s, usagef("--id and --ids-file name no transcript")
	}
	return s, decide(c, &s)
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
		return usagef("--resend, --drop and --conversation exclude each other: keep one")
	case n == 1 && others:
		return usagef("--resend and --conversation are for transcripts that are in_doubt, --drop also for failed and rejected ones: leave the other --status out")
	case s.Decision == importer.Adopt && (len(s.IDs) != 1 || s.Conversation < 1):
		return usagef("--conversation needs the number of a conversation and exactly one --id")
	}
	return nil
}

// statusesOf reads the flag --status. Of the statuses that are not fit the error says why.
func statusesOf(c *cli.Context, fit func(checkpoint.Status) bool, why string) (statuses []checkpoint.Status, err error) {
	for _, name := range textsOf(c, "status") {
		status := checkpoint.Status(name)
		switch {
		case !slices.Contains(checkpoint.Statuses, status):
			return nil, usagef("--status: there is no status %q%s", name, orOneOf(name, statusNames()))
		case !fit(status):
			return nil, usagef("--status: transcripts that are %s %s", status, why)
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

// orOneOf proposes the name that was probably meant, or all of them.
func orOneOf(name string, names []string) string {
	if s := didYouMean(name, names); s != "" {
		return s
	}
	return "; there are " + strings.Join(names, ", ")
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

const (
	lookupBatch = 1000
	namedShown  = 20 // ids in one message at most
)

// findNamed says which of the ids the checkpoint does not know, or which there is nothing to do about. It returns an error
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
			if place := placeOf(j.config.Reader, id); place != "" && place != id && rows[id].Status == "" {
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
			case row.Status == checkpoint.Complete || row.Status == checkpoint.Skipped:
				settled = append(settled, id)
			}
			known++
		}
	}
	if len(settled) > 0 {
		p.log.Warn("these are complete or skipped: there is nothing to retry", "count", len(settled), "ids", some(settled))
	}
	if len(unknown) > 0 {
		p.log.Warn("the checkpoint does not know these transcripts", "source", j.config.Source, "count", len(unknown), "ids", some(unknown))
	}
	if known == 0 {
		return fmt.Errorf("source %s: the checkpoint knows none of the transcripts that were named (%s): correct --id or --ids-file, or import them with `dixa-import run`",
			j.config.Source, some(unknown))
	}
	return nil
}

// some writes a list of ids, or how it begins.
func some(ids []string) string {
	more := ""
	if len(ids) > namedShown {
		more = fmt.Sprintf(" and %d more", len(ids)-namedShown)
		ids = ids[:namedShown]
	}
	return strings.Join(ids, ", ") + more
}
