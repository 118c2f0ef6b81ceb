package importer

import (
	"context"
	"log/slog"
)

// CheckAttributes says whether the organisation has the attributes that a configuration names, as a run would find out.
// The error is a *ConfigError that names every problem, or says that Dixa could not be asked. checked is false when the
// token may not read the definitions, so that only the form of the mappings was looked at.
func CheckAttributes(ctx context.Context, api API, mappings []AttributeMapping) (checked bool, err error) {
	im := &Importer{cfg: Config{API: api, Attributes: mappings}, log: slog.New(slog.DiscardHandler)}
	if err := im.resolveAttributes(ctx); err != nil {
		return false, err
	}
	for _, a := range im.attributes {
		if a.kind == "" {
			return false, nil
		}
	}
	return true, nil
}
