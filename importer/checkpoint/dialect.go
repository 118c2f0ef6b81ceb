package checkpoint

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// query is a statement in the dialect of each database.
type query struct{ postgres, sqlite string }

// both returns a statement that is written once, for Postgres, with these macros where the dialects differ:
//
//	{in $1}           the database's current time plus a fromNow
//	{past x $1}       the time x if it is not after {in $1}, else null; null also if the year has five digits, which SQLite cannot compare
//	{at x}            selects the time x; see instant
//	{any $1}          is one of a []string
//	{indexed by name} the index that SQLite must use; Postgres chooses its own
func both(text string) query {
	q := query{text, text}
	for _, m := range macros {
		q.postgres, q.sqlite = m.pattern.ReplaceAllString(q.postgres, m.postgres), m.pattern.ReplaceAllString(q.sqlite, m.sqlite)
	}
	return q
}

// apart returns a statement that is written for each database, with the macros of both.
func apart(postgres, sqlite string) query { return query{both(postgres).postgres, both(sqlite).sqlite} }

var macros = []struct {
	pattern          *regexp.Regexp
	postgres, sqlite string
}{
	{regexp.MustCompile(`\{past (\w+) (\$\d+)\}`), `case when $1 <= {in $2} then $1 end`, `case when $1 <= {in $2} and length($1) = 24 then $1 end`},
	{regexp.MustCompile(`\{in (\$\d+)\}`), `(clock_timestamp() + $1::bigint * interval '1 microsecond')`, `$1`},
	{regexp.MustCompile(`\{at ([^{}]+)\}`), `(extract(epoch from $1) * 1000000)::bigint`, `$1`},
	{regexp.MustCompile(`\{any (\$\d+)\}`), `= any($1::text[])`, `in (select value from json_each($1))`},
	{regexp.MustCompile(`\{(indexed by \w+)\}`), ``, `$1`},
	{regexp.MustCompile(`::\w+(\[\])?`), `$0`, ``},
	{regexp.MustCompile(` collate "C"`), `$0`, ``},
	{regexp.MustCompile(`\bdixa_import\.`), `$0`, ``},
	{regexp.MustCompile(`\$(\d+)`), `$0`, `?$1`},
}

// fromNow is an argument for {in} and {past}: a time relative to the database's clock.
type fromNow time.Duration

// present is the current time by the database's clock.
const present = fromNow(0)

// instant scans a time that was selected with {at}. Null is the zero time.
type instant struct{ *time.Time }

// Scan accepts microseconds since 1970 from Postgres, and text from SQLite.
func (i instant) Scan(value any) (err error) {
	switch v := value.(type) {
	case nil:
		*i.Time = time.Time{}
	case int64:
		*i.Time = time.UnixMicro(v).UTC()
	case string:
		*i.Time, err = parseSQLiteTime(v)
	default:
		err = errors.New("a time is neither a number nor text")
	}
	return err
}

// scanner is a row of a result.
type scanner interface{ Scan(dest ...any) error }

// statement is a query with its arguments: numbers, texts, times, fromNow, []string, and pointers to them for nullable values.
type statement struct {
	query
	args    []any
	row     func(scanner) error       // called for each row of the result
	changed func(changed int64) error // called with the number of changed rows; an error aborts the transaction
	// patience is how long Postgres may take to answer; 0: postgresPatience.
	patience time.Duration
}

func (q query) with(args ...any) statement { return statement{query: q, args: args} }

func (s *postgresStore) read(ctx context.Context, doing string, st statement) error {
	store := postgresStore{pool: s.pool, patience: cmp.Or(st.patience, s.patience)}
	return store.query(ctx, doing, func(rows pgx.Rows) error { return st.row(rows) }, st.postgres, postgresArgs(st.args)...)
}

func (s *postgresStore) write(ctx context.Context, doing string, statements ...statement) error {
	steps := []func(*pgx.Batch) error{func(b *pgx.Batch) error {
		for _, st := range statements {
			queued := b.Queue(st.postgres, postgresArgs(st.args)...)
			switch {
			case st.row != nil:
				queued.Query(eachRow(func(rows pgx.Rows) error { return st.row(rows) }))
			case st.changed != nil:
				queued.Exec(func(tag pgconn.CommandTag) error { return st.changed(tag.RowsAffected()) })
			}
		}
		return nil
	}}
	for _, st := range statements {
		if st.changed != nil { // an empty step makes the commit wait for its result
			steps = append(steps, func(*pgx.Batch) error { return nil })
			break
		}
	}
	return s.writing(ctx, doing, steps...)
}

func postgresArgs(args []any) []any {
	out := make([]any, len(args))
	for i, arg := range args {
		if d, ok := arg.(fromNow); ok {
			arg = time.Duration(d).Microseconds()
		}
		out[i] = arg
	}
	return out
}

func (s *sqliteStore) read(ctx context.Context, doing string, st statement) error {
	return s.reading(ctx, doing, func(tx sqliteTx) error { return tx.run(st) })
}

func (s *sqliteStore) write(ctx context.Context, doing string, statements ...statement) error {
	return s.writing(ctx, doing, func(tx sqliteTx) error {
		for _, st := range statements {
			if err := tx.run(st); err != nil {
				return err
			}
		}
		return nil
	})
}

func (tx sqliteTx) run(st statement) error {
	args := make([]any, len(st.args))
	for i, arg := range st.args {
		switch v := arg.(type) {
		case fromNow:
			arg = sqliteTime(tx.now.Add(time.Duration(v)))
		case time.Time:
			arg = sqliteTime(v)
		case []string:
			arg = jsonList(v)
		}
		args[i] = arg
	}
	if st.row != nil {
		return tx.query(func(rows *sql.Rows) error { return st.row(rows) }, st.sqlite, args...)
	}
	n, err := tx.exec(st.sqlite, args...)
	if err == nil && st.changed != nil {
		err = st.changed(n)
	}
	return err
}
