package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// widest is how many columns a line of results takes at most.
const widest = 100

// widthOf is how many columns a line may take: widest, or those of a narrower terminal.
func widthOf(w io.Writer) int {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return min(columns, widest)
		}
	}
	return widest
}

// wrap breaks a text into lines of at most width characters, where it has spaces. What stands in backticks, such as a command,
// stays in one line if it can.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range wordsOf(text, width) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// wordsOf are the words of a text; those between backticks are one word, unless that is wider than width.
func wordsOf(text string, width int) []string {
	var words []string
	quoted := ""
	for _, word := range strings.Fields(text) {
		if quoted == "" && strings.Count(word, "`")%2 == 0 {
			words = append(words, word)
			continue
		}
		ends := quoted != "" && strings.Contains(word, "`")
		quoted = strings.TrimPrefix(quoted+" "+word, " ")
		if ends {
			words = append(words, whole(quoted, width)...)
			quoted = ""
		}
	}
	return append(words, strings.Fields(quoted)...)
}

func whole(text string, width int) []string {
	if utf8.RuneCountInString(text) > width {
		return strings.Fields(text)
	}
	return []string{text}
}

// say writes a text, wrapped; what stands before it begins the first line, the others are indented as far.
func (o *output) say(before, text string) {
	for _, line := range wrap(text, max(o.width()-utf8.RuneCountInString(before), 20)) {
		o.line(strings.TrimRight(before+line, " "))
		before = strings.Repeat(" ", utf8.RuneCountInString(before))
	}
}

// onTerminal wraps a message where it goes to a terminal. Elsewhere each line stays as it is, for programs that look at it.
func onTerminal(f *os.File, text string) string {
	if !term.IsTerminal(int(f.Fd())) {
		return text
	}
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, wrap(line, widthOf(f))...)
	}
	return strings.Join(lines, "\n")
}

// command writes a command line that can be copied: where it has to be broken, the shell puts it together again.
func (o *output) command(before, command string) {
	if utf8.RuneCountInString(before)+utf8.RuneCountInString(command) <= o.width() {
		o.line(before + command)
		return
	}
	lines := wrap(command, max(o.width()-utf8.RuneCountInString(before)-4, 20))
	for i, line := range lines {
		if i > 0 {
			line = "  " + line
		}
		if i < len(lines)-1 {
			line += ` \`
		}
		o.line(before + line)
		before = strings.Repeat(" ", utf8.RuneCountInString(before))
	}
}

// hanging finds where the text begins in a line of help: behind the flags or the name of a command, or the number of an exit
// code, or behind the indent.
var hanging = regexp.MustCompile(`^\s*(?:-\S.*?\s{2,}|[a-z]+(?:, [a-z]+)*\s{2,}|\d\s{2,})?`)

// init has help wrapped: the library breaks no lines.
func init() {
	render := cli.HelpPrinter
	cli.HelpPrinter = func(w io.Writer, template string, data any) {
		var text strings.Builder
		render(&text, template, data)
		out, ok := w.(*output)
		if !ok {
			out = &output{w: w}
		}
		for line := range strings.Lines(text.String()) {
			line = strings.TrimRight(line, " \n")
			if utf8.RuneCountInString(line) <= out.width() {
				out.line(line)
				continue
			}
			before := hanging.FindString(line)
			out.say(before, line[len(before):])
		}
	}
}
