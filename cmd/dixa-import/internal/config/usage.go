package config

import (
	"fmt"
	"strings"

	"dixa-import/importer"
)

// UsageError is a command line that cannot be meant.
type UsageError struct{ problem string }

func (e *UsageError) Error() string { return e.problem }

// Usagef returns a UsageError.
func Usagef(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// DidYouMean returns the end of an error message that names the closest candidate, "" if none is close.
func DidYouMean(word string, candidates []string) string {
	if c := importer.Closest(word, candidates); c != "" {
		return ", did you mean " + c + "?"
	}
	return ""
}

// OrOneOf proposes the name that was probably meant, or all of them.
func OrOneOf(name string, names []string) string {
	if s := DidYouMean(name, names); s != "" {
		return s
	}
	return "; there are " + strings.Join(names, ", ")
}
