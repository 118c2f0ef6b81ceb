package dixa

import (
	"context"
	"encoding/json"
	"errors"
)

// Linked is a conversation that is linked to a parent.
type Linked struct {
	ConversationID int64
	ParentID       int64  // 0 if Dixa does not say it
	Type           string // such as FollowUp or SideConversation; how Dixa calls what was linked as Related is not documented
}

// UnmarshalJSON reads a linked conversation. Only its id is necessary.
func (l *Linked) UnmarshalJSON(data []byte) error {
	var wire struct {
		ID   int64           `json:"id"`
		Link json.RawMessage `json:"link"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	if wire.ID <= 0 {
		return errors.New("it has a conversation without an id")
	}
	link := readField[map[string]json.RawMessage](wire.Link)
	*l = Linked{wire.ID, readField[int64](link["parentId"]), readField[string](link["_type"])}
	return nil
}

// ListLinked returns the conversations of which one is the parent.
func (c *Client) ListLinked(ctx context.Context, conversationID int64) ([]Linked, error) {
	return collect(pages[Linked](ctx, c, OpListLinked, conversationPath(conversationID)+"/linked", nil))
}
