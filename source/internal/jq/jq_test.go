package jq

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// yields runs a program on a JSON text and returns its results as JSON, one a line.
func yields(t *testing.T, program, input string) (string, error) {
	t.Helper()
	p, err := Compile(program, Limits{Time: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	v, err := Parse([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	results, err := p.Run(t.Context(), v, Vars{File: "a/b.json", Tables: []any{}, Columns: []any{}})
	var lines []string
	for _, r := range results {
		data, err := Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(data))
	}
	return strings.Join(lines, "\n"), err
}

func TestTimes(t *testing.T) {
	t.Parallel()
	const want = `"2025-11-19T08:00:00.`
	for in, fraction := range map[string]string{
		`1763539200`: "000000000", `1763539200.25`: "250000000", `"1763539200"`: "000000000", `1763539200123`: "123000000", `"1763539200123"`: "123000000", `1763539200123456`: "123456000",
		`"1763539200123456789"`: "123456789", `1763539200123456789`: "123456789", `1.7635392e9`: "000000000",
		`"2025-11-19T08:00:00Z"`: "000000000", `"2025-11-19T09:00:00.5+01:00"`: "500000000", `"2025-11-19 08:00:00.123456 UTC"`: "123456000", `"2025-11-19T08:00:00.1234567Z"`: "123456700", `"2025-11-19 08:00:00+00"`: "000000000",
		`"2025-11-19T08:00:00+0000"`: "000000000", `"Wed, 19 Nov 2025 08:00:00 GMT"`: "000000000", `" 2025-11-19T08:00:00Z "`: "000000000",
	} {
		if got, err := yields(t, "totime", in); err != nil || got != want+fraction+`Z"` {
			t.Errorf("%s is %s, %v", in, got, err)
		}
	}
	for _, in := range []string{`null`, `"2025-11-19 08:00:00"`, `"04/05/2025"`, `"soon"`, `true`, `""`, `"2025-11-19 08:00:00 CET"`, `-5`, `"1960-01-01T00:00:00Z"`, `1e40`} {
		if got, err := yields(t, "totime", in); err != nil || got != in {
			t.Errorf("%s is %s, %v", in, got, err)
		}
	}
	if got, _ := yields(t, `totime("us")`, `1763539200000000`); got != want+`000000000Z"` {
		t.Error(got)
	}
}

func TestTextOfHTML(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain & simple":                                             "plain & simple",
		"<p>One</p><p>Two<br>Three</p>":                              "One\n\nTwo\nThree",
		"a &amp; b &lt;c&gt;":                                        "a & b <c>",
		"<a href=\"https://x.example\">here</a>":                     "here (https://x.example)",
		"<ul><li>One</li><li>Two</li></ul>":                          "- One\n- Two",
		"x<script>alert(1)</script><style>p{}</style><!-- note -->y": "xy",
		"<speak>Hello <break time=\"1s\"/>there</speak>":             "Hello there",
		"<b>unclosed":         "unclosed",
		"3 < 4 and 5 > 4":     "3 < 4 and 5 > 4",
		"<img alt=\"a cat\">": "a cat",
	} {
		data, _ := json.Marshal(in)
		got, err := yields(t, "html2text", string(data))
		var text string
		if json.Unmarshal([]byte(got), &text) != nil || err != nil || text != want {
			t.Errorf("%q is %q, want %q", in, text, want)
		}
	}
}

func TestHelpers(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ program, in, want string }{
		{`.[] | said`, `["a"," \u00a0","\ufeff",5,null]`, "\"a\"\nnull\nnull\nnull\nnull"},
		{`.[] | known`, `[" a ","NULL","\\N",9007199254740993,null,true,""]`, "\"a\"\nnull\nnull\n\"9007199254740993\"\nnull\nnull\nnull"},
		{`.[] | person`, `["Ann","Guest","[PII]","4,512E+09","anonymous"]`, "\"Ann\"\nnull\nnull\nnull\nnull"},
		{`.[] | phone`, `["tel:+45 12 34 56 78","whatsapp:4512345678","12","none"]`, "\"+45 12 34 56 78\"\n\"4512345678\"\nnull\nnull"},
		{`.[] | email`, `["mailto:Ann@example.org","a@b@c","ann","@x"]`, "\"Ann@example.org\"\nnull\nnull\nnull"},
		{`lines`, `["a","",null,"b"]`, `"a\nb"`},
		{`options`, `["a",{"title":"b"},{"label":"c","value":"x"},5]`, `"- a\n- b\n- c"`},
		{`card`, `{"body":[{"type":"TextBlock","text":"a"},{"items":[{"type":"TextRun","text":"b"}]}]}`, `"a\nb"`},
		{`citations`, `"See【4:0†file】."`, `"See."`},
		{`.[] | json`, `["{\"a\":9007199254740993}","{","[1] 2",{"b":1}]`, "{\"a\":9007199254740993}\nnull\nnull\n{\"b\":1}"},
		{`file(.u; .n)`, `{"u":"https://x.example/a","n":"A"}`, `{"name":"A","url":"https://x.example/a"}`},
		{`file(.u; .n)`, `{"u":"data:image/png;base64,AA"}`, `null`},
		{`message("bot"; 5)`, `{"text":"a","format":null,"id":"1"}`, `{"created_at":5,"id":"1","role":"bot","text":"a"}`},
		{`message("bot"; 5)`, `{"text":" ","attachments":[]}`, `{"_drop":"bot without text"}`},
		{`identity`, `{"user_id":"u-1","email":"x","phone":"+4512345678","name":"Guest"}`, `{"external_id":"u-1","phone":"+4512345678"}`},
		{`account`, `{"id":7,"email":"a@b.example"}`, `{"email":"a@b.example","external_id":"7"}`},
		{`field("Conversation ID"; "x")`, `{"conversation_id":"c","x":"y"}`, `"c"`},
		{`$file`, `1`, `"a/b.json"`},
		{`oldest_first(.t)`, `[{"t":2,"n":1},{"t":1,"n":2},{"t":1,"n":3}]`, `[{"n":3,"t":1},{"n":2,"t":1},{"n":1,"t":2}]`},
	} {
		if got, err := yields(t, x.program, x.in); err != nil || got != x.want {
			t.Errorf("%s of %s is %s, %v; want %s", x.program, x.in, got, err, x.want)
		}
	}
}

// TestErrorsQuoteNothing requires that an error names the part of the program, and nothing of the record.
func TestErrorsQuoteNothing(t *testing.T) {
	t.Parallel()
	const in = `{"a":"Zanzibar secret 4711","b":[1,2],"c":{"Zanzibar":1}}`
	for program, part := range map[string]string{
		`{x: .b, y: (.a | keys)}`:              "`keys`",
		`.b | map(. + "x")`:                    "",
		`[.a] | .[0] | fromjson`:               "",
		`error("it is \(.a)")`:                 "",
		`error(.a)`:                            "",
		`error(.c)`:                            "",
		`.a as $x | {z: ($x | tonumber)}`:      "",
		`def f: .a | implode; {q: f}`:          "",
		`.c | .[.a]?, (.Zanzibar | test("("))`: "",
		`{one: 1} | {two: .one} | {three: (.two | ltrimstr(1) | join(","))}`: "",
	} {
		_, err := yields(t, program, in)
		e, ok := errors.AsType[*Error](err)
		if !ok || strings.Contains(err.Error(), "Zanzibar secret") || strings.Contains(err.Error(), "4711") || !strings.Contains(e.Part, part) {
			t.Errorf("%s: %v (%s)", program, err, e.Part)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]string{
		".a |":               "line 1: the program ends too early",
		"{a: 1,\n b: }":      `line 2, column 5: unexpected "}"`,
		`import "x" as x; .`: "modules cannot be imported",
		"input":              "input and inputs are not available",
		"nope(.a)":           "nope/1",
	} {
		if _, err := Compile(program, Limits{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", program, err)
		}
	}
}

// TestMemoryOfNeighbours requires that a run which takes little is not ended because one beside it takes too much.
func TestMemoryOfNeighbours(t *testing.T) {
	t.Parallel()
	limits := Limits{Time: 10 * time.Second, Memory: 96 << 20}
	greedy, err := Compile(`[range(1000000000) | "0123456789" * 1000]`, limits)
	if err != nil {
		t.Fatal(err)
	}
	modest, err := Compile(`last(range(1000000))`, limits)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() {
			if _, err := greedy.Run(t.Context(), nil, Vars{}); !errors.Is(err, errMemory) {
				t.Errorf("the one that takes too much: %v", err)
			}
		})
		running.Go(func() {
			if _, err := modest.Run(t.Context(), nil, Vars{}); err != nil {
				t.Errorf("the one that takes little: %v", err)
			}
		})
	}
	running.Wait()
}
