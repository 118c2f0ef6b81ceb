package importer

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
)

// fatalError ends the whole run: a person must act.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

func fatal(err error) error { return &fatalError{err} }

func isFatal(err error) bool {
	var f *fatalError
	return errors.As(err, &f)
}

// advisedError adds what to do to an error.
type advisedError struct {
	err    error
	advice string
}

func (e *advisedError) Error() string { return e.err.Error() + ": " + e.advice }
func (e *advisedError) Unwrap() error { return e.err }

// fatalAnswer is an answer that every other transcript would get, too, with advice.
func fatalAnswer(err error) error {
	var api *dixa.APIError
	advice := "run again when Dixa answers"
	if errors.As(err, &api) {
		switch {
		case api.Status == http.StatusUnauthorized:
			advice = "the token is wrong or was revoked: put a valid one into dixa.token, and run again"
		case api.Status == http.StatusForbidden:
			advice = "the token may not do this: use the token of a bot user or one with more rights, and run again"
		case isAgentUnknown(err):
			advice = "set dixa.agent_id to the UUID of the bot user (it is inside the bot's token), and run again"
		case isChannelUnsupported(err):
			advice = "the organisation does not have the channel genericapimessaging: ask Dixa to enable it, and run again"
		}
	}
	return fatal(&advisedError{err, advice})
}

// stopsRun says whether an answer to a look-up, a creation, an import or a PATCH concerns every transcript.
func stopsRun(err error) bool {
	return hasStatus(err, http.StatusUnauthorized, http.StatusForbidden) || isAgentUnknown(err) || isChannelUnsupported(err)
}

// refusedOptional says whether the token may not use an operation that the run can do without.
func refusedOptional(err error) bool {
	return hasStatus(err, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound)
}

func hasStatus(err error, statuses ...int) bool {
	var api *dixa.APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, s := range statuses {
		if api.Status == s {
			return true
		}
	}
	return false
}

// The 400 messages of an import that are told apart; their wording is the vendor's.
func isRequesterMissing(err error) bool   { return says400(err, "requester does not exist") }
func isAgentUnknown(err error) bool       { return says400(err, "agent does not exist") }
func isChannelUnsupported(err error) bool { return says400(err, "unsupported conversationchannel") }
func isAboutAttachment(err error) bool    { return says400(err, "attachment") }

func says400(err error, words string) bool {
	var api *dixa.APIError
	return errors.As(err, &api) && api.Status == http.StatusBadRequest && strings.Contains(strings.ToLower(api.Message), words)
}

// namedMessage finds the external id of the message that a partial error is about; the wording is the vendor's.
var namedMessage = regexp.MustCompile(`(?i)external_?id:\s*(\S+)`)

// partialErrors sorts the partial errors of an import.
func partialErrors(messages []string) []checkpoint.PartialError {
	var out []checkpoint.PartialError
	for _, m := range messages {
		p := checkpoint.PartialError{Kind: checkpoint.KindOther, Message: m}
		lower := strings.ToLower(m)
		switch {
		case strings.Contains(lower, "attachment"):
			p.Kind = checkpoint.KindAttachment
		case strings.Contains(lower, "assign"):
			p.Kind = checkpoint.KindAssignment
		case strings.Contains(lower, "attribute"):
			p.Kind = checkpoint.KindAttribute
		case strings.Contains(lower, "message"):
			p.Kind = checkpoint.KindMessage
		}
		if found := namedMessage.FindStringSubmatch(m); found != nil {
			p.MessageExternalID = strings.TrimRight(found[1], ".,;")
		}
		out = append(out, p)
	}
	return out
}
