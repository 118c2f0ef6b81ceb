package dixa

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// The types of attributes that this package knows.
const (
	AttributeText   = "Text"   // a text
	AttributeSelect = "Select" // a path through nested options
)

// EntityConversation is the EntityType of attributes of conversations.
const EntityConversation = "Conversation"

// AttributeDefinition is a custom attribute that an administrator of the organisation defined.
type AttributeDefinition struct {
	ID          string   `json:"id"`
	EntityType  string   `json:"entityType"` // Conversation or Contact
	Identifier  string   `json:"identifier"`
	Label       string   `json:"label"`
	Type        string   `json:"type"`              // AttributeText, AttributeSelect or another
	Options     []Option `json:"options,omitempty"` // of a Select
	Required    bool     `json:"isRequired"`
	Archived    bool     `json:"isArchived"`
	Deactivated bool     `json:"isDeactivated"`
}

// Option is a choice of a Select attribute.
type Option struct {
	Value       string   `json:"value"`
	Label       string   `json:"label"`
	Deactivated bool     `json:"isDeactivated"`
	Nested      []Option `json:"nestedOptions"`
}

// UnmarshalJSON reads a definition as Dixa writes it.
func (d *AttributeDefinition) UnmarshalJSON(data []byte) error {
	var wire struct {
		ID              string          `json:"id"`
		EntityType      string          `json:"entityType"`
		Identifier      string          `json:"identifier"`
		Label           string          `json:"label"`
		InputDefinition json.RawMessage `json:"inputDefinition"`
		IsRequired      bool            `json:"isRequired"`
		IsArchived      bool            `json:"isArchived"`
		IsDeactivated   bool            `json:"isDeactivated"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	// Only the two known types have a known form.
	input := readField[map[string]json.RawMessage](wire.InputDefinition)
	*d = AttributeDefinition{
		ID: wire.ID, EntityType: wire.EntityType, Identifier: wire.Identifier, Label: wire.Label,
		Type: readField[string](input["_type"]), Options: readField[[]Option](input["options"]),
		Required: wire.IsRequired, Archived: wire.IsArchived, Deactivated: wire.IsDeactivated,
	}
	return nil
}

// AttributeValue is the value of a custom attribute: a text, or for a Select the values on the path through its options.
type AttributeValue struct {
	Text string
	List []string // not nil: the value is a list
}

// MarshalJSON writes a string, or an array of strings.
func (v AttributeValue) MarshalJSON() ([]byte, error) {
	if v.List != nil {
		return encode(v.List)
	}
	return encode(v.Text)
}

// UnmarshalJSON reads a string, an array of strings or null. A number or a boolean becomes its text, anything else the
// empty text.
func (v *AttributeValue) UnmarshalJSON(data []byte) error {
	*v = AttributeValue{}
	if json.Unmarshal(data, &v.List) == nil {
		return nil
	}
	v.List = nil
	if json.Unmarshal(data, &v.Text) != nil && !bytes.ContainsAny(data[:1], "{[") {
		v.Text = string(data)
	}
	return nil
}

// PatchAttributes sets custom attributes of a conversation, by their UUIDs; others keep their values. It is idempotent.
// The answer may be empty, but if there is one it must be JSON.
func (c *Client) PatchAttributes(ctx context.Context, conversationID int64, values map[string]AttributeValue) error {
	if len(values) == 0 {
		return &unsentError{op: OpPatchAttributes, err: errors.New("there are no attributes to set")}
	}
	_, err := do(ctx, c, call[struct{}]{op: OpPatchAttributes, method: http.MethodPatch,
		url: c.url(conversationPath(conversationID)+"/custom-attributes", nil), body: attributeValues(values), read: readNothing})
	return err
}

// ListAttributes returns the definitions of all custom attributes of the organisation.
func (c *Client) ListAttributes(ctx context.Context) ([]AttributeDefinition, error) {
	return collect(pages[AttributeDefinition](ctx, c, OpListAttributes, "/custom-attributes", nil))
}
