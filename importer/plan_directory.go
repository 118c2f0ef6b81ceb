package importer

import (
	"context"
	"fmt"
	"iter"

	"dixa-import/dixa"
)

// PlanDirectory is what it would take to list all end-users of the organisation instead of looking some of them up.
type PlanDirectory struct {
	Requests int64 `json:"requests"` // for the whole list, or, if it is longer than that, for its beginning
	Whole    bool  `json:"whole"`
	PerPage  int64 `json:"per_page"` // end-users that one request lists
}

// directory is an API that can list all end-users.
type directory interface {
	ListEndUsers(ctx context.Context, pageLimit int) iter.Seq2[[]dixa.EndUser, error]
}

const (
	directoryPage  = 1000 // end-users that are asked for at once; how many Dixa lists at most is not documented
	directoryProbe = 10   // pages that a plan reads at most
	directoryWorth = 50   // look-ups below which a plan does not ask
)

// probeDirectory reads the beginning of the list of end-users. It is nil where the token may not list them.
func (p *Planner) probeDirectory() (*PlanDirectory, error) {
	api, ok := p.im.cfg.API.(directory)
	if !ok || p.plan.Requests.LookUps < directoryWorth {
		return nil, nil
	}
	d := &PlanDirectory{Whole: true}
	for page, err := range api.ListEndUsers(p.im.fetching, directoryPage) {
		switch {
		case err != nil && refusedOptional(err):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("list the end-users: %w", err)
		case d.Requests == directoryProbe:
			d.Whole = false
			return d, nil
		}
		d.Requests++
		d.PerPage = max(d.PerPage, int64(len(page)))
	}
	return d, nil
}
