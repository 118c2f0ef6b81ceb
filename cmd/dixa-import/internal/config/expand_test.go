package config

import (
	"errors"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	lookup := environment("A", "one", "EMPTY", "", "NESTED", "${A}")
	tests := []struct{ in, want, problem string }{
		{in: "", want: ""},
		{in: "plain $1 $$ $A {A} }", want: "plain $1 $$ $A {A} }"},
		{in: "${A}", want: "one"},
		{in: "<${A}${A}>", want: "<oneone>"},
		{in: "${EMPTY}", want: ""},
		{in: "${EMPTY:-two}", want: "two"},
		{in: "${NONE:-two words: x}", want: "two words: x"},
		{in: "${NONE:-}", want: ""},
		{in: "${A:-two}", want: "one"},
		{in: "${NESTED}", want: "${A}"},
		{in: "$${A}", want: "${A}"},
		{in: "$$${A}", want: "$${A}"},
		{in: "a $${ b ${A}", want: "a ${ b one"},
		{in: "${NONE}", problem: "NONE is not set"},
		{in: "${A", problem: "not closed"},
		{in: "${}", problem: "not the name"},
		{in: "${A-x}", problem: "not the name"},
		{in: "${ A }", problem: "not the name"},
	}
	for _, tt := range tests {
		got, err := expand(tt.in, lookup)
		if tt.problem != "" {
			if err == nil || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("expand(%q) gives the problem %v, want %q", tt.in, err, tt.problem)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("expand(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"", "${A}", "$${A}", "${A:-b}", "${", "$$$${", "a${A}b${NONE:-c}d"} {
		f.Add(s)
	}
	lookup := environment("A", "one")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := expand(s, lookup)
		var missing *missingVariableError
		switch {
		case err != nil && errors.As(err, &missing) && !strings.Contains(s, "${"+missing.name):
			t.Errorf("expand(%q) misses %q, which is not in it", s, missing.name)
		case err == nil && !strings.Contains(s, "${") && got != s:
			t.Errorf("expand(%q) = %q without a variable", s, got)
		}
		// What was escaped comes back as it was, whatever it is.
		escaped := strings.ReplaceAll(s, "${", "$${")
		if got, err := expand(escaped, lookup); err != nil || got != s && !strings.Contains(s, "$${") {
			t.Errorf("expand(%q) = %q, %v, want %q", escaped, got, err, s)
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(goodConfig))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("dixa: !!map {token: !!str 1}\nattributes: {a: {attribute: *x, value: [1, ~]}}\n"))
	f.Add([]byte("<<: {a: b}\n? [x]\n: y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &File{Path: "c.yaml", lookup: environment()}
		if err := decodeYAML("c.yaml", data, &c.raw); err == nil {
			everySection(c)
		} else if !strings.HasPrefix(err.Error(), "c.yaml") {
			t.Errorf("the error does not name the file: %v", err)
		}
	})
}
