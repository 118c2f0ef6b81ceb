package jq

import (
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// errJSON says that a text is no JSON.
var errJSON = errors.New("it is not JSON")

// maxDepth is how deep values may be nested, as in encoding/json.
const maxDepth = 10_000

// Parse reads one JSON value for Run. Numbers stay as they are written. It reads what encoding/json reads (FuzzParse holds it to that), in one pass and
// less than half the time (BenchmarkParse), which is a third of what a mapping of many rows takes.
func Parse(data []byte) (any, error) {
	p := parser{data: data}
	v := p.value(0)
	if p.space(); p.bad || p.at < len(data) {
		return nil, errJSON
	}
	return v, nil
}

// parser reads a text. Once bad is set, what it returns has no meaning.
type parser struct {
	data []byte
	at   int
	bad  bool
}

// space moves to the next byte that is no white space, and returns it, 0 at the end.
func (p *parser) space() byte {
	for p.at < len(p.data) {
		switch c := p.data[p.at]; c {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return c
		}
	}
	return 0
}

// take moves past a byte that must be next.
func (p *parser) take(c byte) bool {
	if p.space() != c {
		p.bad = true
		return false
	}
	p.at++
	return true
}

func (p *parser) value(depth int) any {
	if depth > maxDepth {
		p.bad = true
		return nil
	}
	switch c := p.space(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		return p.text()
	case c == 't':
		return p.literal("true", true)
	case c == 'f':
		return p.literal("false", false)
	case c == 'n':
		return p.literal("null", nil)
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	p.bad = true
	return nil
}

func (p *parser) literal(text string, v any) any {
	if p.at+len(text) > len(p.data) || string(p.data[p.at:p.at+len(text)]) != text {
		p.bad = true
		return nil
	}
	p.at += len(text)
	return v
}

func (p *parser) object(depth int) any {
	out := map[string]any{}
	p.at++
	if p.space() == '}' {
		p.at++
		return out
	}
	for !p.bad {
		if p.space() != '"' {
			p.bad = true
			break
		}
		name := p.text()
		if !p.take(':') {
			break
		}
		out[name] = p.value(depth + 1)
		if p.space() == '}' {
			p.at++
			break
		}
		p.take(',')
	}
	return out
}

func (p *parser) array(depth int) any {
	out := []any{}
	p.at++
	if p.space() == ']' {
		p.at++
		return out
	}
	for !p.bad {
		out = append(out, p.value(depth+1))
		if p.space() == ']' {
			p.at++
			break
		}
		p.take(',')
	}
	return out
}

// digits moves past digits, at least one.
func (p *parser) digits() {
	from := p.at
	for p.at < len(p.data) && p.data[p.at] >= '0' && p.data[p.at] <= '9' {
		p.at++
	}
	p.bad = p.bad || p.at == from
}

func (p *parser) next() byte {
	if p.at < len(p.data) {
		return p.data[p.at]
	}
	return 0
}

func (p *parser) number() any {
	from := p.at
	if p.next() == '-' {
		p.at++
	}
	if p.next() == '0' {
		p.at++
	} else {
		p.digits()
	}
	if p.next() == '.' {
		p.at++
		p.digits()
	}
	if c := p.next(); c == 'e' || c == 'E' {
		p.at++
		if c := p.next(); c == '+' || c == '-' {
			p.at++
		}
		p.digits()
	}
	return json.Number(p.data[from:p.at])
}

// text reads a string. What is no UTF-8 in it, and half a surrogate pair, becomes U+FFFD.
func (p *parser) text() string {
	p.at++
	from := p.at
	for p.at < len(p.data) {
		switch c := p.data[p.at]; {
		case c == '"':
			p.at++
			return string(p.data[from : p.at-1])
		case c == '\\', c >= utf8.RuneSelf:
			return p.unquoted(from)
		case c < ' ':
			p.bad = true
			return ""
		}
		p.at++
	}
	p.bad = true
	return ""
}

// escapes are the characters that stand behind a backslash.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unquoted is text from the first character that is not written as itself.
func (p *parser) unquoted(from int) string {
	out := append(make([]byte, 0, p.at-from+64), p.data[from:p.at]...)
	for p.at < len(p.data) {
		switch c := p.data[p.at]; {
		case c == '"':
			p.at++
			return string(out)
		case c == '\\':
			out = p.escape(out)
			if p.bad {
				return ""
			}
		case c < ' ':
			p.bad = true
			return ""
		case c < utf8.RuneSelf:
			out = append(out, c)
			p.at++
		default:
			r, size := utf8.DecodeRune(p.data[p.at:])
			out = utf8.AppendRune(out, r)
			p.at += size
		}
	}
	p.bad = true
	return ""
}

func (p *parser) escape(out []byte) []byte {
	p.at++
	c := p.next()
	if c != 'u' {
		p.at++
		p.bad = p.bad || escapes[c] == 0
		return append(out, escapes[c])
	}
	r := p.hex(p.at + 1)
	p.at += 5
	if r < 0 {
		p.bad = true
		return out
	}
	if utf16.IsSurrogate(r) {
		second := rune(-1)
		if p.at+1 < len(p.data) && p.data[p.at] == '\\' && p.data[p.at+1] == 'u' {
			second = p.hex(p.at + 2)
		}
		if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
			p.at += 6
			return utf8.AppendRune(out, pair)
		}
		r = utf8.RuneError
	}
	return utf8.AppendRune(out, r)
}

// hex returns the character that four hexadecimal digits stand for, -1 if they are not there.
func (p *parser) hex(at int) rune {
	if at+4 > len(p.data) {
		return -1
	}
	n, err := strconv.ParseUint(string(p.data[at:at+4]), 16, 32)
	if err != nil || p.data[at] == '+' {
		return -1
	}
	return rune(n) //nolint:gosec // four digits
}
