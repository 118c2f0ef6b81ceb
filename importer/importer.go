// Package importer is the engine: it reads transcripts from a source, claims them in the checkpoint, resolves their
// end-users, imports them into Dixa exactly once, sets their attributes and records what became of each.
//
// The way of one transcript is the list of steps in steps.go.
package importer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// Reader is where transcripts come from.
type Reader interface {
	// Read yields every record closed at or after since, in the order of the source. An error ends it: the source as a
	// whole cannot go on.
	Read(ctx context.Context, since time.Time) iter.Seq2[*source.Record, error]
	// Fetch yields the records with these keys again, closed or not; those that are gone are left out. It yields
	// source.ErrCannotReread where the source can be read only once.
	Fetch(ctx context.Context, keys []string) iter.Seq2[*source.Record, error]
	// Progress tells how far Read is. It may be called at any time.
	Progress() source.Progress
	// Ordered says whether Read goes by closed_at and begins at since. Else it reads everything in an order of its own.
	Ordered() bool
}

// API is what the engine asks of Dixa; *dixa.Client is one.
type API interface {
	GetOrganization(ctx context.Context) (dixa.Organization, error)
	ListAttributes(ctx context.Context) ([]dixa.AttributeDefinition, error)
	FindEndUsers(ctx context.Context, kind dixa.IdentifierKind, value string) ([]dixa.EndUser, error)
	ListEndUsers(ctx context.Context, pageLimit int) iter.Seq2[[]dixa.EndUser, error]
	CreateEndUser(ctx context.Context, u dixa.NewEndUser,
		before func(ctx context.Context, attempt int, previous error) (notAfter time.Time, err error)) (dixa.EndUser, error)
	CreateEndUsers(ctx context.Context, users []dixa.NewEndUser,
		before func(ctx context.Context, attempt int, previous error) (notAfter time.Time, err error)) ([]dixa.BulkResult, error)
	ListConversations(ctx context.Context, endUserID string) ([]dixa.Conversation, error)
	GetConversation(ctx context.Context, id int64) (dixa.Conversation, error)
	ListMessages(ctx context.Context, conversationID int64) ([]dixa.Message, error)
	ImportConversation(ctx context.Context, in dixa.ConversationImport,
		before func(ctx context.Context, attempt int, previous error) (notAfter time.Time, err error)) (dixa.ImportResult, error)
	PatchAttributes(ctx context.Context, conversationID int64, values map[string]dixa.AttributeValue) error
	Stats() dixa.Stats
}

// Config says what a run does. Source, Reader, Store, API, BaseURL and AgentID are required.
type Config struct {
	Source string // the namespace of the transcripts' ids, [a-z0-9._-]{1,64}
	Reader Reader
	Store  checkpoint.Store
	API    API

	BaseURL string // of the API, for the binding of the source
	AgentID string // the bot's UUID: author of its messages, assignee and closer
	// TokenOrganization is the organisation that the token itself names, for tokens that may not ask for it; "" if none.
	TokenOrganization string

	Command    string                      // recorded with the run; default "run"
	Match      []checkpoint.IdentifierKind // order of look-up; default external id, email, phone
	Region     string                      // for phone numbers without a country code, such as DK; default: such numbers are unreadable
	Anonymous  Anonymous                   // default AnonymousCreate
	Preload    bool                        // list all end-users of Dixa once instead of looking people up one by one
	Attributes []AttributeMapping

	Workers          int           // transcripts at once; default: four for each request a second, from 8 to 256; 64 without a rate
	Rate             float64       // requests a second that the API's limiter allows; 0: no limit. Only used to choose Workers
	RequestTimeout   time.Duration // of one request, as the API client was told; default 30s
	MaxAttempts      int           // import requests for one transcript; default 5
	MaxFailures      Failures      // default: never stop
	Settle           time.Duration // how long a transcript in doubt is looked for; default 30s
	DatabasePatience time.Duration // how long to wait for a checkpoint that is away; default 5m
	DrainTimeout     time.Duration // how long work in flight may take after Stop; default 20s
	HeldPatience     time.Duration // how long a transcript waits for another run that is creating its end-user; default 5m
	// SendWindow is how far ahead of the database's clock send_before is set; default 4s. A request that has not begun after
	// half of it does not begin: whoever takes the transcript over counts on that.
	SendWindow time.Duration

	Limit     int64         // work on so many transcripts at most; 0: all
	Since     time.Time     // read from here instead of the watermark
	Full      bool          // ignore the watermark
	Overlap   time.Duration // read from so long before the watermark
	Reconcile bool          // look in Dixa before every send: for a checkpoint that lost its last commits
	Retry     *Selection    // not nil: work on these transcripts instead of reading the source
	Excerpt   bool          // Reader holds only some of the source's records, such as mended ones: leave what it does not hold alone
	Rebind    bool          // tie the source to this organisation even if it was tied to another

	// OnImported, if set, is told of every transcript that this run completes and of its conversation, from several goroutines.
	OnImported func(id string, conversation int64)

	Logger *slog.Logger // default: discard
}

// Anonymous says what happens to transcripts without any usable identifier of the end-user.
type Anonymous string

// The choices for anonymous transcripts.
const (
	AnonymousCreate Anonymous = "create" // an end-user of its own for each
	AnonymousSkip   Anonymous = "skip"
)

// Failures is a bound on failed transcripts: a number, or a percentage of those worked on. The zero value is no bound.
type Failures struct {
	Count   int64
	Percent float64
}

// exceeded says whether failed out of worked is too many. A percentage needs twenty transcripts to mean anything.
func (f Failures) exceeded(failed, worked int64) bool {
	if f.Count > 0 && failed >= f.Count {
		return true
	}
	return f.Percent > 0 && worked >= 20 && float64(failed)*100 >= f.Percent*float64(worked)
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.RequestTimeout, 30*time.Second)
	set(&c.Settle, 30*time.Second)
	set(&c.DatabasePatience, 5*time.Minute)
	set(&c.DrainTimeout, 20*time.Second)
	set(&c.HeldPatience, 5*time.Minute)
	set(&c.SendWindow, 4*time.Second)
	if c.Command == "" {
		c.Command = "run"
	}
	if len(c.Match) == 0 {
		c.Match = []checkpoint.IdentifierKind{checkpoint.ExternalID, checkpoint.Email, checkpoint.Phone}
	}
	if c.Anonymous == "" {
		c.Anonymous = AnonymousCreate
	}
	if c.MaxAttempts == 0 {
		c.MaxAttempts = 5
	}
	if c.Workers == 0 {
		c.Workers = 64
		if c.Rate > 0 {
			c.Workers = min(max(int(4*c.Rate), 8), 256)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c.Source == "":
		return errors.New("importer: Source is required")
	case c.Reader == nil || c.Store == nil || c.API == nil:
		return errors.New("importer: Reader, Store and API are required")
	case c.AgentID == "":
		return errors.New("importer: AgentID is required")
	case c.Retry != nil && c.Retry.validate() != nil:
		return c.Retry.validate()
	case c.Anonymous != AnonymousCreate && c.Anonymous != AnonymousSkip:
		return fmt.Errorf("importer: Anonymous is %q, want create or skip", c.Anonymous)
	}
	return nil
}

// Outcome is how a run ended.
type Outcome string

// The outcomes of a run.
const (
	OutcomeOK         Outcome = "ok"         // all of the run's transcripts are imported
	OutcomeIncomplete Outcome = "incomplete" // it ran to the end, but some failed, were rejected, are in doubt or lack their attributes
	OutcomeStopped    Outcome = "stopped"    // it stopped early; the next run continues
	OutcomeAborted    Outcome = "aborted"    // it could not go on; a person must act
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
	// Reason says why the run stopped early or was aborted, "" otherwise.
	Reason string
	// Causes counts the failed, rejected, in-doubt and unfinished transcripts of this run by error code.
	Causes map[string]int64
	// Problems counts the partial transcripts of this run by what is wrong with them.
	Problems []Problem
}

// Progress is how far a run is.
type Progress struct {
	Counts    checkpoint.Counts
	Source    source.Progress
	Throttled int64
	InFlight  int64 // transcripts claimed and not settled
	Doubts    int64 // those among them that are in doubt
	Elapsed   time.Duration

	Expected int64         // how many transcripts a retry will work on at most; 0: see Source
	Busy     int           // workers that have a transcript, of Workers
	Workers  int           // how many there are
	Held     int           // records that wait for another run, or for a transcript with the same id
	Rate     float64       // requests a second that the configuration allows; 0: no limit
	Paced    time.Duration // how long requests have waited for their turn at the limiter, all added up
	Down     bool          // the API does not answer at present, and all requests wait until it does
}

// ConfigError says that the configuration does not fit the organisation in Dixa.
type ConfigError struct{ Problem string }

func (e *ConfigError) Error() string { return e.Problem }
