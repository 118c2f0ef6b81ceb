package source

import (
	"strings"
)

// values are those of a row that are not empty, by the names of the columns.
func values(names, row []string) map[string]any {
	object := make(map[string]any, len(names))
	for i, name := range names[:min(len(names), len(row))] {
		if name != "" && strings.TrimSpace(row[i]) != "" {
			object[name] = strings.ToValidUTF8(row[i], "\uFFFD")
		}
	}
	return object
}

// named returns the columns without those at the end that have no name.
func named(names []string) []string {
	for len(names) > 0 && names[len(names)-1] == "" {
		names = names[:len(names)-1]
	}
	return names
}

// damagedRow is what a row may have been whose values cannot be told apart.
type damagedRow struct {
	maybe  []map[string]any // one of these
	absent []string         // columns of which nothing is known
}

// maxAlignments bounds the ways to read a row with surplus values.
const maxAlignments = 2000

// surplus returns all that a row can be in which the delimiter stands within values, nil if that is too much.
func surplus(names, row []string, comma string) *damagedRow {
	more, ways := len(row)-len(names), 1
	for i := 1; i <= more; i++ { // the binomial coefficient, without a remainder at each step
		if ways = ways * (len(names) - 1 + i) / i; ways > maxAlignments {
			return nil
		}
	}
	all := &damagedRow{}
	cells := make([]string, len(names))
	var fill func(column, at, more int)
	fill = func(column, at, more int) {
		if column == len(names)-1 {
			cells[column] = strings.Join(row[at:], comma)
			all.maybe = append(all.maybe, values(names, cells))
			return
		}
		for n := 0; n <= more; n++ {
			cells[column] = strings.Join(row[at:at+n+1], comma)
			fill(column+1, at+n+1, more-n)
		}
	}
	if len(names) > 0 {
		fill(0, 0, more)
	}
	return all
}

// lacking returns what is known of a row that ends early: its first values, as its last one may be cut off. Of a value alone nothing is known: it may be a
// piece of the row before it.
func lacking(names, row []string) *damagedRow {
	if len(row) < 2 {
		return nil
	}
	known := len(row) - 1
	return &damagedRow{maybe: []map[string]any{values(names, row[:known])}, absent: names[known:]}
}

// unquoted returns what a row may be whose quotation marks are wrong, nil if they may have hidden where it ends.
func unquoted(names []string, raw []byte, comma string) *damagedRow {
	names = named(names)
	line := strings.Trim(string(raw), "\r\n")
	row := strings.Split(line, comma)
	if strings.Contains(line, "\n") || len(row) < len(names) {
		return nil
	}
	for i := range row {
		row[i] = strings.Trim(row[i], `"`)
	}
	return surplus(names, row, comma)
}
