// Package advice says what an error code means and what a person can do about it. Here is all advice that this program gives on transcripts,
// and nowhere else: the checkpoint holds the facts (a status, a code, what Dixa answered), and advice is chosen by them when it is shown.
//
// How advice and other texts for people are worded:
//
//   - Say what happened, then what to do.
//   - One idea a sentence.
//   - Use the field's standard terms: retry, reject, duplicate, permanently, upstream, checkpoint.
//   - Use the active voice, and name who acts: "Dixa refused the import", not "the import was refused".
//   - Correct a record, fix a setting or a bug. Nothing is mended.
//   - Name the command or the key of the configuration that helps, as it is typed.
//   - What fits a line of a table has at most 72 characters.
//   - Never repeat what a customer wrote, and never guess what Dixa did not say.
package advice

import (
	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
)

// Cure is what there is to say about an error code.
type Cure struct {
	Means  string // what has happened, one line
	Advice string // what a person can do, one line
	GoesOn Next
}

// Next describes who goes on with a transcript.
type Next int

// Who may go on.
const (
	ByCorrection Next = iota // a person corrects the record; the next run takes what has changed
	ByRetry                  // `retry`, when what stood in the way is gone
	ByRun                    // the next run goes on by itself
	ByDecision               // a person decides
	ByNobody                 // there is nothing to run
)

// cures are all error codes; see the codes of the importer and of package source. The facts about Dixa's answers are in its
// API's description.
var cures = map[string]Cure{
	"line_too_long":     {"a line is longer than the 16 MiB that are read", "a line is over 16 MiB: shorten the transcript or split it", ByCorrection},
	"invalid_json":      {"a record is not valid JSON", "the line is not JSON: export it again", ByCorrection},
	"not_a_transcript":  {"a record is not a transcript", "the record is not a transcript: see the reason, and README.md", ByCorrection},
	"missing_id":        {"a record has no id", "give each record an id", ByCorrection},
	"invalid_id":        {"an id cannot be used", "ids: at most 512 bytes, no control characters, no space around them", ByCorrection},
	"invalid_field":     {"a field cannot be read", "a field has the wrong type or value: correct the record", ByCorrection},
	"invalid_role":      {"a message has an unknown role", "roles are user, bot, agent and system: correct the messages", ByCorrection},
	"invalid_time":      {"a time cannot be read", "times are RFC 3339 or Unix numbers: correct the record", ByCorrection},
	"time_without_zone": {"a time has no zone", "set source.time_zone, or write times with a zone: 2026-11-19T08:00:00Z", ByCorrection},
	"time_in_future":    {"a time is in the future", "a time is more than a day ahead: check the bot's clock and units", ByCorrection},
	"invalid_attribute": {"an attribute's value cannot be read", "attributes are strings, numbers, booleans or lists of strings", ByCorrection},
	"no_messages":       {"the chat is empty", "no message has text or an attachment: `retry --drop --code no_messages`", ByCorrection},
	"file_damaged":      {"a file could not be read to its end", "a file is truncated or damaged: copy or compress it again", ByCorrection},
	"unknown_format":    {"a file is not JSON, or its records were not found", "a file cannot be read as JSON: do what the message says, then run again", ByRun},
	"wrong_encoding":    {"a file is not UTF-8", "set the source's encoding to that of the file, and run again", ByRun},
	"transform_failed":  {"the format or transform failed on a record", "correct source.format, source.transform or the record, then run again", ByCorrection},
	"transform_refused": {"the format does not take a record", "do what the reason says, or leave the record out", ByCorrection},
	"duplicate_id":      {"the id occurred before, with different content", "two different records have one id: give each its own", ByCorrection},

	"refused":           {"Dixa refused the import", "correct the record, or remove what Dixa does not accept", ByCorrection},
	"agent_unknown":     {"Dixa does not know an agent of the record", "correct agent_id in the messages, or dixa.agent_id and `retry`", ByCorrection},
	"forbidden":         {"only this record is refused, probably by a firewall", "one record is refused (a firewall?): see why, fix that, then retry", ByRetry},
	"end_user_refused":  {"Dixa refused to create the end-user", "correct the end-user's email, phone and name", ByCorrection},
	"end_user_missing":  {"Dixa found the end-user, then denied that it exists", "Dixa did not recognise its own end-user: retry later", ByRetry},
	"end_user_conflict": {"Dixa says the end-user exists, but does not find it", "Dixa has the end-user but does not find it: look it up by hand", ByRetry},
	"not_found":         {"no attempt got a clear answer or left a conversation", "no import arrived: retry when Dixa responds normally", ByRetry},
	"source_missing":    {"the source no longer has the record", "the source no longer has the record: put it back, then run again", ByRetry},
	"unavailable":       {"Dixa gave no usable answer before anything was sent", "Dixa gave no usable answer: run again when it does", ByRun},
	"transfer_refused":  {"imported, but Dixa refused to hand it over: a customer may be waiting", "correct the queue, then run again: a customer may be waiting", ByRun},
	"transfer_unclear":  {"imported, but it is unclear whether it was handed over", "run again to look; a customer may be waiting", ByRun},
	"queue_unknown":     {"the queue of its hand-over is not in Dixa", "correct handover.queue (see `dixa-import queues`), then `retry`", ByRetry},
	"queue_unavailable": {"nobody is available in its queue", "run again when somebody is available", ByRun},
	"finishing_unclear": {"imported, but it is unclear whether what follows was done", "run again to look in Dixa", ByRun},
	"parent_missing":    {"the transcript that it continues is not imported yet", "import that one too, then run again", ByRun},
	"attributes_unset":  {"imported, without its attributes", "imported without its attributes: run again, else see `errors`", ByRun},

	"unreadable":         {"this token may not read whether it arrived", "the token may not read conversations: use one that may, or look by hand", ByDecision},
	"end_user_gone":      {"its end-user is no longer in Dixa", "the end-user is gone from Dixa: look for the conversation by hand", ByDecision},
	"ambiguous":          {"a conversation in Dixa may be this one or another", "compare it with the conversation that `explain` names, then `retry --id`", ByDecision},
	"conversation_taken": {"its conversation belongs to another transcript already", "look at the two transcripts and the conversation by hand", ByDecision},
	"look_failed":        {"Dixa gave no usable answer to the search for it", "Dixa gave no usable answer to the search: run again when it does", ByDecision},
}

// Partial are the kinds of partial errors.
var Partial = map[checkpoint.PartialErrorKind]Cure{
	checkpoint.KindMessage:    {"Dixa did not accept a message", "check the conversation: a message may be missing", ByNobody},
	checkpoint.KindAttachment: {"Dixa did not accept an attachment", "check the conversation: an attachment is missing or is a link", ByNobody},
	checkpoint.KindAssignment: {"Dixa did not assign the conversation", "assign it in Dixa if that matters", ByNobody},
	checkpoint.KindAttribute:  {"an attribute could not be set", "correct the values in the records (see `errors`), or the attribute in Dixa, then `retry --status partial`", ByRetry},
	checkpoint.KindAdopted:    {"it was found in Dixa, but differs from the record", "check the conversation, and correct it in Dixa", ByNobody},
	checkpoint.KindDuplicate:  {"Dixa has two conversations of it", "delete one of the two in Dixa", ByNobody},
	checkpoint.KindTag:        {"a tag could not be set", "create or activate the tag in Dixa, or set create_tags, then `retry --status partial`", ByRetry},
	checkpoint.KindRating:     {"the rating could not be recorded", "look at the conversation's ratings, and add it there if that matters", ByNobody},
	checkpoint.KindNote:       {"a note could not be added", "look at the conversation's notes, and add it there if that matters", ByNobody},
	checkpoint.KindTransfer:   {"nobody was available, so it was imported closed and not handed over", "look whether the customer still waits for an answer", ByNobody},
	checkpoint.KindLink:       {"it could not be linked with the conversation that it continues", "link the two in Dixa if that matters", ByNobody},
	checkpoint.KindOther:      {"Dixa imported it with a warning", "look at the conversation", ByNobody},
}

// key is an error code with what the refusal is about.
type key struct {
	code   string
	reason dixa.Reason
}

// reasons are what there is to say in place of the general advice where it is known what a refusal is about.
var reasons = map[key]Cure{
	{"refused", dixa.ReasonAttachment}:         {"Dixa refused the import", "make the attachment's URL reachable for Dixa, or remove it", ByCorrection},
	{"refused", dixa.ReasonMessage}:            {"Dixa refused the import", "Dixa does not accept something in a message: look at its text and attachments", ByCorrection},
	{"refused", dixa.ReasonUnreadable}:         {"Dixa refused the import", "Dixa could not read the request: look for unusual ids, times and texts", ByCorrection},
	{"refused", dixa.ReasonChannelUnsupported}: {"Dixa refused the channel for this record alone", "retry it: other transcripts are not refused like this", ByRetry},
	{"forbidden", dixa.ReasonPage}: {"something before Dixa refuses this record alone, probably a firewall",
		"have the firewall let it through, or change what it objects to in the record, then retry", ByRetry},
	{"forbidden", dixa.ReasonUnauthorised}: {"Dixa refuses this record alone", "check in Dixa what is special about it, or give the token more rights, then retry", ByRetry},
	{"attributes_unset", dixa.ReasonPage}: {"imported, without its attributes, to which probably a firewall objects",
		"something between this machine and Dixa, probably a firewall, refuses these values, and will again: have it let them through and run again, or " +
			"change or remove the attributes in the records", ByCorrection},
	{"attributes_unset", dixa.ReasonDenied}: {"imported, without its attributes, which are refused for this one alone",
		"Dixa, or something before it such as a firewall, refuses this one, and will again: have it let through and run again, or " +
			"change or remove the attributes in the records", ByCorrection},
	{"attributes_unset", dixa.ReasonUnauthorised}: {"imported, without its attributes, which Dixa refuses for this one alone",
		"check in Dixa what is special about the conversation, or give the token more rights, and run again, or remove the attributes in the records", ByCorrection},
}

// Of returns what to do about an error code in general, "" for one that needs nothing done.
func Of(code string) string { return cures[code].Advice }

// For returns what there is to say about a transcript: by what the refusal is about where that is recorded, else by its error code. Advice that
// an earlier version wrote behind the error is kept.
func For(r checkpoint.Row) Cure {
	c := cures[r.ErrorCode]
	exact, known := reasons[key{r.ErrorCode, dixa.Reason(r.Reason)}]
	if known {
		c = exact
	}
	switch {
	case r.Status == checkpoint.InDoubt && r.ErrorCode == "": // such as a conversation that belongs to another transcript
		c = Cure{"it may or may not be in Dixa", "look for the conversation by hand", ByDecision}
	case r.Status == checkpoint.InDoubt:
		c.GoesOn = ByDecision
	case r.Status == checkpoint.Imported && known:
	case r.Status == checkpoint.Pending || r.Status == checkpoint.Sending || r.Status == checkpoint.Imported:
		c.GoesOn = ByRun
	case r.Status == checkpoint.Complete || r.Status == checkpoint.Skipped:
		c.GoesOn = ByNobody
	}
	if _, said := split(r); said != "" {
		c.Advice = said
	}
	return c
}
