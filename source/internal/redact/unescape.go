package redact

import (
	"html"
	"regexp"
	"strconv"
	"strings"
)

// escapes are HTML entities, percent-encoded bytes, and characters of odd spaces and of no width.
var escapes = regexp.MustCompile(`&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?|%[0-9A-Fa-f]{2}|[\x{a0}\x{2007}\x{202f}` + invisible + `]`)

// invisible are characters that a reader does not see.
const invisible = "\u00ad\u200b\u200c\u200d\u2060\ufeff"

// unescape returns a text with its escapes resolved once. at has, for each byte of the result and for its end, where that stands in the text as it was written:
// the at that is passed in says so for s, nil if s is that text. escaped reports whether there was an escape.
func unescape(s string, at []int) (plain string, places []int, escaped bool) {
	if !strings.ContainsAny(s, "&%\u00a0\u2007\u202f"+invisible) {
		return s, at, false
	}
	place := func(i int) int {
		if at == nil {
			return i
		}
		return at[i]
	}
	var b strings.Builder
	from := 0
	keep := func(to int) {
		for i := from; i < to; i++ {
			places = append(places, place(i))
		}
		b.WriteString(s[from:to])
	}
	for _, span := range escapes.FindAllStringIndex(s, -1) {
		written := s[span[0]:span[1]]
		var means string
		switch {
		case written[0] == '&':
			means = html.UnescapeString(written)
		case written[0] == '%':
			n, _ := strconv.ParseUint(written[1:], 16, 8)
			means = string([]byte{byte(n)})
		case strings.ContainsAny(written, invisible):
			means = ""
		default:
			means = " "
		}
		if means == written {
			continue
		}
		keep(span[0])
		for range len(means) {
			places = append(places, place(span[0]))
		}
		b.WriteString(means)
		from, escaped = span[1], true
	}
	keep(len(s))
	return b.String(), append(places, place(len(s))), escaped
}
