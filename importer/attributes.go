package importer

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
	"dixa-import/importer/internal/shape"
)

// setAttributes is the last step of an imported transcript: it sets the attributes.
func (p *pipeline) setAttributes(ctx context.Context, t *task) (step, error) {
	if t.transcript == nil {
		if len(p.s.Custom) > 0 {
			t.partial = append(t.partial, checkpoint.PartialError{Kind: checkpoint.KindAttribute,
				Message: "the attributes could not be set, because the source no longer has the transcript"})
		}
		return p.afterAttributes(t)
	}
	values, refused := p.s.Custom.Among(t.repairAttributes).Values(t.transcript)
	if len(values) > 0 {
		if err := p.admit(); err != nil {
			return stepEnd, err
		}
		if err := p.refusals.patchDenied(); err != nil {
			return p.settle(t, checkpoint.Release, codeAttributes, err.Error())
		}
		more, err := p.patch(ctx, t, values)
		switch {
		case err == nil:
			p.refusals.succeeded(dixa.OpPatchAttributes)
		case ctx.Err() != nil:
			return stepEnd, session.ErrStopped
		case session.Denied(err):
			return p.leaveDenied(t, err)
		case !dixa.Refused(err):
			return p.settle(t, checkpoint.Release, codeAttributes, err.Error())
		default:
			more = []checkpoint.PartialError{{Kind: checkpoint.KindAttribute, Message: err.Error()}}
		}
		refused = append(refused, more...)
		t.noteValues(p.s.Custom, values, more)
	}
	t.partial = append(t.partial, refused...)
	return p.afterAttributes(t)
}

// noteValues notes which values the conversation was given: all but the refused ones. If it is not known which those are, it notes none.
func (t *task) noteValues(custom shape.Attributes, values map[string]dixa.AttributeValue, refused []checkpoint.PartialError) {
	given := shape.SetValues(t.row.SetValues)
	for _, a := range custom {
		value, ok := values[a.ID]
		if ok && !slices.ContainsFunc(refused, func(r checkpoint.PartialError) bool { return r.Attribute == a.Name || r.Attribute == "" }) {
			given = given.WithValue(a.ID, value)
		}
	}
	t.row.SetValues = string(given)
}

// afterAttributes goes on with what follows the attributes, or ends the transcript.
func (p *pipeline) afterAttributes(t *task) (step, error) {
	if p.hasMore(t) {
		return stepFinish, nil
	}
	return p.finish(t)
}

// leaveDenied leaves attributes that Dixa answered with 401 or 403 to the next run.
func (p *pipeline) leaveDenied(t *task, err error) (step, error) {
	tokenErr := p.refusals.askToken(err)
	if _, unclear := errors.AsType[*undecidedError](tokenErr); unclear {
		return p.settle(t, checkpoint.Release, codeAttributes, tokenErr.Error())
	} else if tokenErr != nil {
		return stepEnd, tokenErr
	}
	p.refusals.notePatch(t.key, err)
	return p.settleWith(t, checkpoint.Release, codeAttributes, acceptedElsewhere(err).Error(), cmp.Or(dixa.ReasonOf(err), dixa.ReasonDenied))
}

func (p *pipeline) finish(t *task) (step, error) {
	return p.settle(t, t.finishEvent(), "", "")
}

// finishEvent returns the event that ends an imported transcript.
func (t *task) finishEvent() checkpoint.Event {
	if len(t.partial) > 0 {
		return checkpoint.FinishPartial
	}
	return checkpoint.Finish
}

// patch sets attributes in one request, or one by one if Dixa refuses that, and returns the refused ones.
func (p *pipeline) patch(ctx context.Context, t *task, values map[string]dixa.AttributeValue) ([]checkpoint.PartialError, error) {
	err := p.s.API.PatchAttributes(ctx, t.row.ConversationID, values)
	if !session.HasStatus(err, http.StatusBadRequest) {
		return nil, err
	}
	var refused []checkpoint.PartialError
	for _, a := range p.s.Custom {
		value, ok := values[a.ID]
		if !ok {
			continue
		}
		if len(values) > 1 {
			err = p.s.API.PatchAttributes(ctx, t.row.ConversationID, map[string]dixa.AttributeValue{a.ID: value})
		}
		var api *dixa.APIError
		switch {
		case session.HasStatus(err, http.StatusBadRequest) && errors.As(err, &api):
			refused = append(refused, checkpoint.PartialError{Kind: checkpoint.KindAttribute, Attribute: a.Name, Message: "Dixa refused it: " + api.Message})
		case err != nil:
			return nil, err
		}
	}
	return refused, nil
}
