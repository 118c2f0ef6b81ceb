package session

import (
	"context"
	"iter"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/rules"
	"dixa-import/source"
)

// Fetch yields the records of rows like source.Reader.Fetch. The record of a row that is about the new messages of a chat is that part of the chat's
// record.
func Fetch(ctx context.Context, from source.Reader, rows []checkpoint.Row) iter.Seq2[*source.Record, error] {
	keys, asked, parts := make([]string, 0, len(rows)), make(map[string]bool, len(rows)), map[string][]checkpoint.Row{}
	for _, row := range rows {
		id := rules.RecordID(row)
		if !asked[id] && parts[id] == nil {
			keys = append(keys, id)
		}
		if id == row.ID {
			asked[id] = true
		} else {
			parts[id] = append(parts[id], row)
		}
	}
	if len(parts) == 0 {
		return from.Fetch(ctx, keys)
	}
	return func(yield func(*source.Record, error) bool) {
		for rec, err := range from.Fetch(ctx, keys) {
			if err != nil {
				yield(nil, err)
				return
			}
			of := parts[rec.ID]
			for _, row := range of {
				if part := rules.PartOf(rec, row); part != nil && !yield(part, nil) {
					return
				}
			}
			place := rec.Place.String()
			whole := of == nil || asked[rec.ID] || asked[place] || asked[source.ContentKey(place, rec.Hash.String())]
			if whole && !yield(rec, nil) {
				return
			}
		}
	}
}
