package metrics

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"dixa-import/cmd/dixa-import/internal/progress"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// Run is the metrics of a run, and the file that they are written to.
type Run struct {
	*Requests
	*Standing
	path     string
	registry *prometheus.Registry

	transcripts                *prometheus.GaugeVec
	doubts, remaining, running gauge
	started, ended, exitCode   gauge
	steps                      *stepTimes
}

// NewRun returns the metrics of a run that begins. It reads what an earlier run left in the file of the same source, and returns an error if
// the file cannot be written or is another one.
func NewRun(path, source string) (*Run, error) {
	r := &Run{Requests: NewRequests(), Standing: NewStanding(), path: path, registry: prometheus.NewRegistry(),
		transcripts: newGauges("transcripts", "Records of the last run, by outcome: the columns of the table runs.", "outcome"),
		doubts:      newGauge("doubts", "Transcripts that are being looked for in Dixa because their import got no clear answer."),
		remaining:   newGauge("remaining_transcripts", "Estimate of the records that the run has yet to settle."),
		running:     newGauge("running", "1 while a run works; a run that was killed leaves it at 1."),
		started:     newGauge("run_start_timestamp_seconds", "Start of the last run."),
		ended:       newGauge("run_end_timestamp_seconds", "End of the last run that ended."),
		exitCode:    newGauge("last_exit_code", "Exit code of the last run that ended."),
		steps: &stepTimes{desc: prometheus.NewDesc(name("step_duration_seconds"),
			"Time that transcripts of the last run spent in each step of the work.", []string{"step"}, nil)},
	}
	if err := r.takeOver(source); err != nil {
		return nil, err
	}
	register(r.registry, source, r.Requests.collectors(), r.Standing.collectors(), []prometheus.Collector{
		r.transcripts, r.doubts, r.remaining, r.running, r.started, r.ended, r.exitCode, r.steps})
	r.started.setTime(time.Now())
	r.SetProgress(importer.Progress{})
	return r, nil
}

// takeOver reads the file of the last run, and finds out whether it can be replaced.
func (r *Run) takeOver(source string) error {
	probe, err := os.CreateTemp(filepath.Dir(r.path), filepath.Base(r.path))
	if err != nil {
		return fmt.Errorf("the metrics file %s cannot be written: %w", r.path, cause(err))
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	info, err := os.Stat(r.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("the metrics file %s cannot be read: %w", r.path, cause(err))
	case !info.Mode().IsRegular():
		return fmt.Errorf("the metrics file %s is no file: name one, such as /var/lib/node_exporter/dixa-import.prom", r.path)
	case info.Size() == 0: // after a loss of power
		return nil
	}
	families, err := read(r.path)
	if err != nil || families[name("last_success_timestamp_seconds")] == nil {
		return fmt.Errorf("%s exists and is no metrics file of dixa-import: it is left as it is, name another file", r.path)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "source" && l.GetValue() != source {
					return fmt.Errorf("%s has the metrics of source %q: give each source a metrics file of its own", r.path, l.GetValue())
				}
			}
		}
	}
	if f := families[name("last_success_timestamp_seconds")]; len(f.GetMetric()) == 1 && f.GetMetric()[0].GetGauge().GetValue() > 0 {
		r.SetLastSuccess(time.UnixMilli(int64(f.GetMetric()[0].GetGauge().GetValue() * 1000)))
	}
	for short, g := range map[string]gauge{"run_end_timestamp_seconds": r.ended, "last_exit_code": r.exitCode} {
		if f := families[name(short)]; len(f.GetMetric()) == 1 {
			g.set(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	return nil
}

// read reads a file in Prometheus's text format.
func read(path string) (map[string]*dto.MetricFamily, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(f)
}

// cause is an error without the path, which may be that of a temporary file.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// SetProgress sets how far the run is.
func (r *Run) SetProgress(p importer.Progress) {
	r.SetCounts(p.Counts)
	r.running.set(1)
	r.doubts.set(float64(p.Doubts))
	if left, ok := progress.Remaining(p); ok {
		r.remaining.set(left)
	} else {
		r.remaining.Reset()
	}
	r.steps.set(p.Steps)
}

// SetCounts sets the records of the run.
func (r *Run) SetCounts(c checkpoint.Counts) {
	for outcome, n := range map[string]int64{"read": c.Read, "imported": c.Imported, "partial": c.Partial, "failed": c.Failed, "rejected": c.Rejected,
		"skipped": c.Skipped, "already_done": c.AlreadyDone, "duplicate": c.Duplicate, "in_doubt": c.InDoubt, "pending": c.Pending} {
		r.transcripts.WithLabelValues(outcome).Set(float64(n))
	}
}

// End sets how the run ended. The metrics do not change after that.
func (r *Run) End(exitCode int) {
	r.running.set(0)
	r.doubts.set(0)
	r.remaining.set(0)
	r.ended.setTime(time.Now())
	r.exitCode.set(float64(exitCode))
}

// Write replaces the file at once: a reader finds the old one or the new one.
func (r *Run) Write() error {
	if err := prometheus.WriteToTextfile(r.path, r.registry); err != nil {
		return fmt.Errorf("write the metrics file %s: %w", r.path, cause(err))
	}
	return nil
}

// stepTimes collects the times of steps.
type stepTimes struct {
	desc *prometheus.Desc
	mu   sync.Mutex
	list []checkpoint.StepTime
}

func (s *stepTimes) set(list []checkpoint.StepTime) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = list
}

// Describe implements prometheus.Collector.
func (s *stepTimes) Describe(out chan<- *prometheus.Desc) { out <- s.desc }

// Collect implements prometheus.Collector.
func (s *stepTimes) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.list {
		out <- prometheus.MustNewConstSummary(s.desc, uint64(max(t.Count, 0)), t.Total.Seconds(), nil, labelOf.Replace(t.Name))
	}
}
