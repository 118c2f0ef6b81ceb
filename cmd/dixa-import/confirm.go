package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
)

// confirm asks whether to go on, and says otherwise if the answer is not yes. Where nobody can answer, --yes is needed.
func (p *program) confirm(ctx context.Context, question, otherwise string) (bool, error) {
	if !term.IsTerminal(p.stdin) {
		return false, config.Usagef("standard input is not a terminal, so there is no one to confirm: pass --yes")
	}
	return p.asked(ctx, question, otherwise)
}

// asked puts a question and reports whether the answer is yes.
func (p *program) asked(ctx context.Context, question, otherwise string) (bool, error) {
	if _, err := fmt.Fprint(p.console, question+" Type yes: "); err != nil {
		return false, err
	}
	answers := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(p.stdin).ReadString('\n')
		answers <- line
	}()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case line := <-answers:
		if strings.TrimSpace(line) == "yes" {
			return true, nil
		}
	}
	p.stdout.Line(otherwise)
	return false, nil
}
