package source

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// transient says whether a read is worth trying again: the database is away, starting, failing over or overloaded.
// What it answers to the statement itself comes back however often one asks.
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
	if errors.As(err, &answer) {
		// Not wrapped: the message of the cause may quote values.
		return fmt.Errorf("%s: %s: %s", doing, describeError(err), cureOf(answer.Code))
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%s: %w: check that the database runs and that its address is right", doing, bareConnect(err))
}

// describeError returns the text of an error without what could be customer data.
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
	case strings.HasPrefix(code, "28"):
		return "check the user and the password in the URL of the source database"
	case code == "3D000":
		return "check the database name in the URL of the source database"
	case code == "42501":
		return "grant the user the right to select from the tables of the query"
	case strings.HasPrefix(code, "42"):
		return "correct the query of the source"
	case strings.HasPrefix(code, "22"), strings.HasPrefix(code, "P0"):
		return "find the row with the query in psql, and correct the row or the query"
	case code == "25006":
		return "the query must only read: take out what writes"
	case code == "57014":
		return "give the query an index on closed_at and id, or raise the user's statement_timeout"
	}
	return "see the log of the source database"
}
