package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Tag is a tag of the organisation.
type Tag struct {
	ID       string
	Name     string
	Inactive bool
}

// DefaultTags returns two active tags and one that is inactive.
func DefaultTags() []Tag {
	return []Tag{
		{ID: "b794a74a-625b-4303-8237-9b11668a9605", Name: "bot"},
		{ID: "5c1d2f0e-9a53-4c38-8a3b-0f6f5f1f9d11", Name: "refund"},
		{ID: "0a6f7a52-7d7e-4f0e-93f4-b7f2a9a7a1c2", Name: "old", Inactive: true},
	}
}

func showTag(t Tag) obj {
	state := "Active"
	if t.Inactive {
		state = "Inactive"
	}
	return obj{"id": t.ID, "name": t.Name, "state": state}
}

func (s *Server) listTags(x *exchange) outcome {
	q, refused, ok := s.query(x, "includeDeactivated")
	if !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data := []obj{}
	for _, t := range s.opts.Tags {
		if !t.Inactive || q.Get("includeDeactivated") == "true" {
			data = append(data, showTag(t))
		}
	}
	return answer(http.StatusOK, obj{"data": data})
}

func (s *Server) listConversationTags(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	return s.onConversation(x, nil, func(c *storedConversation) outcome {
		data := []obj{}
		for _, t := range s.opts.Tags {
			if slices.Contains(c.TagIDs, t.ID) {
				data = append(data, showTag(t))
			}
		}
		return answer(http.StatusOK, obj{"data": data})
	})
}

// createTag returns the tag that has the name already, if there is one, even if it is not active.
func (s *Server) createTag(x *exchange) outcome {
	v, refused, ok := s.readBody(x)
	if !ok {
		return refused
	}
	var d decoder
	var name string
	if d.object(&v, "tag", []string{"name"}, []string{"color"}) {
		name = d.str(&v, "tag", "name")
		d.str(&v, "tag", "color")
	}
	if refused, ok := s.settle(x, &d); !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.opts.Tags, func(t Tag) bool { return t.Name == name }); i >= 0 {
		return answer(http.StatusOK, obj{"data": showTag(s.opts.Tags[i])})
	}
	t := Tag{ID: s.newUUID(), Name: name}
	s.opts.Tags = append(s.opts.Tags, t)
	return answer(http.StatusOK, obj{"data": showTag(t)})
}

func (s *Server) addTag(x *exchange) outcome {
	id, refused, ok := s.conversationID(x)
	if !ok {
		return refused
	}
	tag := strings.ToLower(x.parameter(5))
	if !isUUID(tag) {
		s.violate(x, "the path parameter tagId is not a UUID")
		return refuse(http.StatusBadRequest, "Invalid value for: path parameter tagId")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refused, ok := s.stored(id)
	if !ok {
		return refused
	}
	if !slices.ContainsFunc(s.opts.Tags, func(t Tag) bool { return t.ID == tag && !t.Inactive }) {
		return refuse(http.StatusNotFound, msgNotFound)
	}
	if !slices.Contains(c.TagIDs, tag) {
		c.TagIDs = append(c.TagIDs, tag)
		s.emit(c, "ConversationTagAdded", obj{"tag": tag})
	}
	return outcome{status: http.StatusNoContent}
}

// parameter returns a part of the path, such as the 2 of /v1/conversations/1/tags/2, which is its part 5.
func (x *exchange) parameter(part int) string {
	parts := strings.Split(x.request.URL.Path, "/")
	if len(parts) <= part {
		return ""
	}
	return parts[part]
}

// ratingRanges are the smallest and the largest value of each type.
var ratingRanges = map[string][2]int64{"Csat": {1, 5}, "Nps": {0, 10}, "ThumbsUpOrDown": {0, 1}}

// offerRating is not idempotent, like the API.
func (s *Server) offerRating(x *exchange) outcome {
	var r Rating
	user := ""
	return s.onConversation(x, func(d *decoder, v *value) {
		if d.object(v, "offer", []string{"ratingType"}, []string{"userId", "agentId", "offeredAt"}) {
			r.Type = d.enum(v, "offer", "ratingType", "Csat", "Nps", "ThumbsUpOrDown")
			r.AgentID, r.OfferedAt, user = d.uuid(v, "offer", "agentId"), d.time(v, "offer", "offeredAt"), d.uuid(v, "offer", "userId")
		}
	}, func(c *storedConversation) outcome {
		switch {
		case r.AgentID != "" && s.agents[r.AgentID] == unknownAgent:
			return refuse(http.StatusNotFound, msgNotFound)
		case user != "" && user != c.RequesterID:
			s.violate(x, "offer.userId is not the requester")
		}
		if r.AgentID != "" && !slices.ContainsFunc(c.Messages, func(m Message) bool { return m.AuthorID == r.AgentID }) {
			s.violate(x, "offer.agentId did not take part in the conversation: that skews metrics")
		}
		if r.ID = s.newUUID(); r.OfferedAt.IsZero() {
			r.OfferedAt = time.Now().UTC()
		}
		c.Ratings = append(c.Ratings, r)
		return answer(http.StatusCreated, obj{"data": obj{"id": r.ID, "userId": c.RequesterID, "agentId": r.AgentID, "ratingType": r.Type, "offeredAt": r.OfferedAt.UTC().Format(time.RFC3339)}})
	})
}

func (s *Server) submitRating(x *exchange) outcome {
	var r Rating
	return s.onConversation(x, func(d *decoder, v *value) {
		if d.object(v, "submit", []string{"ratingResult"}, []string{"userId", "comment", "submittedAt"}) {
			r.Comment, r.RatedAt = d.str(v, "submit", "comment"), d.time(v, "submit", "submittedAt")
			if m, _ := v.member("ratingResult"); d.object(m, "submit.ratingResult", []string{"value", "_type"}, nil) {
				r.Type = d.enum(m, "submit.ratingResult", "_type", "Csat", "Nps", "ThumbsUpOrDown")
				n := d.integer(m, "submit.ratingResult", "value")
				if between := ratingRanges[r.Type]; r.Type != "" && (n < between[0] || n > between[1]) {
					d.refuse("submit.ratingResult.value", "is outside of its range")
				}
				r.Value = int(n)
			}
		}
	}, func(c *storedConversation) outcome {
		i := slices.IndexFunc(c.Ratings, func(known Rating) bool { return known.ID == x.parameter(5) })
		switch {
		case i < 0:
			return refuse(http.StatusNotFound, msgNotFound)
		case c.Ratings[i].Rated:
			s.violate(x, "a rating is submitted twice")
			return refuse(http.StatusBadRequest, "The rating was submitted already")
		case c.Ratings[i].Type != r.Type:
			return refuse(http.StatusBadRequest, msgDecoding)
		}
		if r.RatedAt.IsZero() {
			r.RatedAt = time.Now().UTC()
		}
		rated := &c.Ratings[i]
		rated.Rated, rated.Value, rated.Comment, rated.RatedAt = true, r.Value, r.Comment, r.RatedAt
		s.emit(c, "ConversationRated", obj{"score": r.Value, "type": r.Type, "message": r.Comment})
		return answer(http.StatusCreated, obj{"data": obj{"ratingId": rated.ID, "userId": c.RequesterID, "ratingResult": obj{"value": r.Value, "_type": r.Type}, "comment": r.Comment}})
	})
}

func (s *Server) listRatings(x *exchange) outcome {
	return s.onConversation(x, nil, func(c *storedConversation) outcome {
		data := []obj{}
		for _, r := range c.Ratings {
			o := obj{"id": r.ID, "ratingType": r.Type, "conversationChannel": "Generic", "agentId": r.AgentID, "userId": c.RequesterID, "ratingStatus": "Offered",
				"timestamps": obj{"offered_at": r.OfferedAt.UTC().Format(time.RFC3339)}}
			if r.Rated { // the vendor's example of one that came over the API no longer has the time of its offer
				o["ratingStatus"], o["ratingScore"], o["ratingComment"] = "Rated", r.Value, r.Comment
				o["timestamps"] = obj{"rated_at": r.RatedAt.UTC().Format(time.RFC3339)}
			}
			data = append(data, o)
		}
		return answer(http.StatusOK, obj{"data": data})
	})
}

// createNotes is not idempotent, like the API.
func (s *Server) createNotes(x *exchange) outcome {
	var notes []Note
	return s.onConversation(x, func(d *decoder, v *value) {
		if d.object(v, "notes", []string{"data"}, nil) {
			items := d.list(v, "notes", "data")
			for i := range items {
				if d.object(&items[i], "notes.data[]", []string{"message"}, []string{"agentId", "createdAt"}) {
					notes = append(notes, Note{Text: d.str(&items[i], "notes.data[]", "message"), AuthorID: d.uuid(&items[i], "notes.data[]", "agentId"),
						CreatedAt: d.time(&items[i], "notes.data[]", "createdAt")})
				}
			}
		}
	}, func(c *storedConversation) outcome {
		data := []obj{}
		for _, n := range notes {
			if n.AuthorID == "" {
				n.AuthorID = s.opts.AgentID
			}
			if s.agents[n.AuthorID] == unknownAgent {
				data = append(data, obj{"error": obj{"message": "An agent with id:" + n.AuthorID + " cannot be found in org."}, "_type": "BulkActionFailure"})
				continue
			}
			n.ID = s.newUUID()
			c.Notes = append(c.Notes, n)
			s.emit(c, "ConversationNoteAdded", obj{"note_id": n.ID, "text": n.Text, "created_at": spellEvent(n.CreatedAt), "author": s.showPerson(n.AuthorID)})
			data = append(data, obj{"data": showNote(c, n), "_type": "BulkActionSuccess"})
		}
		return answer(http.StatusOK, obj{"data": data})
	})
}

func showNote(c *storedConversation, n Note) obj {
	return obj{"id": n.ID, "authorId": n.AuthorID, "createdAt": spellZone(n.CreatedAt), "csid": c.ID, "message": n.Text}
}

func (s *Server) listNotes(x *exchange) outcome {
	return s.onConversation(x, nil, func(c *storedConversation) outcome {
		data := []obj{}
		for _, n := range c.Notes {
			data = append(data, showNote(c, n))
		}
		return answer(http.StatusOK, obj{"data": data})
	})
}
