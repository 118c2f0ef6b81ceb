package plan

import (
	"fmt"

	"dixa-import/importer/internal/session"

	"dixa-import/importer/internal/people"
)

// Directory is what it would take to list all end-users of the organisation instead of looking some of them up.
type Directory struct {
	Requests int64 `json:"requests"` // for the whole list, or, if it is longer than that, for its beginning
	Whole    bool  `json:"whole"`
	PerPage  int64 `json:"per_page"` // end-users that one request lists
	LookUps  int64 `json:"look_ups"` // that it would replace
}

const (
	directoryProbe = 10  // pages that a plan reads at most
	directoryMost  = 200 // pages that it reads at most where the run would read them all
	directoryWorth = 50  // look-ups below which a plan does not ask
)

// directory works out what it costs to list all end-users, in place of their look-ups if the run is to do that.
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

// probeDirectory reads the beginning of the list of end-users. It is nil where the token may not list them.
func (p *Planner) probeDirectory() (*Directory, error) {
	most := int64(directoryProbe)
	if p.s.Preload {
		most = directoryMost
	}
	if p.plan.Requests.LookUps == 0 || p.plan.Requests.LookUps < directoryWorth && !p.s.Preload {
		return nil, nil
	}
	d, err := p.readDirectory(most)
	switch {
	case session.RefusedOptional(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("list the end-users: %w", err)
	}
	return d, nil
}

func (p *Planner) readDirectory(most int64) (*Directory, error) {
	d := &Directory{Whole: true}
	for page, err := range people.ListEndUsers(p.s.Starting, p.s.API) {
		switch {
		case err != nil:
			return nil, err
		case d.Requests == most:
			d.Whole = false
			return d, nil
		}
		d.Requests++
		d.PerPage = max(d.PerPage, int64(len(page)))
	}
	return d, nil
}
