package progress

import (
	"fmt"
	"log/slog"
	"strings"

	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer"
)

// Watch shows how far a run is, as a bar on a terminal and else as a log line now and then, until stop is called.
func Watch(c *term.Console, log *slog.Logger, progress func() importer.Progress) (stop func()) {
	interval, show := term.LogInterval, logProgress(log)
	if c.Terminal() {
		bar := &runBar{}
		interval, show = term.BarInterval, func(now importer.Progress) { c.Redraw(func() { bar.update(c, now) }) }
	}
	return c.Every(interval, func() { show(progress()) })
}

// inDoubt is the name of the transcripts in doubt among the figures.
const inDoubt = "in doubt"

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
	for _, f := range []runFigure{{"partial", c.Partial}, {"failed", c.Failed}, {"rejected", c.Rejected}, {inDoubt, c.InDoubt + p.Doubts},
		{"skipped", c.Skipped}, {"already done", c.AlreadyDone}, {"duplicate", c.Duplicate}} {
		if f.n > 0 {
			out = append(out, f)
		}
	}
	return out
}

// logProgress returns a function that logs how far a run is.
func logProgress(log *slog.Logger) func(importer.Progress) {
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
			args = append(args, "left", term.Roughly(ahead.left))
		}
		if now.Doubts > 0 && now.DoubtTakes > 0 {
			args = append(args, "a_doubt_takes_about", term.Roughly(now.DoubtTakes))
		}
		log.Info("progress", args...)
	}
}

// runBar is the bar of a run.
type runBar struct {
	term.Bar
	estimate
}

func (b *runBar) update(c *term.Console, now importer.Progress) {
	ahead := b.add(now)
	var parts []string // what matters most comes first
	for i, f := range figures(now) {
		part := fmt.Sprintf("%d %s", f.n, f.name)
		if f.name == inDoubt && now.Doubts > 0 && now.DoubtTakes > 0 {
			part += " (about " + term.Roughly(now.DoubtTakes) + ")"
		}
		parts = append(parts, part)
		if i == 0 {
			parts = append(parts, fmt.Sprintf("%.1f/s", ahead.perSecond))
		}
		if i == 0 && ahead.left > 0 {
			parts = append(parts, term.Roughly(ahead.left)+" left")
		}
	}
	if ahead.bound != boundUnknown {
		parts = append(parts, boundTexts[ahead.bound])
	}
	f, sized := fraction(now)
	b.Set(c, f, sized, parts)
}
