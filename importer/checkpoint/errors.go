package checkpoint

import (
	"errors"
	"fmt"
)

// ErrSchemaMissing says that the database holds no checkpoint yet.
var ErrSchemaMissing = errors.New("the database holds no checkpoint tables: run `dixa-import migrate`")

// ErrDiskFull says that SQLite could not write. What was committed before is safe.
var ErrDiskFull = errors.New("the disk of the checkpoint database is full or faulty: make room on it, then run again")

// SchemaError says that the schema in the database is not the one that this program works with.
type SchemaError struct{ Have, Want int64 }

func (e *SchemaError) Error() string {
	if e.Have > e.Want {
		return fmt.Sprintf("the checkpoint schema has version %d and this program knows version %d: install a newer dixa-import", e.Have, e.Want)
	}
	return fmt.Sprintf("the checkpoint schema has version %d and this program needs version %d: run `dixa-import migrate`", e.Have, e.Want)
}

// BindingError says that a source is tied to another organisation than the one that the token belongs to.
type BindingError struct {
	Source       string
	Bound, Given Binding
}

func (e *BindingError) Error() string {
	return fmt.Sprintf("source %q was imported into organisation %s at %s, but this token belongs to organisation %s at %s: "+
		"rehearse under another source.name, or pass --rebind if the source is to go on there",
		e.Source, e.Bound.Organisation, e.Bound.BaseURL, e.Given.Organisation, e.Given.BaseURL)
}

// BusyError says that another process works on the same SQLite file.
type BusyError struct{ Path string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("another dixa-import works on %s: wait until it ends, or use Postgres to run several at once", e.Path)
}
