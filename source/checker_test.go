package source

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzChecker compares the checker, fed in pieces, with encoding/json.
func FuzzChecker(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-0.5e+3,"x\u00e6\\\"",true,false,null,{}],"b":{"c":[]}}`, `[]`, `{"a":1,}`, `{"a" 1}`, `[1 2]`, `"a` + "\x01" + `"`,
		`{"a":01}`, `{"a":1.}`, `{"a":tru}`, `[1e]`, `[-]`, `[}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, ` { "a" : [ ] } `, `[`, `{"a`, "[\"\xff\"]"} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		at := afterSpace(data, 0)
		if at == len(data) || data[at] != '{' && data[at] != '[' {
			return
		}
		size = max(1, min(size, len(data)))
		var c checker
		c.reset()
		end, state := 0, unfinished
		for end < len(data) && state == unfinished {
			var n int
			n, state = c.feed(data[end:min(end+size, len(data))])
			end += n
		}
		whole := state == complete && len(strings.Trim(string(data[end:]), " \t\r\n")) == 0
		if whole != json.Valid(data) {
			t.Fatalf("%q is %v up to %d, valid %v", data, state, end, json.Valid(data))
		}
		switch state {
		case complete:
			if !json.Valid(data[:end]) {
				t.Fatalf("%q is complete, and is not valid", data[:end])
			}
		case broken:
			if json.Valid(data) {
				t.Fatalf("%q is broken at %d", data, end)
			}
		}
	})
}
