package source

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// planWarning asks the database how it would read a page in the middle, and returns a warning with what to do if it would
// sort or aggregate all rows for every page, else "". It does not run the plan.
func (s *Postgres) planWarning(ctx context.Context) (string, error) {
	p := pager{s: s, since: s.config.Now().AddDate(0, 0, -1)}
	sql, args := p.statement(s.config.PageSize)
	// On a small table the planner sorts although it need not: ask what it can do, not what is cheapest today.
	rows, err := s.rows(ctx, "set local enable_sort = off; set local enable_seqscan = off; set local enable_bitmapscan = off;",
		"explain (format json) "+sql, args...)
	if err != nil {
		return "", s.failure("explain the query of the source", err)
	}
	var plans []struct{ Plan plan }
	if len(rows) == 0 {
		return "", nil
	}
	if err := json.Unmarshal(rows[0][0], &plans); err != nil {
		return "", fmt.Errorf("read the plan of the query of the source: %w", err)
	}
	var steps []string
	for _, p := range plans {
		steps = p.Plan.wholeTable(steps)
	}
	if len(steps) == 0 {
		return "", nil
	}
	slices.Sort(steps)
	return fmt.Sprintf("the database reads all rows of the query again for each page (%s): aggregate the messages in a subquery of the "+
		"select list, and create an index on the columns behind closed_at and id", strings.Join(slices.Compact(steps), ", ")), nil
}

// plan is a node of a query plan as explain shows it.
type plan struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Parent Relationship"`
	Plans    []plan
}

// wholeTable adds the steps that read all of their input before they return a row. A SubPlan runs for each row that is
// returned, so what it does is not counted.
func (p plan) wholeTable(steps []string) []string {
	switch p.Type {
	case "Sort", "Aggregate", "Group", "WindowAgg", "SetOp", "CTE Scan":
		steps = append(steps, p.Type)
	}
	for _, child := range p.Plans {
		if child.Relation != "SubPlan" {
			steps = child.wholeTable(steps)
		}
	}
	return steps
}
