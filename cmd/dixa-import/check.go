package main

import (
	"github.com/urfave/cli/v2"
)

func (p *program) checkCommand() *cli.Command { return &cli.Command{Name: "check"} }
