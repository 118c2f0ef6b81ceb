package session

import (
	"errors"
	"fmt"
	"slices"

	"dixa-import/importer/checkpoint"
)

// Decision is what a person decides about transcripts in doubt.
type Decision string

// The decisions about transcripts in doubt.
const (
	Undecided Decision = ""       // look in Dixa once more
	Resend    Decision = "resend" // it is not in Dixa: send it
	Drop      Decision = "drop"   // don't import it: skip it
	Adopt     Decision = "adopt"  // it is Selection.Conversation
)

// Selection describes which transcripts a retry works on: those that match every one of Statuses, Codes and IDs that is not empty.
type Selection struct {
	// Statuses default to what another attempt may fix: failed and imported transcripts, partial ones whose attributes are missing, and
	// pending ones with an error. If the source is read from a watermark, the default includes rejected ones, except those that would be
	// rejected again. With IDs, the default is every status that can be retried; with a Decision, it is in-doubt.
	Statuses     []checkpoint.Status
	Codes        []string // error codes
	IDs          []string
	Decision     Decision // about selected transcripts in doubt; Drop also about selected failed and rejected ones
	Conversation int64    // for Adopt, which takes exactly one id
	// Attributes selects transcripts whose attributes or tags map to other values than their conversations were given last, and those that lack
	// them because a run ended early. All other fields are empty then.
	Attributes bool
}

// Validate returns what is wrong with a Selection, nil if it is valid.
func (s Selection) Validate() error {
	if s.Attributes && (len(s.Statuses)+len(s.Codes)+len(s.IDs) > 0 || s.Decision != Undecided) {
		return errors.New("a retry of attributes works on all transcripts: select none")
	}
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

// Droppable lists the statuses of transcripts that a person may drop.
var Droppable = []checkpoint.Status{checkpoint.InDoubt, checkpoint.Failed, checkpoint.Rejected}
