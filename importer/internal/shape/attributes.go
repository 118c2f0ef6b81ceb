// Package shape converts a transcript into what Dixa receives, and compares it with a conversation in Dixa. Its functions are pure: they
// use neither the checkpoint nor the API.
package shape

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// Mapping maps an attribute of the transcripts, or a constant, to a custom attribute in Dixa.
type Mapping struct {
	Name      string        // of the transcripts' attribute
	Attribute string        // identifier, label or UUID in Dixa
	Constant  *source.Value // not nil: every conversation gets this value
	// Values translates values of the transcripts, by their text; the elements of a list are joined by " > ". Case and surrounding blanks do not matter.
	Values map[string]source.Value
	Else   Else
}

// Else says what becomes of a value that is not translated and that Dixa does not take. The zero value makes it a partial error.
type Else struct {
	Omit  bool          // the attribute is not set
	Value *source.Value // not nil: it is set to this
}

// Attributes are resolved mappings.
type Attributes []Attribute

// Attribute is a resolved mapping.
type Attribute struct {
	Name     string                  // of the transcripts' attribute
	ID       string                  // UUID
	Constant *source.Value           // not nil: every conversation gets this value
	values   map[string]source.Value // by translationKey
	els      Else
	kind     string // dixa.AttributeText, dixa.AttributeSelect, or "" when the token may not read the definitions
	options  []dixa.Option
}

// Resolve finds the definitions of the attributes that mappings name, and returns every problem with the mappings. unchecked says that the
// definitions could not be read: then only UUIDs can be used.
func Resolve(mappings []Mapping, defs []dixa.AttributeDefinition, unchecked bool) (resolved Attributes, problems []string) {
	for _, m := range mappings {
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
		problems = append(problems, a.translate(m)...)
		if i := slices.IndexFunc(resolved, func(o Attribute) bool { return o.ID == a.ID }); i >= 0 {
			problems = append(problems, fmt.Sprintf("attributes.%s: it sets the same attribute of Dixa as attributes.%s", m.Name, resolved[i].Name))
		}
		resolved = append(resolved, a)
	}
	return resolved, problems
}

// translate prepares the table of values, and returns which of its values Dixa would refuse.
func (a *Attribute) translate(m Mapping) (problems []string) {
	a.els = m.Else
	if m.Else.Value != nil {
		if _, refused := a.value(*m.Else.Value); refused != "" {
			problems = append(problems, fmt.Sprintf("attributes.%s.else: the value cannot be set: %s", m.Name, refused))
		}
	}
	for _, from := range slices.Sorted(maps.Keys(m.Values)) {
		key := translationKey(source.Value{Text: from})
		if _, twice := a.values[key]; twice {
			problems = append(problems, fmt.Sprintf("attributes.%s.values: two keys differ only in case or blanks: keep one", m.Name))
		}
		if a.values == nil {
			a.values = map[string]source.Value{}
		}
		a.values[key] = m.Values[from]
		if _, refused := a.value(m.Values[from]); refused != "" {
			problems = append(problems, fmt.Sprintf("attributes.%s.values.%s: the value cannot be set: %s", m.Name, from, refused))
		}
	}
	return problems
}

// translationKey is what a value is looked up by.
func translationKey(v source.Value) string {
	text := v.Text
	if v.List != nil {
		text = strings.Join(v.List, " > ")
	}
	return strings.ToLower(strings.TrimSpace(text))
}

// set returns what to send for a value of a transcript; omit: nothing; or why it cannot be set.
func (a Attribute) set(v source.Value) (value dixa.AttributeValue, omit bool, problem string) {
	if a.Constant != nil {
		v = *a.Constant
	} else if to, ok := a.values[translationKey(v)]; ok {
		v = to
	}
	value, problem = a.value(v)
	switch {
	case problem == "":
	case a.els.Omit:
		return dixa.AttributeValue{}, true, ""
	case a.els.Value != nil:
		value, problem = a.value(*a.els.Value)
	}
	return value, false, problem
}

// Unset returns the values of a transcript that Dixa does not take and that no table translates, whatever becomes of them, by the name of the
// transcript's attribute. They are the customer's data.
func (as Attributes) Unset(t *source.Transcript) map[string]string {
	var unset map[string]string
	for _, a := range as {
		v, ok := t.Attributes[a.Name]
		if _, translated := a.values[translationKey(v)]; !ok || a.Constant != nil || translated {
			continue
		}
		if _, problem := a.value(v); problem != "" {
			if unset == nil {
				unset = map[string]string{}
			}
			unset[a.Name] = v.Text
			if v.List != nil {
				unset[a.Name] = strings.Join(v.List, " > ")
			}
		}
	}
	return unset
}

// resolveAttribute finds one attribute among the definitions: by its UUID, else its identifier, else its label.
func resolveAttribute(m Mapping, defs []dixa.AttributeDefinition, unchecked bool) (Attribute, string) {
	a := Attribute{Name: m.Name, Constant: m.Constant}
	id, err := uuid.Parse(m.Attribute)
	if unchecked {
		if err != nil {
			return a, fmt.Sprintf("%q is not a UUID, and the token may not read the organisation's attributes: write the attribute's UUID", m.Attribute)
		}
		a.ID = id.String()
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
			return a, fmt.Sprintf("%d active attributes are called %q: write the UUID of the right one (%s or %s)",
				len(found), m.Attribute, found[0].ID, found[1].ID)
		}
		if len(found) == 1 {
			a.ID, a.kind, a.options = found[0].ID, found[0].Type, found[0].Options
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

// value returns what to send to Dixa for a value, or why Dixa would refuse it.
func (a Attribute) value(v source.Value) (dixa.AttributeValue, string) {
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
// it. The problem names the closest option in Dixa, never the record's value.
func (a Attribute) optionPath(path []string) (dixa.AttributeValue, string) {
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

// findOption finds an active option by its value: an exact match, else the only one that differs in case alone.
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

// lowerValues returns, in lower case, the values of the active options that findOption finds in lower case.
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

// Among returns the attributes with these names, all if names is nil.
func (as Attributes) Among(names map[string]bool) Attributes {
	if names == nil {
		return as
	}
	return slices.DeleteFunc(slices.Clone(as), func(a Attribute) bool { return !names[a.Name] })
}

// Values returns the values to set for a transcript, by the attributes' UUIDs, and which of its values cannot be set.
func (as Attributes) Values(t *source.Transcript) (map[string]dixa.AttributeValue, []checkpoint.PartialError) {
	var values map[string]dixa.AttributeValue
	var refused []checkpoint.PartialError
	for _, a := range as {
		v, ok := t.Attributes[a.Name]
		if !ok && a.Constant == nil {
			continue
		}
		value, omit, problem := a.set(v)
		if omit {
			continue
		}
		if problem != "" {
			refused = append(refused, checkpoint.PartialError{Kind: checkpoint.KindAttribute, Attribute: a.Name, Message: problem})
			continue
		}
		if values == nil {
			values = make(map[string]dixa.AttributeValue, len(as))
		}
		values[a.ID] = value
	}
	return values, refused
}
