package source

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// The functions below walk JSON that json.Valid has accepted, so they check nothing themselves. On other bytes they stay
// in bounds and come to an end, and what they return means little. encoding/json is not used for the walk because it
// matches field names regardless of case and costs several times as much.

// afterSpace returns the index of the first byte at or after i that is no white space.
func afterSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// afterString returns the index behind the string that starts at i with a quote.
func afterString(b []byte, i int) int {
	start := i
	for i++; ; i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b)
		}
		i += n
		escapes := 0
		for j := i - 1; j > start && b[j] == '\\'; j-- {
			escapes++
		}
		if escapes%2 == 0 {
			return i + 1
		}
	}
}

// afterValue returns the index behind the value that starts at i.
func afterValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return afterString(b, i)
	case '{', '[':
		return afterContainer(b, i)
	}
	for i < len(b) {
		switch b[i] {
		case ',', ']', '}', ':', '"', ' ', '\t', '\n', '\r':
			return i
		}
		i++
	}
	return i
}

func afterContainer(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = afterString(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return len(b)
}

// members walks the members of a JSON object, elements the elements of an array. Both start with position 1.
type (
	members  struct{ data []byte }
	elements struct{ data []byte }
)

// next returns the name and the raw value of the next member. The name is without quotes, escapes resolved.
func (m *members) next() (name, value []byte, ok bool) {
	b := m.data
	i := afterSpace(b, min(1, len(b)))
	if i >= len(b) || b[i] != '"' {
		return nil, nil, false
	}
	end := afterString(b, i)
	if end-i < 2 {
		return nil, nil, false
	}
	name = b[i+1 : end-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		s, _ := unquote(b[i:end])
		name = []byte(s)
	}
	i = afterSpace(b, end)
	if i >= len(b) || b[i] != ':' {
		return nil, nil, false
	}
	value, m.data = nextValue(b, i+1)
	return name, value, len(value) > 0
}

// next returns the next element, raw.
func (e *elements) next() (value []byte, ok bool) {
	value, e.data = nextValue(e.data, min(1, len(e.data)))
	return value, len(value) > 0
}

// nextValue returns the value that starts at or after i, and what follows it, beginning with a comma or a bracket.
func nextValue(b []byte, i int) (value, rest []byte) {
	i = afterSpace(b, i)
	if i >= len(b) {
		return nil, nil
	}
	end := afterValue(b, i)
	return b[i:end], b[afterSpace(b, end):]
}

// given says whether a field is there and not null.
func given(value []byte) bool { return len(value) > 0 && value[0] != 'n' }

// unquote returns the text of a JSON string. NUL and what is not UTF-8 have become U+FFFD. ok is false for other values.
func unquote(value []byte) (text string, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	inner := value[1 : len(value)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner), true
	}
	if err := json.Unmarshal(value, &text); err != nil {
		return "", false
	}
	return strings.ReplaceAll(text, "\x00", "\uFFFD"), true
}

// integer says whether a value is a number without fraction and exponent.
func integer(value []byte) bool {
	digits := bytes.TrimPrefix(value, []byte("-"))
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(digits) > 0
}

// number says whether a value is a number.
func number(value []byte) bool {
	return value[0] == '-' || value[0] >= '0' && value[0] <= '9'
}
