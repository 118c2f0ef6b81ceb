package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// setting is one scalar of the configuration file as it is written there. Variables are expanded and types checked only
// when a command reads it; see reader.
type setting struct {
	raw   string
	set   bool // neither absent nor null
	line  int
	given string // the flag that it was given with, "" if it stands in the file
}

// configError is a problem with the configuration, with its place.
type configError struct {
	file    string
	line    int
	key     string
	problem string
}

func (e *configError) Error() string {
	place := e.file
	if e.line > 0 {
		place = fmt.Sprintf("%s:%d", e.file, e.line)
	}
	if e.key != "" {
		place += ": " + e.key
	}
	return place + ": " + e.problem
}

// decoder fills structs from the nodes of one YAML file, and collects what is wrong with it.
type decoder struct {
	file     string
	anchors  map[string]ast.Node
	problems []error
}

// decodeYAML fills out, a pointer to a struct whose fields are settings, structs, pointers to structs, lists of
// settings, constants and mappings, from a YAML document. Its errors name file, line and key.
func decodeYAML(file string, data []byte, out any) error {
	parsed, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey()) // pairs refuses them, with their place
	if err != nil {
		return syntaxError(file, err)
	}
	if len(parsed.Docs) > 1 {
		return &configError{file: file, problem: "there are several YAML documents (---) in the file: keep one"}
	}
	d := &decoder{file: file, anchors: map[string]ast.Node{}}
	if len(parsed.Docs) == 1 && parsed.Docs[0].Body != nil {
		for _, n := range ast.Filter(ast.AnchorType, parsed.Docs[0].Body) {
			if a, ok := n.(*ast.AnchorNode); ok {
				d.anchors[a.Name.GetToken().Value] = a.Value
			}
		}
		d.node(parsed.Docs[0].Body, reflect.ValueOf(out).Elem(), "", 0)
	}
	return errors.Join(d.problems...)
}

// syntaxError leaves out the excerpt of the file that the parser shows, because it may hold secrets.
func syntaxError(file string, err error) error {
	var syntax yaml.Error
	if errors.As(err, &syntax) && syntax.GetToken() != nil && syntax.GetToken().Position != nil {
		return &configError{file: file, line: syntax.GetToken().Position.Line, problem: "this is not YAML: " + syntax.GetMessage()}
	}
	return &configError{file: file, problem: "this is not YAML"}
}

func (d *decoder) fail(n ast.Node, key, format string, args ...any) {
	d.problems = append(d.problems, &configError{d.file, lineOf(n), key, fmt.Sprintf(format, args...)})
}

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

// maxDepth bounds nesting, so that aliases cannot run in circles.
const maxDepth = 16

// plain looks through anchors, aliases and tags.
func (d *decoder) plain(n ast.Node) ast.Node {
	for range maxDepth {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.TagNode:
			n = v.Value
		case *ast.AliasNode:
			n = d.anchors[v.Value.GetToken().Value]
		default:
			return n
		}
	}
	return nil
}

func (d *decoder) node(n ast.Node, out reflect.Value, key string, depth int) {
	n = d.plain(n)
	if depth > maxDepth {
		d.fail(n, key, "the nesting is too deep")
		return
	}
	switch v := out.Addr().Interface().(type) {
	case *setting:
		d.scalar(n, v, key)
		return
	case *constant:
		d.constant(n, v, key)
		return
	case *mappings:
		d.mappings(n, v, key, depth)
		return
	case *entries:
		d.entries(n, v, key)
		return
	case *redactSection:
		if _, text := scalarText(n); text {
			d.scalar(n, &v.Name, key)
			return
		}
	case *transformSection:
		if _, text := scalarText(n); text {
			d.scalar(n, &v.text, key)
			return
		}
	}
	if isNull(n) {
		return
	}
	switch out.Kind() {
	case reflect.Pointer:
		out.Set(reflect.New(out.Type().Elem()))
		d.node(n, out.Elem(), key, depth+1)
	case reflect.Slice:
		d.list(n, out, key, depth)
	default:
		d.structure(n, out, key, depth)
	}
}

func isNull(n ast.Node) bool {
	_, null := n.(*ast.NullNode)
	return n == nil || null
}

func (d *decoder) scalar(n ast.Node, out *setting, key string) {
	if isNull(n) {
		out.line = lineOf(n)
		return
	}
	raw, ok := scalarText(n)
	if !ok {
		d.fail(n, key, "here must be a single value, not %s", kindOf(n))
		return
	}
	*out = setting{raw: raw, set: true, line: lineOf(n)}
}

// scalarText returns a scalar as it is written, numbers and booleans too.
func scalarText(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	}
	return "a single value"
}

func (d *decoder) list(n ast.Node, out reflect.Value, key string, depth int) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fail(n, key, "here must be a list such as [a, b], not %s", kindOf(n))
		return
	}
	items := reflect.MakeSlice(out.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		d.node(item, items.Index(i), fmt.Sprintf("%s[%d]", key, i), depth+1)
	}
	out.Set(items)
}

// pairs returns the entries of a mapping.
func (d *decoder) pairs(n ast.Node, key string) (pairs []*ast.MappingValueNode, ok bool) {
	switch v := n.(type) {
	case *ast.MappingNode:
		pairs = v.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{v}
	default:
		d.fail(n, key, "here must be a mapping of keys to values, not %s", kindOf(n))
		return nil, false
	}
	seen := map[string]bool{}
	for _, p := range pairs {
		name := p.Key.GetToken().Value
		if seen[name] {
			d.fail(p.Key, join(key, name), "the key stands there twice: remove one of them")
		}
		seen[name] = true
	}
	return pairs, true
}

func (d *decoder) structure(n ast.Node, out reflect.Value, key string, depth int) {
	pairs, ok := d.pairs(n, key)
	if !ok {
		return
	}
	fields := map[string]int{}
	var names []string
	for i := range out.NumField() {
		if name := out.Type().Field(i).Tag.Get("yaml"); name != "" {
			fields[name] = i
			names = append(names, name)
		}
	}
	for _, p := range pairs {
		name := p.Key.GetToken().Value
		path := join(key, name)
		i, known := fields[name]
		if !known {
			d.fail(p.Key, path, "there is no such key%s", orKeys(name, names))
			continue
		}
		d.node(p.Value, out.Field(i), path, depth+1)
	}
}

// orKeys proposes the key that was probably meant, or all of them.
func orKeys(name string, names []string) string {
	if s := DidYouMean(name, names); s != "" {
		return s
	}
	return "; there are " + strings.Join(names, ", ")
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// entry is one key of a mapping whose keys are not fixed.
type entry struct {
	name  string
	value constant
}

// entries keep the order of the file.
type entries []entry

func (d *decoder) entries(n ast.Node, out *entries, key string) {
	if isNull(n) {
		return
	}
	pairs, ok := d.pairs(n, key)
	if !ok {
		return
	}
	for _, p := range pairs {
		e := entry{name: p.Key.GetToken().Value}
		d.constant(d.plain(p.Value), &e.value, join(key, e.name))
		*out = append(*out, e)
	}
}

// constant is a fixed value of an attribute.
type constant struct {
	text   setting
	list   []setting
	isList bool
	set    bool
}

func (d *decoder) constant(n ast.Node, out *constant, key string) {
	if isNull(n) {
		d.fail(n, key, "the value is empty: give a string, a number, true or false, or a list of strings")
		return
	}
	out.set = true
	if _, out.isList = n.(*ast.SequenceNode); out.isList {
		d.list(n, reflect.ValueOf(&out.list).Elem(), key, 0)
		return
	}
	d.scalar(n, &out.text, key)
}

// mapping is one entry of the section attributes: the name alone, or with a constant.
type mapping struct {
	name      string
	line      int
	Attribute setting  `yaml:"attribute"`
	Value     constant `yaml:"value"`
	Values    entries  `yaml:"values"`
	Else      constant `yaml:"else"`
	short     bool
}

// mappings keep the order of the file.
type mappings []mapping

func (d *decoder) mappings(n ast.Node, out *mappings, key string, depth int) {
	if isNull(n) {
		return
	}
	pairs, ok := d.pairs(n, key)
	if !ok {
		return
	}
	for _, p := range pairs {
		m := mapping{name: p.Key.GetToken().Value, line: lineOf(p.Key)}
		path := join(key, m.name)
		value := d.plain(p.Value)
		switch value.(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			d.structure(value, reflect.ValueOf(&m).Elem(), path, depth+1)
		default:
			m.short = true
			d.scalar(value, &m.Attribute, path)
		}
		*out = append(*out, m)
	}
}
