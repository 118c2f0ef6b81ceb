package checkpoint

import (
	"context"
)

// Store is the checkpoint, in Postgres or SQLite; the URL decides, see Open.
//
// Every write is durable when the method returns: it survives a kill -9 and a power failure. After an error that Retryable accepts, every
// write may be repeated, with the same outcome as a single one. There are two exceptions: StartRun may leave a run that never ends, and
// ReserveEndUsers may report Doubt because of its own first attempt. All times are by the database's clock.
//
// A Store may be used by several goroutines at once. It stores text that the database cannot hold (NUL bytes, invalid UTF-8) with U+FFFD
// in its place.
//
// The operations that a run performs for every transcript are written separately for each database, in two files side by side. All others
// are written once, with the macros of both.
type Store struct{ database }

// RateSlots returns the rate slots that the processes with this checkpoint share.
func (s *Store) RateSlots() RateSlots { return s.database }

// database has the operations that differ between Postgres and SQLite.
type database interface {
	RateSlots

	// Close closes the database. Only the first call has an effect.
	Close() error

	// Migrate creates or upgrades the schema and returns its version before and after.
	Migrate(ctx context.Context) (from, to int64, err error)
	// CheckSchema returns ErrSchemaMissing or a *SchemaError if the schema is not the one that this program needs.
	CheckSchema(ctx context.Context) error

	// StartRun records a run, takes its lease and returns its id. On SQLite it returns a *BusyError while another process is using the
	// file.
	StartRun(ctx context.Context, source, command string) (int64, error)

	// Lookup returns the rows of the transcripts with these ids, by id; unknown ones are not in the map. Held is relative to the run.
	Lookup(ctx context.Context, source string, run int64, ids []string) (map[string]Row, error)
	// Complete returns the conversations of those of these transcripts that are Complete with these content hashes, and 0 for the others. It is
	// several times faster than Lookup.
	Complete(ctx context.Context, source string, ids, hashes []string) ([]int64, error)
	// Unfinished returns up to limit transcripts that are Sending or Imported and claimed neither by a run that is alive nor by this
	// run, with ids greater than after, in the order of their ids.
	Unfinished(ctx context.Context, source string, run int64, after string, limit int) ([]Row, error)
	// Claim claims transcripts for the run. It returns the row of each after the claim, with the fields that a Result.Row has, or the
	// zero Row if the claim failed: another run claimed the transcript first, or has it and is alive. An id may occur only once in a call.
	Claim(ctx context.Context, source string, run int64, requests []ClaimRequest) ([]Row, error)
	// Write applies changes, those of one transcript in order, and returns the result of each.
	Write(ctx context.Context, source string, run int64, changes []Change) ([]Result, error)
	// Select returns the transcripts that match a filter, in the order of their ids. Held is relative to the run.
	Select(ctx context.Context, source string, run int64, f Filter) ([]Row, error)
	// Conversations returns which of these conversations of the source's organisation are in the checkpoint, also those whose import was
	// undone.
	Conversations(ctx context.Context, source string, ids []int64) (map[int64]bool, error)
	// Holders returns the transcripts of the source that have these conversations, by conversation.
	Holders(ctx context.Context, source string, conversations []int64) (map[int64]string, error)
	// PartialErrorsOf returns the partial errors of transcripts, by id; transcripts without any are not in the map.
	PartialErrorsOf(ctx context.Context, source string, ids []string) (map[string][]PartialError, error)

	// FindEndUsers returns the recorded end-users of these identifiers.
	FindEndUsers(ctx context.Context, organisation string, ids []Identifier) (map[Identifier]string, error)
	// JoinEndUser is SaveEndUsers for an end-user that was found by the last of its identifiers. It records them only if the end-user has
	// no recorded identifiers of the kinds of the other, stronger ones, except these and those in seen. It reports whether it recorded
	// them. If several calls give one end-user different identifiers at the same time, only one succeeds.
	JoinEndUser(ctx context.Context, organisation string, user EndUser, seen []Identifier) (joined bool, err error)
	// ReserveEndUsers reserves, for each person, all of its identifiers or none. An identifier may occur in only one person of a call.
	ReserveEndUsers(ctx context.Context, organisation string, run int64, persons [][]Identifier) ([]Reservation, error)
	// SaveEndUsers records the end-users of identifiers. It replaces earlier end-users and reservations.
	SaveEndUsers(ctx context.Context, organisation string, users []EndUser) error

	// read runs a query. write runs statements in one transaction, which is durable when write returns.
	read(ctx context.Context, doing string, st statement) error
	write(ctx context.Context, doing string, statements ...statement) error
	// runEnded releases what the store holds for a run that StartRun started.
	runEnded(run int64)
	// erase removes deleted data from the disk.
	erase(ctx context.Context) error

	copyable
}
