package checkpoint

import (
	"context"
)

// Store is the checkpoint, in Postgres or SQLite; Open chooses.
//
// Every write is durable when the method returns: it survives a kill -9 and a loss of power. Every write may be repeated
// after an error that Retryable accepts, with the same outcome as if it had been made once; StartRun, however, may leave
// a run that never ends, and ReserveEndUsers says Doubt of its own first attempt. Clocks are the database's.
//
// A Store may be used by several goroutines at once. Text that the database cannot hold (NUL bytes, invalid UTF-8) is
// stored with U+FFFD in its place.
//
// What a run does for every transcript is written by hand for each database, two files side by side; all else is written once, in the
// words that both lists.
type Store struct{ database }

// RateSlots returns the rate slots that the processes at this checkpoint share, false on SQLite, where one works at a time.
func (s *Store) RateSlots() (RateSlots, bool) {
	b, ok := s.database.(RateSlots)
	return b, ok
}

// database is what Postgres and SQLite do each in their own way.
type database interface {
	// Close ends what the store holds open. Only the first call counts.
	Close() error

	// Migrate creates or upgrades the schema and returns the version that was there and the one that is there now.
	Migrate(ctx context.Context) (from, to int64, err error)
	// CheckSchema returns ErrSchemaMissing or a *SchemaError when the schema is not the one that this program needs.
	CheckSchema(ctx context.Context) error

	// StartRun records a run, takes its lease and returns its id. On SQLite it gives a *BusyError while another process works.
	StartRun(ctx context.Context, source, command string) (int64, error)

	// Lookup returns what is known of the transcripts with these ids; those that are unknown are not in the map. Held is
	// seen from the run.
	Lookup(ctx context.Context, source string, run int64, ids []string) (map[string]Row, error)
	// Unfinished returns up to limit transcripts that are Sending or Imported and claimed by no run that is alive nor by the
	// run itself, with ids greater than after, in the order of their ids.
	Unfinished(ctx context.Context, source string, run int64, after string, limit int) ([]Row, error)
	// Claim claims transcripts for the run and returns the row of each as the claim leaves it, as in a Result. The zero Row stands
	// for those that it did not get: another run took them first, or holds them and is alive. No id may be asked for twice in one call.
	Claim(ctx context.Context, source string, run int64, requests []ClaimRequest) ([]Row, error)
	// Write applies changes, those of one transcript in their order, and says what became of each.
	Write(ctx context.Context, source string, run int64, changes []Change) ([]Result, error)
	// Select returns the transcripts that a filter chooses, in the order of their ids. Held is seen from the run.
	Select(ctx context.Context, source string, run int64, f Filter) ([]Row, error)
	// Conversations returns which of these conversations of the source's organisation the checkpoint holds.
	Conversations(ctx context.Context, source string, ids []int64) (map[int64]bool, error)
	// Holders returns which transcripts of the source have these conversations, by conversation.
	Holders(ctx context.Context, source string, conversations []int64) (map[int64]string, error)
	// PartialErrorsOf returns the partial errors of many transcripts, by id; those that have none are not in the map.
	PartialErrorsOf(ctx context.Context, source string, ids []string) (map[string][]PartialError, error)

	// FindEndUsers returns the end-users that these identifiers are known to belong to.
	FindEndUsers(ctx context.Context, organisation string, ids []Identifier) (map[Identifier]string, error)
	// JoinEndUser is SaveEndUsers for an end-user that was found by the last of its identifiers: the others, stronger ones, are
	// recorded only if no other one of their kinds, beside those in seen, is known of the end-user by then. It reports whether they
	// were. Of several who say so of one end-user at the same time, one is right.
	JoinEndUser(ctx context.Context, organisation string, user EndUser, seen []Identifier) (joined bool, err error)
	// ReserveEndUsers reserves, for each person, all of its identifiers or none, each person in a transaction of its own or
	// under a savepoint. No identifier may occur in two persons of one call.
	ReserveEndUsers(ctx context.Context, organisation string, run int64, persons [][]Identifier) ([]Reservation, error)
	// SaveEndUsers records whose the identifiers are, in place of what was recorded or reserved.
	SaveEndUsers(ctx context.Context, organisation string, users []EndUser) error

	// read runs a query, and write statements in one transaction, which is durable when write returns.
	read(ctx context.Context, doing string, st statement) error
	write(ctx context.Context, doing string, statements ...statement) error
	// runEnded gives up what a run that StartRun began has kept to itself.
	runEnded(run int64)
	// erase removes from the disk what was deleted.
	erase(ctx context.Context) error
}
