// Package metrics turns what a run and the live half count into Prometheus metrics. METRICS.md describes each. The alert rules and the
// dashboard beside them are embedded.
package metrics

import (
	_ "embed"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
)

// Rules are alert rules for Prometheus, Dashboard is a dashboard for Grafana.
var (
	//go:embed rules.yml
	Rules []byte
	//go:embed dashboard.json
	Dashboard []byte
)

// name returns the full name of a metric.
func name(short string) string { return "dixa_import_" + short }

// gauge is a gauge that is absent until it is set.
type gauge struct{ *prometheus.GaugeVec }

func newGauge(short, help string) gauge {
	return gauge{prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name(short), Help: help}, nil)}
}

func (g gauge) set(v float64) { g.WithLabelValues().Set(v) }

// setTime sets a time in seconds since 1970; the zero time removes it.
func (g gauge) setTime(t time.Time) {
	if t.IsZero() {
		g.Reset()
		return
	}
	g.set(float64(t.UnixMilli()) / 1000)
}

func newGauges(short, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name(short), Help: help}, labels)
}

// Requests counts the requests to Dixa.
type Requests struct {
	total *prometheus.CounterVec
	took  *prometheus.HistogramVec
}

// NewRequests returns counts of no requests.
func NewRequests() *Requests {
	return &Requests{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: name("requests_total"),
			Help: "Requests to Dixa that left, by operation and status of the answer; none: there was no answer."}, []string{"operation", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name("request_duration_seconds"),
			Help:    "Time from the start of a request to Dixa to the end of its answer, by operation.",
			Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}}, []string{"operation"}),
	}
}

var labelOf = strings.NewReplacer(" ", "_", "-", "_")

// Observe counts a request; it fits dixa.Config.Observe.
func (r *Requests) Observe(op dixa.Operation, status int, took time.Duration) {
	operation, code := labelOf.Replace(string(op)), "other"
	switch {
	case status == 0:
		code = "none"
	case status >= 100 && status < 600:
		code = strconv.Itoa(status)
	}
	r.total.WithLabelValues(operation, code).Inc()
	r.took.WithLabelValues(operation).Observe(took.Seconds())
}

func (r *Requests) collectors() []prometheus.Collector {
	return []prometheus.Collector{r.total, r.took}
}

// Standing is what the checkpoint says of a source.
type Standing struct {
	transcripts, steps     *prometheus.GaugeVec
	watermark, lastSuccess gauge
	success                time.Time
}

// NewStanding returns the metrics with nothing known.
func NewStanding() *Standing {
	s := &Standing{
		transcripts: newGauges("checkpoint_transcripts", "Transcripts of the source in the checkpoint, by status.", "status"),
		steps: newGauges("finishing_steps", "Recorded steps that follow an import (ratings, notes, transfers, links), by kind and state.",
			"step", "state"),
		watermark:   newGauge("watermark_timestamp_seconds", "Everything that was closed before this time is done; Postgres sources only."),
		lastSuccess: newGauge("last_success_timestamp_seconds", "End of the last run with exit code 0; 0: there was none."),
	}
	s.lastSuccess.set(0)
	return s
}

// SetTotals sets the counts of transcripts.
func (s *Standing) SetTotals(totals []checkpoint.Total) {
	counts := map[checkpoint.Status]int64{}
	for _, t := range totals {
		counts[t.Status] += t.Count
	}
	for _, status := range checkpoint.Statuses {
		s.transcripts.WithLabelValues(string(status)).Set(float64(counts[status]))
	}
}

// SetSteps sets the counts of finishing steps.
func (s *Standing) SetSteps(counts []checkpoint.StepCount) {
	s.steps.Reset()
	for _, c := range counts {
		s.steps.WithLabelValues(string(c.Name), string(c.State)).Set(float64(c.Count))
	}
}

// SetWatermark sets the watermark; zero: there is none.
func (s *Standing) SetWatermark(t time.Time) { s.watermark.setTime(t) }

// SetLastSuccess sets when the last run ended well, unless a later one is known.
func (s *Standing) SetLastSuccess(t time.Time) {
	if t.After(s.success) {
		s.success = t
		s.lastSuccess.setTime(t)
	}
}

func (s *Standing) collectors() []prometheus.Collector {
	return []prometheus.Collector{s.transcripts, s.steps, s.watermark, s.lastSuccess}
}

// register registers collectors with the label source, so that the files of two sources on one machine do not clash.
func register(r prometheus.Registerer, source string, groups ...[]prometheus.Collector) {
	labelled := prometheus.WrapRegistererWith(prometheus.Labels{"source": source}, r)
	for _, group := range groups {
		labelled.MustRegister(group...)
	}
}
