package advice

import (
	"fmt"
	"strings"

	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/plan"
	"dixa-import/importer/verify"
	"dixa-import/source"
)

// MeaningOf says in words what a status without an error means.
func MeaningOf(row checkpoint.Row) string {
	switch row.Status {
	case checkpoint.Complete:
		return "it is in Dixa, and nothing is missing"
	case checkpoint.Partial:
		return "it is in Dixa, with a problem"
	case checkpoint.Imported:
		return "it is in Dixa, but its attributes are not set yet"
	case checkpoint.Sending:
		return "an import request may be on its way"
	case checkpoint.Pending:
		return "it is recorded, but not sent yet"
	case checkpoint.Skipped:
		return map[string]string{"corrected": "the record continues as another transcript", "open": "the chat was still open", "empty": "it has no message to send", "anonymous": "it has no identifier of an end-user, and the configuration skips such chats",
			"dropped": "a person decided not to import it", "undone": "its import was undone; `retry --id` imports it again"}[row.ErrorCode]
	}
	return "nothing is known of it yet"
}

// NextTexts say what the next run does with a transcript.
var NextTexts = map[plan.Next]string{
	plan.NextImports:    "the next run imports it",
	plan.NextReconciles: "the next run checks in Dixa whether it arrived, and sends it if not",
	plan.NextFinishes:   "the next run sets its attributes",
	plan.NextRejects:    "the next run rejects it again, until the record is corrected",
	plan.NextSkips:      "the next run skips it",
	plan.NextIgnores:    "the next run does nothing with it",
	plan.NextWaits:      "a run is working on it",
	plan.NextFollowsUp:  "the next run imports the messages that the chat got after its import, as a conversation of their own",
}

// Difference returns what a difference may come from, and what can be done.
var Difference = map[verify.DifferenceKind]string{
	verify.DiffDouble:         "the transcript was imported twice: keep one, and tag or anonymize the other in Dixa, which deletes nothing",
	verify.DiffNotRecorded:    "another checkpoint imported it, or this one lost it: `run --reconcile` records it",
	verify.DiffGone:           "the conversation was deleted or merged in Dixa: nothing imports it again",
	verify.DiffUnreadable:     "it could not be compared: verify again when Dixa responds normally",
	verify.DiffContentChanged: "the record has changed and can no longer be imported",
	verify.DiffNotClosed:      "it was reopened, or the closing failed: close it in Dixa",
	verify.DiffAssignment:     "it is not assigned to the bot: assign it in Dixa if that matters",
	verify.DiffRequester:      "its end-user was merged or replaced in Dixa",
	verify.DiffDirection:      "Dixa has a different direction",
	verify.DiffTag:            "removed in Dixa, refused at the import, or configured since: `retry --id ID`",
	verify.DiffRating:         "removed in Dixa, or refused at the import: `retry --id ID`",
	verify.DiffNote:           "removed in Dixa, or refused at the import: `retry --id ID`",
	verify.DiffTransfer:       "no agent has it, and it waits in no queue: look at it in Dixa, a customer may be waiting",
	verify.DiffLink:           "removed in Dixa, or refused at the import: `retry --id ID`",
	verify.DiffAttribute:      "changed in Dixa, or refused at the import: `retry --id ID`",
	verify.DiffMessageMissing: "refused at the import, or deleted in Dixa",
	verify.DiffMessageExtra:   "someone wrote in the conversation after the import",
	verify.DiffOrder:          "Dixa lists the messages in a different order",
	verify.DiffText:           "Dixa has a different text or format",
	verify.DiffAuthor:         "Dixa names another author",
	verify.DiffTime:           "Dixa holds another time",
	verify.DiffAttachment:     "Dixa did not accept an attachment, see the partial errors",
}

// MostlyTexts say what it may mean that nearly all records are skipped for one reason.
var MostlyTexts = map[string]string{
	"open":  "nearly all have no closed_at, so none of them is imported: if these chats are over, add it",
	"empty": "nearly all have no message with text or an attachment: check that this is right",
}

// GrownText returns how many chats went on after their import without their new messages being imported, and what to do; "" if there are none.
func GrownText(n int64) string {
	if n == 0 {
		return ""
	}
	return term.Plural(n, "chat") + " went on after the import, and the new messages are not in Dixa: set `transcripts.grown: follow_up` and run again " +
		"(`run --full` with a Postgres source) to import them as conversations of their own."
}

// IgnoredText returns how many values of end-users' identifiers are not used, and why; "" if there are none.
func IgnoredText(n importer.IgnoredIdentifiers) string {
	var why []string
	for _, x := range []struct {
		n    int64
		what string
	}{{n.Placeholder, "that mean nobody, such as undefined"}, {n.Damaged, "with lost characters or control characters"}, {n.Unreadable, "unreadable as an address or a number"}} {
		if x.n > 0 {
			why = append(why, term.Thousands(x.n)+" "+x.what)
		}
	}
	if len(why) == 0 {
		return ""
	}
	return fmt.Sprintf("Unused identifiers of end-users: %s.", strings.Join(why, "; "))
}

// RedactedText returns how many values are replaced by placeholders; "" if there are none.
func RedactedText(n map[string]int64) string {
	if len(n) == 0 {
		return ""
	}
	return "Redacted: " + kinds(n) + "."
}

// DroppedText returns what the source's format leaves out; "" if that is nothing.
func DroppedText(n map[string]int64) string {
	if len(n) == 0 {
		return ""
	}
	return "Not sent, as the source's format has it: " + kinds(n) + "."
}

func kinds(n map[string]int64) string {
	var list []string
	for _, kind := range source.Dropped(n).Kinds() {
		list = append(list, term.Thousands(n[kind])+" "+kind)
	}
	return strings.Join(list, ", ")
}

// SharedTexts says of identifiers that come with many names or other identifiers where they are, and what to do.
func SharedTexts(shared []importer.SharedIdentifier, more int64) (lines []string) {
	for _, s := range shared {
		lines = append(lines, fmt.Sprintf("the %s of %s occurs with five or more values of %s", s.Kind, s.Place, s.With))
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("and %s more", term.Thousands(more)))
	}
	if len(lines) > 0 {
		lines = append(lines, "Add those that identify no one to end_users.ignore: otherwise everyone with the same value becomes one customer.")
	}
	return lines
}
