package main

import (
	"testing"

	"github.com/urfave/cli/v2"
)

func TestTheCommandThatGoesOnHasTheFlagsOfThisOne(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"run", []string{"run", "--for", "1s"}},
		{"run --jsonl a.jsonl --jsonl 'b c.jsonl'", []string{"run", "--jsonl", "a.jsonl", "--for", "1s", "--jsonl=b c.jsonl"}},
		{"run --full", []string{"run", "--full", "--if-idle"}},
		{"run --since 2026-11-19 --reconcile --rate 2.5", []string{"run", "--since", "2026-11-19", "--reconcile", "--rate", "2.5", "--rebind"}},
		{"retry --status failed --status in_doubt --id 'a,b' --resend", []string{"retry", "--status", "failed,in_doubt", "--id", "a,b", "--resend"}},
		{"retry --conversation 5", []string{"retry", "--conversation", "5"}},
	} {
		var got string
		read := func(c *cli.Context) error { got = againOf(c); return nil }
		p := &program{}
		run, retry := runCommand(p), retryCommand(p)
		run.Action, retry.Action = read, read
		app := &cli.App{Commands: []*cli.Command{run, retry}}
		if err := app.Run(append([]string{"dixa-import"}, tt.args...)); err != nil || got != tt.want {
			t.Errorf("%v: got %q, error %v, want %q", tt.args, got, err, tt.want)
		}
	}
}
