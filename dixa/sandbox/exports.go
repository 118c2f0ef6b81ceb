package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ExportsPrefix is where a Server serves the Exports API: in reality that is another host, with another limit.
const ExportsPrefix = "/exports"

const (
	msgExportQuery = "Invalid query parameters"
	exportWindow   = 31 * 24 * time.Hour
)

// exportPairs are the times by which conversations are exported; messages by created alone.
var exportPairs = []string{"created", "closed", "updated", "last_message_created"}

// exportRange is a range of times, both ends left out: whether they belong to it is not documented.
type exportRange struct{ after, before time.Time }

func (r exportRange) has(t time.Time) bool { return t.After(r.after) && t.Before(r.before) }

// readExport reads the query of an export: pairs of times, at most 31 days apart, or numbers of conversations.
func (s *Server) readExport(x *exchange, pairs []string, withIDs bool) (ranges map[string]exportRange, ids []int64, refused outcome, ok bool) {
	var known []string
	for _, p := range pairs {
		known = append(known, p+"_after", p+"_before")
	}
	if withIDs {
		known = append(known, "csids")
	}
	q, refused, ok := s.query(x, known...)
	if !ok {
		return nil, nil, refused, false
	}
	bad := func(why string) outcome {
		s.violate(x, why)
		return refuse(http.StatusBadRequest, msgExportQuery)
	}
	ranges = map[string]exportRange{}
	for _, p := range pairs {
		if !q.Has(p+"_after") && !q.Has(p+"_before") {
			continue
		}
		r, err := exportRangeOf(q, p)
		if err != "" {
			return nil, nil, bad(err), false
		}
		ranges[p] = r
	}
	for text := range strings.SplitSeq(q.Get("csids"), ",") {
		if text == "" {
			continue
		}
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, nil, bad("csids holds something that is no number"), false
		}
		ids = append(ids, id)
	}
	if len(ranges) == 0 && len(ids) == 0 {
		return nil, nil, bad("an export needs a range of times or numbers of conversations"), false
	}
	return ranges, ids, outcome{}, true
}

func exportRangeOf(q url.Values, name string) (r exportRange, problem string) {
	var ok bool
	if r.after, ok = exportTime(q.Get(name + "_after")); !ok {
		return r, name + "_after is neither Unix milliseconds nor a date"
	}
	if r.before, ok = exportTime(q.Get(name + "_before")); !ok {
		return r, name + "_before is neither Unix milliseconds nor a date"
	}
	if d := r.before.Sub(r.after); d > exportWindow || d <= 0 {
		return r, "the range of " + name + " is longer than 31 days, or empty"
	}
	return r, ""
}

func exportTime(text string) (time.Time, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.UnixMilli(n).UTC(), true
	}
	t, err := time.Parse(time.DateOnly, text)
	return t, err == nil
}

// spellDirection writes a direction in one of the two ways that are seen.
func spellDirection(id int64, direction string) string {
	if id%2 == 0 {
		return strings.ToUpper(direction)
	}
	return strings.ToLower(direction)
}

func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func (s *Server) exportConversations(x *exchange) outcome {
	ranges, ids, refused, ok := s.readExport(x, exportPairs, true)
	if !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []obj{}
	for _, c := range s.data.conversations {
		var last time.Time
		for i := range c.Messages {
			if c.Messages[i].CreatedAt.After(last) {
				last = c.Messages[i].CreatedAt
			}
		}
		times := map[string]time.Time{"created": c.CreatedAt, "closed": c.ClosedAt, "updated": c.stateUpdatedAt, "last_message_created": last}
		in := len(ids) == 0 || slices.Contains(ids, c.ID)
		for name, r := range ranges {
			in = in && r.has(times[name])
		}
		if in {
			list = append(list, s.exportConversation(c, last))
		}
	}
	return answer(http.StatusOK, list)
}

// exportConversation shows a conversation; s.mu is held.
func (s *Server) exportConversation(c *storedConversation, last time.Time) obj {
	status := "closed"
	if c.ClosedAt.IsZero() {
		status = "open"
	}
	o := obj{"id": c.ID, "created_at": c.CreatedAt.UnixMilli(), "initial_channel": c.Channel, "requester_id": c.RequesterID, "closed_at": millis(c.ClosedAt),
		"direction": spellDirection(c.ID, c.Direction), "status": status, "assignee_id": nil, "assigned_at": nil, "updated_at": millis(c.stateUpdatedAt),
		"last_message_created_at": millis(last), "anonymized_at": millis(c.AnonymizedAt), "tags": append([]string{}, c.TagIDs...), "subject": nil}
	if c.Assignment != nil {
		o["assignee_id"], o["assigned_at"] = c.Assignment.AgentID, c.Assignment.AssignedAt.UnixMilli()
	}
	if !s.opts.ExportsWithoutAttributes {
		o["custom_attributes"] = s.showAttributes(c, func(string) bool { return true })
	}
	return o
}

// exportMessages shows no external ids, like the API.
func (s *Server) exportMessages(x *exchange) outcome {
	ranges, _, refused, ok := s.readExport(x, exportPairs[:1], false)
	if !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []obj{}
	for _, c := range s.data.conversations {
		for i := range c.Messages {
			m := &c.Messages[i]
			if !ranges["created"].has(m.CreatedAt) {
				continue
			}
			o := obj{"id": m.ID, "csid": c.ID, "created_at": m.CreatedAt.UnixMilli(), "initial_channel": c.Channel, "direction": spellDirection(c.ID, m.Direction),
				"text": m.Text, "author_name": nil, "author_email": nil, "is_automated_message": false, "attached_files": []string{}}
			if c.ID%3 != 0 {
				o["author_id"] = m.AuthorID
			}
			list = append(list, o)
		}
	}
	return answer(http.StatusOK, list)
}
