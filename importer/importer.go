package importer

import (
	"context"
	"iter"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/importer/internal/shape"
	"dixa-import/source"
)

// Config is the configuration of a run.
type Config = session.Config

type (
	// API is the part of the Dixa client that a run uses.
	API = session.API
	// Anonymous says what happens to transcripts without a usable identifier of the end-user.
	Anonymous = session.Anonymous
	// Empty says what happens to chats without a message to send.
	Empty = session.Empty
	// Grown says what happens to new messages of chats that went on after their import.
	Grown = session.Grown
	// Failures limits how many transcripts may fail before a run stops.
	Failures = session.Failures
	// Selection selects the transcripts of a retry.
	Selection = session.Selection
	// Handover says where chats go that are handed over to a person.
	Handover = session.Handover
	// Unavailable says what happens to a hand-over while nobody is available.
	Unavailable = session.Unavailable
	// Decision is what a person decided about transcripts in doubt.
	Decision = session.Decision
	// AttributeMapping maps an attribute of the transcripts to a custom attribute of Dixa.
	AttributeMapping = shape.Mapping
	// Else says what becomes of an attribute's values that Dixa does not take.
	Else = shape.Else
)

// The values of settings in a Config and a Selection.
const (
	DefaultAnonymousName = session.DefaultAnonymousName

	AnonymousCreate  = session.AnonymousCreate
	AnonymousSkip    = session.AnonymousSkip
	EmptySkip        = session.EmptySkip
	UnavailableQueue = session.UnavailableQueue
	UnavailableWait  = session.UnavailableWait
	UnavailableSkip  = session.UnavailableSkip
	EmptyReject      = session.EmptyReject
	GrownReport      = session.GrownReport
	GrownFollowUp    = session.GrownFollowUp

	Undecided = session.Undecided
	Resend    = session.Resend
	Drop      = session.Drop
	Adopt     = session.Adopt
)

type (
	// ConfigError means that the configuration does not fit the organisation in Dixa.
	ConfigError = session.ConfigError
	// DatabaseError means that the checkpoint database failed or was unavailable for too long.
	DatabaseError = session.DatabaseError
)

// FetchRecords yields the records of rows, as source.Reader.Fetch does. The record of a row that is about the new messages of a chat is that part of
// the chat's record.
func FetchRecords(ctx context.Context, from source.Reader, rows []checkpoint.Row) iter.Seq2[*source.Record, error] {
	return session.Fetch(ctx, from, rows)
}

// Outcome is how a run ended.
type Outcome = session.Outcome

// The outcomes of a run.
const (
	OutcomeOK         = session.OutcomeOK
	OutcomeIncomplete = session.OutcomeIncomplete
	OutcomeStopped    = session.OutcomeStopped
	OutcomeAborted    = session.OutcomeAborted
)

// Summary is the result of a run.
type Summary struct {
	Run        int64
	Outcome    Outcome
	Counts     checkpoint.Counts
	Duplicates int64 // transcripts that have two conversations in Dixa
	Changed    int64 // transcripts imported earlier whose content has changed since; part of Counts.AlreadyDone
	Grown      int64 // chats that went on after their import, whose new messages are not in Dixa; most are part of Changed
	Throttled  int64 // 429 responses
	Duration   time.Duration
	Rests      []dixa.Rest // operations of Dixa that kept failing while others succeeded, and what was left undone because of that
	// Reason says why the run stopped early or was aborted; otherwise it is "".
	Reason string
	// Skipped counts the skipped records of this run by code: open, empty, anonymous, dropped by a person, or corrected (imported as
	// another record).
	Skipped map[string]int64
	// Causes counts the failed, rejected, in-doubt and unfinished transcripts of this run by error code.
	Causes map[string]int64
	// Problems counts the partial transcripts of this run by problem.
	Problems []Problem
	// Ignored counts the values of end-users' identifiers that were not used.
	Ignored IgnoredIdentifiers
	// Redacted counts the values of the imported transcripts that were replaced by placeholders, by kind.
	Redacted map[string]int64
	// Dropped counts what the source's format leaves out of the transcripts, by kind.
	Dropped map[string]int64
}

// MostlySkipped returns the code and the number of the skipped records if at least nine of ten records that the run read were open, or at
// least nine of ten were empty, and it read at least three. Otherwise n is 0.
func (s Summary) MostlySkipped() (code string, n int64) {
	return MostlySkipped(s.Skipped, s.Counts.Read)
}

// MostlySkipped is Summary.MostlySkipped for the given counts by code.
func MostlySkipped(skipped map[string]int64, read int64) (code string, n int64) {
	for _, code := range []string{rules.CodeOpen, rules.CodeEmpty} {
		if n := skipped[code]; read >= 3 && n*10 >= read*9 {
			return code, n
		}
	}
	return "", 0
}

// Progress is a snapshot of a run.
type Progress struct {
	Counts    checkpoint.Counts
	Source    source.Progress
	Throttled int64
	InFlight  int64 // transcripts that are claimed and not settled
	Doubts    int64 // of InFlight: transcripts in doubt
	// DoubtTakes estimates how long it takes to settle a doubt about a transcript that is not in Dixa. It grows with the lag of Dixa's
	// lists.
	DoubtTakes time.Duration
	Elapsed    time.Duration

	Expected int64         // upper bound on the transcripts of a retry; 0: see Source
	Busy     int           // workers that have a transcript
	Workers  int           // the number of workers
	Held     int           // records that wait for another run or for a transcript with the same id
	Rate     float64       // configured limit in requests a second; 0: no limit
	Paced    time.Duration // total time that requests have waited for the rate limiter
	Down     bool          // the API is down, and all requests wait until it recovers
	Steps    []checkpoint.StepTime
}
