package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// pageRequest describes which page of a list is wanted.
type pageRequest struct {
	limit int
	after int64 // the key of the last entry of the page before
}

// pageKey is what stands in the opaque pageKey.
type pageKey struct {
	Resource  string `json:"resource"`
	PageLimit int    `json:"pageLimit"`
	After     int64  `json:"after"`
}

// query parses the query of a request. Parameters that the operation does not have are noted; one that is given twice
// or without a value is refused, for a filter would silently be dropped.
func (s *Server) query(x *exchange, known ...string) (url.Values, outcome, bool) {
	q, err := url.ParseQuery(x.request.URL.RawQuery)
	if err != nil {
		s.violate(x, "the query is not well-formed")
		return nil, refuse(http.StatusBadRequest, "Invalid value extracted from request context"), false
	}
	if len(x.body) > 0 && x.request.Method == http.MethodGet {
		s.violate(x, "a GET request has a body")
	}
	for name, values := range q {
		if !slices.Contains(known, name) {
			s.violate(x, "unknown query parameter "+quoteName(name))
			continue
		}
		if len(values) != 1 || values[0] == "" {
			s.violate(x, "query parameter "+name+" is empty or given twice")
			return nil, refuse(http.StatusBadRequest, "Invalid value for: query parameter "+name), false
		}
	}
	return q, outcome{}, true
}

// page reads pageLimit and pageKey.
func (s *Server) page(x *exchange, q url.Values, resource string) (pageRequest, outcome, bool) {
	p := pageRequest{limit: s.opts.PageLimit}
	if text := q.Get("pageKey"); text != "" {
		raw, err := base64.StdEncoding.DecodeString(text)
		var key pageKey
		if err == nil {
			err = json.Unmarshal(raw, &key)
		}
		if err != nil || key.Resource != resource || key.PageLimit <= 0 {
			s.violate(x, "pageKey is not one that this list gave")
			return p, refuse(http.StatusBadRequest, "Invalid value for: query parameter pageKey"), false
		}
		p.limit, p.after = key.PageLimit, key.After
	}
	if text := q.Get("pageLimit"); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n <= 0 {
			s.violate(x, "pageLimit is not a positive 32-bit integer")
			return p, refuse(http.StatusBadRequest, "Invalid value for: query parameter pageLimit"), false
		}
		p.limit = int(n)
	}
	p.limit = min(p.limit, s.opts.PageLimit)
	return p, outcome{}, true
}

// cutPage returns the entries of a page and whether there are more after it. The list is in the order of its keys.
func cutPage[T any](list []T, key func(T) int64, visible func(T) bool, p pageRequest) (page []T, more bool) {
	start := sort.Search(len(list), func(i int) bool { return key(list[i]) > p.after })
	for _, entry := range list[start:] {
		if !visible(entry) {
			continue
		}
		if len(page) == p.limit {
			return page, true
		}
		page = append(page, entry)
	}
	return page, false
}

// showPage returns a page of a list whose last entry has the key last. The link to the next page is relative to the host
// and repeats the filter. On the last page it is null or absent, or there are no links at all, for all of these occur.
func showPage(x *exchange, q url.Values, resource string, data []obj, p pageRequest, last int64, more bool) outcome {
	page := obj{"data": data}
	switch {
	case more:
		page["meta"] = obj{"next": nextPage(x, q, resource, p, last)}
	case last%3 == 0:
		page["meta"] = obj{}
	case last%3 == 1:
		page["meta"] = obj{"next": nil, "previous": nil}
	}
	return answer(http.StatusOK, page)
}

func nextPage(x *exchange, q url.Values, resource string, p pageRequest, last int64) string {
	raw, err := json.Marshal(pageKey{Resource: resource, PageLimit: p.limit, After: last})
	if err != nil {
		panic("encode a page key: " + err.Error()) // cannot happen
	}
	next := url.Values{"pageKey": {base64.StdEncoding.EncodeToString(raw)}}
	for name, values := range q {
		if !strings.HasPrefix(name, "page") {
			next[name] = values
		}
	}
	return x.request.URL.EscapedPath() + "?" + next.Encode()
}
