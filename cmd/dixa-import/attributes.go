package main

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/dixa"
)

// attributesCmd is the command attributes.
type attributesCmd struct{ *program }

func attributesCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:        "attributes",
		Usage:       "list the custom attributes of the Dixa organisation",
		Description: "The section attributes of the configuration takes an identifier, a label or an id. A transcript sets a Select to the values on the path through its options, such as [\"payment\", \"card\"].",
		Action:      action(func(*cli.Context) (command, error) { return &attributesCmd{p}, nil }),
	}
}

type attributeJSON struct {
	ID         string     `json:"id"`
	Entity     string     `json:"entity"`
	Identifier string     `json:"identifier"`
	Label      string     `json:"label"`
	Type       string     `json:"type"`
	State      string     `json:"state"`
	Options    [][]string `json:"options,omitempty"`
}

// Run does the command.
func (p *attributesCmd) Run(ctx context.Context) error {
	client, err := p.configuredClient()
	if err != nil {
		return err
	}
	defer client.Close()
	defs, err := client.ListAttributes(ctx)
	if err != nil {
		return advice.OnAnswer(err)
	}
	out := make([]attributeJSON, len(defs))
	for i, d := range defs {
		out[i] = attributeJSON{d.ID, d.EntityType, d.Identifier, d.Label, d.Type, stateOf(d), optionPaths(nil, d.Options)}
	}
	if p.json {
		return p.stdout.JSON(out)
	}
	t := term.Table{Heads: []string{"ID", "ENTITY", "IDENTIFIER", "LABEL", "TYPE", "STATE"}}
	for _, a := range out {
		t.Row(a.ID, a.Entity, a.Identifier, a.Label, a.Type, a.State)
	}
	t.Write(p.stdout, "")
	if len(out) == 0 {
		p.stdout.Line("The organisation has no custom attributes.")
	}
	for _, a := range out {
		if len(a.Options) == 0 {
			continue
		}
		p.stdout.Printf("\nOptions of %s\n", a.Identifier)
		for _, path := range a.Options {
			p.stdout.Printf("  [\"%s\"]\n", strings.Join(path, `", "`))
		}
	}
	return nil
}

func stateOf(d dixa.AttributeDefinition) string {
	switch {
	case d.Archived:
		return "archived"
	case d.Deactivated:
		return "deactivated"
	case d.Required:
		return "active, required"
	}
	return "active"
}

// optionPaths returns the path to each active option.
func optionPaths(above []string, options []dixa.Option) [][]string {
	var paths [][]string
	for _, o := range options {
		if o.Deactivated {
			continue
		}
		path := append(append([]string{}, above...), o.Value)
		paths = append(append(paths, path), optionPaths(path, o.Nested)...)
	}
	return paths
}
