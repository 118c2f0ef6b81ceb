package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/importer/checkpoint"
)

// reportCmd is the command report.
type reportCmd struct {
	*program
	run    int64  // 0: the latest
	output string // "": a file named after the run
}

func reportCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "report",
		Usage: "write one HTML file about a run",
		Description: "What it did from minute to minute, what failed and why, and where the time went. The file needs nothing " +
			"else, not even a network, and holds ids of transcripts but nothing that customers wrote.",
		Flags: []cli.Flag{
			&cli.Int64Flag{Name: "run", Usage: "about run `N`", DefaultText: "the latest"},
			&cli.StringFlag{Name: "output", Usage: "write `FILE`; - is standard output", DefaultText: "dixa-import-run-N.html"},
		},
		Action: action(p.readReport),
	}
}

func (p *program) readReport(c *cli.Context) (command, error) {
	switch {
	case c.IsSet("run") && c.Int64("run") < 1:
		return nil, config.Usagef("--run must be the number of a run, from 1 up")
	case c.String("output") == "-" && p.json:
		return nil, config.Usagef("--json names the file that was written: it does not go with --output -")
	}
	return &reportCmd{p, c.Int64("run"), c.String("output")}, nil
}

// Run does the command.
func (p *reportCmd) Run(ctx context.Context) (err error) {
	file, store, err := p.configuredCheckpoint(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	run, err := findRun(ctx, store, p.run)
	if err != nil {
		return err
	}
	html, err := report.HTML(ctx, store, run, report.Options{Line: p.commandLine, ConversationURL: file.ConversationURL(), Version: version()})
	if err != nil {
		return err
	}
	return p.writeReport(cmp.Or(p.output, fmt.Sprintf("dixa-import-run-%d.html", run.ID)), run.ID, html)
}

// findRun returns a run, the latest one for 0.
func findRun(ctx context.Context, store *checkpoint.Store, id int64) (checkpoint.Run, error) {
	if id == 0 {
		runs, err := store.Runs(ctx, "", 1)
		if err == nil && len(runs) == 0 {
			err = errors.New("there was no run yet: `dixa-import run` makes one")
		}
		if err != nil {
			return checkpoint.Run{}, err
		}
		return runs[0], nil
	}
	run, found, err := store.Run(ctx, id)
	if err == nil && !found {
		err = fmt.Errorf("there is no run %d: `dixa-import status` lists the last ones", id)
	}
	return run, err
}

// writeReport writes the file as a whole or not at all.
func (p *reportCmd) writeReport(path string, run int64, html []byte) error {
	if path == "-" {
		_, err := p.stdout.Write(html)
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".dixa-import-*.html")
	if err == nil {
		_, err = f.Write(html)
		err = errors.Join(err, f.Chmod(0o644), f.Close())
		if err == nil {
			err = os.Rename(f.Name(), path)
		}
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) { // it names a file of another name
		err = pathError.Err
	}
	if err != nil {
		return fmt.Errorf("write the report %s: %w: name another file with --output", path, err)
	}
	if p.json {
		return p.stdout.JSON(struct {
			Run  int64  `json:"run"`
			File string `json:"file"`
		}{run, path})
	}
	p.stdout.Printf("%s is written: open it in a browser.\n", path)
	return nil
}
