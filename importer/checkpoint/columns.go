package checkpoint

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// column is a column of the table transcripts that a record holds. To add one, add a line to columns, a field to Row and a migration for
// each database: all statements that read or save whole records are built from columns. apply decides what changes it.
type column struct {
	name string
	save saveColumn
	null bool // the zero value is stored as null
	// of returns a pointer to the record's field: a *string, *Status, *int, *int64 or *time.Time.
	of func(r *record) any
}

// saveColumn says which statements save a column.
type saveColumn int

const (
	saveNever  saveColumn = iota // none: the database's clock sets it
	saveLater                    // updates: a first claim leaves it empty
	saveAlways                   // first claims and updates
)

// columns lists all columns except the source and send_before, which is read as the time left.
var columns = []column{
	{"transcript_id", saveAlways, false, func(r *record) any { return &r.ID }},
	{"status", saveAlways, false, func(r *record) any { return &r.Status }},
	{"conversation_id", saveLater, true, func(r *record) any { return &r.ConversationID }},
	{"end_user_id", saveLater, true, func(r *record) any { return &r.EndUserID }},
	{"attempts", saveLater, false, func(r *record) any { return &r.Attempts }},
	{"error_code", saveLater, true, func(r *record) any { return &r.ErrorCode }},
	{"error", saveLater, true, func(r *record) any { return &r.Error }},
	{"reason", saveLater, true, func(r *record) any { return &r.Reason }},
	{"content_hash", saveAlways, true, func(r *record) any { return &r.ContentHash }},
	{"closed_at", saveAlways, true, func(r *record) any { return &r.ClosedAt }},
	{"sent_messages", saveAlways, true, func(r *record) any { return &r.Sent }},
	{"set_values", saveLater, true, func(r *record) any { return &r.SetValues }},
	{"run_id", saveAlways, true, func(r *record) any { return &r.RunID }},
	{"imported_at", saveNever, true, func(r *record) any { return &r.ImportedAt }},
	{"created_at", saveNever, false, func(r *record) any { return &r.CreatedAt }},
	{"updated_at", saveNever, false, func(r *record) any { return &r.UpdatedAt }},
	{"claim", saveAlways, false, func(r *record) any { return &r.Claim }},
	{"claimed_by", saveAlways, true, func(r *record) any { return &r.ClaimedBy }},
	{"file", saveAlways, true, func(r *record) any { return &r.file }},
	{"came_from", saveAlways, true, func(r *record) any { return &r.CameFrom }},
}

// insertColumns are the columns that a first claim saves, updateColumns those that an update saves. Both begin with the transcript's id.
var (
	insertColumns = slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return c.save != saveAlways })
	updateColumns = slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return c.save == saveNever })
)

// perColumn joins the results of f for each column with commas. n counts the columns from first.
func perColumn(columns []column, first int, f func(c column, n int) string) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = f(c, first+i)
	}
	return strings.Join(list, ", ")
}

func columnName(c column, _ int) string { return c.name }

// postgresType returns the column's type in Postgres.
func (c column) postgresType() string {
	switch c.of(&record{}).(type) {
	case *int64:
		return "bigint"
	case *int:
		return "integer"
	case *time.Time:
		return "timestamptz"
	}
	return "text"
}

// postgresRead returns the expression that selects the column, with the zero value for null. It selects times as microseconds since 1970:
// in the protocol mode that works through poolers, a time arrives as text, which depends on the server's DateStyle.
func (c column) postgresRead(int) string {
	switch c.postgresType() {
	case "timestamptz":
		return "(extract(epoch from " + c.name + ") * 1000000)::bigint"
	case "text":
		return "coalesce(" + c.name + ", '')"
	}
	return "coalesce(" + c.name + ", 0)"
}

// postgresArray returns the parameter for the column's values of many records.
func postgresArray(c column, n int) string { return fmt.Sprintf("$%d::%s[]", n, c.postgresType()) }

// postgresValue returns the expression that saves the column from v.
func postgresValue(c column, _ int) string {
	switch t := c.postgresType(); {
	case !c.null || t == "timestamptz":
		return "v." + c.name
	case t == "text":
		return "nullif(v." + c.name + ", '')"
	}
	return "nullif(v." + c.name + ", 0)"
}

func postgresSet(c column, n int) string { return c.name + " = " + postgresValue(c, n) }

// postgresColumns converts records to arrays, one for each column.
func postgresColumns(columns []column, records []*record) []any {
	arrays := make([]any, len(columns))
	for i, c := range columns {
		switch c.of(records[0]).(type) {
		case *string:
			arrays[i] = gather(c, records, func(s string) string { return s })
		case *Status:
			arrays[i] = gather(c, records, func(s Status) string { return string(s) })
		case *int64:
			arrays[i] = gather(c, records, func(n int64) int64 { return n })
		case *int:
			arrays[i] = gather(c, records, func(n int) int32 { return int32(n) })
		case *time.Time:
			arrays[i] = gather(c, records, nullTime)
		}
	}
	return arrays
}

func gather[T, A any](c column, records []*record, value func(T) A) []A {
	array := make([]A, len(records))
	for i, r := range records {
		array[i] = value(*c.of(r).(*T))
	}
	return array
}

// sqliteRead returns the expression that selects the column, with "" for null.
func (c column) sqliteRead(int) string {
	if c.null {
		return "coalesce(" + c.name + ", '')"
	}
	return c.name
}

func sqliteParameter(_ column, n int) string { return fmt.Sprintf("?%d", n) }

func sqliteSet(c column, n int) string { return fmt.Sprintf("%s = ?%d", c.name, n) }

// parse sets the record's field from the text that sqliteRead selects.
func (c column) parse(r *record, text string, p *fieldParser) {
	switch field := c.of(r).(type) {
	case *string:
		*field = text
	case *Status:
		*field = Status(text)
	case *int64:
		*field = p.int(text)
	case *int:
		*field = int(p.int(text))
	case *time.Time:
		*field = p.time(text)
	}
}

// sqliteValues returns the values to save of a record.
func sqliteValues(columns []column, r *record) []any {
	values := make([]any, len(columns), len(columns)+6)
	for i, c := range columns {
		switch field := c.of(r).(type) {
		case *string:
			values[i] = orNull(c, *field)
		case *Status:
			values[i] = orNull(c, *field)
		case *int64:
			values[i] = orNull(c, *field)
		case *int:
			values[i] = orNull(c, *field)
		case *time.Time:
			values[i] = sqliteTime(*field)
		}
	}
	return values
}

func orNull[T comparable](c column, value T) any {
	var zero T
	if c.null && value == zero {
		return nil
	}
	return value
}
