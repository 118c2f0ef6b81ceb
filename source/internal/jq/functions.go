package jq

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/itchyny/gojq"
)

// preludeText holds the helper functions that are written in jq themselves.
//
//go:embed prelude.jq
var preludeText string

var prelude = sync.OnceValue(func() *gojq.Query {
	q, err := gojq.Parse(preludeText + "\n.")
	if err != nil {
		panic(err)
	}
	return q
})

// functions are the helper functions that every program may use, beside those of prelude.jq.
func functions() []gojq.CompilerOption {
	out := []gojq.CompilerOption{
		gojq.WithFunction("totime", 0, 1, func(v any, args []any) any {
			unit := ""
			if len(args) == 1 {
				unit, _ = args[0].(string)
			}
			return toTime(v, unit)
		}),
		gojq.WithFunction("html2text", 0, 0, func(v any, _ []any) any { return onText(v, HTMLText) }),
		gojq.WithFunction("ssml2text", 0, 0, func(v any, _ []any) any { return onText(v, HTMLText) }),
		gojq.WithFunction("field", 1, 30, field),
		gojq.WithFunction("weburl", 0, 0, func(v any, _ []any) any { return webURL(v) }),
	}
	for _, h := range helpers {
		out = append(out, gojq.WithFunction(h.name, h.arity, h.arity, h.call))
	}
	return out
}

// field returns the value of the first of the names that an object has, whatever their case and punctuation.
func field(v any, names []any) any {
	object, _ := v.(map[string]any)
	if object == nil {
		return nil
	}
	for _, name := range names {
		text, _ := name.(string)
		if value, ok := object[text]; ok && value != nil {
			return value
		}
		plain := plainName(text)
		for key, value := range object {
			if value != nil && plainName(key) == plain {
				return value
			}
		}
	}
	return nil
}

var plainNames sync.Map // by name

// plainName returns the letters and digits of a name, in lower case.
func plainName(name string) string {
	if plain, ok := plainNames.Load(name); ok {
		return plain.(string)
	}
	plain := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
	if plainCount.Add(1) < 10_000 { // names come from records
		plainNames.Store(strings.Clone(name), plain)
	}
	return plain
}

var plainCount atomic.Int64

func onText(v any, f func(string) string) any {
	if text, ok := v.(string); ok {
		return f(text)
	}
	return v
}

// webURL returns a text that is an absolute http or https address, and null for anything else.
func webURL(v any) any {
	text, _ := v.(string)
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Host == "" || !strings.EqualFold(u.Scheme, "http") && !strings.EqualFold(u.Scheme, "https") {
		return nil
	}
	return strings.TrimSpace(text)
}

// timeLayout has nine digits after the point, so that times in it sort as texts.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// nanosPer are the units that totime takes.
var nanosPer = map[string]int64{"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1}

// Time is toTime without a unit, for values that Parse or Run returned. Of an array, the first element is the time.
func Time(v any) any {
	if all, ok := v.([]any); ok && len(all) > 0 {
		return append([]any{toTime(all[0], "")}, all[1:]...)
	}
	return toTime(v, "")
}

// Nanos returns the nanoseconds since 1970 of a time in any spelling that totime knows, false for anything else. Of an array, the first element is the
// time.
func Nanos(v any) (int64, bool) {
	if all, ok := v.([]any); ok && len(all) > 0 {
		v = all[0]
	}
	return nanosOf(v, "")
}

// toTime writes a time as text in UTC, so that it sorts. A number, or a text of digits, counts from 1970 in the unit, or, where that is "", in
// seconds, milliseconds, microseconds or nanoseconds by its size. Texts that are no time with a zone, and all other values, are returned as they
// are: decoding the transcript says what is wrong with them.
func toTime(v any, unit string) any {
	nanos, ok := nanosOf(v, unit)
	if !ok {
		return v
	}
	return format(nanos)
}

// format writes a time in timeLayout. It takes a third of the time of time.Format, and is called for every message.
func format(nanos int64) string {
	t := time.Unix(0, nanos).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b := []byte(timeLayout)
	for _, part := range [...]struct{ at, digits, n int }{{0, 4, year}, {5, 2, int(month)}, {8, 2, day}, {11, 2, hour}, {14, 2, minute}, {17, 2, second}, {20, 9, t.Nanosecond()}} {
		for i, n := part.at+part.digits-1, part.n; i >= part.at; i, n = i-1, n/10 {
			b[i] = byte('0' + n%10)
		}
	}
	return string(b)
}

func nanosOf(v any, unit string) (int64, bool) {
	var digits string
	switch n := v.(type) {
	case json.Number:
		digits = n.String()
	case int:
		digits = strconv.Itoa(n)
	case float64:
		digits = strconv.FormatFloat(n, 'f', -1, 64)
	case *big.Int:
		digits = n.String()
	case string:
		digits = strings.TrimSpace(n)
		if !isNumber(digits) {
			return textNanos(digits)
		}
	}
	if digits == "" {
		return 0, false
	}
	return unixNanos(digits, unit)
}

func isNumber(text string) bool {
	return len(text) >= 5 && strings.Trim(text, "0123456789.") == "" && strings.Count(text, ".") <= 1
}

// unixNanos reads a number of a unit since 1970 without losing digits.
func unixNanos(digits, unit string) (int64, bool) {
	if len(digits) > 40 {
		return 0, false
	}
	if strings.ContainsAny(digits, "eE") {
		f, err := strconv.ParseFloat(digits, 64)
		if err != nil {
			return 0, false
		}
		digits = strconv.FormatFloat(f, 'f', -1, 64)
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	per, known := nanosPer[unit]
	switch {
	case unit != "" && !known:
		return 0, false
	case known:
	case n < 1e11:
		per = nanosPer["s"]
	case n < 1e14:
		per = nanosPer["ms"]
	case n < 1e17:
		per = nanosPer["us"]
	default:
		per = 1
	}
	const latest = 253402300799 // the end of the year 9999, of which int64 holds the nanoseconds up to 2262
	const earliest = 946684800  // the year 2000: smaller numbers count something else, such as a spreadsheet's days
	if s := n / (1e9 / per); s > latest || s < earliest || n > (1<<63-1)/per {
		return 0, false
	}
	fraction = (fraction + "000000000")[:9]
	part, err := strconv.ParseInt(fraction, 10, 64)
	if err != nil {
		return 0, false
	}
	return n*per + part*per/1e9, true
}

// zoned are the spellings of times with a zone that exports have.
var zoned = []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999 MST", "2006-01-02 15:04:05.999999999Z0700",
	"2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999 -0700", "2006-01-02 15:04:05.999999999 -0700 MST", "2006-01-02 15:04:05.999999999Z07", time.RFC1123Z, time.RFC1123}

func textNanos(text string) (int64, bool) {
	for _, layout := range zoned {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if name, _ := t.Zone(); strings.HasSuffix(layout, "MST") && layout != zoned[6] && name != "UTC" && name != "GMT" {
			return 0, false // an abbreviation means different zones to different people
		}
		year := t.UTC().Year()
		return t.UnixNano(), year >= 1970 && year < 2262 // of which int64 holds the nanoseconds
	}
	return 0, false
}

// Functions lists the helper functions with what they do, for people who write programs.
func Functions() string {
	var b strings.Builder
	for _, line := range [][2]string{
		{"totime", "a time in any common spelling becomes text in UTC that sorts; a number from the year 2000 on counts in seconds, ms, us or ns by its size"},
		{`totime("us")`, "the same, where the unit is known: s, ms, us, ns"},
		{"html2text, ssml2text", "the text of HTML or SSML"},
		{`field("a"; "b")`, "the value of the first of these names that an object has, whatever their case and punctuation"},
		{"weburl", "an http(s) address, or null"},
	} {
		_, _ = fmt.Fprintf(&b, "%-22s %s\n", line[0], line[1])
	}
	for _, h := range helpers {
		_, _ = fmt.Fprintf(&b, "%-22s %s\n", cmp.Or(h.use, h.name), h.does)
	}
	for text := range strings.Lines(preludeText) {
		if comment, ok := strings.CutPrefix(text, "# "); ok {
			name, does, _ := strings.Cut(strings.TrimSpace(comment), ": ")
			_, _ = fmt.Fprintf(&b, "%-22s %s\n", name, does)
		}
	}
	return b.String()
}
