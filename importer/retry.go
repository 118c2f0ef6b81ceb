package importer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// selectedStatuses returns the statuses that a Selection includes.
func selectedStatuses(s Selection) []checkpoint.Status {
	switch {
	case len(s.Statuses) > 0:
		return s.Statuses
	case s.Decision == Drop && len(s.IDs)+len(s.Codes) > 0:
		return session.Droppable
	case s.Decision != Undecided:
		return []checkpoint.Status{checkpoint.InDoubt}
	case len(s.IDs) > 0:
		return []checkpoint.Status{checkpoint.Failed, checkpoint.Rejected, checkpoint.Imported, checkpoint.Partial, checkpoint.Pending, checkpoint.Sending, checkpoint.InDoubt,
			checkpoint.Skipped}
	case slices.Contains(s.Codes, checkpoint.CodeUndone):
		return []checkpoint.Status{checkpoint.Failed, checkpoint.Imported, checkpoint.Partial, checkpoint.Pending, checkpoint.Skipped}
	}
	return []checkpoint.Status{checkpoint.Failed, checkpoint.Imported, checkpoint.Partial, checkpoint.Pending}
}

// isDefault reports whether the selection names no statuses, codes or ids and makes no decision.
func isDefault(s Selection) bool {
	return len(s.Statuses)+len(s.Codes)+len(s.IDs) == 0 && s.Decision == Undecided
}

// retryStatuses returns the statuses that a retry works on. By default it omits rejected records of files, because every run checks them
// again.
func (im *Importer) retryStatuses(s Selection) []checkpoint.Status {
	if isDefault(s) && im.s.Reader.Ordered() {
		return append(selectedStatuses(s), checkpoint.Rejected)
	}
	return selectedStatuses(s)
}

// partialKinds returns the kinds of partial errors that a retry may fix; nil means all, for partial transcripts that are selected by status
// or id.
func partialKinds(s Selection) []checkpoint.PartialErrorKind {
	if len(s.Statuses) > 0 || len(s.IDs) > 0 {
		return nil
	}
	return []checkpoint.PartialErrorKind{checkpoint.KindAttribute}
}

// needsRetry reports whether a retry works on a transcript that matches the statuses, codes and ids.
func needsRetry(s Selection, row checkpoint.Row) bool {
	named := len(s.Statuses) > 0 || len(s.IDs) > 0 || len(s.Codes) > 0
	if row.Status == checkpoint.Skipped {
		return row.ErrorCode == checkpoint.CodeUndone
	}
	return row.Status != checkpoint.Pending || named || row.ErrorCode != ""
}

// retry works on the selected transcripts, page by page, in the order of their ids.
func (im *Importer) retry(ctx context.Context) error {
	sel := *im.s.Retry
	if err := im.countExpected(sel); err != nil {
		return ignoreLimit(im.s.StoppedOr(err))
	}
	for after := ""; im.s.Starting.Err() == nil; {
		var rows []checkpoint.Row
		err := im.s.Patiently(im.s.Starting, "read the checkpoint", func(ctx context.Context) (err error) {
			rows, err = im.s.Store.Select(ctx, im.s.Source, im.s.RunID, checkpoint.Filter{
				Statuses: im.retryStatuses(sel), Codes: sel.Codes, IDs: sel.IDs, After: after, Limit: fetchPage,
				WithPartial: partialKinds(sel)})
			return err
		})
		if err != nil {
			return ignoreLimit(im.s.StoppedOr(err))
		}
		if len(rows) == 0 {
			return im.countUncorrectedRecords(sel)
		}
		after = rows[len(rows)-1].ID
		rows = slices.DeleteFunc(rows, func(row checkpoint.Row) bool { return row.RunID == im.s.RunID || !needsRetry(sel, row) })
		if err := im.retryRows(ctx, rows); err != nil {
			return ignoreLimit(err)
		}
	}
	return nil
}

// countExpected counts the transcripts that the retry may work on, at most.
func (im *Importer) countExpected(sel Selection) error {
	if len(sel.IDs) > 0 {
		im.expected.Store(int64(len(sel.IDs)))
		return nil
	}
	return im.s.Patiently(im.s.Starting, "read the checkpoint", func(ctx context.Context) error {
		totals, err := im.s.Store.Totals(ctx, im.s.Source, 0)
		var n int64
		for _, t := range totals {
			fits := slices.Contains(im.retryStatuses(sel), t.Status) && (len(sel.Codes) == 0 || slices.Contains(sel.Codes, t.ErrorCode))
			if fits && needsRetry(sel, checkpoint.Row{Status: t.Status, ErrorCode: t.ErrorCode}) {
				n += t.Count
			}
		}
		im.expected.Store(n)
		return err
	})
}

// retryRows starts the work on rows. Rows that need a record which the source no longer has stay unchanged.
func (im *Importer) retryRows(ctx context.Context, rows []checkpoint.Row) error {
	err := im.fetchAndClaim(ctx, rows, func(row checkpoint.Row, rec *source.Record) (checkpoint.ClaimRequest, bool) {
		if rec == nil && im.s.Excerpt {
			return checkpoint.ClaimRequest{}, false
		}
		if row.Status == checkpoint.Rejected && isDefault(*im.s.Retry) && (rec == nil || im.pipeline.policy().Settled(rec, &row)) {
			im.tally.read.Add(1)
			im.tally.alreadyDone.Add(1)
			return checkpoint.ClaimRequest{}, false
		}
		if rec != nil && im.staysUncorrected(row, rec) {
			if !im.s.Excerpt { // those of an excerpt are counted once all of it is read
				im.tally.read.Add(1)
				im.countUncorrected(rec)
			}
			return checkpoint.ClaimRequest{}, false
		}
		problem := "the source no longer has the transcript"
		if rec != nil && rec.Key() != row.ID { // the row is identified by its place
			if rules.SameHash(row.ContentHash, rec.Hash) {
				rec.Reject(rules.ErrDuplicateID())
			} else {
				rec, problem = nil, "this place now has another record, which `dixa-import run` imports"
			}
		}
		request, ok := im.retryClaim(row, rec)
		if !ok {
			im.tally.warnSampled(logCause{event: "left: " + problem})(problem, "transcript", row.ID)
			im.countUntouched(row)
		}
		return request, ok
	})
	if errors.Is(err, source.ErrCannotReread) {
		return errors.New("standard input cannot be read again by id: retry with the files themselves")
	}
	return err
}

// countUntouched counts a transcript that the retry cannot work on.
func (im *Importer) countUntouched(row checkpoint.Row) {
	if row.Status == checkpoint.Skipped {
		im.tally.read.Add(1)
		im.tally.addSkip(row.ErrorCode)
		return
	}
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
	im.tally.addCause(codeSourceMissing)
}

// retryClaim returns the request to claim a row, and whether the retry can work on it.
func (im *Importer) retryClaim(row checkpoint.Row, rec *source.Record) (checkpoint.ClaimRequest, bool) {
	request := checkpoint.ClaimRequest{ID: row.ID, Seen: row.Claim, SeenAt: row.UpdatedAt, ContentHash: row.ContentHash, ClosedAt: row.ClosedAt, Sent: row.Sent}
	if rec != nil {
		request.ContentHash, request.ClosedAt, request.CameFrom = rec.Hash.String(), rec.ClosedAt, im.pipeline.cameFrom(rec)
		if rec.ID == "" {
			request.File = rec.Place.Path
		}
	}
	switch decision := im.s.Retry.Decision; row.Status {
	case checkpoint.Failed, checkpoint.Rejected:
		if decision == Drop { // keep the old content: a person may decide otherwise about a new version
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

// applyRetry prepares a task for the retry; row is the state before the claim.
func (p *pipeline) applyRetry(t *task, row checkpoint.Row) error {
	if p.s.Retry == nil {
		return nil
	}
	switch row.Status {
	case checkpoint.Failed, checkpoint.Rejected, checkpoint.Pending, checkpoint.Skipped:
		t.row.Attempts = 0 // a person asks for a fresh start, or to drop it
		t.decision = p.s.Retry.Decision
	case checkpoint.InDoubt:
		t.row.Attempts = 0
		t.decision = p.s.Retry.Decision
	case checkpoint.Partial:
		var known []checkpoint.PartialError
		err := p.s.Patiently(p.s.Starting, "read the checkpoint", func(ctx context.Context) (err error) {
			known, err = p.s.Store.PartialErrors(ctx, p.s.Source, row.ID)
			return err
		})
		if err != nil {
			return p.s.StoppedOr(err)
		}
		t.repair(known)
	}
	return nil
}

// repair limits the task to the missing attributes, and keeps the other problems.
func (t *task) repair(known []checkpoint.PartialError) {
	t.repairAttributes = map[string]bool{}
	t.partial = []checkpoint.PartialError{}
	for _, p := range known {
		if p.Kind != checkpoint.KindAttribute {
			t.partial = append(t.partial, p)
			continue
		}
		t.repairAttributes[p.Attribute] = true
	}
	if t.repairAttributes[""] { // it is not known which
		t.repairAttributes = nil
	}
}

// applyDecision does what a person decided about the transcript.
func (p *pipeline) applyDecision(t *task) (step, error) {
	switch t.decision {
	case Drop:
		return p.settle(t, checkpoint.Skip, rules.CodeDropped, "")
	case Adopt:
		return p.recordFound(t, p.s.Retry.Conversation, nil)
	}
	return stepResolve, nil
}

// checkDecision returns an error if the conversation that a person named does not exist.
func (im *Importer) checkDecision(ctx context.Context) error {
	if im.s.Retry == nil || im.s.Retry.Decision != Adopt {
		return nil
	}
	_, err := im.s.API.GetConversation(ctx, im.s.Retry.Conversation)
	if session.HasStatus(err, http.StatusNotFound) {
		return fmt.Errorf("Dixa has no conversation %d: correct the number, or --resend the transcript", im.s.Retry.Conversation)
	}
	if err != nil && !session.RefusedOptional(err) {
		return err
	}
	return nil
}
