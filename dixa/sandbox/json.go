package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// newEncoder returns an encoder that writes <, > and & as they are.
func newEncoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc
}

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

func (k kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

// value is a JSON value as it was written: encoding/json matches field names whatever their case and lets duplicates
// overwrite each other, and both must be noticed here.
type value struct {
	kind   kind
	text   string // of a string, decoded; of numbers and booleans as written
	items  []value
	fields []field
}

type field struct {
	name  string
	value value
}

// member returns the field of that very name.
func (v *value) member(name string) (*value, bool) {
	for i := range v.fields {
		if v.fields[i].name == name {
			return &v.fields[i].value, true
		}
	}
	return nil, false
}

var (
	errSyntax    = errors.New("the body is not valid JSON in UTF-8")
	errDuplicate = errors.New("a field name occurs twice in one object")
)

// parse reads one JSON text. The texts of the value share the memory of src.
func parse(body []byte) (value, error) {
	// encoding/json judges the syntax; the walk below can then rely on it.
	if !utf8.Valid(body) || !json.Valid(body) {
		return value{}, errSyntax
	}
	p := parser{src: string(body)}
	v := p.value()
	return v, p.err
}

type parser struct {
	src string
	pos int
	err error
}

func (p *parser) space() byte {
	for {
		switch c := p.src[p.pos]; c {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return c
		}
	}
}

func (p *parser) value() value {
	switch p.space() {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		return value{kind: kindString, text: p.string()}
	case 'n':
		p.pos += len("null")
		return value{kind: kindNull}
	case 't':
		p.pos += len("true")
		return value{kind: kindBool, text: "true"}
	case 'f':
		p.pos += len("false")
		return value{kind: kindBool, text: "false"}
	}
	start := p.pos
	for p.pos < len(p.src) && isNumeric(p.src[p.pos]) {
		p.pos++
	}
	return value{kind: kindNumber, text: p.src[start:p.pos]}
}

func isNumeric(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

func (p *parser) object() value {
	v := value{kind: kindObject, fields: make([]field, 0, 6)}
	var seen map[string]bool // only of large objects: comparing all pairs would take too long
	p.pos++
	for p.space() != '}' {
		if p.src[p.pos] == ',' {
			p.pos++
			p.space()
		}
		name := p.string()
		if len(v.fields) == 32 {
			seen = make(map[string]bool, 64)
			for _, f := range v.fields {
				seen[f.name] = true
			}
		}
		if seen != nil {
			if seen[name] {
				p.err = errDuplicate
			}
			seen[name] = true
		} else if _, twice := v.member(name); twice {
			p.err = errDuplicate
		}
		p.space()
		p.pos++ // the colon
		v.fields = append(v.fields, field{name: name, value: p.value()})
	}
	p.pos++
	return v
}

func (p *parser) array() value {
	v := value{kind: kindArray}
	p.pos++
	for p.space() != ']' {
		if p.src[p.pos] == ',' {
			p.pos++
		}
		v.items = append(v.items, p.value())
	}
	p.pos++
	return v
}

func (p *parser) string() string {
	start := p.pos
	escaped := false
	for p.pos++; p.src[p.pos] != '"'; p.pos++ {
		if p.src[p.pos] == '\\' {
			escaped = true
			p.pos++
		}
	}
	p.pos++
	if !escaped {
		return p.src[start+1 : p.pos-1]
	}
	var s string
	if err := json.Unmarshal([]byte(p.src[start:p.pos]), &s); err != nil {
		p.err = errSyntax
	}
	return s
}
