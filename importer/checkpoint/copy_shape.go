package checkpoint

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// notCopied are the tables that describe a database and not what was imported, or that triggers derive from others.
var notCopied = []string{"goose_db_version", "copies", "rate_budgets", "totals"}

// kind is the type of a column, and of its values in Go.
type kind int

const (
	kindText  kind = iota // string
	kindInt               // int64
	kindFloat             // float64
	kindBool              // bool; SQLite stores 0 and 1
	kindTime              // time.Time; SQLite stores text, see sqliteTime
)

// kinds are the types of the columns of both databases. A migration with another type needs a line here.
var kinds = map[string]kind{
	"text": kindText, "integer": kindInt, "bigint": kindInt, "smallint": kindInt, "real": kindFloat, "double precision": kindFloat,
	"boolean": kindBool, "timestamp with time zone": kindTime,
}

// shape is a table as the database describes it, without generated columns.
type shape struct {
	name    string
	columns []field
	key     []int  // the primary key: indexes of columns
	counter string // the column that the database numbers, "" if none
}

type field struct {
	name string
	kind kind
}

// described is one column of a table in the catalog of a database.
type described struct {
	table, column, kind string
	key                 int // position in the primary key from 1 on, 0 if it is not in it
	counter             bool
}

// newShapes returns the tables that are copied, sorted by name, with their columns sorted by name.
func newShapes(columns []described) ([]shape, error) {
	slices.SortFunc(columns, func(a, b described) int {
		return strings.Compare(a.table+"\x00"+a.column, b.table+"\x00"+b.column)
	})
	var shapes []shape
	keys := map[string]map[int]int{} // by table: the column's index by its position in the key
	for _, c := range columns {
		if slices.Contains(notCopied, c.table) {
			continue
		}
		if len(shapes) == 0 || shapes[len(shapes)-1].name != c.table {
			shapes, keys[c.table] = append(shapes, shape{name: c.table}), map[int]int{}
		}
		t := &shapes[len(shapes)-1]
		k, ok := kinds[c.kind]
		if !ok {
			return nil, fmt.Errorf("the column %s of the table %s has the type %s, which is not known how to copy", c.column, c.table, c.kind)
		}
		if c.key > 0 {
			keys[c.table][c.key] = len(t.columns)
		}
		if c.counter {
			t.counter = c.column
		}
		t.columns = append(t.columns, field{c.column, k})
	}
	for i, t := range shapes {
		if len(keys[t.name]) == 0 {
			return nil, fmt.Errorf("the table %s has no primary key", t.name)
		}
		for position := 1; position <= len(keys[t.name]); position++ {
			shapes[i].key = append(shapes[i].key, keys[t.name][position])
		}
	}
	return shapes, nil
}

// sameShapes returns an error unless both databases have the same tables with the same columns. In SQLite, a boolean is an integer and a
// time is text; both sides get the kinds of Postgres if one of them is.
func sameShapes(from, to []shape) error {
	if a, b := names(from), names(to); !slices.Equal(a, b) {
		return fmt.Errorf("the databases have different tables: %s and %s", strings.Join(a, ", "), strings.Join(b, ", "))
	}
	for i := range from {
		a, b := &from[i], &to[i]
		if len(a.columns) != len(b.columns) || !slices.Equal(a.key, b.key) || a.counter != b.counter {
			return fmt.Errorf("the table %s has other columns or another primary key in the other database", a.name)
		}
		for j := range a.columns {
			x, y := &a.columns[j], &b.columns[j]
			if x.name != y.name {
				return fmt.Errorf("the table %s has the column %s in one database, but not in the other", a.name, x.name)
			}
			x.kind = max(x.kind, y.kind)
			y.kind = x.kind
		}
	}
	return nil
}

func names(shapes []shape) []string {
	list := make([]string, len(shapes))
	for i, t := range shapes {
		list[i] = t.name
	}
	return list
}

func (t shape) columnNames() []string {
	list := make([]string, len(t.columns))
	for i, c := range t.columns {
		list[i] = c.name
	}
	return list
}

// list joins the results of f for the columns with these indexes with commas.
func (t shape) list(indexes []int, f func(i int, c field) string) string {
	list := make([]string, len(indexes))
	for n, i := range indexes {
		list[n] = f(n, t.columns[i])
	}
	return strings.Join(list, ", ")
}

// all are the indexes of all columns.
func (t shape) all() []int {
	list := make([]int, len(t.columns))
	for i := range list {
		list[i] = i
	}
	return list
}

func quotedName(_ int, c field) string { return `"` + c.name + `"` }

// keyOf returns the primary key of a row.
func (t shape) keyOf(row []any) []any {
	key := make([]any, len(t.key))
	for i, at := range t.key {
		key[i] = row[at]
	}
	return key
}

// farFuture stands for times that SQLite cannot store: the year has more than four digits.
var farFuture = time.Date(9999, 12, 31, 23, 59, 59, int(999*time.Millisecond), time.UTC)

// coarsen makes the times of a row fit into SQLite, which keeps milliseconds. Times that are part of the key stay distinct: one that would
// equal that of the row before it is a millisecond later.
func (t shape) coarsen(row, before []any) {
	for i, value := range row {
		if at, ok := value.(time.Time); ok {
			row[i] = at.Truncate(sqlitePrecision)
			if at.Year() > 9999 {
				row[i] = farFuture
			}
		}
	}
	last := len(t.key) - 1
	at, ok := row[t.key[last]].(time.Time)
	if !ok || before == nil {
		return
	}
	for _, i := range t.key[:last] {
		if !sameCell(row[i], before[i]) {
			return
		}
	}
	if earlier := before[t.key[last]].(time.Time); !at.After(earlier) {
		row[t.key[last]] = earlier.Add(sqlitePrecision)
	}
}

func sameCell(a, b any) bool {
	x, ok := a.(time.Time)
	y, both := b.(time.Time)
	if ok && both {
		return x.Equal(y)
	}
	return a == b
}
