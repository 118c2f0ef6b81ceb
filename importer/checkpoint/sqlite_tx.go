package checkpoint

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// statements caches prepared statements by their text.
type statements struct {
	prepare func(ctx context.Context, query string) (*sql.Stmt, error)

	mu sync.Mutex
	m  map[string]*sql.Stmt
}

func (s *statements) get(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt, ok := s.m[query]; ok {
		return stmt, nil
	}
	stmt, err := s.prepare(ctx, query) //nolint:sqlclosecheck // cached; close closes it
	if err != nil {
		return nil, err
	}
	if s.m == nil {
		s.m = map[string]*sql.Stmt{}
	}
	s.m[query] = stmt
	return stmt, nil
}

func (s *statements) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stmt := range s.m {
		_ = stmt.Close()
	}
	s.m = nil
}

// sqliteTx runs prepared statements, in a transaction if it writes.
type sqliteTx struct {
	ctx   context.Context
	stmts *statements
	now   time.Time // the current time for all statements in it
}

func (tx sqliteTx) exec(query string, args ...any) (changed int64, err error) {
	if err := tx.ctx.Err(); err != nil {
		return 0, err
	}
	stmt, err := tx.stmts.get(tx.ctx, query) //nolint:sqlclosecheck // cached
	if err != nil {
		return 0, err
	}
	// Statements are short. Watching a context would cost more than a small one takes.
	res, err := stmt.ExecContext(context.WithoutCancel(tx.ctx), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// query calls scan for each row.
func (tx sqliteTx) query(scan func(*sql.Rows) error, query string, args ...any) error {
	stmt, err := tx.stmts.get(tx.ctx, query) //nolint:sqlclosecheck // cached
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(tx.ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// queryIn runs a query with a list of values, "(in)" in its text, once for each sqliteChunk values of the list. args come before the list.
func queryIn[T any](tx sqliteTx, scan func(*sql.Rows) error, query string, list []T, args ...any) error {
	for len(list) > 0 {
		n := min(len(list), sqliteChunk)
		if err := tx.query(scan, inList(query, n), appendFilled(args, list[:n])...); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

func inList(query string, n int) string {
	return strings.Replace(query, "(in)", "(?"+strings.Repeat(",?", listSize(n)-1)+")", 1)
}

func listSize(n int) int {
	for _, size := range sqliteSizes {
		if n <= size {
			return size
		}
	}
	return n
}

// appendFilled appends the list to the arguments and pads it with its last value to the size of the list in the statement.
func appendFilled[T any](args []any, list []T) []any {
	size := listSize(len(list))
	all := make([]any, 0, len(args)+size)
	all = append(all, args...)
	for i := range size {
		all = append(all, list[min(i, len(list)-1)])
	}
	return all
}

// reading runs f with a read-only connection.
func (s *sqliteStore) reading(ctx context.Context, doing string, f func(tx sqliteTx) error) error {
	return s.wrap(doing, interrupted(ctx, f(sqliteTx{ctx, &s.readStmts, time.Now()})))
}

// interrupted adds the context's error as the cause if SQLite says only that it was interrupted.
func interrupted(ctx context.Context, err error) error {
	if cause := ctx.Err(); err != nil && cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// writing runs f in a transaction, which is durable when writing returns. If a file of the database is no longer in place, the transaction
// is lost and the error is a *GoneError.
func (s *sqliteStore) writing(ctx context.Context, doing string, f func(tx sqliteTx) error) error {
	select {
	case s.connLock <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.connLock }()
	err := s.transact(ctx, doing, f)
	if gone := s.checkPlace(); gone != nil {
		return gone
	}
	return err
}

// transact is writing for a caller that holds connLock.
func (s *sqliteStore) transact(ctx context.Context, doing string, f func(tx sqliteTx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// If the context interrupted a begin, commit or rollback, its outcome would be unknown.
	uncancelled := sqliteTx{ctx: context.WithoutCancel(ctx), stmts: &s.writeStmts}
	tx := sqliteTx{ctx, &s.writeStmts, time.Now()}
	if _, err := uncancelled.exec("begin immediate"); err != nil {
		return s.wrap(doing, interrupted(ctx, err))
	}
	err := interrupted(ctx, f(tx))
	if err == nil {
		_, err = uncancelled.exec("commit")
	}
	if err == nil {
		return nil
	}
	if _, rollbackErr := uncancelled.exec("rollback"); rollbackErr != nil && !strings.Contains(rollbackErr.Error(), "no transaction is active") {
		err = errors.Join(err, rollbackErr)
	}
	return s.wrap(doing, err)
}
