package rules

import (
	"encoding/hex"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// SameHash reports whether recorded is the hexadecimal form of h. It doesn't allocate, because it runs for every record of a source.
func SameHash(recorded string, h source.Hash) bool {
	var text [2 * len(h)]byte
	hex.Encode(text[:], h[:])
	return recorded == string(text[:])
}

// KeysOf returns the keys that the checkpoint may have for a record and for the record that it corrects.
func KeysOf(rec *source.Record) []string {
	if rec.KnownByPlace() {
		place := rec.Place.String()
		return []string{place, source.ContentKey(place, rec.Hash.String())}
	}
	keys := []string{rec.Key()}
	if o := rec.Original; o.Key != "" && o.Key != rec.ID {
		keys = append(keys, o.Key)
	}
	if o := rec.Original; o.Place != "" {
		keys = append(keys, o.Place, source.ContentKey(o.Place, o.Hash))
	}
	return keys
}

// ChooseKey sets the key of a record without an id, and of a corrected record without one: its place, or the place with the content hash
// if another record has the place as its key. That may be a transcript whose id looks like a place, or a record that was at this place
// before and that a person has settled. What the checkpoint stores for a place applies to that content only. rows are the rows of
// KeysOf(rec).
func ChooseKey(rec *source.Record, rows map[string]checkpoint.Row) {
	if rec.KnownByPlace() {
		place := rec.Place.String()
		row, taken := rows[place]
		_, apart := rows[source.ContentKey(place, rec.Hash.String())]
		replaceable := row.Status == checkpoint.Rejected || row.Status == checkpoint.Pending
		rec.UseContent(apart || taken && !replaceable && !SameHash(row.ContentHash, rec.Hash))
	}
	if o := &rec.Original; o.Place != "" {
		if o.Key = o.Place; rows[o.Place].ContentHash != o.Hash {
			o.Key = source.ContentKey(o.Place, o.Hash)
		}
	}
}
