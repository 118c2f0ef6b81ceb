package jq

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/itchyny/gojq"
)

var (
	errTime   = errors.New("deadline")
	errMemory = errors.New("memory")
)

// Beginnings of texts that a program gives to error, as the functions refuse and foreign do: the record cannot be imported, or is not of the format.
const (
	Refused = "refused: "
	Foreign = "not_a_transcript: "
)

// explain makes an Error of what gojq reports. cause is why the run was ended, nil if it ended by itself.
func (p *Program) explain(err, cause error) error {
	switch {
	case errors.Is(cause, errTime):
		return &Error{Message: fmt.Sprintf("the program did not end within %s", p.limits.Time), cause: cause}
	case errors.Is(cause, errMemory):
		return &Error{Message: fmt.Sprintf("the program took more than %d MiB of memory for one record", p.limits.Memory>>20), cause: cause}
	}
	if _, halted := errors.AsType[*gojq.HaltError](err); halted {
		return &Error{Message: "the program called halt: use empty to leave a record out, or error to reject it"}
	}
	if raised, ok := errors.AsType[gojq.ValueError](err); ok {
		if text, ok := raised.Value().(string); ok {
			kind := ""
			for _, prefix := range []string{Refused, Foreign} {
				if rest, ok := strings.CutPrefix(text, prefix); ok {
					kind, text = prefix, rest
				}
			}
			shown := p.literal(text)
			return &Error{Message: shown, Raised: kind + shown}
		}
		return &Error{Message: "the program called error with something other than a text", Raised: "error"}
	}
	return &Error{Message: mask(err.Error())}
}

// minLiteral is how many characters of an error's text must stand in the program for them to be shown.
const minLiteral = 6

// literal returns what of a text that the program gave to error stands in the program itself. The rest may be of the record.
func (p *Program) literal(text string) string {
	if strings.Contains(p.text, text) {
		return text
	}
	n := 0
	for n < len(text) && strings.Contains(p.text, text[:n+1]) {
		n++
	}
	if n < minLiteral {
		return "the program called error (its text is not shown, as it may quote the record)"
	}
	return strings.TrimSpace(strings.ToValidUTF8(text[:n], "")) + " …"
}

var (
	// quoted is a JSON string in an error of gojq, or the rest of the text behind one that was cut off.
	quoted  = regexp.MustCompile(`"(?:[^"\\]|\\.)*(?:"|$)`)
	numbers = regexp.MustCompile(`-?\d[\d.eE+-]*`)
)

// mask leaves out what an error of gojq quotes of a record: it shows values as JSON, cut off after 30 bytes.
func mask(text string) string {
	return numbers.ReplaceAllString(quoted.ReplaceAllString(text, `"…"`), "…")
}

// maxPart is how many characters of a program an error quotes.
const maxPart = 100

// locate returns the part of the program that fails on a value. It runs the stages of a pipe one after the other, and the fields of an object
// each alone.
func (p *Program) locate(ctx context.Context, value any, vars Vars) string {
	part := p.failing(ctx, p.query, p.query.FuncDefs, value, vars)
	if part == nil || part == p.query && (len(p.query.FuncDefs) > 0 || part.Op == gojq.OpPipe) {
		return ""
	}
	text := strings.Join(strings.Fields(part.String()), " ")
	if runes := []rune(text); len(runes) > maxPart {
		text = string(runes[:maxPart]) + " …"
	}
	return "`" + text + "`"
}

// failing returns the smallest query within q, or q itself, that fails on a value; nil if it does not fail.
func (p *Program) failing(ctx context.Context, q *gojq.Query, scope []*gojq.FuncDef, value any, vars Vars) *gojq.Query {
	if _, failed := p.try(ctx, q, scope, value, vars); !failed {
		return nil
	}
	scope = append(scope[:len(scope):len(scope)], q.FuncDefs...)
	within := func(inner *gojq.Query, value any) *gojq.Query {
		if inner == nil {
			return nil
		}
		return p.failing(ctx, inner, scope, value, vars)
	}
	switch {
	case q.Op == gojq.OpPipe && len(q.Patterns) == 0:
		if part := within(q.Left, value); part != nil {
			return part
		}
		results, _ := p.try(ctx, q.Left, scope, value, vars)
		for _, v := range results {
			if part := within(q.Right, v); part != nil {
				return part
			}
		}
	case q.Op != 0 && q.Op != gojq.OpPipe && q.Left != nil && q.Right != nil:
		for _, side := range []*gojq.Query{q.Left, q.Right} {
			if part := within(side, value); part != nil {
				return part
			}
		}
	case q.Term != nil && q.Term.Object != nil:
		for _, field := range q.Term.Object.KeyVals {
			if part := within(field.Val, value); part != nil {
				return part
			}
		}
	case q.Term != nil && q.Term.Array != nil:
		if part := within(q.Term.Array.Query, value); part != nil {
			return part
		}
	case q.Term != nil && q.Term.Query != nil && len(q.Term.SuffixList) == 0:
		if part := within(q.Term.Query, value); part != nil {
			return part
		}
	}
	return q
}

// try runs a part of the program. A part that uses variables of the parts around it does not compile alone, and has not failed.
func (p *Program) try(ctx context.Context, q *gojq.Query, scope []*gojq.FuncDef, value any, vars Vars) (results []any, failed bool) {
	alone := *q
	alone.FuncDefs = slices.Concat(scope, q.FuncDefs)
	code, err := compile(&alone)
	if err != nil {
		return nil, false
	}
	small := &Program{text: p.text, limits: Limits{Time: p.limits.Time / 10, Memory: p.limits.Memory, Output: p.limits.Output}}
	apart.RLock()
	defer apart.RUnlock()
	results, err = small.once(ctx, code, value, vars)
	_, ours := errors.AsType[*Error](err)
	return results, ours
}
