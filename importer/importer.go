package importer

import (
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/importer/internal/shape"
	"dixa-import/source"
)

// Config describes what a run does.
type Config = session.Config

type (
	// API is what a run asks of Dixa.
	API = session.API
	// Anonymous decides about transcripts without any usable identifier of the end-user.
	Anonymous = session.Anonymous
	// Empty decides about chats in which there is no message to send.
	Empty = session.Empty
	// Failures is a bound on failed transcripts.
	Failures = session.Failures
	// Selection returns which transcripts a retry works on.
	Selection = session.Selection
	// Decision is what a person has found out about transcripts in doubt.
	Decision = session.Decision
	// AttributeMapping returns which custom attribute of Dixa gets which attribute of the transcripts.
	AttributeMapping = shape.Mapping
)

// The choices of a Config and of a Selection.
const (
	DefaultAnonymousName = session.DefaultAnonymousName

	AnonymousCreate = session.AnonymousCreate
	AnonymousSkip   = session.AnonymousSkip
	EmptySkip       = session.EmptySkip
	EmptyReject     = session.EmptyReject

	Undecided = session.Undecided
	Resend    = session.Resend
	Drop      = session.Drop
	Adopt     = session.Adopt
)

type (
	// ConfigError says that the configuration does not fit the organisation in Dixa.
	ConfigError = session.ConfigError
	// DatabaseError says that the checkpoint database could not be used, or stayed away for too long.
	DatabaseError = session.DatabaseError
)

// Outcome is how a run ended.
type Outcome = session.Outcome

// The outcomes of a run.
const (
	OutcomeOK         = session.OutcomeOK
	OutcomeIncomplete = session.OutcomeIncomplete
	OutcomeStopped    = session.OutcomeStopped
	OutcomeAborted    = session.OutcomeAborted
)

// Summary is what a run has done.
type Summary struct {
	Run        int64
	Outcome    Outcome
	Counts     checkpoint.Counts
	Duplicates int64 // transcripts that have two conversations in Dixa
	Changed    int64 // imported earlier, with another content now; part of Counts.AlreadyDone
	Throttled  int64 // answers 429
	Duration   time.Duration
	Rests      []dixa.Rest // operations of Dixa that failed again and again while others were answered, and what was left because of that
	// Reason returns why the run stopped early or was aborted, "" otherwise.
	Reason string
	// Skipped counts the skipped records of this run by why they were: open, empty, anonymous, dropped by a person, or the code of what
	// corrected records go on as.
	Skipped map[string]int64
	// Causes counts the failed, rejected, in-doubt and unfinished transcripts of this run by error code.
	Causes map[string]int64
	// Problems counts the partial transcripts of this run by what is wrong with them.
	Problems []Problem
	// Ignored counts the values of end-users' identifiers that were not used.
	Ignored IgnoredIdentifiers
}

// MostlySkipped returns why nearly all records of the run were skipped, and how many of them: open or empty, where that makes nine of ten
// that it read, and it read at least three. Else n is 0.
func (s Summary) MostlySkipped() (code string, n int64) {
	return MostlySkipped(s.Skipped, s.Counts.Read)
}

// MostlySkipped is Summary.MostlySkipped for counts by code.
func MostlySkipped(skipped map[string]int64, read int64) (code string, n int64) {
	for _, code := range []string{rules.CodeOpen, rules.CodeEmpty} {
		if n := skipped[code]; read >= 3 && n*10 >= read*9 {
			return code, n
		}
	}
	return "", 0
}

// Progress is how far a run is.
type Progress struct {
	Counts    checkpoint.Counts
	Source    source.Progress
	Throttled int64
	InFlight  int64 // transcripts claimed and not settled
	Doubts    int64 // those among them that are in doubt
	// DoubtTakes is about how long a doubt lasts about a transcript that is not in Dixa; lists that lag make it longer.
	DoubtTakes time.Duration
	Elapsed    time.Duration

	Expected int64         // how many transcripts a retry will work on at most; 0: see Source
	Busy     int           // workers that have a transcript, of Workers
	Workers  int           // how many there are
	Held     int           // records that wait for another run, or for a transcript with the same id
	Rate     float64       // requests a second that the configuration allows; 0: no limit
	Paced    time.Duration // how long requests have waited for their turn at the limiter, all added up
	Down     bool          // the API does not answer at present, and all requests wait until it does
}
