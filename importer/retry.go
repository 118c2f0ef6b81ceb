package importer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// Decision is what a person has found out about transcripts in doubt.
type Decision string

// The decisions about transcripts in doubt.
const (
	Undecided Decision = ""       // look in Dixa once more
	Resend    Decision = "resend" // it is not there: send it
	Drop      Decision = "drop"   // it is not to be there: skip it
	Adopt     Decision = "adopt"  // it is Selection.Conversation
)

// Selection says which transcripts a retry works on: those that fit all of Statuses, Codes and IDs that are not empty.
type Selection struct {
	// Statuses default to what a run leaves behind and a repetition may mend: failed, imported, partial ones whose attributes
	// are missing, pending ones with an error; in-doubt ones only where they are named or decided about.
	Statuses     []checkpoint.Status
	Codes        []string // error codes
	IDs          []string
	Decision     Decision // about those that are in doubt; Drop also about failed and rejected ones that are chosen
	Conversation int64    // for Adopt, which takes exactly one id
}

func (s Selection) validate() error {
	if s.Decision == Adopt && (len(s.IDs) != 1 || s.Conversation <= 0) {
		return errors.New("a conversation can be adopted for exactly one transcript: name one id and the conversation's number")
	}
	if s.Decision == Drop && slices.ContainsFunc(s.Statuses, func(status checkpoint.Status) bool { return !slices.Contains(droppable, status) }) {
		return errors.New("only transcripts that are in_doubt, failed or rejected can be dropped")
	}
	for _, status := range s.Statuses {
		if status == checkpoint.Complete || status == checkpoint.Skipped || !slices.Contains(checkpoint.Statuses, status) {
			return fmt.Errorf("transcripts that are %q cannot be retried", status)
		}
	}
	return nil
}

// droppable are the statuses of what a person may decide not to import.
var droppable = []checkpoint.Status{checkpoint.InDoubt, checkpoint.Failed, checkpoint.Rejected}

func (s Selection) statuses() []checkpoint.Status {
	switch {
	case len(s.Statuses) > 0:
		return s.Statuses
	case s.Decision == Drop && len(s.IDs)+len(s.Codes) > 0:
		return droppable
	case s.Decision != Undecided:
		return []checkpoint.Status{checkpoint.InDoubt}
	case len(s.IDs) > 0:
		return []checkpoint.Status{checkpoint.Failed, checkpoint.Rejected, checkpoint.Imported, checkpoint.Partial, checkpoint.Pending, checkpoint.Sending, checkpoint.InDoubt}
	}
	return []checkpoint.Status{checkpoint.Failed, checkpoint.Imported, checkpoint.Partial, checkpoint.Pending}
}

// partialKinds are the partial errors that a retry may mend; where partial transcripts are asked for by name, any.
func (s Selection) partialKinds() []checkpoint.PartialErrorKind {
	if len(s.Statuses) > 0 || len(s.IDs) > 0 {
		return nil
	}
	return []checkpoint.PartialErrorKind{checkpoint.KindAttribute}
}

// wants says whether a transcript that fits the statuses, codes and ids is really to be worked on.
func (s Selection) wants(row checkpoint.Row) bool {
	named := len(s.Statuses) > 0 || len(s.IDs) > 0 || len(s.Codes) > 0
	return row.Status != checkpoint.Pending || named || row.ErrorCode != ""
}

// retry works on what a person has selected, page by page, in the order of the ids.
func (im *Importer) retry(ctx context.Context) error {
	sel := *im.cfg.Retry
	if err := im.expect(sel); err != nil {
		return ignoreLimit(im.stoppedOr(err))
	}
	for after := ""; im.fetching.Err() == nil; {
		var rows []checkpoint.Row
		err := im.patiently(im.fetching, "read the checkpoint", func(ctx context.Context) (err error) {
			rows, err = im.cfg.Store.Select(ctx, im.cfg.Source, im.id, checkpoint.Filter{
				Statuses: sel.statuses(), Codes: sel.Codes, IDs: sel.IDs, After: after, Limit: fetchPage,
				WithPartial: sel.partialKinds()})
			return err
		})
		if err != nil {
			return ignoreLimit(im.stoppedOr(err))
		}
		if len(rows) == 0 {
			return im.rejectUnmended(sel)
		}
		after = rows[len(rows)-1].ID
		rows = slices.DeleteFunc(rows, func(row checkpoint.Row) bool { return row.RunID == im.id || !sel.wants(row) })
		if err := im.retryRows(ctx, rows); err != nil {
			return ignoreLimit(err)
		}
	}
	return nil
}

// expect finds out how much there is to do at most.
func (im *Importer) expect(sel Selection) error {
	if len(sel.IDs) > 0 {
		im.expected.Store(int64(len(sel.IDs)))
		return nil
	}
	return im.patiently(im.fetching, "read the checkpoint", func(ctx context.Context) error {
		totals, err := im.cfg.Store.Totals(ctx, im.cfg.Source, 0)
		var n int64
		for _, t := range totals {
			fits := slices.Contains(sel.statuses(), t.Status) && (len(sel.Codes) == 0 || slices.Contains(sel.Codes, t.ErrorCode))
			if fits && sel.wants(checkpoint.Row{Status: t.Status, ErrorCode: t.ErrorCode}) {
				n += t.Count
			}
		}
		im.expected.Store(n)
		return err
	})
}

// retryRows starts the work on rows. What needs a record that the source does not hold any more stays as it is.
func (im *Importer) retryRows(ctx context.Context, rows []checkpoint.Row) error {
	err := im.again(ctx, rows, func(row checkpoint.Row, rec *source.Record) (checkpoint.ClaimRequest, bool) {
		if rec == nil && im.cfg.Excerpt {
			return checkpoint.ClaimRequest{}, false
		}
		if rec != nil && im.leavesBad(row, rec) {
			if !im.cfg.Excerpt { // those of an excerpt are counted when all of it is read
				im.tally.read.Add(1)
				im.countUnmended(rec)
			}
			return checkpoint.ClaimRequest{}, false
		}
		problem := "the source does not hold the transcript any more"
		if rec != nil && rec.Key() != row.ID { // it is known by its place
			if sameHash(row.ContentHash, rec.Hash) {
				rec.Reject(errDuplicateID())
			} else {
				rec, problem = nil, "another record is at this place by now: `dixa-import run` takes it"
			}
		}
		request, ok := im.retryClaim(row, rec)
		if !ok {
			im.few(logCause{event: "left: " + problem})(problem, "transcript", row.ID)
			im.leaveAsItIs(row)
		}
		return request, ok
	})
	if errors.Is(err, source.ErrCannotReread) {
		return errors.New("standard input cannot be read again by id: retry with the files themselves")
	}
	return err
}

// leaveAsItIs counts a transcript about which a retry can do nothing.
func (im *Importer) leaveAsItIs(row checkpoint.Row) {
	count := &im.tally.pending
	switch row.Status {
	case checkpoint.Failed:
		count = &im.tally.failed
	case checkpoint.Rejected:
		count = &im.tally.rejected
	case checkpoint.InDoubt:
		count = &im.tally.inDoubt
	}
	im.tally.read.Add(1)
	count.Add(1)
	im.tally.cause(codeSourceMissing)
}

// retryClaim says how a row is to be claimed, and whether that makes sense.
func (im *Importer) retryClaim(row checkpoint.Row, rec *source.Record) (checkpoint.ClaimRequest, bool) {
	request := checkpoint.ClaimRequest{ID: row.ID, Seen: row.Claim, SeenAt: row.UpdatedAt, ContentHash: row.ContentHash, ClosedAt: row.ClosedAt}
	if rec != nil {
		request.ContentHash, request.ClosedAt = rec.Hash.String(), rec.ClosedAt
		if rec.ID == "" {
			request.File = rec.Place.Path
		}
	}
	switch decision := im.cfg.Retry.Decision; row.Status {
	case checkpoint.Failed, checkpoint.Rejected:
		if decision == Drop { // as it was: with another content a person may think otherwise
			request.ContentHash, request.ClosedAt = row.ContentHash, row.ClosedAt
			return request, true
		}
	case checkpoint.Partial:
		request.As = checkpoint.Imported
	case checkpoint.InDoubt:
		if decision == Undecided {
			request.As = checkpoint.Sending
		}
		return request, rec != nil || decision != Resend
	case checkpoint.Sending, checkpoint.Imported:
		return request, true
	}
	return request, rec != nil
}

// arrange prepares a task for what a retry is to do with a transcript that was in the state row before its claim.
func (im *Importer) arrange(t *task, row checkpoint.Row) error {
	if im.cfg.Retry == nil {
		return nil
	}
	switch row.Status {
	case checkpoint.Failed, checkpoint.Rejected, checkpoint.Pending:
		t.row.Attempts = 0 // a person asks for a new beginning, or for an end
		t.decision = im.cfg.Retry.Decision
	case checkpoint.InDoubt:
		t.row.Attempts = 0
		t.decision = im.cfg.Retry.Decision
	case checkpoint.Partial:
		var known []checkpoint.PartialError
		err := im.patiently(im.fetching, "read the checkpoint", func(ctx context.Context) (err error) {
			known, err = im.cfg.Store.PartialErrors(ctx, im.cfg.Source, row.ID)
			return err
		})
		if err != nil {
			return im.stoppedOr(err)
		}
		t.repair(known)
	}
	return nil
}

// repair has only the attributes set that are missing, and keeps what else is known to be wrong.
func (t *task) repair(known []checkpoint.PartialError) {
	t.missing = map[string]bool{}
	t.partial = []checkpoint.PartialError{}
	for _, p := range known {
		if p.Kind != checkpoint.KindAttribute {
			t.partial = append(t.partial, p)
			continue
		}
		t.missing[p.Attribute] = true
	}
	if t.missing[""] { // not said which
		t.missing = nil
	}
}

// decided does what a person has decided about a transcript in doubt.
func (im *Importer) decided(t *task) (step, error) {
	switch t.decision {
	case Drop:
		return im.settle(t, checkpoint.Skip, codeDropped, "")
	case Adopt:
		return im.recordFound(t, im.cfg.Retry.Conversation, nil)
	}
	return stepResolve, nil
}

// checkDecision makes sure that the conversation that a person names is there.
func (im *Importer) checkDecision(ctx context.Context) error {
	if im.cfg.Retry == nil || im.cfg.Retry.Decision != Adopt {
		return nil
	}
	_, err := im.cfg.API.GetConversation(ctx, im.cfg.Retry.Conversation)
	if hasStatus(err, http.StatusNotFound) {
		return fmt.Errorf("Dixa has no conversation %d: correct the number, or --resend the transcript", im.cfg.Retry.Conversation)
	}
	if err != nil && !refusedOptional(err) {
		return err
	}
	return nil
}
