package main

import (
	"cmp"
	"encoding/csv"
	"slices"
	"strconv"

	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer/checkpoint"
)

// statusCSV writes one row for each count, by file if files were counted.
func (p *statusCmd) statusCSV(totals []checkpoint.Total, files []checkpoint.FileTotal) error {
	table := csv.NewWriter(p.stdout)
	rows := [][]string{{"source", "status", "error_code", "count"}}
	if p.byFile {
		rows = [][]string{{"source", "came_from", "status", "count"}}
		totals = nil
	}
	for _, t := range totals {
		rows = append(rows, plainCells([]string{t.Source, string(t.Status), t.ErrorCode, strconv.FormatInt(t.Count, 10)}))
	}
	for _, t := range files {
		rows = append(rows, plainCells([]string{t.Source, t.CameFrom, string(t.Status), strconv.FormatInt(t.Count, 10)}))
	}
	return table.WriteAll(rows)
}

// fileStatuses are the columns of status --by-file.
var fileStatuses = []checkpoint.Status{checkpoint.Complete, checkpoint.Partial, checkpoint.Imported, checkpoint.Pending, checkpoint.Sending, checkpoint.InDoubt,
	checkpoint.Failed, checkpoint.Rejected, checkpoint.Skipped}

// printFiles writes a line for each file, with a column for each status that any of them has.
func (p *statusCmd) printFiles(files []checkpoint.FileTotal) {
	if len(files) == 0 {
		p.stdout.Line("There are no transcripts.")
		return
	}
	has := func(s checkpoint.Status) bool {
		return slices.ContainsFunc(files, func(t checkpoint.FileTotal) bool { return t.Status == s })
	}
	columns := slices.DeleteFunc(slices.Clone(fileStatuses), func(s checkpoint.Status) bool { return !has(s) })
	table := term.Table{Heads: []string{"SOURCE", "FROM"}}
	for _, s := range columns {
		table.Heads = append(table.Heads, ">"+string(s))
	}
	for len(files) > 0 {
		first, counts := files[0], map[checkpoint.Status]int64{}
		for len(files) > 0 && files[0].Source == first.Source && files[0].CameFrom == first.CameFrom {
			counts[files[0].Status] = files[0].Count
			files = files[1:]
		}
		row := []any{first.Source, cmp.Or(first.CameFrom, "(not recorded)")}
		for _, s := range columns {
			row = append(row, term.Thousands(counts[s]))
		}
		table.Row(row...)
	}
	table.Write(p.stdout, "")
}
