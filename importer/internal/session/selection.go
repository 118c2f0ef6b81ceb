package session

import (
	"errors"
	"fmt"
	"slices"

	"dixa-import/importer/checkpoint"
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

// Selection describes which transcripts a retry works on: those that fit all of Statuses, Codes and IDs that are not empty.
type Selection struct {
	// Statuses default to what a run leaves behind and a repetition may correct: failed, imported, partial ones whose attributes
	// are missing, pending ones with an error; of a source that is read from its watermark also rejected ones, unless they would
	// be rejected again; in-doubt ones only where they are named or decided about.
	Statuses     []checkpoint.Status
	Codes        []string // error codes
	IDs          []string
	Decision     Decision // about those that are in doubt; Drop also about failed and rejected ones that are chosen
	Conversation int64    // for Adopt, which takes exactly one id
}

// Validate returns what is wrong with a Selection, nil if nothing is.
func (s Selection) Validate() error {
	if s.Decision == Adopt && (len(s.IDs) != 1 || s.Conversation <= 0) {
		return errors.New("a conversation can be adopted for exactly one transcript: name one id and the conversation's number")
	}
	if s.Decision == Drop && slices.ContainsFunc(s.Statuses, func(status checkpoint.Status) bool { return !slices.Contains(Droppable, status) }) {
		return errors.New("only transcripts that are in_doubt, failed or rejected can be dropped")
	}
	for _, status := range s.Statuses {
		if status == checkpoint.Complete || status == checkpoint.Skipped || !slices.Contains(checkpoint.Statuses, status) {
			return fmt.Errorf("transcripts that are %q cannot be retried", status)
		}
	}
	return nil
}

// Droppable are the statuses of what a person may decide not to import.
var Droppable = []checkpoint.Status{checkpoint.InDoubt, checkpoint.Failed, checkpoint.Rejected}
