// Package jq runs jq programs on JSON records that nobody has checked. A program reads neither files nor the environment nor the network, and
// has bounds for its time, its memory and its output. Numbers keep all their digits.
package jq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/itchyny/gojq"
)

// Limits bound one run of a program. Zero values stand for the defaults.
type Limits struct {
	Time   time.Duration // 10s
	Memory int64         // bytes by which the heap of the process may grow meanwhile; 512 MiB
	Output int64         // bytes of all results as JSON; 64 MiB
}

func (l Limits) withDefaults() Limits {
	if l.Time == 0 {
		l.Time = 10 * time.Second
	}
	if l.Memory == 0 {
		l.Memory = 512 << 20
	}
	if l.Output == 0 {
		l.Output = 64 << 20
	}
	return l
}

// Program is a compiled jq program. It may run on several goroutines at once.
type Program struct {
	text   string
	query  *gojq.Query
	code   *gojq.Code
	field  []string // the program is a path to a field, such as .sender_id; nil: it is not
	limits Limits
}

// Vars are the variables that every program may use.
type Vars struct {
	File    string // $file: the path of the file that the value is from
	Tables  []any  // $tables: the columns of each kind of table of the source, as arrays of texts
	Columns []any  // $columns: the names that columns were given
}

func (v Vars) values() []any { return []any{v.File, v.Tables, v.Columns} }

var variables = []string{"$file", "$tables", "$columns"}

// Compile compiles a program, which may use the functions that the programs within define. Its error says where in the text it is wrong.
func Compile(text string, limits Limits, within ...*Program) (*Program, error) {
	query, err := gojq.Parse(text)
	if err != nil {
		return nil, syntaxError(text, err)
	}
	p := &Program{text: text, query: query, field: plainField(query), limits: limits.withDefaults()}
	for _, library := range within {
		p.text += library.text // what it says may be shown
		query.FuncDefs = append(append([]*gojq.FuncDef(nil), library.query.FuncDefs...), query.FuncDefs...)
	}
	if p.code, err = compile(query); err != nil {
		return nil, fmt.Errorf("%s", compileError(err))
	}
	return p, nil
}

func compile(query *gojq.Query) (*gojq.Code, error) {
	scoped := *query
	scoped.FuncDefs = append(append([]*gojq.FuncDef(nil), prelude().FuncDefs...), query.FuncDefs...)
	return gojq.Compile(&scoped, append(functions(), gojq.WithVariables(variables))...)
}

// syntaxError names the line and column at which a text is no jq program.
func syntaxError(text string, err error) error {
	parse, ok := errors.AsType[*gojq.ParseError](err)
	if !ok {
		return err
	}
	before := text[:min(max(parse.Offset-len(parse.Token), 0), len(text))]
	line := 1 + strings.Count(before, "\n")
	column := len(before) - strings.LastIndexByte(before, '\n')
	if parse.Token == "" {
		return fmt.Errorf("line %d: the program ends too early: close what is open", line)
	}
	return fmt.Errorf("line %d, column %d: unexpected %q", line, column, parse.Token)
}

// compileError explains what a program may not use.
func compileError(err error) string {
	text := err.Error()
	switch {
	case strings.HasPrefix(text, "cannot load module"):
		return "modules cannot be imported: put all definitions into the program"
	case strings.HasPrefix(text, "input(s)/0"), strings.Contains(text, "input/0"), strings.Contains(text, "inputs/0"):
		return "input and inputs are not available: a program gets one record, or the array of one group"
	}
	return text
}

// Field returns the names that lead to a field if the program is nothing but such a path, .a.b; nil otherwise.
func (p *Program) Field() []string { return p.field }

// lookUp runs a program that is nothing but a path on an object, which is most of group_by and sort_by.
func (p *Program) lookUp(value any) (any, bool) {
	for _, name := range p.field {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		value = object[name]
	}
	return value, len(p.field) > 0
}

// OfEach is a program that gets an array and returns the array of what p yields for each of its elements: p has to yield one value.
func (p *Program) OfEach() (*Program, error) {
	each := *p.query
	each.FuncDefs = nil
	query, err := gojq.Parse("map(.)")
	if err != nil {
		return nil, err
	}
	query.Term.Func.Args = []*gojq.Query{&each}
	query.FuncDefs = p.query.FuncDefs
	out := &Program{text: p.text, query: query, limits: p.limits}
	if out.code, err = compile(query); err != nil {
		return nil, err
	}
	return out, nil
}

func plainField(q *gojq.Query) []string {
	if q.Term == nil || len(q.FuncDefs) > 0 || q.Meta != nil || len(q.Imports) > 0 || q.Term.Type != gojq.TermTypeIndex || q.Term.Index.Name == "" {
		return nil
	}
	names := []string{q.Term.Index.Name}
	for _, s := range q.Term.SuffixList {
		if s.Index == nil || s.Index.Name == "" {
			return nil
		}
		names = append(names, s.Index.Name)
	}
	return names
}

// Marshal writes a value as JSON.
func Marshal(v any) ([]byte, error) { return gojq.Marshal(v) }

// Compare orders two values as jq's sort does.
func Compare(a, b any) int { return gojq.Compare(a, b) }

// Error says why a program failed on a record. Its text never quotes the record.
type Error struct {
	// Message is what happened, such as `cannot iterate over: null`.
	Message string
	// Part is the part of the program that failed, "" if it is not known.
	Part string
	// Raised is the text that the program gave to error, as far as it is literal in the program; "" if the error is not of that kind.
	Raised string

	cause error
}

// Unwrap returns why the run was ended, nil if it ended by itself.
func (e *Error) Unwrap() error { return e.cause }

func (e *Error) Error() string {
	if e.Part == "" {
		return e.Message
	}
	return e.Message + ", in " + e.Part
}

// Run runs the program on a value, which it does not change, and returns its results. The error is an *Error, or that of ctx.
func (p *Program) Run(ctx context.Context, value any, vars Vars) ([]any, error) {
	if v, ok := p.lookUp(value); ok {
		return []any{v}, nil
	}
	results, err := p.run(ctx, p.code, value, vars)
	if e, ok := errors.AsType[*Error](err); ok && e.Part == "" {
		e.Part = p.locate(ctx, value, vars)
	}
	return results, err
}

// apart is held by a run that must be the only one, and shared by all others.
var apart sync.RWMutex

// run runs a part of the program. The memory of a run cannot be told from that of others beside it, so a run that seems to take too much is run
// again alone.
func (p *Program) run(ctx context.Context, code *gojq.Code, value any, vars Vars) ([]any, error) {
	apart.RLock()
	results, err := p.once(ctx, code, value, vars)
	apart.RUnlock()
	if !errors.Is(err, errMemory) {
		return results, err
	}
	apart.Lock()
	defer apart.Unlock()
	return p.once(ctx, code, value, vars)
}

func (p *Program) once(parent context.Context, code *gojq.Code, value any, vars Vars) (results []any, err error) {
	ctx, cancel := context.WithTimeoutCause(parent, p.limits.Time, errTime)
	defer cancel()
	ctx, stop := watch.begin(ctx, p.limits.Memory)
	defer stop()
	iter := code.RunWithContext(ctx, value, vars.values()...)
	for size := int64(0); ; {
		v, ok := iter.Next()
		if !ok {
			return results, nil
		}
		if err, failed := v.(error); failed {
			if parent.Err() != nil {
				return nil, parent.Err()
			}
			return nil, p.explain(err, context.Cause(ctx))
		}
		if size += sizeOf(v); size > p.limits.Output {
			return nil, &Error{Message: fmt.Sprintf("the program returned more than %d MiB for one record", p.limits.Output>>20)}
		}
		results = append(results, v)
	}
}

// sizeOf estimates how many bytes a value takes as JSON.
func sizeOf(v any) int64 {
	n := int64(8)
	switch v := v.(type) {
	case string:
		n += int64(len(v))
	case []any:
		for _, e := range v {
			n += sizeOf(e)
		}
	case map[string]any:
		for name, e := range v {
			n += int64(len(name)) + sizeOf(e)
		}
	}
	return n
}
