package session

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"dixa-import/dixa"
)

// ErrStopped is the error of work that had not begun when the command was stopped.
var ErrStopped = errors.New("the run is stopping")

// StopError is the cause of a stop that a person or a limit asked for.
type StopError struct{ Reason string }

func (e *StopError) Error() string { return e.Reason }

// ConfigError says that the configuration does not fit the organisation in Dixa.
type ConfigError struct{ Problem string }

func (e *ConfigError) Error() string { return e.Problem }

// fatalError ends the whole run: a person must act.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

// Fatal marks an error as one that ends the whole run.
func Fatal(err error) error { return &fatalError{err} }

// IsFatal reports whether an error ends the whole run.
func IsFatal(err error) bool {
	_, ok := errors.AsType[*fatalError](err)
	return ok
}

// advisedError adds what to do to an error.
type advisedError struct {
	err    error
	advice string
}

func (e *advisedError) Error() string { return e.err.Error() + ": " + e.advice }
func (e *advisedError) Unwrap() error { return e.err }

// Advise appends to an error what to do about it.
func Advise(err error, advice string) error { return &advisedError{err, advice} }

// FatalAnswer returns a fatal error, with advice, for an answer that Dixa would give to every other transcript too.
func FatalAnswer(err error) error {
	if IsFatal(err) {
		return err
	}
	var api *dixa.APIError
	advice := "run again when Dixa answers"
	if errors.As(err, &api) {
		switch {
		case Denied(err) && api.Reason == dixa.ReasonPage:
			advice = "it is an HTML page, probably of a firewall or a proxy in front of Dixa: allow this machine's requests there, and run again"
		case api.Status == http.StatusUnauthorized:
			advice = "the token is wrong or was revoked: put a valid one into dixa.token, and run again"
		case api.Status == http.StatusForbidden:
			advice = "the token may not do this: use the token of a bot user or one with more rights, and run again"
		case api.Reason == dixa.ReasonAgentUnknown:
			advice = "set dixa.agent_id to the UUID of the bot user (it is inside the bot's token), and run again"
		case api.Reason == dixa.ReasonChannelUnsupported:
			advice = "the organisation does not have the channel genericapimessaging: ask Dixa to enable it, and run again"
		}
	}
	return Fatal(Advise(err, advice))
}

// HasStatus reports whether err is an answer of Dixa with one of these HTTP statuses.
func HasStatus(err error, statuses ...int) bool {
	api, ok := errors.AsType[*dixa.APIError](err)
	return ok && slices.Contains(statuses, api.Status)
}

// Denied reports whether Dixa answered 401 or 403.
func Denied(err error) bool { return HasStatus(err, http.StatusUnauthorized, http.StatusForbidden) }

// RefusedOptional reports whether Dixa answered 401, 403 or 404, after which the command continues without an optional operation.
func RefusedOptional(err error) bool {
	return HasStatus(err, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound)
}

// ContextError returns err if a context that ended is its cause, else nil.
func ContextError(err error) error {
	if errors.Is(err, ErrStopped) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
