package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"

	"dixa-import/importer"
)

const (
	logInterval = 30 * time.Second       // between progress lines in a log
	barInterval = 250 * time.Millisecond // between updates of the bar
	barSteps    = 1000
)

// watch shows how far a run is, as a bar on a terminal and else as a log line now and then, until stop is called.
func (p *program) watch(progress func() importer.Progress) (stop func()) {
	interval, show := logInterval, p.logProgress()
	if p.console.terminal() {
		bar := &progressBar{}
		interval, show = barInterval, func(now importer.Progress) { p.console.redraw(func() { bar.update(p.console, now) }) }
	}
	return p.every(interval, func() { show(progress()) })
}

// every calls show now and then until stop is called, which also removes what stands on the last line of a terminal.
func (p *program) every(interval time.Duration, show func()) (stop func()) {
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				p.console.show(nil)
				return
			case <-tick.C:
				show()
			}
		}
	}()
	return func() {
		close(quit)
		<-gone
	}
}

// runFigure is a count of a run, by the name that the summary has for it.
type runFigure struct {
	name string
	n    int64
}

// figures are the counts of a run on its way: how many are imported, and what else there is. In doubt are also those about
// which the run finds out, and what waits for the next run counts only at the end.
func figures(p importer.Progress) []runFigure {
	c := p.Counts
	out := []runFigure{{"imported", c.Imported}}
	for _, f := range []runFigure{{"partial", c.Partial}, {"failed", c.Failed}, {"rejected", c.Rejected}, {"in doubt", c.InDoubt + p.Doubts},
		{"skipped", c.Skipped}, {"already done", c.AlreadyDone}, {"duplicate", c.Duplicate}} {
		if f.n > 0 {
			out = append(out, f)
		}
	}
	return out
}

// logProgress returns a function that logs how far a run is.
func (p *program) logProgress() func(importer.Progress) {
	var e estimate
	return func(now importer.Progress) {
		ahead := e.add(now)
		args := []any{"read", now.Counts.Read}
		for _, f := range figures(now) {
			args = append(args, strings.ReplaceAll(f.name, " ", "_"), f.n)
		}
		args = append(args, "per_second", fmt.Sprintf("%.1f", ahead.perSecond))
		if now.Throttled > 0 {
			args = append(args, "throttled", now.Throttled)
		}
		if ahead.bound != boundUnknown {
			args = append(args, "bound_by", string(ahead.bound))
		}
		if f, ok := fraction(now); ok {
			args = append(args, "done", fmt.Sprintf("%.0f%%", 100*f))
		}
		if ahead.left > 0 {
			args = append(args, "left", roughly(ahead.left))
		}
		p.log.Info("progress", args...)
	}
}

// progressBar is the bar of a run on a terminal: a spinner while the size of the source is not known.
type progressBar struct {
	bar   *progressbar.ProgressBar
	sized bool
	estimate
}

func (b *progressBar) update(c *console, now importer.Progress) {
	ahead := b.add(now)
	var parts []string // what matters most comes first
	for i, f := range figures(now) {
		parts = append(parts, fmt.Sprintf("%d %s", f.n, f.name))
		if i == 0 {
			parts = append(parts, fmt.Sprintf("%.1f/s", ahead.perSecond))
		}
		if i == 0 && ahead.left > 0 {
			parts = append(parts, roughly(ahead.left)+" left")
		}
	}
	if ahead.bound != boundUnknown {
		parts = append(parts, boundTexts[ahead.bound])
	}
	f, sized := fraction(now)
	b.set(c, f, sized, parts)
}

// set draws the bar anew: a part of the whole, or a spinner where that is not known, and as many parts of a text as there is
// room for: a line that wraps cannot be cleared.
func (b *progressBar) set(c *console, f float64, sized bool, parts []string) {
	if b.bar == nil || sized != b.sized {
		b.sized = sized
		total := int64(-1)
		if sized {
			total = barSteps
		}
		if b.bar != nil {
			b.clear()
		}
		b.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(c.out), progressbar.OptionUseANSICodes(true),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionSetWidth(barWidth),
			progressbar.OptionSpinnerType(14), progressbar.OptionSetSpinnerChangeInterval(0))
		c.bar = b
	}
	if sized { // never full: a full bar is final
		_ = b.bar.Set64(min(int64(f*barSteps), barSteps-1))
	} else {
		_ = b.bar.Add(1)
	}
	b.bar.Describe(fitting(parts, c.width()-barWidth-barRoom))
}

const (
	barWidth = 16
	barRoom  = 12 // how many columns the bar takes besides, with the percentage
)

// fitting joins the first parts of a text, as many as have room.
func fitting(parts []string, width int) string {
	text := ""
	for i, part := range parts {
		if i > 0 {
			part = ", " + part
		}
		if utf8.RuneCountInString(text+part) > width {
			break
		}
		text += part
	}
	return text
}

func (b *progressBar) clear() { _ = b.bar.Clear() }

func (b *progressBar) draw() { _ = b.bar.RenderBlank() }

// roughly writes a duration as people say it: 40s, 12m, 3h05m.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()+0.5))
	case d < 10*time.Minute:
		return short(d.Round(10 * time.Second))
	}
	if d = d.Round(time.Minute); d < time.Hour {
		return short(d)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
