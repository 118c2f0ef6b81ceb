package main

import (
	"strings"

	"dixa-import/importer/checkpoint"
)

// cure is what there is to say about an error code.
type cure struct {
	means  string // what has happened, one line
	advice string // what a person can do, one line
	goesOn next
}

// next says who goes on with a transcript.
type next int

const (
	byMending  next = iota // a person mends the record; the next run takes what has changed
	byRetry                // `retry`, when what stood in the way is gone
	byRun                  // the next run goes on by itself
	byDecision             // a person decides
	byNobody               // there is nothing to run
)

// cures are all error codes; see the codes of the importer and of package source. The facts about Dixa's answers are in its
// API's description.
var cures = map[string]cure{
	"line_too_long":     {"a line is longer than the 16 MiB that are read", "a line is over 16 MiB: shorten the transcript or split it", byMending},
	"invalid_json":      {"a record is no JSON", "the line is not JSON: export it again", byMending},
	"missing_id":        {"a record has no id", "give each record an id", byMending},
	"invalid_id":        {"an id cannot be used", "ids: at most 512 bytes, no control characters, no space around them", byMending},
	"invalid_field":     {"a field cannot be read", "a field has the wrong type or value: mend the record", byMending},
	"invalid_role":      {"a message has an unknown role", "roles are user, bot, agent and system: mend the messages", byMending},
	"invalid_time":      {"a time cannot be read", "times are RFC 3339 or Unix numbers: mend the record", byMending},
	"time_without_zone": {"a time has no zone", "write times with a zone, such as 2026-11-19T08:00:00Z", byMending},
	"time_in_future":    {"a time has not come yet", "a time is more than a day ahead: check the bot's clock and units", byMending},
	"invalid_attribute": {"an attribute's value cannot be read", "attributes are strings, numbers, booleans or lists of strings", byMending},
	"no_messages":       {"the chat is empty", "no message has text or an attachment: `retry --drop --code no_messages`", byMending},
	"file_damaged":      {"a file could not be read to its end", "a file is truncated or damaged: copy or compress it again", byMending},
	"duplicate_id":      {"the id was there before, with another content", "two different records have one id: give each its own", byMending},

	"refused":           {"Dixa refused the import", "Dixa refused the import: mend the record", byMending},
	"agent_unknown":     {"Dixa does not know an agent of the record", "correct agent_id in the messages, or leave it out", byMending},
	"end_user_refused":  {"Dixa refused to create the end-user", "Dixa refused the end-user: mend email, phone and name", byMending},
	"end_user_missing":  {"Dixa found the end-user and then did not know it", "Dixa did not know its own end-user: retry in a while", byRetry},
	"end_user_conflict": {"Dixa says that the end-user exists, and does not find it", "Dixa has the end-user and does not find it: look it up by hand", byRetry},
	"not_found":         {"no attempt got a clear answer, and none left a conversation", "no import arrived: try again when Dixa is well", byRetry},
	"source_missing":    {"the source does not hold the record any more", "the source does not hold the record any more: put it back, run again", byRetry},
	"unavailable":       {"Dixa did not answer before anything was sent", "Dixa did not answer: run again when it does", byRun},
	"attributes_unset":  {"imported, without its attributes", "imported, but the attributes could not be set: run again", byRun},

	"unreadable":         {"whether it arrived may not be read with this token", "the token may not read conversations: use one that may, or look by hand", byDecision},
	"end_user_gone":      {"its end-user is not in Dixa any more", "the end-user is gone from Dixa: look for the conversation by hand", byDecision},
	"conversation_taken": {"its conversation belongs to another transcript already", "look at the two transcripts and the conversation by hand", byDecision},
	"look_failed":        {"Dixa did not answer while it was looked for", "Dixa did not answer while it was looked for: run again when it does", byDecision},
}

// refusals are what Dixa says when it refuses an import, in lower case, and what to do then.
var refusals = []struct{ says, advice string }{
	{"failure to download attachment", "make the attachment's URL reachable for Dixa, or remove it"},
	{"invalid input for message", "a message holds what Dixa does not take: look at its text and attachments"},
	{"decoding failure in request", "Dixa could not read the request: look at ids, times and texts that are out of the ordinary"},
}

// partialCures are the kinds of partial errors.
var partialCures = map[checkpoint.PartialErrorKind]cure{
	checkpoint.KindMessage:    {"Dixa did not take a message over", "look at the conversation: it may lack a message", byNobody},
	checkpoint.KindAttachment: {"Dixa did not take an attachment over", "look at the conversation: it lacks an attachment or has a link instead", byNobody},
	checkpoint.KindAssignment: {"Dixa did not assign the conversation", "assign it in Dixa, if that matters", byNobody},
	checkpoint.KindAttribute:  {"an attribute could not be set", "mend the values in the records (see `errors`), or the attribute in Dixa, then `retry --status partial`", byRetry},
	checkpoint.KindAdopted:    {"it was found in Dixa, and differs from the record", "look at the conversation, and correct it in Dixa", byNobody},
	checkpoint.KindDuplicate:  {"Dixa has two conversations of it", "delete one of the two in Dixa", byNobody},
	checkpoint.KindOther:      {"Dixa took it over with a reservation", "look at the conversation", byNobody},
}

// advice is what to do about an error code, "" for one that needs nothing done.
func advice(code string) string { return cures[code].advice }

// cureOf is what there is to say about a status with its error code, and about what Dixa said.
func cureOf(status checkpoint.Status, code, message string) cure {
	c := cures[code]
	switch {
	case status == checkpoint.InDoubt && code == "": // such as a conversation that belongs to another transcript
		c = cure{"it may or may not be in Dixa", "look for the conversation by hand", byDecision}
	case status == checkpoint.InDoubt:
		c.goesOn = byDecision
	case status == checkpoint.Pending || status == checkpoint.Sending || status == checkpoint.Imported:
		c.goesOn = byRun
	case status == checkpoint.Complete || status == checkpoint.Skipped:
		c.goesOn = byNobody
	}
	if code == "refused" {
		lower := strings.ToLower(message)
		for _, r := range refusals {
			if strings.Contains(lower, r.says) {
				c.advice = r.advice
			}
		}
	}
	return c
}
