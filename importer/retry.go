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

// statusesOf returns the statuses that a Selection is about.
func selectedStatuses(s Selection) []checkpoint.Status {
	switch {
	case len(s.Statuses) > 0:
		return s.Statuses
	case s.Decision == Drop && len(s.IDs)+len(s.Codes) > 0:
		return session.Droppable
	case s.Decision != Undecided:
		return []checkpoint.Status{checkpoint.InDoubt}
	case len(s.IDs) > 0:
		return []checkpoint.Status{checkpoint.Failed, checkpoint.Rejected, checkpoint.Imported, checkpoint.Partial, checkpoint.Pending, checkpoint.Sending, checkpoint.InDoubt}
	}
	return []checkpoint.Status{checkpoint.Failed, checkpoint.Imported, checkpoint.Partial, checkpoint.Pending}
}

// byDefault reports whether nothing is chosen and nothing decided.
func isDefault(s Selection) bool {
	return len(s.Statuses)+len(s.Codes)+len(s.IDs) == 0 && s.Decision == Undecided
}

// selected returns the statuses that a retry works on. Rejected records of files need no retry: every run judges them again.
func (im *Importer) retryStatuses(s Selection) []checkpoint.Status {
	if isDefault(s) && im.s.Reader.Ordered() {
		return append(selectedStatuses(s), checkpoint.Rejected)
	}
	return selectedStatuses(s)
}

// partialKinds are the partial errors that a retry may correct; where partial transcripts are selected by name, all.
func partialKinds(s Selection) []checkpoint.PartialErrorKind {
	if len(s.Statuses) > 0 || len(s.IDs) > 0 {
		return nil
	}
	return []checkpoint.PartialErrorKind{checkpoint.KindAttribute}
}

// wants reports whether a transcript that fits the statuses, codes and ids is really to be worked on.
func needsRetry(s Selection, row checkpoint.Row) bool {
	named := len(s.Statuses) > 0 || len(s.IDs) > 0 || len(s.Codes) > 0
	return row.Status != checkpoint.Pending || named || row.ErrorCode != ""
}

// retry works on what a person has selected, page by page, in the order of the ids.
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

// expect finds out how much there is to do at most.
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

// retryRows starts the work on rows. What needs a record that the source does not hold any more stays as it is.
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
			if !im.s.Excerpt { // those of an excerpt are counted when all of it is read
				im.tally.read.Add(1)
				im.countUncorrected(rec)
			}
			return checkpoint.ClaimRequest{}, false
		}
		problem := "the source does not hold the transcript any more"
		if rec != nil && rec.Key() != row.ID { // it is known by its place
			if rules.SameHash(row.ContentHash, rec.Hash) {
				rec.Reject(rules.ErrDuplicateID())
			} else {
				rec, problem = nil, "another record is at this place by now: `dixa-import run` takes it"
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

// leaveAsItIs counts a transcript about which a retry can do nothing.
func (im *Importer) countUntouched(row checkpoint.Row) {
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

// retryClaim returns how to claim a row, and whether that makes sense.
func (im *Importer) retryClaim(row checkpoint.Row, rec *source.Record) (checkpoint.ClaimRequest, bool) {
	request := checkpoint.ClaimRequest{ID: row.ID, Seen: row.Claim, SeenAt: row.UpdatedAt, ContentHash: row.ContentHash, ClosedAt: row.ClosedAt}
	if rec != nil {
		request.ContentHash, request.ClosedAt = rec.Hash.String(), rec.ClosedAt
		if rec.ID == "" {
			request.File = rec.Place.Path
		}
	}
	switch decision := im.s.Retry.Decision; row.Status {
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
func (p *pipeline) applyRetry(t *task, row checkpoint.Row) error {
	if p.s.Retry == nil {
		return nil
	}
	switch row.Status {
	case checkpoint.Failed, checkpoint.Rejected, checkpoint.Pending:
		t.row.Attempts = 0 // a person asks for a new beginning, or for an end
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

// repair has only the attributes set that are missing, and keeps what else is known to be wrong.
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
	if t.repairAttributes[""] { // not said which
		t.repairAttributes = nil
	}
}

// decided does what a person has decided about a transcript in doubt.
func (p *pipeline) applyDecision(t *task) (step, error) {
	switch t.decision {
	case Drop:
		return p.settle(t, checkpoint.Skip, rules.CodeDropped, "")
	case Adopt:
		return p.recordFound(t, p.s.Retry.Conversation, nil)
	}
	return stepResolve, nil
}

// checkDecision makes sure that the conversation that a person names is there.
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
