package source

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions below walk JSON that json.Valid has accepted, so they check nothing themselves. On other bytes they stay
// in bounds and come to an end, and what they return means little. encoding/json is not used for the walk because it
// matches field names regardless of case and costs several times as much.

// afterSpace returns the index of the first byte at or after i that is not white space.
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
	name = inside(b[i:end])
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

// member returns the raw value of an object's member, the last of several, nil if there is none.
func member(object []byte, name string) (found []byte) {
	if len(object) == 0 || object[0] != '{' {
		return nil
	}
	all := members{object}
	for {
		n, value, ok := all.next()
		if !ok {
			return found
		}
		if string(n) == name {
			found = value
		}
	}
}

// given reports whether a field is there and not null.
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
	return string(unescape(inner)), true
}

// inside returns what unquote does for words and times, as bytes of the record where it can, and nil for other values.
func inside(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	inner := value[1 : len(value)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	return unescape(inner)
}

// unescape does what encoding/json does with the inside of a string, except that it replaces NUL.
func unescape(inner []byte) []byte {
	text := make([]byte, 0, len(inner))
	for i := 0; i < len(inner); {
		switch c := inner[i]; {
		case c == '\\' && i+1 < len(inner):
			n := 2
			switch e := inner[i+1]; e {
			case 'b':
				text = append(text, '\b')
			case 'f':
				text = append(text, '\f')
			case 'n':
				text = append(text, '\n')
			case 'r':
				text = append(text, '\r')
			case 't':
				text = append(text, '\t')
			case 'u':
				var r rune
				r, n = escapedRune(inner[i:])
				text = utf8.AppendRune(text, r)
			default:
				text = append(text, e)
			}
			i += n
		case c < utf8.RuneSelf:
			end := i + 1
			for end < len(inner) && inner[end] != '\\' && inner[end] < utf8.RuneSelf {
				end++
			}
			text = append(text, inner[i:end]...)
			i = end
		default:
			r, n := utf8.DecodeRune(inner[i:])
			text = utf8.AppendRune(text, r)
			i += n
		}
	}
	return text
}

// escapedRune returns the character that an escape such as \u00e6 or \ud83d\ude00 stands for, and the escape's length.
// NUL and a surrogate without its other half become U+FFFD.
func escapedRune(b []byte) (r rune, n int) {
	r, ok := hexRune(b)
	switch {
	case !ok:
		return utf8.RuneError, 2
	case utf16.IsSurrogate(r):
		low, _ := hexRune(b[6:])
		if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
			return r, 12
		}
	case r == 0:
		r = utf8.RuneError
	}
	return r, 6
}

// hexRune reads an escape of the form \uXXXX.
func hexRune(b []byte) (r rune, ok bool) {
	var code [2]byte
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	if _, err := hex.Decode(code[:], b[2:6]); err != nil {
		return 0, false
	}
	return rune(code[0])<<8 | rune(code[1]), true
}

// oneLine removes the white space from JSON that has line breaks. What is not JSON stays as it is.
func oneLine(value []byte) []byte {
	if bytes.IndexByte(value, '\n') < 0 && bytes.IndexByte(value, '\r') < 0 {
		return value
	}
	var line bytes.Buffer
	if json.Compact(&line, value) != nil {
		return value
	}
	return line.Bytes()
}

// integer reports whether a value is a number without fraction and exponent.
func integer(value []byte) bool {
	digits := bytes.TrimPrefix(value, []byte("-"))
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(digits) > 0
}

// number reports whether a value is a number.
func number(value []byte) bool {
	return value[0] == '-' || value[0] >= '0' && value[0] <= '9'
}
