package main

import (
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/term"
)

// hanging finds where the text begins in a line of help: behind the flags or the name of a command, or the number of an exit
// code, or behind the indent.
var hanging = regexp.MustCompile(`^\s*(?:-\S.*?\s{2,}|[a-z]+(?:, [a-z]+)*\s{2,}|\d\s{2,})?`)

// init has help wrapped: the library breaks no lines.
func init() {
	render := cli.HelpPrinter
	cli.HelpPrinter = func(w io.Writer, template string, data any) {
		var text strings.Builder
		render(&text, template, data)
		out, ok := w.(*term.Output)
		if !ok {
			out = term.NewOutput(w)
		}
		for line := range strings.Lines(text.String()) {
			line = strings.TrimRight(line, " \n")
			if utf8.RuneCountInString(line) <= out.Width() {
				out.Line(line)
				continue
			}
			before := hanging.FindString(line)
			out.Say(before, line[len(before):])
		}
	}
}
