package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"dixa-import/source"
)

var (
	closedChat = regexp.MustCompile(`(?m)^\S+: \d{4}-.* to \d{4}-`)
	rejection  = regexp.MustCompile(`(?m)^\S+ line \d+: (\w+):`)
)

// TestInitThenRun writes a configuration for each sample of each format, and imports it: nothing is given but the token.
func TestInitThenRun(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it runs the whole program for every sample")
	}
	samples, err := filepath.Glob("../../source/testdata/presets/*/*")
	if err != nil || len(samples) < 30 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, sample := range samples {
		if filepath.Ext(sample) == ".want" {
			continue
		}
		format := filepath.Base(filepath.Dir(sample))
		t.Run(format+"/"+filepath.Base(sample), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(strings.TrimSuffix(sample, filepath.Ext(sample)) + ".want")
			if err != nil {
				t.Fatal(err)
			}
			path, err := filepath.Abs(sample)
			if err != nil {
				t.Fatal(err)
			}
			code := 0
			for _, found := range rejection.FindAllSubmatch(want, -1) {
				if string(found[1]) != "no_messages" { // that is skipped as empty
					code = 3
				}
			}
			script := fmt.Sprintf("sandbox\nenv DIXA_BASE_URL=$SANDBOX_URL\nexec dixa-import init %s\nstdout 'Format: %s'\nexits 1 dixa-import init %s\nstderr 'exists already'\nexits %d dixa-import run --rate 0\ndixa %d _\n",
				path, format, path, code, len(closedChat.FindAll(want, -1)))
			file := filepath.Join(t.TempDir(), "init.txtar")
			writeFile(t, file, script)
			testscript.Run(t, testscript.Params{Files: []string{file}, Cmds: scriptCommands, RequireExplicitExec: true})
		})
	}
}

// TestTheReadmeNamesEveryFormat holds the table of formats in README.md against the formats that there are.
func TestTheReadmeNamesEveryFormat(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range source.Presets() {
		if row := "| " + f.Title + " | `format: " + f.Name + "` |"; !strings.Contains(string(text), row) {
			t.Errorf("README.md has no row %s", row)
		}
		if f.Title == "" || f.Record == "" || f.Notes == "" {
			t.Errorf("%s does not say what it reads: %q, %q, %q", f.Name, f.Title, f.Record, f.Notes)
		}
	}
}
