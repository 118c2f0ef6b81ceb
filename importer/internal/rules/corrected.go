package rules

import (
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// CorrectedAs returns the reason that the checkpoint stores for a record that was corrected under a different id. The record is settled:
// to replace it with yet another id would import it twice.
func CorrectedAs(id string) string { return "it was corrected, and is transcript " + id + " now" }

// WasCorrectedAs reports whether a record was imported as the transcript with this id. It recognises the wording of this version and of
// earlier ones.
func WasCorrectedAs(was checkpoint.Row, id string) bool {
	return was.ErrorCode == CodeCorrected && (was.Error == CorrectedAs(id) || was.Error == "it was mended, and is transcript "+id+" now")
}

// CannotReplace returns why a correction may not become the transcript with this id, nil if it may. row is the checkpoint's row of the
// id, was its row of the record to replace; each is zero if the checkpoint has none.
func CannotReplace(id string, row, was checkpoint.Row) *source.RejectError {
	problem := ""
	switch {
	case was.Status == "", WasCorrectedAs(was, id):
	case was.ErrorCode == CodeCorrected:
		problem = "the record was corrected before (" + was.Error + "): it would be in Dixa twice"
	case was.Status.HasConversation(), was.Status == checkpoint.Sending, was.Status == checkpoint.InDoubt:
		problem = "the record is, or may be, in Dixa under its previous id: give it that id again"
	case row.Status != "" && row.Status != checkpoint.Pending:
		problem = "another transcript has this id: give the record a different one"
	}
	if problem == "" {
		return nil
	}
	return &source.RejectError{Code: source.RejectDuplicateID, Reason: problem}
}

// judgeCorrection decides about a record that was exported for correction and has another id than the original. ok is false if the general
// rules apply. row is the row of its key, was that of the record that it replaces. If the correction is as bad as the original, the
// original's row stays as it is, because the source still holds that record.
func (p Policy) judgeCorrection(rec *source.Record, row, was checkpoint.Row, bad bool) (v Verdict, ok bool) {
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

// Original returns the key of the record that rec corrects, and its row. If rec uses the original's place as its id, the original's key
// also has the hash of its content. rows are the rows of KeysOf(rec).
func Original(rec *source.Record, rows map[string]checkpoint.Row) (key string, was checkpoint.Row) {
	ChooseKey(rec, rows)
	o := rec.Original
	if key = o.Key; key == rec.ID && o.Place != "" {
		key = source.ContentKey(o.Place, o.Hash)
	}
	return key, rows[key]
}
