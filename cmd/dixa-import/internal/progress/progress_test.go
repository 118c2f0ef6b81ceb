package progress

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer"
	"dixa-import/source"
)

func TestLogLinesAndBarShareTheTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := term.NewConsole(&out)
	bar := &runBar{}
	for _, now := range []importer.Progress{
		{Elapsed: time.Second}, // nothing is known yet: a spinner
		at(2*time.Second, 100, 10, 1000, 1000),
		at(3*time.Second, 100, 20, 1000, 1000),
	} {
		c.Redraw(func() { bar.update(c, now) })
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
	c.Show(nil)
	slog.New(slog.NewTextHandler(c, nil)).Info("the end")
	if got := out.String(); !strings.HasPrefix(got, clear+"time=") || strings.Contains(got, "imported") {
		t.Errorf("the bar is not gone:\n%q", got)
	}
}

func TestProgressInALog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	show := logProgress(log)
	now := at(30*time.Second, 100, 30, 500, 1000)
	now.Counts.Partial, now.Counts.Failed, now.Counts.Rejected = 4, 1, 1
	now.Counts.AlreadyDone, now.Counts.Pending, now.Doubts, now.Throttled = 10, 9, 2, 3
	show(now)
	show(now)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("there are %d lines", len(lines))
	}
	want := `msg=progress read=100 imported=30 partial=4 failed=1 rejected=1 in_doubt=2 already_done=10 per_second=1.2 throttled=3 bound_by=throttled done=23%`
	if !strings.Contains(lines[0], want) {
		t.Errorf("the line is\n%s\nand should have\n%s", lines[0], want)
	}
}

func TestWatchEnds(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := term.NewConsole(&out)
	stop := Watch(c, slog.New(slog.DiscardHandler), func() importer.Progress { return importer.Progress{Source: source.Progress{}} })
	stop()
	if out.Len() > 0 {
		t.Errorf("there is output: %q", out.String())
	}
}
