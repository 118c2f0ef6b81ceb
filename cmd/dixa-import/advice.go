package main

// advices says what a person can do about an error code; see the codes of the importer and of package source.
var advices = map[string]string{
	"line_too_long":     "a line is over 16 MiB: shorten the transcript or split it",
	"invalid_json":      "the line is not JSON: export it again",
	"missing_id":        "give each record an id",
	"invalid_id":        "ids: at most 512 bytes, no control characters, no space around them",
	"invalid_field":     "a field has the wrong type or value: mend the record",
	"invalid_role":      "roles are user, bot, agent and system: mend the messages",
	"invalid_time":      "times are RFC 3339 or Unix numbers: mend the record",
	"time_without_zone": "write times with a zone, such as 2026-11-19T08:00:00Z",
	"time_in_future":    "a time is more than a day ahead: check the bot's clock and units",
	"invalid_attribute": "attributes are strings, numbers, booleans or lists of strings",
	"no_messages":       "no message has text or an attachment: there is nothing to import",
	"file_damaged":      "a file is truncated or damaged: copy or compress it again",
	"duplicate_id":      "two different records have one id: give each its own",

	"refused":           "Dixa refused the import: mend the record",
	"agent_unknown":     "correct agent_id in the messages, or leave it out",
	"end_user_missing":  "Dixa did not know its own end-user: run again in a while",
	"end_user_refused":  "Dixa refused the end-user: mend email, phone and name",
	"end_user_conflict": "Dixa has the end-user and does not find it: look it up by hand",
	"unavailable":       "Dixa did not answer: run again when it does",
	"not_found":         "no import arrived: try again when Dixa is well",
	"unreadable":        "the token may not read conversations: use one that may, or look by hand",
	"end_user_gone":     "the end-user is gone from Dixa: look for the conversation by hand",
	"look_failed":       "Dixa did not answer while it was looked for: run again when it does",
	"source_missing":    "the source does not hold the record any more: put it back, run again",
	"attributes_unset":  "imported, but the attributes could not be set: run again",
}

// advice is what to do about an error code, "" for one that needs nothing done.
func advice(code string) string { return advices[code] }
