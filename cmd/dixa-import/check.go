package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/plan"
)

// checkCmd is the command check.
type checkCmd struct{ *program }

func checkCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:        "check",
		Usage:       "check everything that a run needs; writes nothing",
		Description: "Exit code 0 if a run can start, 1 if not.",
		Action:      action(func(*cli.Context) (command, error) { return &checkCmd{p}, nil }),
	}
}

// The states of a finding.
const (
	stateOK      = "ok"
	stateWarning = "warning"
	stateError   = "error"
)

// finding is what one check found.
type finding struct {
	Check  string `json:"check"`
	State  string `json:"state"`
	Detail string `json:"detail"`
}

// preflight collects findings.
type preflight struct {
	program    *program
	findings   []finding
	attributes *plan.AttributeCheck // nil if Dixa could not be asked, or there is something wrong with them

	own  checkpoint.SourceMark                     // of the source, as the checkpoint knows it
	mark func(checkpoint.SourceMark) importer.Mark // what a run would find; nil if it would not look
}

func (f *preflight) add(check, state, format string, args ...any) {
	f.findings = append(f.findings, finding{check, state, fmt.Sprintf(format, args...)})
}

// fail adds an error; each of several joined ones is a finding of its own.
func (f *preflight) fail(check string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // what is joined further down is one error
		for _, e := range joined.Unwrap() {
			f.fail(check, e)
		}
		return
	}
	f.add(check, stateError, "%s", err.Error())
}

// Run does the command.
func (p *checkCmd) Run(ctx context.Context) error {
	f := &preflight{program: p.program}
	f.all(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	bad := slices.ContainsFunc(f.findings, func(x finding) bool { return x.State == stateError })
	if err := p.printFindings(f.findings, !bad); err != nil {
		return err
	}
	if bad {
		return ended(importer.OutcomeAborted)
	}
	return nil
}

func (p *program) printFindings(findings []finding, ok bool) error {
	if p.json {
		return p.stdout.JSON(struct {
			OK     bool      `json:"ok"`
			Checks []finding `json:"checks"`
		}{ok, findings})
	}
	t := term.Table{Heads: []string{"", "", ""}}
	for _, x := range findings {
		lines := strings.Split(x.Detail, "\n")
		t.Row(x.State, x.Check, lines[0])
		for _, more := range lines[1:] {
			t.Row("", "", more)
		}
	}
	t.Write(p.stdout, "")
	if ok {
		p.stdout.Line("")
		p.stdout.Say("", "Ready: `"+p.commandLine("run --limit 10")+"` imports the first ten.")
	} else {
		p.stdout.Line("\nNot ready: fix the errors above, then check again.")
	}
	return nil
}

// all makes every check that the ones before it allow.
func (f *preflight) all(ctx context.Context) {
	file, err := config.Load(f.program.configPath, f.program.lookup)
	if err != nil {
		f.fail("config", err)
		return
	}
	api, apiErr := file.Dixa()
	transcripts, transcriptsErr := file.Transcripts()
	users, usersErr := file.EndUsers()
	attributes, attributesErr := file.Attributes()
	finishing, finishingErr := file.Finishing()
	imports, importsErr := file.Importing()
	src, srcErr := file.Source()
	database, databaseErr := file.DatabaseURL()
	if err := errors.Join(apiErr, transcriptsErr, usersErr, attributesErr, finishingErr, importsErr, srcErr, databaseErr); err != nil {
		f.fail("config", err)
	} else {
		f.add("config", stateOK, "%s, source %s, end-users by %s", file.Path, src.Name, term.List(users.Match))
	}
	organisation := ""
	if apiErr == nil {
		organisation = f.dixa(ctx, api, src.Name, attributes, attributesErr == nil, finishing)
	}
	if databaseErr == nil && f.database(ctx, database, src.Name, api.BaseURL, organisation) && f.mark != nil && src.Name != "" {
		f.checkMark(src.Name)
	}
	if srcErr == nil {
		f.source(ctx, src, transcripts.Empty, users, imports.DatabasePatience)
	}
}
