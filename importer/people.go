package importer

import (
	"context"
	"errors"
	"fmt"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/people"
)

// IgnoredIdentifiers counts the values of end-users' identifiers that were not used, by reason.
type IgnoredIdentifiers = people.Ignored

// PeopleSurvey counts the identifiers in transcripts that are ignored, and finds those that many people share.
type PeopleSurvey = people.Survey

// SharedIdentifier describes an identifier that many people share, without its value.
type SharedIdentifier = people.SharedIdentifier

// NewPeopleSurvey returns a survey that reads identifiers as a run with the configuration does. It uses Source, Match, Region and Ignore.
func NewPeopleSurvey(cfg Config) *PeopleSurvey {
	return people.NewSurvey(people.NewMatcher(cfg.WithDefaults()))
}

// Identifiers returns the identifiers of a person in the form that the checkpoint stores, and the kinds of the values that cannot be read.
// External ids are used as written; email addresses and phone numbers are normalized as in transcripts, for the given region. Unlike in
// transcripts, placeholder values are identifiers, and so are addresses as earlier versions wrote them, because the checkpoint may have
// them.
func Identifiers(externalIDs, emails, phones []string, region string) (ids []checkpoint.Identifier, unreadable []checkpoint.IdentifierKind) {
	return people.Identifiers(externalIDs, emails, phones, region)
}

// newResolver returns the Resolver that finds and creates the end-users of this run.
func (p *pipeline) newResolver() *people.Resolver {
	return people.NewResolver(p.s, p.matcher, people.Hooks{
		Admit:        p.admit,
		WorkersIdle:  func() bool { return p.ready.Load() < int64(p.s.Workers) },
		LookUpWindow: p.learning.lookUpWindow,
		NeedsLag:     p.learning.needLookUpLag,
		Created:      p.learning.noteCreated,
		Found:        p.first.noteExisting,
		Succeeded:    p.refusals.succeeded,
	})
}

// resolveCodes are the error codes of transcripts whose end-user could not be resolved.
var resolveCodes = map[people.Reason]string{people.Unavailable: codeUnavailable, people.Refused: codeEndUserRefused, people.Conflict: codeEndUserConflict}

// resolve is the step that finds or creates the end-user.
func (p *pipeline) resolve(_ context.Context, t *task) (step, error) {
	id, created, err := p.users.Resolve(&t.user)
	var failure *people.Error
	var denied *people.DeniedError
	switch {
	case errors.As(err, &denied):
		return p.settleRefused(t, fmt.Sprint(t.user.Person.IDs[0]), denied.Err)
	case errors.As(err, &failure) && failure.Reason == people.Unavailable:
		p.unsearched.Store(p.s.Reconcile || p.unsearched.Load())
		return p.settle(t, checkpoint.Release, resolveCodes[failure.Reason], failure.Error())
	case errors.As(err, &failure):
		return p.settleFailed(t, resolveCodes[failure.Reason], failure)
	case err != nil:
		return stepEnd, err
	}
	if err := p.admit(); err != nil {
		return stepEnd, err
	}
	t.row.EndUserID = id
	if created {
		p.unmarked.noteCreated(id)
	}
	if (!created || len(t.user.Others) > 0) && p.mustSearch(t) {
		return stepSearchFirst, nil
	}
	return stepSend, nil
}
