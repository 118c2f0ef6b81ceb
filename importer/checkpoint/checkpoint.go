// Package checkpoint records what is known of each transcript, end-user and run, on Postgres or SQLite, so that every
// transcript is imported exactly once whatever fails.
package checkpoint

import (
	"context"
	"time"
)

// Lease is how long a run holds its claims after it last renewed its lease.
const Lease = 30 * time.Second

// Row is what is known of one transcript. A zero value of a field means that nothing is known.
type Row struct {
	ID             string
	Status         Status
	ConversationID int64
	EndUserID      string
	Attempts       int // import requests that left
	ErrorCode      string
	Error          string
	ContentHash    string // hexadecimal SHA-256 of the version that was sent, or else last worked on
	ClosedAt       time.Time
	RunID          int64 // the run that last worked on it
	ImportedAt     time.Time
	CreatedAt      time.Time
	UpdatedAt      time.Time
	// SendIn is how much of the time is left until send_before by the database's clock; negative when it has passed.
	SendIn time.Duration
	// Claim counts the claims on the transcript; the current one has this number.
	Claim int64
	// ClaimedBy is the run that claimed it and has not given it back, 0 if none.
	ClaimedBy int64
	// Held says that ClaimedBy is a run other than the asking one, and alive.
	Held bool
}

// ClaimRequest asks for one transcript.
type ClaimRequest struct {
	ID string
	// Seen is the Claim of the Row that was looked up, -1 if there was none, and SeenAt its UpdatedAt. The claim fails if the
	// row was written since: whoever claims goes on from what it saw, and a run whose lease is over may still be at work.
	Seen   int64
	SeenAt time.Time
	// ContentHash and ClosedAt are recorded unless the transcript is Sending or Imported already.
	ContentHash string
	ClosedAt    time.Time
	// File is the configured path of a record that is known by its place, for ClearRejected; else "".
	File string
	// As is what the claim makes of the transcript, one of those that ClaimedAs allows; "" for the default, which Complete
	// and Partial ones do not have. The claim fails if it is not allowed.
	As Status
}

// Change is one event in the life of a claimed transcript, and what its row says from then on: ConversationID, EndUserID,
// Attempts, ErrorCode, Error, ContentHash and ClosedAt replace what was there. A Found change only adds the conversation
// id where none is recorded, and leaves an existing one alone; what it does not say (zero values) it leaves alone too, the
// error aside. No other event changes the conversation id.
type Change struct {
	ID    string
	Claim int64
	Event Event

	ConversationID int64
	EndUserID      string
	Attempts       int
	ErrorCode      string
	Error          string
	ContentHash    string
	ClosedAt       time.Time
	// SendFor is, for Send and SendAgain, how far ahead of the database's clock send_before is set.
	SendFor time.Duration
	// PartialErrors replace those recorded so far, unless nil. Recorded duplicates stay in any case: another process may
	// have found them.
	PartialErrors []PartialError
}

// Result is what became of a Change.
type Result struct {
	// Applied is false when the claim is no longer the current one, or the status does not allow the event. A change that
	// was applied before (its answer was lost) is applied again with the same outcome.
	Applied bool
	// Other is, for Found, the conversation id that stood there already and is another one; both are then recorded as a
	// partial error of the kind duplicate, the status is Partial at the end whoever finishes it.
	Other int64
	// Holder is, for Found, the other transcript of the source that has this conversation already. The conversation is not
	// recorded twice: the change is not applied, and the transcript is InDoubt, unclaimed, until a person has looked.
	Holder string
}

// PartialErrorKind sorts partial errors.
type PartialErrorKind string

// The kinds of partial errors.
const (
	KindMessage    PartialErrorKind = "message"
	KindAttachment PartialErrorKind = "attachment"
	KindAssignment PartialErrorKind = "assignment"
	KindAttribute  PartialErrorKind = "attribute"
	KindAdopted    PartialErrorKind = "adopted"   // a reconciled conversation differs from the transcript
	KindDuplicate  PartialErrorKind = "duplicate" // there are two conversations
	KindOther      PartialErrorKind = "other"
)

// PartialError is one non-fatal problem with an import.
type PartialError struct {
	Kind              PartialErrorKind
	Message           string
	MessageExternalID string
	Attribute         string
}

// Counts are what a run has done. Read is the sum of the outcomes.
type Counts struct {
	Read        int64 `json:"read"`
	Imported    int64 `json:"imported"` // complete, without partial errors
	Partial     int64 `json:"partial"`
	Failed      int64 `json:"failed"`
	Rejected    int64 `json:"rejected"`
	Skipped     int64 `json:"skipped"`
	AlreadyDone int64 `json:"already_done"`
	Duplicate   int64 `json:"duplicate"`
	InDoubt     int64 `json:"in_doubt"`
	Pending     int64 `json:"pending"` // also those left sending, or imported without their attributes
	Requests    int64 `json:"requests"`
}

// Binding is the Dixa organisation that a source is imported into.
type Binding struct {
	BaseURL      string
	Organisation string
}

// Run is one invocation of the commands run or retry. FinishedAt is zero and Outcome "" while it lasts, or if it was killed.
type Run struct {
	ID         int64
	Source     string
	Command    string
	StartedAt  time.Time
	FinishedAt time.Time
	Outcome    string
	Counts     Counts
	Throttled  int64
	Alive      bool // its lease has not expired
}

// Beat is how far a run is. All figures are those since it began, so that a repetition adds nothing.
type Beat struct {
	Counts    Counts
	Throttled int64      // 429 answers
	Steps     []StepTime // those that are left out stay as they are
}

// StepTime is the time that a run has spent on one step, such as a kind of request. It is kept to the microsecond.
type StepTime struct {
	Name  string // once in a Beat
	Count int64
	Total time.Duration
	Max   time.Duration
}

// Sample is how far a run was at one moment.
type Sample struct {
	At        time.Time
	Imported  int64
	Partial   int64
	Failed    int64
	Rejected  int64
	Requests  int64
	Throttled int64
}

// Total counts the transcripts of one status and error code.
type Total struct {
	Source    string `json:"source"`
	Status    Status `json:"status"`
	ErrorCode string `json:"error_code,omitempty"`
	Count     int64  `json:"count"`
}

// IdentifierKind is the kind of an end-user's identifier.
type IdentifierKind string

// The kinds of identifiers.
const (
	ExternalID IdentifierKind = "external_id"
	Email      IdentifierKind = "email"
	Phone      IdentifierKind = "phone"
)

// Identifier identifies an end-user: an external id as written, an email address in lower case, or a phone number in E.164.
type Identifier struct {
	Kind  IdentifierKind
	Value string
}

// Reservation is the answer to the wish to create an end-user. Exactly one of EndUserID, Held and Granted is set.
type Reservation struct {
	// EndUserID is the end-user that one of the identifiers is known to belong to.
	EndUserID string
	// Held says that another run, which is alive, is creating an end-user with one of the identifiers: ask again later.
	Held bool
	// Granted says that the identifiers are reserved: create the end-user, then Save or Release them.
	Granted bool
	// Doubt says that one of them had been reserved before and its outcome is unknown: the end-user may exist already.
	Doubt bool
	// Kept says that the run itself had reserved all of them before, and nobody has taken them over since.
	Kept bool
}

// OfPerson is a transcript of a person. ConversationID is 0 where there is none.
type OfPerson struct {
	Source         string
	ID             string
	Status         Status
	ConversationID int64
}

// EndUser ties identifiers to an end-user of Dixa.
type EndUser struct {
	ID          string
	Identifiers []Identifier
}

// Store is the checkpoint. Postgres and SQLite implement it; Open chooses.
//
// Every write is durable when the method returns: it survives a kill -9 and a loss of power. Every write may be repeated
// after an error that Retryable accepts, with the same outcome as if it had been made once; StartRun, however, may leave
// a run that never ends, and ReserveEndUsers says Doubt of its own first attempt. Clocks are the database's.
//
// A Store may be used by several goroutines at once. Text that the database cannot hold (NUL bytes, invalid UTF-8) is
// stored with U+FFFD in its place.
type Store interface {
	Close() error

	// Migrate creates or upgrades the schema and returns the version that was there and the one that is there now.
	Migrate(ctx context.Context) (from, to int64, err error)
	// CheckSchema returns ErrSchemaMissing or a *SchemaError when the schema is not the one that this program needs.
	CheckSchema(ctx context.Context) error

	// Bind ties the source to an organisation at its first run. A source that is tied to another one gives a
	// *BindingError, unless rebind is set, which ties it anew.
	Bind(ctx context.Context, source string, b Binding, rebind bool) error
	// Binding returns what the source is tied to, the zero Binding if it is not tied yet.
	Binding(ctx context.Context, source string) (Binding, error)
	// Watermark returns the source's watermark, zero if there is none.
	Watermark(ctx context.Context, source string) (time.Time, error)
	// AdvanceWatermark raises the watermark to upTo (everything closed up to then has been looked at), but not beyond the
	// first closed_at of a transcript that is Pending, Sending or Imported, and returns it. It never lowers it.
	AdvanceWatermark(ctx context.Context, source string, upTo time.Time) (time.Time, error)

	// StartRun records a run, takes its lease and returns its id. On SQLite it gives a *BusyError while another process works.
	StartRun(ctx context.Context, source, command string) (int64, error)
	// RenewRun renews the run's lease, records how far it is, and keeps a sample of that. A repetition may leave one more
	// sample.
	RenewRun(ctx context.Context, run int64, b Beat) error
	// FinishRun records the end of a run, with a last sample, ends its lease and gives back the claims that it still has.
	FinishRun(ctx context.Context, run int64, outcome string, b Beat) error

	// Lookup returns what is known of the transcripts with these ids; those that are unknown are not in the map. Held is
	// seen from the run.
	Lookup(ctx context.Context, source string, run int64, ids []string) (map[string]Row, error)
	// Unfinished returns up to limit transcripts that are Sending or Imported and claimed by no run that is alive nor by the
	// run itself, with ids greater than after, in the order of their ids.
	Unfinished(ctx context.Context, source string, run int64, after string, limit int) ([]Row, error)
	// Claim claims transcripts for the run and returns the number of each claim, 0 for those that it did not get: another
	// run took them first, or holds them and is alive. No id may be asked for twice in one call.
	Claim(ctx context.Context, source string, run int64, requests []ClaimRequest) ([]int64, error)
	// Write applies changes, those of one transcript in their order, and says what became of each.
	Write(ctx context.Context, source string, run int64, changes []Change) ([]Result, error)
	// Select returns the transcripts that a filter chooses, in the order of their ids. Held is seen from the run.
	Select(ctx context.Context, source string, run int64, f Filter) ([]Row, error)
	// Conversations returns which of these conversations of the source's organisation the checkpoint holds.
	Conversations(ctx context.Context, source string, ids []int64) (map[int64]bool, error)
	// ClearRejected forgets the rejected records that are known by their place in the file and were neither claimed nor
	// touched since the run began. Other runs may read the file at the same time: what they have met stays, too.
	ClearRejected(ctx context.Context, source string, run int64, file string) error
	// Touch marks rejected records, known by their place, as met by this run now, so that ClearRejected leaves them.
	Touch(ctx context.Context, source string, run int64, ids []string) error
	// PartialErrors returns the partial errors of a transcript in their order.
	PartialErrors(ctx context.Context, source, id string) ([]PartialError, error)
	// PartialErrorsOf returns those of many transcripts, by id; those that have none are not in the map.
	PartialErrorsOf(ctx context.Context, source string, ids []string) (map[string][]PartialError, error)

	// FindEndUsers returns the end-users that these identifiers are known to belong to.
	FindEndUsers(ctx context.Context, organisation string, ids []Identifier) (map[Identifier]string, error)
	// ReserveEndUsers reserves, for each person, all of its identifiers or none, each person in a transaction of its own or
	// under a savepoint. No identifier may occur in two persons of one call.
	ReserveEndUsers(ctx context.Context, organisation string, run int64, persons [][]Identifier) ([]Reservation, error)
	// SaveEndUsers records whose the identifiers are, in place of what was recorded or reserved.
	SaveEndUsers(ctx context.Context, organisation string, users []EndUser) error
	// ReleaseEndUsers forgets the run's reservations of these identifiers.
	ReleaseEndUsers(ctx context.Context, organisation string, run int64, ids []Identifier) error
	// ForgetEndUser forgets every identifier of an end-user that no longer exists in Dixa.
	ForgetEndUser(ctx context.Context, organisation, endUserID string) error
	// FindPerson returns the end-users that these identifiers belong to, in all organisations, and their transcripts in all
	// sources. It reads every transcript, which takes a while.
	FindPerson(ctx context.Context, ids []Identifier) (endUserIDs []string, transcripts []OfPerson, err error)
	// ForgetPerson forgets a person in all sources and organisations: every identifier of the end-users that these
	// identifiers belong to, and, on those of their transcripts that are Complete, Partial, Failed, Rejected or Skipped, who
	// it was and what Dixa said of errors. A transcript in the middle keeps its end-user: call it again when that is done.
	// It reads every transcript, which takes a while. It returns the ids of the end-users, who remain in Dixa, as well as
	// how many identifiers it removed. The ids count also with an error: what was forgotten is not found a second time.
	ForgetPerson(ctx context.Context, ids []Identifier) (endUserIDs []string, removed int64, err error)

	// Totals counts the transcripts by status and error code: of a source, or of all where it is "", and of those that a run
	// last worked on, or of all where it is 0.
	Totals(ctx context.Context, source string, run int64) ([]Total, error)
	// Runs returns the latest runs, newest first, and Run one of them, false if there is none with this id.
	Runs(ctx context.Context, source string, limit int) ([]Run, error)
	Run(ctx context.Context, id int64) (Run, bool, error)
	// Samples returns how far a run was from moment to moment, from its start on, and Steps where its time went, by name.
	Samples(ctx context.Context, run int64) ([]Sample, error)
	Steps(ctx context.Context, run int64) ([]StepTime, error)

	// VerifyMark returns how far a comparison of the source's transcripts with Dixa has come, and SetVerifyMark records it, or
	// with the zero mark that none is under way.
	VerifyMark(ctx context.Context, source string) (VerifyMark, error)
	SetVerifyMark(ctx context.Context, source string, m VerifyMark) error
}
