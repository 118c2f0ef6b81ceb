package importer

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

// OutcomeLost is the outcome that the checkpoint stores for a run that a LostCheckpointError aborted. The next run then does not send what
// this one did not search for.
const OutcomeLost Outcome = checkpoint.OutcomeLost

const (
	maxFirstSearches   = 3   // transcripts of a first run that are searched for in Dixa
	maxFirstCandidates = 3   // conversations that are read for each
	runsLookedAt       = 100 // latest runs whose outcomes are read
)

// firstRun searches Dixa for the first transcripts of a source, one at a time, before any transcript of an end-user that already existed is
// sent. The zero value does nothing.
type firstRun struct {
	lock chan struct{} // a lock that a stop can interrupt, held during a search; nil: this is not a first run
	left int           // searches left; guarded by lock

	mu       sync.Mutex
	existing map[string]bool // end-users that existed before the run; nil after the last search
}

// noteExisting records an end-user that this run did not create.
func (f *firstRun) noteExisting(endUserID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.existing != nil {
		f.existing[endUserID] = true
	}
}

// mayHave reports whether a transcript of this end-user may be in Dixa already.
func (f *firstRun) mayHave(endUserID string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.existing[endUserID]
}

func (f *firstRun) searched() {
	if f.left--; f.left == 0 {
		f.mu.Lock()
		f.existing = nil
		f.mu.Unlock()
	}
}

// detectFirstRun finds out whether no run of the source has completed yet. If one found the checkpoint lost, it returns a
// *LostCheckpointError, unless a run with Reconcile has completed since or this is one.
func (im *Importer) detectFirstRun(ctx context.Context) error {
	runs, err := im.latestRuns(ctx)
	if err != nil {
		return err
	}
	for _, r := range runs {
		switch {
		case r.Outcome == string(OutcomeLost) && im.s.Reconcile:
			im.pipeline.checkpointBehind.Store(true)
			return nil
		case r.Outcome == string(OutcomeLost):
			return &LostCheckpointError{Source: im.s.Source, Run: r.ID, Command: r.Command}
		case r.Command != "retry" && completed(r):
			return nil
		}
	}
	im.pipeline.isFirstRun = true
	if im.s.Reconcile || im.s.Retry != nil {
		return nil
	}
	im.pipeline.first.lock, im.pipeline.first.left, im.pipeline.first.existing = make(chan struct{}, 1), maxFirstSearches, map[string]bool{}
	return nil
}

// mustSearch reports whether a transcript is searched for in Dixa before it is sent. A corrected one always is: after the checkpoint was
// lost, the file of corrected records may still exist, but the source does not contain them.
func (p *pipeline) mustSearch(t *task) bool {
	concerns := func(id string) bool { return p.first.mayHave(id) || p.unmarked.needsSearch(id) }
	return p.s.Reconcile || isCorrection(t) || concerns(t.row.EndUserID) || slices.ContainsFunc(t.user.Others, concerns)
}

func isCorrection(t *task) bool { return t.rec != nil && t.rec.Original.Key != "" }

// searchForLost searches for a transcript of a first run in Dixa. If it is there, the run ends.
func (p *pipeline) searchForLost(t *task) (step, error) {
	select {
	case p.first.lock <- struct{}{}:
	case <-p.s.Starting.Done():
		return stepEnd, session.ErrStopped
	}
	defer func() { <-p.first.lock }()
	if p.s.Starting.Err() != nil {
		return stepEnd, session.ErrStopped
	}
	if p.first.left == 0 {
		return stepSend, nil
	}
	err := p.findLost(p.s.Starting, t)
	var lost *LostCheckpointError
	switch {
	case p.s.Starting.Err() != nil:
		return stepEnd, session.ErrStopped
	case errors.As(err, &lost):
		p.s.Abort(session.Fatal(err)) // before another task searches
		return stepEnd, session.Fatal(err)
	case session.Denied(err): // no other search may read it either
		p.first.left = 1
	}
	p.first.searched()
	return stepSend, nil
}

// findLost returns a *LostCheckpointError if the transcript's end-user has a conversation that is a transcript of this source and that no
// run of this checkpoint may have sent.
func (p *pipeline) findLost(ctx context.Context, t *task) error {
	listed, err := p.searcher.candidates(ctx, t)
	if err != nil {
		return err
	}
	prefix := p.s.ExternalID("")
	for _, c := range listed[:min(len(listed), maxFirstCandidates)] {
		names, err := p.searcher.namesOf(ctx, c)
		if err != nil {
			return err
		}
		for _, name := range names {
			id, ours := strings.CutPrefix(name, prefix)
			if !ours {
				continue
			}
			rows, err := p.s.Lookup(ctx, id)
			if row := rows[id]; err != nil || !slices.Contains(sentStatuses, row.Status) {
				return cmp.Or(err, error(&LostCheckpointError{Source: p.s.Source, Transcript: id, Conversation: c.ID}))
			}
		}
	}
	return nil
}

// sentStatuses are the statuses of transcripts that a run may have sent.
var sentStatuses = []checkpoint.Status{checkpoint.Sending, checkpoint.Imported, checkpoint.Complete, checkpoint.Partial,
	checkpoint.InDoubt, checkpoint.Failed}

// recordedOutcome returns the outcome that the checkpoint stores for the run. A run with Reconcile that did not read the whole source stays
// lost, so that another one like it must follow.
func (im *Importer) recordedOutcome(s Summary, cause error) string {
	var lost *LostCheckpointError
	if errors.As(cause, &lost) || im.s.Reconcile && (im.readsPart() || im.pipeline.unsearched.Load()) && im.pipeline.checkpointBehind.Load() {
		return string(OutcomeLost)
	}
	if im.pipeline.unsearched.Load() && (s.Outcome == OutcomeOK || s.Outcome == OutcomeIncomplete) {
		return string(OutcomeStopped) // the next run has to search, too
	}
	return string(s.Outcome)
}
