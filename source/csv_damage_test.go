package source

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestADamagedRowHoldsBackItsChat requires that no chat is imported without a message whose row is damaged, and that others are where it is certain that
// the row is none of theirs.
func TestADamagedRowHoldsBackItsChat(t *testing.T) {
	t.Parallel()
	const head = "conversation_id,role,text,created_at\n"
	rows := func(bad string) string {
		return head + "a,user,one,2025-11-19T08:00:00Z\nb,user,two,2025-11-19T08:00:01Z\n" + bad + "\nc,user,three,2025-11-19T08:00:02Z\na,bot,four,2025-11-19T08:00:03Z\n"
	}
	const anything = "no chat of the source is imported until then"
	for name, x := range map[string]struct {
		text   string
		closed string
		want   []string // of what is rejected, in this order
	}{
		"a delimiter in the text":   {rows("a,bot,sorry, not today,2025-11-19T08:00:02Z"), "b c", []string{":4 invalid_field: the row has a value in column 5"}},
		"four delimiters":           {rows("b,bot,no, no, no, no, no,2025-11-19T08:00:02Z"), "a c", []string{":4 invalid_field"}},
		"a great many delimiters":   {rows("b,bot,no" + strings.Repeat(", no", 40) + ",2025-11-19T08:00:02Z"), "", []string{anything}},
		"the key comes last":        {"role,text,created_at,conversation_id\nuser,one,2025-11-19T08:00:00Z,a\nuser,two,2025-11-19T08:00:00Z,b\nbot,so, so,2025-11-19T08:00:00Z,b\n", "a", []string{":4 invalid_field"}},
		"cut off":                   {rows("a,bot,so"), "b c", []string{":4 invalid_field: the row has 3 of the 4 columns"}},
		"cut off in the key":        {rows("a"), "", []string{anything}},
		"a line break in the text":  {rows("a,bot,so\nso,2025-11-19T08:00:02Z"), "b c", []string{":4 ", ":5 "}},
		"a line break at the end":   {"conversation_id,role,created_at,text\na,user,2025-11-19T08:00:00Z,one\nand\nb,user,2025-11-19T08:00:00Z,two\n", "", []string{anything}},
		"a key that may be another": {"conversation_id,role,text,created_at,conversation_source_id\nx,user,one,2025-11-19T08:00:00Z,a\nx,user,two,2025-11-19T08:00:01Z\n", "", []string{anything}},
		"a quotation mark":          {rows(`b,user,a 5" screen,2025-11-19T08:00:02Z`), "a c", []string{":4 invalid_json"}},
		"quotation marks in others": {rows(`"b","user","a "big, big" one","2025-11-19T08:00:02Z"`), "a c", []string{":4 invalid_json"}},
		"a quotation left open":     {rows(`b,user,"a,2025-11-19T08:00:02Z`), "", []string{anything}},
		"a row of its own chat":     {rows("d,bot,so, so,2025-11-19T08:00:02Z"), "a b c", []string{":4 invalid_field"}},
		"empty cells behind":        {rows("b,bot,fine,2025-11-19T08:00:02Z,,,"), "a b c", nil},
		"an empty line":             {rows(",,,\n"), "a b c", nil},
		"no key":                    {rows(",bot,whose?,2025-11-19T08:00:02Z"), "a b c", []string{":4 not_a_transcript"}},
		"a row in Latin-1":          {rows("b,bot,r\xf8d gr\xf8d med fl\xf8de,2025-11-19T08:00:02Z"), "", []string{"set source.csv.encoding to windows-1252"}},
		"Latin-1 among UTF-8":       {rows("b,bot,h\u00e5,2025-11-19T08:00:02Z\nb,bot,r\xf8d gr\xf8d med fl\xf8de,2025-11-19T08:00:02Z"), "", []string{"the record is not UTF-8 as those before it are"}},
		"Latin-1 far behind":        {rows(strings.Repeat("b,user,long and dull,2025-11-19T08:00:01Z\n", sampleSize/40) + "b,bot,r\xf8d gr\xf8d med fl\xf8de,2025-11-19T08:00:02Z"), "", []string{"wrong_encoding: the file", "set source.csv.encoding to windows-1252"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "t.csv")
			if err := os.WriteFile(path, []byte(x.text), 0o600); err != nil {
				t.Fatal(err)
			}
			c := presetConfig(path)
			c.CSV = &CSVConfig{}
			s, err := OpenMapped(c, Mapping{Format: "csv", Closed: Closing{Rule: ClosedByFile}})
			if err != nil {
				t.Fatal(err)
			}
			closed, rejected := idsOf(t, s)
			if got := strings.Join(slices.Sorted(maps.Keys(closed)), " "); got != x.closed {
				t.Errorf("the transcripts are %q, want %q", got, x.closed)
			}
			all := strings.Join(rejected, "\n")
			if (len(rejected) == 0) != (len(x.want) == 0) {
				t.Errorf("rejected are %q", rejected)
			}
			for _, want := range x.want {
				_, rest, ok := strings.Cut(all, want)
				if !ok {
					t.Errorf("rejected are %q, without %q", rejected, want)
				}
				all = rest
			}
			if want, counted := map[string]int64{"a delimiter in the text": 1, "a great many delimiters": 3, "a row of its own chat": 0}[name]; counted && s.Counts().Dropped[heldBack] != want {
				t.Errorf("dropped are %v", s.Counts().Dropped)
			}
		})
	}
}

// TestADamagedFileHoldsBackGroups requires the same of files with JSON whose damage hides the group.
func TestADamagedFileHoldsBackGroups(t *testing.T) {
	t.Parallel()
	const good = `{"s":"a","ts":1763539200,"t":"one"}` + "\n" + `{"s":"b","ts":1763539201,"t":"two"}` + "\n"
	mapping := Mapping{GroupBy: ".s", SortBy: ".ts", Transform: `{id: .[0].s, closed_at: (.[-1].ts | totime), messages: map({role: "user", text: .t, created_at: (.ts | totime)})}`}
	complex := mapping
	complex.GroupBy = ".s | ascii_downcase"
	for name, x := range map[string]struct {
		text    string
		mapping Mapping
		closed  int
	}{
		"the key is cut off":      {good + `{"ts":1763539202,"t":"thr`, mapping, 0},
		"the key is there":        {good + `{"s":"a","ts":1763539202,"t":"thr`, mapping, 1},
		"the key is a program":    {good + `{"s":"a","ts":1763539202,"t":"thr`, complex, 0},
		"the whole has no key":    {good + `{"ts":1763539202,"t":"three"}`, mapping, 2},
		"a record too long":       {good + `{"s":"a","t":"` + strings.Repeat("x", maxLine) + `"}`, mapping, 0},
		"a record in another set": {good + "{\"s\":\"a\",\"ts\":1763539202,\"t\":\"h\u00e6\"}\n{\"s\":\"b\",\"ts\":1763539202,\"t\":\"r\xf8d gr\xf8d med fl\xf8de\"}", mapping, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed, rejected := idsOf(t, mappedText(t, x.text, x.mapping))
			if len(closed) != x.closed || len(rejected) != 1 {
				t.Errorf("the transcripts are %v, rejected are %q", closed, rejected)
			}
		})
	}
}
