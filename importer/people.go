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

// PeopleSurvey counts which identifiers of transcripts are ignored, and finds those that many people share.
type PeopleSurvey = people.Survey

// SharedIdentifier is an identifier that many people share, without its value.
type SharedIdentifier = people.SharedIdentifier

// NewPeopleSurvey returns a survey that reads identifiers as a run with the configuration does; it uses Source, Match, Region and Ignore.
func NewPeopleSurvey(cfg Config) *PeopleSurvey {
	return people.NewSurvey(people.NewMatcher(cfg.WithDefaults()))
}

// Identifiers returns identifiers of a person as the checkpoint knows them, and the kinds of those that cannot be read: an external id is
// taken as it is written, email addresses and phone numbers as in transcripts, in the given region. Values that mean nobody in a transcript
// are identifiers here, and so is an address as earlier versions wrote it: the checkpoint may have it.
func Identifiers(externalIDs, emails, phones []string, region string) (ids []checkpoint.Identifier, unreadable []checkpoint.IdentifierKind) {
	return people.Identifiers(externalIDs, emails, phones, region)
}

// newResolver returns what finds and creates the end-users of this run.
func (p *pipeline) newResolver() *people.Resolver {
	return people.NewResolver(p.s, p.matcher, people.Hooks{
		Admit:        p.admit,
		WorkersIdle:  func() bool { return p.ready.Load() < int64(p.s.Workers) },
		LookUpWindow: p.learning.lookUpWindow,
		LooksAgain:   p.learning.needLookUpLag,
		Created:      p.learning.noteCreated,
		Found:        p.first.noteExisting,
		Succeeded:    p.refusals.succeeded,
	})
}

// codesOf are the error codes of transcripts without an end-user.
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
