package metrics

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"dixa-import/dixa"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
	"dixa-import/importer/live"
)

func newRun(t *testing.T, path string) *Run {
	t.Helper()
	r, err := NewRun(path, "bot")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// written returns the metrics in a file.
func written(t *testing.T, path string) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := read(path)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func valueOf(t *testing.T, families map[string]*dto.MetricFamily, metric string) float64 {
	t.Helper()
	f := families[metric]
	if len(f.GetMetric()) != 1 {
		t.Fatalf("%s has %d values", metric, len(f.GetMetric()))
	}
	return f.GetMetric()[0].GetGauge().GetValue()
}

// full writes the file of a run of which everything is known.
func full(t *testing.T, path string) {
	t.Helper()
	r := newRun(t, path)
	r.Observe(dixa.OpImport, 201, time.Second)
	r.Observe(dixa.OpLookUpEndUser, 0, time.Second)
	r.Observe(dixa.OpLookUpEndUser, 999, time.Second)
	r.SetTotals([]checkpoint.Total{{Status: checkpoint.Failed, Count: 2}, {Status: checkpoint.Failed, ErrorCode: "x", Count: 3}})
	r.SetSteps([]checkpoint.StepCount{{Name: checkpoint.StepTransfer, State: checkpoint.StepDone, Count: 4}})
	r.SetWatermark(time.Unix(1000, 0))
	r.SetLastSuccess(time.Unix(2000, 0))
	r.SetProgress(importer.Progress{Counts: checkpoint.Counts{Read: 7}, Expected: 9, Steps: []checkpoint.StepTime{{Name: "import", Count: 2, Total: time.Second}}})
	r.End(3)
	if err := r.Write(); err != nil {
		t.Fatal(err)
	}
}

func TestRunKeepsTheLastSuccess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.prom")
	full(t, path)
	r := newRun(t, path) // which fails
	if err := r.Write(); err != nil {
		t.Fatal(err)
	}
	m := written(t, path)
	if valueOf(t, m, "dixa_import_running") != 1 || valueOf(t, m, "dixa_import_last_exit_code") != 3 || valueOf(t, m, "dixa_import_last_success_timestamp_seconds") != 2000 {
		t.Errorf("while the next run works: %v", m)
	}
	r.SetLastSuccess(time.Unix(1500, 0)) // of an older checkpoint
	r.End(1)
	if err := r.Write(); err != nil {
		t.Fatal(err)
	}
	m = written(t, path)
	if valueOf(t, m, "dixa_import_running") != 0 || valueOf(t, m, "dixa_import_last_exit_code") != 1 || valueOf(t, m, "dixa_import_last_success_timestamp_seconds") != 2000 {
		t.Errorf("after the next run: %v", m)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestRunRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	full(t, filepath.Join(dir, "bot.prom"))
	other, err := NewRun(filepath.Join(dir, "bot.prom"), "other")
	if err == nil || other != nil || !strings.Contains(err.Error(), `has the metrics of source "bot"`) {
		t.Errorf("another source's file: %v", err)
	}
	for path, want := range map[string]string{
		write("config.yaml", "dixa: {token: x}\n"): "is no metrics file",
		write("node.prom", "node_load1 0.5\n"):     "is no metrics file",
		dir:                                        "is no file",
		filepath.Join(dir, "none", "m.prom"):       "cannot be written: no such file or directory",
	} {
		before, _ := os.ReadFile(path)
		if _, err := NewRun(path, "bot"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Errorf("%s was changed", path)
		}
	}
	if r := newRun(t, write("empty.prom", "")); r == nil {
		t.Error("an empty file is not taken")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 4 {
		t.Errorf("there are %v", files)
	}
}

// scrape returns the metrics of a live half on a new checkpoint, and the handler's checkpoint.
func scrape(t *testing.T) (get func() map[string]*dto.MetricFamily, store *checkpoint.Store) {
	t.Helper()
	store, err := connect.Checkpoint(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "c.db"), connect.Create)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	log := slog.New(slog.DiscardHandler)
	intake := live.NewIntake(live.IntakeConfig{Store: store, Source: "bot", Logger: log})
	receiver, err := live.NewReceiver(intake, live.ReceiverConfig{Secrets: []string{strings.Repeat("ab", 32)}, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	forwarder, err := live.NewForwarder(live.ForwarderConfig{Store: store, URL: "http://127.0.0.1:1", Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	receiver.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}")))
	s, requests := NewServe(), NewRequests()
	s.Forwarded(time.Second)
	s.Posts(receiver).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}")))
	requests.Observe(dixa.OpListWebhooks, 200, time.Second)
	h := s.Handler(ServeConfig{Source: "bot", Store: store, Requests: requests, Intake: intake, Receiver: receiver, Forwarder: forwarder, Logger: log})
	return func() map[string]*dto.MetricFamily {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(w.Body)
		if err != nil || w.Code != 200 {
			t.Fatalf("%d %v", w.Code, err)
		}
		return families
	}, store
}

func TestServe(t *testing.T) {
	t.Parallel()
	get, store := scrape(t)
	m := get()
	if valueOf(t, m, "dixa_import_checkpoint_readable") != 1 || m["go_goroutines"] == nil {
		t.Errorf("there are %v", slices.Sorted(maps.Keys(m)))
	}
	refused := m["dixa_import_deliveries_total"].GetMetric()
	if len(refused) != 1 || !strings.Contains(refused[0].String(), `"401"`) || !strings.Contains(refused[0].String(), "unsigned") || refused[0].GetCounter().GetValue() != 2 {
		t.Errorf("refused: %v", refused)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if m = get(); valueOf(t, m, "dixa_import_checkpoint_readable") != 1 {
		t.Error("a scrape within a minute asked the checkpoint again")
	}
}

func TestServeWithoutCheckpoint(t *testing.T) {
	t.Parallel()
	get, store := scrape(t)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	m := get()
	if valueOf(t, m, "dixa_import_checkpoint_readable") != 0 || m["dixa_import_requests_total"] == nil {
		t.Errorf("there are %v", slices.Sorted(maps.Keys(m)))
	}
}

// named are the metrics that a text names.
func named(text string) []string {
	names := regexp.MustCompile(`dixa_import_[a-z0-9_]*[a-z0-9]`).FindAllString(text, -1)
	slices.Sort(names)
	return slices.Compact(names)
}

// TestEverythingIsDocumented holds METRICS.md against what there is, and the rules and the dashboard against METRICS.md.
func TestEverythingIsDocumented(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.prom")
	full(t, path)
	there := map[string]string{}
	get, _ := scrape(t)
	for _, families := range []map[string]*dto.MetricFamily{written(t, path), get()} {
		for name, f := range families {
			if !strings.HasPrefix(name, "dixa_import_") {
				continue
			}
			there[name] = strings.ToLower(f.GetType().String())
			for _, m := range f.GetMetric() {
				labels := m.GetLabel()
				if !slices.ContainsFunc(labels, func(l *dto.LabelPair) bool { return l.GetName() == "source" && l.GetValue() == "bot" }) {
					t.Errorf("%s has no source: %v", name, m)
				}
			}
		}
	}
	text, err := os.ReadFile("../../METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(dixa_import_[a-z_]+)` \\| ([a-z]+) \\|").FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = m[2]
	}
	delete(documented, "dixa_import_oldest_waiting_event_timestamp_seconds") // there is no such event here
	if !maps.Equal(there, documented) {
		t.Errorf("there are\n%v\nand METRICS.md has\n%v", there, documented)
	}
	documented["dixa_import_oldest_waiting_event_timestamp_seconds"] = "gauge"
	suffix := regexp.MustCompile(`_(bucket|sum|count)$`)
	used := map[string]bool{}
	for _, name := range named(string(Rules) + string(Dashboard)) {
		base := name
		if documented[name] == "" {
			base = suffix.ReplaceAllString(name, "")
		}
		if documented[base] == "" {
			t.Errorf("the rules or the dashboard have %s, which there is not", name)
		}
		used[base] = true
	}
	for name := range documented {
		if !used[name] {
			t.Errorf("neither the rules nor the dashboard show %s", name)
		}
	}
}

// TestRules reads the rules as Prometheus does: an unknown key is an error there, and so is a rule without an expression.
func TestRules(t *testing.T) {
	t.Parallel()
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				For         string            `yaml:"for"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.UnmarshalWithOptions(Rules, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if len(file.Groups) != 1 || len(file.Groups[0].Rules) != 3 {
		t.Fatalf("there are %+v", file)
	}
	for _, r := range file.Groups[0].Rules {
		if _, err := model.ParseDuration(r.For); err != nil || r.Alert == "" || r.Expr == "" || r.Annotations["summary"] == "" {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// TestDashboard checks what Grafana needs to load a dashboard: panels with ids of their own that do not overlap, and variables for all that
// is in the queries.
func TestDashboard(t *testing.T) {
	t.Parallel()
	var d struct {
		Title         string `json:"title"`
		SchemaVersion int    `json:"schemaVersion"`
		Templating    struct {
			List []struct{ Name, Type string }
		}
		Panels []struct {
			ID      int
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal(Dashboard, &d); err != nil {
		t.Fatal(err)
	}
	if d.Title == "" || d.SchemaVersion < 30 || len(d.Panels) < 10 {
		t.Errorf("%+v", d)
	}
	variables := map[string]bool{"__rate_interval": true, "__all": true}
	for _, v := range d.Templating.List {
		variables[v.Name] = true
	}
	ids, cells := map[int]bool{}, map[[2]int]int{}
	for _, p := range d.Panels {
		if ids[p.ID] || len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %+v", p)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other := cells[at]; other != 0 {
					t.Fatalf("panels %d and %d overlap", other, p.ID)
				}
				cells[at] = p.ID
			}
		}
	}
	for _, m := range regexp.MustCompile(`\$\{?([a-z_]+)`).FindAllStringSubmatch(string(Dashboard), -1) {
		if !variables[m[1]] {
			t.Errorf("there is no variable %s", m[1])
		}
	}
}

// TestAFileIsNeverHalf reads while a run writes.
func TestAFileIsNeverHalf(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.prom")
	full(t, path)
	r := newRun(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := r.Write(); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for range 300 {
		text, err := os.ReadFile(path)
		if err != nil || len(text) == 0 || text[len(text)-1] != '\n' || !strings.Contains(string(text), `outcome="skipped"`) {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
	}
	cancel()
	<-done
}
