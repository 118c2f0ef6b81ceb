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

// OutcomeLost is recorded in the checkpoint of a run that was aborted by a LostCheckpointError, so that the next one does not
// import what this one did not get to look at.
const OutcomeLost Outcome = "lost"

const (
	maxFirstSearches   = 3   // transcripts of a first run that are looked for in Dixa
	maxFirstCandidates = 3   // conversations of each that are read
	runsLookedAt       = 100 // latest runs that are asked how they ended
)

// firstRun looks for the first transcripts of a source in Dixa, one at a time, before others of end-users that Dixa knew
// before this run are sent. The zero value does nothing.
type firstRun struct {
	lock chan struct{} // a lock, held while one looks; nil: it is no first run
	left int           // looks; guarded by looking

	mu       sync.Mutex
	existing map[string]bool // end-users that were there before; nil when all looks are made
}

// note takes down an end-user that this run did not create.
func (f *firstRun) noteExisting(endUserID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.existing != nil {
		f.existing[endUserID] = true
	}
}

// concerns reports whether a transcript of this end-user may be in Dixa already.
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

// expectFirst finds out whether this is the source's first run: none has come to its end yet. One that found the checkpoint
// lost forbids the next ones, until one with Reconcile has read the whole source.
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
			return &LostCheckpointError{Source: im.s.Source, Run: r.ID}
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

// looksFirst reports whether a transcript is looked for in Dixa before it is sent. A corrected one always is: after the checkpoint was lost,
// the file of corrected records may still exist, and the source knows nothing of them.
func (p *pipeline) mustSearch(t *task) bool {
	concerns := func(id string) bool { return p.first.mayHave(id) || p.unmarked.needsSearch(id) }
	return p.s.Reconcile || isCorrection(t) || concerns(t.row.EndUserID) || slices.ContainsFunc(t.user.Others, concerns)
}

func isCorrection(t *task) bool { return t.rec != nil && t.rec.Original.Key != "" }

// lookForLost looks whether a transcript of a first run is in Dixa, which ends the run.
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
		p.s.Abort(session.Fatal(err)) // before anybody else looks
		return stepEnd, session.Fatal(err)
	case session.Denied(err): // nor may the others
		p.first.left = 1
	}
	p.first.searched()
	return stepSend, nil
}

// findLost returns a *LostCheckpointError if the transcript's end-user has a conversation that is a transcript of this source, and
// not one that a run has on its way.
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

// everSent are the statuses of transcripts whose conversation a run may know, or be about to.
var sentStatuses = []checkpoint.Status{checkpoint.Sending, checkpoint.Imported, checkpoint.Complete, checkpoint.Partial,
	checkpoint.InDoubt, checkpoint.Failed}

// recordedOutcome is what the checkpoint says of a run that ended. One with Reconcile that did not read the whole source leaves the
// rest to another one like it.
func (im *Importer) recordedOutcome(s Summary, cause error) string {
	var lost *LostCheckpointError
	if errors.As(cause, &lost) || im.s.Reconcile && (im.readsPart() || im.pipeline.unsearched.Load()) && im.pipeline.checkpointBehind.Load() {
		return string(OutcomeLost)
	}
	if im.pipeline.unsearched.Load() && (s.Outcome == OutcomeOK || s.Outcome == OutcomeIncomplete) {
		return string(OutcomeStopped) // the next run has to look, too
	}
	return string(s.Outcome)
}
