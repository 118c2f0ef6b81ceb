package advice

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"dixa-import/importer/checkpoint"
)

// Troubled are the statuses that need attention; pending and imported ones only with an error code.
var Troubled = []checkpoint.Status{checkpoint.Failed, checkpoint.InDoubt, checkpoint.Rejected, checkpoint.Partial, checkpoint.Imported, checkpoint.Pending}

// Cause is what transcripts have in common that need attention for one reason.
type Cause struct {
	Status    checkpoint.Status           `json:"status"`
	ErrorCode string                      `json:"error_code,omitempty"`
	Kind      checkpoint.PartialErrorKind `json:"kind,omitempty"`      // of partial errors
	Attribute string                      `json:"attribute,omitempty"` // of partial errors
	Message   string                      `json:"message,omitempty"`   // as Dixa or the reader said it, what differs between transcripts left out
}

// Group is a cause and those that it concerns.
type Group struct {
	Cause
	Count    int64    `json:"count"`
	Means    string   `json:"means"`
	Advice   string   `json:"advice"`
	Commands []string `json:"commands"`
	Examples []string `json:"examples"`

	GoesOn Next `json:"-"`
}

// SourceCauses are the causes in one source. A partial transcript with several partial errors is in several groups.
type SourceCauses struct {
	Source string   `json:"source"`
	Count  int64    `json:"count"`
	Groups []*Group `json:"groups"`
}

// How much is read and told at once.
const (
	TroublePage   = 5000 // transcripts that are read at once
	causeExamples = 3
	causesMax     = 1000 // causes of one source that are told apart by their messages
)

// Rows reads transcripts and what is wrong with them; *checkpoint.Store does.
type Rows interface {
	Select(ctx context.Context, source string, run int64, f checkpoint.Filter) ([]checkpoint.Row, error)
	PartialErrorsOf(ctx context.Context, source string, ids []string) (map[string][]checkpoint.PartialError, error)
}

// EachTrouble calls visit for every transcript of a source that needs attention, in the order of the ids.
func EachTrouble(ctx context.Context, store Rows, source string, f checkpoint.Filter, page int,
	visit func(rows []checkpoint.Row, partial map[string][]checkpoint.PartialError) error) error {
	for f.Limit = page; ; {
		rows, err := store.Select(ctx, source, 0, f)
		if err != nil || len(rows) == 0 {
			return err
		}
		f.After = rows[len(rows)-1].ID
		rows = slices.DeleteFunc(rows, func(r checkpoint.Row) bool {
			return r.ErrorCode == "" && (r.Status == checkpoint.Pending || r.Status == checkpoint.Imported)
		})
		var ids []string
		for _, r := range rows {
			if r.Status == checkpoint.Partial {
				ids = append(ids, r.ID)
			}
		}
		partial, err := store.PartialErrorsOf(ctx, source, ids)
		if err != nil {
			return err
		}
		if err := visit(rows, partial); err != nil {
			return err
		}
	}
}

// OfSource counts the transcripts of a source by cause. Without a commander there are no commands: they are for the configured source.
func OfSource(ctx context.Context, store Rows, source string, line Commander, f checkpoint.Filter) (SourceCauses, error) {
	causes := NewCounter(line)
	err := EachTrouble(ctx, store, source, f, TroublePage, func(rows []checkpoint.Row, partial map[string][]checkpoint.PartialError) error {
		for _, r := range rows {
			causes.Add(r, partial[r.ID])
		}
		return nil
	})
	return SourceCauses{source, causes.Count, causes.Sorted()}, err
}

// groupKey keeps apart what has the same message and needs another thing done.
type groupKey struct {
	Cause
	advice string
}

// Counter counts transcripts by cause.
type Counter struct {
	line   Commander // nil: no commands
	Count  int64
	groups map[groupKey]*Group
}

// NewCounter returns a counter whose causes come with the commands of line; with none if that is nil.
func NewCounter(line Commander) *Counter {
	return &Counter{line: line, groups: map[groupKey]*Group{}}
}

// Add counts a transcript; one that is partial counts for each of its partial errors.
func (n *Counter) Add(r checkpoint.Row, partial []checkpoint.PartialError) {
	n.Count++
	if r.Status != checkpoint.Partial {
		n.addTo(Cause{Status: r.Status, ErrorCode: r.ErrorCode, Message: commonMessage(r)}, For(r), r.ID)
		return
	}
	seen := map[Cause]bool{}
	for _, e := range partial {
		c := Cause{Status: r.Status, Kind: e.Kind, Attribute: e.Attribute, Message: normalise(e.Message)}
		if !seen[c] {
			seen[c] = true
			n.addTo(c, Partial[e.Kind], r.ID)
		}
	}
}

func (n *Counter) addTo(c Cause, found Cure, id string) {
	k := groupKey{c, found.Advice}
	if _, known := n.groups[k]; !known && len(n.groups) >= causesMax {
		k.Message = ""
	}
	g := n.groups[k]
	if g == nil {
		g = &Group{Cause: k.Cause, Means: found.Means, Advice: found.Advice, GoesOn: found.GoesOn, Examples: []string{}, Commands: []string{}}
		if n.line != nil {
			g.Commands = nextCommands(n.line, k.Cause, g.GoesOn)
		}
		n.groups[k] = g
	}
	if g.Count++; len(g.Examples) < causeExamples {
		g.Examples = append(g.Examples, id)
	}
}

// Sorted are the groups, the largest first.
func (n *Counter) Sorted() []*Group {
	return slices.SortedFunc(maps.Values(n.groups), func(a, b *Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count),
			cmp.Compare(slices.Index(Troubled, a.Status), slices.Index(Troubled, b.Status)),
			cmp.Compare(a.ErrorCode, b.ErrorCode), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Advice, b.Advice))
	})
}
