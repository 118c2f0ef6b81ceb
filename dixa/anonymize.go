package dixa

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Anonymization is a request to anonymize a conversation or an end-user. Dixa queues it, and deletes nothing.
type Anonymization struct {
	ID          string    // of the request
	Target      string    // the number of the conversation, or the id of the end-user; "" if Dixa does not say it
	ProcessedAt time.Time // zero: it waits in the queue
}

// UnmarshalJSON reads a request. Only its ID is necessary.
func (a *Anonymization) UnmarshalJSON(data []byte) error {
	var wire struct {
		ID          string          `json:"id"`
		Target      json.RawMessage `json:"targetEntityId"`
		ProcessedAt Time            `json:"processedAt"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	*a = Anonymization{wire.ID, strings.Trim(string(wire.Target), `"`), wire.ProcessedAt.Time}
	return nil
}

// AnonymizeConversation asks Dixa to anonymize a conversation. Dixa refuses one that is open, unless force closes it. What a repeated request
// does is not documented, so it is sent again only if nothing of it left; for before, see ImportConversation. Dixa tells afterwards by
// Conversation.AnonymizedAt.
func (c *Client) AnonymizeConversation(ctx context.Context, id int64, force bool, before Before) (Anonymization, error) {
	return c.anonymize(ctx, OpAnonymizeConversation, conversationPath(id), force, before)
}

// AnonymizeEndUser asks Dixa to anonymize an end-user and all conversations that they requested. It is otherwise like AnonymizeConversation.
func (c *Client) AnonymizeEndUser(ctx context.Context, id string, force bool, before Before) (Anonymization, error) {
	if err := needID(OpAnonymizeEndUser, id); err != nil {
		return Anonymization{}, err
	}
	return c.anonymize(ctx, OpAnonymizeEndUser, "/endusers/"+url.PathEscape(id), force, before)
}

func (c *Client) anonymize(ctx context.Context, op Operation, path string, force bool, before Before) (Anonymization, error) {
	query := url.Values{}
	if force {
		query.Set("force", "true")
	}
	return do(ctx, c, call[Anonymization]{op: op, method: http.MethodPatch, url: c.url(path+"/anonymize", query), before: before, notAgain: true,
		read: readAnonymization})
}

// GetAnonymization returns a request; an APIError with status 404 says that there is none.
func (c *Client) GetAnonymization(ctx context.Context, requestID string) (Anonymization, error) {
	if err := needID(OpGetAnonymization, requestID); err != nil {
		return Anonymization{}, err
	}
	return do(ctx, c, call[Anonymization]{op: OpGetAnonymization, method: http.MethodGet, url: c.url("/anonymization/request/"+url.PathEscape(requestID), nil),
		read: readAnonymization})
}

func readAnonymization(body []byte) (Anonymization, error) {
	a, err := readData[Anonymization](body)
	if err == nil && a.ID == "" {
		err = errors.New("it has no id of an anonymization request")
	}
	return a, err
}
