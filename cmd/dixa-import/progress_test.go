package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"dixa-import/importer"
	"dixa-import/source"
)

func TestLogLinesAndBarShareTheTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := newConsole(&out)
	bar := &progressBar{}
	for _, now := range []importer.Progress{
		{Elapsed: time.Second}, // nothing is known yet: a spinner
		at(2*time.Second, 100, 10, 1000, 1000),
		at(3*time.Second, 100, 20, 1000, 1000),
	} {
		c.redraw(func() { bar.update(c, now) })
	}
	if got := out.String(); !strings.Contains(got, "20 imported, 6.7/s, 12s left") {
		t.Errorf("the bar is not on the terminal:\n%q", got)
	}
	out.Reset()
	slog.New(slog.NewTextHandler(c, nil)).Info("hello")
	const clear = "\x1b[2K\r"
	got := out.String()
	line := strings.Index(got, "msg=hello\n")
	if !strings.HasPrefix(got, clear+"time=") || !strings.Contains(got[line:], "20 imported") {
		t.Errorf("the line is not above the bar:\n%q", got)
	}
	out.Reset()
	c.show(nil)
	slog.New(slog.NewTextHandler(c, nil)).Info("the end")
	if got := out.String(); !strings.HasPrefix(got, clear+"time=") || strings.Contains(got, "imported") {
		t.Errorf("the bar is not gone:\n%q", got)
	}
}

func TestProgressInALog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &program{log: slog.New(slog.NewTextHandler(&out, nil))}
	log := p.logProgress()
	now := at(30*time.Second, 100, 30, 500, 1000)
	now.Counts.Partial, now.Counts.Failed, now.Counts.Rejected = 4, 1, 1
	now.Counts.AlreadyDone, now.Counts.Pending, now.Doubts, now.Throttled = 10, 9, 2, 3
	log(now)
	log(now)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("there are %d lines", len(lines))
	}
	want := `msg=progress read=100 imported=30 partial=4 failed=1 rejected=1 in_doubt=2 already_done=10 per_second=1.2 throttled=3 bound_by=throttled done=23%`
	if !strings.Contains(lines[0], want) {
		t.Errorf("the line is\n%s\nand should have\n%s", lines[0], want)
	}
}

// TestTheBarFits: what there is no room for is left out as a whole.
func TestTheBarFits(t *testing.T) {
	t.Parallel()
	parts := []string{"1200 imported", "9.5/s", "3h05m left", "20 partial", "waiting for doubts to settle"}
	for width, want := range map[int]string{
		80: "1200 imported, 9.5/s, 3h05m left, 20 partial, waiting for doubts to settle", 50: "1200 imported, 9.5/s, 3h05m left, 20 partial",
		33: "1200 imported, 9.5/s, 3h05m left", 5: "",
	} {
		if got := fitting(parts, width); got != want {
			t.Errorf("in %d columns: %q, want %q", width, got, want)
		}
	}
}

func TestWatchEnds(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &program{console: newConsole(&out), log: slog.New(slog.DiscardHandler)}
	stop := p.watch(func() importer.Progress { return importer.Progress{Source: source.Progress{}} })
	stop()
	if out.Len() > 0 {
		t.Errorf("there is output: %q", out.String())
	}
}
