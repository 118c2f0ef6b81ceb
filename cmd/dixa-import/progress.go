package main

import (
	"fmt"
	"time"

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

// logProgress returns a function that logs how far a run is.
func (p *program) logProgress() func(importer.Progress) {
	var e estimate
	return func(now importer.Progress) {
		ahead := e.add(now)
		args := []any{"settled", settled(now.Counts), "imported", now.Counts.Imported + now.Counts.Partial,
			"failed", now.Counts.Failed + now.Counts.Rejected, "per_second", fmt.Sprintf("%.1f", ahead.perSecond)}
		if now.Doubts > 0 {
			args = append(args, "in_doubt", now.Doubts)
		}
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
	text := fmt.Sprintf("%d transcripts, %.1f/s", settled(now.Counts), ahead.perSecond)
	if n := now.Counts.Failed + now.Counts.Rejected; n > 0 {
		text += fmt.Sprintf(", %d failed", n)
	}
	if now.Doubts > 0 {
		text += fmt.Sprintf(", %d in doubt", now.Doubts)
	}
	if ahead.left > 0 {
		text += ", " + roughly(ahead.left) + " left"
	}
	if ahead.bound != boundUnknown {
		text += ", " + boundTexts[ahead.bound]
	}
	f, sized := fraction(now)
	b.set(c, f, sized, text)
}

// set draws the bar anew: a part of the whole, or a spinner where that is not known, and a text.
func (b *progressBar) set(c *console, f float64, sized bool, text string) {
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
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionSetWidth(24),
			progressbar.OptionSpinnerType(14), progressbar.OptionSetSpinnerChangeInterval(0))
		c.bar = b
	}
	if sized { // never full: a full bar is final
		_ = b.bar.Set64(min(int64(f*barSteps), barSteps-1))
	} else {
		_ = b.bar.Add(1)
	}
	b.bar.Describe(cut(text, c.width()-barRoom))
}

// barRoom is how many columns the bar itself takes, with the percentage.
const barRoom = 36

// cut shortens a text to so many characters where a terminal is narrow: a line that wraps cannot be cleared.
func cut(text string, width int) string {
	if runes := []rune(text); width >= 0 && len(runes) > width {
		return string(runes[:width])
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
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()+0.5))
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
