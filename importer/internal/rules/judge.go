// Package rules says what a record and its row in the checkpoint mean together: whether the record is imported, rejected, skipped or
// left alone, by which key it is known, and what it corrects. A run, a plan and a comparison go by the same rules. All of it is
// pure: what the checkpoint knows is handed in.
package rules

import (
	"errors"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// The error codes of records that rules decide about; the codes of rejections are source.RejectCode.
const (
	CodeOpen      = "open"
	CodeAnonymous = "anonymous"
	CodeEmpty     = "empty"
	CodeDropped   = "dropped"
	CodeCorrected = "corrected" // the record goes on under another id
)

// Verdict is what becomes of a record when it is met.
type Verdict int

// The verdicts.
const (
	ToWork        Verdict = iota // to be imported, or gone on with
	ToReject                     // bad, and to record as such
	HasNothing                   // an empty chat, and to record as such
	StillOpen                    // the chat has no end yet
	IsSkipped                    // skipped earlier, and the same since
	IsDone                       // settled earlier, and the same since
	IsChanged                    // imported earlier, with another content now
	LeftInDoubt                  // a person has to decide
	IsDuplicate                  // the same record again
	OtherContent                 // an id that another closed record has, too
	InOthersHands                // another run works on it, or this one does
	NotCorrected                 // it was handed out for correction, and cannot be imported yet
)

// Policy is what the configuration says about records, and which run asks.
type Policy struct {
	RejectEmpty bool  // empty chats are rejected, not skipped
	Excerpt     bool  // the reader holds only some of the source's records
	Run         int64 // 0: none
	// SkipsPerson reports whether a transcript is skipped because of its end-user. Default: none is.
	SkipsPerson func(*source.Transcript) bool
}

func (p Policy) skipsPerson(t *source.Transcript) bool {
	return p.SkipsPerson != nil && p.SkipsPerson(t)
}

// Judge decides about a record by what the checkpoint knows of it and of what it is to replace. repeated is called for a closed
// record: it says whether one with this id was met before in this run, and whether the two are the same. A run is not planned
// by other rules than those that it goes by.
func (p Policy) Judge(rec *source.Record, rows map[string]checkpoint.Row, repeated func() (met, same bool)) Verdict {
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
		if rec.Original.Key != "" && rec.Original.Key != rec.ID {
			if v, ok := p.judgeHandedOut(rec, row, rows[rec.Original.Key], bad); ok {
				return v
			}
		}
	}
	if rec.ID != "" && !empty && (!settled || row.ErrorCode != CodeOpen) { // open and empty chats do not take part in this
		if met, same := repeated(); met && same {
			return IsDuplicate
		} else if met {
			return OtherContent
		}
	}
	switch v := p.judgeAlone(row, known, settled, bad); {
	case v != ToReject || !empty:
		return v
	case row.Status == checkpoint.Failed: // it is empty by now, and that is not why it failed
		return IsDone
	}
	return HasNothing
}

// Empty reports whether a record is an empty chat to skip.
func (p Policy) Empty(why *source.RejectError) bool {
	return why != nil && why.Code == source.RejectNoMessages && !p.RejectEmpty
}

// judgeAlone decides about a record whose id no other record has.
func (p Policy) judgeAlone(row checkpoint.Row, known, settled, bad bool) Verdict {
	switch {
	case settled && row.Status == checkpoint.Skipped:
		return IsSkipped
	case settled:
		return IsDone
	case known && (row.Held || row.ClaimedBy != 0 && row.ClaimedBy == p.Run):
		return InOthersHands
	case bad && row.Status.HasConversation() && row.Status != checkpoint.Imported: // a corrected version of it was imported
		return IsDone
	case row.Status == checkpoint.Complete, row.Status == checkpoint.Partial:
		return IsChanged
	case row.Status == checkpoint.InDoubt:
		return LeftInDoubt
	case bad:
		return ToReject
	}
	return ToWork
}

// Settled reports whether a record was settled earlier, is the same since, and would be judged the same again: a rejection, and
// most reasons to skip a record, depend on the time, the configuration and the version of this program as well.
func (p Policy) Settled(rec *source.Record, row *checkpoint.Row) bool {
	if !SameHash(row.ContentHash, rec.Hash) {
		return false
	}
	switch row.Status {
	case checkpoint.Complete, checkpoint.Partial, checkpoint.Failed, checkpoint.InDoubt:
		return true
	case checkpoint.Rejected, checkpoint.Skipped:
		return p.sameVerdict(rec, row)
	}
	return false
}

// sameVerdict judges an unchanged record again that was rejected or skipped, unless a person decided about it.
func (p Policy) sameVerdict(rec *source.Record, row *checkpoint.Row) bool {
	if row.ErrorCode == CodeDropped || row.ErrorCode == CodeCorrected {
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

// JudgeRepeated decides about the second closed record of an id that has other content, which is known by its place: the first one
// stands. row is what the checkpoint knows of its key.
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
		return InOthersHands
	}
	return ToReject
}

// ErrDuplicateID is why the second closed record of an id is rejected.
func ErrDuplicateID() *source.RejectError {
	return &source.RejectError{Code: source.RejectDuplicateID,
		Reason: "an earlier record of this source has the same id and other content: give every transcript an id of its own, or remove one of the two"}
}
