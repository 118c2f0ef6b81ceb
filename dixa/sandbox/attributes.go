package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Attribute is the definition of a custom attribute.
type Attribute struct {
	ID          string
	EntityType  string // Conversation (the default) or Contact
	Identifier  string
	Label       string
	Type        string // Text (the default) or Select; any other can be listed, but not patched
	Options     []Option
	Required    bool
	Archived    bool
	Deactivated bool
}

// Option is an option of a Select.
type Option struct {
	Value       string
	Label       string
	Deactivated bool
	Nested      []Option
}

// The ids of DefaultAttributes.
const (
	OrderNumberID   = "c43fc767-f89b-443a-9c98-90f53f940bd7"
	BotVersionID    = "2f5515b6-7e98-4f4d-9010-bfd2a27d4f35"
	ContactReasonID = "db5f673b-1c40-41e7-b71f-caab342f0607"
	ArchivedID      = "8a4a3a0e-3b29-4d0f-a0a3-6c1c6d2f7e44"
	LocationID      = "66121f54-98ee-4727-a4e7-1a373d411ccf"
)

// DefaultAttributes returns a Text order_number, a Text bot_version labelled "Bot version", a Select contact_reason
// (payment > card, bank_transfer; access; delivery > late, damaged, and lost, which is deactivated), a Text old_channel
// that is archived and a Select location of contacts.
func DefaultAttributes() []Attribute {
	return []Attribute{
		{ID: OrderNumberID, Identifier: "order_number", Label: "Order number"},
		{ID: BotVersionID, Identifier: "bot_version", Label: "Bot version"},
		{ID: ContactReasonID, Identifier: "contact_reason", Label: "Contact reason", Type: "Select", Required: true, Options: []Option{
			{Value: "payment", Label: "Payment", Nested: []Option{
				{Value: "card", Label: "Card"}, {Value: "bank_transfer", Label: "Bank transfer"}}},
			{Value: "access", Label: "Access"},
			{Value: "delivery", Label: "Delivery", Nested: []Option{
				{Value: "late", Label: "Late"}, {Value: "damaged", Label: "Damaged"},
				{Value: "lost", Label: "Lost", Deactivated: true}}},
		}},
		{ID: ArchivedID, Identifier: "old_channel", Label: "Old channel", Archived: true},
		{ID: LocationID, EntityType: "Contact", Identifier: "location", Label: "Location", Type: "Select", Options: []Option{
			{Value: "denmark", Label: "Denmark", Nested: []Option{{Value: "copenhagen", Label: "Copenhagen"}}}}},
	}
}

func (a Attribute) entityType() string {
	if a.EntityType == "" {
		return "Conversation"
	}
	return a.EntityType
}

func (a Attribute) kind() string {
	if a.Type == "" {
		return "Text"
	}
	return a.Type
}

// accepts reports whether the attribute can have the value, a string or a []string.
func (a Attribute) accepts(v any) bool {
	if a.Archived || a.Deactivated || a.entityType() != "Conversation" {
		return false
	}
	switch v := v.(type) {
	case string:
		return a.kind() == "Text"
	case []string:
		return a.kind() == "Select" && len(v) > 0 && isPath(a.Options, v)
	}
	return false
}

// isPath reports whether the values lead from the top through options that are active.
func isPath(options []Option, path []string) bool {
	if len(path) == 0 {
		return true
	}
	for _, o := range options {
		if o.Value == path[0] && !o.Deactivated && isPath(o.Nested, path[1:]) {
			return true
		}
	}
	return false
}

func (s *Server) attribute(id string) (Attribute, bool) {
	for _, a := range s.opts.Attributes {
		if strings.EqualFold(a.ID, id) {
			return a, true
		}
	}
	return Attribute{}, false
}

// patchAttributes sets all of the attributes, or none.
func (s *Server) patchAttributes(x *exchange) outcome {
	var patch map[string]any
	var null bool
	return s.onConversation(x, func(d *decoder, v *value) { patch, null = d.patch(v) }, func(c *storedConversation) outcome {
		if null {
			return refuse(http.StatusBadRequest, msgPatch)
		}
		for id, value := range patch {
			if a, ok := s.attribute(id); !ok || !a.accepts(value) {
				return refuse(http.StatusBadRequest, msgPatch)
			}
		}
		if c.Attributes == nil {
			c.Attributes = map[string]any{}
		}
		for id, value := range patch {
			c.Attributes[id] = value
		}
		changed := s.showAttributes(c, func(id string) bool { _, ok := patch[id]; return ok })
		return answer(http.StatusOK, obj{"data": changed})
	})
}

// patch decodes the map of attributes by UUID in lower case; null says that one of the values is null.
func (d *decoder) patch(v *value) (patch map[string]any, null bool) {
	const at = "patch"
	if v.kind != kindObject {
		d.refuse(at, "is "+v.kind.String()+", not an object")
		return nil, false
	}
	if len(v.fields) == 0 {
		d.note(at + " is empty")
	}
	patch = make(map[string]any, len(v.fields))
	for i := range v.fields {
		f := &v.fields[i]
		id := strings.ToLower(f.name)
		if !isUUID(id) {
			d.refuse(at, "has a key that is no UUID")
			return nil, false
		}
		switch f.value.kind {
		case kindString:
			patch[id] = strings.Clone(f.value.text)
		case kindArray:
			patch[id] = append([]string{}, d.strings(v, at, f.name)...)
		case kindNull:
			null = true
			d.note(at + ": a value is null, which the vendor's description does not allow")
		default:
			d.refuse(at, "has a value that is neither a string nor an array of strings")
		}
	}
	return patch, null
}

// showAttributes shows those attributes of a conversation that are wanted, in the order of their definition.
func (s *Server) showAttributes(c *storedConversation, wanted func(id string) bool) []obj {
	list := []obj{}
	for _, a := range s.opts.Attributes {
		id := strings.ToLower(a.ID)
		if value, ok := c.Attributes[id]; ok && wanted(id) {
			list = append(list, obj{"id": id, "name": a.Label, "identifier": a.Identifier, "value": value})
		}
	}
	return list
}

// definedAt is when the default organisation was set up.
var definedAt = time.Date(2023, 1, 1, 8, 23, 54, 246e6, time.UTC)

func (s *Server) listAttributes(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data := make([]obj, len(s.opts.Attributes))
	for i, a := range s.opts.Attributes {
		input := obj{"_type": a.kind()}
		switch a.kind() {
		case "Select":
			order := 0
			input["options"] = showOptions(a.Options, i+1, &order)
		case "Text":
			setOptional(input, "placeholder", "", i%2 == 0)
		}
		data[i] = obj{
			"id": strings.ToLower(a.ID), "entityType": a.entityType(), "identifier": a.Identifier, "label": a.Label,
			"inputDefinition": input, "createdAt": spellZone(definedAt), "isRequired": a.Required,
			"isArchived": a.Archived, "isDeactivated": a.Deactivated,
		}
		setOptional(data[i], "description", "", i%2 == 0)
		if i%2 == 1 {
			data[i]["updatedAt"] = spellZone(definedAt.Add(time.Duration(i) * 7 * time.Hour))
			data[i]["unheardOf"] = true // answers may gain fields at any time
		}
	}
	return answer(http.StatusOK, obj{"data": data})
}

func showOptions(options []Option, attribute int, order *int) []obj {
	list := make([]obj, len(options))
	for i, o := range options {
		*order++
		list[i] = obj{
			"id": fmt.Sprintf("%08d-0000-4000-8000-%012d", attribute, *order), "label": o.Label, "value": o.Value,
			"isDeactivated": o.Deactivated, "orderIndex": *order,
		}
		nested := showOptions(o.Nested, attribute, order)
		if len(nested) > 0 || i%2 == 0 {
			list[i]["nestedOptions"] = nested
		}
	}
	return list
}

// SetAttributes replaces the definitions of custom attributes. What conversations have stays as it is.
func (s *Server) SetAttributes(attributes []Attribute) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Attributes = slices.Clone(attributes)
}
