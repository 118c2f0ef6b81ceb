package main

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/metrics"
	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/dixa"
)

// program is one invocation of the command line.
type program struct {
	stdin   io.Reader
	stdout  *term.Output
	console *term.Console // standard error, shared by logs and progress
	lookup  func(string) (string, bool)

	configPath string
	json       bool
	log        *slog.Logger

	observe func(dixa.Operation, int, time.Duration) // each request to Dixa; nil: nobody counts them
	metrics *metrics.Run                             // nil: there is no --metrics-file

	metricsFailed bool // the last write, which is logged; for one goroutine at a time
}

// run is the whole program: it does what the arguments say, results to stdout, logs and progress to stderr.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	p := &program{stdin: stdin, stdout: term.NewOutput(stdout), console: term.NewConsole(stderr), lookup: os.LookupEnv}
	app := p.app()
	arranged, err := arrange(app, args)
	if err != nil {
		return err
	}
	return cmp.Or(app.RunContext(ctx, arranged), p.stdout.Failure())
}

func (p *program) app() *cli.App {
	app := &cli.App{
		Name:        "dixa-import",
		HelpName:    "dixa-import",
		Usage:       "imports the closed transcripts of a chatbot into Dixa, each exactly once",
		UsageText:   "dixa-import [--config FILE] COMMAND [flags]",
		Description: "To see it work: `dixa-import demo`. To begin: `dixa-import init FILE` writes config.yaml for an export; then `dixa-import check` and `dixa-import run`.\n\n" + exitHelp,
		Reader:      p.stdin, Writer: p.stdout, ErrWriter: p.console,
		HideHelp: true, HideHelpCommand: true, HideVersion: true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Value: "config.yaml", Usage: "the configuration `FILE`"},
			&cli.StringFlag{Name: "log-format", Value: "text", Usage: "text or json"},
			&cli.StringFlag{Name: "log-level", Value: "info", Usage: "debug, info, warn or error"},
			&cli.BoolFlag{Name: "json", Usage: "print results as JSON"},
			&cli.BoolFlag{Name: "version", Usage: "print the version"},
			helpFlag(),
		},
		Before:         p.before,
		Action:         p.noCommand,
		ExitErrHandler: func(*cli.Context, error) {}, // exitCode decides
		OnUsageError:   onUsageError,
		Commands: []*cli.Command{
			initCommand(p),
			runCommand(p),
			retryCommand(p),
			statusCommand(p),
			errorsCommand(p),
			explainCommand(p),
			reportCommand(p),
			verifyCommand(p),
			checkCommand(p),
			previewCommand(p),
			formatsCommand(p),
			attributesCommand(p),
			queuesCommand(p),
			migrateCommand(p),
			checkpointCommand(p),
			eventsCommand(p),
			serveCommand(p),
			webhooksCommand(p),
			reopenCommand(p),
			metricsCommand(p),
			undoCommand(p),
			forgetCommand(p),
			demoCommand(p),
			sandboxCommand(p),
		},
	}
	for _, c := range app.Commands {
		c.Flags = append(c.Flags, helpFlag())
		c.HideHelp, c.HideHelpCommand = true, true
		c.OnUsageError = onUsageError
	}
	return app
}

// helpFlag is a flag of its own for each command: the one of the library is shared by all programs in the process.
func helpFlag() cli.Flag {
	return &cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "show help", DisableDefaultText: true}
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	if found := badValue.FindStringSubmatch(err.Error()); found != nil {
		if _, duration := findFlag(c.Command.Flags, found[2]).(*cli.DurationFlag); duration {
			return config.Usagef("--%s: %s is not a duration: write a number with its unit, such as 5h, 30m or 90s", found[2], found[1])
		}
	}
	return config.Usagef("%s", err.Error())
}

// badValue is how the library says that the value of a flag cannot be read.
var badValue = regexp.MustCompile(`^invalid value ("(?:[^"\\]|\\.)*") for flag -([a-z-]+): `)

// before reads the global flags.
func (p *program) before(c *cli.Context) error {
	p.configPath, p.json = c.String("config"), c.Bool("json")
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return config.Usagef("--log-level must be debug, info, warn or error, not %q", c.String("log-level"))
	}
	options := &slog.HandlerOptions{Level: level}
	switch c.String("log-format") {
	case "text":
		p.log = slog.New(slog.NewTextHandler(p.console, options))
	case "json":
		p.log = slog.New(slog.NewJSONHandler(p.console, options))
	default:
		return config.Usagef("--log-format must be text or json, not %q", c.String("log-format"))
	}
	return nil
}

func (p *program) noCommand(c *cli.Context) error {
	if c.Bool("version") {
		p.stdout.Line("dixa-import " + version())
		return nil
	}
	return config.Usagef("no command was given")
}

// version is that of the module, or the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && v == "(devel)" {
			v += " " + s.Value
		}
	}
	return v + " " + info.GoVersion
}

// interruptible returns a context that ends with the first SIGINT or SIGTERM.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// command is a command whose flags are read: they are the fields of a struct.
type command interface {
	Run(ctx context.Context) error
}

// action runs the command that read makes of the flags, under a context that a signal ends.
func action(read func(c *cli.Context) (command, error)) cli.ActionFunc {
	return func(c *cli.Context) error {
		cmd, err := read(c)
		if err != nil {
			return err
		}
		ctx, stop := interruptible(c.Context)
		defer stop()
		return cmd.Run(ctx)
	}
}

// draining runs the command that read makes of the flags. What a signal does is left to the command.
func draining(read func(c *cli.Context) (command, error)) cli.ActionFunc {
	return func(c *cli.Context) error {
		cmd, err := read(c)
		if err != nil {
			return err
		}
		return cmd.Run(c.Context)
	}
}

// commandLine is how this program was called, with another command.
func (p *program) commandLine(command string) string {
	return advice.CommandsWith(p.configPath)(command)
}

// printSummary writes what a run has done.
func (p *program) printSummary(r report.Result) error {
	if p.json {
		return p.stdout.JSON(r.JSON())
	}
	r.Print(p.stdout)
	return nil
}
