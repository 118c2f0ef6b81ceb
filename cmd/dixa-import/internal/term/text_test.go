package term

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestRoughly(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		4400 * time.Millisecond: "4s", 90 * time.Second: "1m30s", 104 * time.Second: "1m40s", 12*time.Minute + 31*time.Second: "13m", 59*time.Minute + 40*time.Second: "1h00m",
		599 * time.Second: "10m", 3*time.Hour + 5*time.Minute: "3h05m", 59*time.Minute + 10*time.Second: "59m",
	} {
		if got := Roughly(d); got != want {
			t.Errorf("roughly(%v) = %s, want %s", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{30 * time.Second: "30s", 5 * time.Minute: "5m", 24 * time.Hour: "24h", 90 * time.Minute: "1h30m", 10 * time.Hour: "10h"} {
		if got := Short(d); got != want {
			t.Errorf("short(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := Thousands(n); got != want {
			t.Errorf("thousands(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	text := strings.TrimSpace(strings.Repeat("ære være ", 40))
	lines := wrap(text, 30)
	for i, line := range lines {
		if n := utf8.RuneCountInString(line); n > 30 || n < 20 && i < len(lines)-1 {
			t.Errorf("a line has %d characters: %s", n, line)
		}
	}
	if got := strings.Join(lines, " "); got != text {
		t.Errorf("the text became %q", got)
	}
	if got := wrap("", 10); len(got) != 1 || got[0] != "" {
		t.Errorf("nothing became %q", got)
	}
}

func TestShellQuoted(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"t-1": "t-1", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "$(x)": "'$(x)'"} {
		if got := ShellQuoted(in); got != want {
			t.Errorf("%q became %s", in, got)
		}
	}
}
