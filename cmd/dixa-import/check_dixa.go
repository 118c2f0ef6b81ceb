package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer"
)

// maxSkew is how far the clocks may be apart before check warns: a few seconds are the network's.
const maxSkew = 5 * time.Second

// dixa checks what needs Dixa, and returns the organisation that a run would tie the source to, "" if the token is no good.
func (f *preflight) dixa(ctx context.Context, s dixaSettings, source string, attributes []importer.AttributeMapping, mapped bool) string {
	agent, err := agentID(s)
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
		f.add("clock", stateWarning, "this machine's clock is %s off Dixa's: set it, or transcripts may seem to lie in the future", skew.Abs().Round(time.Second))
	} else if known {
		f.add("clock", stateOK, "agrees with Dixa's")
	}
	if mapped {
		f.checkAttributes(ctx, client, attributes)
	}
	f.webhooks(ctx, client)
	if organisation == "" {
		organisation = agent
	}
	return organisation
}

// organisation asks which organisation the token belongs to; a token that may not ask is tried on something harmless.
func (f *preflight) organisation(ctx context.Context, client *dixa.Client, s dixaSettings, source string) (id string, ok bool) {
	org, err := client.GetOrganization(ctx)
	if err == nil && org.ID != "" {
		f.add("dixa", stateOK, "%s accepts the token", s.BaseURL)
		f.add("organisation", stateOK, "%s", strings.TrimSpace(org.Name+" "+org.ID))
		return org.ID, true
	}
	if err != nil && !refused(err) {
		f.fail("dixa", advised(err))
		return "", false
	}
	if _, err := client.FindEndUsers(ctx, dixa.ByExternalID, source+"/"); err != nil {
		f.fail("dixa", advised(err))
		return "", false
	}
	f.add("dixa", stateOK, "%s accepts the token", s.BaseURL)
	id, named := dixa.TokenOrganization(s.Token)
	if named {
		f.add("organisation", stateWarning, "the token may not read it; the token itself names %s", id)
	} else {
		f.add("organisation", stateWarning, "the token may not read it: the source is tied to the bot user instead")
	}
	return id, true
}

// refused says whether the token may not use an operation, or the operation is not there.
func refused(err error) bool {
	var api *dixa.APIError
	return errors.As(err, &api) &&
		(api.Status == http.StatusUnauthorized || api.Status == http.StatusForbidden || api.Status == http.StatusNotFound)
}

func (f *preflight) checkAttributes(ctx context.Context, client *dixa.Client, mappings []importer.AttributeMapping) {
	checked, err := importer.CheckAttributes(ctx, client, mappings)
	switch {
	case err != nil:
		f.fail("attributes", err)
		return
	case len(mappings) == 0:
		f.add("attributes", stateOK, "none are configured")
	case !checked.Checked:
		f.add("attributes", stateWarning, "the token may not read them: the UUIDs are used unchecked")
	default:
		f.add("attributes", stateOK, "all %d are there", len(mappings))
	}
	f.attributes = &checked
	if len(checked.Required) > 0 {
		f.add("attributes", stateWarning, "the organisation requires %s, which the configuration does not set", strings.Join(checked.Required, ", "))
	}
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
		f.add("webhooks", stateWarning, "%s will hear of every import: exclude OperationOrigin ApiImport in their filters", strings.Join(flooded, ", "))
		return
	}
	f.add("webhooks", stateOK, "none hears of imports")
}
