package importer

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"dixa-import/importer/checkpoint"
)

// count counts and logs a transcript by its row, once this run has finished its work on it.
func (n *tally) count(t *task) (step, error) {
	count, level := &n.pending, n.s.Log.Warn
	switch t.row.Status {
	case checkpoint.Complete:
		count, level = &n.imported, n.s.Log.Debug
	case checkpoint.Partial:
		count, level = &n.partial, n.s.Log.Info
		n.addProblems(t.partial)
	case checkpoint.Failed:
		count = &n.failed
	case checkpoint.Rejected:
		count = &n.rejected
	case checkpoint.Skipped:
		count, level = nil, n.s.Log.Debug
		n.addSkip(t.row.ErrorCode)
	case checkpoint.InDoubt:
		count = &n.inDoubt
	}
	if count != nil {
		count.Add(1)
		n.addCause(t.row.ErrorCode)
	}
	if n.s.OnImported != nil && (t.row.Status == checkpoint.Complete || t.row.Status == checkpoint.Partial) {
		n.s.OnImported(t.key, t.row.ConversationID)
	}
	n.logEnd(t, level)
	return stepEnd, nil
}

// endingTexts describe the outcome of a transcript by its status.
var endingTexts = map[checkpoint.Status]string{
	checkpoint.Complete: "imported", checkpoint.Partial: "imported with problems", checkpoint.Failed: "failed",
	checkpoint.Rejected: "rejected", checkpoint.Skipped: "skipped", checkpoint.InDoubt: "left in doubt",
	checkpoint.Pending: "left to the next run", checkpoint.Sending: "left to the next run", checkpoint.Imported: "left to the next run",
}

// logEnd logs the outcome of a transcript. Only the first few with the same outcome and cause get a line above debug level.
func (n *tally) logEnd(t *task, level func(string, ...any)) {
	cause := logCause{event: endingTexts[t.row.Status], code: t.row.ErrorCode}
	args := []any{"transcript", t.key, "status", string(t.row.Status)}
	if t.row.Status == checkpoint.Partial && len(t.partial) > 0 {
		first := t.partial[0]
		cause.code = strings.TrimSpace(string(first.Kind) + " " + first.Attribute)
		args = append(args, "problem", cause.code)
	}
	if t.row.Status != checkpoint.Complete && t.row.Status != checkpoint.Skipped {
		n.endMu.Lock() // the line with the full reason comes first
		defer n.endMu.Unlock()
		if !n.shouldLog(cause) {
			level = n.s.Log.Debug
		}
	}
	if t.row.ConversationID != 0 {
		args = append(args, "conversation", t.row.ConversationID)
	}
	if t.row.ErrorCode != "" {
		args = append(args, n.reasonArgs(cause, t.row)...)
	}
	level("transcript "+cause.event, args...)
}

// placePrefix matches the place of a record, which precedes the reason of its rejection.
var placePrefix = regexp.MustCompile(`^(?:postgres:\S*|.+?:\d+(?:\.\d+)?): `)

// anyIndex matches what differs between reasons that are otherwise the same.
var anyIndex = regexp.MustCompile(`\[\d+\]`)

// reasonArgs returns log arguments with the reason of a transcript's outcome. Only the first line with a reason has its full text.
func (n *tally) reasonArgs(c logCause, row checkpoint.Row) []any {
	place, sentence := "", row.Error
	if row.Status == checkpoint.Rejected {
		place = placePrefix.FindString(row.Error)
		sentence = row.Error[len(place):]
	}
	if !n.loggedBefore(c, anyIndex.ReplaceAllString(sentence, "[]")) {
		return []any{"code", row.ErrorCode, "error", row.Error}
	}
	if place != "" {
		return []any{"code", row.ErrorCode, "place", strings.TrimSuffix(place, ": ")}
	}
	return []any{"code", row.ErrorCode}
}

// warnSampled returns the function that logs a transcript: as a warning if it is among the first of its cause, otherwise at debug level.
func (n *tally) warnSampled(c logCause) func(message string, args ...any) {
	if n.shouldLog(c) {
		return n.s.Log.Warn
	}
	return n.s.Log.Debug
}

// logOmitted logs how many transcripts of each cause were not logged.
func (n *tally) logOmitted() {
	more := n.unlogged()
	causes := slices.SortedFunc(maps.Keys(more), func(a, b logCause) int {
		return cmp.Or(cmp.Compare(more[b], more[a]), cmp.Compare(a.event, b.event), cmp.Compare(a.code, b.code))
	})
	for _, c := range causes {
		args := []any{"count", more[c]}
		if c.code != "" {
			args = append(args, "cause", c.code)
		}
		n.s.Log.Info("more transcripts "+c.event, args...)
	}
}

// checkFailures stops the run if too many transcripts have failed.
func (n *tally) checkFailures() {
	if failed, worked := n.worked(); n.s.MaxFailures.Exceeded(failed, worked) {
		n.s.Stop(fmt.Sprintf("%d of %d transcripts failed, which is as many as import.max_failures allows", failed, worked))
	}
}
