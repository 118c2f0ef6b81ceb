package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
	"dixa-import/importer/internal/shape"
	"dixa-import/source"
)

// finishing is a step that follows the import and the attributes of a transcript, in the order of finishings.
type finishing struct {
	kind   checkpoint.PartialErrorKind // of what Dixa refuses
	wanted func(p *pipeline, t *task) bool
	// do does the step, unless it is recorded as done. Its error is nil, a *refusedError, an *unclearError, or one that ends the task.
	do func(p *pipeline, ctx context.Context, t *task) error
	// names are the steps that are recorded of it, unless a refusal of them is tried again in any case.
	names []checkpoint.StepName
}

// finishings are all of these steps. Tags may be set again, so nothing is recorded of them. All others are delicate.
var finishings = []finishing{
	{kind: checkpoint.KindTag, wanted: func(p *pipeline, t *task) bool {
		return len(p.s.Tags) > 0 || t.transcript != nil && len(t.transcript.Tags) > 0
	}, do: (*pipeline).tag},
	{kind: checkpoint.KindRating, wanted: func(_ *pipeline, t *task) bool { return t.transcript != nil && t.transcript.Rating != nil }, do: (*pipeline).rate,
		names: []checkpoint.StepName{checkpoint.StepRating, checkpoint.StepRated}},
	{kind: checkpoint.KindNote, wanted: func(_ *pipeline, t *task) bool { return t.transcript != nil && len(t.transcript.Notes) > 0 }, do: (*pipeline).addNotes,
		names: []checkpoint.StepName{checkpoint.StepNotes}},
	{kind: checkpoint.KindTransfer, wanted: (*pipeline).handsOver, do: (*pipeline).transfer},
	{kind: checkpoint.KindLink, wanted: func(_ *pipeline, t *task) bool { return t.transcript != nil && t.transcript.FollowUpOf != "" }, do: (*pipeline).link,
		names: []checkpoint.StepName{checkpoint.StepLink}},
}

// hasMore reports whether anything but attributes follows the import of the transcript.
func (p *pipeline) hasMore(t *task) bool {
	return slices.ContainsFunc(finishings, func(f finishing) bool { return p.wants(t, f) })
}

// wants reports whether the transcript has something for a finishing step.
func (p *pipeline) wants(t *task, f finishing) bool {
	return (f.kind == checkpoint.KindTag || !t.onlyValues) && f.wanted(p, t)
}

// finishAll is the step that does all that follows the attributes. A step that fails does not keep the others from being done.
func (p *pipeline) finishAll(ctx context.Context, t *task) (step, error) {
	var left error // what is left to the next run
	code := ""
	for _, f := range finishings {
		if !p.wants(t, f) || p.refusedBefore(t, f) {
			continue
		}
		t.partial = without(t.partial, f.kind)
		err := f.do(p, ctx, t)
		refused, isRefused := errors.AsType[*refusedError](err)
		unclear, isUnclear := errors.AsType[*unclearError](err)
		switch {
		case err == nil:
		case f.kind == checkpoint.KindTransfer && isRefused: // a customer is waiting
			left, code = refused, codeTransferRefused
		case f.kind == checkpoint.KindTransfer && isUnclear:
			left, code = unclear, codeTransferUnclear
		case isRefused:
			t.partial = append(t.partial, checkpoint.PartialError{Kind: f.kind, Message: refused.Error()})
		case isUnclear:
			if left == nil {
				left, code = unclear, codeFinishingUnclear
			}
		case errors.Is(err, errParentMissing):
			if left == nil {
				left, code = err, codeParentMissing
			}
		default:
			return stepEnd, err
		}
	}
	if left != nil {
		return p.settleWith(t, checkpoint.Release, code, left.Error(), dixa.ReasonOf(left))
	}
	return p.finish(t)
}

// refusedBefore reports whether an earlier run recorded that Dixa refused the step. Only a person asks again.
func (p *pipeline) refusedBefore(t *task, f finishing) bool {
	return p.s.Retry == nil && slices.ContainsFunc(f.names, func(name checkpoint.StepName) bool { return t.steps[name].State == checkpoint.StepRefused })
}

// tag sets the tags of the configuration and of the transcript.
func (p *pipeline) tag(ctx context.Context, t *task) error {
	var own []string
	if t.transcript != nil {
		own = t.transcript.Tags
	}
	var refused []string
	for _, name := range shape.TagsOf(p.s.Tags, own) {
		given := shape.SetValues(t.row.SetValues)
		if t.onlyValues && given.HasTag(name) {
			continue
		}
		id, err := p.s.TagID(ctx, name)
		if err == nil {
			err = p.s.API.AddTag(ctx, t.row.ConversationID, id)
		}
		unknown := new(session.Unknown)
		switch {
		case err == nil:
			t.row.SetValues = string(given.WithTag(name))
		case session.ContextError(err) != nil:
			return session.ErrStopped
		case errors.As(err, &unknown), dixa.Refused(err) && !session.Denied(err):
			where := "a tag of the configuration"
			if !slices.Contains(p.s.Tags, name) {
				where = fmt.Sprintf("tags[%d]", slices.Index(own, name))
			}
			refused = append(refused, where+": "+err.Error())
		case session.Denied(err):
			return p.deniedStep(err)
		default:
			return &unclearError{err}
		}
	}
	if len(refused) > 0 {
		return &refusedError{errors.New(strings.Join(refused, "; "))}
	}
	return nil
}

// rate offers a rating and submits it.
func (p *pipeline) rate(ctx context.Context, t *task) error {
	rating, conversation := t.transcript.Rating, t.row.ConversationID
	kind := shape.RatingTypes[rating.Type]
	// It is about the bot, which wrote in the chat, or about nobody.
	agent := p.s.AgentID
	if !slices.ContainsFunc(t.transcript.Messages, func(m source.Message) bool {
		return m.Role == source.RoleBot || m.Role == source.RoleAgent && m.AgentID == ""
	}) {
		agent = ""
	}
	offer := dixa.RatingOffer{UserID: t.row.EndUserID, AgentID: agent, Type: kind, OfferedAt: dixa.At(rating.At)}
	find := func(ctx context.Context) (*dixa.Rating, error) {
		all, err := p.s.API.ListRatings(ctx, conversation)
		for _, r := range all {
			if r.Type == kind && r.OfferedAt.Truncate(time.Second).Equal(rating.At.Truncate(time.Second)) {
				return &r, err
			}
		}
		return nil, err
	}
	err := p.doOnce(ctx, t, delicate{name: checkpoint.StepRating,
		send: func(ctx context.Context, before dixa.Before) (string, error) {
			return p.s.API.OfferRating(ctx, conversation, offer, before)
		},
		look: func(ctx context.Context) (bool, string, error) {
			r, err := find(ctx)
			if r == nil {
				return false, "", err
			}
			return true, r.ID, err
		}})
	if err != nil {
		return err
	}
	id := t.steps[checkpoint.StepRating].Detail
	return p.doOnce(ctx, t, delicate{name: checkpoint.StepRated, detail: id,
		send: func(ctx context.Context, before dixa.Before) (string, error) {
			return "", p.s.API.SubmitRating(ctx, conversation, id, dixa.RatingResult{Type: kind, Value: rating.Value, Comment: rating.Comment, SubmittedAt: dixa.At(rating.At)}, before)
		},
		look: func(ctx context.Context) (bool, string, error) {
			all, err := p.s.API.ListRatings(ctx, conversation)
			return slices.ContainsFunc(all, func(r dixa.Rating) bool { return r.ID == id && r.Type == kind && strings.EqualFold(r.Status, "Rated") }), "", err
		}})
}

// addNotes adds the notes that Dixa does not have yet.
func (p *pipeline) addNotes(ctx context.Context, t *task) error {
	conversation := t.row.ConversationID
	missing := make([]dixa.NewNote, len(t.transcript.Notes))
	for i, n := range t.transcript.Notes {
		missing[i] = dixa.NewNote{Message: n.Text, AgentID: p.s.AgentID, CreatedAt: dixa.At(n.At)}
	}
	var refused []string
	err := p.doOnce(ctx, t, delicate{name: checkpoint.StepNotes, detail: strconv.Itoa(t.notesBefore + len(missing)),
		send: func(ctx context.Context, before dixa.Before) (string, error) {
			answers, err := p.s.API.CreateNotes(ctx, conversation, missing, before)
			refused = slices.DeleteFunc(answers, func(reason string) bool { return reason == "" })
			return "", err
		},
		look: func(ctx context.Context) (bool, string, error) {
			known, err := p.s.API.ListNotes(ctx, conversation)
			if err != nil {
				return false, "", err
			}
			missing = missingNotes(missing, known)
			return len(missing) == 0, "", nil
		}})
	if err == nil && len(refused) > 0 {
		return &refusedError{fmt.Errorf("Dixa refused %d notes: %s", len(refused), refused[0])}
	}
	return err
}

// missingNotes returns the notes that are not among the known ones. Each known note stands for one.
func missingNotes(notes []dixa.NewNote, known []dixa.Note) []dixa.NewNote {
	known = slices.Clone(known)
	return slices.DeleteFunc(slices.Clone(notes), func(n dixa.NewNote) bool {
		i := slices.IndexFunc(known, func(k dixa.Note) bool {
			return strings.TrimSpace(k.Message) == strings.TrimSpace(n.Message) && (k.CreatedAt.IsZero() || k.CreatedAt.Truncate(time.Second).Equal(n.CreatedAt.Truncate(time.Second)))
		})
		if i >= 0 {
			known = slices.Delete(known, i, i+1)
		}
		return i >= 0
	})
}

// errParentMissing means that the transcript which one continues has no conversation yet.
var errParentMissing = errors.New("the transcript that it continues has no conversation yet")

// link links the conversation to that of the transcript that it continues, or to the parent of that: a child has no children.
func (p *pipeline) link(ctx context.Context, t *task) error {
	parentKey := t.transcript.FollowUpOf
	if t.steps[checkpoint.StepLink].State == checkpoint.StepDone {
		return nil
	}
	rows, err := p.s.Lookup(p.s.Starting, parentKey)
	if err != nil {
		return p.s.StoppedOr(err)
	}
	parent := rows[parentKey].ConversationID
	switch status := rows[parentKey].Status; {
	case parent == 0 && (status == checkpoint.Pending || status == checkpoint.Sending):
		return errParentMissing
	case parent == 0 && t.row.ErrorCode != codeParentMissing && p.s.Retry == nil:
		return errParentMissing // this run may import it still
	case parent == 0:
		return &refusedError{errors.New("the transcript that it continues was not imported, so there is nothing to link it to")}
	}
	if above, err := p.s.API.GetConversation(ctx, parent); err == nil && above.Link != nil && above.Link.ParentID != 0 {
		parent = above.Link.ParentID
	}
	return p.doOnce(ctx, t, delicate{name: checkpoint.StepLink, detail: fmt.Sprint(parent), done: checkpoint.StepChange{FollowUpOf: parentKey},
		send: func(ctx context.Context, before dixa.Before) (string, error) {
			return "", p.s.API.LinkConversation(ctx, t.row.ConversationID, parent, before)
		},
		look: func(ctx context.Context) (bool, string, error) {
			conversation, err := p.s.API.GetConversation(ctx, t.row.ConversationID)
			return err == nil && conversation.Link != nil && conversation.Link.ParentID == parent, "", err
		}})
}
