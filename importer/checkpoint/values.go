package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxIdentifier is the longest identifier that is stored as it is, in bytes: an index entry of Postgres takes 2704.
const maxIdentifier = 1024

// clean makes text storable: Postgres takes neither NUL bytes nor invalid UTF-8, and one such text would fail the writes of
// all the transcripts beside it.
func clean(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// cleanIDs returns the ids as they are stored, sorted and each once.
func cleanIDs(ids []string) []string {
	cleaned := make([]string, len(ids))
	for i, id := range ids {
		cleaned[i] = clean(id)
	}
	slices.Sort(cleaned)
	return slices.Compact(cleaned)
}

// stored returns the identifier as it is stored.
func (id Identifier) stored() Identifier {
	if len(id.Value) > maxIdentifier {
		sum := sha256.Sum256([]byte(id.Value))
		return Identifier{id.Kind, "sha256:" + hex.EncodeToString(sum[:])}
	}
	return Identifier{id.Kind, clean(id.Value)}
}

// storedIdentifiers returns the identifiers as they are stored, in the order of the primary key and each once.
func storedIdentifiers(lists ...[]Identifier) []Identifier {
	var ids []Identifier
	for _, list := range lists {
		for _, id := range list {
			ids = append(ids, id.stored())
		}
	}
	slices.SortFunc(ids, compareIdentifiers)
	return slices.Compact(ids)
}

func compareIdentifiers(a, b Identifier) int {
	if c := strings.Compare(string(a.Kind), string(b.Kind)); c != 0 {
		return c
	}
	return strings.Compare(a.Value, b.Value)
}

// storableTime returns a time as the database holds it, or the zero time for one outside the years that have four digits: a bad
// transcript may be closed in the year 33658.
func storableTime(t time.Time, precision time.Duration) time.Time {
	t = t.UTC()
	if year := t.Year(); year < 1 || year > 9999 {
		return time.Time{}
	}
	return t.Truncate(precision)
}

// knownKind returns a kind that the schema allows.
func knownKind(k PartialErrorKind) PartialErrorKind {
	switch k {
	case KindMessage, KindAttachment, KindAssignment, KindAttribute, KindAdopted, KindDuplicate:
		return k
	}
	return KindOther
}

// checkChanges refuses changes that no program should make, and returns the others as they are stored.
func checkChanges(changes []Change, precision time.Duration) ([]Change, error) {
	checked := make([]Change, len(changes))
	for i, c := range changes {
		if _, ok := transitionOf(c.Event); !ok {
			return nil, fmt.Errorf("unknown event %q of transcript %q", c.Event, c.ID)
		}
		if c.Event == Found && c.ConversationID <= 0 {
			return nil, fmt.Errorf("transcript %q was found without a conversation id", c.ID)
		}
		c.ID, c.EndUserID, c.ContentHash = clean(c.ID), clean(c.EndUserID), clean(c.ContentHash)
		c.ErrorCode, c.Error, c.Reason = clean(c.ErrorCode), clean(c.Error), clean(c.Reason)
		if c.PartialErrors != nil {
			c.PartialErrors = slices.Clone(c.PartialErrors)
			for j, p := range c.PartialErrors {
				c.PartialErrors[j] = PartialError{knownKind(p.Kind), clean(p.Message), clean(p.MessageExternalID), clean(p.Attribute)}
			}
		}
		c.ClosedAt = storableTime(c.ClosedAt, precision)
		checked[i] = c
	}
	return checked, nil
}

// cleanRequests returns the requests as they are stored, and their ids.
func cleanRequests(requests []ClaimRequest, precision time.Duration) ([]ClaimRequest, []string) {
	cleaned, ids := make([]ClaimRequest, len(requests)), make([]string, len(requests))
	for i, r := range requests {
		r.ID, r.ContentHash, r.File = clean(r.ID), clean(r.ContentHash), clean(r.File)
		r.ClosedAt = storableTime(r.ClosedAt, precision)
		cleaned[i], ids[i] = r, r.ID
	}
	slices.Sort(ids)
	return cleaned, slices.Compact(ids)
}

// changedIDs returns the ids of the changes, sorted and each once.
func changedIDs(changes []Change) []string {
	ids := make([]string, len(changes))
	for i, c := range changes {
		ids[i] = c.ID
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// byAsked returns rows, which are known by their stored ids, by the ids that were asked for.
func byAsked(ids []string, rows map[string]Row) map[string]Row {
	for _, id := range ids {
		if c := clean(id); c != id {
			if row, ok := rows[c]; ok {
				rows[id] = row
			}
		}
	}
	return rows
}

// recordsOf returns a record to read into for each id.
func recordsOf(ids []string) map[string]*record {
	records := make(map[string]*record, len(ids))
	for _, id := range ids {
		records[id] = &record{}
	}
	return records
}

// partialOf returns the partial errors of the records that have some.
func partialOf(records map[string]*record) map[string][]PartialError {
	found := map[string][]PartialError{}
	for id, r := range records {
		if len(r.partial) > 0 {
			found[id] = r.partial
		}
	}
	return found
}

// currentCode returns the code that an error code has by now. The migration to version 5 has renamed what was recorded; a run of an earlier
// version that began before that may still record the former name.
func currentCode(code string) string {
	if code == "mended" {
		return "corrected"
	}
	return code
}
