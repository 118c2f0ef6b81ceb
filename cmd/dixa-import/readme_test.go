package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"dixa-import/cmd/dixa-import/internal/term"
)

// fenced returns the blocks of code of one language in README.md.
func fenced(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) == 0 {
		t.Fatalf("README.md has no %s", language)
	}
	return blocks
}

// TestTheCronLine runs the line of README.md with a program that ends as it is told: what needs a person makes a mail.
func TestTheCronLine(t *testing.T) {
	t.Parallel()
	var command string
	for _, line := range strings.Split(fenced(t, "cron")[0], "\n") {
		if strings.Contains(line, "dixa-import") {
			command = strings.Join(strings.Fields(line)[5:], " ")
		}
	}
	if strings.Contains(command, "%") {
		t.Error("cron takes a % for the end of the command")
	}
	for code, mails := range map[int]bool{0: false, 1: true, 2: true, 3: true, 4: false} {
		dir := t.TempDir()
		stub := "#!/bin/sh\necho \"$@\"; echo a log line >&2; exit " + strconv.Itoa(code) + "\n"
		if err := os.WriteFile(filepath.Join(dir, "dixa-import"), []byte(stub), 0o700); err != nil { //nolint:gosec // it is to be run
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "/srv/dixa-import", dir, 1)).CombinedOutput()
		if err != nil {
			t.Errorf("exit code %d: the line ends with %v", code, err)
		}
		if mails != strings.Contains(string(out), "a log line") || mails != strings.Contains(string(out), "--if-idle") {
			t.Errorf("exit code %d: the mail is %q", code, out)
		}
	}
}

// TestTheFlagsInTheExamples has every command line of the examples understood.
func TestTheFlagsInTheExamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	app := (&program{stdout: term.NewOutput(os.Stdout), console: term.NewConsole(os.Stderr)}).app()
	for _, line := range regexp.MustCompile(`(?m)(?:^    |ExecStart=/usr/local/bin/|&& \./)dixa-import ([a-z-][^\n>|#]*)`).FindAllStringSubmatch(string(text), -1) {
		found++
		if _, err := arrange(app, strings.Fields(line[1])); err != nil {
			t.Errorf("dixa-import %s: %v", line[1], err)
		}
	}
	if found < 4 {
		t.Errorf("%d command lines were found", found)
	}
}

func TestTheKubernetesExample(t *testing.T) {
	t.Parallel()
	for _, block := range fenced(t, "yaml") {
		if !strings.Contains(block, "CronJob") {
			continue
		}
		var job struct {
			Kind string
			Spec struct {
				Schedule          string
				ConcurrencyPolicy string `yaml:"concurrencyPolicy"`
				JobTemplate       struct {
					Spec struct {
						Template struct {
							Spec struct {
								RestartPolicy string `yaml:"restartPolicy"`
								Grace         int    `yaml:"terminationGracePeriodSeconds"`
								Containers    []struct{ Args []string }
							}
						}
					}
				} `yaml:"jobTemplate"`
			}
		}
		if err := yaml.Unmarshal([]byte(block), &job); err != nil {
			t.Fatal(err)
		}
		pod := job.Spec.JobTemplate.Spec.Template.Spec
		if job.Kind != "CronJob" || len(strings.Fields(job.Spec.Schedule)) != 5 || job.Spec.ConcurrencyPolicy != "Forbid" || pod.RestartPolicy != "Never" {
			t.Errorf("the job is %+v", job)
		}
		if pod.Grace <= 20 {
			t.Errorf("a run drains for 20 s, and has %d s", pod.Grace)
		}
		app := (&program{stdout: term.NewOutput(os.Stdout), console: term.NewConsole(os.Stderr)}).app()
		if _, err := arrange(app, pod.Containers[0].Args); err != nil {
			t.Errorf("the arguments %q: %v", pod.Containers[0].Args, err)
		}
		return
	}
	t.Error("README.md has no CronJob")
}

// TestTheSystemdUnits has systemd look at the units of README.md, where it is installed.
func TestTheSystemdUnits(t *testing.T) {
	t.Parallel()
	blocks := fenced(t, "ini")
	if len(blocks) != 2 {
		t.Fatalf("%d units", len(blocks))
	}
	verify, err := exec.LookPath("systemd-analyze")
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("systemd-analyze is not installed")
	}
	dir := t.TempDir()
	program, err := os.Executable() // the check wants a program that is there
	if err != nil {
		t.Fatal(err)
	}
	service := filepath.Join(dir, "dixa-import.service")
	writeFile(t, service, strings.Replace(blocks[0], "/usr/local/bin/dixa-import", program, 1))
	timer := filepath.Join(dir, "dixa-import.timer")
	writeFile(t, timer, blocks[1])
	out, err := exec.CommandContext(t.Context(), verify, "verify", "--man=no", service, timer).CombinedOutput()
	for _, line := range strings.Split(string(out), "\n") {
		if strings.Contains(line, "dixa-import") {
			t.Errorf("systemd: %s", line)
		}
	}
	if err != nil && t.Failed() {
		t.Error(err)
	}
	if seconds := regexp.MustCompile(`TimeoutStopSec=(\d+)`).FindStringSubmatch(blocks[0]); seconds == nil || len(seconds[1]) < 2 || seconds[1] <= "20" {
		t.Errorf("a run drains for 20 s, and has %v", seconds)
	}
}
