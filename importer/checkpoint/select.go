package checkpoint

import (
	"slices"
	"strings"
)

// Filter chooses transcripts: those that fit all of its lists, of which an empty one fits everything. A few of one code are
// found at once among millions, unless Statuses is empty or has Complete: then every transcript is read.
type Filter struct {
	Statuses []Status
	Codes    []string // error codes
	IDs      []string
	// WithPartial leaves of the Partial ones only those that have a partial error of one of these kinds.
	WithPartial []PartialErrorKind
	// After is the id after which the page begins: the last one of the page before.
	After string
	// Limit is how many transcripts a page has at most; 0 for all.
	Limit int
}

// selection describes how the transcripts of a page are found.
type selection int

const (
	selectAny        selection = iota // among all
	selectUnfinished                  // among those that are Pending, Sending or Imported
	selectAttention                   // among those that a person or a later run may fix
	selectIDs                         // by their ids, of which there are no more than selectChunk
)

// selectChunk is how many ids are looked up at once.
const selectChunk = sqliteChunk

// selectPages reads a page. Each status belongs to one selection, which has an index of its own in the order of the ids:
// the page is what comes first in all of them.
func selectPages(f Filter, read func(selection, Filter) ([]Row, error)) ([]Row, error) {
	f = f.stored()
	if len(f.IDs) > 0 {
		return selectByID(f, read)
	}
	parts := map[selection][]Status{}
	for _, s := range f.Statuses {
		by := selectAttention
		switch s {
		case Complete:
			by = selectAny
		case Pending, Sending, Imported:
			by = selectUnfinished
		}
		parts[by] = append(parts[by], s)
	}
	if len(parts[selectAny]) > 0 || len(parts) == 0 {
		return read(selectAny, f)
	}
	var page []Row
	for by, statuses := range parts {
		f.Statuses = statuses
		rows, err := read(by, f)
		if err != nil {
			return nil, err
		}
		page = append(page, rows...)
	}
	return firstRows(page, f.Limit), nil
}

// selectByID looks the ids up, as many at a time as a page may need.
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

// firstRows returns the rows that come first, in the order of their ids.
func firstRows(rows []Row, limit int) []Row {
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.ID, b.ID) })
	if limit > 0 && len(rows) > limit {
		rows = rows[:limit]
	}
	return rows
}

// stored returns the filter with its texts as they are stored, and the ids sorted.
func (f Filter) stored() Filter {
	f.IDs = cleanIDs(f.IDs)
	f.Codes = cleanIDs(f.Codes)
	f.After = clean(f.After)
	return f
}
