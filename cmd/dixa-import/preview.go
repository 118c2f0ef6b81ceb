package main

import (
	"cmp"
	"context"
	"errors"
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
	limit  int
	format string
	jsonl  []string
}

func previewCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "preview",
		Usage: "show what a source's records become",
		Description: "The first transcripts as chats, and totals over the whole source. Nothing is sent or recorded, and neither token nor database is needed. It shows what customers wrote.\n\n" +
			"To try a format: `dixa-import preview --format rasa --jsonl events.jsonl`, without a configuration file.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "limit", Value: 3, Usage: "show `N` chats"},
			&cli.StringFlag{Name: "format", Usage: "read with this format `NAME`; see `dixa-import formats`"},
			jsonlFlag("read `PATH` instead of the configured source; may be repeated"),
		},
		Action: action(func(c *cli.Context) (command, error) {
			r := &previewCmd{p, c.Int("limit"), c.String("format"), textsOf(c, "jsonl")}
			if r.limit < 0 {
				return nil, config.Usagef("--limit must be 0 or more")
			}
			if r.format != "" && len(r.jsonl) == 0 {
				return nil, config.Usagef("--format needs --jsonl: the format of the configured source is source.format")
			}
			return r, nil
		}),
	}
}

// previewJSON is what --json prints.
type previewJSON struct {
	Records     int64            `json:"records"`
	Groups      int64            `json:"groups"`
	Transcripts int64            `json:"transcripts"`
	Closed      int64            `json:"closed"`
	Open        int64            `json:"open"`
	Empty       int64            `json:"empty"`
	Rejected    map[string]int64 `json:"rejected"` // by code
	Identified  int64            `json:"identified"`
	Anonymous   int64            `json:"anonymous"`
	Messages    map[string]int64 `json:"messages"` // by role
	Dropped     map[string]int64 `json:"dropped"`  // by kind
	Chats       []chatJSON       `json:"chats"`
}

type chatJSON struct {
	ID        string            `json:"id"`
	CreatedAt time.Time         `json:"created_at"`
	ClosedAt  time.Time         `json:"closed_at"`
	EndUser   source.EndUser    `json:"end_user"`
	Messages  []chatMessageJSON `json:"messages"`
}

type chatMessageJSON struct {
	Role        source.Role         `json:"role"`
	At          time.Time           `json:"at"`
	Text        string              `json:"text"`
	Attachments []source.Attachment `json:"attachments"`
}

// Run does the command.
func (p *previewCmd) Run(ctx context.Context) error {
	s, err := p.source()
	if err != nil {
		return err
	}
	reader, closeReader, err := p.openSource(ctx, s, 10*time.Second)
	if err != nil {
		return err
	}
	defer closeReader()
	out := previewJSON{Rejected: map[string]int64{}, Messages: map[string]int64{}, Dropped: map[string]int64{}, Chats: []chatJSON{}}
	var reasons []string
	for r, err := range reader.Read(ctx, time.Time{}) {
		if err != nil {
			return err
		}
		if r.EndOfFile {
			continue
		}
		if reason := out.add(r, p.limit); reason != "" && len(reasons) < maxReasons {
			reasons = append(reasons, r.Place.String()+": "+reason)
		}
	}
	if c, ok := source.CountsOf(reader); ok {
		out.Records, out.Groups = c.Records, c.Groups
		maps.Copy(out.Dropped, c.Dropped)
	}
	if p.json {
		return p.stdout.JSON(out)
	}
	p.print(out, reasons)
	return nil
}

// source returns the source to read.
func (p *previewCmd) source() (config.Source, error) {
	if p.format != "" {
		s := config.Source{Paths: p.jsonl, Mapping: source.Mapping{Format: p.format}}
		if p.format == source.Canonical {
			s.Mapping = source.Mapping{}
		}
		return s, s.Mapping.Check()
	}
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return config.Source{}, err
	}
	file.Override(config.Overrides{JSONL: p.jsonl})
	return file.Source()
}

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
	if len(out.Chats) < limit {
		chat := chatJSON{ID: t.ID, CreatedAt: t.CreatedAt, ClosedAt: t.ClosedAt, EndUser: t.EndUser}
		for _, m := range t.Messages {
			chat.Messages = append(chat.Messages, chatMessageJSON{m.Role, m.At, m.Text, append([]source.Attachment{}, m.Attachments...)})
		}
		out.Chats = append(out.Chats, chat)
	}
	return ""
}

func (p *previewCmd) print(out previewJSON, reasons []string) {
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
	t.Write(p.stdout, "")
	for _, reason := range reasons {
		p.stdout.Say("", reason)
	}
}
