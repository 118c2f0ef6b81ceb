package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/dixa"
	"dixa-import/importer"
	"dixa-import/importer/plan"
)

// maxSkew is how far the clocks may be apart before check warns: a few seconds are the network's.
const maxSkew = 5 * time.Second

// dixa checks what needs Dixa, and returns the organisation that a run would tie the source to, "" if the token is no good.
func (f *preflight) dixa(ctx context.Context, s config.Dixa, source string, attributes []importer.AttributeMapping, mapped bool, finishing config.Finishing) string {
	agent, err := s.BotUser()
	if err != nil {
		f.fail("token", err)
	} else {
		f.add("token", stateOK, "bot user %s", agent)
	}
	client, err := f.program.newClient(s, askAttempts, 1, nil)
	if err != nil {
		f.fail("dixa", err)
		return ""
	}
	defer client.Close()
	organisation, ok := f.organisation(ctx, client, s, source)
	if !ok {
		return ""
	}
	if skew, known := client.ClockSkew(); known && skew.Abs() > maxSkew {
		f.add("clock", stateWarning, "this machine's clock is %s off Dixa's: set it, or transcripts may appear to be in the future", skew.Abs().Round(time.Second))
	} else if known {
		f.add("clock", stateOK, "agrees with Dixa's")
	}
	if s.Mark && source != "" {
		f.mark = importer.LookForMark(ctx, client, source)
	}
	if mapped {
		f.checkAttributes(ctx, client, attributes)
	}
	f.names(ctx, client, finishing)
	f.webhooks(ctx, client)
	if organisation == "" {
		organisation = agent
	}
	return organisation
}

// organisation asks which organisation the token belongs to; a token that may not ask is tried on something harmless.
func (f *preflight) organisation(ctx context.Context, client *dixa.Client, s config.Dixa, source string) (id string, ok bool) {
	org, _, err := plan.OrganisationOf(ctx, client, source)
	if err != nil {
		f.fail("dixa", advice.OnAnswer(err))
		return "", false
	}
	f.add("dixa", stateOK, "%s accepts the token (auth: %s)", s.BaseURL, client.Auth())
	if org.ID != "" {
		f.add("organisation", stateOK, "%s", strings.TrimSpace(org.Name+" "+org.ID))
		return org.ID, true
	}
	id, named := dixa.TokenOrganization(s.Token)
	if named {
		f.add("organisation", stateWarning, "the token may not read it; the token itself says %s", id)
	} else {
		f.add("organisation", stateWarning, "the token may not read it: the source is tied to the bot user instead")
	}
	return id, true
}

// refused reports whether the token may not use an operation, or the operation is not there.
func refused(err error) bool {
	var api *dixa.APIError
	return errors.As(err, &api) &&
		(api.Status == http.StatusUnauthorized || api.Status == http.StatusForbidden || api.Status == http.StatusNotFound)
}

func (f *preflight) checkAttributes(ctx context.Context, client *dixa.Client, mappings []importer.AttributeMapping) {
	checked, err := plan.CheckAttributes(ctx, client, mappings)
	switch {
	case err != nil:
		f.fail("attributes", err)
		return
	case len(mappings) == 0:
		f.add("attributes", stateOK, "none are configured")
	case !checked.Checked:
		f.add("attributes", stateWarning, "the token may not read them: the UUIDs are not checked")
	default:
		f.add("attributes", stateOK, "all %d are there", len(mappings))
	}
	f.attributes = &checked
	if len(checked.Required) > 0 {
		f.add("attributes", stateWarning, "the organisation requires %s, which the configuration does not set", strings.Join(checked.Required, ", "))
	}
}

// names checks the queue and the tags that the configuration names.
func (f *preflight) names(ctx context.Context, client *dixa.Client, s config.Finishing) {
	if s.Handover.Queue == "" && len(s.Tags) == 0 {
		return
	}
	if err := plan.CheckNames(ctx, client, s.Handover, s.Tags, s.CreateTags); err != nil {
		f.fail("queue and tags", err)
		return
	}
	f.add("queue and tags", stateOK, "Dixa has them")
}

// webhooks warns of subscriptions that a large import would flood.
func (f *preflight) webhooks(ctx context.Context, client *dixa.Client) {
	hooks, err := client.ListWebhooks(ctx)
	if err != nil {
		if !refused(err) {
			f.add("webhooks", stateWarning, "could not be read: %s", err.Error())
		}
		return
	}
	var flooded []string
	for _, h := range hooks {
		if h.ReceivesImports() {
			flooded = append(flooded, h.Name)
		}
	}
	if len(flooded) > 0 {
		f.add("webhooks", stateWarning, "%s will receive every import: exclude OperationOrigin ApiImport in their filters", strings.Join(flooded, ", "))
		return
	}
	f.add("webhooks", stateOK, "none hears of imports")
}
