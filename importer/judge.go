package importer

import (
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// verdict is what becomes of a record when it is met.
type verdict int

const (
	toWork        verdict = iota // to be imported, or gone on with
	toReject                     // bad, which is to be recorded
	stillOpen                    // the chat has no end yet
	isSkipped                    // skipped earlier, and the same since
	isDone                       // settled earlier, and the same since
	isChanged                    // imported earlier, with another content now
	leftInDoubt                  // a person has to decide
	isDuplicate                  // the same record again
	otherContent                 // an id that another closed record has, too
	inOthersHands                // another run works on it, or this one does
	notMended                    // it was handed out to be mended, and cannot be imported yet
)

// judge decides about a record by what the checkpoint knows of it and of what it is to replace. repeated is called for a closed
// record: it says whether one with this id was met before in this run, and whether the two are the same. A run is not planned
// by other rules than those that it goes by.
func (im *Importer) judge(rec *source.Record, rows map[string]checkpoint.Row, repeated func() (met, same bool)) verdict {
	row, known := rows[rec.Key()]
	settled, bad := known && im.settled(rec, &row), false
	if !settled {
		transcript, err := rec.Transcript()
		if bad = err != nil; !bad && transcript.ClosedAt.IsZero() {
			return stillOpen
		}
		if rec.Original != "" && rec.Original != rec.ID {
			if v, ok := im.judgeHandedOut(rec, row, rows[rec.Original], bad); ok {
				return v
			}
		}
	}
	if rec.ID != "" && (!settled || row.ErrorCode != codeOpen) { // open chats do not take part in this
		if met, same := repeated(); met && same {
			return isDuplicate
		} else if met {
			return otherContent
		}
	}
	return im.judgeAlone(row, known, settled, bad)
}

// judgeAlone decides about a record whose id no other record has.
func (im *Importer) judgeAlone(row checkpoint.Row, known, settled, bad bool) verdict {
	switch {
	case settled && row.Status == checkpoint.Skipped:
		return isSkipped
	case settled:
		return isDone
	case known && (row.Held || row.ClaimedBy != 0 && row.ClaimedBy == im.id):
		return inOthersHands
	case bad && row.Status.HasConversation() && row.Status != checkpoint.Imported: // a mended version of it was imported
		return isDone
	case row.Status == checkpoint.Complete, row.Status == checkpoint.Partial:
		return isChanged
	case row.Status == checkpoint.InDoubt:
		return leftInDoubt
	case bad:
		return toReject
	}
	return toWork
}

// settled says that a record was settled earlier and is the same since.
func (im *Importer) settled(rec *source.Record, row *checkpoint.Row) bool {
	if !sameHash(row.ContentHash, rec.Hash) {
		return false
	}
	switch row.Status {
	case checkpoint.Skipped:
		return row.ErrorCode != codeAnonymous || im.cfg.Anonymous == AnonymousSkip
	case checkpoint.Complete, checkpoint.Partial, checkpoint.Failed, checkpoint.Rejected, checkpoint.InDoubt:
		return true
	}
	return false
}
