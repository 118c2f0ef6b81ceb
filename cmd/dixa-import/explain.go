package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/dixa"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
	"dixa-import/importer/plan"
	"dixa-import/source"
)

// explainCmd is the command explain.
type explainCmd struct {
	*program
	id     string
	online bool     // ask Dixa for the conversation
	jsonl  []string // files in the place of the source
}

func explainCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "show everything about one transcript",
		ArgsUsage: "ID",
		Args:      true,
		Description: "What the checkpoint knows, the source record, what is sent to Dixa, and what comes next. It shows what " +
			"customers wrote. ID may also be the place of a record, such as transcripts.jsonl:17.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "online", Usage: "ask Dixa for the conversation as it is now"},
			jsonlFlag("take the record from `PATH` instead of the configured source; may be repeated"),
		},
		Action: action(func(c *cli.Context) (command, error) {
			if c.Args().Len() != 1 {
				return nil, config.Usagef("explain needs the id of one transcript")
			}
			return &explainCmd{p, c.Args().First(), c.Bool("online"), textsOf(c, "jsonl")}, nil
		}),
	}
}

// explanationJSON is the story of one transcript as --json prints it.
type explanationJSON struct {
	transcriptJSON
	Known      bool       `json:"known"`
	Meaning    string     `json:"meaning"`
	ClosedAt   time.Time  `json:"closed_at,omitzero"`
	ImportedAt time.Time  `json:"imported_at,omitzero"`
	CreatedAt  time.Time  `json:"created_at,omitzero"` // in the checkpoint
	URL        string     `json:"url,omitempty"`
	Record     *foundJSON `json:"record"` // null: the source does not hold it
	// Request is the body of the import, Attributes what is set afterwards, by the names of the configuration.
	Request    *dixa.ConversationImport       `json:"request"`
	Attributes map[string]dixa.AttributeValue `json:"attributes"`
	// FollowUp is the id of the latest messages that the chat got after its import, FollowUps what the checkpoint knows of such messages.
	FollowUp  string           `json:"follow_up,omitempty"`
	FollowUps []transcriptJSON `json:"follow_ups,omitempty"`
	// Handover, Steps and Events are what the checkpoint has of what follows an import.
	Handover *handoverJSON      `json:"handover,omitempty"`
	Steps    []stepJSON         `json:"steps,omitempty"`
	Events   []eventJSON        `json:"events,omitempty"`
	Next     plan.Next          `json:"next"`
	Advice   string             `json:"advice,omitempty"`
	Commands []string           `json:"commands"`
	Dixa     *dixa.Conversation `json:"dixa,omitempty"`
}

// foundJSON is a record of the source.
type foundJSON struct {
	Place       string            `json:"place"`
	ContentHash string            `json:"content_hash"`
	Changed     bool              `json:"changed"` // since the version in the checkpoint
	Open        bool              `json:"open"`
	RejectCode  source.RejectCode `json:"reject_code,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Unknown     []string          `json:"unknown_fields"`
	Raw         string            `json:"raw"`              // as a transcript
	Origin      string            `json:"origin,omitempty"` // with source.format or source.transform: the records of the source, one a line
}

// Run does the command.
func (p *explainCmd) Run(ctx context.Context) (err error) {
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return err
	}
	file.Override(config.Overrides{JSONL: p.jsonl})
	url, databaseErr := file.DatabaseURL()
	src, sourceErr := file.Source()
	transcripts, transcriptsErr := file.Transcripts()
	users, usersErr := file.EndUsers()
	attributes, attributesErr := file.Attributes()
	imports, importsErr := file.Importing()
	api, apiErr := file.Dixa()
	if !p.online {
		apiErr = nil // what is sent can be shown without a token
	}
	if err := errors.Join(databaseErr, sourceErr, transcriptsErr, usersErr, attributesErr, importsErr, apiErr); err != nil {
		return err
	}
	store, err := connect.Checkpoint(ctx, url, connect.Read)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	config := importer.Config{Source: src.Name, Store: store, AgentID: "<bot user>", Match: users.Match, Region: users.Region,
		Empty: transcripts.Empty, Grown: transcripts.Grown, Anonymous: users.Anonymous, AnonymousName: users.AnonymousName, Ignore: users.Ignore, Attributes: attributes}
	if agent, err := api.BotUser(); err == nil {
		config.AgentID = agent
	}
	reader, closeReader, err := p.openSource(ctx, src, imports.DatabasePatience)
	if err != nil {
		p.log.Warn("the source cannot be asked", "error", err.Error())
	} else {
		defer closeReader()
		config.Reader = reader
	}
	id := p.id
	e, err := plan.Explain(ctx, config, id)
	if errors.Is(err, source.ErrCannotReread) {
		p.log.Warn("the source cannot be asked", "error", err.Error())
		config.Reader = nil
		e, err = plan.Explain(ctx, config, id)
	}
	if config.Reader != nil && errors.Is(err, plan.ErrUnknownTranscript) {
		if place := config.Reader.ResolvePlace(id); place != "" {
			id = place
			e, err = plan.Explain(ctx, config, id)
		}
	}
	if err != nil {
		return fmt.Errorf("source %s: transcript %s: %w", src.Name, id, err)
	}
	out := p.explanation(src.Name, id, file.ConversationURL(), e)
	if err := out.addFollowing(ctx, store); err != nil {
		return err
	}
	if p.online && e.Row.ConversationID != 0 {
		if out.Dixa, err = p.askFor(ctx, api, e.Row.ConversationID); err != nil {
			return err
		}
	}
	if p.json {
		return p.stdout.JSON(out)
	}
	return p.printExplanation(out, e)
}

// askFor reads a conversation from Dixa.
func (p *explainCmd) askFor(ctx context.Context, api config.Dixa, id int64) (*dixa.Conversation, error) {
	client, err := p.newClient(api, 1, 1, nil)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	conversation, err := client.GetConversation(ctx, id)
	return &conversation, advice.OnAnswer(err)
}

func (p *explainCmd) explanation(name, id, url string, e plan.Explanation) explanationJSON {
	row := e.Row
	row.ID = id
	out := explanationJSON{transcriptJSON: newTranscriptJSON(name, row, e.Partial), Known: e.Known, ClosedAt: row.ClosedAt,
		ImportedAt: row.ImportedAt, CreatedAt: row.CreatedAt, Request: e.Request, Attributes: e.Attributes, Next: e.Next, Commands: []string{}}
	if row.ConversationID != 0 {
		out.URL = report.Link("", url, row.ConversationID)
	}
	found := advice.For(row)
	if out.Meaning = found.Means; out.Meaning == "" {
		out.Meaning = advice.MeaningOf(row)
	}
	out.Advice = found.Advice
	for _, partial := range e.Partial {
		if c := advice.Partial[partial.Kind]; row.Status == checkpoint.Partial && out.Advice == "" {
			out.Advice = c.Advice
			found.GoesOn = c.GoesOn
		}
	}
	if e.Record != nil {
		r := &foundJSON{Place: e.Record.Place.String(), ContentHash: e.Record.Hash.String(), Changed: e.Changed, Open: e.Next == plan.NextSkips && e.Record.Open,
			Unknown: []string{}, Raw: string(e.Record.Shown()), Origin: string(e.Record.Origin())}
		if e.Rejected != nil {
			r.RejectCode, r.Reason = e.Rejected.Code, e.Rejected.Reason
		}
		if e.Transcript != nil {
			r.Unknown = append(r.Unknown, e.Transcript.Unknown...)
		}
		out.Record = r
	}
	out.FollowUp = e.FollowUp
	for _, part := range e.FollowUps {
		out.FollowUps = append(out.FollowUps, newTranscriptJSON(name, part, nil))
	}
	out.Commands = advice.CommandsFor(p.commandLine, row, e, found.GoesOn)
	return out
}

func (p *explainCmd) printExplanation(out explanationJSON, e plan.Explanation) error {
	p.stdout.Printf("%s / %s\n", out.Source, out.TranscriptID)
	p.explainCheckpoint(out, e.Row)
	p.explainFollowing(out)
	p.explainRecord(out, e)
	if out.Dixa != nil {
		p.section("Dixa")
		p.detail("state", out.Dixa.State)
		for _, a := range out.Dixa.CustomAttributes {
			text, err := json.Marshal(a.Value)
			if err != nil {
				return err
			}
			p.detail("attribute", a.Name+": "+string(text))
		}
	}
	if out.Record != nil && out.Record.Origin != "" {
		p.section("Records of the source")
		p.stdout.Line(strings.TrimSpace(out.Record.Origin))
		p.section("Transcript")
		p.stdout.Line(out.Record.Raw)
	}
	p.section("Next")
	next := advice.NextTexts[out.Next]
	if out.Next == plan.NextIgnores && (out.Status == checkpoint.Rejected || out.Status == checkpoint.Failed) {
		next += ", until the record is corrected"
	}
	p.detail("", next)
	p.detail("what to do", out.Advice)
	for i, command := range out.Commands {
		head := "command"
		if i > 0 {
			head = "or"
		}
		if i > 0 && strings.Contains(out.Commands[i-1], "--format transcripts > ") {
			head = "and then"
		}
		p.stdout.Command("  "+term.Padded(head, 14), command)
	}
	for _, part := range []struct {
		head  string
		value any
		show  bool
	}{{"Request", out.Request, out.Request != nil}, {"Attributes", out.Attributes, len(out.Attributes) > 0}} {
		if !part.show {
			continue
		}
		p.section(part.head)
		if err := p.stdout.JSON(part.value); err != nil {
			return err
		}
	}
	return nil
}

func (p *explainCmd) explainCheckpoint(out explanationJSON, row checkpoint.Row) {
	p.section("Checkpoint")
	if !out.Known {
		p.detail("", out.Meaning)
		return
	}
	status := string(out.Status)
	if out.ErrorCode != "" {
		status += ", " + out.ErrorCode
	}
	p.detail("status", status+": "+out.Meaning)
	p.detail("error", advice.Fact(row))
	for _, text := range partialTexts(out.transcriptJSON) {
		p.detail("partial error", text)
	}
	if out.ConversationID != 0 {
		p.detail("conversation", strings.TrimSpace(strconv.FormatInt(out.ConversationID, 10)+" "+out.URL))
	}
	p.detail("end-user", out.EndUserID)
	p.detail("attempts", strconv.Itoa(out.Attempts))
	p.detail("run", strconv.FormatInt(out.RunID, 10))
	for _, moment := range []struct {
		name string
		at   time.Time
	}{{"closed", out.ClosedAt}, {"known since", row.CreatedAt}, {"imported", out.ImportedAt}, {"updated", out.UpdatedAt}} {
		if !moment.at.IsZero() {
			p.detail(moment.name, moment.at.UTC().Format("2006-01-02 15:04:05.000")+" UTC")
		}
	}
}

func (p *explainCmd) explainRecord(out explanationJSON, e plan.Explanation) {
	p.section("Source")
	if out.Record == nil {
		p.detail("", "the source does not have it, or could not be read")
		return
	}
	p.detail("place", out.Record.Place)
	content := "the version in the checkpoint"
	switch {
	case !out.Known:
		content = "not known to the checkpoint"
	case out.Record.Changed:
		content = "changed since the version in the checkpoint"
	}
	p.detail("content", content+" ("+out.Record.ContentHash[:12]+")")
	for _, part := range out.FollowUps {
		p.detail("went on", fmt.Sprintf("as %s: %s", part.TranscriptID, part.Status))
	}
	if n := len(out.FollowUps); out.FollowUp != "" && (n == 0 || out.FollowUps[n-1].TranscriptID != out.FollowUp) {
		text := "new messages would be " + out.FollowUp
		if out.Next != plan.NextFollowsUp {
			text += ": set `transcripts.grown: follow_up` to import them"
		}
		p.detail("went on", text)
	}
	if out.Record.RejectCode != "" {
		p.detail("rejected", string(out.Record.RejectCode)+": "+out.Record.Reason)
	}
	if e.Empty {
		p.detail("empty", "there is no message to send")
	}
	if t := e.Transcript; t != nil && !t.ClosedAt.IsZero() {
		p.detail("closed", t.ClosedAt.Format("2006-01-02 15:04:05.000")+" UTC")
		p.detail("messages", strconv.Itoa(len(t.Messages)))
	} else if t != nil {
		p.detail("closed", "the chat is still open")
	}
	p.detail("ignored", strings.Join(slices.Clone(out.Record.Unknown), ", "))
}

func (p *explainCmd) section(name string) { p.stdout.Printf("\n%s\n", name) }

// detail writes a line of a section, or nothing where there is nothing to say.
func (p *explainCmd) detail(name, text string) {
	if text == "" {
		return
	}
	p.stdout.Say("  "+term.Padded(name, 14), text)
}
