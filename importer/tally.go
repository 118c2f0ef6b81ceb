package importer

import (
	"maps"
	"sync"
	"sync/atomic"

	"dixa-import/importer/checkpoint"
)

// tally counts what became of the records of a run. Every record that is read ends in exactly one of the outcomes.
type tally struct {
	read, imported, partial, failed, rejected, skipped atomic.Int64
	alreadyDone, duplicate, inDoubt, pending           atomic.Int64
	duplicates, changed                                atomic.Int64

	mu     sync.Mutex
	causes map[string]int64
}

func (t *tally) counts() checkpoint.Counts {
	c := checkpoint.Counts{
		Imported: t.imported.Load(), Partial: t.partial.Load(), Failed: t.failed.Load(), Rejected: t.rejected.Load(),
		Skipped: t.skipped.Load(), AlreadyDone: t.alreadyDone.Load(), Duplicate: t.duplicate.Load(),
		InDoubt: t.inDoubt.Load(), Pending: t.pending.Load(), Read: t.read.Load(),
	}
	return c
}

// incomplete says whether a run that came to its end leaves something to a person or to the next run.
func (t *tally) incomplete() bool {
	return t.failed.Load()+t.rejected.Load()+t.inDoubt.Load()+t.pending.Load()+t.duplicates.Load() > 0
}

// worked is how many transcripts were settled by work, and how many of them failed.
func (t *tally) worked() (failed, worked int64) {
	failed = t.failed.Load()
	return failed, failed + t.imported.Load() + t.partial.Load() + t.inDoubt.Load()
}

func (t *tally) cause(code string) {
	if code == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.causes == nil {
		t.causes = map[string]int64{}
	}
	t.causes[code]++
}

func (t *tally) causesCopy() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.causes)
}

// leave counts n records that the run did not get to.
func (t *tally) leave(n int) { t.pending.Add(int64(n)) }
