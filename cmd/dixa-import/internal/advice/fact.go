package advice

import (
	"regexp"
	"strings"

	"dixa-import/importer/checkpoint"
)

// Fact returns what happened to a transcript: its recorded error, without the advice that versions before the column reason wrote behind it.
func Fact(r checkpoint.Row) string {
	fact, _ := split(r)
	return fact
}

// split divides the recorded error of a transcript into what happened and the advice of an earlier version, "" if there is none. The
// words of readers about rejected records are facts as a whole: they name the field and what it may be.
func split(r checkpoint.Row) (fact, advice string) {
	if r.Status == checkpoint.Rejected || r.Reason != "" {
		return r.Error, ""
	}
	for _, said := range earlierAdvice {
		if fact, ok := strings.CutSuffix(r.Error, ": "+said); ok {
			return fact, said
		}
	}
	if at := earlierDenied.FindStringSubmatchIndex(r.Error); at != nil {
		return r.Error[:at[3]], r.Error[at[4]:at[5]]
	}
	return r.Error, ""
}

// earlierAdvice are the words that earlier versions wrote behind errors.
var earlierAdvice = []string{
	"correct the record",
	"make the attachment's URL reachable for Dixa, or remove it",
	"Dixa does not accept something in a message: look at its text and attachments",
	"Dixa could not read the request: look for unusual ids, times and texts",
	"correct the agent_id of the record's messages, or leave it out",
	"set dixa.agent_id to the UUID of the bot user if all transcripts get this answer, and run `dixa-import retry`",
	"other transcripts do not get this answer: run `dixa-import retry`",
	"run `dixa-import retry` in a while",
	"run `dixa-import retry` when they do",
	"run `dixa-import retry` when Dixa answers again",
	"run `dixa-import retry` when Dixa is well",
	"put it back and run again",
	"run again when it does",
	"run again",
	"the next run looks again",
	"look for the conversation by hand, then settle it with `dixa-import retry`",
	"use one with more rights, or look by hand, then settle it with `dixa-import retry`",
	"look in Dixa, then settle it with `dixa-import retry --id ID` and --conversation N (this is it), --resend (it is not there) or --drop",
	"look in Dixa for an end-user with this email or phone number and correct it, or correct the record",
	"correct the end-user's fields in the record",
	"look at both in Dixa",
}

// earlierDenied finds what earlier versions wrote behind a 401 or 403 for one record.
var earlierDenied = regexp.MustCompile(`(: 40[13] (?:with an HTML page, probably a firewall that objects to something in it, for|for this one, although) ` +
	`Dixa accepts the token elsewhere): (have the firewall let it through.*|look in Dixa what is special about it.*)$`)
