package importer_test

import (
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// TestRunStopsWhenCheckpointFileIsGone removes the checkpoint of a run that is sending. Requests in flight arrive, and nothing else is
// sent.
func TestRunStopsWhenCheckpointFileIsGone(t *testing.T) {
	t.Parallel()
	const arrived = 5
	for name, tt := range map[string]struct {
		take, back func(path string) error // back: nil if the file is lost
	}{
		"deleted": {take: os.Remove},
		"moved": {
			take: func(path string) error { return os.Rename(path, path+".away") },
			back: func(path string) error { return os.Rename(path+".away", path) }},
		"replaced": {take: func(path string) error {
			return errors.Join(os.WriteFile(path+".new", nil, 0o600), os.Rename(path+".new", path))
		}},
		"its log deleted": {take: func(path string) error { return os.Remove(path + "-wal") }, back: func(string) error { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			path := w.jsonl(w.file("c.jsonl", chats(40)...))
			file := strings.TrimPrefix(w.url, "sqlite:")
			var imports atomic.Int64
			w.onOperation(func(op sandbox.Operation) {
				if op == sandbox.Import && imports.Add(1) == arrived {
					if err := tt.take(file); err != nil {
						t.Error(err)
					}
				}
			})
			s, err := w.run(path, func(c *importer.Config) { c.Workers = 1 })
			if gone, ok := errors.AsType[*checkpoint.GoneError](err); !ok || s.Outcome != importer.OutcomeAborted || gone.Path != file {
				t.Fatalf("the run ended as %q with %v", s.Outcome, err)
			}
			if n := imports.Load(); n != arrived {
				t.Errorf("%d imports were sent, the checkpoint was gone after %d", n, arrived)
			}
			if log := w.logs.String(); !strings.Contains(log, "could not record that") || !strings.Contains(log, "conversation=") {
				t.Error("the log does not name what could not be recorded")
			}
			if tt.back == nil {
				w.loseCheckpoint()
				w.mustRun(importer.OutcomeOK, path, func(c *importer.Config) { c.Reconcile = true })
			} else if err := tt.back(file); err != nil {
				t.Fatal(err)
			} else {
				w.mustRun(importer.OutcomeOK, path, nil)
			}
			if n := len(w.api.Conversations()); n != 40 {
				t.Errorf("there are %d conversations, want 40", n)
			}
		})
	}
}

// TestIdleRunStopsWhenCheckpointFileIsGone requires that the next heartbeat notices it, even while the run waits for Dixa.
func TestIdleRunStopsWhenCheckpointFileIsGone(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	file := strings.TrimPrefix(w.url, "sqlite:")
	w.api.SetFaults([]sandbox.Fault{{Operation: sandbox.FindEndUsers, Kind: sandbox.HangBefore, Duration: time.Minute}})
	w.onOperation(func(op sandbox.Operation) {
		if op == sandbox.FindEndUsers {
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		}
	})
	began := time.Now()
	s, err := w.run(w.jsonl(w.file("c.jsonl", chat("t-1", nil))), func(c *importer.Config) {
		c.API = w.client(func(c *dixa.Config) { c.Timeout = time.Minute })
	})
	if took := time.Since(began); took > 2*checkpoint.Lease {
		t.Errorf("it was noticed after %v", took)
	}
	if _, ok := errors.AsType[*checkpoint.GoneError](err); !ok || s.Outcome != importer.OutcomeAborted {
		t.Errorf("the run ended as %q with %v", s.Outcome, err)
	}
	if n := w.api.Counts()[sandbox.Import] + w.api.Counts()[sandbox.CreateEndUser]; n != 0 {
		t.Errorf("%d writing requests were sent", n)
	}
}
