package importer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// AttributeMapping says which custom attribute of Dixa gets which attribute of the transcripts, or a constant.
type AttributeMapping struct {
	Name      string        // of the transcripts' attribute
	Attribute string        // identifier, label or UUID in Dixa
	Constant  *source.Value // not nil: every conversation gets this value
}

// attributes are the mappings, resolved.
type attributes []attribute

type attribute struct {
	name     string
	id       string // UUID
	constant *source.Value
	kind     string // dixa.AttributeText, dixa.AttributeSelect, or "" when the token may not read the definitions
	options  []dixa.Option
}

// resolveAttributes finds the attributes that the configuration names. Every problem is named at once.
func (im *Importer) resolveAttributes(ctx context.Context) error {
	if len(im.cfg.Attributes) == 0 {
		return nil
	}
	defs, err := im.cfg.API.ListAttributes(ctx)
	if err != nil && !refusedOptional(err) {
		return fmt.Errorf("ask Dixa for its custom attributes: %w", err)
	}
	unchecked := err != nil
	if unchecked {
		im.log.Warn("the token may not read the custom attributes: only UUIDs can be used, and values are not checked")
	}
	return im.resolveAmong(defs, unchecked)
}

// resolveAmong finds the attributes that the configuration names among definitions.
func (im *Importer) resolveAmong(defs []dixa.AttributeDefinition, unchecked bool) error {
	var resolved attributes
	var problems []string
	for _, m := range im.cfg.Attributes {
		a, problem := resolveAttribute(m, defs, unchecked)
		if problem != "" {
			problems = append(problems, fmt.Sprintf("attributes.%s: %s", m.Name, problem))
			continue
		}
		if m.Constant != nil {
			if _, refused := a.value(*m.Constant); refused != "" {
				problems = append(problems, fmt.Sprintf("attributes.%s: the constant cannot be set: %s", m.Name, refused))
			}
		}
		if i := slices.IndexFunc(resolved, func(o attribute) bool { return o.id == a.id }); i >= 0 {
			problems = append(problems, fmt.Sprintf("attributes.%s: it sets the same attribute of Dixa as attributes.%s", m.Name, resolved[i].name))
		}
		resolved = append(resolved, a)
	}
	if problems != nil {
		return &ConfigError{strings.Join(problems, "\n") + "\n`dixa-import attributes` lists what the organisation has"}
	}
	im.attributes = resolved
	return nil
}

// resolveAttribute finds one attribute among the definitions: by its UUID, else its identifier, else its label.
func resolveAttribute(m AttributeMapping, defs []dixa.AttributeDefinition, unchecked bool) (attribute, string) {
	a := attribute{name: m.Name, constant: m.Constant}
	id, err := uuid.Parse(m.Attribute)
	if unchecked {
		if err != nil {
			return a, fmt.Sprintf("%q is no UUID, and the token may not read the organisation's attributes: write the attribute's UUID", m.Attribute)
		}
		a.id = id.String()
		return a, ""
	}
	var inactive, contact bool
	for _, by := range []func(dixa.AttributeDefinition) bool{
		func(d dixa.AttributeDefinition) bool { return err == nil && strings.EqualFold(d.ID, id.String()) },
		func(d dixa.AttributeDefinition) bool { return d.Identifier == m.Attribute },
		func(d dixa.AttributeDefinition) bool { return d.Label == m.Attribute },
	} {
		var found []dixa.AttributeDefinition
		for _, d := range defs {
			switch {
			case !by(d):
			case d.EntityType != dixa.EntityConversation:
				contact = true
			case d.Archived || d.Deactivated:
				inactive = true
			default:
				found = append(found, d)
			}
		}
		if len(found) > 1 {
			return a, fmt.Sprintf("%d active attributes are called %q: write the UUID of the one that is meant (%s or %s)",
				len(found), m.Attribute, found[0].ID, found[1].ID)
		}
		if len(found) == 1 {
			a.id, a.kind, a.options = found[0].ID, found[0].Type, found[0].Options
			return a, ""
		}
	}
	switch {
	case inactive:
		return a, fmt.Sprintf("%q is archived or deactivated in Dixa: activate it there, or remove the line", m.Attribute)
	case contact:
		return a, fmt.Sprintf("%q belongs to contacts, not to conversations: choose an attribute of conversations", m.Attribute)
	}
	return a, fmt.Sprintf("Dixa has no attribute %q (identifier, label or UUID)", m.Attribute)
}

// value is what Dixa is sent for a value, or why it would refuse it.
func (a attribute) value(v source.Value) (dixa.AttributeValue, string) {
	switch a.kind {
	case dixa.AttributeText:
		if v.List != nil {
			return dixa.AttributeValue{}, "the attribute is a Text, and the value is a list: give one string"
		}
		return dixa.AttributeValue{Text: v.Text}, ""
	case dixa.AttributeSelect:
		path := v.List
		if path == nil {
			path = []string{v.Text}
		}
		if len(path) == 0 {
			return dixa.AttributeValue{}, "the list is empty: give the path through the options, or null"
		}
		return a.optionPath(path)
	}
	return dixa.AttributeValue(v), ""
}

// optionPath follows a path through the active options of a Select and returns it as Dixa writes it, or what is wrong with
// it: Dixa's nearest option is named, the record's value never.
func (a attribute) optionPath(path []string) (dixa.AttributeValue, string) {
	out, options := make([]string, len(path)), a.options
	for i, value := range path {
		o, ok := findOption(options, value)
		if !ok {
			hint := ""
			if near := Closest(strings.ToLower(value), lowerValues(options)); near != "" {
				o, _ := findOption(options, near)
				hint = fmt.Sprintf(", did you mean %q?", o.Value)
			}
			return dixa.AttributeValue{}, fmt.Sprintf("element %d is not among the active options at that place%s "+
				"(give the options' values from the top, as `dixa-import attributes` lists them)", i+1, hint)
		}
		out[i], options = o.Value, o.Nested
	}
	return dixa.AttributeValue{List: out}, ""
}

// findOption finds an active option by its value: as written, else in other case where just one fits.
func findOption(options []dixa.Option, value string) (found dixa.Option, ok bool) {
	n := 0
	for _, o := range options {
		switch {
		case o.Deactivated:
		case o.Value == value:
			return o, true
		case strings.EqualFold(o.Value, value):
			found = o
			n++
		}
	}
	return found, n == 1
}

// lowerValues are the values of the active options that findOption finds in lower case.
func lowerValues(options []dixa.Option) []string {
	var values []string
	for _, o := range options {
		lower := strings.ToLower(o.Value)
		if _, ok := findOption(options, lower); ok && !o.Deactivated {
			values = append(values, lower)
		}
	}
	return values
}

// among are the attributes with these names, all if it is nil.
func (as attributes) among(names map[string]bool) attributes {
	if names == nil {
		return as
	}
	return slices.DeleteFunc(slices.Clone(as), func(a attribute) bool { return !names[a.name] })
}

// valuesOf returns what is to be set for a transcript, by UUID, and which of its values cannot be set.
func (as attributes) valuesOf(t *source.Transcript) (map[string]dixa.AttributeValue, []checkpoint.PartialError) {
	var values map[string]dixa.AttributeValue
	var refused []checkpoint.PartialError
	for _, a := range as {
		v, ok := t.Attributes[a.name]
		if a.constant != nil {
			v, ok = *a.constant, true
		}
		if !ok {
			continue
		}
		value, problem := a.value(v)
		if problem != "" {
			refused = append(refused, checkpoint.PartialError{Kind: checkpoint.KindAttribute, Attribute: a.name, Message: problem})
			continue
		}
		if values == nil {
			values = make(map[string]dixa.AttributeValue, len(as))
		}
		values[a.id] = value
	}
	return values, refused
}

// setAttributes is the step that sets the attributes of an imported transcript, and ends it.
func (im *Importer) setAttributes(ctx context.Context, t *task) (step, error) {
	if t.transcript == nil {
		if len(im.attributes) > 0 {
			t.partial = append(t.partial, checkpoint.PartialError{Kind: checkpoint.KindAttribute,
				Message: "the attributes could not be set, because the source does not hold the transcript any more"})
		}
		return im.end(t)
	}
	values, refused := im.attributes.among(t.missing).valuesOf(t.transcript)
	if len(values) > 0 {
		more, err := im.patch(ctx, t, values)
		switch {
		case err != nil && ctx.Err() != nil:
			return stepEnd, errStopped
		case err != nil && stopsRun(err):
			return stepEnd, fatalAnswer(err)
		case err != nil && !dixa.NotApplied(err), dixa.Transient(err):
			return im.settle(t, checkpoint.Release, codeAttributes, err.Error())
		case err != nil:
			more = []checkpoint.PartialError{{Kind: checkpoint.KindAttribute, Message: err.Error()}}
		}
		refused = append(refused, more...)
	}
	t.partial = append(t.partial, refused...)
	return im.end(t)
}

func (im *Importer) end(t *task) (step, error) {
	if len(t.partial) > 0 {
		return im.settle(t, checkpoint.FinishPartial, "", "")
	}
	return im.settle(t, checkpoint.Finish, "", "")
}

// patch sets attributes together, or one by one where Dixa refuses them together, and returns the refused ones.
func (im *Importer) patch(ctx context.Context, t *task, values map[string]dixa.AttributeValue) ([]checkpoint.PartialError, error) {
	err := im.cfg.API.PatchAttributes(ctx, t.row.ConversationID, values)
	if !hasStatus(err, http.StatusBadRequest) {
		return nil, err
	}
	var refused []checkpoint.PartialError
	for _, a := range im.attributes {
		value, ok := values[a.id]
		if !ok {
			continue
		}
		if len(values) > 1 {
			err = im.cfg.API.PatchAttributes(ctx, t.row.ConversationID, map[string]dixa.AttributeValue{a.id: value})
		}
		var api *dixa.APIError
		switch {
		case hasStatus(err, http.StatusBadRequest) && errors.As(err, &api):
			refused = append(refused, checkpoint.PartialError{Kind: checkpoint.KindAttribute, Attribute: a.name, Message: "Dixa refused it: " + api.Message})
		case err != nil:
			return nil, err
		}
	}
	return refused, nil
}
