package session

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/shape"
)

// startPatience is how long Dixa may take to answer the questions that a command asks before it starts.
const startPatience = time.Minute

// Ask asks Dixa what the command must know before it starts. All answers together may take startPatience.
func (s *Session) Ask(ctx context.Context, questions ...func(context.Context) error) error {
	asking, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for _, ask := range questions {
		if err := ask(asking); err != nil {
			if asking.Err() != nil && ctx.Err() == nil {
				return fmt.Errorf("Dixa did not answer within %v: check dixa.base_url and the network, or wait until Dixa has recovered: %w", startPatience, err)
			}
			return err
		}
	}
	return nil
}

// OrganisationOf asks Dixa which organisation the token belongs to. If the token may not ask, the organisation has no id, tried is set, and
// err is the result of a harmless look-up that shows whether Dixa accepts the token at all.
func OrganisationOf(ctx context.Context, api API, source string) (org dixa.Organization, tried bool, err error) {
	org, err = api.GetOrganization(ctx)
	if err == nil && org.ID != "" || err != nil && !RefusedOptional(err) {
		return org, false, err
	}
	_, err = api.FindEndUsers(ctx, dixa.ByExternalID, source+"/")
	return dixa.Organization{}, true, err
}

// AskOrganisation sets Organisation: to the id that Dixa returns, else the one in the token, else the bot's id. A token that Dixa rejects
// is a fatal error.
func (s *Session) AskOrganisation(ctx context.Context) error {
	org, tried, err := OrganisationOf(ctx, s.API, s.Source)
	switch {
	case err != nil && tried:
		return FatalAnswer(fmt.Errorf("try the token: %w", err))
	case err != nil:
		return fmt.Errorf("ask Dixa for the organisation of the token: %w", err)
	case !tried:
		s.Organisation, s.asksForOrganisation = org.ID, true
		return nil
	}
	s.Log.Warn("the token may not read the organisation: the source is tied to the organisation or bot that the token names")
	if s.Organisation = s.TokenOrganization; s.Organisation == "" {
		s.Organisation = s.AgentID
	}
	return nil
}

// TryToken repeats a request that Dixa has allowed this token before.
func (s *Session) TryToken(ctx context.Context) error {
	if !s.asksForOrganisation {
		_, err := s.API.FindEndUsers(ctx, dixa.ByExternalID, s.ExternalID(""))
		return err
	}
	_, err := s.API.GetOrganization(ctx)
	return err
}

// ResolveAttributes finds the attributes that the configuration names and sets Custom. A *ConfigError lists every problem.
func (s *Session) ResolveAttributes(ctx context.Context) (err error) {
	if len(s.Attributes) == 0 {
		return nil
	}
	defs, err := s.API.ListAttributes(ctx)
	unreachable := err != nil && dixa.Transient(err) && ctx.Err() == nil && s.onlyUUIDs()
	if err != nil && !RefusedOptional(err) && !unreachable {
		return fmt.Errorf("ask Dixa for its custom attributes: %w", err)
	}
	unchecked := err != nil
	if unreachable {
		s.Log.Warn("the custom attributes could not be read: values are not checked", "error", err.Error())
	} else if unchecked {
		s.Log.Warn("the token may not read the custom attributes: only UUIDs can be used, and values are not checked")
	}
	s.Custom, err = ResolveMappings(s.Attributes, defs, unchecked)
	return err
}

// ResolveMappings finds the definitions of the attributes that mappings name; unchecked says that the definitions could not be read. A
// *ConfigError lists every problem.
func ResolveMappings(mappings []shape.Mapping, defs []dixa.AttributeDefinition, unchecked bool) (shape.Attributes, error) {
	resolved, problems := shape.Resolve(mappings, defs, unchecked)
	if problems != nil {
		return nil, &ConfigError{strings.Join(problems, "\n") + "\n`dixa-import attributes` lists what the organisation has"}
	}
	return resolved, nil
}

// onlyUUIDs reports whether the configuration names all attributes by UUID.
func (s *Session) onlyUUIDs() bool {
	return !slices.ContainsFunc(s.Attributes, func(m shape.Mapping) bool { return uuid.Validate(m.Attribute) != nil })
}

// Binding returns what the source is tied to.
func (s *Session) Binding() checkpoint.Binding {
	return checkpoint.Binding{BaseURL: s.BaseURL, Organisation: s.Organisation}
}

// CheckBinding returns an error if a run would refuse to work with this organisation. It writes nothing.
func (s *Session) CheckBinding(ctx context.Context) error {
	var bound checkpoint.Binding
	err := s.Patiently(ctx, "read the checkpoint", func(ctx context.Context) (err error) {
		bound, err = s.Store.Binding(ctx, s.Source)
		return err
	})
	if err == nil && bound != (checkpoint.Binding{}) && bound != s.Binding() && !s.Rebind {
		err = &checkpoint.BindingError{Source: s.Source, Bound: bound, Given: s.Binding()}
	}
	return err
}

// Lookup returns the checkpoint's rows of the transcripts with these keys.
func (s *Session) Lookup(ctx context.Context, keys ...string) (rows map[string]checkpoint.Row, err error) {
	err = s.Patiently(ctx, "read the checkpoint", func(ctx context.Context) (err error) {
		rows, err = s.Store.Lookup(ctx, s.Source, s.RunID, keys)
		return err
	})
	return rows, err
}

// Complete returns the conversations of those of these transcripts that are complete with these content hashes, and 0 for the others.
func (s *Session) Complete(ids, hashes []string) (conversations []int64, err error) {
	err = s.Patiently(s.Starting, "read the checkpoint", func(ctx context.Context) (err error) {
		conversations, err = s.Store.Complete(ctx, s.Source, ids, hashes)
		return err
	})
	return conversations, s.StoppedOr(err)
}

// PartialErrorsOf returns the partial errors of transcripts, by key; transcripts without any are not in the map.
func (s *Session) PartialErrorsOf(keys []string) (recorded map[string][]checkpoint.PartialError, err error) {
	err = s.Patiently(s.Starting, "read the checkpoint", func(ctx context.Context) (err error) {
		recorded, err = s.Store.PartialErrorsOf(ctx, s.Source, keys)
		return err
	})
	return recorded, s.StoppedOr(err)
}

// Held returns which of these conversations the checkpoint has as imports of the source.
func (s *Session) Held(ctx context.Context, listed []dixa.Conversation) (held map[int64]bool, err error) {
	if len(listed) == 0 {
		return nil, nil
	}
	ids := make([]int64, len(listed))
	for i, c := range listed {
		ids[i] = c.ID
	}
	err = s.Patiently(ctx, "read the checkpoint", func(ctx context.Context) (err error) {
		held, err = s.Store.Conversations(ctx, s.Source, ids)
		return err
	})
	return held, err
}

// Candidates returns the listed conversations that may have been imported and are not in the checkpoint.
func (s *Session) Candidates(ctx context.Context, listed []dixa.Conversation) ([]dixa.Conversation, error) {
	listed = slices.DeleteFunc(listed, func(c dixa.Conversation) bool { return !c.MayBeImported() })
	held, err := s.Held(ctx, listed)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(listed, func(c dixa.Conversation) bool { return held[c.ID] }), nil
}
