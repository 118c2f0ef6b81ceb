package shape

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// SetValues says which attributes and tags a conversation was given last, as checkpoint.Row.SetValues holds it: for each one a hash of its name,
// followed by a hash of its value. No value can be read from it. It is sorted, so that equal sets are equal texts.
type SetValues string

const (
	nameBytes  = 4 // few names belong to one conversation
	valueBytes = 5
	entryChars = 12 // of both, in base64
	nameChars  = 5  // those of an entry that its name alone decides
)

// valueEntry returns the entry of an attribute, by its UUID.
func valueEntry(id string, v dixa.AttributeValue) string {
	fields := []string{"text", v.Text}
	if v.List != nil {
		fields = append([]string{"list"}, v.List...)
	}
	return entryOf("attribute", id, fields...)
}

// tagEntry returns the entry of a tag. Dixa's tags do not differ in case alone.
func tagEntry(name string) string { return entryOf("tag", strings.ToLower(name)) }

func entryOf(kind, name string, value ...string) string {
	raw := make([]byte, 0, nameBytes+valueBytes)
	raw = append(raw, hashOf(kind, name)[:nameBytes]...)
	raw = append(raw, hashOf(value...)[:valueBytes]...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

func hashOf(fields ...string) []byte {
	var text []byte
	for _, f := range fields {
		text = append(binary.AppendUvarint(text, uint64(len(f))), f...)
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// HasValue reports whether an attribute was given this value last.
func (s SetValues) HasValue(id string, v dixa.AttributeValue) bool { return s.has(valueEntry(id, v)) }

// HasTag reports whether the conversation was given a tag.
func (s SetValues) HasTag(name string) bool { return s.has(tagEntry(name)) }

// WithValue returns the set after an attribute was given a value.
func (s SetValues) WithValue(id string, v dixa.AttributeValue) SetValues {
	return s.with(valueEntry(id, v))
}

// WithTag returns the set after the conversation was given a tag.
func (s SetValues) WithTag(name string) SetValues { return s.with(tagEntry(name)) }

// Without returns how many attributes and tags were given that are neither among the values nor among the tags.
func (s SetValues) Without(values map[string]dixa.AttributeValue, tags []string) int {
	var known []string
	for id, v := range values {
		known = append(known, valueEntry(id, v)[:nameChars])
	}
	for _, tag := range tags {
		known = append(known, tagEntry(tag)[:nameChars])
	}
	n := 0
	for _, entry := range s.entries() {
		if !slices.Contains(known, entry[:nameChars]) {
			n++
		}
	}
	return n
}

func (s SetValues) has(entry string) bool { return slices.Contains(s.entries(), entry) }

func (s SetValues) with(entry string) SetValues {
	entries := slices.DeleteFunc(s.entries(), func(e string) bool { return e[:nameChars] == entry[:nameChars] })
	entries = append(entries, entry)
	slices.Sort(entries)
	return SetValues(strings.Join(entries, ""))
}

// entries returns the entries; what is not one, such as the beginning of an entry, is left out.
func (s SetValues) entries() []string {
	var list []string
	for ; len(s) >= entryChars; s = s[entryChars:] {
		list = append(list, string(s[:entryChars]))
	}
	return list
}

// TagsOf returns the tags of the configuration and of a transcript, each once. They are compared without regard to case.
func TagsOf(configured, own []string) []string {
	var tags []string
	for _, name := range slices.Concat(configured, own) {
		if !slices.ContainsFunc(tags, func(other string) bool { return strings.EqualFold(other, name) }) {
			tags = append(tags, name)
		}
	}
	return tags
}

// Lacking is what a conversation lacks by the attributes and tags of its transcript, if they map to other values than it was given last.
type Lacking struct {
	Values   map[string]dixa.AttributeValue // to set, by the attribute's UUID
	Refused  []checkpoint.PartialError      // values that cannot be set
	Tags     []string                       // to add
	Leftover int                            // attributes and tags it was given that it would not be given now: Dixa's API does not take them back
	Problems bool                           // other attributes have problems than the checkpoint says
}

// Any reports whether there is something to do.
func (l Lacking) Any() bool { return len(l.Values)+len(l.Tags) > 0 || l.Problems }

// Names returns the names of the attributes to set, and of those that cannot be set.
func (l Lacking) Names(as Attributes) map[string]bool {
	names := map[string]bool{}
	for _, a := range as {
		if _, ok := l.Values[a.ID]; ok {
			names[a.Name] = true
		}
	}
	for _, r := range l.Refused {
		names[r.Attribute] = true
	}
	return names
}

// Lacking compares what a transcript maps to with what its conversation was given last. tags are those of the configuration and of the
// transcript; recorded are the partial errors of the transcript.
func (as Attributes) Lacking(t *source.Transcript, tags []string, given SetValues, recorded []checkpoint.PartialError) (l Lacking) {
	values, refused := as.Values(t)
	l.Refused = refused
	now := map[string]bool{}
	for _, r := range refused {
		now[r.Attribute] = true
	}
	before := map[string]bool{}
	for _, r := range recorded {
		if r.Kind == checkpoint.KindAttribute {
			before[r.Attribute] = true
		}
	}
	l.Problems = !maps.Equal(now, before)
	l.Leftover = given.Without(values, tags)
	l.Values = maps.Clone(values)
	maps.DeleteFunc(l.Values, func(id string, v dixa.AttributeValue) bool { return given.HasValue(id, v) })
	for _, tag := range tags {
		if !given.HasTag(tag) {
			l.Tags = append(l.Tags, tag)
		}
	}
	return l
}
