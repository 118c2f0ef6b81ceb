package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/source"
)

// initCmd is the command init.
type initCmd struct {
	*program
	files  []string
	format string
	name   string
}

func initCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:      "init",
		Usage:     "write a configuration for an export",
		ArgsUsage: "[FILE...]",
		Args:      true,
		Description: "Detects the format of the files, writes the configuration (--config, by default config.yaml; never over an existing one), and shows the first transcripts as chats. On a terminal it asks for " +
			"what the files do not say; else it takes the default. Nothing is sent.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Usage: "do not detect: it is this format `NAME`"},
			&cli.StringFlag{Name: "name", Usage: "the source's `NAME`, which becomes part of the ids in Dixa"},
		},
		Action: action(func(c *cli.Context) (command, error) {
			return &initCmd{p, c.Args().Slice(), c.String("format"), c.String("name")}, nil
		}),
	}
}

// initJSON is what --json prints.
type initJSON struct {
	Config string `json:"config"` // path
	Format string `json:"format"`
	previewJSON
}

// Run does the command.
func (p *initCmd) Run(ctx context.Context) error {
	ask := p.asker()
	if len(p.files) == 0 {
		file := ask("File, folder or pattern of the export", "")
		if file == "" {
			return config.Usagef("init needs the files of an export, such as `dixa-import init export.json`")
		}
		p.files = []string{file}
	}
	if _, err := os.Lstat(p.configPath); err == nil {
		return fmt.Errorf("%s exists already, and is not written over: rename it, or name another file with --config", p.configPath)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w: name another file with --config", p.configPath, err)
	}
	s, d, err := sourceOf(ctx, p.files)
	if err != nil {
		return err
	}
	if p.format != "" {
		s.Mapping = sourceIn(p.format, nil).Mapping
		if err := s.Mapping.Check(); err != nil {
			return err
		}
		d.Format = p.format
	}
	if p.format == "" && len(d.Misfits) > 0 {
		if s, d, err = p.without(ctx, d, ask); err != nil {
			return err
		}
	}
	if d.Format == "" {
		return fmt.Errorf("the format of the files is not known: %s. `dixa-import formats` lists those that are; choose one with --format", d.Reason)
	}
	if s.Name, err = p.sourceName(ask, d.Format); err != nil {
		return err
	}
	out, reasons, err := p.look(ctx, s, 3)
	if err != nil {
		return err
	}
	if out.Rejected[string(source.RejectTimeWithoutZone)] > 0 {
		if s.TimeZone, err = zoneOf(ask); err != nil {
			return err
		}
		if out, reasons, err = p.look(ctx, s, 3); err != nil {
			return err
		}
	}
	if n := out.Rejected[string(source.RejectRefused)] + out.Rejected[string(source.RejectNotATranscript)]; n > 0 && n == out.rejected() && out.Transcripts == 0 {
		return fmt.Errorf("none of the records is a transcript in the format %s, so no configuration is written: %s", d.Format, strings.Join(reasons[:min(len(reasons), 2)], "; "))
	}
	text := configText(s, d, out)
	if err := writeNew(p.configPath, text); err != nil {
		return err
	}
	if p.json {
		out.Values = nil
		return p.stdout.JSON(initJSON{p.configPath, d.Format, out})
	}
	p.stdout.Printf("%s is written. Format: %s\n\n", p.configPath, d.Format)
	if d.Reason != "" {
		p.stdout.Say("", "Note: "+d.Reason+".")
		p.stdout.Line("")
	}
	p.printPreview(out, reasons, p.stdout.Terminal())
	if s.TimeZone != nil {
		p.stdout.Line("")
		p.stdout.Say("", "Times in the files have no zone. They are read as "+s.TimeZone.String()+": correct source.time_zone if that is wrong.")
	}
	if f, ok := source.PresetNamed(d.Format); ok {
		p.stdout.Line("")
		p.stdout.Say("", "External id of the end-users: "+f.Identity()+". The key end_users.match decides what they are looked up by.")
	}
	p.stdout.Line("\nNext: put the API token of the bot user into the variable DIXA_API_TOKEN, then see what a run would do:\n")
	for _, command := range []string{p.commandLine("check"), p.commandLine("run --dry-run"), p.commandLine("run --limit 10"), p.commandLine("run")} {
		p.stdout.Command("  ", command)
	}
	return nil
}

// without asks whether to go on without the files that are of another format. Where there is nobody to ask, that is an error.
func (p *initCmd) without(ctx context.Context, d source.Detection, ask func(question, def string) string) (config.Source, source.Detection, error) {
	var none config.Source
	answer := ask(mixed(d).Error()+"\nGo on without these? (yes or no)", "no")
	if !strings.HasPrefix(strings.ToLower(answer), "y") {
		return none, d, mixed(d)
	}
	paths, err := source.Files(p.files, d.CSV)
	if err != nil {
		return none, d, err
	}
	paths = slices.DeleteFunc(paths, func(path string) bool {
		return slices.ContainsFunc(d.Misfits, func(m source.Misfit) bool { return m.Path == path })
	})
	s, d, err := sourceOf(ctx, paths)
	if err == nil && len(d.Misfits) > 0 {
		err = mixed(d)
	}
	return s, d, err
}

// asker returns a function that asks on a terminal; without one, it returns the default.
func (p *program) asker() func(question, def string) string {
	if !p.stdout.Terminal() || !term.IsTerminal(p.stdin) {
		return func(_, def string) string { return def }
	}
	in := bufio.NewScanner(p.stdin)
	return func(question, def string) string {
		if def != "" {
			question += " [" + def + "]"
		}
		p.stdout.Printf("%s: ", question)
		if !in.Scan() || strings.TrimSpace(in.Text()) == "" {
			return def
		}
		return strings.TrimSpace(in.Text())
	}
}

func (p *initCmd) sourceName(ask func(question, def string) string, format string) (string, error) {
	name := p.name
	if name == "" {
		def := format
		if format == source.Canonical {
			def = "chatbot"
		}
		name = ask("Name of the source, which becomes part of the ids in Dixa (a-z, 0-9, hyphen)", def)
	}
	if err := config.CheckSourceName(name); err != nil {
		return "", config.Usagef("the name of the source %s, not %q", err.Error(), name)
	}
	return name, nil
}

func zoneOf(ask func(question, def string) string) (*time.Location, error) {
	name := ask("The times have no zone. In which one were they written, such as Europe/Copenhagen?", "UTC")
	zone, err := config.ParseTimeZone(name)
	if err != nil {
		return nil, config.Usagef("%q %s", name, err.Error())
	}
	return zone, nil
}

// writeNew writes a file that does not exist yet.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// configText writes a configuration. What is not there has its default, which config.example.yaml shows.
func configText(s config.Source, d source.Detection, out previewJSON) string {
	var b strings.Builder
	add := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format, args...) }
	add("# All keys and their defaults: config.example.yaml. Values such as ${NAME} are variables of the environment.\n")
	add("dixa:\n  base_url: ${DIXA_BASE_URL:-https://dev.dixa.io}\n  token: ${DIXA_API_TOKEN} # of the bot user (Dixa: Settings > AI agents)\n\n")
	add("database: ${DATABASE_URL:-sqlite:dixa-import.db}\n\nsource:\n  name: %s # part of the ids in Dixa, so never change it\n", s.Name)
	kind := "jsonl"
	if s.CSV != nil {
		kind = "csv"
	}
	add("  %s:\n    paths:\n", kind)
	for _, path := range s.Paths {
		add("      - %s\n", quoted(filepath.ToSlash(path)))
	}
	if s.Encoding != "" {
		add("    encoding: %s\n", s.Encoding)
	}
	if s.Mapping.Format != "" {
		add("  format: %s # `dixa-import formats show %s` prints its program, to be copied and changed\n", s.Mapping.Format, s.Mapping.Format)
	}
	goesOn := false // a chat that counts as closed may go on
	if f, ok := source.PresetNamed(d.Format); ok {
		goesOn = f.SessionGap == 0 && f.Closed.Rule == source.ClosedIdle
		switch {
		case f.SessionGap > 0:
			add("  # session_gap: %s # a pause that ends a session\n", term.Short(f.SessionGap))
		case f.Closed.Rule == source.ClosedIdle:
			add("  # closed: file # all chats are closed; default: those in which nobody wrote for %s before the end of the data\n", term.Short(f.Closed.Idle))
		}
	}
	if s.TimeZone != nil {
		add("  time_zone: %s # of times without one: check that it is right\n", s.TimeZone)
	}
	if goesOn {
		add("\ntranscripts:\n  grown: follow_up # what a chat gets after its import becomes a conversation of its own, linked to the first; report: it is only counted\n")
	}
	add("\n# Replace personal data before anything is sent: %s\n# redact: [EMAIL_ADDRESS, PHONE_NUMBER]\n", strings.Join(source.RedactKinds(), ", "))
	if len(out.Values) > 0 {
		add("\n# Custom attributes: uncomment a line and name the attribute in Dixa (`dixa-import attributes` lists them).\n# Values that Dixa does not take are translated by a table.\nattributes:\n")
	}
	for _, name := range slices.Sorted(maps.Keys(out.Values)) {
		var values []string
		for _, value := range source.Dropped(out.Values[name]).Kinds()[:min(len(out.Values[name]), 8)] {
			values = append(values, quoted(oneLineOf(value))+`: ""`)
		}
		add("  # %s: {attribute: \"\", values: {%s}, else: omit}\n", quoted(name), strings.Join(values, ", "))
	}
	return b.String()
}

// quoted writes a text as a YAML string.
func quoted(text string) string {
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.-") == "" && !strings.ContainsAny(text[:1], "-.0123456789") {
		return text
	}
	return strconv.Quote(strings.ReplaceAll(text, "${", "$${"))
}
