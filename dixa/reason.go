package dixa

import (
	"bytes"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Reason is what a refusal or a partial error is about. It is decided once, by the whole of what Dixa said and before anything in that is
// masked: a text that only contains Dixa's words may repeat a customer's. ReasonUnknown is everything else. Reasons are recorded in the
// checkpoint, so they keep their names.
type Reason string

// The reasons that Dixa documents and that are worth telling apart, and ReasonPage.
const (
	ReasonUnknown            Reason = ""
	ReasonRequesterMissing   Reason = "requester_missing"   // import: the requesterId is no end-user
	ReasonAgentUnknown       Reason = "agent_unknown"       // import: an agentId is no agent
	ReasonChannelUnsupported Reason = "channel_unsupported" // import, availability: the organisation does not have the channel
	ReasonAttachment         Reason = "attachment"          // import, also as a partial error: Dixa cannot get an attachment
	ReasonMessage            Reason = "message"             // import: a message cannot be taken over
	ReasonUnreadable         Reason = "unreadable"          // Dixa cannot read the request
	ReasonExists             Reason = "exists"              // creation: somebody has an identifier of the end-user, or may have it
	ReasonUnauthorised       Reason = "unauthorised"        // the token may not do this
	ReasonQueueMissing       Reason = "queue_missing"       // transfer: there is no such queue
	ReasonNotFound           Reason = "not_found"           // what follows an import, webhooks: the conversation, or what else is named, is not there
	ReasonConversationID     Reason = "conversation_id"     // the conversation's id is not that of an import
	ReasonUnassigned         Reason = "unassigned"          // import, as a partial error: nobody's
	ReasonPage               Reason = "page"                // a page of HTML: the answer may be that of something before Dixa, such as a firewall
	ReasonDenied             Reason = "denied"              // 401 or 403 in words that Dixa does not document, for what others may do
)

// wording is how Dixa says a reason, as a whole, in lower case.
type wording struct {
	reason   Reason
	statuses []int
	ops      []Operation // nil: all
	says     *regexp.Regexp
}

func whole(pattern string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + pattern + `)$`) }

var (
	creations = []Operation{OpCreateEndUser, OpCreateEndUsers}
	imports   = []Operation{OpImport}
	badInput  = []int{http.StatusBadRequest}
	// entities are the operations of which a 404 is about what they name, and another 404 about themselves.
	entities = []Operation{OpTransfer, OpReopen, OpAddTag, OpListConversationTags, OpOfferRating, OpSubmitRating, OpListRatings, OpCreateNotes, OpListNotes,
		OpLink, OpListLinked, OpGetWebhook, OpDeleteWebhook, OpListDeliveries, OpListDeliveryStatuses,
		OpAnonymizeConversation, OpAnonymizeEndUser, OpGetAnonymization}

	wordings = []wording{
		{ReasonRequesterMissing, badInput, imports, whole(`requester does not exist`)},
		{ReasonAgentUnknown, badInput, imports, whole(`agent does not exist`)},
		{ReasonChannelUnsupported, badInput, imports, whole(`unsupported conversationchannel`)},
		{ReasonAttachment, badInput, imports, whole(`failure to download attachment`)},
		{ReasonMessage, badInput, imports, whole(`invalid input for message`)},
		{ReasonUnreadable, badInput, nil, whole(`decoding failure in request`)},
		{ReasonExists, badInput, creations, whole(`validation failure during enduser creation|duplicate (?:email address|phone number)`)},
		// The variable parts are an id of Dixa's, or words without space, and the names of errors.
		{ReasonExists, badInput, creations, whole(`(?:create enduser (?:\[userid=[^\[\]\s]*\]|\S+)(?: (?:in|for) \S+)* )?failed with \[errors=(?:[a-z]+ ?, ?)*` +
			`(?:email|phonenumber|phone|externalid)(?:already)?exists(?: ?, ?[a-z]+)*\]`)},
		{ReasonQueueMissing, badInput, []Operation{OpTransfer, OpAvailability}, whole(`queue does not exist`)},
		{ReasonNotFound, []int{http.StatusNotFound}, entities, whole(`the requested resource could not be found`)},
		{ReasonConversationID, badInput, nil, whole(`invalid value for: path parameter conversationid`)},
		{ReasonUnauthorised, []int{http.StatusUnauthorized, http.StatusForbidden}, nil, whole(`user is unauthorized to perform an underlying operation`)},
	}
	partialWordings = []wording{
		{reason: ReasonUnassigned, says: whole(`the conversation could not be assigned`)},
		{reason: ReasonAttachment, says: whole(`invalid attachment url in message\. externalid: \S+`)},
	}
)

// plainWords are a message as it is compared: on one line, in lower case, without a full stop at its end.
func plainWords(message string) string {
	return strings.TrimSpace(strings.TrimSuffix(strings.ToLower(oneLine(message)), "."))
}

// reasonOf decides what a refusal means, by everything that Dixa said.
func reasonOf(op Operation, status int, message string) Reason {
	words := plainWords(message)
	for _, w := range wordings {
		if slices.Contains(w.statuses, status) && (w.ops == nil || slices.Contains(w.ops, op)) && w.says.MatchString(words) {
			return w.reason
		}
	}
	switch {
	case status == http.StatusConflict && slices.Contains(creations, op):
		return ReasonExists
	case status == http.StatusConflict && op == OpAvailability:
		return ReasonChannelUnsupported
	}
	return ReasonUnknown
}

// partialReason decides what a partial error means.
func partialReason(message string) Reason {
	words := plainWords(message)
	for _, w := range partialWordings {
		if w.says.MatchString(words) {
			return w.reason
		}
	}
	return ReasonUnknown
}

// Documented reports whether the reason is one of Dixa's own.
func (r Reason) Documented() bool { return r != ReasonUnknown && r != ReasonPage && r != ReasonDenied }

// ReasonOf returns the reason of an error that is or wraps an APIError, ReasonUnknown of any other.
func ReasonOf(err error) Reason {
	if api, ok := errors.AsType[*APIError](err); ok && api != nil {
		return api.Reason
	}
	return ReasonUnknown
}

// AlreadyExists reports whether Dixa refused to create an end-user because somebody has the email, phone number or external
// id already, or may have: look them up again.
func AlreadyExists(err error) bool { return ReasonOf(err) == ReasonExists }

// newAPIError makes the error of a refusal with a message of Dixa's, which is cleaned of what the request said of customers and of
// whatever looks like an address or a number. What Dixa says word for word in its description is nobody's secret.
func newAPIError(op Operation, status int, message string, said private) *APIError {
	e := &APIError{Operation: op, Status: status, Reason: reasonOf(op, status, message)}
	if e.Reason != ReasonUnknown && fixed[plainWords(message)] {
		said = nil
	}
	e.Message = cleanKeeping(message, "", said)
	return e
}

// fixed are the wordings without variable parts.
var fixed = func() map[string]bool {
	texts := map[string]bool{}
	for _, w := range wordings {
		text := strings.TrimSuffix(strings.TrimPrefix(w.says.String(), `^(?:`), `)$`)
		if !strings.ContainsAny(text, `\[(|`) {
			texts[text] = true
		}
	}
	texts["validation failure during enduser creation"] = true
	return texts
}()

// isPage reports whether the body of an answer is a page for people, such as a firewall or a proxy on the way shows: Dixa's own
// answers are JSON.
func isPage(contentType string, body []byte) bool {
	begin := bytes.ToLower(bytes.TrimSpace(body[:min(len(body), 512)]))
	return strings.Contains(strings.ToLower(contentType), "html") || bytes.HasPrefix(begin, []byte("<!doctype html")) || bytes.HasPrefix(begin, []byte("<html"))
}
