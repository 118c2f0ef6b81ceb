package source

import (
	"slices"
)

// shape tells the records of a format from the objects and arrays around them.
type shape struct {
	marks      []string // fields that every record has; none: every object is a record
	wholeArray bool     // an array of other objects is a record, too
	explains   bool     // the format says itself what is wrong with an object without records
}

// has reports whether an object, which may be followed by others or be cut off, has all marks.
func (s *shape) has(object []byte) bool {
	missing := slices.Clone(s.marks)
	all := members{object}
	for len(missing) > 0 {
		name, _, ok := all.next()
		if !ok {
			return false
		}
		if i := slices.Index(missing, string(name)); i >= 0 {
			missing = slices.Delete(missing, i, i+1)
		}
		if len(missing) > 0 && len(all.data) > 0 && all.data[0] == '}' {
			return false
		}
	}
	return true
}

// like reports whether an object looks like a record.
func (f *framer) like(object []byte) bool {
	if f.shape == nil {
		return likeTranscript(object)
	}
	return len(f.shape.marks) > 0 && f.shape.has(object)
}

// outline is outlineOf for the records of the text. Those that are mapped have their id and the rest from the mapping.
func (f *framer) outline(value []byte) outline {
	s := outlineOf(value)
	if f.shape != nil {
		start := afterSpace(value, 0)
		s.id, s.open = "", false
		s.bare = start < len(value) && value[start] == '{' && !f.shape.has(value[start:])
	}
	return s
}

// wholeArray reports whether the array at pos is one record.
func (f *framer) wholeArray() bool {
	if f.shape == nil || !f.shape.wholeArray {
		return false
	}
	for len(f.buf)-f.pos < maxBlank && f.more() {
	}
	array := f.buf[f.pos:]
	first := afterSpace(array, 1)
	return first < len(array) && array[first] != ']' && (array[first] != '{' || !f.like(array[first:]))
}
