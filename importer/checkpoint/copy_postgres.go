package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// refusedState is the SQLSTATE of a write that the fence refused.
const refusedState = "DX001"

const (
	// postgresPass opens the fence for the transaction that copies.
	postgresPass    = `select set_config('dixa_import.copy', $1, true)`
	postgresRefuser = `create or replace function dixa_import.moved() returns trigger language plpgsql as $body$
		begin
			if current_setting('dixa_import.copy', true) is distinct from tg_argv[0] then
				raise exception using errcode = '` + refusedState + `', message = tg_argv[1];
			end if;
			return null;
		end $body$`
	// postgresFenceWait is how long the fence waits for transactions that write.
	postgresFenceWait = `set local lock_timeout = '10s'`
	postgresCatalog   = `select c.relname, a.attname, format_type(a.atttypid, -1), coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0), a.attidentity <> '',
			i.indrelid is null or l.collname is null or l.collname = 'C'
		from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
			left join pg_index i on i.indrelid = c.oid and i.indisprimary and a.attnum = any(i.indkey::int2[]) left join pg_collation l on l.oid = a.attcollation
		where c.relnamespace = 'dixa_import'::regnamespace and c.relkind in ('r', 'p')`
)

func (s *postgresStore) hold() error { return nil }

func (s *postgresStore) fence(tables []string, r CopyRecord) []statement {
	list := []statement{{query: query{postgres: postgresFenceWait}}, {query: query{postgres: postgresRefuser}}}
	text := strings.ReplaceAll(r.moved().Error(), "'", "''")
	for _, t := range tables {
		list = append(list, statement{query: query{postgres: fmt.Sprintf(`drop trigger if exists moved on dixa_import."%s"`, t)}},
			statement{query: query{postgres: fmt.Sprintf(`create trigger moved before insert or update or delete or truncate on dixa_import."%s"
				for each statement execute function dixa_import.moved('%s', '%s')`, t, r.ID, text)}})
	}
	return list
}

func (s *postgresStore) lift(tables []string) []statement {
	list := []statement{{query: query{postgres: postgresFenceWait}}}
	for _, t := range tables {
		list = append(list, statement{query: query{postgres: fmt.Sprintf(`drop trigger if exists moved on dixa_import."%s"`, t)}})
	}
	return append(list, statement{query: query{postgres: `drop function if exists dixa_import.moved()`}})
}

func (s *postgresStore) shapes(ctx context.Context) ([]shape, error) {
	var columns []described
	err := s.query(ctx, "describe", func(rows pgx.Rows) error {
		var c described
		sorted := false
		if err := rows.Scan(&c.table, &c.column, &c.kind, &c.key, &c.counter, &sorted); err != nil {
			return err
		}
		if !sorted {
			return fmt.Errorf("the column %s of the primary key of %s has not the collation C, so both databases have other orders", c.column, c.table)
		}
		columns = append(columns, c)
		return nil
	}, postgresCatalog)
	if err != nil {
		return nil, err
	}
	return newShapes(columns)
}

func (s *postgresStore) page(ctx context.Context, t shape, after []any, limit int) (page [][]any, err error) {
	selected := t.list(t.all(), func(_ int, c field) string {
		if c.kind == kindTime { // as text it would depend on the server's DateStyle
			return `(extract(epoch from "` + c.name + `") * 1000000)::bigint`
		}
		return `"` + c.name + `"`
	})
	key := t.list(t.key, quotedName)
	sql := fmt.Sprintf(`select %s from dixa_import."%s"`, selected, t.name)
	args := make([]any, len(after))
	if after != nil {
		sql += fmt.Sprintf(" where (%s) > (%s)", key, t.list(t.key, func(n int, c field) string {
			switch c.kind {
			case kindTime:
				return fmt.Sprintf("'epoch'::timestamptz + $%d::bigint * interval '1 microsecond'", n+1)
			case kindInt:
				return fmt.Sprintf("$%d::bigint", n+1)
			}
			return fmt.Sprintf("$%d::text", n+1)
		}))
		for i, value := range after {
			if at, ok := value.(time.Time); ok {
				value = at.UnixMicro()
			}
			args[i] = value
		}
	}
	err = s.query(ctx, "read", func(rows pgx.Rows) error {
		row, err := rows.Values()
		if err != nil {
			return err
		}
		for i, value := range row {
			if row[i], err = postgresCell(t.columns[i].kind, value); err != nil {
				return fmt.Errorf("the column %s of %s: %w", t.columns[i].name, t.name, err)
			}
		}
		page = append(page, row)
		return nil
	}, sql+fmt.Sprintf(" order by %s limit %d", key, limit), args...)
	return page, err
}

// postgresCell converts a value of the driver.
func postgresCell(k kind, value any) (any, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case int64:
		if k == kindTime {
			return time.UnixMicro(v).UTC(), nil
		}
		return v, nil
	case int32:
		return int64(v), nil
	case int16:
		return int64(v), nil
	case string, bool, float64:
		return v, nil
	}
	return nil, fmt.Errorf("a value of the type %T cannot be copied", value)
}

func (s *postgresStore) insert(ctx context.Context, r CopyRecord, t shape, rows [][]any) error {
	return s.call(ctx, "copy into", func(ctx context.Context) error {
		tx, err := s.pool.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
		if _, err := tx.Exec(ctx, postgresSettings); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, postgresPass, r.ID); err != nil {
			return err
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"dixa_import", t.name}, t.columnNames(), pgx.CopyFromRows(rows)); err != nil {
			return err
		}
		return tx.Commit(ctx)
	})
}

func (s *postgresStore) counter(t shape) query {
	return query{postgres: fmt.Sprintf(`select coalesce(pg_sequence_last_value(pg_get_serial_sequence('dixa_import."%s"', '%s')), 0)`, t.name, t.counter)}
}

func (s *postgresStore) setCounter(t shape, last int64) []statement {
	if last == 0 {
		return nil
	}
	set := query{postgres: fmt.Sprintf(`select setval(pg_get_serial_sequence('dixa_import."%s"', '%s'), $1::bigint)`, t.name, t.counter)}.with(last)
	set.row = func(scanner) error { return nil }
	return []statement{set}
}

// lockedOut reports whether the fence could not be put up because of a transaction that writes.
func lockedOut(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "55P03" || pg.Code == "40P01")
}
