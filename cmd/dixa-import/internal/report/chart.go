package report

import (
	"fmt"
	"strings"
	"time"

	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer/checkpoint"
)

// The charts are drawn on a field of this size, which is stretched to where they stand; the labels are beside it.
const (
	chartWidth  = 1000.0
	chartHeight = 100.0
)

// chartBuckets is how many steps a chart has at most.
const chartBuckets = 200

// momentRows is how many lines the table of a run's moments has at most.
const momentRows = 60

// chart is a line over time.
type chart struct {
	Title, Note, Label string // Label is for those who do not see the chart
	Tone               string
	Max                string
	Path               string // of an SVG
	From, Middle, To   string
}

// moment is a line of the table beside the charts.
type moment struct{ Until, Transcripts, Requests, Throttled string }

// bucket is what a run did in a part of its time.
type bucket struct {
	from, to                         time.Time
	transcripts, requests, throttled int64
}

func (b bucket) perSecond(n int64) float64 {
	if s := b.to.Sub(b.from).Seconds(); s > 0 {
		return float64(n) / s
	}
	return 0
}

// buckets joins what happened between samples into at most so many parts of about the same length.
func buckets(samples []checkpoint.Sample, most int) []bucket {
	if len(samples) < 2 {
		return nil
	}
	first, last := samples[0], samples[len(samples)-1]
	length := last.At.Sub(first.At) / time.Duration(most)
	var out []bucket
	for i, s := range samples[1:] {
		before := samples[i]
		if !s.At.After(before.At) {
			continue
		}
		if n := len(out); n == 0 || out[n-1].to.Sub(out[n-1].from) >= length {
			out = append(out, bucket{from: before.At})
		}
		b := &out[len(out)-1]
		b.to = s.At
		b.transcripts += s.Imported + s.Partial - before.Imported - before.Partial
		b.requests += s.Requests - before.Requests
		b.throttled += s.Throttled - before.Throttled
	}
	return out
}

// reportCharts draws what a run did over time, and tells it in a table.
func reportCharts(samples []checkpoint.Sample) ([]chart, []moment) {
	all := buckets(samples, chartBuckets)
	if len(all) == 0 {
		return nil, nil
	}
	charts := []chart{
		drawChart("Transcripts a second", "good", all, func(b bucket) int64 { return b.transcripts }),
		drawChart("Requests a second", "", all, func(b bucket) int64 { return b.requests }),
	}
	if samples[len(samples)-1].Throttled > 0 {
		charts = append(charts, drawChart("Answers 429 a second", "bad", all, func(b bucket) int64 { return b.throttled }))
	}
	var moments []moment
	layout := clockLayout(all)
	for _, b := range buckets(samples, momentRows) {
		moments = append(moments, moment{b.to.UTC().Format(layout), fmt.Sprintf("%.1f", b.perSecond(b.transcripts)),
			fmt.Sprintf("%.1f", b.perSecond(b.requests)), term.Thousands(b.throttled)})
	}
	return charts, moments
}

func drawChart(title, tone string, all []bucket, of func(bucket) int64) chart {
	from, to := all[0].from, all[len(all)-1].to
	var sum int64
	most := 0.0
	for _, b := range all {
		sum += of(b)
		most = max(most, b.perSecond(of(b)))
	}
	average := float64(sum) / to.Sub(from).Seconds()
	layout := clockLayout(all)
	c := chart{
		Title: title, Tone: tone, Note: fmt.Sprintf("on average %s, at most %s", figure(average), figure(most)), Max: figure(most),
		From: from.UTC().Format(layout), Middle: from.Add(to.Sub(from) / 2).UTC().Format(layout), To: to.UTC().Format(layout) + " UTC",
	}
	c.Label = fmt.Sprintf("%s from %s to %s: %s", title, c.From, c.To, c.Note)
	x := func(t time.Time) float64 { return chartWidth * float64(t.Sub(from)) / float64(to.Sub(from)) }
	var path strings.Builder
	fmt.Fprintf(&path, "M0 %g", chartHeight)
	for _, b := range all {
		y := chartHeight
		if most > 0 {
			y -= chartHeight * b.perSecond(of(b)) / most
		}
		fmt.Fprintf(&path, "L%.1f %.1fL%.1f %.1f", x(b.from), y, x(b.to), y)
	}
	fmt.Fprintf(&path, "L%g %gZ", chartWidth, chartHeight)
	c.Path = path.String()
	return c
}

// figure writes a number of a chart with as many digits as say something.
func figure(f float64) string {
	switch {
	case f >= 100:
		return term.Thousands(int64(f + 0.5))
	case f >= 1 || f == 0:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0")
	}
	return fmt.Sprintf("%.2g", f)
}

// clockLayout is how times are written on charts: with the day where there are several, with seconds where there are few.
func clockLayout(all []bucket) string {
	from, to := all[0].from, all[len(all)-1].to
	switch took := to.Sub(from); {
	case took > 20*time.Hour:
		return "02 Jan 15:04"
	case took > 20*time.Minute:
		return "15:04"
	}
	return "15:04:05"
}
