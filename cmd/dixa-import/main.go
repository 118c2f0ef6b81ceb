// Command dixa-import loads the closed transcripts of a chatbot into Dixa as closed conversations, each exactly once.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	_ "time/tzdata" // for source.time_zone where the system has none, such as in a container from scratch

	"dixa-import/cmd/dixa-import/internal/term"
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(execute())
}

// gcPercent is lower than Go's 100: a run then takes less than 64 MiB whatever the length of its input, for 2 % more CPU when there is
// no rate limit.
const gcPercent = 70

// execute runs the command line of this process and returns its exit code.
func execute() int {
	err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if text := message(err); text != "" {
		fmt.Fprintln(os.Stderr, term.OnTerminal(os.Stderr, "dixa-import: "+text))
	}
	return exitCode(err)
}
