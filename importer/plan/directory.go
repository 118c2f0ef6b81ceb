package plan

import (
	"fmt"

	"dixa-import/importer/internal/people"
	"dixa-import/importer/internal/session"
)

// Directory is the cost of listing all end-users of the organisation instead of looking some of them up.
type Directory struct {
	Requests int64 `json:"requests"` // for the pages that were read
	Whole    bool  `json:"whole"`    // the pages that were read are the whole list
	PerPage  int64 `json:"per_page"` // end-users that one request lists
	LookUps  int64 `json:"look_ups"` // that the list would replace
}

const (
	probePages   = 10  // maximum number of pages that a plan reads
	preloadPages = 200 // the same if the run would read all pages
	minLookUps   = 50  // with fewer look-ups, a plan does not read the list
)

// directory adds the cost of listing all end-users to the plan. With Preload, it replaces the cost of the look-ups.
func (p *Planner) directory() (err error) {
	r := &p.plan.Requests
	if p.plan.Directory, err = p.probeDirectory(); err != nil || p.plan.Directory == nil {
		return err
	}
	p.plan.Directory.LookUps = r.LookUps
	if p.s.Preload {
		r.LookUps, r.Directory = 0, p.plan.Directory.Requests
	}
	return nil
}

// probeDirectory reads the first pages of the list of end-users. The result is nil if that is not worthwhile, or the token may not list
// them.
func (p *Planner) probeDirectory() (*Directory, error) {
	limit := int64(probePages)
	if p.s.Preload {
		limit = preloadPages
	}
	if p.plan.Requests.LookUps == 0 || p.plan.Requests.LookUps < minLookUps && !p.s.Preload {
		return nil, nil
	}
	d, err := p.readDirectory(limit)
	switch {
	case session.RefusedOptional(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("list the end-users: %w", err)
	}
	return d, nil
}

func (p *Planner) readDirectory(limit int64) (*Directory, error) {
	d := &Directory{Whole: true}
	for page, err := range people.ListEndUsers(p.s.Starting, p.s.API) {
		switch {
		case err != nil:
			return nil, err
		case d.Requests == limit:
			d.Whole = false
			return d, nil
		}
		d.Requests++
		d.PerPage = max(d.PerPage, int64(len(page)))
	}
	return d, nil
}
