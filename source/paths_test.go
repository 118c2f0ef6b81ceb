package source

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// read returns the names of the files that paths stand for, relative to a folder, in order.
func read(dir string, log *slog.Logger, paths ...string) (names []string, err error) {
	s, err := OpenJSONL(JSONLConfig{Paths: paths, Logger: log})
	if err != nil {
		return nil, err
	}
	for _, in := range s.inputs {
		names = append(names, strings.TrimPrefix(in.path, dir+"/"))
	}
	return names, nil
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"in/a.jsonl": "", "in/2025/b.jsonl": "", "in/2025/01/c.jsonl": "", "in/2025/01/d.json.gz": packGzip(""), "in/2025/e.txt": "",
		"in/.hidden/f.jsonl": "", "in/{x}.jsonl": "", "other/g.jsonl": ""})
	for link, to := range map[string]string{"in/2025/loop": "..", "in/linked": "../other", "in/2025/again.jsonl": "../a.jsonl", "in/2025/01/self": "."} {
		if err := os.Symlink(to, dir+"/"+link); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		pattern string
		want    []string
	}{
		{"in/*.jsonl", []string{"in/a.jsonl", "in/{x}.jsonl"}},
		{"in/**/*.jsonl", []string{"in/.hidden/f.jsonl", "in/2025/01/c.jsonl", "in/2025/again.jsonl", "in/2025/b.jsonl", "in/linked/g.jsonl", "in/{x}.jsonl"}},
		{"in/**/2025/**/c.*", []string{"in/2025/01/c.jsonl"}},
		{"in/2025/*/c.jsonl", []string{"in/2025/01/c.jsonl"}},
		{"in/*/g.jsonl", []string{"in/linked/g.jsonl"}},
		{"in/{a,2025/b}.jsonl", []string{"in/2025/b.jsonl", "in/a.jsonl"}},
		{"in/2025/01/*.{jsonl,json.gz}", []string{"in/2025/01/c.jsonl", "in/2025/01/d.json.gz"}},
		{"in/[ab].jsonl", []string{"in/a.jsonl"}},
		{"in/{x}.jsonl", []string{"in/{x}.jsonl"}},
		{"in", []string{"in/2025/01/c.jsonl", "in/2025/01/d.json.gz", "in/2025/again.jsonl", "in/2025/b.jsonl", "in/linked/g.jsonl", "in/{x}.jsonl"}},
		{"in/", []string{"in/2025/01/c.jsonl", "in/2025/01/d.json.gz", "in/2025/again.jsonl", "in/2025/b.jsonl", "in/linked/g.jsonl", "in/{x}.jsonl"}},
		{"in/20*", []string{"in/2025/01/c.jsonl", "in/2025/01/d.json.gz", "in/2025/again.jsonl", "in/2025/b.jsonl", "in/2025/loop/linked/g.jsonl", "in/2025/loop/{x}.jsonl"}},
	} {
		got, err := read(dir, nil, dir+"/"+tt.pattern)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %s %v", tt.pattern, diff, err)
		}
	}
	got, err := read(dir, nil, dir+"/in/a.jsonl", dir+"/in/**/*.jsonl", dir+"/in", dir+"/in/2025/b.jsonl")
	if want := 7; len(got) != want || err != nil { // each file once, under its first name
		t.Errorf("%d files, want %d: %v %v", len(got), want, got, err)
	}
	var log bytes.Buffer
	if _, err := read(dir, slog.New(slog.NewTextHandler(&log, nil)), dir+"/in/2025"); err != nil || !strings.Contains(log.String(), "were skipped") || !strings.Contains(log.String(), "e.txt") {
		t.Errorf("what is left out: %s, %v", log.String(), err)
	}
}

func TestPathsThatCannotBe(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"text/a.txt": "", "a.jsonl": ""})
	for path, want := range map[string]string{
		dir + "/**/*.none":       "no file matches the pattern: correct it, or create the files first",
		dir + "/none/**/*.jsonl": "no file matches the pattern",
		dir + "/{a,b":            "the pattern is malformed",
		dir + "/text":            "is a directory without transcript files: put files into it whose names end in .jsonl",
		dir + "/te*":             "without transcript files",
		"s3://bucket/a.jsonl.gz": "`aws s3 cp s3://bucket/a.jsonl.gz - | dixa-import run --jsonl -`",
		"gs://bucket/a":          "`gcloud storage cat gs://bucket/a | dixa-import run --jsonl -`",
		"https://me:secret@example.org/a?token=x1": "`curl -fsSL https://example.org/a | dixa-import run --jsonl -`",
		"azblob://c/a":           "COMMAND | dixa-import run --jsonl -",
		"file:///tmp/a":          "write it as a path",
		"~nobody-of-this-name/a": "the home directory is not known",
	} {
		_, err := OpenJSONL(JSONLConfig{Paths: []string{path}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "x1") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestHome(t *testing.T) {
	dir := write(t, map[string]string{"in/a.jsonl": "", "in/b/c.jsonl": ""})
	t.Setenv("HOME", dir)
	for path, want := range map[string]int{"~/in/a.jsonl": 1, "~/in/*.jsonl": 1, "~/in/**/*.jsonl": 2, "~/in": 2, "~": 2} {
		if got, err := read(dir, nil, path); len(got) != want || err != nil {
			t.Errorf("%s: %v %v", path, got, err)
		}
	}
}

// TestFetchFindsWhatReadShows asks for every key of every container, one by one and all together.
func TestFetchFindsWhatReadShows(t *testing.T) {
	t.Parallel()
	open := `{"id":"o","messages":[]}`
	dir := write(t, map[string]string{
		"1": "[" + chat("a") + `,{"x":1},{"id":"b", bad},` + open + "]",
		"2": pretty("c", "", " ") + pretty("d", "", " ") + "\n" + `{"closed_at":1}{"closed_at":2}` + "\n" + `{"id":"p","messages":[],"n":1}` + "\n" + `{"id":"p","messages":[],"n":2}`,
		"3": packZip("x.jsonl", `{"y":1}`+"\n"+chat("e"), "y.csv.json", "a;b\n1;2\n3;4\n"),
		"4": `{"id":"q"}` + "\n" + chat("q"),
		"5": "[" + chat("f"),
	})
	s := openFiles(t, dir+"/1", dir+"/2", dir+"/3", dir+"/4", dir+"/5")
	hashes := map[string]Hash{}
	var keys []string
	for r, err := range s.Read(t.Context(), time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.EndOfFile {
			continue
		}
		_, _ = r.Transcript()
		for _, key := range []string{r.Key(), r.Place.String()} {
			if _, met := hashes[key]; !met || key == "q" { // the closed one counts
				hashes[key] = r.Hash
				keys = append(keys, key)
			}
		}
	}
	for _, place := range []string{"1:1.3", "1:1.4", "2:10", "2:20", "2:20.2", "3/x.jsonl:1", "3/y.csv.json:1", "5:1.2"} {
		if _, met := hashes[dir+"/"+place]; !met {
			t.Errorf("nothing is at %s: %v", place, keys)
		}
	}
	for _, key := range keys {
		found := 0
		for r, err := range s.Fetch(t.Context(), []string{key}) {
			if found++; err != nil || r.Hash != hashes[key] {
				t.Errorf("%s: %v, the wrong record", key, err)
			}
		}
		if found != 1 {
			t.Errorf("%s was found %d times", key, found)
		}
	}
	got, err := collect(t, dir, s.Fetch(t.Context(), []string{"o", "p", "q", "a", "none"}))
	if diff := cmp.Diff([]string{"1:1 a", "4:2 q", "1:1 o open", "2:21 p open"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// peakHeap returns the most memory that was in use while do ran, in bytes.
func peakHeap(do func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	ctx, stop := context.WithCancel(context.Background())
	var peak uint64
	var wait sync.WaitGroup
	wait.Go(func() {
		var m runtime.MemStats
		for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
			if ctx.Err() != nil {
				tick.Stop()
				return
			}
		}
	})
	do()
	stop()
	wait.Wait()
	return peak
}

// TestMemoryIsBounded reads large files of every form in turn, which are made up as they are read. The limit is well below what is read,
// unless a record is too long: then it is a few times the longest record.
func TestMemoryIsBounded(t *testing.T) {
	skipIfShort(t)
	same := func(s string) func() string { return func() string { return s } }
	large := func() string {
		return `,{"id":"a","closed_at":1795075200,"x":"` + strings.Repeat("x", 4<<20) + `",` + oneMessage + `}`
	}
	huge := func() string { return `,{"id":"a","x":["` + strings.Repeat("x", 40<<20) + `"]}` }
	for _, tt := range []struct {
		name        string
		head        string
		record      func() string
		tail        string
		times, want int
		limit       int // in MB, beside four records
		code        RejectCode
	}{
		{"lines", "", func() string { return large()[1:] + "\n" }, "", 60, 60, 64, ""},
		{"array on one line", "[" + chat("a"), large, "]", 60, 61, 64, ""},
		{"array in an object", `{"users":[{"id":1}],"chats":[` + chat("a"), large, `],"x":1}`, 49, 50, 128, ""},
		{"pretty", "", func() string { return strings.ReplaceAll(large()[1:], ",", ",\n  ") + "\n" }, "", 36, 36, 64, ""},
		{"small ones on one line", "[" + chat("a"), same("," + chat("b")), "]", 400_000, 400_001, 32, ""},
		{"one long line", "", same(strings.Repeat(" x", 1<<20)), "", 100, 1, 128, RejectLineTooLong},
		{"one long blank line", "", same(strings.Repeat(" ", 1<<20)), chat("a"), 200, 1, 64, ""},
		{"records that are too long", "[" + chat("a"), huge, "]", 3, 4, 128, RejectLineTooLong},
		{"a record over many lines that is too long", "", func() string {
			return `{"id":"a","x":[` + "\n" + strings.Repeat(`  "`+strings.Repeat("x", 1000)+`",`+"\n", 30_000) + "  \"\"\n]}\n"
		}, "", 3, 3, 128, RejectLineTooLong},
		{"a line that was cut off and swallows", `{"id":"a","messages":[` + "\n", same(chat("b") + ",\n"), "", 300_000, 300_001, 128, RejectInvalidJSON},
	} {
		n := 0
		var code RejectCode
		record := []byte(tt.record())
		parts := []io.Reader{strings.NewReader(tt.head), io.LimitReader(&endless{line: record}, int64(len(record))*int64(tt.times)), strings.NewReader(tt.tail)}
		s, err := OpenJSONL(JSONLConfig{Paths: []string{"-"}, Stdin: io.MultiReader(parts...), Now: testClock})
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		peak := peakHeap(func() {
			for r, err := range s.Read(t.Context(), time.Time{}) {
				if err != nil {
					t.Fatal(tt.name, err)
				}
				if r.EndOfFile {
					continue
				}
				n++
				if r.failure != nil && code == "" {
					code = r.failure.Code
				} else if code == "" && r.Raw()[len(r.Raw())-1] != '}' {
					code = RejectInvalidJSON
				}
			}
		})
		limit := uint64(tt.limit<<20 + 4*min(len(record), maxLine))
		t.Logf("%s: %d records, peak %d MB", tt.name, n, peak>>20)
		if n != tt.want || code != tt.code || peak > limit {
			t.Errorf("%s: %d records, want %d; code %q; peak %d MB of %d MB", tt.name, n, tt.want, code, peak>>20, limit>>20)
		}
	}
}
