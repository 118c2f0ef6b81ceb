package source

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCameFrom(t *testing.T) {
	t.Parallel()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"transcripts/2026-01.jsonl.gz":        "transcripts/2026-01.jsonl.gz",
		"-":                                   "-",
		"a.zip/b.json":                        "a.zip/b.json",
		"/data/export/a.jsonl":                "/data/export/a.jsonl",
		filepath.Join(home, "export/a.jsonl"): "~/export/a.jsonl",
		home + "-other/a.jsonl":               home + "-other/a.jsonl",
		"/home/ann.lee/export/a.jsonl":        "~/export/a.jsonl",
		"/Users/ann/a.jsonl":                  "~/a.jsonl",
		`C:\Users\Ann Lee\a.jsonl`:            `~\a.jsonl`,
		"/homes/x/a.jsonl":                    "/homes/x/a.jsonl",
		"home/ann/a.jsonl":                    "home/ann/a.jsonl",
		postgresPath:                          "",
		feedPath:                              "",
	} {
		if got := (&Record{Place: Place{Path: path, Line: 3}}).CameFrom(); got != want {
			t.Errorf("%s came from %q, want %q", path, got, want)
		}
	}
}
