package dixa

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"
)

// Direction describes who began a conversation, or which way a message went.
type Direction string

// The directions. Messages of other channels may have others.
const (
	Inbound  Direction = "Inbound"  // from the end-user
	Outbound Direction = "Outbound" // to the end-user
)

// ConnectionStatus says whether the end-user is still there.
type ConnectionStatus string

// The connection statuses of a requester.
const (
	Connected    ConnectionStatus = "Connected"
	Disconnected ConnectionStatus = "Disconnected"
)

// MessageType is the kind of an imported message.
type MessageType string

// The kinds of imported messages.
const (
	InboundImport  MessageType = "InboundImport"  // by the requester
	OutboundImport MessageType = "OutboundImport" // by the agent AgentID
)

// ContentType is the format of a message's text.
type ContentType string

// The formats of a message's text.
const (
	Text     ContentType = "Text"
	HTML     ContentType = "Html"
	Markdown ContentType = "Markdown"
)

// ConversationImport is a conversation to be imported into the channel ChannelName.
type ConversationImport struct {
	RequesterID               string           `json:"requesterId"` // UUID of the end-user
	RequesterConnectionStatus ConnectionStatus `json:"requesterConnectionStatus,omitempty"`
	Direction                 Direction        `json:"direction"`
	CreatedAt                 Time             `json:"createdAt"`
	ExternalID                string           `json:"externalId,omitempty"`
	Messages                  []ImportMessage  `json:"messages"`
	Assignment                *Assignment      `json:"assignment,omitempty"` // nil: nobody's
	Closing                   *Closing         `json:"closing,omitempty"`    // nil: the conversation stays open
}

// ImportMessage is one message of a conversation to be imported.
type ImportMessage struct {
	Type        MessageType  `json:"_type"`
	Content     Content      `json:"content"`
	AgentID     string       `json:"agentId,omitempty"` // of the author, OutboundImport only
	Attachments []Attachment `json:"attachments"`
	ExternalID  string       `json:"externalId,omitempty"`
	CreatedAt   Time         `json:"createdAt"`
}

// Content is the text of a message.
type Content struct {
	Type  ContentType `json:"_type"`
	Value string      `json:"value"`
}

// Attachment is a file that lies somewhere else.
type Attachment struct {
	URL        string `json:"url"`
	PrettyName string `json:"prettyName,omitempty"`
}

// Assignment says whose a conversation is.
type Assignment struct {
	AgentID    string `json:"agentId"`
	AssignedAt Time   `json:"assignedAt"`
}

// Closing closes a conversation while it is imported.
type Closing struct {
	ClosedAt Time   `json:"closedAt"`
	ClosedBy string `json:"closedBy"` // UUID of the agent
}

// importBody is what ImportConversation sends.
type importBody struct {
	Type    string `json:"_type"`
	Channel string `json:"genericChannelName"`
	plainImport
}

type plainImport ConversationImport // without its methods

// body returns what is sent. encoding/json checks and copies what a MarshalJSON returns, which for a whole conversation costs as
// much as writing it, so that MarshalJSON is not on that way.
func (in ConversationImport) body() importBody {
	messages := make([]ImportMessage, len(in.Messages))
	for i, m := range in.Messages {
		if m.Attachments == nil {
			m.Attachments = []Attachment{}
		}
		messages[i] = m
	}
	in.Messages = messages
	return importBody{"GenericConversationImport", ChannelName, plainImport(in)}
}

// MarshalJSON writes exactly what ImportConversation sends.
func (in ConversationImport) MarshalJSON() ([]byte, error) { return encode(in.body()) }

// ImportResult is what Dixa made of an import.
type ImportResult struct {
	ID            int64 // of the conversation
	PartialErrors []PartialError
}

// PartialError is a problem that did not keep a conversation from being created.
type PartialError struct {
	Reason Reason // ReasonAttachment, ReasonUnassigned or ReasonUnknown
	// Message is what Dixa said, cleaned like the messages of errors; the external ids of the imported messages are left as they are.
	Message    string
	ExternalID string // of the message that it is about, "" if it names none that was sent
}

// Before is called right before every attempt of a request that must not be repeated blindly; see ImportConversation.
type Before = func(ctx context.Context, attempt int, previous error) (notAfter time.Time, err error)

// ImportConversation imports a conversation. It is not idempotent, and is repeated only after a 429 or when nothing was
// written to the network; unless NotApplied, an error leaves open whether the conversation exists.
//
// before is called right before every attempt leaves, after the limiter let it go. attempt counts them from 1, those that
// were throttled too; previous is the error of the attempt before: a RateLimitError, or a TransportError with nothing
// written. An error of before ends the call and is returned as it is, with nothing sent.
//
// The request does not begin to be written after notAfter, by the monotonic clock or by the wall clock, whichever says
// that more time has passed; it then fails as one of which nothing was written. The zero time sets no bound.
func (c *Client) ImportConversation(ctx context.Context, in ConversationImport,
	before func(ctx context.Context, attempt int, previous error) (notAfter time.Time, err error)) (ImportResult, error) {
	return do(ctx, c, call[ImportResult]{op: OpImport, method: http.MethodPost,
		url: c.url("/conversations/import", nil), body: in.body(), before: before,
		read: func(body []byte) (ImportResult, error) { return readImport(body, in) }})
}

func readImport(body []byte, sent ConversationImport) (ImportResult, error) {
	data, err := readData[struct {
		ID            int64           `json:"id"`
		PartialErrors json.RawMessage `json:"partialErrors"`
	}](body)
	if err != nil {
		return ImportResult{}, err
	}
	if data.ID <= 0 {
		return ImportResult{}, errors.New("it has no conversation id")
	}
	result := ImportResult{ID: data.ID}
	// The id is worth more than the form of what follows: losing it would put an import that succeeded in doubt.
	var partial []struct {
		Message string `json:"message"`
	}
	known := len(data.PartialErrors) == 0 || json.Unmarshal(data.PartialErrors, &partial) == nil
	if !known {
		result.PartialErrors = []PartialError{{Message: "Dixa reported partial errors in a form that is not known"}}
		return result, nil
	}
	for _, p := range partial {
		id := longestIn(p.Message, sent.Messages)
		result.PartialErrors = append(result.PartialErrors, PartialError{Reason: partialReason(p.Message),
			Message: cleanKeeping(p.Message, id, sent.private()), ExternalID: id})
	}
	return result, nil
}

// longestIn returns the longest external id of a sent message that the text names, "" if none.
func longestIn(text string, sent []ImportMessage) string {
	ids := make([]string, len(sent))
	for i, m := range sent {
		ids[i] = m.ExternalID
	}
	return longestContained(text, slices.Values(ids))
}
