package main

import (
	"bytes"
	"strings"
	"testing"

	"dixa-import/cmd/dixa-import/internal/term"
)

func TestOnlyYesMeansYes(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{"yes\n": true, "\tyes\n": true, "y\n": false, "no\n": false, "": false} {
		var out, console bytes.Buffer
		p := &program{stdin: strings.NewReader(answer), stdout: term.NewOutput(&out), console: term.NewConsole(&console)}
		got, err := p.asked(t.Context(), "Sure?", "Nothing was removed.")
		if err != nil || got != want || console.String() != "Sure? Type yes: " {
			t.Errorf("%q: %v, %v, asked %q", answer, got, err, console.String())
		}
		if said := strings.Contains(out.String(), "Nothing was removed"); said == want {
			t.Errorf("%q: the output is %q", answer, out.String())
		}
	}
}
