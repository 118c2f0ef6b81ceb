package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// table writes rows in aligned columns. Columns whose head begins with ">" are aligned to the right.
type table struct {
	heads []string // empty: no line of heads
	rows  [][]string
}

func (t *table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = fmt.Sprint(c)
	}
	t.rows = append(t.rows, texts)
}

// write writes the table with an indent.
func (t *table) write(out *output, indent string) {
	heads := make([]string, len(t.heads))
	right := make([]bool, len(t.heads))
	rows := t.rows
	named := false
	for i, h := range t.heads {
		heads[i], right[i] = strings.CutPrefix(h, ">")
		named = named || heads[i] != ""
	}
	if named {
		rows = append([][]string{heads}, rows...)
	}
	width := make([]int, len(t.heads))
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	for _, r := range rows {
		line := indent
		for i, c := range r {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if right[i] {
				c = pad + c
			} else {
				c += pad
			}
			if i > 0 {
				line += "  "
			}
			line += c
		}
		out.line(strings.TrimRight(line, " "))
	}
}

// thousands writes a number with commas between groups of three digits.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
