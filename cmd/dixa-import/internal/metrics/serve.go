package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/live"
)

// ServeConfig is what the metrics of the live half are read from.
type ServeConfig struct {
	Source    string
	Store     *checkpoint.Store
	Requests  *Requests
	Intake    *live.Intake // nil, like the next one: webhooks are not served
	Receiver  *live.Receiver
	Forwarder *live.Forwarder // nil: events are not forwarded
	Logger    *slog.Logger
}

// Serve is the metrics of the live half.
type Serve struct {
	latency prometheus.Histogram
	posts   *prometheus.CounterVec
}

// NewServe returns metrics without their sources, which Handler gets.
func NewServe() *Serve {
	return &Serve{latency: prometheus.NewHistogram(prometheus.HistogramOpts{Name: name("forward_latency_seconds"),
		Help:    "Time from the receipt of an event until the bot accepted it.",
		Buckets: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600, 6 * 3600, 24 * 3600}}),
		posts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: name("posted_transcripts_total"),
			Help: "Requests with a transcript, by the status of the answer."}, []string{"code"})}
}

// Posts counts the requests that a handler answers.
func (s *Serve) Posts(h http.Handler) http.Handler {
	return promhttp.InstrumentHandlerCounter(s.posts, h)
}

// Forwarded notes that the bot accepted an event; it fits live.ForwarderConfig.Forwarded.
func (s *Serve) Forwarded(took time.Duration) { s.latency.Observe(took.Seconds()) }

// Handler answers GET /metrics.
func (s *Serve) Handler(c ServeConfig) http.Handler {
	standing := newCached(c)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	register(registry, c.Source, c.Requests.collectors(), standing.collectors(), []prometheus.Collector{s.latency, s.posts, counted{c}})
	return promhttp.HandlerFor(gatherer{standing, registry}, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelWarn)})
}

// gatherer refreshes what the checkpoint says before the metrics are gathered.
type gatherer struct {
	*cached
	prometheus.Gatherer
}

// Gather implements prometheus.Gatherer.
func (g gatherer) Gather() ([]*dto.MetricFamily, error) {
	g.refresh(time.Now())
	return g.Gatherer.Gather()
}

// counted collects what the endpoints and the workers of the live half count by themselves.
type counted struct{ ServeConfig }

var (
	eventsDesc     = prometheus.NewDesc(name("events_total"), "Events taken in, by outcome.", []string{"outcome"}, nil)
	deliveriesDesc = prometheus.NewDesc(name("deliveries_total"), "Webhook deliveries, by the status of the answer and its reason.", []string{"status", "reason"}, nil)
	forwardsDesc   = prometheus.NewDesc(name("forwards_total"), "Requests to the bot, by outcome.", []string{"outcome"}, nil)
	deadDesc       = prometheus.NewDesc(name("dead_events_total"), "Events that were given up.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c counted) Describe(out chan<- *prometheus.Desc) {
	out <- eventsDesc
	out <- deliveriesDesc
	out <- forwardsDesc
	out <- deadDesc
}

// Collect implements prometheus.Collector.
func (c counted) Collect(out chan<- prometheus.Metric) {
	count := func(desc *prometheus.Desc, n int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	if c.Intake == nil {
		return
	}
	for outcome, label := range map[live.Outcome]string{live.Stored: "stored", live.Held: "held", live.Repeated: "repeated", live.Echo: "echo", live.Foreign: "foreign"} {
		count(eventsDesc, c.Intake.Count(outcome), label)
	}
	for a, n := range c.Receiver.Answers() {
		count(deliveriesDesc, n, strconv.Itoa(a.Status), a.Why)
	}
	if c.Forwarder != nil {
		n := c.Forwarder.Counts()
		count(forwardsDesc, n.Forwarded, "accepted")
		count(forwardsDesc, n.Failures, "failed")
		count(deadDesc, n.Dead)
	}
}

// The checkpoint is asked at most every minute, and for no more than a twentieth of the time.
const (
	freshFor  = time.Minute
	askShare  = 20
	askFor    = 5 * time.Second
	askFailed = 10 * time.Second // until it is asked again
)

// cached is what the checkpoint said last.
type cached struct {
	ServeConfig
	*Standing
	events, handovers *prometheus.GaugeVec
	oldest, readable  gauge

	mu   sync.Mutex
	next time.Time
}

func newCached(c ServeConfig) *cached {
	return &cached{ServeConfig: c, Standing: NewStanding(),
		events:    newGauges("stored_events", "Events in the checkpoint, by state; waiting is the queue to the bot.", "state"),
		handovers: newGauges("handovers", "Transcripts that were handed over, by state.", "state"),
		oldest:    newGauge("oldest_waiting_event_timestamp_seconds", "When the oldest event that waits for the bot was received."),
		readable:  newGauge("checkpoint_readable", "1 if the checkpoint could be read the last time; 0: what it says is older."),
	}
}

func (c *cached) collectors() []prometheus.Collector {
	return append(c.Standing.collectors(), c.events, c.handovers, c.oldest, c.readable)
}

func (c *cached) refresh(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.next) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), askFor)
	defer cancel()
	err := c.ask(ctx)
	took := time.Since(now)
	c.next = now.Add(max(freshFor, askShare*took))
	c.readable.set(1)
	if err != nil {
		c.next = now.Add(askFailed + took)
		c.readable.set(0)
		c.Logger.Debug("metrics: the checkpoint could not be read", "error", err.Error())
	}
}

func (c *cached) ask(ctx context.Context) error {
	backlog, err := c.Store.Backlog(ctx, c.Source)
	if err != nil {
		return err
	}
	for _, state := range []checkpoint.EventState{checkpoint.EventWaiting, checkpoint.EventForwarded, checkpoint.EventDead, checkpoint.EventKept} {
		c.events.WithLabelValues(string(state)).Set(float64(backlog.Counts[state]))
	}
	c.oldest.setTime(backlog.Oldest)
	totals, err := c.Store.Handovers(ctx, c.Source)
	handovers := map[string]int64{}
	for _, t := range totals {
		handovers[t.State] += t.Count
	}
	for _, state := range []string{"waiting", "assigned", "closed"} {
		c.handovers.WithLabelValues(state).Set(float64(handovers[state]))
	}
	return errors.Join(err, c.Ask(ctx, c.Store, c.Source))
}

// Ask reads from the checkpoint what it says of a source.
func (s *Standing) Ask(ctx context.Context, store *checkpoint.Store, source string) error {
	totals, totalsErr := store.Totals(ctx, source, 0)
	steps, stepsErr := store.StepCounts(ctx, source)
	watermark, _, watermarkErr := store.Watermark(ctx, source)
	success, successErr := store.LastSuccess(ctx, source)
	if err := errors.Join(totalsErr, stepsErr, watermarkErr, successErr); err != nil {
		return err
	}
	s.SetTotals(totals)
	s.SetSteps(steps)
	s.SetWatermark(watermark)
	s.SetLastSuccess(success)
	return nil
}
