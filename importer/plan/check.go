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

// OrganisationOf asks Dixa which organisation the token belongs to, as a run does. If the token may not ask, the organisation has no id,
// tried is set, and err is the result of a harmless look-up that shows whether Dixa accepts the token at all.
func OrganisationOf(ctx context.Context, api session.API, source string) (org dixa.Organization, tried bool, err error) {
	return session.OrganisationOf(ctx, api, source)
}

// AttributeCheck is the result of CheckAttributes.
type AttributeCheck struct {
	// Checked is false if the token may not read the definitions: then only the form of the mappings was checked.
	Checked bool
	// Required lists the identifiers of attributes that the organisation requires and the configuration does not set.
	Required []string

	attributes shape.Attributes
}

// CheckAttributes checks, as a run does, that the organisation has the attributes that a configuration names. The error is a
// *session.ConfigError that lists every problem, or the error of the request.
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

// CheckNames checks, as a run does, that the organisation has the queue and the tags that a configuration names. It creates none.
func CheckNames(ctx context.Context, api session.API, handover session.Handover, tags []string, createTags bool) error {
	s := &session.Session{Config: session.Config{API: api, Handover: handover, Tags: tags, CreateTags: createTags}}
	return s.CheckNames(ctx)
}

// Sample returns the configured attributes that none of the transcripts has, and the values of the transcripts that could not be set.
func (c AttributeCheck) Sample(transcripts []*source.Transcript) (absent []string, refused []Refusal) {
	seen := map[string]bool{}
	for _, t := range transcripts {
		for name := range t.Attributes {
			seen[name] = true
		}
		_, problems := c.attributes.Values(t)
		for _, p := range problems {
			refused = addRefusal(refused, p)
		}
	}
	for _, a := range c.attributes {
		if a.Constant == nil && !seen[a.Name] {
			absent = append(absent, a.Name)
		}
	}
	return absent, refused
}
