package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"dixa-import/migrations"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

const (
	// postgresPatience is how long one call may take before the database counts as unavailable. Without it, a network that drops
	// packets would block a call for 15 minutes.
	postgresPatience = 30 * time.Second
	connectPatience  = 10 * time.Second
	rollbackPatience = 5 * time.Second

	// postgresRaces is how often a transaction that lost a race with another process is attempted.
	postgresRaces = 5
)

// postgresStore is a Store in Postgres. Any number of processes may use it at once, also through a pooler in transaction
// mode: it has no session state.
type postgresStore struct {
	pool     *pgxpool.Pool
	patience time.Duration
}

// quotedValue matches the parts of a URL that pgx quotes in its errors.
var quotedValue = regexp.MustCompile(`"[^"]*"`)

func openPostgres(ctx context.Context, databaseURL string) (*Store, error) {
	if _, err := url.Parse(databaseURL); err != nil {
		// The error quotes the URL with its password.
		return nil, errors.New("the Postgres URL cannot be read: characters such as @ / : # % in user or password must be percent-encoded")
	}
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause // without the URL
		}
		return nil, fmt.Errorf("read the parameters of the Postgres URL: %s", quotedValue.ReplaceAllString(err.Error(), `"..."`))
	}
	// Prepared statements would be lost when a pooler gives the next transaction another session.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectPatience
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, wrapPostgres("open", err)
	}
	s := &postgresStore{pool: pool, patience: postgresPatience}
	if err := s.call(ctx, "open", pool.Ping); err != nil {
		pool.Close()
		return nil, err
	}
	return &Store{s}, nil
}

func (s *postgresStore) Close() error {
	s.pool.Close()
	return nil
}

// call runs f with the time limit of a call, and wraps its error.
func (s *postgresStore) call(ctx context.Context, doing string, f func(ctx context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	err := f(limited)
	if Lost(err) && limited.Err() == nil {
		// If a server, a pooler or a firewall has closed an idle connection, it has probably closed the other idle ones too.
		s.pool.Reset()
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == idleTooLong { // f had no effect
			err = f(limited)
		}
	}
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return wrapPostgres(doing, err)
}

// query calls scan for each row.
func (s *postgresStore) query(ctx context.Context, doing string, scan func(pgx.Rows) error, sql string, args ...any) error {
	return s.call(ctx, doing, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		return eachRow(scan)(rows)
	})
}

// eachRow turns a function for one row into the function for all rows that pgx.Batch needs.
func eachRow(scan func(pgx.Rows) error) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		defer rows.Close()
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	}
}

// These settings end with the transaction, so they are not session state.
const (
	// postgresSettings makes commits wait until they are on disk, whatever the server's default is. The timeout frees rows that a process
	// locked before it was suspended or disconnected.
	postgresSettings = `select set_config('synchronous_commit', 'on', true), set_config('idle_in_transaction_session_timeout', '30s', true)`
	// postgresUnbounded is for the transaction that holds the lock while another connection migrates.
	postgresUnbounded = `set local idle_in_transaction_session_timeout = 0`
)

// writing runs a transaction. Each step queues statements, which are sent in a round trip of their own, so a step can use the results that
// the callbacks of earlier steps received. A step that queues nothing has no round trip. The commit is sent with the last step.
func (s *postgresStore) writing(ctx context.Context, doing string, steps ...func(b *pgx.Batch) error) error {
	return s.call(ctx, doing, func(ctx context.Context) error {
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		err = inTransaction(ctx, conn.Conn(), steps)
		if err != nil && !conn.Conn().IsClosed() && conn.Conn().PgConn().TxStatus() != 'I' {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackPatience)
			defer cancel()
			// If this fails, Release closes the connection.
			_, _ = conn.Exec(ctx, "rollback")
		}
		return err
	})
}

func inTransaction(ctx context.Context, conn *pgx.Conn, steps []func(b *pgx.Batch) error) error {
	b := &pgx.Batch{}
	b.Queue("begin")
	b.Queue(postgresSettings)
	for i, step := range steps {
		before := b.Len()
		if err := step(b); err != nil {
			return err
		}
		if i == len(steps)-1 {
			b.Queue("commit")
		}
		if b.Len() == before {
			continue
		}
		if err := conn.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		b = &pgx.Batch{}
	}
	return nil
}

// retryRaces repeats a transaction that lost a race.
func retryRaces(f func() error) (err error) {
	for range postgresRaces {
		err = f()
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || !raced(pg) {
			return err
		}
	}
	return err
}

// raced reports whether a transaction failed because another one took a unique key first, or because of a deadlock.
func raced(err *pgconn.PgError) bool { return err.Code == "23505" || err.Code == "40P01" }

// wrapPostgres adds to an error what was being done. The result never contains a value from a row.
func wrapPostgres(doing string, err error) error {
	if err == nil {
		return nil
	}
	if connect, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return fmt.Errorf("%s checkpoint: connect to Postgres at %s, database %q: %w", doing, connect.Config.Host,
			connect.Config.Database, oneLine{connect.Unwrap()})
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case pg.Code == refusedState:
			return &MovedError{pg.Message}
		case strings.HasPrefix(pg.Code, "22"): // its message quotes the value
			return fmt.Errorf("%s checkpoint: Postgres refused a value (SQLSTATE %s)", doing, pg.Code)
		case pg.Code == "42P01" || pg.Code == "3F000": // undefined_table, invalid_schema_name
			return fmt.Errorf("%s checkpoint: %w", doing, ErrSchemaMissing)
		}
	}
	return fmt.Errorf("%s checkpoint: %w", doing, err)
}

// oneLine puts an error of pgx on one line. pgx writes a line for each address that it tried, with and without TLS.
type oneLine struct{ error }

func (e oneLine) Error() string {
	lines := strings.Split(e.error.Error(), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(slices.Compact(lines), "; ")
}

func (e oneLine) Unwrap() error { return e.error }

const (
	postgresHasSchema    = `select to_regnamespace('dixa_import') is not null`
	postgresCreateSchema = `create schema dixa_import`
	postgresHasVersion   = `select to_regclass('dixa_import.goose_db_version') is not null`
	postgresVersion      = `select coalesce(max(version_id), 0) from dixa_import.goose_db_version where is_applied`
	// postgresMigrating takes the lock that lets one process migrate at a time. The lock lasts as long as its transaction, so it
	// works through a pooler.
	postgresMigrating = `select pg_advisory_xact_lock(7238136413950871)`
)

// rowQuerier is a pool or a transaction.
type rowQuerier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// schemaVersion returns the version of the schema, 0 if there is none.
func (s *postgresStore) schemaVersion(ctx context.Context, q rowQuerier) (have, want int64, err error) {
	if want, err = migrations.Latest(migrations.Postgres()); err != nil {
		return 0, 0, err
	}
	err = s.call(ctx, "read the schema version of", func(ctx context.Context) error {
		var there bool
		if err := q.QueryRow(ctx, postgresHasVersion).Scan(&there); err != nil || !there {
			return err
		}
		return q.QueryRow(ctx, postgresVersion).Scan(&have)
	})
	return have, want, err
}

func (s *postgresStore) CheckSchema(ctx context.Context) error {
	have, want, err := s.schemaVersion(ctx, s.pool)
	return checkVersion(have, want, err)
}

func (s *postgresStore) Migrate(ctx context.Context) (from, to int64, err error) {
	lock, err := s.pool.Begin(ctx)
	if err != nil {
		return 0, 0, wrapPostgres("migrate", err)
	}
	defer func() { _ = lock.Rollback(context.WithoutCancel(ctx)) }()
	for _, sql := range []string{postgresUnbounded, postgresMigrating} {
		if _, err := lock.Exec(ctx, sql); err != nil {
			return 0, 0, wrapPostgres("migrate", err)
		}
	}
	from, want, err := s.schemaVersion(ctx, lock)
	switch {
	case err != nil:
		return 0, 0, err
	case from > want:
		return from, from, &SchemaError{Have: from, Want: want}
	case from == want:
		return from, from, nil
	}
	if err := s.migrate(ctx); err != nil {
		return 0, 0, wrapPostgres("migrate", err)
	}
	return from, want, nil
}

// migrate runs goose, on connections of its own, while the caller holds the lock.
func (s *postgresStore) migrate(ctx context.Context) error {
	db := stdlib.OpenDB(*s.pool.Config().ConnConfig)
	defer func() { _ = db.Close() }()
	var there bool
	// A user of an existing schema may not be allowed to create one.
	if err := db.QueryRowContext(ctx, postgresHasSchema).Scan(&there); err != nil {
		return err
	}
	if !there {
		if _, err := db.ExecContext(ctx, postgresCreateSchema); err != nil {
			return err
		}
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Postgres(),
		goose.WithTableName("dixa_import.goose_db_version"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// runEnded does nothing: the store keeps nothing for a run.
func (s *postgresStore) runEnded(int64) {}

// erase does nothing: the server decides when deleted rows leave the disk.
func (s *postgresStore) erase(context.Context) error { return nil }
