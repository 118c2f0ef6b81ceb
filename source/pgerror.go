package source

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// transient reports whether a read should be retried because the database is unavailable, starting, failing over or overloaded. An answer
// about the statement itself would be the same again.
func transient(err error) bool {
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		return true
	}
	switch answer.Code {
	case "57014": // query_canceled: a statement timeout
		return false
	case "55P03": // lock_not_available
		return true
	}
	switch answer.Code[:min(2, len(answer.Code))] {
	case "08", "40", "53", "57", "58":
		return true
	}
	return false
}

// failure is what the user sees of a read that went wrong.
func (s *Postgres) failure(doing string, err error) error {
	var answer *pgconn.PgError
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) && !errors.Is(err, context.Canceled) {
		return connectFailure(doing, connect)
	}
	if errors.As(err, &answer) {
		// Not wrapped: the message of the cause may quote values.
		return fmt.Errorf("%s: %s: %s", doing, describeError(err), cureOf(answer.Code))
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%s: %w: check that the database runs and that its address is right", doing, bareConnect(err))
}

// connectError reports a failed connection. The text of its cause may contain more than may be shown.
type connectError struct {
	text  string
	cause *pgconn.ConnectError
}

func (e *connectError) Error() string { return e.text }

func (e *connectError) Unwrap() error { return e.cause }

// connectFailure is what the user sees of a failed connection. A server's answer at that point is about the URL.
func connectFailure(doing string, err *pgconn.ConnectError) error {
	cause, cure := err.Unwrap().Error(), "check that the database runs and that its address is right"
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		cause = fmt.Sprintf("SQLSTATE %s: %s", answer.Code, answer.Message)
		switch {
		case strings.HasPrefix(answer.Code, "28"):
			cure = "check the user and the password in the URL of the source database"
		case answer.Code == "3D000":
			cure = "check the database name in the URL of the source database"
		case strings.HasPrefix(answer.Code, "42"), strings.HasPrefix(answer.Code, "22"), strings.HasPrefix(answer.Code, "08"):
			cure = "correct the parameters in the URL of the source database, or the time zone"
		case strings.HasPrefix(answer.Code, "53"):
			cure = "wait until the database has room for another connection"
		}
	}
	return &connectError{fmt.Sprintf("%s: %s: %s", doing, cause, cure), err}
}

// describeError returns the text of an error without anything that could be customer data.
func describeError(err error) string {
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		return bareConnect(err).Error()
	}
	message := answer.Message
	if strings.HasPrefix(answer.Code, "22") || strings.HasPrefix(answer.Code, "P0") {
		message = "a value does not suit the query (the message is withheld, it may quote the value)"
	}
	return fmt.Sprintf("SQLSTATE %s: %s", answer.Code, message)
}

// bareConnect leaves out what pgx puts before the cause of a failed connection.
func bareConnect(err error) error {
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return connect.Unwrap()
	}
	return err
}

func cureOf(code string) string {
	switch {
	case code == "42501":
		return "grant the user the right to select from the tables of the query"
	case strings.HasPrefix(code, "42"):
		return "correct the query of the source"
	case strings.HasPrefix(code, "22"), strings.HasPrefix(code, "P0"):
		return "find the row with the query in psql, and correct the row or the query"
	case code == "25006":
		return "the query must only read: remove what writes"
	case code == "57014":
		return "give the query an index on closed_at and id, or raise the user's statement_timeout"
	}
	return "see the log of the source database"
}
