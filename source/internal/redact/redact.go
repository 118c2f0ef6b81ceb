// Package redact replaces personal data in texts by placeholders. The kinds have the names that Microsoft's Presidio gives them.
package redact

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Rule is one kind of personal data: one of Kinds, or a name with a pattern of one's own.
type Rule struct {
	Name    string
	Pattern string // a regular expression in Go's syntax; "": the name is one of Kinds
}

// Kinds are the names of the built-in rules.
func Kinds() []string {
	all := recognizers()
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = r.kind
	}
	return names
}

// Redactor replaces what its rules find.
type Redactor struct {
	rules  []recognizer
	region string
}

// recognizer finds one kind. Where two find the same text, the first in the list of recognizers wins.
type recognizer struct {
	kind    string
	pattern *regexp.Regexp
	// is reports whether a hit of the pattern, text[from:to], is of the kind, and returns what is the same for other spellings of the same value, and
	// where it really ends.
	is func(text string, from, to int, region string) (value string, end int, ok bool)
	// maybe is a quick look: texts for which it is false have no hit. digits is how many the text has.
	maybe func(text string, digits int) bool
}

var ruleName = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,49}$`)

// New returns a redactor. region is the country of phone numbers without a country code, such as DK.
func New(rules []Rule, region string) (*Redactor, error) {
	r := &Redactor{region: region}
	seen := map[string]bool{}
	for _, rule := range rules {
		builtIn := slices.IndexFunc(recognizers(), func(x recognizer) bool { return x.kind == rule.Name })
		switch {
		case seen[rule.Name]:
			return nil, fmt.Errorf("%s is there twice: remove one", rule.Name)
		case rule.Pattern == "" && builtIn < 0:
			return nil, fmt.Errorf("%q is not known: it is one of %s, or has a pattern, as in {name: ORDER_NUMBER, pattern: '\\bA-\\d{6}\\b'}", rule.Name, strings.Join(Kinds(), ", "))
		case rule.Pattern != "" && builtIn >= 0:
			return nil, fmt.Errorf("%s is built in: give your pattern another name", rule.Name)
		case rule.Pattern != "" && !ruleName.MatchString(rule.Name):
			return nil, fmt.Errorf("the name %q must be 1 to 50 of A-Z, 0-9 and underscore, such as ORDER_NUMBER", rule.Name)
		}
		seen[rule.Name] = true
		if rule.Pattern == "" {
			continue
		}
		pattern, err := regexp.Compile(rule.Pattern)
		if err != nil {
			return nil, fmt.Errorf("the pattern of %s: %w", rule.Name, bare(err))
		}
		if pattern.MatchString("") {
			return nil, fmt.Errorf("the pattern of %s matches the empty text, so it would be found everywhere: have it match at least one character", rule.Name)
		}
		r.rules = append(r.rules, recognizer{kind: rule.Name, pattern: pattern, is: func(text string, from, to int, _ string) (string, int, bool) { return text[from:to], to, to > from }})
	}
	for _, x := range recognizers() {
		if seen[x.kind] {
			r.rules = append(r.rules, x)
		}
	}
	return r, nil
}

// bare is what is wrong with a pattern, without the words before it.
func bare(err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
}

// Placeholders are those of one transcript: the same value has the same one in all of its texts.
type Placeholders struct {
	names  map[string]string // by kind and value
	counts map[string]int    // distinct values, by kind
	// Hits counts what was replaced, by kind.
	Hits map[string]int64
}

// hit is a part of a text that is replaced.
type hit struct {
	from, to    int
	kind, value string
	rank        int
}

// Text returns a text with placeholders, such as <EMAIL_ADDRESS_1>. quote makes a placeholder fit the text's format; nil: it stays as it is.
func (r *Redactor) Text(text string, seen *Placeholders, quote func(string) string) string {
	hits := r.find(text)
	if len(hits) == 0 {
		return text
	}
	var b strings.Builder
	at := 0
	for _, h := range hits {
		name := seen.name(h.kind, h.value)
		if quote != nil {
			name = quote(name)
		}
		b.WriteString(text[at:h.from])
		b.WriteString(name)
		at = h.to
	}
	b.WriteString(text[at:])
	return b.String()
}

// Find returns what would be replaced, as pairs of where it begins and ends.
func (r *Redactor) Find(text string) (spans [][2]int, kinds []string) {
	for _, h := range r.find(text) {
		spans, kinds = append(spans, [2]int{h.from, h.to}), append(kinds, h.kind)
	}
	return spans, kinds
}

// find returns what is replaced, also where characters are written as HTML entities or percent-encoded.
func (r *Redactor) find(text string) []hit {
	hits := r.findIn(text)
	for plain, at := text, []int(nil); ; {
		var escaped bool
		if plain, at, escaped = unescape(plain, at); !escaped {
			break
		}
		for _, h := range r.findIn(plain) {
			h.from, h.to = at[h.from], at[h.to]
			hits = append(hits, h)
		}
	}
	return distinct(hits)
}

// findIn returns what the rules find in a text as it is written. Hits may overlap.
func (r *Redactor) findIn(text string) []hit {
	var hits []hit
	digits := 0
	for i := range len(text) {
		if c := text[i]; c >= '0' && c <= '9' {
			digits++
		}
	}
	for rank, rule := range r.rules {
		if rule.maybe != nil && !rule.maybe(text, digits) {
			continue
		}
		for from := 0; from < len(text); {
			at := rule.pattern.FindStringIndex(text[from:])
			if at == nil {
				break
			}
			begin := from + at[0]
			value, end, ok := rule.is(text, begin, from+at[1], r.region)
			if !ok || end <= begin {
				_, size := utf8.DecodeRuneInString(text[begin:])
				from = begin + max(size, 1)
				continue
			}
			hits = append(hits, hit{begin, end, rule.kind, value, rank})
			from = end
		}
	}
	return hits
}

// distinct returns the hits in their order, without those that overlap one of an earlier rule, or one that begins earlier.
func distinct(hits []hit) []hit {
	if len(hits) < 2 {
		return hits
	}
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.from, b.from)) })
	kept := hits[:0:0]
	for _, h := range hits {
		if !slices.ContainsFunc(kept, func(k hit) bool { return h.from < k.to && k.from < h.to }) {
			kept = append(kept, h)
		}
	}
	slices.SortFunc(kept, func(a, b hit) int { return cmp.Compare(a.from, b.from) })
	return kept
}

func (p *Placeholders) name(kind, value string) string {
	if p.names == nil {
		p.names, p.counts, p.Hits = map[string]string{}, map[string]int{}, map[string]int64{}
	}
	p.Hits[kind]++
	key := kind + "\x00" + value
	name, ok := p.names[key]
	if !ok {
		p.counts[kind]++
		name = "<" + kind + "_" + strconv.Itoa(p.counts[kind]) + ">"
		p.names[key] = name
	}
	return name
}
