package dixa

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// Note is an internal note of a conversation.
type Note struct {
	ID        string
	Message   string
	AuthorID  string
	CreatedAt Time // the zero time if Dixa does not say it
}

// UnmarshalJSON reads a note. Only its text is necessary.
func (n *Note) UnmarshalJSON(data []byte) error {
	var wire struct {
		ID        json.RawMessage `json:"id"`
		Message   string          `json:"message"`
		AuthorID  json.RawMessage `json:"authorId"`
		CreatedAt json.RawMessage `json:"createdAt"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	*n = Note{readField[string](wire.ID), wire.Message, readField[string](wire.AuthorID), readField[Time](wire.CreatedAt)}
	return nil
}

// NewNote is a note to create.
type NewNote struct {
	Message   string `json:"message"`
	AgentID   string `json:"agentId,omitempty"`
	CreatedAt Time   `json:"createdAt"`
}

type notesBody struct {
	Data []NewNote `json:"data"`
}

func (b notesBody) private() private {
	var p private
	for _, n := range b.Data {
		p = append(p, n.Message)
	}
	return p
}

// CreateNotes adds notes to a conversation and returns, for each, the reason why Dixa refused it, "" if it did not. It is not idempotent. For
// before, see ImportConversation.
func (c *Client) CreateNotes(ctx context.Context, conversationID int64, notes []NewNote, before Before) (refused []string, err error) {
	body := notesBody{notes}
	return do(ctx, c, call[[]string]{op: OpCreateNotes, method: http.MethodPost, url: c.url(conversationPath(conversationID)+"/notes/bulk", nil),
		body: body, before: before, read: func(answer []byte) ([]string, error) { return readNotes(answer, len(notes), body.private()) }})
}

func readNotes(body []byte, want int, said private) ([]string, error) {
	entries, err := readData[[]struct {
		Type  string `json:"_type"`
		Error *struct {
			Message string `json:"message"`
		} `json:"error"`
	}](body)
	switch {
	case err != nil:
		return nil, err
	case len(entries) != want:
		return nil, errors.New("it does not have an entry for each note")
	}
	refused := make([]string, want)
	for i, e := range entries {
		switch {
		case e.Error != nil:
			if refused[i] = cleanKeeping(e.Error.Message, "", said); refused[i] == "" {
				refused[i] = "without a reason"
			}
		case e.Type != "" && e.Type != "BulkActionSuccess":
			return nil, errors.New("it has an entry of a kind that is not known")
		}
	}
	return refused, nil
}

// ListNotes returns the notes of a conversation, oldest first.
func (c *Client) ListNotes(ctx context.Context, conversationID int64) ([]Note, error) {
	return collect(pages[Note](ctx, c, OpListNotes, conversationPath(conversationID)+"/notes", nil))
}
