// Package checkpoint records what is known of each transcript, end-user and run, on Postgres or SQLite, so that every
// transcript is imported exactly once whatever fails.
package checkpoint

import "time"

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
	Reason         string // what a refusal is about, in one word such as attachment; "" where that is not known
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
	// row was written since: a claimer goes on from what it saw, and a run whose lease is over may still be at work.
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
// Attempts, ErrorCode, Error, Reason, ContentHash and ClosedAt replace what was there. A Found change only adds the conversation
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
	Reason         string
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
	// Row is the transcript's row after the change, or as it stands if the change was not applied; the zero Row if there is none.
	// ImportedAt, CreatedAt, UpdatedAt and Held are not set.
	Row Row
	// Applied is false when the claim is no longer the current one, or the status does not allow the event. A change that
	// was applied before (its answer was lost) is applied again with the same outcome.
	Applied bool
	// Other is, for Found, the conversation id that stood there already and is another one; both are then recorded as a
	// partial error of the kind duplicate, the status is Partial at the end, whichever run finishes it.
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

// Reservation is the answer to the request to create an end-user. Exactly one of EndUserID, Held and Granted is set.
type Reservation struct {
	// EndUserID is the end-user that one of the identifiers is known to belong to, whichever.
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
