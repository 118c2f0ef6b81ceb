package main

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dixa-import/cmd/dixa-import/internal/report"
)

func TestDemoInProcess(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	err := run(context.Background(), []string{"demo", "--json", "--rate=0", "--transcripts", "12"}, strings.NewReader(""), &stdout, &stderr)
	if err != nil || exitCode(err) != exitOK {
		t.Fatalf("the demo ends with %v:\n%s", err, stderr.String())
	}
	var got report.SummaryJSON
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	c := got.Counts
	if c.Read != 12 || c.Imported != 9 || c.Partial != 1 || c.Rejected != 1 || c.Skipped != 1 {
		t.Errorf("the counts are %+v", c)
	}
	if stderr.Len() > 0 {
		t.Errorf("standard error is not empty:\n%s", stderr.String())
	}
}

func TestDemoTranscriptsAreAlwaysTheSame(t *testing.T) {
	t.Parallel()
	var a, b bytes.Buffer
	if err := writeDemo(&a, 50); err != nil {
		t.Fatal(err)
	}
	if err := writeDemo(&b, 50); err != nil {
		t.Fatal(err)
	}
	if a.String() != b.String() || strings.Count(a.String(), "\n") != 50 || strings.Contains(a.String(), "%!") {
		t.Error("the transcripts differ, are not 50 or badly formatted")
	}
}

func TestArrange(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"run", "dixa-import run"},
		{"run --limit 3 --config c.yaml --json", "dixa-import --config c.yaml --json run --limit 3"},
		{"--limit=3 run", "dixa-import run --limit=3"},
		{"--limit 3 run", "dixa-import run --limit 3"},
		{"--config run run", "dixa-import --config run run"},
		{"-config x status -run 3", "dixa-import -config x status -run 3"},
		{"run --help", "dixa-import run --help"},
		{"help", "dixa-import --help"},
		{"help run", "dixa-import run --help"},
		{"--json help run", "dixa-import --json run --help"},
		{"--version", "dixa-import --version"},
	}
	app := (&program{}).app()
	for _, tt := range tests {
		got, err := arrange(app, strings.Fields(tt.in))
		if diff := cmp.Diff(tt.want, strings.Join(got, " ")); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", tt.in, err, diff)
		}
	}
}

func FuzzArrange(f *testing.F) {
	for _, s := range []string{"run --limit 3", "help", "-- help", "--config", "- help run --", "help --json help"} {
		f.Add(s)
	}
	app := (&program{}).app()
	f.Fuzz(func(t *testing.T, s string) {
		got, err := arrange(app, strings.Split(s, " "))
		switch {
		case err != nil && exitCode(err) != exitUsage:
			t.Errorf("%q gives %v", s, err)
		case err == nil && (len(got) == 0 || got[0] != "dixa-import" || slices.Contains(got, "--")):
			t.Errorf("%q becomes %q", s, got)
		}
	})
}
