package source

import (
	"slices"
)

// twin rejects an object with unknown fields in which a field is null and another spelling of it, such as closedAt, has a value. in is the path of the
// object with a dot, "" for the record; shown is that path for people.
func twin(object []byte, in, shown string) *RejectError {
	var null []string
	all := members{object}
	for name, value, ok := all.next(); ok; name, value, ok = all.next() {
		if !given(value) && fieldKnown(in+string(name)) && string(name) != columnClosedAt { // see closedElsewhere
			null = append(null, string(name))
		}
	}
	if len(null) == 0 {
		return nil
	}
	all = members{object}
	for name, value, ok := all.next(); ok; name, value, ok = all.next() {
		if !given(value) || !identifier(name) || slices.Contains([]string{`""`, "[]", "{}", "false"}, string(value)) || fieldKnown(in+string(name)) {
			continue
		}
		for _, field := range null {
			if plainName(field) == plainName(string(name)) {
				return reject(RejectInvalidField, "%s%s is null, but %s%s has a value: write that as %s, or remove it", shown, field, shown, name, field)
			}
		}
	}
	return nil
}

// fieldKnown reports whether a path is that of a field of transcripts.
func fieldKnown(path string) bool {
	for _, k := range spellings {
		if k.name == path {
			return true
		}
	}
	return slices.Contains([]string{columnTags, columnRating, columnNotes, columnHandover, columnFollowUpOf,
		"messages.id", "messages.content", "messages.parts", "messages.format"}, path)
}
