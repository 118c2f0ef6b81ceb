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
	if got := out.String(); !strings.Contains(got, "20 transcripts, 10.0/s, 8s left") {
		t.Errorf("the bar is not on the terminal:\n%q", got)
	}
	out.Reset()
	slog.New(slog.NewTextHandler(c, nil)).Info("hello")
	const clear = "\x1b[2K\r"
	got := out.String()
	line := strings.Index(got, "msg=hello\n")
	if !strings.HasPrefix(got, clear+"time=") || !strings.Contains(got[line:], "20 transcripts") {
		t.Errorf("the line is not above the bar:\n%q", got)
	}
	out.Reset()
	c.show(nil)
	slog.New(slog.NewTextHandler(c, nil)).Info("the end")
	if got := out.String(); !strings.HasPrefix(got, clear+"time=") || strings.Contains(got, "transcripts") {
		t.Errorf("the bar is not gone:\n%q", got)
	}
}

func TestProgressInALog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &program{log: slog.New(slog.NewTextHandler(&out, nil))}
	log := p.logProgress()
	log(at(0, 0, 0, 0, 1000))
	now := at(30*time.Second, 100, 40, 500, 1000)
	now.Doubts, now.Throttled = 2, 3
	log(now)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("there are %d lines", len(lines))
	}
	want := `msg=progress settled=40 imported=40 failed=0 per_second=1.3 in_doubt=2 throttled=3 bound_by=throttled done=20% left=2m`
	if !strings.HasSuffix(lines[1], want) {
		t.Errorf("the line is\n%s\nand should end\n%s", lines[1], want)
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
