package jq

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// errJSON says that a text is no JSON.
var errJSON = errors.New("it is not JSON")

// Parse reads one JSON value for Run. Numbers stay as they are written. It is several times as fast as encoding/json, which takes most of the time of a
// mapping otherwise: see BenchmarkParse.
func Parse(data []byte) (any, error) {
	if !json.Valid(data) {
		return nil, errJSON
	}
	return ParseValid(data), nil
}

// ParseValid is Parse for JSON that was checked before.
func ParseValid(data []byte) any {
	p := parser{data: data}
	return p.value()
}

// parser reads valid JSON: it checks nothing.
type parser struct {
	data []byte
	at   int
}

func (p *parser) space() byte {
	for {
		switch c := p.data[p.at]; c {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return c
		}
	}
}

func (p *parser) value() any {
	switch p.space() {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		return p.text()
	case 't':
		p.at += 4
		return true
	case 'f':
		p.at += 5
		return false
	case 'n':
		p.at += 4
		return nil
	}
	from := p.at
	for p.at < len(p.data) && strings.IndexByte("+-.eE0123456789", p.data[p.at]) >= 0 {
		p.at++
	}
	return json.Number(p.data[from:p.at])
}

func (p *parser) object() any {
	out := map[string]any{}
	p.at++
	for p.space() != '}' {
		if p.data[p.at] == ',' {
			p.at++
			p.space()
		}
		name := p.text()
		p.space()
		p.at++ // the colon
		out[name] = p.value()
	}
	p.at++
	return out
}

func (p *parser) array() any {
	out := []any{}
	p.at++
	for p.space() != ']' {
		if p.data[p.at] == ',' {
			p.at++
		}
		out = append(out, p.value())
	}
	p.at++
	return out
}

// text reads a string. What encoding/json makes of it, where it has escapes or is not UTF-8, counts.
func (p *parser) text() string {
	from := p.at
	p.at++
	plain := true
	for c := p.data[p.at]; c != '"'; c = p.data[p.at] {
		if c == '\\' {
			plain = false
			p.at++
		} else if c >= utf8.RuneSelf {
			plain = false
		}
		p.at++
	}
	p.at++
	raw := p.data[from:p.at]
	if plain || utf8.Valid(raw) && !strings.Contains(string(raw), `\`) {
		return string(raw[1 : len(raw)-1])
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return strings.ToValidUTF8(string(raw[1:len(raw)-1]), "\uFFFD")
	}
	return text
}
