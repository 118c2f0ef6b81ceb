package rules

import (
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// CorrectedAs is what the checkpoint says of a record that was corrected under an id of its own: the record is settled, and no other
// id may take its place, for that would be a second import.
func CorrectedAs(id string) string { return "it was corrected, and is transcript " + id + " now" }

// WentOnAs reports whether a record was imported as the transcript with this id: as this version says it, or as earlier ones did.
func WentOnAs(was checkpoint.Row, id string) bool {
	return was.ErrorCode == CodeCorrected && (was.Error == CorrectedAs(id) || was.Error == "it was mended, and is transcript "+id+" now")
}

// CannotReplace returns why a correction may not become the transcript with this id, nil if it may. row is what the checkpoint
// knows of the id, was what it knows of the record to replace; both are zero where it knows nothing.
func CannotReplace(id string, row, was checkpoint.Row) *source.RejectError {
	problem := ""
	switch {
	case was.Status == "", WentOnAs(was, id):
	case was.ErrorCode == CodeCorrected:
		problem = "the record was corrected before (" + was.Error + "): it would be in Dixa twice"
	case was.Status.HasConversation(), was.Status == checkpoint.Sending, was.Status == checkpoint.InDoubt:
		problem = "the record is in Dixa under its former id, or may be: give it that id again"
	case row.Status != "" && row.Status != checkpoint.Pending:
		problem = "another transcript has this id: give the record one of its own"
	}
	if problem == "" {
		return nil
	}
	return &source.RejectError{Code: source.RejectDuplicateID, Reason: problem}
}

// judgeHandedOut decides about a record that was handed out for correction, if that is all there is to say. row is what is known of
// its key, was what is known of the record that it is to replace. What is known of a record that is as bad as before is left
// alone: the source still holds it, and it must be met as it was.
func (p Policy) judgeHandedOut(rec *source.Record, row, was checkpoint.Row, bad bool) (Verdict, bool) {
	switch {
	case !bad:
		problem := CannotReplace(rec.ID, row, was)
		if problem != nil {
			rec.Reject(problem)
		}
		return NotCorrected, problem != nil
	case was.Status == checkpoint.Skipped:
		return IsSkipped, true
	case was.Status == checkpoint.Rejected || was.Status == checkpoint.Failed:
		if p.Excerpt {
			return NotCorrected, true
		}
		return IsDone, true
	}
	return ToReject, false
}

// Original returns the key of what a record corrects, and what the checkpoint knows of that. Where the record has the name of the
// place for its id, the original is known by its content as well. rows are what the checkpoint knows of KeysOf.
func Original(rec *source.Record, rows map[string]checkpoint.Row) (key string, was checkpoint.Row) {
	Name(rec, rows)
	o := rec.Original
	if key = o.Key; key == rec.ID && o.Place != "" {
		key = source.ContentKey(o.Place, o.Hash)
	}
	return key, rows[key]
}
