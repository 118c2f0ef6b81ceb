package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
)

// checkpointCmd is the command checkpoint.
type checkpointCmd struct {
	*program
	action string // copy, backup or reclaim
	to     string // of copy: the address
	file   string // of backup
}

func checkpointCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:      "checkpoint",
		Usage:     "move the checkpoint to another database, back it up, or use a moved one again",
		ArgsUsage: "copy --to URL | backup FILE | reclaim",
		Args:      true,
		Description: "`copy --to URL` moves the checkpoint to an empty database: SQLite, Postgres, or from one to the other. It compares all rows. After that, set `database` to the new one: " +
			"the old one refuses to run. Stop `run` and `serve` first. If it is interrupted, the same command goes on. To go back, copy the new one to the old one.\n\n" +
			"`backup FILE` writes a copy of a SQLite checkpoint to a new file; runs may go on meanwhile. A backup does not know what was imported after it. So the first run of a restored one stops " +
			"unless it has --reconcile, which looks in Dixa before every send: use it over the whole source. For Postgres, use pg_dump; what was restored from that is not recognized, so give --reconcile yourself.\n\n" +
			"`reclaim` makes a checkpoint usable again that was moved, when the new database is lost. Its first run needs --reconcile. It also gives up a copy that is not finished.",
		Flags: []cli.Flag{&cli.StringFlag{Name: "to", Usage: "with copy: the database to move to, `URL`, such as sqlite:new.db or '${NEW_DATABASE_URL}', which keeps the password out of the command line"}},
		Action: action(func(c *cli.Context) (command, error) {
			args := c.Args().Slice()
			if len(args) == 0 {
				return nil, config.Usagef("checkpoint needs copy, backup or reclaim")
			}
			cmd := &checkpointCmd{program: p, action: args[0], to: c.String("to")}
			switch {
			case cmd.action != "copy" && c.IsSet("to"):
				return nil, config.Usagef("--to is for checkpoint copy")
			case cmd.action == "copy" && cmd.to == "":
				return nil, config.Usagef("checkpoint copy needs --to and the address of the other database")
			case cmd.action == "backup" && len(args) == 2:
				cmd.file = args[1]
				return cmd, nil
			case cmd.action == "backup":
				return nil, config.Usagef("checkpoint backup needs the name of one new file")
			case cmd.action != "copy" && cmd.action != "reclaim":
				return nil, config.Usagef("checkpoint knows copy, backup and reclaim, not %q", cmd.action)
			case len(args) > 1:
				return nil, config.Usagef("checkpoint %s takes no arguments, but got %q", cmd.action, args[1])
			}
			return cmd, nil
		}),
	}
}

// Run does the command.
func (p *checkpointCmd) Run(ctx context.Context) (err error) {
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return err
	}
	url, err := file.DatabaseURL()
	if err != nil {
		return err
	}
	target := ""
	if p.action == "copy" {
		if target, err = file.DatabaseOf("to", p.to); err != nil {
			return err
		}
	}
	store, err := connect.Open(ctx, url, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	switch p.action {
	case "copy":
		return p.copy(ctx, store, connect.Shown(url), target)
	case "backup":
		return p.backup(ctx, store)
	}
	return p.reclaim(ctx, store)
}

type copyJSON struct {
	Database string                   `json:"database"`
	Tables   []checkpoint.CopiedTable `json:"tables"`
	Seconds  float64                  `json:"seconds"`
}

func (p *checkpointCmd) copy(ctx context.Context, from *checkpoint.Store, name, target string) (err error) {
	to, err := connect.Open(ctx, target, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	began, said := time.Now(), time.Now()
	result, err := checkpoint.Copy(ctx, from, to, checkpoint.CopyOptions{FromName: name, ToName: connect.Shown(target),
		Progress: func(doing, table string, rows int64) {
			if time.Since(said) > 10*time.Second {
				said = time.Now()
				p.log.Info("copying the checkpoint", "step", doing, "table", table, "rows", rows)
			}
		}})
	if err != nil {
		return err
	}
	seconds := time.Since(began).Seconds()
	if p.json {
		return p.stdout.JSON(copyJSON{connect.Shown(target), result.Tables, seconds})
	}
	var rows int64
	t := term.Table{Heads: []string{"", ">"}}
	for _, table := range result.Tables {
		t.Row(table.Name, term.Thousands(table.Rows))
		rows += table.Rows
	}
	p.stdout.Printf("The checkpoint was moved to %s: %s, all compared, in %s\n\n", connect.Shown(target), term.Plural(rows, "row"), term.RoughDuration(time.Since(began)))
	t.Write(p.stdout, "  ")
	if result.Before > 0 {
		p.stdout.Printf("\nAn earlier attempt had copied %s.\n", term.Plural(result.Before, "row"))
	}
	p.stdout.Line("")
	p.stdout.Say("", fmt.Sprintf("Now set `database` to that one. %s refuses to run: keep it until you are sure, then delete it.", name))
	return nil
}

func (p *checkpointCmd) backup(ctx context.Context, store *checkpoint.Store) error {
	if err := store.CheckSchema(ctx); err != nil {
		return err
	}
	size, err := store.Backup(ctx, p.file)
	if errors.Is(err, checkpoint.ErrNotSQLite) {
		return config.Usagef("%s", err.Error())
	}
	if err != nil {
		return err
	}
	if p.json {
		return p.stdout.JSON(struct {
			File  string `json:"file"`
			Bytes int64  `json:"bytes"`
		}{p.file, size})
	}
	p.stdout.Printf("The checkpoint was backed up to %s (%s bytes).\n", p.file, term.Thousands(size))
	p.stdout.Say("", "To restore it, stop all runs, remove the database with its -wal and -shm files, put the backup in its place, and run once with --reconcile over the whole source.")
	return nil
}

func (p *checkpointCmd) reclaim(ctx context.Context, store *checkpoint.Store) error {
	was, err := store.Reclaim(ctx)
	if err != nil {
		return err
	}
	moved := was.State == checkpoint.CopyMoved
	if p.json {
		return p.stdout.JSON(struct {
			Moved bool `json:"moved"`
		}{moved})
	}
	if !moved {
		p.stdout.Say("", fmt.Sprintf("The copy to %s was given up, and this checkpoint is usable again. Delete what was copied.", was.Other))
		return nil
	}
	p.stdout.Say("", fmt.Sprintf("This checkpoint is usable again. It does not know what was imported with %s, so the next run must be `%s`, over the whole source. Do not use both.",
		was.Other, p.commandLine("run --reconcile")))
	return nil
}
