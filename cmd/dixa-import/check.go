package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"dixa-import/importer"
)

func (p *program) checkCommand() *cli.Command {
	return &cli.Command{
		Name:        "check",
		Usage:       "look whether everything that a run needs is there; writes nothing",
		Description: "Exit code 0 if a run can start, 1 if not.",
		Action:      action(p.check),
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
	attributes *importer.AttributeCheck // nil if Dixa could not be asked, or there is something wrong with them
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

func (p *program) check(ctx context.Context, _ *cli.Context) error {
	f := &preflight{program: p}
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
		return p.printJSON(struct {
			OK     bool      `json:"ok"`
			Checks []finding `json:"checks"`
		}{ok, findings})
	}
	t := table{heads: []string{"", "", ""}}
	for _, x := range findings {
		lines := strings.Split(x.Detail, "\n")
		t.row(x.State, x.Check, lines[0])
		for _, more := range lines[1:] {
			t.row("", "", more)
		}
	}
	t.write(p.stdout, "")
	if ok {
		p.stdout.line("")
		p.stdout.say("", "Ready: `"+p.commandLine("run --limit 10")+"` imports the first ten.")
	} else {
		p.stdout.line("\nNot ready: mend the errors above, then check again.")
	}
	return nil
}

// all makes every check that the ones before it allow.
func (f *preflight) all(ctx context.Context) {
	file, err := loadConfig(f.program.configPath, f.program.lookup)
	if err != nil {
		f.fail("config", err)
		return
	}
	api, apiErr := file.dixa()
	users, usersErr := file.endUsers()
	attributes, attributesErr := file.attributes()
	imports, importsErr := file.importing()
	src, srcErr := file.source()
	database, databaseErr := file.databaseURL()
	if err := errors.Join(apiErr, usersErr, attributesErr, importsErr, srcErr, databaseErr); err != nil {
		f.fail("config", err)
	} else {
		f.add("config", stateOK, "%s, source %s, end-users by %s", file.path, src.Name, list(users.Match))
	}
	organisation := ""
	if apiErr == nil {
		organisation = f.dixa(ctx, api, src.Name, attributes, attributesErr == nil)
	}
	if databaseErr == nil {
		f.database(ctx, database, src.Name, api.BaseURL, organisation)
	}
	if srcErr == nil {
		f.source(ctx, src, imports.DatabasePatience)
	}
}
