package rules

import (
	"encoding/hex"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// SameHash compares without an allocation: this is done for every record of a history.
func SameHash(recorded string, h source.Hash) bool {
	var text [2 * len(h)]byte
	hex.Encode(text[:], h[:])
	return recorded == string(text[:])
}

// KeysOf returns the keys under which a record may be known, or what it corrects.
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

// Name decides by which key a record without an id is known, and what it corrects if that had none: by its place, unless another
// record has that name, which may be a transcript's id as well as a record that stood there before and was settled by a
// person. What is known of a place holds for that content only. rows are what the checkpoint knows of keysOf.
func Name(rec *source.Record, rows map[string]checkpoint.Row) {
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
