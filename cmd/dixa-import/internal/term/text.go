package term

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// IsOrAre writes AreOf for none, too.
func IsOrAre(n int64, noun string) string {
	if n == 0 {
		return "no " + noun + " is"
	}
	return AreOf(n, noun)
}

// AreOf writes a number with its noun and the verb that fits.
func AreOf(n int64, noun string) string {
	if n == 1 {
		return Plural(n, noun) + " is"
	}
	return Plural(n, noun) + " are"
}

// Plural writes a number with its noun.
func Plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Thousands(n) + " " + noun + "s"
}

// RoughDuration writes how long something took: 2.5s, 40s, 3m10s.
func RoughDuration(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return Short(d.Round(time.Second))
}

// Thousands writes a number with commas between groups of three digits.
func Thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Short writes a duration without zero units: 5m instead of 5m0s.
func Short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Roughly writes a duration as people say it: 40s, 12m, 3h05m.
func Roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()+0.5))
	case d < 10*time.Minute:
		return Short(d.Round(10 * time.Second))
	}
	if d = d.Round(time.Minute); d < time.Hour {
		return Short(d)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// FineDuration writes a duration with three digits or so, from microseconds to hours.
func FineDuration(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return Short(d.Round(time.Second))
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
}

// Padded fills a text up with spaces to a width in bytes.
func Padded(s string, width int) string { return s + strings.Repeat(" ", max(0, width-len(s))) }

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+-]+$`)

// ShellQuoted writes a word as a shell takes it.
func ShellQuoted(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Some writes a list of ids, or how it begins.
func Some(ids []string) string {
	more := ""
	if len(ids) > namedShown {
		more = fmt.Sprintf(" and %d more", len(ids)-namedShown)
		ids = ids[:namedShown]
	}
	return strings.Join(ids, ", ") + more
}

// namedShown is how many ids one message names.
const namedShown = 20

// List joins values with commas.
func List[T ~string](items []T) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = string(item)
	}
	return strings.Join(texts, ", ")
}

// CompactJSON writes a value that always can be written as JSON in one line.
func CompactJSON(v any) []byte {
	line, err := JSONLine(v)
	if err != nil {
		panic(err) // texts and numbers always can be written
	}
	return line
}

// NewEncoder returns an encoder of JSON that leaves <, > and & as they are: what it writes is for people and for files, never part of
// a page.
func NewEncoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc
}

// JSONLine writes a value as JSON in one line.
func JSONLine(v any) ([]byte, error) {
	var b bytes.Buffer
	err := NewEncoder(&b).Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}
