package main

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"dixa-import/importer/checkpoint"
)

func (p *program) migrateCommand() *cli.Command {
	return &cli.Command{
		Name:   "migrate",
		Usage:  "create or upgrade the checkpoint schema (run does it by itself on SQLite)",
		Action: action(p.migrate),
	}
}

func (p *program) migrate(ctx context.Context, _ *cli.Context) (err error) {
	file, err := loadConfig(p.configPath, p.lookup)
	if err != nil {
		return err
	}
	url, err := file.databaseURL()
	if err != nil {
		return err
	}
	store, err := checkpoint.Open(ctx, url, checkpoint.Options{Create: true})
	if err != nil {
		return away(url, err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	from, to, err := store.Migrate(ctx)
	if err != nil {
		return err
	}
	if p.json {
		return p.printJSON(struct {
			From int64 `json:"from"`
			To   int64 `json:"to"`
		}{from, to})
	}
	switch from {
	case to:
		p.stdout.printf("The checkpoint schema has version %d already: nothing to do.\n", to)
	case 0:
		p.stdout.printf("The checkpoint schema was created, version %d.\n", to)
	default:
		p.stdout.printf("The checkpoint schema was upgraded from version %d to %d.\n", from, to)
	}
	return nil
}
