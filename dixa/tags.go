package dixa

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// Tag is a tag of the organisation.
type Tag struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	State string `json:"state"` // Active or Inactive: only active ones may be set
}

// ListTags returns the active tags of the organisation.
func (c *Client) ListTags(ctx context.Context) ([]Tag, error) {
	return collect(pages[Tag](ctx, c, OpListTags, "/tags", nil))
}

// ListConversationTags returns the tags of a conversation, also those that are no longer active.
func (c *Client) ListConversationTags(ctx context.Context, conversationID int64) ([]Tag, error) {
	return collect(pages[Tag](ctx, c, OpListConversationTags, conversationPath(conversationID)+"/tags", nil))
}

// CreateTag creates a tag, or returns the one that has the name already.
func (c *Client) CreateTag(ctx context.Context, name string) (Tag, error) {
	return do(ctx, c, call[Tag]{op: OpCreateTag, method: http.MethodPost, url: c.url("/tags", nil), body: tagBody{name},
		read: func(body []byte) (Tag, error) {
			tag, err := readData[Tag](body)
			if err == nil && tag.ID == "" {
				err = errors.New("it has no id of a tag")
			}
			return tag, err
		}})
}

type tagBody struct {
	Name string `json:"name"`
}

func (tagBody) private() private { return nil }

// AddTag sets a tag on a conversation. It is idempotent.
func (c *Client) AddTag(ctx context.Context, conversationID int64, tagID string) error {
	if err := needID(OpAddTag, tagID); err != nil {
		return err
	}
	_, err := do(ctx, c, call[struct{}]{op: OpAddTag, method: http.MethodPut,
		url: c.url(conversationPath(conversationID)+"/tags/"+url.PathEscape(tagID), nil), read: readNothing})
	return err
}
