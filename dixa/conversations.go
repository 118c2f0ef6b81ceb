package dixa

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Conversation is a conversation as Dixa describes it. Lists leave the custom attributes out.
type Conversation struct {
	ID               int64             `json:"id"`
	Type             string            `json:"_type"` // GenericConversation for imported chats, AnonymizedConversation for what was one
	Channel          string            `json:"channel"`
	State            string            `json:"state"` // Open, Pending, AwaitingPending or Closed
	Direction        Direction         `json:"direction"`
	StateUpdatedAt   Time              `json:"stateUpdatedAt"` // the zero time if Dixa does not say it
	CreatedAt        Time              `json:"createdAt"`
	AnonymizedAt     Time              `json:"anonymizedAt"` // zero: it is not anonymized
	RequesterID      string            `json:"requesterId"`
	Assignment       *Assignment       `json:"assignment"` // nil: nobody's
	Queue            *QueuePlace       `json:"queue"`      // nil: it waits in none
	Link             *Link             `json:"link"`       // nil: it has no parent
	CustomAttributes []CustomAttribute `json:"customAttributes"`
}

// QueuePlace is the queue in which a conversation waits, or waited last.
type QueuePlace struct {
	ID string // "" if it cannot be read
}

// UnmarshalJSON never fails: what a list of conversations is read for does not depend on queues.
func (q *QueuePlace) UnmarshalJSON(data []byte) error {
	*q = QueuePlace{ID: readField[string](readField[map[string]json.RawMessage](data)["id"])}
	return nil
}

// Link leads to the conversation that one belongs to.
type Link struct {
	ParentID int64 // 0 if it cannot be read
}

// UnmarshalJSON never fails, as that of QueuePlace.
func (l *Link) UnmarshalJSON(data []byte) error {
	*l = Link{ParentID: readField[int64](readField[map[string]json.RawMessage](data)["parentId"])}
	return nil
}

// CustomAttribute is an attribute that is set on a conversation.
type CustomAttribute struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Identifier string         `json:"identifier"`
	Value      AttributeValue `json:"value"`
}

// foreignTypes are the conversations that are known to come from other channels.
var foreignTypes = map[string]bool{
	"ChatConversation": true, "ContactFormConversation": true, "EmailConversation": true,
	"FacebookMessengerConversation": true, "MessengerConversation": true, "PstnPhoneConversation": true,
	"SmsConversation": true, "TwitterConversation": true, "WhatsAppConversation": true,
}

// MayBeImported reports whether the conversation may be one that was imported as a chat. How Dixa names the channel of
// those in its answers is not documented, so only those of a type that is known to be another channel's are ruled out.
func (c Conversation) MayBeImported() bool {
	return strings.EqualFold(c.Channel, ChannelName) || !foreignTypes[c.Type]
}

// Message is one message of a conversation.
type Message struct {
	ID         string            `json:"id"`
	AuthorID   string            `json:"authorId"`
	ExternalID string            `json:"externalId"`
	CreatedAt  Time              `json:"createdAt"`
	Attributes MessageAttributes `json:"attributes"`
}

// MessageAttributes is the channel's part of a message.
type MessageAttributes struct {
	Type        string       `json:"_type"` // GenericAttributes for imported chats
	Content     Content      `json:"content"`
	Direction   Direction    `json:"direction"`
	Attachments []Attachment `json:"attachments"`
}

// UnmarshalJSON reads the fields that have the expected form: those of other channels' messages may have any.
func (m *MessageAttributes) UnmarshalJSON(data []byte) error {
	*m = MessageAttributes{}
	fields := readField[map[string]json.RawMessage](data)
	m.Type = readField[string](fields["_type"])
	m.Content = readField[Content](fields["content"])
	m.Direction = readField[Direction](fields["direction"])
	m.Attachments = readField[[]Attachment](fields["attachments"])
	return nil
}

// readField returns the zero value for what is absent or of another form.
func readField[T any](raw json.RawMessage) T {
	var v, zero T
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return zero
	}
	return v
}

// ListConversations returns every conversation that an end-user requested. How soon a new one is among them is not
// documented. An APIError with status 404 says that there is no such end-user.
func (c *Client) ListConversations(ctx context.Context, endUserID string) ([]Conversation, error) {
	if err := needID(OpListConversations, endUserID); err != nil {
		return nil, err
	}
	return collect(pages[Conversation](ctx, c, OpListConversations, "/endusers/"+url.PathEscape(endUserID)+"/conversations", nil))
}

// GetConversation returns one conversation; an APIError with status 404 says that there is none.
func (c *Client) GetConversation(ctx context.Context, id int64) (Conversation, error) {
	return do(ctx, c, call[Conversation]{op: OpGetConversation, method: http.MethodGet,
		url: c.url(conversationPath(id), nil),
		read: func(body []byte) (Conversation, error) {
			conv, err := readData[Conversation](body)
			if err == nil && conv.ID != id {
				err = errors.New("it is not the conversation that was asked for")
			}
			return conv, err
		}})
}

// ListMessages returns the messages of a conversation, oldest first.
func (c *Client) ListMessages(ctx context.Context, conversationID int64) ([]Message, error) {
	return collect(pages[Message](ctx, c, OpListMessages, conversationPath(conversationID)+"/messages", nil))
}

// LinkConversation links a conversation to a parent as Related. A conversation has one parent at most, a parent 100 children, and a child
// none. Whether it may be repeated is not documented: GetConversation shows the link. For before, see ImportConversation.
func (c *Client) LinkConversation(ctx context.Context, conversationID, parentID int64, before Before) error {
	return change(ctx, c, OpLink, http.MethodPut, conversationPath(conversationID)+"/link", linkBody{parentID, "Related"}, before)
}

type linkBody struct {
	ParentID int64  `json:"parentId"`
	Type     string `json:"linkType"`
}

func (linkBody) private() private { return nil }

func conversationPath(id int64) string { return "/conversations/" + strconv.FormatInt(id, 10) }

// needID refuses ids that would turn a path into another operation's.
func needID(op Operation, id string) error {
	if strings.Trim(id, ".") == "" {
		return &unsentError{op: op, err: errors.New("there is no id to ask for")}
	}
	return nil
}
