package checkpoint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// codeConversationTaken is the error code of a transcript whose conversation already belongs to another transcript.
const codeConversationTaken = "conversation_taken"

// sendMark says what a write does to send_before.
type sendMark int

const (
	keepSend  sendMark = iota
	setSend            // to the database's clock plus SendIn
	clearSend          // to null: there is no request
)

// record is a row of transcripts that was read under a lock, and the changes to it. Both stores read records, change them with the methods
// here, and write the dirty ones.
type record struct {
	Row
	file    string
	partial []PartialError

	fresh        bool // it is not in the database yet
	dirty        bool
	partialDirty bool // replace the partial errors with partial
	found        bool // set imported_at, and imported_by to foundBy
	foundBy      int64
	send         sendMark
}

// newRecord returns the record that a first claim creates.
func newRecord(run int64, req ClaimRequest) *record {
	return &record{
		Row: Row{ID: req.ID, Status: Pending, ContentHash: req.ContentHash, ClosedAt: req.ClosedAt, Sent: req.Sent, CameFrom: req.CameFrom, RunID: run,
			Claim: 1, ClaimedBy: run},
		file: req.File, fresh: true, dirty: true,
	}
}

// known returns the row without the times that the database sets.
func (r *record) known() Row {
	row := r.Row
	row.ImportedAt, row.CreatedAt, row.UpdatedAt = time.Time{}, time.Time{}, time.Time{}
	return row
}

// claim claims an existing record and reports whether the run has it. alive is the set of runs that are alive.
func (r *record) claim(run int64, req ClaimRequest, alive map[int64]bool) bool {
	if r.ClaimedBy == run && r.Claim == max(req.Seen, 0)+1 {
		return true // a repetition of a claim whose answer was lost
	}
	to, ok := claimedAs(r.Status, req.As)
	if r.Claim != req.Seen || !r.UpdatedAt.Equal(req.SeenAt) || !ok {
		return false
	}
	if r.ClaimedBy != 0 && r.ClaimedBy != run && alive[r.ClaimedBy] {
		return false
	}
	r.dirty = true
	r.Claim++
	r.ClaimedBy, r.RunID = run, run
	r.CameFrom = cmp.Or(req.CameFrom, r.CameFrom)
	r.Status = to
	if to != Pending {
		return true // keep the data of the request or the conversation
	}
	r.ErrorCode, r.Error, r.Reason = "", "", ""
	r.ContentHash, r.ClosedAt, r.Sent, r.SetValues, r.file = req.ContentHash, req.ClosedAt, req.Sent, "", req.File
	r.clearSend()
	r.partial, r.partialDirty = nil, true
	return true
}

// clearSend clears send_before.
func (r *record) clearSend() { r.send, r.SendIn = clearSend, 0 }

// apply applies a change that checkChanges has accepted.
func (r *record) apply(run int64, c Change, holders map[int64]string) Result {
	if c.Event == Found {
		return r.applyFound(run, c, holders)
	}
	t, _ := transitionOf(c.Event)
	if r.Claim != c.Claim {
		return Result{}
	}
	to := t.To
	if to == "" {
		to = r.Status
	}
	if t.Ends && r.ClaimedBy == 0 {
		return Result{Applied: r.ended(t, c)}
	}
	// An event that does not end the claim may be repeated: a repeated Send must set send_before again.
	if r.ClaimedBy != run || !slices.Contains(t.From, r.Status) && (t.Ends || r.Status != to) {
		return Result{}
	}
	if c.Event == Send && r.Status == Sending && r.Attempts != c.Attempts {
		return Result{} // a new attempt without evidence about the one before
	}
	r.dirty = true
	r.Status, r.RunID = to, run
	r.EndUserID, r.Attempts = c.EndUserID, c.Attempts
	r.ErrorCode, r.Error, r.Reason = c.ErrorCode, c.Error, c.Reason
	r.ContentHash, r.ClosedAt = c.ContentHash, c.ClosedAt
	r.replacePartial(c.PartialErrors)
	if r.Status == Complete && len(r.partial) > 0 {
		r.Status = Partial
	}
	if t.Ends {
		r.ClaimedBy, r.SetValues = 0, c.SetValues
	}
	switch {
	case c.Event == Send || c.Event == SendAgain:
		r.send, r.SendIn, r.Sent = setSend, c.SendFor, c.Sent
	case r.Status != Sending:
		r.clearSend()
	}
	return Result{Applied: true}
}

// ended reports whether the record is in the state in which this change, which ends the claim, leaves it.
func (r *record) ended(t Transition, c Change) bool {
	status := r.Status == t.To || t.To == Complete && r.Status == Partial
	if t.To == "" {
		status = slices.Contains(t.From, r.Status)
	}
	return status && r.EndUserID == c.EndUserID && r.Attempts == c.Attempts && r.ErrorCode == c.ErrorCode && r.Error == c.Error
}

// applyFound records a conversation. holders maps the conversations of this write to the transcripts of the source that have them.
func (r *record) applyFound(run int64, c Change, holders map[int64]string) Result {
	if r.ConversationID == c.ConversationID {
		return Result{Applied: true}
	}
	if r.ConversationID != 0 {
		r.addDuplicate(c.ConversationID)
		return Result{Applied: true, Other: r.ConversationID}
	}
	r.dirty = true
	if c.EndUserID != "" {
		r.EndUserID = c.EndUserID
	}
	r.Attempts = max(r.Attempts, c.Attempts)
	r.clearSend()
	if holder, ok := holders[c.ConversationID]; ok && holder != r.ID {
		// The conversation cannot be recorded twice, and sending the transcript again might import it twice: a person must decide.
		r.Status, r.ClaimedBy = InDoubt, 0
		r.ErrorCode, r.Reason = codeConversationTaken, ""
		r.Error = fmt.Sprintf("conversation %d already belongs to transcript %q", c.ConversationID, holder)
		return Result{Holder: holder}
	}
	holders[c.ConversationID] = r.ID
	r.Status, r.ConversationID, r.found, r.foundBy = Imported, c.ConversationID, true, run
	r.ErrorCode, r.Error, r.Reason = c.ErrorCode, c.Error, c.Reason
	if c.ContentHash != "" {
		r.ContentHash = c.ContentHash
	}
	if !c.ClosedAt.IsZero() {
		r.ClosedAt = c.ClosedAt
	}
	r.replacePartial(c.PartialErrors)
	return Result{Applied: true}
}

// addDuplicate records, once, that there is another conversation. A complete transcript becomes partial.
func (r *record) addDuplicate(other int64) {
	p := PartialError{
		Kind:    KindDuplicate,
		Message: fmt.Sprintf("Dixa has two conversations of this transcript: %d and %d", r.ConversationID, other),
	}
	if !slices.Contains(r.partial, p) {
		r.partial = append(r.partial, p)
		r.dirty, r.partialDirty = true, true
	}
	if r.Status == Complete {
		r.Status, r.dirty = Partial, true
	}
}

// replacePartial replaces the partial errors, unless with is nil. Duplicates stay, because another process may have recorded them.
func (r *record) replacePartial(with []PartialError) {
	if with == nil {
		return
	}
	list := slices.Clone(with)
	for _, p := range r.partial {
		if p.Kind == KindDuplicate && !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	if !slices.Equal(list, r.partial) {
		r.partial, r.partialDirty = list, true
	}
}

// needsPartial reports whether any of the changes reads or changes the recorded partial errors.
func needsPartial(changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool {
		return c.PartialErrors != nil || c.Event == Found || c.Event == Finish
	})
}

// foundConversations returns the conversations that the changes record.
func foundConversations(changes []Change) []int64 {
	var ids []int64
	for _, c := range changes {
		if c.Event == Found {
			ids = append(ids, c.ConversationID)
		}
	}
	return ids
}

// applyAll applies changes to the records in order and returns the results and the records to write, in the order of their ids.
func applyAll(records map[string]*record, run int64, changes []Change, holders map[int64]string) ([]Result, []*record) {
	results := make([]Result, len(changes))
	for i, c := range changes {
		if r := records[c.ID]; r != nil {
			results[i] = r.apply(run, c, holders)
			results[i].Row = r.known()
		}
	}
	return results, dirtyRecords(records)
}

// claimAll claims records, adding missing ones. It returns the row of each claim that succeeded, the zero Row for the others, and the
// records to write.
func claimAll(records map[string]*record, run int64, requests []ClaimRequest, alive map[int64]bool) ([]Row, []*record) {
	rows := make([]Row, len(requests))
	for i, req := range requests {
		r := records[req.ID]
		if r == nil && req.Seen < 0 && (req.As == "" || req.As == Pending) {
			r = newRecord(run, req)
			records[req.ID] = r
		}
		if r != nil && (r.fresh || r.claim(run, req, alive)) {
			rows[i] = r.known()
		}
	}
	return rows, dirtyRecords(records)
}

func dirtyRecords(records map[string]*record) []*record {
	var dirty []*record
	for _, r := range records {
		if r.dirty {
			dirty = append(dirty, r)
		}
	}
	slices.SortFunc(dirty, func(a, b *record) int { return strings.Compare(a.ID, b.ID) })
	return dirty
}
