// Package checkpoint records the state of each transcript, end-user and run, in Postgres or SQLite, so that every transcript is imported
// exactly once whatever fails.
package checkpoint

import "time"

// Lease is how long a run holds its claims after it last renewed its lease.
const Lease = 30 * time.Second

// Row is the recorded state of one transcript. The zero value of a field means unknown.
type Row struct {
	ID             string
	Status         Status
	ConversationID int64
	EndUserID      string
	Attempts       int // import requests that were sent
	ErrorCode      string
	Error          string
	Reason         string // what a refusal concerns, in one word such as attachment; "" if unknown
	ContentHash    string // hexadecimal SHA-256 of the version that was sent, or else of the last one worked on
	ClosedAt       time.Time
	Sent           string // which messages of the record were sent, in the form of the engine; "" if unknown
	SetValues      string // which attributes and tags the conversation was given last, in the form of the engine; "" if none or unknown
	CameFrom       string // the file that it was read from, or the source's name for a query; "" if unknown
	RunID          int64  // the run that last worked on it
	ImportedAt     time.Time
	CreatedAt      time.Time
	UpdatedAt      time.Time
	// SendIn is the time left until send_before by the database's clock, negative if that has passed.
	SendIn time.Duration
	// Claim is the number of claims on the transcript so far, and so the number of the current one.
	Claim int64
	// ClaimedBy is the run that has claimed it and not released it, 0 if none.
	ClaimedBy int64
	// Held says that ClaimedBy is another run than the one that reads, and alive.
	Held bool
}

// ClaimRequest is a request for one transcript.
type ClaimRequest struct {
	ID string
	// Seen is the Claim of the Row that was looked up, -1 if there was none, and SeenAt its UpdatedAt. The claim fails if the
	// row was written since: the claimer acts on what it read, and a run whose lease has expired may still be working.
	Seen   int64
	SeenAt time.Time
	// ContentHash and ClosedAt are recorded unless the transcript is already Sending or Imported.
	ContentHash string
	ClosedAt    time.Time
	// Sent is recorded like ContentHash: for a transcript that continues another, the messages before it.
	Sent string
	// CameFrom is recorded if it is not "".
	CameFrom string
	// File is the configured path of a record that is identified by its place, for ClearRejected; otherwise "".
	File string
	// As is the status that the claim sets, which ClaimedAs must allow; otherwise the claim fails. "" means the default, which
	// Complete and Partial transcripts do not have.
	As Status
}

// Change is an event of a claimed transcript and the new content of its row: ConversationID, EndUserID, Attempts, ErrorCode, Error,
// Reason, ContentHash and ClosedAt replace the recorded values. A Found change sets the conversation id only if none is recorded, and
// leaves fields unchanged for which it has the zero value, except for the error. No other event changes the conversation id.
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
	// Sent is recorded by Send and SendAgain, and ignored otherwise.
	Sent string
	// SetValues is recorded by events that end a claim.
	SetValues string
	// SendFor is, for Send and SendAgain, how far ahead of the database's clock send_before is set.
	SendFor time.Duration
	// PartialErrors replace the recorded ones, unless nil. Recorded duplicates always stay, because another process may have found them.
	PartialErrors []PartialError
}

// Result is the outcome of a Change.
type Result struct {
	// Row is the transcript's current row, whether the change was applied or not; the zero Row if there is none.
	// ImportedAt, CreatedAt, UpdatedAt and Held are not set.
	Row Row
	// Applied is false if the claim is no longer the current one, or the status does not allow the event. Repeating a change whose
	// answer was lost has the same outcome.
	Applied bool
	// Other is, for Found, the different conversation id that was already recorded. Both are then recorded as a partial error of the
	// kind duplicate, and the transcript ends as Partial, whichever run finishes it.
	Other int64
	// Holder is, for Found, the other transcript of the source that already has this conversation. The change is not applied, and the
	// transcript is InDoubt and unclaimed until a person decides.
	Holder string
}

// PartialErrorKind classifies partial errors.
type PartialErrorKind string

// The kinds of partial errors.
const (
	KindMessage    PartialErrorKind = "message"
	KindAttachment PartialErrorKind = "attachment"
	KindAssignment PartialErrorKind = "assignment"
	KindAttribute  PartialErrorKind = "attribute"
	KindAdopted    PartialErrorKind = "adopted"   // a reconciled conversation differs from the transcript
	KindDuplicate  PartialErrorKind = "duplicate" // there are two conversations
	KindTag        PartialErrorKind = "tag"
	KindRating     PartialErrorKind = "rating"
	KindNote       PartialErrorKind = "note"
	KindTransfer   PartialErrorKind = "transfer"
	KindLink       PartialErrorKind = "link"
	KindOther      PartialErrorKind = "other"
)

// PartialError is one non-fatal problem with an import.
type PartialError struct {
	Kind              PartialErrorKind
	Message           string
	MessageExternalID string
	Attribute         string
}

// Counts are the figures of a run. Read is the sum of the outcomes.
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
	Pending     int64 `json:"pending"` // including those left sending, or imported without their attributes
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
	Changed    int64 // transcripts that were imported from another version of their record; part of Counts.AlreadyDone
	Grown      int64 // chats that went on after their import, whose new messages were not imported
	Alive      bool  // its lease has not expired
}

// Beat is the progress of a run. All figures are totals since its start, so a Beat may be repeated.
type Beat struct {
	Counts    Counts
	Throttled int64      // 429 answers
	Changed   int64      // as in Run
	Grown     int64      // as in Run
	Steps     []StepTime // steps that are missing here stay as they are
	NoSample  bool       // nothing has changed since the last one, so no sample is recorded
}

// StepTime is the time that a run has spent on one step, such as a kind of request. It is stored to the microsecond.
type StepTime struct {
	Name  string // once in a Beat
	Count int64
	Total time.Duration
	Max   time.Duration
}

// Sample is the progress of a run at one time.
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

// FileTotal counts the transcripts of one file, or of a query, that have one status.
type FileTotal struct {
	Source   string `json:"source"`
	CameFrom string `json:"came_from"` // "": earlier versions recorded it
	Status   Status `json:"status"`
	Count    int64  `json:"count"`
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

// Reservation is the result of a request to reserve a person's identifiers. Exactly one of EndUserID, Held and Granted is set.
type Reservation struct {
	// EndUserID is an end-user that one of the identifiers already belongs to.
	EndUserID string
	// Held says that another run, which is alive, is creating an end-user with one of the identifiers: try again later.
	Held bool
	// Granted says that the identifiers are reserved: create the end-user, then call SaveEndUsers or ReleaseEndUsers.
	Granted bool
	// Doubt says that one of them had been reserved before and the outcome is unknown: the end-user may already exist.
	Doubt bool
	// Kept says that this run had already reserved all of them, and no other run has taken them over since.
	Kept bool
}

// OfPerson is a transcript of a person. ConversationID is 0 if there is none.
type OfPerson struct {
	Source         string
	ID             string
	Status         Status
	ConversationID int64
}

// EndUser is an end-user in Dixa with identifiers that belong to it.
type EndUser struct {
	ID          string
	Identifiers []Identifier
}
