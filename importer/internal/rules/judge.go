// Package rules decides from a record and its row in the checkpoint whether the record is imported, rejected, skipped or left alone, which
// key identifies it, and which record it corrects. A run, a plan and a comparison follow the same rules. The functions are pure: callers
// pass in the rows.
package rules

import (
	"errors"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// The error codes that this package sets; the codes of rejections are source.RejectCode.
const (
	CodeOpen      = "open"
	CodeAnonymous = "anonymous"
	CodeEmpty     = "empty"
	CodeDropped   = "dropped"
	CodeCorrected = "corrected" // the record was imported under another id
	// CodeSourceMissing is that of a transcript that could not be sent again, because the source no longer had it.
	CodeSourceMissing = "source_missing"
)

// Verdict is what to do with a record.
type Verdict int

// The verdicts.
const (
	ToImport     Verdict = iota // import it, or continue an import
	ToReject                    // bad: record that
	IsEmpty                     // an empty chat: record that
	StillOpen                   // the chat has not ended
	IsSkipped                   // skipped earlier, and unchanged
	IsDone                      // settled earlier, and unchanged
	IsChanged                   // imported earlier, and changed since
	LeftInDoubt                 // a person has to decide
	IsDuplicate                 // the same record again
	IDConflict                  // another closed record has the same id
	IsClaimed                   // another run, or this one, is working on it
	NotCorrected                // it was exported for correction, and cannot be imported yet
)

// Policy is the part of the configuration that decides about records, and the run that asks.
type Policy struct {
	RejectEmpty bool  // empty chats are rejected, not skipped
	FollowUp    bool  // new messages of a record that has grown are imported
	Excerpt     bool  // the reader holds only some of the source's records
	Run         int64 // 0: none
	// SkipsPerson reports whether a transcript is skipped because of its end-user. nil: none is.
	SkipsPerson func(*source.Transcript) bool
}

func (p Policy) skipsPerson(t *source.Transcript) bool {
	return p.SkipsPerson != nil && p.SkipsPerson(t)
}

// Judge decides about a record from its row and the row of the record that it replaces. It calls repeated for a closed record: seen says
// whether this run has already read one with this id, same whether the two are identical.
func (p Policy) Judge(rec *source.Record, rows map[string]checkpoint.Row, repeated func() (seen, same bool)) Verdict {
	row, known := rows[rec.Key()]
	settled, bad := known && p.Settled(rec, &row), false
	empty := settled && row.ErrorCode == CodeEmpty
	if !settled {
		transcript, err := rec.Transcript()
		var why *source.RejectError
		empty = errors.As(err, &why) && p.Empty(why)
		if bad = err != nil; !bad && transcript.ClosedAt.IsZero() {
			return StillOpen
		}
		if known && IsPart(row) && rec.Whole() == rec {
			return IDConflict
		}
		if rec.Original.Key != "" && rec.Original.Key != rec.ID {
			if v, ok := p.judgeCorrection(rec, row, rows[rec.Original.Key], bad); ok {
				return v
			}
		}
	}
	if rec.ID != "" && !empty && (!settled || row.ErrorCode != CodeOpen) { // several open or empty chats may have the same id
		if seen, same := repeated(); seen && (same || sameAsPart(rec, rows)) {
			return IsDuplicate
		} else if seen {
			return IDConflict
		}
	}
	switch v := p.judgeAlone(row, known, settled, bad); {
	case v != ToReject || !empty:
		return v
	case row.Status == checkpoint.Failed: // it has become empty since it failed: keep the reason of the failure
		return IsDone
	}
	return IsEmpty
}

// Empty reports whether a record that was rejected for this reason is an empty chat to skip.
func (p Policy) Empty(why *source.RejectError) bool {
	return why != nil && why.Code == source.RejectNoMessages && !p.RejectEmpty
}

// judgeAlone decides about a record without regard to other records.
func (p Policy) judgeAlone(row checkpoint.Row, known, settled, bad bool) Verdict {
	switch {
	case settled && row.Status == checkpoint.Skipped, undone(row):
		return IsSkipped
	case settled:
		return IsDone
	case known && (row.Held || row.ClaimedBy != 0 && row.ClaimedBy == p.Run):
		return IsClaimed
	case bad && row.Status.HasConversation() && row.Status != checkpoint.Imported: // a corrected version of it was imported
		return IsDone
	case row.Status == checkpoint.Complete, row.Status == checkpoint.Partial:
		return IsChanged
	case row.Status == checkpoint.InDoubt:
		return LeftInDoubt
	case bad:
		return ToReject
	}
	return ToImport
}

// Settled reports whether a record was settled earlier, has not changed, and would get the same verdict again: rejections, and most
// reasons to skip a record, also depend on the time, the configuration and the version of this program.
func (p Policy) Settled(rec *source.Record, row *checkpoint.Row) bool {
	if !SameHash(row.ContentHash, rec.Hash) {
		return false
	}
	switch row.Status {
	case checkpoint.Complete, checkpoint.Partial, checkpoint.InDoubt:
		return true
	case checkpoint.Failed:
		return row.ErrorCode != CodeSourceMissing // here it is
	case checkpoint.Rejected, checkpoint.Skipped:
		return p.sameVerdict(rec, row)
	}
	return false
}

// undone reports whether the import of a transcript was undone. It is imported again only if a person asks for that, even if it has changed.
func undone(row checkpoint.Row) bool {
	return row.Status == checkpoint.Skipped && row.ErrorCode == checkpoint.CodeUndone
}

// sameVerdict reports whether an unchanged record that was rejected or skipped would be again. The decision of a person stands.
func (p Policy) sameVerdict(rec *source.Record, row *checkpoint.Row) bool {
	if row.ErrorCode == CodeDropped || row.ErrorCode == CodeCorrected || undone(*row) {
		return true
	}
	transcript, err := rec.Transcript()
	var bad *source.RejectError
	if errors.As(err, &bad) {
		if p.Empty(bad) {
			return row.Status == checkpoint.Skipped && row.ErrorCode == CodeEmpty
		}
		return row.Status == checkpoint.Rejected && row.ErrorCode == string(bad.Code)
	}
	switch {
	case err != nil || row.Status == checkpoint.Rejected:
		return false
	case row.ErrorCode == CodeOpen:
		return transcript.ClosedAt.IsZero()
	case row.ErrorCode == CodeAnonymous:
		return p.skipsPerson(transcript)
	}
	return false
}

// JudgeRepeated decides about a second closed record of an id with different content, which is identified by its place: the first record
// counts. row is the row of its key.
func (p Policy) JudgeRepeated(rec *source.Record, row checkpoint.Row, known bool) Verdict {
	settled := known && p.Settled(rec, &row)
	switch {
	case settled && row.Status == checkpoint.Skipped:
		return IsSkipped
	case settled:
		return IsDone
	case known && rec.Original.Key != "":
		return NotCorrected
	case row.Held || known && row.ClaimedBy == p.Run:
		return IsClaimed
	}
	return ToReject
}

// WhyConflict returns why a record is rejected about which Judge says IDConflict. row is the row of its id.
func WhyConflict(rec *source.Record, row checkpoint.Row) *source.RejectError {
	if IsPart(row) {
		return errTakenByPart(rec.ID)
	}
	return ErrDuplicateID()
}

// ErrDuplicateID returns why the second closed record of an id is rejected.
func ErrDuplicateID() *source.RejectError {
	return &source.RejectError{Code: source.RejectDuplicateID,
		Reason: "an earlier record of this source has the same id and other content: give every transcript an id of its own, or remove one of the two"}
}
