package source

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// PostgresConfig says which rows are read.
type PostgresConfig struct {
	// URL of the database: postgres://user:password@host:5432/database?sslmode=require, or keywords and values.
	URL string
	// Query is a select with one row a transcript. Columns by name: id, closed_at and messages; created_at,
	// end_user_external_id, end_user_email, end_user_phone, end_user_name and attributes may be missing.
	Query string
	// PageSize is how many rows are read at once; 0: 500.
	PageSize int
	// Patience is how long a read is tried again while the database is away; 0: 5m.
	Patience time.Duration
	Now      func() time.Time // the clock that tells which times are in the future; nil: time.Now
	Logger   *slog.Logger     // hears of interruptions; nil: nobody does
}

func (c PostgresConfig) withDefaults() PostgresConfig {
	c.PageSize = cmp.Or(c.PageSize, 500)
	c.Patience = cmp.Or(c.Patience, 5*time.Minute)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Postgres reads transcripts from the rows of a query. Its methods may be used by several goroutines at once.
type Postgres struct {
	config     PostgresConfig
	connection *pgconn.Config
	query      query
	columns    []column // those that are read, by name
	unknown    []string
	idle       chan *pgconn.PgConn
	done       atomic.Int64
	total      atomic.Int64
}

// OpenPostgres connects and checks the query without reading a row. The error names every column that is missing or has
// the wrong type, and the cure. It never holds the connection's password. Close the source when it is no longer needed.
func OpenPostgres(ctx context.Context, config PostgresConfig) (*Postgres, error) {
	s := &Postgres{config: config.withDefaults(), idle: make(chan *pgconn.PgConn, 2)}
	var err error
	if s.query, err = parseQuery(config.Query); err != nil {
		return nil, err
	}
	// The error is withheld: it quotes the URL, and finds the password in it only if the URL is well-formed.
	if s.connection, err = pgconn.ParseConfig(config.URL); err != nil {
		return nil, errors.New("the URL of the source database is malformed: write postgres://user:password@host:5432/database, and special characters of the password as %XX")
	}
	s.connection.ConnectTimeout = cmp.Or(s.connection.ConnectTimeout, 10*time.Second)
	// In UTC a timestamp without a zone compares with @since as the UTC that it is, and the text of a row, and so its hash,
	// does not depend on the time zone of the server. Both are settings that poolers carry over.
	s.connection.RuntimeParams["timezone"] = "UTC"
	s.connection.RuntimeParams["client_encoding"] = "UTF8"
	// A peer that has vanished is noticed after a minute instead of never.
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3}}
	s.connection.DialFunc = dialer.DialContext
	if err := s.describe(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the connections that no read is using.
func (s *Postgres) Close() {
	for {
		select {
		case conn := <-s.idle:
			hangUp(conn)
		default:
			return
		}
	}
}

// UnknownColumns names the columns of the query that are not read, sorted.
func (s *Postgres) UnknownColumns() []string { return slices.Clone(s.unknown) }

// Rereadable says that Fetch is possible.
func (s *Postgres) Rereadable() bool { return true }

// Ordered is true: rows are read in the order of closed_at and id.
func (s *Postgres) Ordered() bool { return true }

// Progress tells how many rows the last Read has yielded. Total is 0 unless the database could count them in a few
// seconds. It may be called at any time from any goroutine.
func (s *Postgres) Progress() Progress {
	return Progress{Done: s.done.Load(), Total: s.total.Load(), Unit: "rows"}
}

// wrap makes a statement of the query as the subquery t. In what follows it, {key} and {id} become the placeholders of
// the statement's own parameters; args are their values, to which that of @since is added where the query mentions it.
func (s *Postgres) wrap(columns, rest string, since time.Time, args ...arg) (string, []arg) {
	key, id := "$1", "$2"
	if s.query.usesSince() {
		key, id = "$2", "$3"
		args = append([]arg{{encodeMicros(since), true}}, args...)
	}
	rest = strings.NewReplacer("{key}", key, "{id}", id).Replace(rest)
	return "select " + columns + "\nfrom (\n" + s.query.text("($1::timestamptz)") + "\n) as t\n" + rest, args
}

// acquire returns an idle connection or a new one.
func (s *Postgres) acquire(ctx context.Context) (*pgconn.PgConn, error) {
	select {
	case conn := <-s.idle:
		return conn, nil
	default:
		return pgconn.ConnectConfig(ctx, s.connection)
	}
}

// release keeps a connection for the next read, or closes it after an error.
func (s *Postgres) release(conn *pgconn.PgConn, err error) {
	if err != nil || conn.IsClosed() {
		hangUp(conn)
		return
	}
	select {
	case s.idle <- conn:
	default:
		hangUp(conn)
	}
}

func hangUp(conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
	// After a cancelled query pgx asks the server in the background to stop it, which takes long if the server is away.
	select {
	case <-conn.CleanupDone():
	case <-ctx.Done():
	}
}

// rows runs one statement in a read-only transaction of its own. The results are text but for the columns whose
// format is binary; settings hold for the transaction.
func (s *Postgres) rows(ctx context.Context, settings, sql string, args []arg, formats []int16) (rows [][][]byte, err error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { s.release(conn, err) }()
	if _, err := conn.Exec(ctx, "begin transaction read only;"+settings).ReadAll(); err != nil {
		return nil, err
	}
	result := run(ctx, conn, sql, args, formats)
	for result.NextRow() {
		rows = append(rows, copyRow(result.Values()))
	}
	if _, err := result.Close(); err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "commit").ReadAll(); err != nil {
		return nil, err
	}
	return rows, nil
}

// run sends one statement, unnamed as poolers in transaction mode need it.
func run(ctx context.Context, conn *pgconn.PgConn, sql string, args []arg, formats []int16) *pgconn.ResultReader {
	values := make([][]byte, len(args))
	argFormats := make([]int16, len(args))
	for i, a := range args {
		values[i] = a.value
		if a.binary {
			argFormats[i] = 1
		}
	}
	return conn.ExecParams(ctx, sql, values, nil, argFormats, formats)
}

// arg is a parameter of a statement, nil for NULL.
type arg struct {
	value  []byte
	binary bool
}

// copyRow copies values out of the connection's buffer.
func copyRow(values [][]byte) [][]byte {
	size := 0
	for _, v := range values {
		size += len(v)
	}
	buf := make([]byte, 0, size)
	row := make([][]byte, len(values))
	for i, v := range values {
		if v != nil {
			start := len(buf)
			buf = append(buf, v...)
			row[i] = buf[start:len(buf):len(buf)]
		}
	}
	return row
}
