package main

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/importer/connect"
)

// migrateCmd is the command migrate.
type migrateCmd struct{ *program }

func migrateCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:   "migrate",
		Usage:  "create or upgrade the checkpoint schema (run does it by itself on SQLite)",
		Action: action(func(*cli.Context) (command, error) { return &migrateCmd{p}, nil }),
	}
}

// Run does the command.
func (p *migrateCmd) Run(ctx context.Context) (err error) {
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return err
	}
	url, err := file.DatabaseURL()
	if err != nil {
		return err
	}
	store, err := connect.Open(ctx, url, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	from, to, err := store.Migrate(ctx)
	if err != nil {
		return err
	}
	if p.json {
		return p.stdout.JSON(struct {
			From int64 `json:"from"`
			To   int64 `json:"to"`
		}{from, to})
	}
	switch from {
	case to:
		p.stdout.Printf("The checkpoint schema has version %d already: nothing to do.\n", to)
	case 0:
		p.stdout.Printf("The checkpoint schema was created, version %d.\n", to)
	default:
		p.stdout.Printf("The checkpoint schema was upgraded from version %d to %d.\n", from, to)
	}
	return nil
}
