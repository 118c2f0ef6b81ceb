package config

import (
	"fmt"
	"strings"
)

// expand replaces ${VAR} and ${VAR:-default} in a value of the configuration; the default serves when VAR is unset or
// empty, and ends at the first closing brace. White space around what a variable holds goes. $${ stands for a literal ${. Every other dollar sign is left alone, so that SQL
// parameters and passwords need no care. What a variable holds is not expanded again.
func expand(value string, lookup func(string) (string, bool)) (string, error) {
	var out strings.Builder
	for {
		at := strings.Index(value, "${")
		if at < 0 {
			out.WriteString(value)
			return out.String(), nil
		}
		if at > 0 && value[at-1] == '$' {
			out.WriteString(value[:at-1])
			out.WriteString("${")
			value = value[at+2:]
			continue
		}
		out.WriteString(value[:at])
		inner, rest, closed := strings.Cut(value[at+2:], "}")
		if !closed {
			return "", fmt.Errorf("a ${ is not closed: write ${NAME} for a variable, or $${ for the characters themselves")
		}
		name, fallback, hasDefault := strings.Cut(inner, ":-")
		if !isVariableName(name) {
			return "", fmt.Errorf("the text between ${ and } is not the name of a variable: write ${NAME} or ${NAME:-default}, or $${ for the characters themselves")
		}
		set, ok := lookup(name)
		set = strings.TrimSpace(set) // environment files and secrets end with a line break
		switch {
		case ok && (set != "" || !hasDefault):
			out.WriteString(set)
		case hasDefault:
			out.WriteString(fallback)
		default:
			return "", &missingVariableError{name}
		}
		value = rest
	}
}

// missingVariableError says that the environment lacks a variable.
type missingVariableError struct{ name string }

func (e *missingVariableError) Error() string {
	return fmt.Sprintf("the environment variable %s is not set: set it, or write ${%s:-default}", e.name, e.name)
}

// isVariableName reports whether s is a name as shells know them.
func isVariableName(s string) bool {
	for i, c := range []byte(s) {
		letter := c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
