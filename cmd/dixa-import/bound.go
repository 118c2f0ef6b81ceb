package main

import (
	"context"
	"errors"
	"fmt"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
	"dixa-import/importer/live"
)

// bound is a checkpoint whose source is tied to an organisation, with a client for that organisation.
type bound struct {
	file         *config.File // nil for a checkpoint that was open
	api          config.Dixa
	source       string
	store        *checkpoint.Store
	organisation checkpoint.Binding
	client       *dixa.Client // shares the rate with other processes at the checkpoint
}

// openBound opens the configured checkpoint. More reads further sections of the configuration first.
func (p *program) openBound(ctx context.Context, more func(*config.File) error) (_ *bound, err error) {
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return nil, err
	}
	api, apiErr := file.Dixa()
	source, nameErr := file.SourceName()
	url, urlErr := file.DatabaseURL()
	if err := errors.Join(apiErr, urlErr, nameErr, more(file)); err != nil {
		return nil, err
	}
	store, err := connect.Checkpoint(ctx, url, connect.Update)
	if err != nil {
		return nil, err
	}
	b, err := p.bind(ctx, store, api, source)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	b.file = file
	return b, nil
}

// bind returns an open checkpoint with a client. The client is to be closed.
func (p *program) bind(ctx context.Context, store *checkpoint.Store, api config.Dixa, source string) (*bound, error) {
	organisation, err := store.Binding(ctx, source)
	switch {
	case err != nil:
		return nil, err
	case organisation == checkpoint.Binding{}:
		return nil, fmt.Errorf("the checkpoint has no source %s yet: import something with `dixa-import run` first, which ties the source to its organisation", source)
	case organisation.BaseURL != api.BaseURL:
		return nil, fmt.Errorf("the source %s was imported at %s, but dixa.base_url is %s: correct it, or use another source.name for a rehearsal", source, organisation.BaseURL, api.BaseURL)
	}
	client, err := p.newClient(api, askAttempts, 1, p.sharedLimiter(store, api))
	return &bound{api: api, source: source, store: store, organisation: organisation, client: client}, err
}

// confirmOrganisation asks Dixa whether the token belongs to the organisation of the source: conversations of two organisations may have the same
// number. A token that may not ask is taken at its word.
func (b *bound) confirmOrganisation(ctx context.Context) error {
	org, err := b.client.GetOrganization(ctx)
	if dixa.NotOffered(err) {
		if org.ID, _ = dixa.TokenOrganization(b.api.Token); org.ID == "" {
			return nil
		}
	} else if err != nil {
		return err
	}
	if org.ID != b.organisation.Organisation {
		return &checkpoint.BindingError{Source: b.source, Bound: b.organisation, Given: checkpoint.Binding{BaseURL: b.api.BaseURL, Organisation: org.ID}}
	}
	return nil
}

// Close releases the client and the checkpoint.
func (b *bound) Close() error {
	b.client.Close()
	return b.store.Close()
}

// newIntake returns an intake for the events of the organisation; stored may be nil.
func (p *program) newIntake(b *bound, s config.Serve, stored live.Signal) (*live.Intake, error) {
	agent, err := b.api.BotUser()
	if err != nil {
		return nil, err
	}
	return live.NewIntake(live.IntakeConfig{Store: b.store, Organisation: b.organisation, Source: b.source, AgentID: agent, Forward: s.ForwardURL != "",
		Stored: stored, Logger: p.log}), nil
}
