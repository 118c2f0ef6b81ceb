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

// maxIdentifier is the length in bytes up to which an identifier is stored as it is, not as a hash. An index entry in Postgres may have up to
// 2704 bytes.
const maxIdentifier = 1024

// clean makes text storable. Postgres accepts neither NUL bytes nor invalid UTF-8, and one such text would make the write of a whole batch
// fail.
func clean(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// cleanEach cleans ids, in their order.
func cleanEach(ids []string) []string {
	cleaned := make([]string, len(ids))
	for i, id := range ids {
		cleaned[i] = clean(id)
	}
	return cleaned
}

// cleanIDs returns the ids in stored form, sorted and without duplicates.
func cleanIDs(ids []string) []string {
	cleaned := cleanEach(ids)
	slices.Sort(cleaned)
	return slices.Compact(cleaned)
}

// stored returns the identifier in stored form.
func (id Identifier) stored() Identifier {
	if len(id.Value) > maxIdentifier {
		sum := sha256.Sum256([]byte(id.Value))
		return Identifier{id.Kind, "sha256:" + hex.EncodeToString(sum[:])}
	}
	return Identifier{id.Kind, clean(id.Value)}
}

// storedIdentifiers returns the identifiers in stored form, in the order of the primary key and without duplicates.
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

// storableTime returns a time in stored form, or the zero time if the year does not have four digits: a bad transcript may be closed in the
// year 33658.
func storableTime(t time.Time, precision time.Duration) time.Time {
	t = t.UTC()
	if year := t.Year(); year < 1 || year > 9999 {
		return time.Time{}
	}
	return t.Truncate(precision)
}

// knownKind returns k if the schema allows it, else KindOther.
func knownKind(k PartialErrorKind) PartialErrorKind {
	switch k {
	case KindMessage, KindAttachment, KindAssignment, KindAttribute, KindAdopted, KindDuplicate, KindTag, KindRating, KindNote, KindTransfer, KindLink:
		return k
	}
	return KindOther
}

// checkChanges validates changes and returns them in stored form.
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
		c.Sent = clean(c.Sent)
		c.SetValues = clean(c.SetValues)
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

// cleanRequests returns the requests in stored form, and their ids, sorted and without duplicates.
func cleanRequests(requests []ClaimRequest, precision time.Duration) ([]ClaimRequest, []string) {
	cleaned, ids := make([]ClaimRequest, len(requests)), make([]string, len(requests))
	for i, r := range requests {
		r.ID, r.ContentHash, r.File, r.Sent, r.CameFrom = clean(r.ID), clean(r.ContentHash), clean(r.File), clean(r.Sent), clean(r.CameFrom)
		r.ClosedAt = storableTime(r.ClosedAt, precision)
		cleaned[i], ids[i] = r, r.ID
	}
	slices.Sort(ids)
	return cleaned, slices.Compact(ids)
}

// changedIDs returns the ids of the changes, sorted and without duplicates.
func changedIDs(changes []Change) []string {
	ids := make([]string, len(changes))
	for i, c := range changes {
		ids[i] = c.ID
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// byAsked adds to rows, whose keys are stored ids, the ids that the caller gave.
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

// recordsOf returns an empty record for each id.
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

// currentCode returns the current name of an error code. Migration 5 renamed the recorded codes, but a run of an earlier version that began
// before the migration may still record the old name.
func currentCode(code string) string {
	if code == "mended" {
		return "corrected"
	}
	return code
}
