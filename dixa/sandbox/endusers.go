package sandbox

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`)

// listEndUsers serves look-ups by one filter and the list of all.
func (s *Server) listEndUsers(x *exchange) outcome {
	q, refused, ok := s.query(x, "pageLimit", "pageKey", "email", "phone", "externalId")
	if !ok {
		return refused
	}
	filters := 0
	for _, name := range []string{"email", "phone", "externalId"} {
		if q.Has(name) {
			filters++
		}
	}
	if filters > 1 {
		s.violate(x, "more than one filter")
		return refuse(http.StatusBadRequest, msgFilters)
	}
	s.judgeFilter(x, q)
	p, refused, ok := s.page(x, q, "endusers")
	if !ok {
		return refused
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.data.users
	switch {
	case q.Has("email"):
		list = s.data.byEmail[strings.ToLower(q.Get("email"))]
	case q.Has("phone"):
		list = s.data.byPhone[q.Get("phone")]
	case q.Has("externalId"):
		list = s.data.byExternal[q.Get("externalId")]
	}
	page, more := cutPage(list, func(u *storedUser) int64 { return u.seq },
		func(u *storedUser) bool { return !now.Before(u.visibleAt) }, p)
	data := make([]obj, len(page))
	var last int64
	for i, u := range page {
		data[i] = showEndUser(u.EndUser)
		last = u.seq
	}
	return showPage(x, q, "endusers", data, p, last, more)
}

// judgeFilter notes filters that the API accepts but that cannot find what they mean.
func (s *Server) judgeFilter(x *exchange, q url.Values) {
	for pair := range strings.SplitSeq(x.request.URL.RawQuery, "&") {
		name, raw, _ := strings.Cut(pair, "=")
		if (name == "phone" || name == "email") && strings.Contains(raw, "+") {
			s.violate(x, "the filter "+name+" has an unescaped + (it means a space)")
		}
	}
	if email := q.Get("email"); email != "" {
		if strings.ContainsAny(email, " \t\r\n") {
			s.violate(x, "the filter email has white space in it")
		}
		if email != strings.ToLower(email) {
			s.violate(x, "the filter email has upper case in it")
		}
	}
	if phone := q.Get("phone"); phone != "" && !e164.MatchString(phone) {
		s.violate(x, "the filter phone is not E.164")
	}
}

func (s *Server) getEndUser(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	id, refused, ok := s.userID(x)
	if !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.data.userByID[id]
	if !ok {
		return refuse(http.StatusNotFound, msgNotFound)
	}
	shown := showEndUser(u.EndUser)
	shown["customAttributes"] = []obj{}
	return answer(http.StatusOK, obj{"data": shown})
}

func (s *Server) userID(x *exchange) (string, outcome, bool) {
	if !isUUID(x.id) {
		s.violate(x, "the path parameter userId is not a UUID")
		return "", refuse(http.StatusBadRequest, "Invalid value for: path parameter userId"), false
	}
	return strings.ToLower(x.id), outcome{}, true
}

func (s *Server) createEndUser(x *exchange) outcome {
	v, refused, ok := s.readBody(x)
	if !ok {
		return refused
	}
	var d decoder
	u := d.endUser(&v, "body")
	if refused, ok := s.settle(x, &d); !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.taken(u)) > 0 {
		return refuse(http.StatusBadRequest, msgCreation)
	}
	u = s.create(u)
	shown := showEndUser(u)
	shown["customAttributes"] = []obj{}
	return answer(http.StatusCreated, obj{"data": shown})
}

// patchEndUser changes the fields that are given. Those by which an end-user is found would need the vendor's rules about
// who may have them, which are not documented: they are refused.
func (s *Server) patchEndUser(x *exchange) outcome {
	id, refused, ok := s.userID(x)
	if !ok {
		return refused
	}
	v, refused, ok := s.readBody(x)
	if !ok {
		return refused
	}
	var d decoder
	var given EndUser
	if d.object(&v, "body", nil, []string{"displayName", "firstName", "lastName", "middleNames", "avatarUrl"}) {
		given = d.endUser(&v, "body")
		if len(v.fields) == 0 {
			d.note("body changes nothing")
		}
	}
	if refused, ok := s.settle(x, &d); !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.data.userByID[id]
	if !ok {
		return refuse(http.StatusNotFound, msgNotFound)
	}
	for name, set := range map[string]func(){
		"displayName": func() { u.DisplayName = given.DisplayName },
		"firstName":   func() { u.FirstName = given.FirstName },
		"lastName":    func() { u.LastName = given.LastName },
		"middleNames": func() { u.MiddleNames = given.MiddleNames },
		"avatarUrl":   func() { u.AvatarURL = given.AvatarURL },
	} {
		if _, there := v.member(name); there {
			set()
		}
	}
	shown := showEndUser(u.EndUser)
	shown["customAttributes"] = []obj{}
	return answer(http.StatusOK, obj{"data": shown})
}

// createEndUsers is not atomic: each entry succeeds or fails by itself, in order.
func (s *Server) createEndUsers(x *exchange) outcome {
	v, refused, ok := s.readBody(x)
	if !ok {
		return refused
	}
	var d decoder
	var users []EndUser
	if d.object(&v, "body", nil, []string{"data"}) {
		for _, item := range d.list(&v, "body", "data") {
			users = append(users, d.endUser(&item, "data[]"))
		}
		if len(users) == 0 {
			d.note("body.data is empty")
		}
	}
	if refused, ok := s.settle(x, &d); !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data := make([]obj, len(users))
	for i, u := range users {
		id := s.newUUID()
		if taken := s.taken(u); len(taken) > 0 {
			message := "Create EndUser [userId=" + id + "] in [orgId=" + s.opts.OrganizationID + "] failed with [errors=" +
				strings.Join(taken, ", ") + "]"
			data[i] = obj{"error": obj{"id": id, "message": message, "_type": "Validation"}, "_type": "BulkActionFailure"}
			continue
		}
		u.ID = id
		data[i] = obj{"data": showEndUser(s.create(u)), "_type": "BulkActionSuccess"}
	}
	return answer(http.StatusCreated, obj{"data": data})
}

var endUserFields = []string{"displayName", "email", "phoneNumber", "additionalEmails", "additionalPhoneNumbers",
	"firstName", "lastName", "middleNames", "avatarUrl", "externalId"}

func (d *decoder) endUser(v *value, at string) EndUser {
	if !d.object(v, at, nil, endUserFields) {
		return EndUser{}
	}
	u := EndUser{
		DisplayName:            d.str(v, at, "displayName"),
		Email:                  d.str(v, at, "email"),
		PhoneNumber:            d.str(v, at, "phoneNumber"),
		AdditionalEmails:       d.strings(v, at, "additionalEmails"),
		AdditionalPhoneNumbers: d.strings(v, at, "additionalPhoneNumbers"),
		FirstName:              d.str(v, at, "firstName"),
		LastName:               d.str(v, at, "lastName"),
		MiddleNames:            d.strings(v, at, "middleNames"),
		AvatarURL:              d.str(v, at, "avatarUrl"),
		ExternalID:             d.str(v, at, "externalId"),
	}
	for _, e := range u.emails() {
		if strings.ContainsAny(e, " \t\r\n") || strings.Count(e, "@") != 1 {
			d.note(at + ": an email is no address")
		}
	}
	for _, p := range u.phones() {
		if !e164.MatchString(p) {
			d.note(at + ": a phone number is not E.164")
		}
	}
	d.unique(u.AdditionalEmails, at+".additionalEmails")
	d.unique(u.AdditionalPhoneNumbers, at+".additionalPhoneNumbers")
	return u
}

func (d *decoder) unique(list []string, at string) {
	sorted := slices.Sorted(slices.Values(list))
	if len(slices.Compact(sorted)) != len(list) {
		d.refuse(at, "contains an entry twice")
	}
}

// taken names what forbids the creation of u, for somebody has it already.
func (s *Server) taken(u EndUser) []string {
	var taken []string
	if slices.ContainsFunc(u.emails(), func(e string) bool { return len(s.data.byEmail[e]) > 0 }) {
		taken = append(taken, "EmailExists")
	}
	if slices.ContainsFunc(u.phones(), func(p string) bool { return len(s.data.byPhone[p]) > 0 }) {
		taken = append(taken, "PhoneNumberExists")
	}
	if s.opts.UniqueExternalID && u.ExternalID != "" && len(s.data.byExternal[u.ExternalID]) > 0 {
		taken = append(taken, "ExternalIdExists")
	}
	return taken
}

// create adds a new end-user; s.mu is held.
func (s *Server) create(u EndUser) EndUser {
	if u.ID == "" {
		u.ID = s.newUUID()
	}
	now := time.Now()
	u.CreatedAt = now.UTC().Truncate(time.Millisecond)
	s.data.addUser(u, now.Add(s.opts.EndUserLag))
	return u
}

func showEndUser(u EndUser) obj {
	null := u.ID[0]%2 == 0
	o := obj{
		"id": u.ID, "createdAt": spellRFC(u.CreatedAt),
		"additionalEmails":       append([]string{}, u.AdditionalEmails...),
		"additionalPhoneNumbers": append([]string{}, u.AdditionalPhoneNumbers...),
		"middleNames":            append([]string{}, u.MiddleNames...),
	}
	setOptional(o, "displayName", u.DisplayName, null)
	setOptional(o, "email", u.Email, null)
	setOptional(o, "phoneNumber", u.PhoneNumber, null)
	setOptional(o, "firstName", u.FirstName, null)
	setOptional(o, "lastName", u.LastName, null)
	setOptional(o, "avatarUrl", u.AvatarURL, null)
	setOptional(o, "externalId", u.ExternalID, null)
	if !null {
		o["unheardOf"] = obj{"_type": "AddedLater", "value": 1} // answers may gain fields at any time
	}
	return o
}
