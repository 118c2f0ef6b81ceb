package importer

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"dixa-import/dixa"
	"dixa-import/source"
)

// AttributeCheck is how the attributes of a configuration fit an organisation.
type AttributeCheck struct {
	// Checked is false when the token may not read the definitions, so that only the form of the mappings was looked at.
	Checked bool
	// Required are the identifiers of attributes that the organisation requires and that are not set.
	Required []string

	attributes attributes
}

// CheckAttributes says whether the organisation has the attributes that a configuration names, as a run would find out.
// The error is a *ConfigError that names every problem, or says that Dixa could not be asked.
func CheckAttributes(ctx context.Context, api API, mappings []AttributeMapping) (c AttributeCheck, err error) {
	im := &Importer{cfg: Config{API: api, Attributes: mappings}, log: slog.New(slog.DiscardHandler)}
	defs, err := api.ListAttributes(ctx)
	if err != nil && !refusedOptional(err) {
		return c, fmt.Errorf("ask Dixa for its custom attributes: %w", err)
	}
	c.Checked = err == nil
	if err := im.resolveAmong(defs, !c.Checked); err != nil {
		return c, err
	}
	c.attributes = im.attributes
	for _, d := range defs {
		set := slices.ContainsFunc(c.attributes, func(a attribute) bool { return a.id == d.ID })
		if d.EntityType == dixa.EntityConversation && d.Required && !d.Archived && !d.Deactivated && !set {
			c.Required = append(c.Required, d.Identifier)
		}
	}
	return c, nil
}

// Sample says which attributes of the configuration none of some transcripts has, and which of their values could not be set.
func (c AttributeCheck) Sample(transcripts []*source.Transcript) (absent []string, refused []PlanRefusal) {
	met := map[string]bool{}
	for _, t := range transcripts {
		for name := range t.Attributes {
			met[name] = true
		}
		_, problems := c.attributes.valuesOf(t)
		for _, p := range problems {
			refused = addRefusal(refused, p)
		}
	}
	for _, a := range c.attributes {
		if a.constant == nil && !met[a.name] {
			absent = append(absent, a.name)
		}
	}
	return absent, refused
}
