package verify

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/internal/session"
	"dixa-import/importer/internal/shape"
	"dixa-import/source"
)

// compareFollowing compares what followed the import of a transcript. It asks Dixa only for what the transcript has.
func (v *Verifier) compareFollowing(t *source.Transcript, c dixa.Conversation) (found []Difference, err error) {
	differs := func(kind DifferenceKind, detail string) {
		found = append(found, Difference{Kind: kind, Detail: detail})
	}
	if tags := slices.Concat(v.s.Tags, t.Tags); len(tags) > 0 {
		all, ok, err := readable(v, DiffTag, func() ([]dixa.Tag, error) { return v.s.API.ListConversationTags(v.s.Working, c.ID) })
		if err != nil {
			return nil, err
		}
		for i, name := range tags {
			same := func(other string) bool { return strings.EqualFold(other, name) }
			if ok && !slices.ContainsFunc(tags[:i], same) && !slices.ContainsFunc(all, func(tag dixa.Tag) bool { return same(tag.Name) }) {
				differs(DiffTag, "the conversation does not have the tag "+name)
			}
		}
	}
	if t.Rating != nil {
		all, ok, err := readable(v, DiffRating, func() ([]dixa.Rating, error) { return v.s.API.ListRatings(v.s.Working, c.ID) })
		if err != nil {
			return nil, err
		}
		if ok && !slices.ContainsFunc(all, func(r dixa.Rating) bool {
			return r.Type == shape.RatingTypes[t.Rating.Type] && r.Submitted() && (r.OfferedAt.IsZero() || sameSecond(r.OfferedAt.Time, t.Rating.At))
		}) {
			differs(DiffRating, "the conversation does not have the rating")
		}
	}
	if len(t.Notes) > 0 {
		all, ok, err := readable(v, DiffNote, func() ([]dixa.Note, error) { return v.s.API.ListNotes(v.s.Working, c.ID) })
		if err != nil {
			return nil, err
		}
		for _, n := range t.Notes {
			i := slices.IndexFunc(all, func(known dixa.Note) bool { return strings.TrimSpace(known.Message) == strings.TrimSpace(n.Text) })
			if ok && i < 0 {
				differs(DiffNote, "the conversation lacks a note")
			}
			if i >= 0 {
				all = slices.Delete(all, i, i+1)
			}
		}
	}
	if t.Handover != nil && c.Queue == nil && !strings.EqualFold(c.State, "Closed") && (c.Assignment == nil || strings.EqualFold(c.Assignment.AgentID, v.s.AgentID)) {
		differs(DiffTransfer, "the conversation was not handed over")
	}
	if t.FollowUpOf != "" && c.Link == nil {
		differs(DiffLink, "the conversation is linked to no other")
	}
	return found, nil
}

// hasMore reports whether a transcript itself has something that follows its import, beside attributes.
func hasMore(t *source.Transcript) bool {
	return t.Handover != nil || t.Rating != nil || t.FollowUpOf != "" || len(t.Tags)+len(t.Notes) > 0
}

func sameSecond(a, b time.Time) bool { return a.Truncate(time.Second).Equal(b.Truncate(time.Second)) }

// readable reads a list of what followed an import. ok is false if Dixa does not show it: then it is not compared, for any transcript.
func readable[T any](v *Verifier, kind DifferenceKind, read func() ([]T, error)) (list []T, ok bool, err error) {
	if _, skip := v.unreadable.Load(kind); skip {
		return nil, false, nil
	}
	list, err = read()
	switch {
	case err == nil:
		return list, true, nil
	case v.s.Working.Err() != nil:
		return nil, false, session.ErrStopped
	case session.Denied(err), session.HasStatus(err, http.StatusNotFound):
		if _, known := v.unreadable.LoadOrStore(kind, true); !known {
			v.s.Log.Warn("Dixa does not show what followed the imports, so it is not compared", "kind", string(kind), "error", err.Error())
		}
		return nil, false, nil
	}
	return nil, false, err
}
