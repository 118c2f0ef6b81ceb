package term

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// widest is how many columns a line of results takes at most.
const widest = 100

// widthOf is how many columns a line may take: widest, or those of a narrower terminal.
func widthOf(w io.Writer) int {
	if f, ok := w.(*os.File); ok && IsTerminal(f) {
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

// Say writes a text, wrapped; what stands before it begins the first line, the others are indented as far.
func (o *Output) Say(before, text string) {
	for _, line := range wrap(text, max(o.Width()-utf8.RuneCountInString(before), 20)) {
		o.Line(strings.TrimRight(before+line, " "))
		before = strings.Repeat(" ", utf8.RuneCountInString(before))
	}
}

// OnTerminal wraps a message where it goes to a terminal. Elsewhere each line stays as it is, for programs that look at it.
func OnTerminal(f *os.File, text string) string {
	if !IsTerminal(f) {
		return text
	}
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, wrap(line, widthOf(f))...)
	}
	return strings.Join(lines, "\n")
}

// Command writes a command line that can be copied: where it has to be broken, the shell puts it together again.
func (o *Output) Command(before, command string) {
	if utf8.RuneCountInString(before)+utf8.RuneCountInString(command) <= o.Width() {
		o.Line(before + command)
		return
	}
	lines := wrap(command, max(o.Width()-utf8.RuneCountInString(before)-4, 20))
	for i, line := range lines {
		if i > 0 {
			line = "  " + line
		}
		if i < len(lines)-1 {
			line += ` \`
		}
		o.Line(before + line)
		before = strings.Repeat(" ", utf8.RuneCountInString(before))
	}
}
