package window

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestNextWindow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, zone, window, now, start, end string }{
		{"before it", "Europe/Copenhagen", "22:00-07:00", "2026-11-27T12:00:00+01:00", "2026-11-27T22:00:00+01:00", "2026-11-28T07:00:00+01:00"},
		{"in it, in the evening", "Europe/Copenhagen", "22:00-07:00", "2026-11-27T23:00:00+01:00", "2026-11-27T22:00:00+01:00", "2026-11-28T07:00:00+01:00"},
		{"in it, past midnight", "Europe/Copenhagen", "22:00-07:00", "2026-11-28T06:59:59+01:00", "2026-11-27T22:00:00+01:00", "2026-11-28T07:00:00+01:00"},
		{"at its end", "Europe/Copenhagen", "22:00-07:00", "2026-11-28T07:00:00+01:00", "2026-11-28T22:00:00+01:00", "2026-11-29T07:00:00+01:00"},
		{"at its start", "Europe/Copenhagen", "22:00-07:00", "2026-11-27T22:00:00+01:00", "2026-11-27T22:00:00+01:00", "2026-11-28T07:00:00+01:00"},
		{"within a day", "Europe/Copenhagen", "01:00-05:00", "2026-11-27T05:00:00+01:00", "2026-11-28T01:00:00+01:00", "2026-11-28T05:00:00+01:00"},
		{"until midnight", "Europe/Copenhagen", "20:00-24:00", "2026-11-27T21:00:00+01:00", "2026-11-27T20:00:00+01:00", "2026-11-28T00:00:00+01:00"},
		{"the date of the zone", "Pacific/Auckland", "22:00-07:00", "2026-11-27T08:30:00Z", "2026-11-27T22:00:00+13:00", "2026-11-28T07:00:00+13:00"},
		{"a short night", "Europe/Copenhagen", "22:00-07:00", "2026-03-28T23:00:00+01:00", "2026-03-28T22:00:00+01:00", "2026-03-29T07:00:00+02:00"},
		{"a long night", "Europe/Copenhagen", "22:00-07:00", "2026-10-24T23:00:00+02:00", "2026-10-24T22:00:00+02:00", "2026-10-25T07:00:00+01:00"},
		{"an end that is skipped", "Europe/Copenhagen", "22:00-02:30", "2026-03-28T23:00:00+01:00", "2026-03-28T22:00:00+01:00", "2026-03-29T03:00:00+02:00"},
		{"a start that is skipped", "Europe/Copenhagen", "02:30-06:00", "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T06:00:00+02:00"},
		{"an end that comes twice", "Europe/Copenhagen", "22:00-02:30", "2026-10-24T23:00:00+02:00", "2026-10-24T22:00:00+02:00", "2026-10-25T02:30:00+02:00"},
		{"between both ends", "Europe/Copenhagen", "22:00-02:30", "2026-10-25T02:15:00+01:00", "2026-10-25T22:00:00+01:00", "2026-10-26T02:30:00+01:00"},
		{"a start that comes twice", "Europe/Copenhagen", "02:30-06:00", "2026-10-25T01:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T06:00:00+01:00"},
		{"after the first start", "Europe/Copenhagen", "02:30-06:00", "2026-10-25T02:10:00+01:00", "2026-10-25T02:30:00+02:00", "2026-10-25T06:00:00+01:00"},
		{"skipped as a whole", "Europe/Copenhagen", "02:10-02:50", "2026-03-29T01:00:00+01:00", "2026-03-30T02:10:00+02:00", "2026-03-30T02:50:00+02:00"},
		{"midnight is skipped", "Africa/Cairo", "00:00-06:00", "2026-04-23T20:00:00+02:00", "2026-04-24T01:00:00+03:00", "2026-04-24T06:00:00+03:00"},
		{"half an hour", "Australia/Lord_Howe", "22:00-01:45", "2026-04-04T23:00:00+11:00", "2026-04-04T22:00:00+11:00", "2026-04-05T01:45:00+11:00"},
		{"a date is skipped", "Pacific/Apia", "22:00-07:00", "2011-12-29T23:00:00-10:00", "2011-12-29T22:00:00-10:00", "2011-12-31T00:00:00+14:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, err := Parse(tt.window, zone(t, tt.zone))
			if err != nil {
				t.Fatal(err)
			}
			start, end := w.Next(at(t, tt.now))
			if !start.Equal(at(t, tt.start)) || !end.Equal(at(t, tt.end)) {
				t.Errorf("from %v to %v, want %s to %s", start, end, tt.start, tt.end)
			}
		})
	}
}

// TestWindowsFollowEachOther: over ten years, windows are in order, apart from each other, and never longer than their clock says and an hour.
func TestWindowsFollowEachOther(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTC", "Europe/Copenhagen", "America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata"} {
		for _, text := range []string{"22:00-07:00", "02:30-03:30", "23:30-02:30", "00:00-00:01"} {
			w, err := Parse(text, zone(t, name))
			if err != nil {
				t.Fatal(err)
			}
			usual := time.Duration((w.To.Hour*60+w.To.Minute-w.From.Hour*60-w.From.Minute+24*60)%(24*60)) * time.Minute
			_, now := w.Next(at(t, "2020-01-01T12:00:00Z"))
			n := 0
			for now.Year() < 2030 {
				start, end := w.Next(now)
				if start.Before(now) || end.Sub(start) > usual+time.Hour || start.Sub(now) > 49*time.Hour {
					t.Fatalf("%s %s: after %v comes %v to %v", name, text, now, start, end)
				}
				if s, _ := w.Next(start); !s.Equal(start) {
					t.Fatalf("%s %s: at %v the window begins at %v", name, text, start, s)
				}
				now, n = end, n+1
			}
			if n < 3640 {
				t.Errorf("%s %s: %d windows in ten years", name, text, n)
			}
		}
	}
}

func TestNextTimeOfDay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ now, time, want string }{
		{"2026-11-27T06:59:00+01:00", "07:00", "2026-11-27T07:00:00+01:00"},
		{"2026-11-27T07:00:00+01:00", "07:00", "2026-11-28T07:00:00+01:00"},
		{"2026-11-27T23:59:59+01:00", "00:00", "2026-11-28T00:00:00+01:00"},
		{"2026-03-29T00:30:00+01:00", "02:30", "2026-03-29T03:00:00+02:00"},
		{"2026-10-25T02:10:00+02:00", "02:30", "2026-10-25T02:30:00+02:00"},
		{"2026-10-25T02:40:00+02:00", "02:30", "2026-10-26T02:30:00+01:00"},
	} {
		clock, err := ParseTimeOfDay(tt.time)
		if err != nil {
			t.Fatal(err)
		}
		if got := clock.Next(at(t, tt.now), zone(t, "Europe/Copenhagen")); !got.Equal(at(t, tt.want)) {
			t.Errorf("at %s the next %s is %v, want %s", tt.now, tt.time, got, tt.want)
		}
	}
}

func TestWhatIsNoWindow(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "22:00", "22-07", "22:00-25:00", "22:00-07:60", "22:00-22:00", "00:00-24:00", "a-b", "22:00-07:00-08:00", "22:00:00-07:00"} {
		if w, err := Parse(text, time.UTC); err == nil {
			t.Errorf("%q is %v", text, w)
		}
	}
	if w, err := Parse(" 22.00 – 7:00", time.UTC); err != nil || w.String() != "22:00-07:00" {
		t.Errorf("%v, %v", w, err)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		until := began.Add(15*time.Hour + time.Second)
		if err := Wait(t.Context(), until); err != nil || !time.Now().Equal(until) {
			t.Errorf("it returned at %v: %v", time.Now(), err)
		}
		if err := Wait(t.Context(), began); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour+time.Millisecond, cancel)
		before := time.Now()
		if err := Wait(ctx, before.Add(5*time.Hour)); !errors.Is(err, context.Canceled) || time.Since(before) != time.Hour+time.Millisecond {
			t.Errorf("it returned after %v: %v", time.Since(before), err)
		}
	})
}
