package rules

import (
	"maps"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// Known holds the rows of a batch of records.
type Known struct {
	Policy Policy
	Lookup func(keys ...string) (map[string]checkpoint.Row, error) // queries the checkpoint
	Rows   map[string]checkpoint.Row                               // by key
}

// Load replaces the previous batch: it looks up the rows of a batch, chooses the keys of its records, and decodes the ones that are not
// settled.
func (k *Known) Load(batch []*source.Record) error {
	k.Rows = nil
	if err := k.Look(batch...); err != nil {
		return err
	}
	var moved []*source.Record // those whose key changed when they were decoded, or that correct another record
	for _, rec := range batch {
		if rec.EndOfFile || k.settled(rec) {
			continue
		}
		key := rec.Key()
		_, _ = rec.Transcript() // Judge handles the error
		rec.Forget()
		if rec.Key() != key || rec.Original.Key != "" {
			moved = append(moved, rec)
		}
	}
	if err := k.Look(moved...); err != nil {
		return err
	}
	return k.lookForParts(batch)
}

// lookForParts adds the rows of the new messages of records that may have grown since their import.
func (k *Known) lookForParts(batch []*source.Record) error {
	changed := map[string]*source.Record{} // by the id of the last part that is known
	for _, rec := range batch {
		if rec.ID != "" && k.changed(rec.ID, rec) {
			changed[rec.ID] = rec
		}
	}
	for n := 2; len(changed) > 0; n++ {
		parts, ids := map[string]*source.Record{}, make([]string, 0, len(changed))
		for _, rec := range changed {
			id := source.PartID(rec.ID, n)
			parts[id], ids = rec, append(ids, id)
		}
		rows, err := k.Lookup(ids...)
		if err != nil {
			return err
		}
		maps.Copy(k.Rows, rows)
		maps.DeleteFunc(parts, func(id string, rec *source.Record) bool { return !k.changed(id, rec) })
		changed = parts
	}
	return nil
}

// changed reports whether the transcript of an id was imported from another version of the record.
func (k *Known) changed(id string, rec *source.Record) bool {
	row := k.Rows[id]
	return (row.Status == checkpoint.Complete || row.Status == checkpoint.Partial) && !SameHash(row.ContentHash, rec.Hash)
}

// Look adds the rows of records, and chooses their keys.
func (k *Known) Look(records ...*source.Record) error {
	keys := make([]string, 0, len(records))
	for _, rec := range records {
		switch {
		case rec.EndOfFile:
		case rec.KnownByPlace() || rec.Original.Key != "":
			keys = append(keys, KeysOf(rec)...)
		default:
			keys = append(keys, rec.ID)
		}
	}
	if len(keys) > 0 {
		rows, err := k.Lookup(keys...)
		if err != nil {
			return err
		}
		if k.Rows == nil {
			k.Rows = rows
		} else {
			maps.Copy(k.Rows, rows)
		}
	}
	for _, rec := range records {
		ChooseKey(rec, k.Rows)
	}
	return nil
}

// settled reports whether a record was settled earlier and has not changed.
func (k *Known) settled(rec *source.Record) bool {
	row, known := k.Rows[rec.Key()]
	return known && k.Policy.Settled(rec, &row)
}
