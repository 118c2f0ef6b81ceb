package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// write writes files below a new folder and returns the folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func openFiles(t *testing.T, paths ...string) *JSONL {
	t.Helper()
	s, err := OpenJSONL(JSONLConfig{Paths: paths, Now: testClock})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// collect describes the records of an iteration relative to a folder, and returns the error that ended it, or that
// says where a file is damaged.
func collect(t *testing.T, dir string, all func(func(*Record, error) bool)) (records []string, err error) {
	t.Helper()
	ended := false
	for r, e := range all {
		if ended {
			t.Fatal("the iteration went on after an error")
		}
		if e != nil {
			ended, err = true, e
			continue
		}
		path := strings.TrimPrefix(r.Place.Path, dir+"/")
		if r.EndOfFile {
			records = append(records, path+" end")
			continue
		}
		_, failure := r.Transcript()
		state := ""
		if reject := (*RejectError)(nil); errors.As(failure, &reject) {
			if reject.Code == RejectFileDamaged {
				err = reject
				continue
			}
			state = " " + string(reject.Code)
		}
		if r.Open {
			state += " open"
		}
		records = append(records, fmt.Sprintf("%s:%d %s%s", path, r.Place.Line, r.ID, state))
	}
	return records, err
}

// chat is a closed chat on one line.
func chat(id string) string { return `{"id":"` + id + `","closed_at":1795075200,` + oneMessage + `}` }

func packGzip(content string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, content)
	_ = z.Close()
	return b.String()
}

func packZstd(content string, options ...zstd.EOption) string {
	var b bytes.Buffer
	z, _ := zstd.NewWriter(&b, options...)
	_, _ = io.WriteString(z, content)
	_ = z.Close()
	return b.String()
}

func TestJSONLRead(t *testing.T) {
	t.Parallel()
	long := `{"id":"long","x":"` + strings.Repeat("x", maxLine) + `"}`
	exact := `{"id":"e","messages":[],"x":"`
	exact += strings.Repeat("x", maxLine-len(exact)-2) + `"}`
	two := chat("a") + "\n" + chat("b") + "\n"
	three := []string{"f:1 a", "f:2 b", "f end"}
	tests := []struct {
		name, content string
		want          []string
		err           string
	}{
		{"plain", two, three, ""},
		{"no newline at the end", strings.TrimSpace(two), three, ""},
		{"CRLF", strings.ReplaceAll(two, "\n", "\r\n"), three, ""},
		{"byte order mark", "\ufeff" + two, three, ""},
		{"blank lines", "\n" + chat("a") + "\n \t\r\n\n" + chat("b") + "\n\n", []string{"f:2 a", "f:5 b", "f end"}, ""},
		{"empty", "", []string{"f end"}, ""},
		{"only blank", "\n\n ", []string{"f end"}, ""},
		{"broken and open", "{\"id\":\"x\"\n" + chat("a") + "\n{\"id\":\"o\"}\n{}\n[]", []string{"f:1  invalid_json open", "f:2 a", "f:3 o open", "f:4  missing_id open", "f:5  invalid_json", "f end"}, ""},
		{"too long", chat("a") + "\n" + long + "\n" + chat("b"), []string{"f:1 a", "f:2  line_too_long", "f:3 b", "f end"}, ""},
		{"too long at the end", chat("a") + "\n" + long + "\r", []string{"f:1 a", "f:2  line_too_long", "f end"}, ""},
		{"just not too long", exact + "\r\n" + chat("b"), []string{"f:1 e open", "f:2 b", "f end"}, ""},
		{"just too long", exact + " \r\n" + chat("b"), []string{"f:1  line_too_long", "f:2 b", "f end"}, ""},
		{"gzip", packGzip(two), three, ""},
		{"gzip members", packGzip(chat("a")) + packGzip("\n"+chat("b")), three, ""},
		{"gzip with mark", packGzip("\ufeff" + two), three, ""},
		{"gzip of nothing", packGzip(""), []string{"f end"}, ""},
		{"gzip truncated", packGzip(two)[:len(packGzip(two))-10], nil, "truncated or damaged"},
		{"gzip with garbage behind", packGzip(two) + "garbage", []string{"f:1 a", "f:2 b"}, "truncated or damaged"},
		{"zstd", packZstd(two), three, ""},
		{"zstd frames", packZstd(chat("a")) + packZstd("\n"+chat("b")), three, ""},
		{"zstd skippable frame", "\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + packZstd(two), three, ""},
		{"zstd truncated", packZstd(two)[:30], nil, "truncated or damaged"},
		{"zstd with a giant window", "\x28\xb5\x2f\xfd\x00\xa0" + packZstd(two)[6:], nil, "compress it again without --long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, map[string]string{"f": tt.content})
			s := openFiles(t, dir+"/f")
			for range 2 { // a second time gives the same
				got, err := collect(t, dir, s.Read(t.Context(), time.Time{}))
				if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), dir+"/f")) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				if tt.err != "" && tt.want == nil {
					continue // how much comes before the damage depends on the format
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			}
			if p := s.Progress(); tt.err == "" && (p.Done != p.Total || p.Total != int64(len(tt.content)) || p.Unit != "bytes") {
				t.Errorf("progress %+v of %d bytes", p, len(tt.content))
			}
		})
	}
}

func TestJSONLTruncatedKeepsRecords(t *testing.T) {
	t.Parallel()
	random := rand.NewChaCha8([32]byte{1})
	var lines strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&lines, `{"id":"t%d","messages":[],"noise":"%x"}`+"\n", i, random.Uint64())
	}
	for name, packed := range map[string]string{"gzip": packGzip(lines.String()), "zstd": packZstd(lines.String(), zstd.WithWindowSize(1<<14))} {
		dir := write(t, map[string]string{"f": packed[:len(packed)*3/4]})
		got, err := collect(t, dir, openFiles(t, dir+"/f").Read(t.Context(), time.Time{}))
		if err == nil || len(got) < 2000 || len(got) >= 5000 {
			t.Errorf("%s: %d records, error %v", name, len(got), err)
		}
		for i, r := range got {
			if want := fmt.Sprintf("f:%d t%d open", i+1, i); r != want {
				t.Fatalf("%s: got %s, want %s", name, r, want)
			}
		}
	}
}

func TestJSONLDamageStopsNoOtherFile(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"a": packGzip(chat("a") + "\n" + chat("b"))[:60], "b": chat("c")})
	s := openFiles(t, dir+"/a", dir+"/b")
	var got []string
	for r, err := range s.Read(t.Context(), time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Transcript(); err != nil {
			got = append(got, fmt.Sprint(strings.TrimPrefix(r.Key(), dir), " ", err))
			continue
		}
		got = append(got, r.ID)
	}
	if len(got) != 3 || !strings.HasPrefix(got[0], "/a:1 file_damaged: read ") || got[1] != "c" {
		t.Errorf("got %q", got)
	}
}

func TestJSONLHash(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x\r", maxLine/2+1)
	for _, tt := range []struct{ content, hashed string }{
		{chat("a") + "\n", chat("a")}, {chat("a") + "\r\n", chat("a")}, {chat("a"), chat("a")},
		{"\ufeff" + chat("a") + "\n", chat("a")}, {" " + chat("a") + " \n", " " + chat("a") + " "},
		{long + "y\r\n", long + "y"}, {long, strings.TrimSuffix(long, "\r")}, {long + "\n", strings.TrimSuffix(long, "\r")},
	} {
		dir := write(t, map[string]string{"f": tt.content})
		for r, err := range openFiles(t, dir+"/f").Read(t.Context(), time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			if want := Hash(sha256.Sum256([]byte(tt.hashed))); !r.EndOfFile && r.Hash != want {
				t.Errorf("%.20q: hash %v, want %v", tt.content, r.Hash, want)
			}
		}
	}
}

func TestJSONLPaths(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"b.jsonl": chat("b"), "a.jsonl": chat("a"), "c[1].jsonl": chat("c"), "empty.gz": "", "text.gz": chat("t"), "odd.zst": "PK\x03\x04", "sub/x": ""})
	if err := os.Symlink(dir+"/a.jsonl", dir+"/z.jsonl"); err != nil {
		t.Fatal(err)
	}
	got, err := collect(t, dir, openFiles(t, dir+"/b.jsonl", dir+"/*.jsonl", dir+"/c[1].jsonl", dir+"/text.gz").Read(t.Context(), time.Time{}))
	want := []string{"b.jsonl:1 b", "b.jsonl end", "a.jsonl:1 a", "a.jsonl end", "c[1].jsonl:1 c", "c[1].jsonl end", "text.gz:1 t", "text.gz end"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for name, cure := range map[string]string{"empty.gz": "truncated or damaged", "odd.zst": "correct the name or the file"} {
		if _, err := collect(t, dir, openFiles(t, dir+"/"+name).Read(t.Context(), time.Time{})); err == nil || !strings.Contains(err.Error(), cure) {
			t.Errorf("%s: error %v", name, err)
		}
	}

	paths := []string{dir + "/missing", dir + "/sub", dir + "/*.none", dir + "/b[", dir + "/b.jsonl/x"}
	_, err = OpenJSONL(JSONLConfig{Paths: paths})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{dir + "/missing: there is no such file", dir + "/sub: is a directory without transcript files",
		dir + "/*.none: no file matches", dir + "/b[: the pattern is malformed", dir + "/b.jsonl/x: not a directory"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if _, err := OpenJSONL(JSONLConfig{}); err == nil {
		t.Error("no paths are no error")
	}
}

func TestJSONLUnreadable(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"f": chat("a")})
	s := openFiles(t, dir+"/f")
	if err := os.Remove(dir + "/f"); err != nil {
		t.Fatal(err)
	}
	if _, err := collect(t, dir, s.Read(t.Context(), time.Time{})); err == nil || !strings.Contains(err.Error(), "no such file") || !strings.Contains(err.Error(), dir+"/f") {
		t.Errorf("a file that vanished: %v", err)
	}
	if os.Geteuid() == 0 {
		return // root may read everything
	}
	if err := os.WriteFile(dir+"/g", nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJSONL(JSONLConfig{Paths: []string{dir + "/g"}}); err == nil || !strings.Contains(err.Error(), "make the file readable") {
		t.Errorf("an unreadable file: %v", err)
	}
}

func TestJSONLGarbage(t *testing.T) {
	t.Parallel()
	garbage := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(garbage)
	garbage[0] = 'x'
	dir := write(t, map[string]string{"f": string(garbage)})
	got, err := collect(t, dir, openFiles(t, dir+"/f").Read(t.Context(), time.Time{}))
	if diff := cmp.Diff([]string{"f:1  unknown_format"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestJSONLFetch(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"1": "{\"id\":\"a\"}\n" + chat("a") + "\n" + chat("b") + "\n{\"id\":\"c\"",
		"2": chat("a") + "\n" + chat("c") + "\n{\"id\":\"d\",\"closed_at\":946684800}\nbroken\n" + chat("e"),
	})
	s := openFiles(t, dir+"/1", dir+"/2")
	for _, tt := range []struct{ ids, want []string }{
		{nil, nil},
		{[]string{"none"}, nil},
		{[]string{"a"}, []string{"1:2 a"}},
		{[]string{"c", "b", "d"}, []string{"1:3 b", "2:2 c", "2:3 d invalid_field"}},
		{[]string{dir + "/1:1", dir + "/2:1", dir + "/2:4", dir + "/2:99"}, []string{"1:1 a open", "2:1 a", "2:4  invalid_json"}},
		{[]string{"a", dir + "/1:2"}, []string{"1:2 a"}},
	} {
		got, err := collect(t, dir, s.Fetch(t.Context(), tt.ids))
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("fetch %v: %s %v", tt.ids, diff, err)
		}
	}
	for _, err := range s.Fetch(t.Context(), []string{"a", "b"}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
}

// TestJSONLFetchFromADamagedFile: the files behind it are read, and the damage itself can be asked for.
func TestJSONLFetchFromADamagedFile(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"1": packGzip(chat("a")+"\n") + "garbage", "2": chat("b")})
	s := openFiles(t, dir+"/1", dir+"/2")
	got, err := collect(t, dir, s.Fetch(t.Context(), []string{"a", "b"}))
	if diff := cmp.Diff([]string{"1:1 a", "2:1 b"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	got, err = collect(t, dir, s.Fetch(t.Context(), []string{dir + "/1:2", "b"}))
	if diff := cmp.Diff([]string{"2:1 b"}, got); diff != "" || err == nil || !strings.Contains(err.Error(), "truncated or damaged") {
		t.Error(diff, err)
	}
}

func TestJSONLStandardInput(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"f": chat("f")})
	s, err := OpenJSONL(JSONLConfig{Paths: []string{"-", dir + "/f", "-"}, Stdin: strings.NewReader(packGzip(chat("a") + "\n"))})
	if err != nil {
		t.Fatal(err)
	}
	if s.Rereadable() {
		t.Error("standard input is rereadable")
	}
	if _, err := collect(t, dir, s.Fetch(t.Context(), []string{"a"})); !errors.Is(err, ErrCannotReread) {
		t.Errorf("fetch: %v", err)
	}
	got, err := collect(t, dir, s.Read(t.Context(), time.Time{}))
	if diff := cmp.Diff([]string{"-:1 a", "- end", "f:1 f", "f end"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := collect(t, dir, s.Read(t.Context(), time.Time{})); !errors.Is(err, ErrCannotReread) {
		t.Errorf("second read: %v", err)
	}
	if p := s.Progress(); p.Total != 0 || p.Done == 0 {
		t.Errorf("progress %+v", p)
	}
}

// TestJSONLCancel cancels a read of a pipe that says nothing more.
func TestJSONLCancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	defer func() { _ = w.Close() }()
	go func() { _, _ = io.WriteString(w, chat("a")+"\n"+strings.Repeat(" ", 100_000)+"\n"+chat("b")+"\n{") }()
	s, err := OpenJSONL(JSONLConfig{Paths: []string{"-"}, Stdin: r})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range s.Read(ctx, time.Time{}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) || n == 0 {
				t.Fatalf("after %d records: %v", n, err)
			}
			return
		}
		n++
		cancel()
	}
	t.Fatal("the read ended without an error")
}

// TestJSONLMemory reads 200 MB and must not keep them.
func TestJSONLMemory(t *testing.T) {
	skipIfShort(t)
	line := append(typicalLine(1), '\n')
	content := io.LimitReader(&endless{line: line}, 200<<20)
	s, err := OpenJSONL(JSONLConfig{Paths: []string{"-"}, Stdin: content})
	if err != nil {
		t.Fatal(err)
	}
	n, peak := 0, uint64(0)
	var m runtime.MemStats
	for _, err := range s.Read(t.Context(), time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n%20_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}
	if n < 100_000 || peak > 64<<20 { // other tests' heap is in it
		t.Errorf("%d records, %d MB on the heap", n, peak>>20)
	}
}

// endless repeats a line.
type endless struct {
	line []byte
	pos  int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.line[e.pos:])
	e.pos = (e.pos + n) % len(e.line)
	return n, nil
}

func TestPlaceWithoutItsFolders(t *testing.T) {
	t.Parallel()
	s := &JSONL{inputs: []input{{path: "../in/a.jsonl"}, {path: "../in/b.jsonl"}, {path: "../old/b.jsonl"}, {path: "c.jsonl"}}}
	for ending, want := range map[string]string{"a.jsonl:7": "../in/a.jsonl:7", "in/b.jsonl:7": "../in/b.jsonl:7", "c.jsonl:1": "c.jsonl:1",
		"b.jsonl:7": "", ".jsonl:7": "", "a.jsonl": "", ":7": "", "t-1": ""} {
		if got := s.ResolvePlace(ending); got != want {
			t.Errorf("%s is %q, want %q", ending, got, want)
		}
	}
}

func TestOriginal(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"_error":{"transcript_id":"in/a.jsonl:7","code":"x"},"messages":[]}`: "in/a.jsonl:7",
		`{"_error":{"transcript_id":"a b","code":"x"},"messages":[`:            "a b",
		`{"_error":{"code":"x"}}`:               "",
		`{"_error":"transcript_id"}`:            "",
		`{"text":"_error","transcript_id":"x"}`: "",
		`  [{"_error":{}}]`:                     "",
		`"_error"`:                              "",
		"":                                      "",
	} {
		r := &Record{Place: Place{Path: "m.jsonl", Line: 1}, raw: []byte(line), decode: func(r *Record) (*Transcript, *RejectError) {
			return decodeRecord(r, testNow, nil)
		}}
		if _, err := r.Transcript(); err == nil || r.Original.Key != want {
			t.Errorf("%s: %v, original %q, want %q", line, err, r.Original.Key, want)
		}
		if key := r.Key(); want != "" && key != want || want == "" && key != "m.jsonl:1" {
			t.Errorf("%s is known as %q", line, key)
		}
	}
}
