package term

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Table writes rows in aligned columns. Columns whose head begins with ">" are aligned to the right. Where the lines would be
// too wide, the columns with the longest texts are wrapped.
type Table struct {
	Heads []string // empty: no line of heads
	Rows  [][]string
}

// Row adds a row, one value for each column.
func (t *Table) Row(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = fmt.Sprint(c)
	}
	t.Rows = append(t.Rows, texts)
}

// Write writes the table with an indent.
func (t *Table) Write(out *Output, indent string) {
	heads := make([]string, len(t.Heads))
	right := make([]bool, len(t.Heads))
	rows := t.Rows
	named := false
	for i, h := range t.Heads {
		heads[i], right[i] = strings.CutPrefix(h, ">")
		named = named || heads[i] != ""
	}
	if named {
		rows = append([][]string{heads}, rows...)
	}
	width := make([]int, len(t.Heads))
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	fit(rows, width, out.Width()-len(indent)-2*(len(width)-1))
	for _, r := range rows {
		cells, lines := make([][]string, len(r)), 1
		for i, c := range r {
			if cells[i] = []string{c}; utf8.RuneCountInString(c) > width[i] {
				cells[i] = wrap(c, width[i])
			}
			lines = max(lines, len(cells[i]))
		}
		for n := range lines {
			out.Line(strings.TrimRight(indent+tableLine(cells, n, width, right), " "))
		}
	}
}

// tableLine is one line of a row whose cells may have several.
func tableLine(cells [][]string, n int, width []int, right []bool) string {
	line := ""
	for i, c := range cells {
		text := ""
		if n < len(c) {
			text = c[n]
		}
		pad := strings.Repeat(" ", max(0, width[i]-utf8.RuneCountInString(text)))
		if right[i] {
			text = pad + text
		} else {
			text += pad
		}
		if i > 0 {
			line += "  "
		}
		line += text
	}
	return line
}

// fit makes columns narrower until they take no more than room together, the one first that can give most. None gets
// narrower than its longest word.
func fit(rows [][]string, width []int, room int) {
	least, sum := make([]int, len(width)), 0
	for i := range width {
		sum += width[i]
		for _, r := range rows {
			for _, word := range wordsOf(r[i], width[i]) {
				least[i] = max(least[i], utf8.RuneCountInString(word))
			}
		}
	}
	for sum > room {
		at := 0
		for i := range width {
			if width[i]-least[i] > width[at]-least[at] {
				at = i
			}
		}
		less := min(sum-room, width[at]-least[at])
		if less <= 0 {
			return
		}
		width[at] -= less
		sum -= less
	}
}
