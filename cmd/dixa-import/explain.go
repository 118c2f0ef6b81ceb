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

	"dixa-import/dixa"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

func (p *program) explainCommand() *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "tell one transcript's whole story",
		ArgsUsage: "ID",
		Args:      true,
		Description: "What the checkpoint knows, the source record, what is sent to Dixa, and what comes next. It shows what " +
			"customers wrote. ID may also be the place of a record, such as transcripts.jsonl:17.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "online", Usage: "ask Dixa for the conversation as it is now"},
			jsonlFlag("take the record from `PATH` instead of the configured source; may be repeated"),
		},
		Action: action(p.explain),
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
	Next       importer.Next                  `json:"next"`
	Advice     string                         `json:"advice,omitempty"`
	Commands   []string                       `json:"commands"`
	Dixa       *dixa.Conversation             `json:"dixa,omitempty"`
}

// foundJSON is a record of the source.
type foundJSON struct {
	Place       string            `json:"place"`
	ContentHash string            `json:"content_hash"`
	Changed     bool              `json:"changed"` // since the version that the checkpoint knows
	Open        bool              `json:"open"`
	RejectCode  source.RejectCode `json:"reject_code,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Unknown     []string          `json:"unknown_fields"`
	Raw         string            `json:"raw"`
}

func (p *program) explain(ctx context.Context, c *cli.Context) (err error) {
	if c.Args().Len() != 1 {
		return usagef("explain needs the id of one transcript")
	}
	file, err := loadConfig(p.configPath, p.lookup)
	if err != nil {
		return err
	}
	overrideSource(file, c)
	url, databaseErr := file.databaseURL()
	src, sourceErr := file.source()
	users, usersErr := file.endUsers()
	attributes, attributesErr := file.attributes()
	imports, importsErr := file.importing()
	api, apiErr := file.dixa()
	if !c.Bool("online") {
		apiErr = nil // what is sent can be shown without a token
	}
	if err := errors.Join(databaseErr, sourceErr, usersErr, attributesErr, importsErr, apiErr); err != nil {
		return err
	}
	store, err := readCheckpoint(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	config := importer.Config{Source: src.Name, Store: store, AgentID: "<bot user>", Match: users.Match, Region: users.Region,
		Anonymous: users.Anonymous, Attributes: attributes}
	if agent, err := agentID(api); err == nil {
		config.AgentID = agent
	}
	reader, closeReader, err := p.openSource(ctx, src, imports.DatabasePatience)
	if err != nil {
		p.log.Warn("the source cannot be asked", "error", err.Error())
	} else {
		defer closeReader()
		config.Reader = reader
	}
	id := c.Args().First()
	e, err := importer.Explain(ctx, config, id)
	if errors.Is(err, source.ErrCannotReread) {
		p.log.Warn("the source cannot be asked", "error", err.Error())
		config.Reader = nil
		e, err = importer.Explain(ctx, config, id)
	}
	if place := placeOf(config.Reader, id); place != "" && errors.Is(err, importer.ErrUnknownTranscript) {
		id = place
		e, err = importer.Explain(ctx, config, id)
	}
	if err != nil {
		return fmt.Errorf("source %s: transcript %s: %w", src.Name, id, err)
	}
	out := p.explanation(src.Name, id, file.conversationURL(), e)
	if c.Bool("online") && e.Row.ConversationID != 0 {
		if out.Dixa, err = p.askFor(ctx, api, e.Row.ConversationID); err != nil {
			return err
		}
	}
	if p.json {
		return p.printJSON(out)
	}
	return p.printExplanation(out, e)
}

// placeOf returns the place in the source that a shortened one means, "" if it means none.
func placeOf(reader importer.Reader, id string) string {
	if files, ok := reader.(*source.JSONL); ok {
		return files.Place(id)
	}
	return ""
}

// askFor reads a conversation from Dixa.
func (p *program) askFor(ctx context.Context, api dixaSettings, id int64) (*dixa.Conversation, error) {
	client, err := p.newClient(api, 1, 1, nil)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	conversation, err := client.GetConversation(ctx, id)
	return &conversation, advised(err)
}

func (p *program) explanation(name, id, url string, e importer.Explanation) explanationJSON {
	row := e.Row
	row.ID = id
	out := explanationJSON{transcriptJSON: newTranscriptJSON(name, row, e.Partial), Known: e.Known, ClosedAt: row.ClosedAt,
		ImportedAt: row.ImportedAt, CreatedAt: row.CreatedAt, Request: e.Request, Attributes: e.Attributes, Next: e.Next, Commands: []string{}}
	if row.ConversationID != 0 {
		out.URL = link("", url, row.ConversationID)
	}
	found := cureOf(row.Status, row.ErrorCode, row.Error)
	if out.Meaning = found.means; out.Meaning == "" {
		out.Meaning = meaningOf(row)
	}
	out.Advice = found.advice
	for _, partial := range e.Partial {
		if c := partialCures[partial.Kind]; row.Status == checkpoint.Partial && out.Advice == "" {
			out.Advice = c.advice
			found.goesOn = c.goesOn
		}
	}
	if e.Record != nil {
		r := &foundJSON{Place: e.Record.Place.String(), ContentHash: e.Record.Hash.String(), Changed: e.Changed, Open: e.Next == importer.NextSkips && e.Record.Open,
			Unknown: []string{}, Raw: string(e.Record.Raw())}
		if e.Rejected != nil {
			r.RejectCode, r.Reason = e.Rejected.Code, e.Rejected.Reason
		}
		if e.Transcript != nil {
			r.Unknown = append(r.Unknown, e.Transcript.Unknown...)
		}
		out.Record = r
	}
	out.Commands = p.commandsFor(row, e, found.goesOn)
	return out
}

// commandsFor are the command lines that go on with a transcript.
func (p *program) commandsFor(row checkpoint.Row, e importer.Explanation, goesOn next) []string {
	retry := p.commandLine("retry --id " + shellQuoted(row.ID))
	switch {
	case e.Next == importer.NextWaits:
	case e.Next != importer.NextIgnores && e.Next != importer.NextSkips && e.Next != importer.NextRejects:
		return []string{p.commandLine("run")}
	case row.Status == checkpoint.InDoubt:
		return []string{retry, retry + " --resend", retry + " --drop", retry + " --conversation N"}
	case row.Status == checkpoint.Rejected:
		return []string{retry + " --drop"}
	case row.Status == checkpoint.Failed && e.Record != nil, row.Status == checkpoint.Partial && goesOn == byRetry:
		return []string{retry}
	}
	return []string{}
}

// meaningOf says in words what a status without an error means.
func meaningOf(row checkpoint.Row) string {
	switch row.Status {
	case checkpoint.Complete:
		return "it is in Dixa, and nothing is missing"
	case checkpoint.Partial:
		return "it is in Dixa, with a problem"
	case checkpoint.Imported:
		return "it is in Dixa, its attributes are not set yet"
	case checkpoint.Sending:
		return "an import request may be on its way"
	case checkpoint.Pending:
		return "it is known and was not sent"
	case checkpoint.Skipped:
		return map[string]string{"mended": "the record goes on as another transcript", "open": "the chat was still open", "anonymous": "nobody is known in it, which the configuration skips",
			"dropped": "a person decided not to import it"}[row.ErrorCode]
	}
	return "nothing is known of it yet"
}

var nextTexts = map[importer.Next]string{
	importer.NextImports:    "the next run imports it",
	importer.NextReconciles: "the next run looks in Dixa whether it arrived, and sends it if it did not",
	importer.NextFinishes:   "the next run sets its attributes",
	importer.NextRejects:    "the next run rejects it again, until the record is mended",
	importer.NextSkips:      "the next run skips it",
	importer.NextIgnores:    "the next run leaves it as it is",
	importer.NextWaits:      "a run works on it at this moment",
}

func (p *program) printExplanation(out explanationJSON, e importer.Explanation) error {
	p.stdout.printf("%s / %s\n", out.Source, out.TranscriptID)
	p.explainCheckpoint(out, e.Row)
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
	p.section("Next")
	p.detail("", nextTexts[out.Next])
	p.detail("what to do", out.Advice)
	for i, command := range out.Commands {
		p.stdout.command("  "+padded([]string{"command", "or"}[min(i, 1)], 14), command)
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
		if err := p.printJSON(part.value); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) explainCheckpoint(out explanationJSON, row checkpoint.Row) {
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
	p.detail("error", out.Error)
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

func (p *program) explainRecord(out explanationJSON, e importer.Explanation) {
	p.section("Source")
	if out.Record == nil {
		p.detail("", "the source does not hold it, or could not be asked")
		return
	}
	p.detail("place", out.Record.Place)
	content := "the version that the checkpoint knows"
	switch {
	case !out.Known:
		content = "not known to the checkpoint"
	case out.Record.Changed:
		content = "changed since the version that the checkpoint knows"
	}
	p.detail("content", content+" ("+out.Record.ContentHash[:12]+")")
	if out.Record.RejectCode != "" {
		p.detail("rejected", string(out.Record.RejectCode)+": "+out.Record.Reason)
	}
	if t := e.Transcript; t != nil && !t.ClosedAt.IsZero() {
		p.detail("closed", t.ClosedAt.Format("2006-01-02 15:04:05.000")+" UTC")
		p.detail("messages", strconv.Itoa(len(t.Messages)))
	} else if t != nil {
		p.detail("closed", "the chat is still open")
	}
	p.detail("ignored", strings.Join(slices.Clone(out.Record.Unknown), ", "))
}

func (p *program) section(name string) { p.stdout.printf("\n%s\n", name) }

// detail writes a line of a section, or nothing where there is nothing to say.
func (p *program) detail(name, text string) {
	if text == "" {
		return
	}
	p.stdout.say("  "+padded(name, 14), text)
}
