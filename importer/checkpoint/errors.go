package checkpoint

import (
	"errors"
	"fmt"
)

// ErrSchemaMissing says that the database has no checkpoint tables yet.
var ErrSchemaMissing = errors.New("the database has no checkpoint tables: run `dixa-import migrate`")

// ErrDiskFull says that SQLite could not write. Earlier commits are safe.
var ErrDiskFull = errors.New("the disk of the checkpoint database is full or faulty: make room on it, then run again")

// SchemaError says that the database has another version of the schema than this program needs.
type SchemaError struct{ Have, Want int64 }

func (e *SchemaError) Error() string {
	if e.Have > e.Want {
		return fmt.Sprintf("the checkpoint schema has version %d, but this program supports only version %d: install a newer dixa-import", e.Have, e.Want)
	}
	return fmt.Sprintf("the checkpoint schema has version %d, but this program needs version %d: run `dixa-import migrate`", e.Have, e.Want)
}

// BindingError says that a source is tied to another organisation than the token's.
type BindingError struct {
	Source       string
	Bound, Given Binding
}

func (e *BindingError) Error() string {
	return fmt.Sprintf("source %q was imported into organisation %s at %s, but this token belongs to organisation %s at %s: "+
		"rehearse under another source.name, or pass --rebind to continue the source there",
		e.Source, e.Bound.Organisation, e.Bound.BaseURL, e.Given.Organisation, e.Given.BaseURL)
}

// BusyError says that another process is using the same SQLite file.
type BusyError struct{ Path string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("another dixa-import is using %s: wait until it ends, or use Postgres to run several at once", e.Path)
}
