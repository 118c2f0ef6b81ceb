package checkpoint

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var sqliteWrites = []string{"insert", "update", "delete"}

const sqliteCatalog = `select t.name, c.name, lower(c.type), c.pk, c.pk > 0 and t.sql like '%integer primary key autoincrement%'
	from sqlite_master t join pragma_table_xinfo(t.name) c where t.type = 'table' and t.name not like 'sqlite\_%' escape '\' and c.hidden = 0`

// sameFile reports whether two stores have the same file.
func (s *sqliteStore) sameFile(other *sqliteStore) bool {
	a, errA := os.Stat(s.path)
	b, errB := os.Stat(other.path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// hold takes the locks of the file and keeps them until the store is closed.
func (s *sqliteStore) hold() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, lock := range s.locks {
		if err := s.acquire(lock); err != nil {
			return err
		}
		s.runs[int64(-i)] = lock // no run has these numbers
	}
	return nil
}

func (s *sqliteStore) fence(tables []string, r CopyRecord) []statement {
	list := s.lift(tables)
	text := strings.ReplaceAll(r.moved().Error(), "'", "''")
	for _, t := range tables {
		for _, doing := range sqliteWrites {
			list = append(list, statement{query: query{sqlite: fmt.Sprintf(`create trigger "moved_%s_%s" before %s on "%s" begin select raise(abort, '%s'); end`, doing, t, doing, t, text)}})
		}
	}
	return list
}

func (s *sqliteStore) lift(tables []string) (list []statement) {
	for _, t := range tables {
		for _, doing := range sqliteWrites {
			list = append(list, statement{query: query{sqlite: fmt.Sprintf(`drop trigger if exists "moved_%s_%s"`, doing, t)}})
		}
	}
	return list
}

func (s *sqliteStore) shapes(ctx context.Context) ([]shape, error) {
	var columns []described
	err := s.reading(ctx, "describe", func(tx sqliteTx) error {
		return tx.query(func(rows *sql.Rows) error {
			var c described
			err := rows.Scan(&c.table, &c.column, &c.kind, &c.key, &c.counter)
			columns = append(columns, c)
			return err
		}, sqliteCatalog)
	})
	if err != nil {
		return nil, err
	}
	return newShapes(columns)
}

func (s *sqliteStore) page(ctx context.Context, t shape, after []any, limit int) (page [][]any, err error) {
	key := t.list(t.key, quotedName)
	text := fmt.Sprintf(`select %s from "%s"`, t.list(t.all(), quotedName), t.name)
	args := make([]any, len(after))
	if after != nil {
		text += fmt.Sprintf(" where (%s) > (%s)", key, t.list(t.key, func(int, field) string { return "?" }))
		for i, value := range after {
			args[i] = sqliteCell(value)
		}
	}
	err = s.reading(ctx, "read", func(tx sqliteTx) error {
		return tx.query(func(rows *sql.Rows) error {
			row, err := scanCells(rows, t)
			page = append(page, row)
			return err
		}, text+fmt.Sprintf(" order by %s limit ?", key), append(args, limit)...)
	})
	return page, err
}

func scanCells(rows *sql.Rows, t shape) ([]any, error) {
	row := make([]any, len(t.columns))
	pointers := make([]any, len(row))
	for i := range row {
		pointers[i] = &row[i]
	}
	if err := rows.Scan(pointers...); err != nil {
		return nil, err
	}
	for i, value := range row {
		converted, err := readCell(t.columns[i].kind, value)
		if err != nil {
			return nil, fmt.Errorf("the column %s of %s: %w", t.columns[i].name, t.name, err)
		}
		row[i] = converted
	}
	return row, nil
}

// readCell converts a value of the driver. SQLite does not enforce the types of columns.
func readCell(k kind, value any) (any, error) {
	if value == nil {
		return nil, nil
	}
	switch v := value.(type) {
	case string:
		if k == kindText {
			return v, nil
		}
		if k == kindTime && len(v) > len(sqliteTimeLayout) {
			return farFuture, nil
		}
		if k == kindTime {
			return parseSQLiteTime(v)
		}
	case int64:
		switch k {
		case kindInt:
			return v, nil
		case kindBool:
			return v != 0, nil
		case kindFloat:
			return float64(v), nil
		}
	case float64:
		if k == kindFloat {
			return v, nil
		}
	}
	return nil, fmt.Errorf("a value has the type %T", value)
}

// sqliteCell converts a value to what SQLite stores.
func sqliteCell(value any) any {
	switch v := value.(type) {
	case time.Time:
		return v.UTC().Format(sqliteTimeLayout)
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	}
	return value
}

func (s *sqliteStore) insert(ctx context.Context, r CopyRecord, t shape, rows [][]any) error {
	into := query{sqlite: fmt.Sprintf(`insert into "%s" (%s) values (%s)`, t.name, t.list(t.all(), quotedName), t.list(t.all(), func(int, field) string { return "?" }))}
	table := []string{t.name}
	statements := s.lift(table)
	for _, row := range rows {
		args := make([]any, len(row))
		for j, value := range row {
			args[j] = sqliteCell(value)
		}
		statements = append(statements, into.with(args...))
	}
	return s.write(ctx, "copy into", append(statements, s.fence(table, r)...)...)
}

func (s *sqliteStore) counter(t shape) query {
	return query{sqlite: fmt.Sprintf(`select coalesce(max(seq), 0) from sqlite_sequence where name = '%s'`, t.name)}
}

func (s *sqliteStore) setCounter(t shape, last int64) []statement {
	return []statement{query{sqlite: `delete from sqlite_sequence where name = ?1`}.with(t.name),
		query{sqlite: `insert into sqlite_sequence (name, seq) select ?1, ?2 where ?2 > 0`}.with(t.name, last)}
}

// refusal returns the text of a write that the fence refused.
func refusal(err *sqlite.Error) (text string, ok bool) {
	if err.Code() != sqlite3.SQLITE_CONSTRAINT_TRIGGER {
		return "", false
	}
	text = strings.TrimPrefix(err.Error(), "constraint failed: ")
	if at := strings.LastIndex(text, " ("); at > 0 {
		text = text[:at]
	}
	return text, true
}
