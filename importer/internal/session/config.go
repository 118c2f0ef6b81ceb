package session

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/shape"
	"dixa-import/source"
)

// API is the part of the Dixa API that the engine uses; *dixa.Client implements it.
type API interface {
	GetOrganization(ctx context.Context) (dixa.Organization, error)
	ListAttributes(ctx context.Context) ([]dixa.AttributeDefinition, error)
	FindEndUsers(ctx context.Context, kind dixa.IdentifierKind, value string) ([]dixa.EndUser, error)
	GetEndUser(ctx context.Context, id string) (dixa.EndUser, error)
	RenameEndUser(ctx context.Context, id, displayName string) (dixa.EndUser, error)
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
	ListQueues(ctx context.Context) ([]dixa.Queue, error)
	QueueAvailability(ctx context.Context, queueID string) (dixa.Availability, error)
	TransferToQueue(ctx context.Context, conversationID int64, queueID string, before dixa.Before) error
	ListTags(ctx context.Context) ([]dixa.Tag, error)
	ListConversationTags(ctx context.Context, conversationID int64) ([]dixa.Tag, error)
	CreateTag(ctx context.Context, name string) (dixa.Tag, error)
	AddTag(ctx context.Context, conversationID int64, tagID string) error
	OfferRating(ctx context.Context, conversationID int64, offer dixa.RatingOffer, before dixa.Before) (id string, err error)
	SubmitRating(ctx context.Context, conversationID int64, ratingID string, result dixa.RatingResult, before dixa.Before) error
	ListRatings(ctx context.Context, conversationID int64) ([]dixa.Rating, error)
	CreateNotes(ctx context.Context, conversationID int64, notes []dixa.NewNote, before dixa.Before) (refused []string, err error)
	ListNotes(ctx context.Context, conversationID int64) ([]dixa.Note, error)
	LinkConversation(ctx context.Context, conversationID, parentID int64, before dixa.Before) error
	Stats() dixa.Stats
	Rests() []dixa.Rest
}

// DefaultAnonymousName is the default of Config.AnonymousName.
const DefaultAnonymousName = "Anonymous visitor"

// Config describes what a run does. Source, Reader, Store, API, BaseURL and AgentID are required.
type Config struct {
	Source string // the namespace of the transcripts' ids, [a-z0-9._-]{1,64}
	Reader source.Reader
	Store  Store
	API    API

	BaseURL string // of the API, for the binding of the source
	AgentID string // the bot's UUID: author of its messages, assignee and closer
	// TokenOrganization is the organisation that the token itself names, for tokens that may not ask for it; "" if none.
	TokenOrganization string

	Command       string                      // recorded with the run; default "run"
	Match         []checkpoint.IdentifierKind // order of look-up; default external id, email, phone
	Region        string                      // of phone numbers without a country code, such as DK; default: such numbers are unreadable
	Ignore        []string                    // more values of identifiers to treat as placeholders
	Anonymous     Anonymous                   // default AnonymousCreate
	AnonymousName string                      // of an end-user without any identifier whose record gives no name; default DefaultAnonymousName
	Mark          bool                        // leave a mark in Dixa that names the checkpoint, and send only while it names this one
	Empty         Empty                       // default EmptySkip
	Grown         Grown                       // default GrownReport
	Preload       bool                        // list all end-users of Dixa once instead of looking people up one by one
	Attributes    []shape.Mapping
	Tags          []string // names of tags that every conversation gets
	CreateTags    bool     // create tags that Dixa does not have; default: they are an error
	Handover      Handover

	Workers          int           // transcripts at once; default: four for each request a second, from 8 to 256; 64 without a rate
	Rate             float64       // requests a second that the API's limiter allows; 0: no limit. Only used to choose Workers
	RequestTimeout   time.Duration // of one request, as configured in the API client; default 30s
	MaxAttempts      int           // import requests for one transcript; default 5
	MaxFailures      Failures      // default: never stop
	Settle           time.Duration // how long a transcript in doubt is looked for; default 30s
	DatabasePatience time.Duration // how long to wait for an unavailable checkpoint; default 5m
	DrainTimeout     time.Duration // how long work in flight may take after Stop; default 20s
	HeldPatience     time.Duration // how long a transcript waits for another run that is creating its end-user; default 5m
	// LearnPatience is how long the run follows its imports to measure how long lists lag, and how long transcripts in doubt wait for
	// that; default ten minutes.
	LearnPatience time.Duration
	// SendWindow is how far ahead of the database's clock send_before is set; default 4s. A request that has not started after
	// half of it is not sent: a run that takes the transcript over relies on that.
	SendWindow time.Duration

	Limit     int64         // maximum number of transcripts to work on; 0: all
	Since     time.Time     // read from this time instead of the watermark
	Full      bool          // ignore the watermark
	Overlap   time.Duration // how long before the watermark to start reading
	Reconcile bool          // look in Dixa before every send: for a checkpoint that lost its last commits
	Retry     *Selection    // not nil: work on these transcripts instead of reading the source
	Live      bool          // Reader yields transcripts that somebody waits for, until the run is stopped: nothing else is resumed
	Excerpt   bool          // Reader has only some of the source's records, such as corrected ones: leave all others as they are
	Rebind    bool          // tie the source to this organisation even if it was tied to another

	// OnStarted, if set, is called once the run is recorded, before it reads anything.
	OnStarted func()
	// OnImported, if set, is called for every transcript that this run completes, from several goroutines.
	OnImported func(id string, conversation int64)

	Logger *slog.Logger // default: discard
}

// Anonymous decides what happens to transcripts without a usable identifier of the end-user.
type Anonymous string

// The choices for anonymous transcripts.
const (
	AnonymousCreate Anonymous = "create" // an end-user of its own for each
	AnonymousSkip   Anonymous = "skip"
)

// Empty decides what happens to chats that have no message to send.
type Empty string

// The choices for empty chats.
const (
	EmptySkip   Empty = "skip"   // they are counted
	EmptyReject Empty = "reject" // they are rejected as no_messages
)

// Grown decides what happens to new messages of chats that went on after their import.
type Grown string

// The choices for chats that went on.
const (
	GrownReport   Grown = "report"    // they are counted as changed
	GrownFollowUp Grown = "follow_up" // their new messages are imported as a conversation of their own
)

// Handover says where chats go that are handed over to a person.
type Handover struct {
	Queue           string      // the name or UUID of the queue of those that name none; "": they fail
	WhenUnavailable Unavailable // default UnavailableQueue
}

// Unavailable decides what happens to a hand-over while nobody takes the conversations of its queue.
type Unavailable string

// The choices for queues in which nobody is available.
const (
	UnavailableQueue Unavailable = "queue" // transfer all the same
	UnavailableWait  Unavailable = "wait"  // leave the transcript to the next run
	UnavailableSkip  Unavailable = "skip"  // import it closed, with a partial error
)

// Failures is a limit on failed transcripts: a number, or a percentage of those worked on. The zero value is no limit.
type Failures struct {
	Count   int64
	Percent float64
}

// Exceeded reports whether failed out of worked reaches the limit. A percentage counts from twenty transcripts on.
func (f Failures) Exceeded(failed, worked int64) bool {
	if f.Count > 0 && failed >= f.Count {
		return true
	}
	return f.Percent > 0 && worked >= 20 && float64(failed)*100 >= f.Percent*float64(worked)
}

// WithDefaults returns the Config with its defaults filled in.
func (c Config) WithDefaults() Config {
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
	set(&c.LearnPatience, 10*time.Minute)
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
	if c.AnonymousName == "" {
		c.AnonymousName = DefaultAnonymousName
	}
	if c.Empty == "" {
		c.Empty = EmptySkip
	}
	if c.Grown == "" {
		c.Grown = GrownReport
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

// Bot returns the bot whose conversations a command works on.
func (c Config) Bot() shape.Bot { return shape.Bot{Source: c.Source, AgentID: c.AgentID} }

// Policy returns the rules by which a command judges records. run is the id of the run, 0 if the command is not a run. anonymous reports
// whether a transcript has no usable identifier of its end-user.
func (c Config) Policy(run int64, anonymous func(*source.Transcript) bool) rules.Policy {
	p := rules.Policy{RejectEmpty: c.Empty == EmptyReject, FollowUp: c.Grown == GrownFollowUp, Excerpt: c.Excerpt, Run: run}
	if c.Anonymous == AnonymousSkip {
		p.SkipsPerson = anonymous
	}
	return p
}

// Validate returns the first problem of a Config whose defaults are filled in.
func (c Config) Validate() error {
	switch {
	case c.Source == "":
		return errors.New("importer: Source is required")
	case c.Reader == nil || c.Store == nil || c.API == nil:
		return errors.New("importer: Reader, Store and API are required")
	case c.AgentID == "":
		return errors.New("importer: AgentID is required")
	case c.Retry != nil && c.Retry.Validate() != nil:
		return c.Retry.Validate()
	case c.Anonymous != AnonymousCreate && c.Anonymous != AnonymousSkip:
		return fmt.Errorf("importer: Anonymous is %q, want create or skip", c.Anonymous)
	case c.Empty != EmptySkip && c.Empty != EmptyReject:
		return fmt.Errorf("importer: Empty is %q, want skip or reject", c.Empty)
	case c.Grown != GrownReport && c.Grown != GrownFollowUp:
		return fmt.Errorf("importer: Grown is %q, want report or follow_up", c.Grown)
	}
	return nil
}

// Outcome is how a run, or a comparison, ended.
type Outcome string

// The outcomes of a run.
const (
	OutcomeOK         Outcome = "ok"         // all of the run's transcripts are imported
	OutcomeIncomplete Outcome = "incomplete" // it ran to the end, but some failed, were rejected, are in doubt or lack their attributes
	OutcomeStopped    Outcome = "stopped"    // it stopped early; the next run continues
	OutcomeAborted    Outcome = "aborted"    // it could not continue; a person must act
)
