package importer_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
)

// TestMemoryOfLargeRecordsIsBounded requires that the size of the records in memory is bounded for any number of workers, for records that
// are sent at once and for those that are in doubt.
func TestMemoryOfLargeRecordsIsBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() || slow {
		t.Skip("slow, and the race detector multiplies the memory")
	}
	const records, size = 40, 3 << 20
	// Eight failures in a row do not make an operation rest yet.
	for name, opts := range map[string]sandbox.Options{
		"imported": {},
		"in doubt": {ListLag: 200 * time.Millisecond, Faults: []sandbox.Fault{{Operation: sandbox.Import, Kind: sandbox.DropAfter, Times: 8}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, "sqlite", opts)
			path := filepath.Join(w.files, "large.jsonl")
			largeChats(t, path, records, size)
			c := w.spawn(path, func(spec *childSpec) { spec.Workers, spec.Timeout = 64, 5*time.Second })
			s := c.wait(importer.OutcomeOK)
			if s.Counts.Imported+s.Counts.Partial != records || len(w.api.Conversations()) != records {
				t.Errorf("%d conversations; counts %+v", len(w.api.Conversations()), s.Counts)
			}
			const bound = 128<<20 + 4*size
			if peak := c.peak << 10; peak == 0 || peak > bound {
				t.Errorf("peak memory is %d MiB, want at most %d", peak>>20, bound>>20)
			} else {
				t.Logf("%d MiB at the peak", peak>>20)
			}
		})
	}
}

// largeChats writes transcripts of about the given size in bytes.
func largeChats(t *testing.T, path string, n, size int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(f)
	text := strings.Repeat("Where is my order? ", 1<<10)
	for i := range n {
		var messages []any
		for at := 0; at*len(text) < size; at++ {
			messages = append(messages, fields{"role": "user", "text": text, "created_at": fmt.Sprintf("2026-11-19T08:%02d:%02dZ", at/60%10, at%60)})
		}
		if _, err := out.WriteString(chat(fmt.Sprintf("t-%d", i), fields{"messages": messages}) + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
