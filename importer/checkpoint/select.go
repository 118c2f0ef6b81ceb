package checkpoint

import (
	"slices"
	"strings"
)

// Filter selects transcripts that match all of its lists. An empty list matches everything. A rare code is found quickly among millions of
// transcripts, unless Statuses is empty or contains Complete: then every transcript is read.
type Filter struct {
	Statuses []Status
	Codes    []string // error codes
	IDs      []string
	// WithPartial excludes Partial transcripts that have no partial error of any of these kinds.
	WithPartial []PartialErrorKind
	// After is the id after which the page begins: the last one of the previous page.
	After string
	// Limit is the maximum number of transcripts on a page; 0 for no limit.
	Limit int
}

// selection is a way to find the transcripts of a page.
type selection int

const (
	selectAny        selection = iota // among all
	selectUnfinished                  // among those that are Pending, Sending or Imported
	selectAttention                   // among those that a person or a later run may fix
	selectIDs                         // by their ids, at most selectChunk
)

// selectChunk is how many ids are looked up at once.
const selectChunk = sqliteChunk

// selectPages reads a page. Each status belongs to one selection, which has its own index in the order of the ids. selectPages reads a page
// of each selection and merges them.
func selectPages(f Filter, read func(selection, Filter) ([]Row, error)) ([]Row, error) {
	f = f.stored()
	if len(f.IDs) > 0 {
		return selectByID(f, read)
	}
	bySelection := map[selection][]Status{}
	for _, s := range f.Statuses {
		by := selectAttention
		switch s {
		case Complete:
			by = selectAny
		case Pending, Sending, Imported:
			by = selectUnfinished
		}
		bySelection[by] = append(bySelection[by], s)
	}
	if len(bySelection[selectAny]) > 0 || len(bySelection) == 0 {
		return read(selectAny, f)
	}
	var page []Row
	for by, statuses := range bySelection {
		f.Statuses = statuses
		rows, err := read(by, f)
		if err != nil {
			return nil, err
		}
		page = append(page, rows...)
	}
	return firstRows(page, f.Limit), nil
}

// selectByID looks the ids up in chunks until the page is full.
func selectByID(f Filter, read func(selection, Filter) ([]Row, error)) ([]Row, error) {
	ids := f.IDs
	start, exact := slices.BinarySearch(ids, f.After)
	if exact {
		start++
	}
	var page []Row
	for chunk := range slices.Chunk(ids[start:], selectChunk) {
		f.IDs = chunk
		rows, err := read(selectIDs, f)
		if err != nil {
			return nil, err
		}
		if page = append(page, rows...); f.Limit > 0 && len(page) >= f.Limit {
			break
		}
	}
	return firstRows(page, f.Limit), nil
}

// firstRows sorts rows by their ids and returns the first limit of them, all if it is 0.
func firstRows(rows []Row, limit int) []Row {
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.ID, b.ID) })
	if limit > 0 && len(rows) > limit {
		rows = rows[:limit]
	}
	return rows
}

// stored returns the filter with its texts in stored form, and the ids sorted.
func (f Filter) stored() Filter {
	f.IDs = cleanIDs(f.IDs)
	f.Codes = cleanIDs(f.Codes)
	f.After = clean(f.After)
	return f
}
