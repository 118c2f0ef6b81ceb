// Command dixa-import loads the closed transcripts of a chatbot into Dixa as closed conversations, each exactly once.
package main

import (
	"context"
	"fmt"
	"os"
)

func main() { os.Exit(execute()) }

// execute runs the command line of this process and returns its exit code.
func execute() int {
	err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if text := message(err); text != "" {
		fmt.Fprintln(os.Stderr, "dixa-import: "+text)
	}
	return exitCode(err)
}
