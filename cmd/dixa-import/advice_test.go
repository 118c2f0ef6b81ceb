package main

import (
	"os"
	"regexp"
	"testing"
	"unicode/utf8"
)

// Codes that need nothing done.
var wellCodes = map[string]bool{"open": true, "anonymous": true, "dropped": true, "mended": true}

func TestEveryErrorCodeHasAdvice(t *testing.T) {
	t.Parallel()
	constant := regexp.MustCompile(`(?m)^(?:\s|const )(?:Reject[A-Z]\w*\s+RejectCode|code[A-Z]\w*)\s+= "([a-z_]+)"`)
	found := 0
	for _, path := range []string{"../../source/transcript.go", "../../importer/steps.go", "../../importer/checkpoint/apply.go"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range constant.FindAllStringSubmatch(string(text), -1) {
			found++
			a := advice(m[1])
			if a == "" && !wellCodes[m[1]] {
				t.Errorf("there is no advice on %s", m[1])
			}
			if n := utf8.RuneCountInString(a); n > 72 {
				t.Errorf("the advice on %s has %d characters, which do not fit a line", m[1], n)
			}
		}
	}
	if found < len(cures) {
		t.Errorf("%d codes were found for %d advices: some are of no code", found, len(cures))
	}
}
