package progress

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/connect"
	"dixa-import/source"
)

// TestARunKnowsWhatItIsBoundBy watches real runs, each in a situation of its own.
func TestARunKnowsWhatItIsBoundBy(t *testing.T) {
	t.Parallel()
	for want, tt := range map[bound]struct {
		options sandbox.Options
		rate    float64
		workers int
		down    bool
	}{
		boundLimit:   {sandbox.Options{}, 10, 8, false},
		boundAnswers: {sandbox.Options{Latency: 100 * time.Millisecond}, 0, 2, false},
		boundDown:    {sandbox.Options{Latency: 5 * time.Millisecond}, 0, 8, true},
	} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			api := sandbox.New(tt.options)
			server := httptest.NewServer(api)
			defer server.Close()
			im := newTestRun(t, server.URL, api.Token(), tt.rate, tt.workers)
			done := make(chan error, 1)
			go func() {
				_, err := im.Run(t.Context())
				done <- err
			}()
			defer func() {
				api.SetDown(0)
				im.Stop("seen enough")
				if err := <-done; err != nil {
					t.Error(err)
				}
			}()
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			patience := time.After(20 * time.Second)
			var e estimate
			for last := boundUnknown; ; {
				select {
				case <-patience:
					t.Fatalf("the run was bound by %q at last", last)
				case <-tick.C:
				}
				now := im.Progress()
				if last = e.add(now).bound; last == want && now.Counts.Imported > 0 {
					return
				}
				if tt.down && now.Counts.Imported > 0 {
					api.SetDown(503)
				}
			}
		})
	}
}

// newTestRun prepares a run of many transcripts.
func newTestRun(t *testing.T, url, token string, rate float64, workers int) *importer.Importer {
	t.Helper()
	dir := t.TempDir()
	var lines strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&lines, `{"id": %d, "closed_at": 1795000000, "end_user": {"external_id": "c-%d"}, "messages": [{"role": "user", "text": "Hello"}]}`+"\n", i, i%5)
	}
	if err := os.WriteFile(filepath.Join(dir, "t.jsonl"), []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := source.OpenJSONL(source.JSONLConfig{Paths: []string{filepath.Join(dir, "t.jsonl")}})
	if err != nil {
		t.Fatal(err)
	}
	store, err := connect.Checkpoint(t.Context(), "sqlite:"+filepath.Join(dir, "x.db"), connect.Create)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := dixa.New(dixa.Config{BaseURL: url, Token: token, Limiter: dixa.NewLimiter(rate, 4), MaxAttempts: 2, Backoff: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	im, err := importer.New(importer.Config{Source: "bot", Reader: reader, Store: store, API: client, BaseURL: url,
		AgentID: sandbox.DefaultAgentID, Rate: rate, Workers: workers, RequestTimeout: time.Second, Settle: time.Second, DrainTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return im
}
