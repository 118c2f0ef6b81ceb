package source

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// Role describes who wrote a message.
type Role string

// The roles of messages that are sent to Dixa. Messages of the role system are dropped while decoding.
const (
	RoleUser  Role = "user"  // the end-user: inbound
	RoleBot   Role = "bot"   // the bot: outbound
	RoleAgent Role = "agent" // a person at the company: outbound, with AgentID if the record names one
)

// Format is the format of a message's text.
type Format string

// The formats of a message's text.
const (
	FormatText     Format = "text"
	FormatHTML     Format = "html"
	FormatMarkdown Format = "markdown"
)

// Direction describes who began the chat.
type Direction string

// The directions of a chat.
const (
	Inbound  Direction = "inbound" // the end-user began it; the default
	Outbound Direction = "outbound"
)

// Transcript is one chat between an end-user and a bot, decoded, checked and sorted. All times are UTC in whole milliseconds.
type Transcript struct {
	ID        string
	CreatedAt time.Time // never after the first message
	ClosedAt  time.Time // zero: the chat is still open; else never before the last message
	Direction Direction
	EndUser   EndUser
	Messages  []Message // the messages to send, at least one, sorted, no two at the same millisecond
	// Attributes are the attributes of the record by name; those that were null are left out.
	Attributes map[string]Value
	Tags       []string // each once, in the order of the record
	Rating     *Rating  // nil: the end-user gave none
	Notes      []Note
	Handover   *Handover // not nil: the chat is handed over to a person, so its conversation stays open
	FollowUpOf string    // the id of the transcript that this one continues; "" for none
	PartOf     string    // of a Part: the id of the whole transcript; otherwise ""
	// Unknown names the fields of the record that this project does not know, as paths such as "messages.mood", sorted, each once.
	Unknown []string
	// Redacted counts what a Redactor replaced, by kind; nil if nothing was.
	Redacted map[string]int64
}

// EndUser is the customer as the record describes it: trimmed, NUL bytes and invalid UTF-8 replaced, otherwise as written.
// An empty string means that the record does not say.
type EndUser struct {
	ExternalID string
	Email      string
	Phone      string
	Name       string
}

// Anonymous reports whether the record gives no identifier at all.
func (u EndUser) Anonymous() bool { return u.ExternalID == "" && u.Email == "" && u.Phone == "" }

// Message is one message to send.
type Message struct {
	Role        Role
	AgentID     string // of an agent's message, "" when the record names none
	Text        string
	Format      Format
	At          time.Time
	Attachments []Attachment
}

// Attachment is a file that the sender's side hosts.
type Attachment struct {
	URL  string
	Name string
}

// RatingType is how an end-user rates a chat.
type RatingType string

// The types of ratings.
const (
	CSAT   RatingType = "csat"   // 1 to 5
	NPS    RatingType = "nps"    // 0 to 10
	Thumbs RatingType = "thumbs" // 0 for down, 1 for up
)

// Rating is how the end-user rated the chat.
type Rating struct {
	Type    RatingType
	Value   int
	Comment string
	At      time.Time // never before the chat began; the end of the chat if the record gives no time
}

// Note is an internal note on a chat.
type Note struct {
	Text string
	At   time.Time // the end of the chat if the record gives no time
}

// Handover asks for a person to go on with a chat.
type Handover struct {
	Queue string // the name or UUID of a queue; "": the default
}

// Value is an attribute's value: a text (strings, numbers and booleans, as JSON writes them) or a list of texts.
type Value struct {
	Text string
	List []string // not nil: the value is a list
}

// Hash is the SHA-256 of a source record: of the raw line, or of the text of a row's columns.
type Hash [sha256.Size]byte

// String returns the hash in lower-case hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// RejectCode names the reason why a record cannot be imported.
type RejectCode string

// The reasons for a rejection.
const (
	RejectLineTooLong      RejectCode = "line_too_long"
	RejectInvalidJSON      RejectCode = "invalid_json"
	RejectNotATranscript   RejectCode = "not_a_transcript" // it lacks the fields of a transcript, open or closed
	RejectMissingID        RejectCode = "missing_id"
	RejectInvalidID        RejectCode = "invalid_id"
	RejectInvalidField     RejectCode = "invalid_field" // a field has the wrong type or a value outside its choices
	RejectInvalidRole      RejectCode = "invalid_role"
	RejectInvalidTime      RejectCode = "invalid_time"
	RejectTimeWithoutZone  RejectCode = "time_without_zone"
	RejectTimeInFuture     RejectCode = "time_in_future"
	RejectInvalidAttribute RejectCode = "invalid_attribute"
	RejectNoMessages       RejectCode = "no_messages"    // there is nothing to send
	RejectFileDamaged      RejectCode = "file_damaged"   // the rest of a file cannot be read
	RejectUnknownFormat    RejectCode = "unknown_format" // a whole file is not JSON, or it is not clear where its records are
	RejectWrongEncoding    RejectCode = "wrong_encoding" // a file or a record is not UTF-8
	RejectDuplicateID      RejectCode = "duplicate_id"   // used by the importer
	// The reasons of a mapping: see Mapping.
	RejectTransformFailed RejectCode = "transform_failed"  // the program failed on the record, or returned something other than transcripts
	RejectRefused         RejectCode = "transform_refused" // the program refused the record
)

// RejectError describes why a record cannot be imported. Its text names the field and what to do, but never quotes what a customer wrote.
type RejectError struct {
	Code   RejectCode
	Reason string // such as `messages[3].created_at has no time zone: write it as 2006-01-02T15:04:05Z`

	encoding string // the likely one, with RejectWrongEncoding
	table    bool   // it is a table of values
}

func (e *RejectError) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Reason) }

// Place is where a record stands in its source.
type Place struct {
	Path string // a file as configured, "-" for standard input, "postgres" for a query
	Line int64  // from 1; 0 where there are no lines
	Nth  int    // its number among the records that begin on the line: 0 for the first, then 2, 3, ...
	Key  string // for a Postgres row without a readable id: what identifies the row instead of a line
}

// String returns "path:line", or "path:line.n" for the n-th record that begins on a line, the name by which a record without
// an id of its own is known.
func (p Place) String() string { return string(p.append(nil)) }

func (p Place) append(b []byte) []byte {
	b = append(append(b, p.Path...), ':')
	if p.Line == 0 {
		return append(b, p.Key...)
	}
	b = strconv.AppendInt(b, p.Line, 10)
	if p.Nth > 1 {
		b = strconv.AppendInt(append(b, '.'), int64(p.Nth), 10)
	}
	return b
}
