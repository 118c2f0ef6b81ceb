package importer

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"dixa-import/importer/checkpoint"
)

// tally counts what became of the records of a run. Every record that is read ends in exactly one of the outcomes.
type tally struct {
	read, imported, partial, failed, rejected, skipped atomic.Int64
	alreadyDone, duplicate, inDoubt, pending           atomic.Int64
	duplicates, changed                                atomic.Int64
	failedBefore                                       atomic.Int64 // of failed: in an earlier run that did not come to its end

	mu       sync.Mutex
	causes   map[string]int64
	problems Problems
	logged   map[logCause]int64
}

// Problem is what is wrong with so many partial transcripts: a kind of partial errors, and the attribute if it is about one.
type Problem struct {
	Kind      checkpoint.PartialErrorKind `json:"kind"`
	Attribute string                      `json:"attribute,omitempty"` // as the transcripts call it
	Count     int64                       `json:"count"`
}

// Problems counts what is wrong with partial transcripts. The zero value is ready for use.
type Problems struct{ counts map[Problem]int64 }

// Add counts a transcript once for each kind and attribute among its partial errors.
func (p *Problems) Add(partial []checkpoint.PartialError) {
	if p.counts == nil {
		p.counts = map[Problem]int64{}
	}
	met := make(map[Problem]bool, len(partial))
	for _, e := range partial {
		if at := (Problem{Kind: e.Kind, Attribute: e.Attribute}); !met[at] {
			met[at] = true
			p.counts[at]++
		}
	}
}

// List returns the problems, the most frequent first.
func (p *Problems) List() []Problem {
	out := make([]Problem, 0, len(p.counts))
	for problem, n := range p.counts {
		problem.Count = n
		out = append(out, problem)
	}
	slices.SortFunc(out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Attribute, b.Attribute))
	})
	return out
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
	failed = t.failed.Load() - t.failedBefore.Load()
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

// problem counts a transcript once for each of its problems.
func (t *tally) problem(partial []checkpoint.PartialError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problems.Add(partial)
}

func (t *tally) causesCopy() (causes map[string]int64, problems []Problem) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.causes), t.problems.List()
}

// logCause is what transcripts have in common that a log would repeat again and again.
type logCause struct{ event, code string }

// logFirst is how many transcripts of one cause a run logs.
const logFirst = 3

// logs says whether a transcript is among the first ones of its cause.
func (t *tally) logs(c logCause) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.logged == nil {
		t.logged = map[logCause]int64{}
	}
	t.logged[c]++
	return t.logged[c] <= logFirst
}

// unlogged are how many transcripts of each cause were not among the first ones.
func (t *tally) unlogged() map[logCause]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	more := map[logCause]int64{}
	for c, n := range t.logged {
		if n > logFirst {
			more[c] = n - logFirst
		}
	}
	return more
}

// leave counts n records that the run did not get to.
func (t *tally) leave(n int) { t.pending.Add(int64(n)) }
