package dixa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// DefaultExportsURL is where Dixa's Exports API is. It is another host than that of the API, with another limit.
const DefaultExportsURL = "https://exports.dixa.io"

const (
	// ExportRate is how many requests a second the Exports API takes: ten a minute.
	ExportRate = 10.0 / 60
	// ExportTimeout is how long an export may take.
	ExportTimeout = 10 * time.Minute
	// ExportWindow is the longest time of which the Exports API gives the conversations or the messages.
	ExportWindow = 31 * 24 * time.Hour
)

// ExportedConversation is a conversation as the Exports API has it. What it does not say is the zero value.
type ExportedConversation struct {
	ID            int64 // called csid in messages
	RequesterID   string
	AssigneeID    string
	Direction     string // such as inbound or INBOUND
	Status        string // such as closed or CLOSED
	CreatedAt     Time
	ClosedAt      Time // zero: it is open, as far as Dixa says
	LastMessageAt Time
	AnonymizedAt  Time
	// Attributes are the custom attributes. HasAttributes says whether the export has them at all.
	Attributes    []CustomAttribute
	HasAttributes bool
}

// ExportedMessage is a message as the Exports API has it, without its external id.
type ExportedMessage struct {
	ID           string
	Conversation int64
	AuthorID     string // "" if the export does not say it
	Direction    string // such as inbound or INBOUND
	Text         string
	CreatedAt    Time
}

// exported reads one object of an export. Some fields are spelled in two ways.
type exported map[string]json.RawMessage

func (e exported) text(names ...string) string {
	for _, name := range names {
		if s := readField[string](e[name]); s != "" {
			return s
		}
	}
	return ""
}

func (e exported) number(names ...string) int64 {
	for _, name := range names {
		raw := strings.Trim(string(e[name]), `"`)
		if n, err := strconv.ParseInt(raw, 10, 64); err == nil {
			return n
		}
	}
	return 0
}

// time reads Unix milliseconds or text.
func (e exported) time(names ...string) Time {
	for _, name := range names {
		if n := e.number(name); n != 0 {
			return At(time.UnixMilli(n).UTC())
		}
		if t := readField[Time](e[name]); !t.IsZero() {
			return t
		}
	}
	return Time{}
}

// UnmarshalJSON reads a conversation. Only its number is necessary.
func (c *ExportedConversation) UnmarshalJSON(data []byte) error {
	var e exported
	if err := json.Unmarshal(data, &e); err != nil {
		return err
	}
	*c = ExportedConversation{ID: e.number("id", "csid"), RequesterID: e.text("requester_id", "requesterId"), AssigneeID: e.text("assignee_id", "assigneeId"),
		Direction: e.text("direction"), Status: e.text("status", "state"), CreatedAt: e.time("created_at", "createdAt"), ClosedAt: e.time("closed_at", "closedAt"),
		LastMessageAt: e.time("last_message_created_at", "lastMessageCreatedAt"), AnonymizedAt: e.time("anonymized_at", "anonymizedAt")}
	for _, name := range []string{"custom_attributes", "customAttributes", "custom_fields"} {
		if raw := e[name]; len(raw) > 0 && raw[0] == '[' {
			c.Attributes, c.HasAttributes = readField[[]CustomAttribute](raw), true
		}
	}
	if c.ID == 0 {
		return errors.New("it has a conversation without a number")
	}
	return nil
}

// UnmarshalJSON reads a message. Only the number of its conversation is necessary.
func (m *ExportedMessage) UnmarshalJSON(data []byte) error {
	var e exported
	if err := json.Unmarshal(data, &e); err != nil {
		return err
	}
	*m = ExportedMessage{ID: e.text("id"), Conversation: e.number("csid", "conversation_id", "conversationId"), AuthorID: e.text("author_id", "authorId"),
		Direction: e.text("direction"), Text: e.text("text", "content"), CreatedAt: e.time("created_at", "createdAt")}
	if m.Conversation == 0 {
		return errors.New("it has a message without the number of its conversation")
	}
	return nil
}

// ExportConversations passes the conversations that began at from or later and before to, at most ExportWindow after it, to take, and perhaps
// some that began right before or after. If the answer breaks off it calls restart and begins again. The client must have been made for the
// Exports API: with its address, ExportRate and ExportTimeout.
func (c *Client) ExportConversations(ctx context.Context, from, to time.Time, restart func(), take func(ExportedConversation)) error {
	return export(ctx, c, OpExportConversations, "/conversation_export", from, to, restart, take)
}

// ExportMessages does with messages as ExportConversations with conversations.
func (c *Client) ExportMessages(ctx context.Context, from, to time.Time, restart func(), take func(ExportedMessage)) error {
	return export(ctx, c, OpExportMessages, "/message_export", from, to, restart, take)
}

// export asks for a window. Whether its ends belong to it is not documented, so that it asks for a millisecond more on each side.
func export[T any](ctx context.Context, c *Client, op Operation, path string, from, to time.Time, restart func(), take func(T)) error {
	after, before := from.Add(-time.Millisecond), to.Add(time.Millisecond)
	if before.Sub(after) > ExportWindow {
		return &unsentError{op: op, err: fmt.Errorf("the window is longer than %v", ExportWindow-2*time.Millisecond)}
	}
	query := url.Values{"created_after": {strconv.FormatInt(after.UnixMilli(), 10)}, "created_before": {strconv.FormatInt(before.UnixMilli(), 10)}}
	_, err := do(ctx, c, call[struct{}]{op: op, method: http.MethodGet, url: c.url(path, query), sink: func(body io.Reader) error {
		restart()
		return describeJSON(eachOf(body, take))
	}})
	return err
}

// eachOf reads a JSON array, or the array in the member data of an object, element by element.
func eachOf[T any](body io.Reader, take func(T)) error {
	dec := json.NewDecoder(body)
	for depth := 0; ; depth++ {
		token, err := dec.Token()
		switch {
		case err != nil:
			return err
		case token == json.Delim('['):
			for dec.More() {
				var x T
				if err := dec.Decode(&x); err != nil {
					return err
				}
				take(x)
			}
			_, err := dec.Token()
			return err
		case depth == 0 && token == json.Delim('{'), depth == 1 && token == "data":
		default:
			return errors.New("it is no list")
		}
	}
}
