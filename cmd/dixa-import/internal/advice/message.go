package advice

import (
	"regexp"
	"strings"

	"dixa-import/importer/checkpoint"
)

// saysNoMore are the codes whose message says nothing that the code does not, but in many ways.
var saysNoMore = map[string]bool{"unavailable": true, "not_found": true, "look_failed": true, "end_user_gone": true,
	"source_missing": true, "end_user_conflict": true, "end_user_missing": true, "unreadable": true, "conversation_taken": true,
	"attributes_unset": true, "file_damaged": true, "duplicate_id": true, "invalid_json": true}

// commonMessage is what the error of a transcript says about others, too.
func commonMessage(r checkpoint.Row) string {
	if saysNoMore[r.ErrorCode] && (r.Status != checkpoint.Imported || r.Reason == "") {
		return ""
	}
	if r.Status == checkpoint.Rejected { // the reader's words, with an example of a time in them
		return anyIndex.ReplaceAllString(WithoutPlace(r), "[N]")
	}
	return normalise(Fact(r))
}

var placePrefix = regexp.MustCompile(`^(?:postgres:\S*|.+?:\d+(?:\.\d+)?): `)

// WithoutPlace is the reason of a rejection; its place stands before it.
func WithoutPlace(r checkpoint.Row) string {
	if rest, ok := strings.CutPrefix(r.Error, r.ID+": "); ok {
		return rest
	}
	return r.Error[len(placePrefix.FindString(r.Error)):]
}

// What differs between messages that mean the same.
var (
	anyUUID   = regexp.MustCompile(`[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`)
	anyURL    = regexp.MustCompile(`\bhttps?://\S+`)
	anyName   = regexp.MustCompile(`(?i)(external_?id: ?)\S+`)
	anyIndex  = regexp.MustCompile(`\[\d+\]`)
	anyNumber = regexp.MustCompile(`\b\d+\b`)
	status    = regexp.MustCompile(`\b[1-5]\d\d\b`)
)

// messageMax is how many characters of a message tell causes apart.
const messageMax = 200

// normalise leaves out of a message what differs between transcripts. The status of an answer stays.
func normalise(message string) string {
	message = anyUUID.ReplaceAllString(message, "<id>")
	message = anyURL.ReplaceAllString(message, "<url>")
	message = anyName.ReplaceAllString(message, "${1}<id>")
	message = anyNumber.ReplaceAllStringFunc(message, func(n string) string {
		if status.MatchString(n) {
			return n
		}
		return "N"
	})
	if runes := []rune(message); len(runes) > messageMax {
		message = string(runes[:messageMax]) + "..."
	}
	return message
}
