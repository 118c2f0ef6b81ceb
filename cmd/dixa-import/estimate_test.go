package main

import (
	"testing"
	"time"

	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

func at(elapsed time.Duration, read, imported, done, total int64) importer.Progress {
	return importer.Progress{Counts: checkpoint.Counts{Read: read, Imported: imported},
		Source: source.Progress{Done: done, Total: total, Unit: "bytes"}, Elapsed: elapsed}
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	var e estimate
	if perSecond, left := e.add(at(0, 0, 0, 0, 1000)); perSecond != 0 || left != 0 {
		t.Errorf("at the start: %v a second, %v left", perSecond, left)
	}
	// All is read at once, a tenth of it is imported.
	if perSecond, left := e.add(at(10*time.Second, 100, 10, 1000, 1000)); perSecond != 1 || left.Round(time.Second) != 90*time.Second {
		t.Errorf("after a tenth: %v a second, %v left", perSecond, left)
	}
	// An hour later only the last minute counts.
	e.add(at(time.Hour, 1000, 500, 1000, 1000))
	perSecond, left := e.add(at(time.Hour+time.Minute, 1000, 620, 1000, 1000))
	if perSecond != 2 || left.Round(time.Second) != 190*time.Second {
		t.Errorf("after an hour: %v a second, %v left", perSecond, left)
	}
	if _, left := e.add(at(2*time.Hour, 1000, 1000, 1000, 1000)); left != 0 {
		t.Errorf("at the end: %v left", left)
	}
	if _, known := fraction(at(time.Second, 10, 5, 100, 0)); known {
		t.Error("the fraction of a source without a size is known")
	}
}

func TestRoughly(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		4400 * time.Millisecond: "4s", 90 * time.Second: "2m", 3*time.Hour + 5*time.Minute: "3h05m", 59*time.Minute + 10*time.Second: "59m",
	} {
		if got := roughly(d); got != want {
			t.Errorf("roughly(%v) = %s, want %s", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{30 * time.Second: "30s", 5 * time.Minute: "5m", 24 * time.Hour: "24h", 90 * time.Minute: "1h30m", 10 * time.Hour: "10h"} {
		if got := short(d); got != want {
			t.Errorf("short(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %s, want %s", n, got, want)
		}
	}
}
