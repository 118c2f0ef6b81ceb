package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/source"
)

// previewCmd is the command preview.
type previewCmd struct {
	*program
	limit      int
	format     string
	files      []string
	showValues bool
}

func previewCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:      "preview",
		Usage:     "show what a source's records become",
		ArgsUsage: "[FILE...]",
		Args:      true,
		Description: "The first transcripts as chats, and totals over the whole source: the configured one, or files, whose format is detected. Nothing is sent or recorded, and neither token nor " +
			"database is needed. It shows what customers wrote, with what redact replaces replaced.\n\n" +
			"To try a format: `dixa-import preview --format rasa events.jsonl`, without a configuration file.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "limit", Value: 3, Usage: "show `N` chats"},
			&cli.StringFlag{Name: "format", Usage: "read the files with this format `NAME`; see `dixa-import formats`"},
			&cli.BoolFlag{Name: "show-values", Usage: "list the values of attributes; on a terminal they are always listed"},
			jsonlFlag("read `PATH` instead of the configured source; may be repeated"),
		},
		Action: action(func(c *cli.Context) (command, error) {
			r := &previewCmd{p, c.Int("limit"), c.String("format"), append(textsOf(c, "jsonl"), c.Args().Slice()...), c.Bool("show-values")}
			if r.limit < 0 {
				return nil, config.Usagef("--limit must be 0 or more")
			}
			if r.format != "" && len(r.files) == 0 {
				return nil, config.Usagef("--format needs files: the format of the configured source is source.format")
			}
			return r, nil
		}),
	}
}

// previewJSON is what --json prints.
type previewJSON struct {
	Records     int64                       `json:"records"`
	Groups      int64                       `json:"groups"`
	Transcripts int64                       `json:"transcripts"`
	Closed      int64                       `json:"closed"`
	Open        int64                       `json:"open"`
	Empty       int64                       `json:"empty"`
	Rejected    map[string]int64            `json:"rejected"` // by code
	Identified  int64                       `json:"identified"`
	Anonymous   int64                       `json:"anonymous"`
	Messages    map[string]int64            `json:"messages"`         // by role
	Dropped     map[string]int64            `json:"dropped"`          // by kind
	Redacted    map[string]int64            `json:"redacted"`         // by kind
	Values      map[string]map[string]int64 `json:"values,omitempty"` // of attributes, by attribute and value
	Chats       []chatJSON                  `json:"chats"`
}

type chatJSON struct {
	ID        string            `json:"id"`
	CreatedAt time.Time         `json:"created_at"`
	ClosedAt  time.Time         `json:"closed_at"`
	EndUser   endUserJSON       `json:"end_user"`
	Messages  []chatMessageJSON `json:"messages"`
}

type chatMessageJSON struct {
	Role        source.Role      `json:"role"`
	At          time.Time        `json:"at"`
	Text        string           `json:"text"`
	Attachments []attachmentJSON `json:"attachments"`
}

type endUserJSON struct {
	ExternalID string `json:"external_id,omitempty"`
	Email      string `json:"email,omitempty"`
	Phone      string `json:"phone,omitempty"`
	Name       string `json:"name,omitempty"`
}

type attachmentJSON struct {
	URL  string `json:"url"`
	Name string `json:"name,omitempty"`
}

// Run does the command.
func (p *previewCmd) Run(ctx context.Context) error {
	s, err := p.source(ctx)
	if err != nil {
		return err
	}
	out, reasons, err := p.look(ctx, s, p.limit)
	if err != nil {
		return err
	}
	if p.json {
		if !p.showValues {
			out.Values = nil
		}
		return p.stdout.JSON(out)
	}
	p.printPreview(out, reasons, p.showValues || p.stdout.Terminal())
	return nil
}

// look reads a source whole, and keeps the first limit chats.
func (p *program) look(ctx context.Context, s config.Source, limit int) (previewJSON, []string, error) {
	out := previewJSON{Rejected: map[string]int64{}, Messages: map[string]int64{}, Dropped: map[string]int64{}, Redacted: map[string]int64{}, Values: map[string]map[string]int64{}, Chats: []chatJSON{}}
	reader, closeReader, err := p.openSource(ctx, s, 10*time.Second)
	if err != nil {
		return out, nil, err
	}
	defer closeReader()
	var reasons []string
	for r, err := range reader.Read(ctx, time.Time{}) {
		if err != nil {
			return out, nil, err
		}
		if r.EndOfFile {
			continue
		}
		if reason := out.add(r, limit); reason != "" && len(reasons) < maxReasons {
			reasons = append(reasons, r.Place.String()+": "+reason)
		}
	}
	if c, ok := source.CountsOf(reader); ok {
		out.Records, out.Groups = c.Records, c.Groups
		maps.Copy(out.Dropped, c.Dropped)
	}
	return out, reasons, nil
}

// source returns the source to read.
func (p *previewCmd) source(ctx context.Context) (config.Source, error) {
	if len(p.files) > 0 && p.format == "" && !p.configured() {
		s, d, err := sourceOf(ctx, p.files)
		if err == nil && d.Format == "" {
			err = fmt.Errorf("the format of the files is not known: %s. Name one with --format; `dixa-import formats` lists them", d.Reason)
		}
		if err == nil && len(d.Misfits) > 0 {
			err = mixed(d)
		}
		if err == nil && !p.json {
			p.stdout.Printf("Format: %s\n\n", d.Format)
		}
		return s, err
	}
	if p.format != "" {
		s := sourceIn(p.format, p.files)
		return s, s.Mapping.Check()
	}
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return config.Source{}, err
	}
	s, err := file.Source()
	if len(p.files) > 0 {
		s.Paths = p.files
	}
	return s, err
}

// configured reports whether there is a configuration for files.
func (p *previewCmd) configured() bool {
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return false
	}
	s, err := file.Source()
	return err == nil && len(s.Paths) > 0
}

// sourceIn makes a source of files in a format.
func sourceIn(format string, files []string) config.Source {
	s := config.Source{Paths: files}
	if format != source.Canonical {
		s.Mapping.Format = format
	}
	if f, ok := source.PresetNamed(format); ok && f.Table {
		s.CSV = &source.CSVConfig{}
	}
	return s
}

// sourceOf makes a source of files whose format is detected.
func sourceOf(ctx context.Context, files []string) (config.Source, source.Detection, error) {
	d, err := source.Detect(ctx, source.JSONLConfig{Paths: files})
	s := sourceIn(d.Format, files)
	s.Encoding = d.Encoding
	if d.CSV {
		s.CSV = &source.CSVConfig{}
	}
	return s, d, err
}

// mixed says which files are of another format than the others.
func mixed(d source.Detection) error {
	var text strings.Builder
	for _, m := range d.Misfits {
		text.WriteString("\n  " + m.String())
	}
	return fmt.Errorf("the files are not all of the format %s: leave these out, or read each format by itself, as a source of its own%s", d.Format, text.String())
}

// rejected returns how many records are rejected.
func (out *previewJSON) rejected() (n int64) {
	for _, of := range out.Rejected {
		n += of
	}
	return n
}

// maxDistinct is how many values of an attribute are counted.
const maxDistinct = 1000

// maxReasons is how many rejected records are named.
const maxReasons = 5

// add counts a record, and keeps it while there are fewer than limit chats. It returns why it was rejected.
func (out *previewJSON) add(r *source.Record, limit int) (reason string) {
	out.Records++
	t, err := r.Transcript()
	if err != nil {
		var e *source.RejectError
		if errors.As(err, &e) && e.Code == source.RejectNoMessages {
			out.Transcripts++
			out.Empty++
			return ""
		}
		if e == nil {
			return err.Error()
		}
		out.Rejected[string(e.Code)]++
		return e.Error()
	}
	out.Transcripts++
	if t.ClosedAt.IsZero() {
		out.Open++
		return ""
	}
	out.Closed++
	if t.EndUser.Anonymous() {
		out.Anonymous++
	} else {
		out.Identified++
	}
	for _, m := range t.Messages {
		out.Messages[string(m.Role)]++
	}
	for kind, n := range t.Redacted {
		out.Redacted[kind] += n
	}
	for name, v := range t.Attributes {
		values := out.Values[name]
		if values == nil {
			values = map[string]int64{}
			out.Values[name] = values
		}
		value := cmp.Or(strings.Join(v.List, " > "), v.Text)
		if _, known := values[value]; known || len(values) < maxDistinct {
			values[value]++
		}
	}
	if len(out.Chats) < limit {
		chat := chatJSON{ID: t.ID, CreatedAt: t.CreatedAt, ClosedAt: t.ClosedAt, EndUser: endUserJSON(t.EndUser)}
		for _, m := range t.Messages {
			message := chatMessageJSON{m.Role, m.At, m.Text, []attachmentJSON{}}
			for _, a := range m.Attachments {
				message.Attachments = append(message.Attachments, attachmentJSON(a))
			}
			chat.Messages = append(chat.Messages, message)
		}
		out.Chats = append(out.Chats, chat)
	}
	return ""
}

// printPreview writes a preview for people. values says whether values of attributes may be listed, which are customers' data.
func (p *program) printPreview(out previewJSON, reasons []string, values bool) {
	for _, c := range out.Chats {
		var who []string
		for _, part := range []string{c.EndUser.Name, c.EndUser.ExternalID, c.EndUser.Email, c.EndUser.Phone} {
			if part != "" {
				who = append(who, part)
			}
		}
		p.stdout.Printf("%s, %s, from %s to %s\n", c.ID, cmp.Or(strings.Join(who, ", "), "anonymous"), c.CreatedAt.Format(time.DateTime), c.ClosedAt.Format(time.DateTime))
		for _, m := range c.Messages {
			text := m.Text
			for _, a := range m.Attachments {
				text = strings.TrimPrefix(text+"\n", "\n") + "[" + strings.TrimSpace(a.Name+" "+a.URL) + "]"
			}
			before := "  " + m.At.Format(time.TimeOnly) + " " + term.Padded(string(m.Role), 6)
			for line := range strings.Lines(text) {
				p.stdout.Say(before, strings.TrimRight(line, "\n"))
				before = strings.Repeat(" ", len(before))
			}
		}
		p.stdout.Line("")
	}
	t := term.Table{Heads: []string{"", ">"}}
	add := func(name string, n int64, always bool) {
		if n > 0 || always {
			t.Row(name, term.Thousands(n))
		}
	}
	add("records", out.Records, true)
	add("groups", out.Groups, false)
	add("transcripts", out.Transcripts, true)
	add("  closed", out.Closed, true)
	add("  open", out.Open, false)
	add("  empty", out.Empty, false)
	for _, code := range slices.Sorted(maps.Keys(out.Rejected)) {
		add("rejected, "+code, out.Rejected[code], false)
	}
	add("identified", out.Identified, true)
	add("anonymous", out.Anonymous, false)
	for _, role := range slices.Sorted(maps.Keys(out.Messages)) {
		add("messages, "+role, out.Messages[role], false)
	}
	for _, kind := range source.Dropped(out.Dropped).Kinds() {
		add("dropped, "+kind, out.Dropped[kind], false)
	}
	for _, kind := range source.Dropped(out.Redacted).Kinds() {
		add("redacted, "+kind, out.Redacted[kind], false)
	}
	t.Write(p.stdout, "")
	if out.Open > 0 {
		p.stdout.Line("")
		p.stdout.Say("", "Open chats are imported once they are closed. If the files hold nothing that still goes on, set source.closed to file.")
	}
	if len(out.Values) > 0 && values {
		p.stdout.Line("")
		t := term.Table{Heads: []string{"ATTRIBUTE", ">COUNT", "VALUE"}}
		for _, name := range slices.Sorted(maps.Keys(out.Values)) {
			for _, value := range source.Dropped(out.Values[name]).Kinds()[:min(len(out.Values[name]), 10)] {
				t.Row(name, term.Thousands(out.Values[name][value]), oneLineOf(value))
			}
		}
		t.Write(p.stdout, "")
	}
	if len(reasons) > 0 {
		p.stdout.Line("")
	}
	for _, reason := range reasons {
		p.stdout.Say("", reason)
	}
	if more := out.rejected() - int64(len(reasons)); more > 0 && len(reasons) > 0 {
		p.stdout.Printf("and %s more\n", term.Thousands(more))
	}
}
