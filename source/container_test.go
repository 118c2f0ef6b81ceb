package source

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// places reads all files and describes each record by its place, its id and what is wrong with it.
func places(t *testing.T, dir string, config JSONLConfig) []string {
	t.Helper()
	config.Now = testClock
	s, err := OpenJSONL(config)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for r, err := range s.Read(t.Context(), time.Time{}) {
		switch {
		case err != nil:
			got = append(got, "error "+strings.ReplaceAll(err.Error(), dir+"/", ""))
			continue
		case r.EndOfFile:
			got = append(got, strings.TrimPrefix(r.Place.Path, dir+"/")+" end")
			continue
		}
		line := strings.TrimPrefix(r.Place.String(), dir+"/")
		_, failure := r.Transcript()
		if r.ID != "" {
			line += " " + r.ID
		}
		var bad *RejectError
		if errors.As(failure, &bad) {
			line += " " + string(bad.Code)
		} else if r.Open {
			line += " open"
		}
		got = append(got, line)
	}
	return got
}

// pretty is a chat as JSON that is written to be read.
func pretty(id, indent, step string) string {
	lines := []string{"{", step + `"id": "` + id + `",`, step + `"closed_at": 1795075200,`, step + `"messages": [`,
		step + step + `{`, step + step + step + `"role": "user",`, step + step + step + `"text": "Hello {[\"],"`, step + step + `}`, step + `]`, "}"}
	return strings.Join(lines, "\n"+indent)
}

func packZip(files ...string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, _ := z.Create(files[i])
		_, _ = io.WriteString(w, files[i+1])
	}
	_ = z.Close()
	return b.String()
}

func packTar(files ...string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		_ = w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o600, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR})
		_, _ = io.WriteString(w, files[i+1])
	}
	_ = w.Close()
	return b.String()
}

func encoded(e encoding.Encoding, s string) string {
	out, err := e.NewEncoder().String(s)
	if err != nil {
		panic(err)
	}
	return out
}

// bzip2Lines is `{"id":"a"}\n{"id":"b"}\n` as the bzip2 command packs it.
const bzip2Lines = "425a683931415926535970f2327400000959800010100000103420000a200031064c40554d0d36a479d46661148a7c5dc914e14241c3c8c9d0"

func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestContainers: whatever holds the records, each is found and known by the line on which it begins.
func TestContainers(t *testing.T) {
	t.Parallel()
	a, b, c := chat("a"), chat("b"), chat("c")
	three := []string{"f:1 a", "f:2 b", "f:3 c", "f end"}
	oneLine := []string{"f:1 a", "f:1.2 b", "f:1.3 c", "f end"}
	for _, tt := range []struct {
		name, content string
		want          []string
	}{
		{"array on one line", "[" + a + "," + b + "," + c + "]", oneLine},
		{"array on one line, with spaces", "\n [ " + a + " , " + b + " , " + c + " ] \n", []string{"f:2 a", "f:2.2 b", "f:2.3 c", "f end"}},
		{"array with an element a line", "[\n" + a + ",\n" + b + ",\n" + c + "\n]\n", []string{"f:2 a", "f:3 b", "f:4 c", "f end"}},
		{"array that begins on the first line", "[" + a + ",\n" + b + ",\n" + c + "]", three},
		{"comma first", "[" + a + "\n," + b + "\n," + c + "\n]", three},
		{"pretty array", "[\n  " + pretty("a", "  ", "  ") + ",\n  " + pretty("b", "  ", "  ") + "\n]\n", []string{"f:2 a", "f:12 b", "f end"}},
		{"pretty array of Jackson", "[ " + pretty("a", "", "  ") + ", " + pretty("b", "", "  ") + " ]", []string{"f:1 a", "f:10 b", "f end"}},
		{"pretty array with tabs, CRLF", strings.ReplaceAll("[\n\t"+pretty("a", "\t", "\t")+",\n\t"+pretty("b", "\t", "\t")+"\n]\n", "\n", "\r\n"), []string{"f:2 a", "f:12 b", "f end"}},
		{"files with byte order marks put together", "\ufeff" + a + "\n\ufeff" + b + "\n" + c, three},
		{"lines without JSON brackets around a split array", a + ",\n" + b + ",\n]\n", []string{"f:1 a", "f:2 b", "f:3 invalid_json", "f end"}},
		{"empty array", "[]\n", []string{"f end"}},
		{"empty array, spread", " [\n ] ", []string{"f end"}},
		{"arrays behind each other", "[" + a + "]\n[" + b + "," + c + "]", []string{"f:1 a", "f:2 b", "f:2.2 c", "f end"}},
		{"array and records", "[" + a + "]\n" + b + "\n", []string{"f:1 a", "f:2 b", "f end"}},
		{"pretty", pretty("a", "", "  ") + "\n" + pretty("b", "", "  ") + "\n", []string{"f:1 a", "f:11 b", "f end"}},
		{"pretty and no line between", pretty("a", "", "\t") + pretty("b", "", "\t"), []string{"f:1 a", "f:10 b", "f end"}},
		{"pretty without indent", pretty("a", "", "") + "\n" + pretty("b", "", ""), []string{"f:1 a", "f:11 b", "f end"}},
		{"pretty and lines", pretty("a", "", "  ") + "\n" + b + "\n" + c, []string{"f:1 a", "f:11 b", "f:12 c", "f end"}},
		{"by hand, messages at the left", `{"id":"a","closed_at":1795075200,"messages":[` + "\n" + `{"role":"user","text":"x"},` + "\n" + `{"role":"bot","text":"y"}` + "\n]}\n" + b, []string{"f:1 a", "f:5 b", "f end"}},
		{"concatenated", a + b + " " + c + "\n", oneLine},
		{"with commas at the ends of the lines", a + ",\n" + b + ",\n" + c, three},
		{"CR", a + "\r" + b + "\r" + c + "\r", three},
		{"CR, pretty", strings.ReplaceAll(pretty("a", "", "  ")+"\n"+b+"\n", "\n", "\r"), []string{"f:1 a", "f:11 b", "f end"}},
		{"record separators", "\x1e" + a + "\n\x1e" + b + "\n\x1e" + c + "\n", three},
		{"record separators alone", "\x1e" + a + "\x1e" + b + "\x1e" + c, oneLine},
		{"record separators, one record cut off", "\x1e" + a + "\n\x1e" + `{"id":"x","te` + "\x1e" + b + "\n\x1e" + c + "\n", []string{"f:1 a", "f:2 invalid_json", "f:2.2 b", "f:3 c", "f end"}},
		{"record separators, pretty", "\x1e" + pretty("a", "", " ") + "\n\x1e" + pretty("b", "", " ") + "\n", []string{"f:1 a", "f:11 b", "f end"}},
		{"array in an object", `{"count":3,"chats":[` + a + "," + b + "," + c + `],"next":null}`, oneLine},
		{"array in an object, two levels", `{"data":{"total":2,"items":[` + "\n" + a + ",\n" + b + "\n]}}\n", []string{"f:2 a", "f:3 b", "f end"}},
		{"array in a pretty object", "{\n \"chats\": [\n  " + pretty("a", "  ", " ") + ",\n  " + pretty("b", "  ", " ") + "\n ],\n \"users\": [{\"id\": 1}]\n}\n", []string{"f:3 a", "f:13 b", "f end"}},
		{"a page a line", `{"chats":[` + a + "," + b + `]}` + "\n" + `{"chats":[` + c + `]}` + "\n", []string{"f:1 a", "f:1.2 b", "f:2 c", "f end"}},
		{"pages in an array", `[{"chats":[` + a + "]},\n" + `{"chats":[` + b + "," + c + `]}]`, []string{"f:1 a", "f:2 b", "f:2.2 c", "f end"}},
		{"an object with an id around the array", `{"id":"export-7","chats":[` + a + `]}`, []string{"f:1 a", "f end"}},
		{"two arrays of transcripts", `{"open":[` + a + `],"closed":[` + b + `]}`, []string{"f:1 unknown_format"}},
		{"no array of transcripts", `{"conversations":[{"id":"1","parts":[]}],"pages":{}}`, []string{"f:1 unknown_format"}},
		{"bzip2", unhex(bzip2Lines), []string{"f:1 a open", "f:2 b open", "f end"}},
		{"bzip2 twice", unhex(bzip2Lines) + unhex(bzip2Lines), []string{"f:1 a open", "f:2 b open", "f:3 a open", "f:4 b open", "f end"}},
		{"gzip in gzip", packGzip(packGzip(a + "\n" + b + "\n" + c)), three},
		{"zstd in gzip", packGzip(packZstd("[" + a + "," + b + "," + c + "]")), oneLine},
		{"zip", packZip("x/", "", "x/a.jsonl", a+"\n"+b, "b.json", "["+c+"]", "__MACOSX/._b.json", "\x00", "notes.pdf", "%PDF-"),
			[]string{"f/x/a.jsonl:1 a", "f/x/a.jsonl:2 b", "f/x/a.jsonl end", "f/b.json:1 c", "f/b.json end", "f end"}},
		{"zip of packed files", packZip("a.jsonl.gz", packGzip(a), "b.ndjson", b), []string{"f/a.jsonl.gz:1 a", "f/a.jsonl.gz end", "f/b.ndjson:1 b", "f/b.ndjson end", "f end"}},
		{"zip of one file with another name", packZip("chats.txt", a), []string{"f/chats.txt:1 a", "f/chats.txt end", "f end"}},
		{"zip without transcripts", packZip("a.txt", a, "b.png", b), []string{"f:1 unknown_format"}},
		{"xlsx", packZip("[Content_Types].xml", "<x/>", "xl/workbook.xml", "<x/>"), []string{"f:1 unknown_format"}},
		{"zip in zip", packZip("a.zip", packZip("a.json", a), "b.json", b), []string{"f/a.zip:1 unknown_format", "f/b.json:1 b", "f/b.json end", "f end"}},
		{"zip that is cut off", packZip("a.jsonl", a)[:60], []string{"f:1 file_damaged"}},
		{"tar", packTar("./a.jsonl", a+"\n"+b, "b.json.gz", packGzip(c), "README.md", "x"), []string{"f/a.jsonl:1 a", "f/a.jsonl:2 b", "f/a.jsonl end", "f/b.json.gz:1 c", "f/b.json.gz end", "f end"}},
		{"tar.gz", packGzip(packTar("a.jsonl", a, "b.jsonl", b)), []string{"f/a.jsonl:1 a", "f/a.jsonl end", "f/b.jsonl:1 b", "f/b.jsonl end", "f end"}},
		{"tar.gz with a damaged file", packGzip(packTar("a.jsonl.gz", packGzip(a)[:20], "b.jsonl", b)), []string{"f/a.jsonl.gz:1 file_damaged", "f/b.jsonl:1 b", "f/b.jsonl end", "f end"}},
		{"tar that is cut off", packTar("a.jsonl", a, "b.jsonl", strings.Repeat(b+"\n", 100))[:3000], []string{"f/a.jsonl:1 a", "f/a.jsonl end"}},
		{"UTF-16LE", encoded(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), a+"\n"+b), []string{"f:1 a", "f:2 b", "f end"}},
		{"UTF-16BE, array", encoded(unicode.UTF16(unicode.BigEndian, unicode.UseBOM), "["+a+","+b+"]"), []string{"f:1 a", "f:1.2 b", "f end"}},
		{"UTF-16LE, gzip, CRLF", packGzip(encoded(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), a+"\r\n"+b+"\r\n")), []string{"f:1 a", "f:2 b", "f end"}},
		{"UTF-32LE", encoded(utf32.UTF32(utf32.LittleEndian, utf32.UseBOM), a+"\n"+b), []string{"f:1 a", "f:2 b", "f end"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, map[string]string{"f": tt.content})
			got := places(t, dir, JSONLConfig{Paths: []string{dir + "/f"}})
			if tt.name == "tar that is cut off" {
				got = got[:min(2, len(got))] // how much comes before the damage depends on the format
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestOneBadRecordInAContainer: neither a record that is no JSON nor one that was cut off takes others along.
func TestOneBadRecordInAContainer(t *testing.T) {
	t.Parallel()
	a, b, c := chat("a"), chat("b"), chat("c")
	bad := strings.Replace(pretty("bad", "", "  "), `"user",`, `"user"`, 1)
	for _, tt := range []struct {
		name, content string
		want          []string
	}{
		{"a line that was cut off", a + "\n" + `{"id":"x","closed_at":1` + "\n" + b + "\n", []string{"f:1 a", "f:2 invalid_json", "f:3 b", "f end"}},
		{"cut off in a text", `{"id":"x","text":"He` + "\n" + a + "\n" + b, []string{"f:1 invalid_json", "f:2 a", "f:3 b", "f end"}},
		{"cut off behind [", `{"id":"x","messages":[` + "\n" + a + "\n" + b + "\n", []string{"f:1 invalid_json", "f:2 a", "f:3 b", "f end"}},
		{"cut off behind [, one more", `{"id":"x","messages":[` + "\n" + a + "\n", []string{"f:1 invalid_json", "f:2 a", "f end"}},
		{"cut off behind a comma", `{"id":"x",` + "\n" + a + "\n" + b + "\n", []string{"f:1 invalid_json", "f:2 a", "f:3 b", "f end"}},
		{"cut off behind a colon", `{"id":"x","end_user":` + "\n" + a + "\n" + b, []string{"f:1 invalid_json", "f:2 a", "f:3 b", "f end"}},
		{"cut off, and closed by chance", `{"id":"x","messages":[` + "\n" + a + "\n" + `]}` + "\n" + b, []string{"f:1 invalid_json", "f:2 a", "f:3 invalid_json", "f:4 b", "f end"}},
		{"cut off, with commas behind the lines", `{"id":"x","messages":[` + "\n" + a + ",\n" + b + ",\n" + c + "\n", []string{"f:1 invalid_json", "f:2 a", "f:3 b", "f:4 c", "f end"}},
		{"cut off in an array", "[\n" + `{"id":"x","messages":[` + "\n" + a + ",\n" + b + "\n]\n", []string{"f:2 invalid_json", "f:3 a", "f:4 b", "f end"}},
		{"cut off, then garbage", `{"id":"x"` + "\n" + "garbage\n" + b, []string{"f:1 invalid_json", "f:2 invalid_json", "f:3 b", "f end"}},
		{"several cut off", `{"id":"x",` + "\n" + `{"id":"y",` + "\n" + `{"id":"z",` + "\n" + a, []string{"f:1 invalid_json", "f:2 invalid_json", "f:3 invalid_json", "f:4 a", "f end"}},
		{"the last line cut off", a + "\n" + `{"id":"x","messages":[{"ro`, []string{"f:1 a", "f:2 invalid_json", "f end"}},
		{"the only line cut off, pretty", pretty("x", "", "  ")[:60], []string{"f:1 invalid_json", "f end"}},
		{"pretty", pretty("a", "", "  ") + "\n" + bad + "\n" + pretty("b", "", "  ") + "\n", []string{"f:1 a", "f:11 invalid_json", "f:21 b", "f end"}},
		{"pretty, without lines between", pretty("a", "", "  ") + bad + pretty("b", "", "  "), []string{"f:1 a", "f:10 invalid_json", "f:19 b", "f end"}},
		{"pretty array", "[\n  " + pretty("a", "  ", "  ") + ",\n  " + strings.ReplaceAll(bad, "\n", "\n  ") + ",\n  " + pretty("b", "  ", "  ") + "\n]\n", []string{"f:2 a", "f:12 invalid_json", "f:22 b", "f end"}},
		{"pretty array of Jackson", "[ " + pretty("a", "", "  ") + ", " + bad + ", " + pretty("b", "", "  ") + " ]", []string{"f:1 a", "f:10 invalid_json", "f:19 b", "f end"}},
		{"the last one of a pretty array", "[\n  " + pretty("a", "  ", "  ") + ",\n  " + strings.ReplaceAll(bad, "\n", "\n  ") + "\n]\n", []string{"f:2 a", "f:12 invalid_json", "f end"}},
		{"pretty, values of Python", pretty("a", "", "  ") + "\n" + strings.ReplaceAll(pretty("x", "", "  "), `"`, `'`) + "\n" + b, []string{"f:1 a", "f:11 invalid_json", "f:21 b", "f end"}},
		{"in an array on one line", "[" + a + `,{"id":"x", secret},` + b + "]", []string{"f:1 a", "f:1.2 invalid_json", "f:1.3 b", "f end"}},
		{"no object in an array", "[" + a + `,null,"x",7,[1],` + b + "]", []string{"f:1 a", "f:1.2 invalid_json", "f:1.3 invalid_json", "f:1.4 invalid_json", "f:1.5 invalid_json", "f:1.6 b", "f end"}},
		{"brackets that do not match", "[\n" + a + `,{"id":"x","m":[}},` + b + ",\n" + c + "\n]", []string{"f:2 a", "f:2.2 file_damaged", "f:3 c"}},
		{"in an array within an object", `{"chats":[` + "\n" + a + ",\n" + `{"id":"x", secret},` + "\n" + b + "\n]}", []string{"f:2 a", "f:3 invalid_json", "f:4 b", "f end"}},
		{"an array that is cut off", "[" + a + "," + b + `,{"id":"x","mess`, []string{"f:1 a", "f:1.2 b", "f:1.3 file_damaged"}},
		{"an array that is cut off between records", "[\n" + a + ",\n" + b, []string{"f:2 a", "f:3 b", "f:3.2 file_damaged"}},
		{"a pretty array that is cut off", "[\n  " + pretty("a", "  ", "  ") + ",\n  " + pretty("x", "  ", "  ")[:80], []string{"f:2 a", "f:12 file_damaged"}},
		{"an object around an array that is cut off", `{"chats":[` + a + "," + b + `],"ne`, []string{"f:1 a", "f:1.2 b", "f:1.3 file_damaged"}},
		{"concatenated", a + `{"id":"x", secret}` + b + "\n" + c, []string{"f:1 a", "f:1.2 invalid_json", "f:2 c", "f end"}},
		{"more behind a record", a + `,"attributes":{}}` + "\n" + b, []string{"f:1 invalid_json", "f:2 b", "f end"}},
		{"one bracket too many", a + "}\n" + b, []string{"f:1 invalid_json", "f:2 b", "f end"}},
		{"a text over several lines", `{"id":"x","text":"a` + "\n" + `b"}` + "\n" + a, []string{"f:1 invalid_json", "f:2 invalid_json", "f:3 a", "f end"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, map[string]string{"f": tt.content})
			if diff := cmp.Diff(tt.want, places(t, dir, JSONLConfig{Paths: []string{dir + "/f"}})); diff != "" {
				t.Error(diff)
			}
			// What comes a byte at a time is no other.
			s, err := OpenJSONL(JSONLConfig{Paths: []string{"-"}, Stdin: &trickle{strings.NewReader(tt.content)}, Now: testClock})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for r, err := range s.Read(t.Context(), time.Time{}) {
				if err != nil {
					break // the damage of a stream is an error
				}
				if r.EndOfFile {
					got = append(got, "f end")
					continue
				}
				got = append(got, "f"+strings.TrimPrefix(r.Place.String(), "-"))
			}
			var want []string
			for _, w := range tt.want {
				if fields := strings.Fields(w); w == "f end" {
					want = append(want, w)
				} else if fields[len(fields)-1] != "file_damaged" || strings.HasPrefix(tt.name, "brackets") {
					want = append(want, fields[0])
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("a byte at a time: %s", diff)
			}
		})
	}
}

type trickle struct{ r io.Reader }

func (r *trickle) Read(p []byte) (int, error) { return r.r.Read(p[:min(1, len(p))]) }

func TestRecordsPath(t *testing.T) {
	t.Parallel()
	a, b := chat("a"), chat("b")
	for _, tt := range []struct {
		records, content string
		want             []string
	}{
		{".data.chats", `{"data":{"users":[{"id":1}],"chats":[` + a + "," + b + `]}}`, []string{"f:1 a", "f:1.2 b", "f end"}},
		{"data.chats[]", `{"data":{"chats":[` + "\n" + a + ",\n" + b + "\n" + `]},"rest":[[[]]]}`, []string{"f:2 a", "f:3 b", "f end"}},
		{`."my chats"`, `{"my chats":[` + a + `]}`, []string{"f:1 a", "f end"}},
		{".old", `{"new":[` + a + `],"old":[` + b + `]}`, []string{"f:1 b", "f end"}},
		{".pages.chats", `{"pages":[{"chats":[` + a + `]},{"chats":[` + b + `]}]}`, []string{"f:1 a", "f:1.2 b", "f end"}},
		{".chats", `{"chats":[` + a + `]}` + "\n" + `{"chats":[` + b + `]}` + "\n", []string{"f:1 a", "f:2 b", "f end"}},
		{".chats", `{"chats":[]}`, []string{"f end"}},
		{".", "[" + a + "," + b + "]", []string{"f:1 a", "f:1.2 b", "f end"}},
		{".", a + "\n" + b, []string{"f:1 a", "f:2 b", "f end"}},
		{".chats", `{"chat":[` + a + `]}`, []string{"f:1 unknown_format"}},
		{".chats", `{"chats":{"a":` + a + `}}`, []string{"f:1 unknown_format"}},
		{".chats", a, []string{"f:1 unknown_format"}},
		{".chats", `{"chats":[` + a + `,{"id":"x", secret},` + b + `]}`, []string{"f:1 a", "f:1.2 invalid_json", "f:1.3 b", "f end"}},
		{".chats", `{"chats":[` + a + `]`, []string{"f:1 a", "f:1.2 file_damaged"}},
		{".chats", `{"x" 1,"chats":[` + a + `]}`, []string{"f:1 file_damaged"}},
	} {
		dir := write(t, map[string]string{"f": tt.content})
		if diff := cmp.Diff(tt.want, places(t, dir, JSONLConfig{Paths: []string{dir + "/f"}, Records: tt.records})); diff != "" {
			t.Errorf("%s in %.60s: %s", tt.records, tt.content, diff)
		}
	}
	for _, records := range []string{".a..b", ".[0]", ".a | .b", `."a`, ".a[0].b"} {
		if _, err := OpenJSONL(JSONLConfig{Paths: []string{"-"}, Records: records}); err == nil || !strings.Contains(err.Error(), ".data.chats") {
			t.Errorf("%s: %v", records, err)
		}
	}
}

// TestUnknownFormats: what cannot be read is said once a file, with what to do, and other files are read.
func TestUnknownFormats(t *testing.T) {
	t.Parallel()
	csv := "id,role,text\n"
	var log, python strings.Builder
	for i := range 80 {
		csv += fmt.Sprintf("%d,user,hello\n", i)
		fmt.Fprintf(&log, "2026-11-19 08:00:%02d INFO chat %d\n", i%60, i)
		fmt.Fprintf(&python, "{'id': 't-%d', 'closed_at': None}\n", i)
	}
	for name, content := range map[string]string{
		"xz": "\xfd7zXZ\x00\x00\x04", "7-Zip": "7z\xbc\xaf\x27\x1c\x00", "lz4": "\x04\x22\x4d\x18\x64", "Snappy": "\xff\x06\x00\x00sNaPpY\x01", "Parquet": "PAR1\x15\x04",
		"Avro": "Obj\x01\x04", "PDF": "%PDF-1.7\n", "Office": "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "SQLite": "SQLite format 3\x00", "Postgres dump": "PGDMP\x01",
		"RAR": "Rar!\x1a\x07\x01\x00", "Git LFS": "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "an image": "\x89PNG\r\n\x1a\n",
		"CSV": csv, "a log file": log.String(), "Python": python.String(),
		"HTML":       "<!DOCTYPE html>\n<html>\n<script>\n{\n}\n</script>\nSign in\n</html>\n",
		"XML":        "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>\n",
		"JavaScript": "window.chats = [\n  " + pretty("a", "  ", "  ") + "\n];\n", "SQL": "INSERT INTO chats VALUES (1);\nINSERT INTO chats VALUES (2);\n",
		"YAML": "---\n- id: a\n  text: x\n", "JSON that was encoded twice": strings.Repeat(string(quoted([]byte(chat("a"))))+"\n", 3), "a stream of server-sent events": strings.Repeat("data: "+chat("a")+"\n\n", 3),
		"text without JSON": "Dear customer\nplease find\nattached\n", "packed in": "", "Brotli": "",
	} {
		switch name {
		case "packed in":
			content = packGzip("\xfd7zXZ\x00\x00\x04")
			name = "xz"
		case "Brotli":
			content = "\x0b\x05\x80{}\n\x03"
		}
		file := "f"
		if name == "Brotli" {
			file = "f.br"
		}
		dir := write(t, map[string]string{file: content, "g": chat("g")})
		s := openFiles(t, dir+"/"+file, dir+"/g")
		var got []string
		for r, err := range s.Read(t.Context(), time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			_, err := r.Transcript()
			if r.Place.Path == dir+"/g" {
				continue
			}
			got = append(got, fmt.Sprint(strings.TrimPrefix(r.Key(), dir), " ", err))
		}
		if len(got) != 1 || !strings.HasPrefix(got[0], "/"+file+":1 unknown_format: the file is ") || !strings.Contains(got[0], name) || !strings.Contains(got[0], ": ") {
			t.Errorf("%s: %q", name, got)
		}
	}
	// A few lines that are something else are lines like any other.
	dir := write(t, map[string]string{"f": "Loading...\nConnected\n" + chat("a") + "\nDone\n"})
	want := []string{"f:1 invalid_json", "f:2 invalid_json", "f:3 a", "f:4 invalid_json", "f end"}
	if diff := cmp.Diff(want, places(t, dir, JSONLConfig{Paths: []string{dir + "/f"}})); diff != "" {
		t.Error(diff)
	}
}

// TestUnknownFormatOfAStream: standard input is judged by what it holds, too.
func TestUnknownFormatOfAStream(t *testing.T) {
	t.Parallel()
	for content, want := range map[string][]string{
		"id;text\n1;x\n2;y\n3;z\n":                     {"-:1 unknown_format"},
		packZip("a.json", chat("a")):                   {"-:1 unknown_format"},
		"Loading...\n" + chat("a") + "\n":              {"-:1 invalid_json", "-:2 a", "- end"},
		packGzip(packTar("a.json", "["+chat("a")+"]")): {"-/a.json:1 a", "-/a.json end", "- end"},
	} {
		got := places(t, "", JSONLConfig{Paths: []string{"-"}, Stdin: &trickle{strings.NewReader(content)}})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.20q: %s", content, diff)
		}
	}
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	text := func(id, s string) string {
		return `{"id":"` + id + `","closed_at":1795075200,"messages":[{"role":"user","text":"` + s + `"}]}` + "\n"
	}
	latin := encoded(charmap.Windows1252, text("kø", "Sød – “ja”")+text("kå", "år"))
	cyrillic := encoded(charmap.Windows1251, text("a", "Здравствуйте, где мой заказ"))
	u16 := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	smiley := "\xf0\x9f\x98"
	var ascii strings.Builder
	for i := range 12_000 {
		ascii.WriteString(text(fmt.Sprintf("t%d", i), strings.Repeat("x", 50)))
	}
	for _, tt := range []struct {
		name, content, encoding, says string
		want                          []string
	}{
		{"Latin-1", latin, "", "looks like windows-1252", []string{"f:1 wrong_encoding"}},
		{"Latin-1 in an array", "[" + strings.ReplaceAll(strings.TrimSpace(latin), "\n", ",") + "]", "", "set encoding in source.jsonl or source.csv to windows-1252", []string{"f:1 wrong_encoding"}},
		{"Latin-1, declared", latin, "windows-1252", "", []string{"f:1 kø", "f:2 kå", "f end"}},
		{"Latin-1, declared by another name", latin, "ISO-8859-1", "", []string{"f:1 kø", "f:2 kå", "f end"}},
		{"UTF-8 declared: taken at its word", encoded(charmap.Windows1252, text("a", "år på ø")), "utf-8", "", []string{"f:1 a", "f end"}},
		{"Cyrillic", cyrillic, "", "windows-1251", []string{"f:1 wrong_encoding"}},
		{"Cyrillic, declared", cyrillic, "windows-1251", "", []string{"f:1 a", "f end"}},
		{"UTF-16LE without a mark", encoded(u16, text("a", "x")+text("b", "y")), "", "UTF-16LE without a byte order mark", []string{"f:1 wrong_encoding"}},
		{"UTF-16LE without a mark, declared", encoded(u16, text("a", "x")+text("b", "y")), "utf-16le", "", []string{"f:1 a", "f:2 b", "f end"}},
		{"UTF-16BE without a mark", encoded(unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), text("a", "x")), "", "to utf-16be", []string{"f:1 wrong_encoding"}},
		{"the mark has the last word", encoded(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), text("a", "ø")), "windows-1252", "", []string{"f:1 a", "f end"}},
		{"UTF-8", text("a", "Sød – “ja” 😀"), "", "", []string{"f:1 a", "f end"}},
		{"one damaged emoji", text("a", "Hi"+smiley+"!") + text("b", "x"), "", "", []string{"f:1 a", "f:2 b", "f end"}},
		{"one damaged letter in UTF-8", text("a", "blåbær") + text("b", "r\xf8d"), "", "", []string{"f:1 a", "f:2 b", "f end"}},
		{"one letter of Latin-1", text("a", "x") + text("b", "r\xf8d"), "", "the file is not UTF-8, it looks like windows-1252", []string{"f:1 wrong_encoding"}},
		{"Latin-1 far behind", ascii.String() + latin, "", "set encoding in source.jsonl or source.csv to windows-1252", []string{"f:12001 wrong_encoding", "f:12002 wrong_encoding", "f end"}},
		{"Latin-1 behind UTF-8", text("a", "blåbær") + encoded(charmap.Windows1252, text("b", "rød grød på år")), "", "windows-1252", []string{"f:1 a", "f:2 wrong_encoding", "f end"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, map[string]string{"f": tt.content})
			config := JSONLConfig{Paths: []string{dir + "/f"}, Encoding: tt.encoding, Now: testClock}
			got := places(t, dir, config)
			if diff := cmp.Diff(tt.want, got[max(0, len(got)-len(tt.want)):]); diff != "" {
				t.Error(diff)
			}
			s, err := OpenJSONL(config)
			if err != nil {
				t.Fatal(err)
			}
			for r, err := range s.Read(t.Context(), time.Time{}) {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := r.Transcript(); err != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%v does not say %q", err, tt.says)
				}
			}
		})
	}
	if _, err := OpenJSONL(JSONLConfig{Paths: []string{"-"}, Encoding: "klingon"}); err == nil || !strings.Contains(err.Error(), "windows-1252") {
		t.Errorf("an encoding that does not exist: %v", err)
	}
}

// TestRawIsOneLine: what is handed out to be corrected is a line, its hash that of the record as it stands in the file.
func TestRawIsOneLine(t *testing.T) {
	t.Parallel()
	for content, indent := range map[string]string{pretty("a", "", "  "): "", "[\n  " + pretty("a", "  ", "\t") + "\n]": "  "} {
		dir := write(t, map[string]string{"f": content})
		for r, err := range openFiles(t, dir+"/f").Read(t.Context(), time.Time{}) {
			if err != nil || r.EndOfFile {
				continue
			}
			step := "  "
			if indent != "" {
				step = "\t"
			}
			want := `{"id":"a","closed_at":1795075200,"messages":[{"role":"user","text":"Hello {[\"],"}]}`
			if string(r.Raw()) != want || r.Hash != sha256.Sum256([]byte(pretty("a", indent, step))) {
				t.Errorf("%s, hash %v", r.Raw(), r.Hash)
			}
		}
	}
}

// TestAPlaceOfAWholeFileHoldsForItsContent: what replaces a file of a wrong format under its name is another record.
func TestAPlaceOfAWholeFileHoldsForItsContent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hash := func(content string) Hash {
		t.Helper()
		if err := os.WriteFile(dir+"/f", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for r, err := range openFiles(t, dir+"/f").Read(t.Context(), time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Transcript(); err == nil || r.Key() != dir+"/f:1" {
				t.Fatalf("%s: %v", r.Key(), err)
			}
			return r.Hash
		}
		return Hash{}
	}
	for _, tt := range []struct{ name, monday, tuesday string }{
		{"CSV", "id,text\n1,x\n2,y\n", "id,text\n1,x\n2,z\n"},
		{"Latin-1", "{\"id\":\"k\xf8k\",\"n\":\"\xf8l\"}\n", "{\"id\":\"k\xe5k\",\"n\":\"\xf8l\"}\n"},
		{"truncated", packGzip(chat("a") + "\n" + chat("b"))[:60], packGzip(chat("a") + "\n" + chat("c"))[:60]},
		{"a pretty record", strings.Replace(pretty("a", "", " "), `"user",`, `"user"`, 1), strings.Replace(pretty("b", "", " "), `"user",`, `"user"`, 1)},
		{"an array", "[" + chat("a"), "[" + chat("b")},
	} {
		if tt.name == "an array" {
			continue // its first record is good
		}
		if first, second := hash(tt.monday), hash(tt.tuesday); first == second || first != hash(tt.monday) {
			t.Errorf("%s: hashes %v and %v", tt.name, first, second)
		}
	}
}
