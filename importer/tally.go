package importer

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

// tally counts the records of a run by outcome. Every record that is read has exactly one outcome.
type tally struct {
	s *session.Session

	read, imported, partial, failed, rejected, skipped atomic.Int64
	alreadyDone, duplicate, inDoubt, pending           atomic.Int64
	duplicates, changed, grown                         atomic.Int64
	failedBefore                                       atomic.Int64 // of failed: transcripts that failed in an earlier run that did not complete

	endMu sync.Mutex // held while the outcome of a transcript is logged

	mu        sync.Mutex
	causes    map[string]int64
	skips     map[string]int64 // of skipped, by error code
	problems  Problems
	logged    map[logCause]int64
	ignored   IgnoredIdentifiers
	redacted  map[string]int64      // values, by kind
	sentences map[logCause][]string // reasons that were logged
}

// Problem is a kind of partial error, for one attribute if it is about attributes, and the number of transcripts that have it.
type Problem struct {
	Kind      checkpoint.PartialErrorKind `json:"kind"`
	Attribute string                      `json:"attribute,omitempty"` // its name in the transcripts
	Count     int64                       `json:"count"`
}

// Problems counts partial transcripts by problem. The zero value is ready for use.
type Problems struct{ counts map[Problem]int64 }

// Add counts a transcript once for each kind and attribute among its partial errors.
func (p *Problems) Add(partial []checkpoint.PartialError) {
	if p.counts == nil {
		p.counts = map[Problem]int64{}
	}
	seen := make(map[Problem]bool, len(partial))
	for _, e := range partial {
		if problem := (Problem{Kind: e.Kind, Attribute: e.Attribute}); !seen[problem] {
			seen[problem] = true
			p.counts[problem]++
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

func (n *tally) counts() checkpoint.Counts {
	c := checkpoint.Counts{
		Imported: n.imported.Load(), Partial: n.partial.Load(), Failed: n.failed.Load(), Rejected: n.rejected.Load(),
		Skipped: n.skipped.Load(), AlreadyDone: n.alreadyDone.Load(), Duplicate: n.duplicate.Load(),
		InDoubt: n.inDoubt.Load(), Pending: n.pending.Load(), Read: n.read.Load(),
	}
	return c
}

// incomplete reports whether a run that read everything leaves something to a person or to the next run.
func (n *tally) incomplete() bool {
	return n.failed.Load()+n.rejected.Load()+n.inDoubt.Load()+n.pending.Load()+n.duplicates.Load() > 0
}

// worked returns how many transcripts this run worked on to an outcome, and how many of them failed.
func (n *tally) worked() (failed, worked int64) {
	failed = n.failed.Load() - n.failedBefore.Load()
	return failed, failed + n.imported.Load() + n.partial.Load() + n.inDoubt.Load()
}

func (n *tally) addCause(code string) {
	if code == "" {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.causes == nil {
		n.causes = map[string]int64{}
	}
	n.causes[code]++
}

// noteGrown counts a chat that went on after its import, and whose new messages are not imported.
func (n *tally) noteGrown(transcript string) {
	n.grown.Add(1)
	n.warnSampled(logCause{event: "went on after their import"})("the chat went on after its import, and its new messages are not imported", "transcript", transcript)
}

// addSkip counts a skipped record by its code.
func (n *tally) addSkip(code string) {
	n.skipped.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.skips == nil {
		n.skips = map[string]int64{}
	}
	n.skips[code]++
}

func (n *tally) skipsCopy() map[string]int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.skips)
}

// addProblems counts a transcript once for each of its problems.
func (n *tally) addProblems(partial []checkpoint.PartialError) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.problems.Add(partial)
}

// addIgnored counts identifier values that are not used.
func (n *tally) addIgnored(values IgnoredIdentifiers) {
	if values.Total() == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ignored.Add(values)
}

// addRedacted counts values that were replaced by placeholders.
func (n *tally) addRedacted(values map[string]int64) {
	if len(values) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.redacted == nil {
		n.redacted = map[string]int64{}
	}
	for kind, count := range values {
		n.redacted[kind] += count
	}
}

func (n *tally) redactedCopy() map[string]int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.redacted)
}

func (n *tally) ignoredCopy() IgnoredIdentifiers {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ignored
}

func (n *tally) causesCopy() (causes map[string]int64, problems []Problem) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.causes), n.problems.List()
}

// logCause groups transcripts whose log lines would repeat.
type logCause struct{ event, code string }

// logFirst is how many transcripts of one cause a run logs.
const logFirst = 3

// shouldLog counts a transcript, and reports whether it is among the first of its cause.
func (n *tally) shouldLog(c logCause) bool {
	if n.s.Live { // nobody sees the end of such a run
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.logged == nil {
		n.logged = map[logCause]int64{}
	}
	n.logged[c]++
	return n.logged[c] <= logFirst
}

// loggedBefore reports whether the run has logged a reason for a cause. It remembers logFirst reasons for each cause.
func (n *tally) loggedBefore(c logCause, sentence string) bool {
	if n.s.Live {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.Contains(n.sentences[c], sentence) {
		return true
	}
	if n.sentences == nil {
		n.sentences = map[logCause][]string{}
	}
	if len(n.sentences[c]) < logFirst {
		n.sentences[c] = append(n.sentences[c], sentence)
	}
	return false
}

// unlogged returns, by cause, how many transcripts were not among the first.
func (n *tally) unlogged() map[logCause]int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	more := map[logCause]int64{}
	for c, n := range n.logged {
		if n > logFirst {
			more[c] = n - logFirst
		}
	}
	return more
}

// addPending counts records that the run did not get to.
func (n *tally) addPending(records int) { n.pending.Add(int64(records)) }
