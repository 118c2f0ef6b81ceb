package dixa

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Operation names what a request was for. It is the beginning of every error's text.
type Operation string

// The operations of this package.
const (
	OpLookUpEndUser     Operation = "look up end-user"
	OpCreateEndUser     Operation = "create end-user"
	OpCreateEndUsers    Operation = "create end-users"
	OpListEndUsers      Operation = "list end-users"
	OpGetEndUser        Operation = "get end-user"
	OpRenameEndUser     Operation = "rename end-user"
	OpListConversations Operation = "list conversations"
	OpGetConversation   Operation = "get conversation"
	OpListMessages      Operation = "list messages"
	OpImport            Operation = "import"
	OpPatchAttributes   Operation = "patch attributes"
	OpListAttributes    Operation = "list attributes"
	OpListQueues        Operation = "list queues"
	OpGetOrganization   Operation = "get organization"
	OpListWebhooks      Operation = "list webhooks"
	OpAvailability      Operation = "get queue availability"
	OpTransfer          Operation = "transfer"
	OpReopen            Operation = "reopen"
	OpListTags          Operation = "list tags"
	OpCreateTag         Operation = "create tag"
	OpAddTag            Operation = "add tag"
	OpOfferRating       Operation = "offer rating"
	OpSubmitRating      Operation = "submit rating"
	OpListRatings       Operation = "list ratings"
	OpCreateNotes       Operation = "create notes"
	OpListNotes         Operation = "list notes"
	OpLink              Operation = "link"

	OpListConversationTags Operation = "list tags of conversation"
	OpListLinked           Operation = "list linked conversations"
	OpCreateWebhook        Operation = "create webhook"
	OpGetWebhook           Operation = "get webhook"
	OpDeleteWebhook        Operation = "delete webhook"
	OpListDeliveries       Operation = "list webhook deliveries"
	OpListDeliveryStatuses Operation = "list webhook delivery statuses"

	OpAnonymizeConversation Operation = "anonymize conversation"
	OpAnonymizeEndUser      Operation = "anonymize end-user"
	OpGetAnonymization      Operation = "get anonymization request"

	OpExportConversations Operation = "export conversations"
	OpExportMessages      Operation = "export messages"
)

// APIError is an answer whose status is neither 2xx nor 429. Redirects are among them: they are not followed.
type APIError struct {
	Operation Operation
	Status    int
	Reason    Reason // what it is about, where that is known
	// Message is what Dixa said, cleaned of email addresses and phone numbers and cut at 300 characters, or
	// such as "502 Bad Gateway (text/html)" where the body is not Dixa's.
	Message string
}

func (e *APIError) Error() string {
	if status := strconv.Itoa(e.Status); !strings.HasPrefix(e.Message, status) {
		return fmt.Sprintf("%s: Dixa answered %s: %s", e.Operation, status, e.Message)
	}
	return fmt.Sprintf("%s: Dixa answered %s", e.Operation, e.Message)
}

// NotApplied is true for the refusals: 4xx, except 408, after which the request may still be under way.
func (e *APIError) NotApplied() bool {
	return e.Status >= 400 && e.Status < 500 && e.Status != http.StatusRequestTimeout
}

// RateLimitError is an answer with status 429. The client waits and repeats by itself, so a caller sees it only when
// the context ended meanwhile, and as the previous error of an import's attempt.
type RateLimitError struct {
	Operation  Operation
	RetryAfter time.Duration // what the answer asked for, 0 if it did not say
}

func (e *RateLimitError) Error() string {
	if e.RetryAfter > 0 {
		return fmt.Sprintf("%s: Dixa answered 429: too many requests, retry after %s", e.Operation, e.RetryAfter)
	}
	return fmt.Sprintf("%s: Dixa answered 429: too many requests", e.Operation)
}

// NotApplied is true: a throttled request was refused at the gate.
func (e *RateLimitError) NotApplied() bool { return true }

// TransportError is a request that got no answer.
type TransportError struct {
	Operation Operation
	Err       error // without URLs; a context's error if the context ended
	Written   bool  // anything may have reached the server
}

func (e *TransportError) Error() string {
	if e.Written {
		return fmt.Sprintf("%s: no answer from Dixa: %v", e.Operation, e.Err)
	}
	return fmt.Sprintf("%s: Dixa was not reached: %v", e.Operation, e.Err)
}

func (e *TransportError) Unwrap() error { return e.Err }

// NotApplied is true if nothing was written: the dial, the name lookup or the TLS handshake failed, or it had become too
// late for the request to begin.
func (e *TransportError) NotApplied() bool { return !e.Written }

// AnswerError is an answer of success that cannot be read, or lacks what it must have.
type AnswerError struct {
	Operation Operation
	Status    int
	Err       error
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("%s: Dixa answered %d, but the answer is unusable: %v", e.Operation, e.Status, e.Err)
}

func (e *AnswerError) Unwrap() error { return e.Err }

// NotApplied is false: Dixa reported success.
func (e *AnswerError) NotApplied() bool { return false }

// unsentError is why a request did not leave at all: the context ended first, or the arguments are of no use.
type unsentError struct {
	op  Operation
	err error
}

func (e *unsentError) Error() string    { return fmt.Sprintf("%s: not sent: %v", e.op, e.err) }
func (e *unsentError) Unwrap() error    { return e.err }
func (e *unsentError) NotApplied() bool { return true }

// repeatedError is the last error of a request of which an earlier attempt may have been applied, so that the last
// one's refusal proves nothing.
type repeatedError struct{ error }

func (e *repeatedError) Unwrap() error    { return e.error }
func (e *repeatedError) NotApplied() bool { return false }

// NotApplied reports whether the request is known not to have been applied: Dixa refused it (4xx except 408, and 429), or
// nothing of it was written to the network. Everything else is doubt.
func NotApplied(err error) bool {
	var known interface{ NotApplied() bool }
	return errors.As(err, &known) && known.NotApplied()
}

// Refused reports whether err is an answer of Dixa, or of something before it, that the request as it is will not be done. All other errors
// say nothing about the request: it did not leave, or had no answer that can be understood.
func Refused(err error) bool {
	_, ok := errors.AsType[*APIError](err)
	return ok && !Transient(err) && NotApplied(err)
}

// NotOffered reports whether Dixa answered that the token cannot use an operation at all: 401 or 403, or a 404, 405, 410 or 501 in other words
// than those in which Dixa says that the conversation, or whatever else a request names, does not exist. Operations that Dixa publishes as beta
// may be answered like this.
func NotOffered(err error) bool {
	api, ok := errors.AsType[*APIError](err)
	if !ok {
		return false
	}
	switch api.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusGone, http.StatusNotImplemented:
		return true
	case http.StatusNotFound:
		return api.Reason != ReasonNotFound
	}
	return false
}

// Transient reports whether an idempotent request is worth repeating after this error: no or no readable answer, 5xx, 408
// and 429. An error that is the end of a context is not.
func Transient(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if api, ok := errors.AsType[*APIError](err); ok {
		return api.Status >= 500 || api.Status == http.StatusRequestTimeout
	}
	_, transport := errors.AsType[*TransportError](err)
	_, answer := errors.AsType[*AnswerError](err)
	_, throttled := errors.AsType[*RateLimitError](err)
	_, resting := errors.AsType[*RestingError](err)
	return transport || answer || throttled || resting
}
