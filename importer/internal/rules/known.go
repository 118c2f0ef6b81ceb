package rules

import (
	"maps"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// Known is what the checkpoint knows of a batch of records.
type Known struct {
	Policy Policy
	Lookup func(keys ...string) (map[string]checkpoint.Row, error) // asks the checkpoint
	Rows   map[string]checkpoint.Row                               // by key
}

// Meet forgets the batch before, looks a batch up, decides by which keys its records are known, and decodes what is not settled.
func (k *Known) Meet(batch []*source.Record) error {
	k.Rows = nil
	if err := k.Look(batch...); err != nil {
		return err
	}
	var moved []*source.Record // those that are known by another key now that they are decoded, or correct another record
	for _, rec := range batch {
		if rec.EndOfFile || k.settled(rec) {
			continue
		}
		key := rec.Key()
		_, _ = rec.Transcript() // what is wrong with it is decided later
		rec.Forget()
		if rec.Key() != key || rec.Original.Key != "" {
			moved = append(moved, rec)
		}
	}
	return k.Look(moved...)
}

// Look adds what the checkpoint knows of records, and decides by which keys they are known.
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
		Name(rec, k.Rows)
	}
	return nil
}

// settled reports whether a record was settled earlier and is the same since.
func (k *Known) settled(rec *source.Record) bool {
	row, known := k.Rows[rec.Key()]
	return known && k.Policy.Settled(rec, &row)
}
