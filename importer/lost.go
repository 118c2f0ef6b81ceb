package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"dixa-import/importer/checkpoint"
)

// LostCheckpointError says that the checkpoint does not know of an import of a source's first run, and Dixa does.
type LostCheckpointError struct {
	Source       string
	Transcript   string // one that is in Dixa, "" where only an earlier run has seen it
	Conversation int64  // in which it is
	Run          int64  // that has seen it, 0: this one
}

func (e *LostCheckpointError) Error() string {
	seen := fmt.Sprintf("conversation %d in Dixa is its transcript %s already", e.Conversation, e.Transcript)
	if e.Run != 0 {
		seen = fmt.Sprintf("run %d found some of its transcripts in Dixa", e.Run)
	}
	return fmt.Sprintf("no run of source %s has come to its end in this checkpoint, but %s: was the database lost, or is this another one, "+
		"such as a relative path in another working directory? Set `database` to the right one, or run with --reconcile, which looks in Dixa before every send", e.Source, seen)
}

// OutcomeLost is recorded in the checkpoint of a run that was aborted by a LostCheckpointError, so that the next one does not
// import what this one did not get to look at.
const OutcomeLost Outcome = "lost"

const (
	firstLooks      = 3   // transcripts of a first run that are looked for in Dixa
	firstCandidates = 3   // conversations of each that are read
	runsLookedAt    = 100 // latest runs that are asked how they ended
)

// firstRun looks for the first transcripts of a source in Dixa, one at a time, before others of end-users that Dixa knew
// before this run are sent. The zero value does nothing.
type firstRun struct {
	turn chan struct{} // whoever looks holds it; nil: it is no first run
	left int           // looks; whoever has the turn may change it

	mu    sync.Mutex
	known map[string]bool // end-users that were there before; nil when all looks are made
}

// note takes down an end-user that this run did not create.
func (f *firstRun) note(endUserID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known != nil {
		f.known[endUserID] = true
	}
}

// concerns says whether a transcript of this end-user may be in Dixa already.
func (f *firstRun) concerns(endUserID string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known[endUserID]
}

func (f *firstRun) looked() {
	if f.left--; f.left == 0 {
		f.mu.Lock()
		f.known = nil
		f.mu.Unlock()
	}
}

// expectFirst finds out whether this is the source's first run: none has come to its end yet. One that found the checkpoint
// lost forbids the next ones, until one with Reconcile has read the whole source.
func (im *Importer) expectFirst(ctx context.Context) error {
	if im.cfg.Retry != nil {
		return nil
	}
	runs, err := im.latestRuns(ctx)
	if err != nil {
		return err
	}
	for _, r := range runs {
		switch {
		case r.Outcome == string(OutcomeLost) && im.cfg.Reconcile:
			im.lostBefore.Store(true)
			return nil
		case r.Outcome == string(OutcomeLost):
			return &LostCheckpointError{Source: im.cfg.Source, Run: r.ID}
		case r.Command != "retry" && cameToItsEnd(r):
			return nil
		}
	}
	if im.cfg.Reconcile {
		return nil
	}
	im.first.turn, im.first.left, im.first.known = make(chan struct{}, 1), firstLooks, map[string]bool{}
	return nil
}

// looksFirst says whether a transcript is looked for in Dixa before it is sent. One that was mended is: whoever lost the checkpoint
// has a file of mended records left, and the source knows nothing of those.
func (im *Importer) looksFirst(t *task) bool {
	return im.cfg.Reconcile || isMendedRecord(t) || im.first.concerns(t.row.EndUserID)
}

func isMendedRecord(t *task) bool { return t.rec != nil && t.rec.Original != "" }

// lookForLost looks whether a transcript of a first run is in Dixa, which ends the run.
func (im *Importer) lookForLost(t *task) (step, error) {
	select {
	case im.first.turn <- struct{}{}:
	case <-im.fetching.Done():
		return stepEnd, errStopped
	}
	defer func() { <-im.first.turn }()
	if im.fetching.Err() != nil {
		return stepEnd, errStopped
	}
	if im.first.left == 0 {
		return stepSend, nil
	}
	err := im.findLost(im.fetching, t)
	var lost *LostCheckpointError
	switch {
	case im.fetching.Err() != nil:
		return stepEnd, errStopped
	case errors.As(err, &lost):
		im.abort(fatal(err)) // before anybody else has the turn
		return stepEnd, fatal(err)
	case hasStatus(err, http.StatusUnauthorized, http.StatusForbidden): // nor may the others
		im.first.left = 1
	}
	im.first.looked()
	return stepSend, nil
}

// findLost returns a *LostCheckpointError if the transcript's end-user has a conversation that is a transcript of this source, and
// not one that a run has on its way.
func (im *Importer) findLost(ctx context.Context, t *task) error {
	listed, err := im.candidates(ctx, t)
	if err != nil {
		return err
	}
	prefix := im.externalID("")
	for _, c := range listed[:min(len(listed), firstCandidates)] {
		names, err := im.namesOf(ctx, c)
		if err != nil {
			return err
		}
		for _, name := range names {
			id, ours := strings.CutPrefix(name, prefix)
			if !ours {
				continue
			}
			rows, err := im.lookup(ctx, id)
			if row := rows[id]; err != nil || !slices.Contains(everSent, row.Status) {
				return cmp.Or(err, error(&LostCheckpointError{Source: im.cfg.Source, Transcript: id, Conversation: c.ID}))
			}
		}
	}
	return nil
}

// everSent are the statuses of transcripts whose conversation a run may know, or be about to.
var everSent = []checkpoint.Status{checkpoint.Sending, checkpoint.Imported, checkpoint.Complete, checkpoint.Partial,
	checkpoint.InDoubt, checkpoint.Failed}

// recordedOutcome is what the checkpoint says of a run that ended. One with Reconcile that did not read the whole source leaves the
// rest to another one like it.
func (im *Importer) recordedOutcome(s Summary, cause error) string {
	var lost *LostCheckpointError
	inPart := im.cfg.Limit > 0 || im.cfg.Excerpt || !im.cfg.Since.IsZero()
	if errors.As(cause, &lost) || im.cfg.Reconcile && inPart && im.lostBefore.Load() {
		return string(OutcomeLost)
	}
	return string(s.Outcome)
}
