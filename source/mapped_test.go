package source

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dixa-import/source/internal/jq"
)

// idsOf reads all closed transcripts of a reader, by id, with their hashes.
func idsOf(t testing.TB, s Reader) (closed map[string]Hash, rejected []string) {
	t.Helper()
	closed = map[string]Hash{}
	for r, err := range s.Read(t.Context(), time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.EndOfFile {
			continue
		}
		tr, err := r.Transcript()
		switch {
		case err != nil:
			rejected = append(rejected, r.Place.String()+" "+err.Error())
		case !tr.ClosedAt.IsZero():
			if _, twice := closed[tr.ID]; twice {
				t.Errorf("%s comes twice", tr.ID)
			}
			closed[tr.ID] = r.Hash
		}
	}
	return closed, rejected
}

// TestATransformThatGoesWrong requires that only the records on which a program fails are rejected, with the part of the program and without
// anything of the record.
func TestATransformThatGoesWrong(t *testing.T) {
	t.Parallel()
	limits := jq.Limits{Time: 2 * time.Second, Memory: 1 << 30, Output: 4 << 20} // tests beside it take memory, too
	const transcript = `{id: .id, closed_at: "2025-11-19T08:00:00Z", messages: [{role: "user", text: .text}]}`
	for name, x := range map[string]struct{ program, want string }{
		"loops for ever":          {`if .n % 3 == 0 then last(repeat(1)) else ` + transcript + ` end`, "the program did not end within 2s"},
		"returns without end":     {`if .n % 3 == 0 then (. as $r | range(1000000000) | $r) else ` + transcript + ` end`, "the program returned more than 4 MiB for one record"},
		"makes a huge text":       {`if .n % 3 == 0 then [range(1000000000) | "0123456789"] | add else ` + transcript + ` end`, "the program "},
		"throws":                  {`if .n % 3 == 0 then {a: (.text | keys)} else ` + transcript + ` end`, "keys cannot be applied to"},
		"raises an error":         {`if .n % 3 == 0 then error("the order \(.text) is unknown") else ` + transcript + ` end`, "transform_failed"},
		"refuses":                 {`if .n % 3 == 0 then refuse("it is a test: leave it out") else ` + transcript + ` end`, "transform_refused: it is a test: leave it out"},
		"returns no object":       {`if .n % 3 == 0 then 5 else ` + transcript + ` end`, "is not an object"},
		"halts":                   {`if .n % 3 == 0 then halt_error else ` + transcript + ` end`, "halt"},
		"returns what is no chat": {`if .n % 3 == 0 then {id: .id} else ` + transcript + ` end`, "without an array of messages"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines []string
			for n := 1; n <= 4; n++ {
				lines = append(lines, fmt.Sprintf(`{"id":"r-%d","n":%d,"text":"Zanzibar secret"}`, n, n))
			}
			path := filepath.Join(t.TempDir(), "export.json")
			if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := openMapped(presetConfig(path), Mapping{Transform: x.program}, limits)
			if err != nil {
				t.Fatal(err)
			}
			closed, rejected := idsOf(t, s)
			if got := slices.Sorted(maps.Keys(closed)); !slices.Equal(got, []string{"r-1", "r-2", "r-4"}) {
				t.Errorf("the transcripts are %v", got)
			}
			if len(rejected) != 1 || !strings.Contains(rejected[0], x.want) || !strings.Contains(rejected[0], "export.json:3 ") || strings.Contains(rejected[0], "Zanzibar") {
				t.Errorf("rejected are %q", rejected)
			}
		})
	}
}

func TestAProgramReadsNothingElse(t *testing.T) {
	t.Setenv("DIXA_IMPORT_TEST_SECRET", "Zanzibar")
	for _, program := range []string{`{id: ($ENV | tostring), closed_at: 1763539200, messages: [{role: "user", text: (env | tostring)}]}`} {
		for r, err := range mappedText(t, `{"id":1}`, Mapping{Transform: program}).Read(t.Context(), time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(r.Raw()), "Zanzibar") {
				t.Errorf("%s gives %s", program, r.Raw())
			}
		}
	}
	for _, program := range []string{`input`, `inputs`, `import "a" as a; .`, `include "a"; .`, `input_filename | debug | .x y`} {
		if err := (Mapping{Transform: program}).Check(); err == nil {
			t.Errorf("%s compiles", program)
		}
	}
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	t.Parallel()
	closed, rejected := idsOf(t, mappedText(t, `{"id":9007199254740993,"m":[{"role":"user","text":"x"}],"at":1763539200.123456}`,
		Mapping{Transform: `{id, closed_at: (.at | totime), messages: .m}`}))
	if _, ok := closed["9007199254740993"]; !ok {
		t.Errorf("%v, %v", closed, rejected)
	}
}

func TestMappingProblems(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		m    Mapping
		want string
	}{
		{Mapping{Format: "raza"}, `format "raza" is not known`},
		{Mapping{Transform: ".a |"}, "transform: line 1: the program ends too early"},
		{Mapping{Transform: "{id: .x\n, messages: }"}, `transform: line 2`},
		{Mapping{Transform: ".", GroupBy: "nope(1)"}, "group_by: "},
		{Mapping{Transform: ".", SortBy: ".x"}, "set group_by as well"},
		{Mapping{Transform: ".", SessionGap: time.Minute}, "session_gap needs group_by"},
		{Mapping{GroupBy: ".x"}, "needs a format or a transform"},
	} {
		if err := x.m.Check(); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%+v: %v, want %q", x.m, err, x.want)
		}
	}
	for _, text := range []string{"idle", "idle x", "idle -1h", "never", "file 3"} {
		if c, err := ParseClosing(text); err == nil {
			t.Errorf("%q is %+v", text, c)
		}
	}
}

// rasaRows writes events of many senders, interleaved: sessions of four messages each, an hour and more apart.
func rasaRows(rnd *rand.Rand, senders, sessions int, from time.Time) []string {
	type event struct {
		at   float64
		line string
	}
	var events []event
	id := 0
	for sender := range senders {
		at := float64(from.Unix()) + rnd.Float64()*3600
		for range sessions {
			for turn := range 4 {
				kind, text := "user", "question"
				if turn%2 == 1 {
					kind, text = "bot", "answer"
				}
				id++
				data := fmt.Sprintf(`{"event":"%s","text":"%s %d","timestamp":%f}`, kind, text, id, at)
				encoded, _ := json.Marshal(data)
				events = append(events, event{at, fmt.Sprintf(`{"id":%d,"sender_id":"sender-%d","type_name":"%s","timestamp":%f,"intent_name":null,"action_name":null,"data":%s}`, id, sender, kind, at, encoded)})
				at += 1 + rnd.Float64()*5
			}
			at += 3 * 3600
		}
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	lines := make([]string, len(events))
	for i, e := range events {
		lines[i] = e.line
	}
	return lines
}

// TestGroupsStayTheSameWhenRowsAreAdded requires that ids and hashes of sessions do not depend on what is added, nor on the order of the rows.
func TestGroupsStayTheSameWhenRowsAreAdded(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	rows := rasaRows(rnd, 50, 3, presetNow.Add(-240*time.Hour))
	read := func(rows []string) map[string]Hash {
		closed, rejected := idsOf(t, mappedText(t, strings.Join(rows, "\n"), Mapping{Format: "rasa"}))
		if len(rejected) > 0 {
			t.Fatal(rejected)
		}
		return closed
	}
	before := read(rows)
	if len(before) < 100 || len(before) > 150 {
		t.Fatalf("%d sessions are closed", len(before))
	}
	added := rasaRows(rnd, 5, 1, presetNow.Add(-100*time.Hour))
	after := read(append(slices.Clone(rows), added...))
	if len(after) != 150+5-countOpen(5, after, 155) {
		t.Logf("%d sessions are closed now", len(after))
	}
	for id, hash := range before {
		if after[id] != hash {
			t.Errorf("%s changed", id)
		}
	}
	shuffled := slices.Clone(rows)
	rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if got := read(shuffled); !maps.Equal(got, before) {
		t.Errorf("%d sessions in another order of the rows, %d before", len(got), len(before))
	}
}

// TestABadRowOfAGroup requires that a row which cannot be read is rejected at its place and holds back its own group alone.
func TestABadRowOfAGroup(t *testing.T) {
	t.Parallel()
	mapping := Mapping{GroupBy: ".s", SortBy: ".ts", Transform: `{id: .[0].s, closed_at: (.[-1].ts | totime), messages: map({role: "user", text: .t, created_at: (.ts | totime)})}`}
	good := `{"s":"a","ts":1763539200,"t":"one"}` + "\n" + `{"s":"b","ts":1763539201,"t":"two"}` + "\n"
	for name, bad := range map[string]string{
		"cut off":           `{"s":"a","ts":1763539202,"t":"x"`,
		"two commas":        `{"s":"a","ts":1763539202,,"t":"x"}`,
		"an unknown escape": `{"s":"a","ts":1763539202,"t":"\x"}`,
		"no number":         `{"s":"a","ts":1763539202,"t":NaN}`,
		"a tab":             "{\"s\":\"a\",\"ts\":1763539202,\"t\":\"x\ty\"}",
		"no time":           `{"s":"a","ts":null,"t":"x"}`,
		"an object as id":   `{"s":{"x":1},"ts":1763539202,"t":"x"}`,
		"a list as id":      `{"s":["a"],"ts":1763539202,"t":"x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mapping
			m.SessionGap = time.Hour
			closed, rejected := idsOf(t, mappedText(t, good+bad+"\n", m))
			ids := slices.Sorted(maps.Keys(closed))
			if len(ids) == 0 || !strings.HasPrefix(ids[len(ids)-1], "b@") || strings.Contains(name, "as id") != (len(ids) == 2) {
				t.Errorf("the transcripts are %v", ids)
			}
			if len(rejected) != 1 || !strings.Contains(rejected[0], ":3 ") || strings.Contains(rejected[0], "1 of them, are held back") == strings.Contains(name, "as id") {
				t.Errorf("rejected are %q", rejected)
			}
		})
	}
	mapping.SortBy = `if .ts == 0 then error("no") else .ts end`
	if closed, rejected := idsOf(t, mappedText(t, good+`{"s":"a","ts":0,"t":"x"}`, mapping)); len(closed) != 1 || len(rejected) != 1 {
		t.Errorf("with a row that cannot be sorted, the transcripts are %v, rejected are %q", closed, rejected)
	}
	mapping.SortBy = ".ts"
	closed, _ := idsOf(t, mappedText(t, `{"s":7,"ts":1763539200,"t":"one"}`+"\n"+`{"s":"7","ts":1763539201,"t":"two"}`, mapping))
	if len(closed) != 1 {
		t.Errorf("a number and its text are the groups %v", closed)
	}
}

// TestTheRowThatFailsIsNamed requires that where a program fails on one row of a group, that row is named and the group is held back.
func TestTheRowThatFailsIsNamed(t *testing.T) {
	t.Parallel()
	rasa := func(data string, at int) string {
		return fmt.Sprintf(`{"sender_id":"s","type_name":"user","timestamp":%d,"data":%s}`, at, data)
	}
	good := `"{\"event\":\"user\",\"text\":\"hi\"}"`
	own := Mapping{GroupBy: ".s", SortBy: ".ts", Closed: Closing{Rule: ClosedByFile}, Transform: `{id: .[0].s, messages: map({role: "user", text: (.t | keys | tostring)})}`}
	for name, x := range map[string]struct {
		text string
		m    Mapping
		line string
	}{
		"data that is cut off": {rasa(good, 1763539200) + "\n" + rasa(good, 1763539201) + "\n" + rasa(`"{\"event\":\"user\",\"te"`, 1763539202), Mapping{Format: "rasa"}, ":3 "},
		"out of order":         {rasa(good, 1763539209) + "\n" + rasa(`"{"`, 1763539202) + "\n" + rasa(good, 1763539201), Mapping{Format: "rasa"}, ":2 "},
		"a program of one's":   {`{"s":"a","ts":1763539200,"t":{}}` + "\n" + `{"s":"a","ts":1763539201,"t":7}`, own, ":2 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed, rejected := idsOf(t, mappedText(t, x.text, x.m))
			if len(closed) > 0 || len(rejected) != 1 || !strings.Contains(rejected[0], x.line) || !strings.Contains(rejected[0], "are held back") {
				t.Errorf("%v, %q", closed, rejected)
			}
		})
	}
}

// TestEqualTimesOfAGroup requires that messages of one time keep their order, whether a group comes oldest first or newest first.
func TestEqualTimesOfAGroup(t *testing.T) {
	t.Parallel()
	rows := []string{`{"s":"a","ts":1763539200,"t":"1"}`, `{"s":"a","ts":1763539201,"t":"2"}`, `{"s":"a","ts":1763539201,"t":"3"}`, `{"s":"a","ts":1763539202,"t":"4"}`}
	for range 2 {
		s := mappedText(t, strings.Join(rows, "\n"), Mapping{GroupBy: ".s", SortBy: ".ts",
			Transform: `{id: .[0].s, closed_at: (.[-1].ts | totime), messages: map({role: "user", text: .t, created_at: (.ts | totime)})}`})
		for r, err := range s.Read(t.Context(), time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			if r.EndOfFile {
				continue
			}
			tr, err := r.Transcript()
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, m := range tr.Messages {
				got += m.Text
			}
			if got != "1234" {
				t.Errorf("the order is %s", got)
			}
		}
		slices.Reverse(rows)
	}
}

func countOpen(added int, closed map[string]Hash, all int) int {
	return max(0, min(added, all-len(closed)))
}

// TestFetchOfGroups reads single transcripts again, which may be anywhere in the files.
func TestFetchOfGroups(t *testing.T) {
	t.Parallel()
	s := mappedText(t, strings.Join(rasaRows(rand.New(rand.NewPCG(5, 6)), 20, 2, presetNow.Add(-240*time.Hour)), "\n"), Mapping{Format: "rasa"})
	closed, _ := idsOf(t, s)
	want := slices.Sorted(maps.Keys(closed))[:7]
	var got []string
	for r, err := range s.Fetch(t.Context(), append([]string{"nobody"}, want...)) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Hash != closed[r.ID] {
			t.Errorf("%s has another hash", r.ID)
		}
		got = append(got, r.ID)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("fetched are %v", got)
	}
}

// unknownFiles are none of the formats.
var unknownFiles = map[string]string{
	"a log":              "2025-11-19 08:00:00 INFO started\n2025-11-19 08:00:01 INFO stopped\n",
	"a product list":     "id,name,price\n1,Shoes,100\n2,Socks,10\n",
	"an empty array":     "[]",
	"an empty file":      "",
	"prose":              "Dear all,\nhere is the export.\nBest, Ann\n",
	"products":           `[{"id":1,"name":"Shoes","price":100},{"id":2,"name":"Socks","price":10}]`,
	"orders":             `{"orders":[{"order_id":1,"lines":[{"sku":"a"}]}]}`,
	"a typo":             `{"id":"t-1","closedat":"2025-11-19T08:00:00Z","mesages":[{"role":"user","text":"hi"}]}` + "\n",
	"another typo":       `{"identifier":"t-1","closed":"2025-11-19T08:00:00Z","massages":[{"role":"user","text":"hi"}]}` + "\n",
	"a page of HTML":     "<html><body>Sign in</body></html>",
	"metrics":            `{"metric":"chats","value":5,"timestamp":1763539200}` + "\n" + `{"metric":"chats","value":6,"timestamp":1763539201}` + "\n",
	"settings":           "name: bot\nlanguage: en\n",
	"a list of strings":  `["a","b"]`,
	"users":              `{"id":"u","email":"ann@example.org","created_at":"2025-11-19T08:00:00Z"}` + "\n",
	"a table of tickets": "ticket_id;subject;status\n1;Broken;open\n2;Lost;closed\n",
}

func TestUnknownFilesAreNotDetected(t *testing.T) {
	t.Parallel()
	for name, text := range unknownFiles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			d, err := Detect(t.Context(), JSONLConfig{Paths: []string{path}})
			if err != nil || d.Format != "" || d.Reason == "" {
				t.Errorf("%+v, %v", d, err)
			}
			t.Log(d.Reason)
		})
	}
}

func TestCanonicalTranscriptsAreDetected(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.jsonl")
	text := `{"id":"t-1","closed_at":"2025-11-19T08:00:00Z","messages":[{"role":"user","content":"hi","created_at":"2025-11-19T07:00:00Z"}]}` + "\n" + `{"id":"t-2","closed_at":null,"messages":[{"role":"user","text":"hi"}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := Detect(t.Context(), JSONLConfig{Paths: []string{path}}); err != nil || d.Format != Canonical {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestTablesThatAreDamaged(t *testing.T) {
	t.Parallel()
	read := func(text string, config CSVConfig) (closed map[string]Hash, rejected []string, err error) {
		path := filepath.Join(t.TempDir(), "t.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := OpenMapped(JSONLConfig{Paths: []string{path}, CSV: &config, Now: func() time.Time { return presetNow }}, Mapping{Format: "csv", Closed: Closing{Rule: ClosedByFile}})
		if err != nil {
			t.Fatal(err)
		}
		closed = map[string]Hash{}
		for r, err := range s.Read(t.Context(), time.Time{}) {
			if err != nil {
				return closed, rejected, err
			}
			if tr, err := r.Transcript(); err != nil {
				rejected = append(rejected, err.Error())
			} else if tr != nil {
				closed[tr.ID] = r.Hash
			}
		}
		return closed, rejected, nil
	}
	const head = "conversation_id,role,text,created_at\n"
	for name, x := range map[string]struct {
		text   string
		config CSVConfig
		closed int
		want   string // of what is rejected
	}{
		"a bare quote":          {head + "a,user,5\" screen,2025-11-19T08:00:00Z\nb,user,x,2025-11-19T08:00:00Z\n", CSVConfig{}, 1, "quotation mark stands within a value"},
		"an open quote":         {head + "b,user,x,2025-11-19T08:00:00Z\na,user,\"never closed,2025-11-19T08:00:00Z\nc,user,x,2025-11-19T08:00:00Z\n", CSVConfig{}, 0, "never closed"},
		"carriage returns":      {strings.ReplaceAll(head+"a,user,x,2025-11-19T08:00:00Z\nb,user,y,2025-11-19T08:00:00Z\n", "\n", "\r"), CSVConfig{}, 2, ""},
		"the line of Excel":     {"sep=;\r\n" + strings.ReplaceAll(head+"a,user,x,2025-11-19T08:00:00Z\n", ",", ";"), CSVConfig{}, 1, ""},
		"a short row":           {head + "a,user,x,2025-11-19T08:00:00Z\nb,user\n", CSVConfig{}, 1, "has 2 of the 4 columns"},
		"JSON":                  {`{"id":1}`, CSVConfig{}, 0, "the file is JSON"},
		"columns with the ids":  {"id,conversation_id,sender,words,when\n1,a,user,x,2025-11-19T08:00:00Z\n2,a,bot,y,2025-11-19T08:00:01Z\n", CSVConfig{Columns: map[string]string{"Conversation_ID": "id", "sender": "role", "words": "text", "when": "created_at"}}, 1, ""},
		"no zone":               {head + "a,user,x,2025-11-19 08:00:00\n", CSVConfig{}, 0, "time_without_zone"},
		"a day or a month":      {head + "a,user,x,04/05/2025 10:00\n", CSVConfig{}, 0, "invalid_time"},
		"a spreadsheet's day":   {head + "a,user,x,45000.5\n", CSVConfig{}, 0, "invalid_time"},
		"no time at all":        {head + "a,user,x,0\n", CSVConfig{}, 0, "invalid_time"},
		"a role in a language":  {head + "a,Kunde,x,2025-11-19T08:00:00Z\n", CSVConfig{}, 0, "says who wrote it"},
		"a delimiter by itself": {strings.ReplaceAll(head+"a,user,x;y;z;w;v;u,2025-11-19T08:00:00Z\n", ",", "|"), CSVConfig{Delimiter: "|"}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed, rejected, err := read(x.text, x.config)
			if err != nil || len(closed) != x.closed || (x.want == "") != (len(rejected) == 0) || !strings.Contains(strings.Join(rejected, " "), x.want) {
				t.Errorf("%v, %q, %v", closed, rejected, err)
			}
		})
	}
	if _, _, err := read(head+"a,user,x,2025-11-19T08:00:00Z\n", CSVConfig{Columns: map[string]string{"sendr": "role"}}); err == nil || !strings.Contains(err.Error(), `names the column "sendr", which no file has`) {
		t.Error(err)
	}
}

// BenchmarkRasa measures rows a second of a table of events, interleaved over many senders.
func BenchmarkRasa(b *testing.B) {
	path := filepath.Join(b.TempDir(), "events.jsonl")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	rows := rasaRows(rand.New(rand.NewPCG(1, 1)), 5000, 5, presetNow.Add(-240*time.Hour))
	for _, row := range rows {
		_, _ = fmt.Fprintln(w, row)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		n := 0
		for r, err := range openPreset(b, Mapping{Format: "rasa"}, path).Read(b.Context(), time.Time{}) {
			if err != nil {
				b.Fatal(err)
			}
			if tr, err := r.Transcript(); !r.EndOfFile && err == nil && tr != nil {
				n++
			}
		}
		if n != 25_000 {
			b.Fatalf("%d transcripts", n)
		}
	}
	b.ReportMetric(float64(len(rows)*b.N)/b.Elapsed().Seconds(), "rows/s")
}
