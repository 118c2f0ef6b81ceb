// Package window reckons with the times of day at which imports may work.
package window

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// TimeOfDay is what a clock shows, to the minute.
type TimeOfDay struct{ Hour, Minute int }

// ParseTimeOfDay reads a time such as 07:00. 24:00 is 00:00.
func ParseTimeOfDay(text string) (TimeOfDay, error) {
	text = strings.TrimSpace(text)
	if text == "24:00" {
		return TimeOfDay{}, nil
	}
	for _, layout := range []string{"15:04", "15.04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return TimeOfDay{t.Hour(), t.Minute()}, nil
		}
	}
	return TimeOfDay{}, fmt.Errorf("%q is not a time of day such as 07:00", text)
}

func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", t.Hour, t.Minute) }

// Next returns the first time after now at which clocks in the zone show t, see on.
func (t TimeOfDay) Next(now time.Time, zone *time.Location) time.Time {
	for day := -1; ; day++ {
		if at := t.on(now, day, zone); at.After(now) {
			return at
		}
	}
}

// on returns when clocks in the zone show t on the date of now plus so many days: the first time if they show it twice, because they are set
// back, and the moment at which they are set forward if they skip it.
func (t TimeOfDay) on(now time.Time, days int, zone *time.Location) time.Time {
	year, month, day := now.In(zone).Date()
	shown := time.Date(year, month, day+days, t.Hour, t.Minute, 0, 0, time.UTC) // as if the zone were UTC
	var before, first time.Time
	for _, near := range []time.Duration{-36 * time.Hour, 36 * time.Hour} { // clocks are not changed twice within that
		_, offset := shown.Add(near).In(zone).Zone()
		at := shown.Add(-time.Duration(offset) * time.Second).In(zone)
		if near < 0 {
			before = at
		}
		if _, now := at.Zone(); now == offset && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if first.IsZero() { // by the clocks before the change, it is after the change
		first, _ = before.ZoneBounds()
	}
	return first
}

// Window is a part of every day, past midnight if From is after To.
type Window struct {
	From, To TimeOfDay
	Zone     *time.Location
}

// Parse reads a window such as 22:00-07:00.
func Parse(text string, zone *time.Location) (Window, error) {
	from, to, found := strings.Cut(strings.ReplaceAll(text, "–", "-"), "-")
	if !found {
		return Window{}, fmt.Errorf("%q is not a window such as 22:00-07:00", text)
	}
	w := Window{Zone: zone}
	var fromErr, toErr error
	w.From, fromErr = ParseTimeOfDay(from)
	w.To, toErr = ParseTimeOfDay(to)
	if err := errors.Join(fromErr, toErr); err != nil {
		return Window{}, fmt.Errorf("%q is not a window such as 22:00-07:00", text)
	}
	if w.From == w.To {
		return Window{}, fmt.Errorf("%q begins when it ends: give a window such as 22:00-07:00, or none to work all day", text)
	}
	return w, nil
}

func (w Window) String() string { return w.From.String() + "-" + w.To.String() }

// Next returns the first window that ends after now. It has begun if its start is not after now.
func (w Window) Next(now time.Time) (start, end time.Time) {
	for day := -2; ; day++ {
		start = w.From.on(now, day, w.Zone)
		end = w.To.on(now, day, w.Zone)
		if w.To.Hour*60+w.To.Minute <= w.From.Hour*60+w.From.Minute {
			end = w.To.on(now, day+1, w.Zone)
		}
		if end.After(start) && end.After(now) { // on the day on which clocks skip it, the window is empty
			return start, end
		}
	}
}

// look is how often Wait looks at the clock: it may be set, and a machine may have slept.
const look = 30 * time.Second

// Wait returns when the clock shows a time, or with the error of the context.
func Wait(ctx context.Context, until time.Time) error {
	for {
		left := until.Round(0).Sub(time.Now().Round(0)) // by the wall clock
		if left <= 0 {
			return nil
		}
		timer := time.NewTimer(min(left, look))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
