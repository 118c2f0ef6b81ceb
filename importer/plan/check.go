package plan

import (
	"context"
	"fmt"
	"slices"

	"dixa-import/dixa"
	"dixa-import/importer/internal/session"
	"dixa-import/importer/internal/shape"
	"dixa-import/source"
)

// OrganisationOf asks Dixa which organisation the token belongs to, as a run does. Where the token may not ask, the organisation has no
// id, and a harmless look-up shows whether Dixa accepts the token at all: err is of that one if tried is set.
func OrganisationOf(ctx context.Context, api session.API, source string) (org dixa.Organization, tried bool, err error) {
	return session.OrganisationOf(ctx, api, source)
}

// AttributeCheck is how the attributes of a configuration fit an organisation.
type AttributeCheck struct {
	// Checked is false when the token may not read the definitions, so that only the form of the mappings was looked at.
	Checked bool
	// Required are the identifiers of attributes that the organisation requires and that are not set.
	Required []string

	attributes shape.Attributes
}

// CheckAttributes reports whether the organisation has the attributes that a configuration names, as a run would find out.
// The error is a *ConfigError that names every problem, or says that Dixa could not be asked.
func CheckAttributes(ctx context.Context, api session.API, mappings []shape.Mapping) (c AttributeCheck, err error) {
	defs, err := api.ListAttributes(ctx)
	if err != nil && !session.RefusedOptional(err) {
		return c, fmt.Errorf("ask Dixa for its custom attributes: %w", err)
	}
	c.Checked = err == nil
	if c.attributes, err = session.ResolveMappings(mappings, defs, !c.Checked); err != nil {
		return c, err
	}
	for _, d := range defs {
		set := slices.ContainsFunc(c.attributes, func(a shape.Attribute) bool { return a.ID == d.ID })
		if d.EntityType == dixa.EntityConversation && d.Required && !d.Archived && !d.Deactivated && !set {
			c.Required = append(c.Required, d.Identifier)
		}
	}
	return c, nil
}

// Sample returns which attributes of the configuration none of some transcripts has, and which of their values could not be set.
func (c AttributeCheck) Sample(transcripts []*source.Transcript) (absent []string, refused []Refusal) {
	met := map[string]bool{}
	for _, t := range transcripts {
		for name := range t.Attributes {
			met[name] = true
		}
		_, problems := c.attributes.Values(t)
		for _, p := range problems {
			refused = addRefusal(refused, p)
		}
	}
	for _, a := range c.attributes {
		if a.Constant == nil && !met[a.Name] {
			absent = append(absent, a.Name)
		}
	}
	return absent, refused
}
