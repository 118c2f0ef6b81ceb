package source

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// PostgresConfig describes which rows are read.
type PostgresConfig struct {
	// URL of the database: postgres://user:password@host:5432/database?sslmode=require, or keywords and values.
	URL string
	// Query is a select with one row a transcript. Columns by name: id, closed_at and messages; created_at,
	// end_user_external_id, end_user_email, end_user_phone, end_user_name and attributes may be missing.
	Query string
	// PageSize is the largest number of rows in a page; 0: 500.
	PageSize int
	// PageBytes ends a page after the row that reaches it; 0: 8 MiB.
	PageBytes int
	// TimeZone is the zone of times without one, including columns of type timestamp; nil: UTC.
	TimeZone *time.Location
	// Patience is how long a read is retried while the database is unavailable; 0: 5m.
	Patience time.Duration
	Now      func() time.Time // the clock by which times are in the future; nil: time.Now
	Logger   *slog.Logger     // gets a warning for each retry; nil: no logging
}

func (c PostgresConfig) withDefaults() PostgresConfig {
	c.PageSize = cmp.Or(c.PageSize, 500)
	c.PageBytes = cmp.Or(c.PageBytes, 8<<20)
	c.TimeZone = cmp.Or(c.TimeZone, time.UTC)
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
	id         idType
	settings   string   // what begins each transaction, beside those that the connection has
	unknown    []string // columns that are not read, sorted
	idle       chan *pgconn.PgConn
	done       atomic.Int64
	total      atomic.Int64
}

// OpenPostgres connects and checks the query without reading a row. The error names every column that is missing or has the wrong type, and
// what to do. It never contains the connection's password. Close the reader when it is no longer needed.
func OpenPostgres(ctx context.Context, config PostgresConfig) (*Postgres, error) {
	s, err := newPostgres(config)
	if err != nil {
		return nil, err
	}
	if err := s.describe(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// newPostgres is OpenPostgres without a look at the database.
func newPostgres(config PostgresConfig) (*Postgres, error) {
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
	// A timestamp without a zone compares with @since as the time that it is, and the text of a row, and so its hash, does not depend
	// on the time zone of the server. Both are settings that poolers carry over.
	s.connection.RuntimeParams["timezone"] = s.config.TimeZone.String()
	s.connection.RuntimeParams["client_encoding"] = "UTF8"
	if names, ok := s.connection.RuntimeParams["search_path"]; ok { // which poolers refuse as a setting of the connection
		delete(s.connection.RuntimeParams, "search_path")
		s.settings = "set local search_path = " + names + ";"
	}
	// A peer that has vanished would otherwise never be noticed: this way it is, after a minute.
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3}}
	s.connection.DialFunc = dialer.DialContext
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

// Inspect names the columns of the query that are not read, and warns of a query that is slow to read page by page.
func (s *Postgres) Inspect(ctx context.Context) []Finding {
	var found []Finding
	if len(s.unknown) > 0 {
		found = append(found, Finding{Subject: "columns", Text: "not known and ignored: " + strings.Join(s.unknown, ", ")})
	}
	switch warning, err := s.planWarning(ctx); {
	case err != nil:
		return append(found, Finding{Subject: "query", Text: "its plan could not be read: " + err.Error()})
	case warning != "":
		return append(found, Finding{Subject: "query", Text: warning})
	}
	return append(found, Finding{Subject: "query", OK: true, Text: "every page is read by an index"})
}

// Rereadable is true: a query can be run again.
func (s *Postgres) Rereadable() bool { return true }

// ResolvePlace implements Reader: rows stand in no file.
func (s *Postgres) ResolvePlace(string) string { return "" }

// Ordered is true: rows are read in the order of closed_at and id.
func (s *Postgres) Ordered() bool { return true }

// Progress returns how many rows the latest Read has yielded. Total is 0 unless the database could count the rows within a few seconds.
func (s *Postgres) Progress() Progress {
	return Progress{Done: s.done.Load(), Total: s.total.Load(), Unit: "rows"}
}

// wrap returns a statement that selects columns from the query as the subquery t. In rest, {key} and {id} stand for the statement's own
// parameters, whose values are args. If the query mentions @since, its value is added.
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

// rows runs one statement in a read-only transaction of its own, and returns all rows as text; settings hold for the transaction.
func (s *Postgres) rows(ctx context.Context, settings, sql string, args ...arg) (rows [][][]byte, err error) {
	err = s.each(ctx, settings, sql, args, nil, func(values [][]byte) bool {
		rows = append(rows, copyRow(values))
		return true
	})
	return rows, err
}

// each does the same but passes one row after the other to take; a row is valid until take returns. formats says which columns are in
// binary form. If take returns false, the statement ends early and the connection is closed, because the server has sent more already.
func (s *Postgres) each(ctx context.Context, settings, sql string, args []arg, formats []int16, take func(values [][]byte) bool) (err error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	stopped := false
	defer func() {
		if stopped {
			hangUp(conn)
			return
		}
		s.release(conn, err)
	}()
	if _, err := conn.Exec(ctx, "begin transaction read only;"+s.settings+settings).ReadAll(); err != nil {
		return err
	}
	result := run(ctx, conn, sql, args, formats)
	for result.NextRow() {
		if stopped = !take(result.Values()); stopped {
			return nil
		}
	}
	if _, err := result.Close(); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "commit").ReadAll()
	return err
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
