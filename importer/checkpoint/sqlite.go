package checkpoint

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"dixa-import/migrations"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	sqliteReaders = 4
	// sqliteChunk is the maximum number of values in an IN list. Shorter lists are padded to one of sqliteSizes, so that a few prepared
	// statements serve all lengths.
	sqliteChunk = 512
)

var sqliteSizes = []int{1, 8, 64, sqliteChunk}

// lockSuffixes are the suffixes of the locks of runs, and of live runs.
var lockSuffixes = [2]string{".lock", ".live.lock"}

func lockFile(path string) *flock.Flock { return flock.New(path, flock.SetPermissions(0o600)) }

// sqliteStore is a Store in a SQLite file. One connection writes; other processes may read meanwhile. SQLite has no clock, so times are by
// the process's.
type sqliteStore struct {
	path string

	readDB    *sql.DB
	readStmts statements

	writeDB    *sql.DB
	conn       *sql.Conn     // the only connection of writeDB
	connLock   chan struct{} // contains a token while conn is in use
	writeStmts statements
	place      map[string]fs.FileInfo // the files of the database by suffix, from the first write on; guarded by connLock
	gone       *GoneError             // set once a file is missing or replaced; guarded by connLock

	mu     sync.Mutex
	locks  [2]*flock.Flock // by lockSuffixes: one process may have each
	closed sync.Once
	runs   map[int64]*flock.Flock // started here and not finished, and the lock that each needs

	rateMu sync.Mutex
	rates  *flock.Flock // guards the file of sqliteStore.changeRate among processes, and rateMu among goroutines
}

func openSQLite(ctx context.Context, path string, opts Options) (_ *Store, err error) {
	if err := prepareFile(path, opts.Create); err != nil {
		return nil, err
	}
	s := &sqliteStore{path: path, connLock: make(chan struct{}, 1), runs: map[int64]*flock.Flock{}, place: map[string]fs.FileInfo{},
		rates: lockFile(path + ".rate.lock")}
	for i, suffix := range lockSuffixes {
		s.locks[i] = lockFile(path + suffix)
	}
	defer func() {
		if err != nil {
			err = s.wrap("open", errors.Join(err, s.Close()))
		}
	}()
	if s.writeDB, err = sql.Open("sqlite", sqliteDSN(path, "journal_mode(wal)", "synchronous(full)")); err != nil {
		return nil, err
	}
	s.writeDB.SetMaxOpenConns(1)
	if s.conn, err = s.writeDB.Conn(ctx); err != nil {
		return nil, err
	}
	if s.readDB, err = sql.Open("sqlite", sqliteDSN(path, "query_only(1)", "cache_size(-256)")); err != nil {
		return nil, err
	}
	s.readDB.SetMaxOpenConns(sqliteReaders)
	s.readDB.SetMaxIdleConns(sqliteReaders)
	s.readStmts.prepare = s.readDB.PrepareContext
	s.writeStmts.prepare = s.conn.PrepareContext
	return &Store{s}, nil
}

// prepareFile makes sure that the file exists. It will contain customers' identifiers, so only the owner gets access to a new one. SQLite
// gives its other files the same permissions.
func prepareFile(path string, create bool) error {
	fi, err := os.Stat(path)
	switch {
	case err == nil && fi.IsDir():
		return fmt.Errorf("the SQLite database %s is a folder: name a file in it", path)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("open the SQLite database: %w", err)
	case !create:
		return fmt.Errorf("there is no SQLite database %s: the first `dixa-import run` creates it; if one exists already, correct the path", path)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("create the SQLite database %s: its folder does not exist", path)
	}
	if err != nil {
		return fmt.Errorf("create the SQLite database: %w", err)
	}
	return f.Close()
}

func sqliteDSN(path string, pragmas ...string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // the path begins with a drive letter
	}
	query := url.Values{"mode": {"rw"}, "_busy_timeout": {"5000"}, "_pragma": pragmas}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query.Encode()}).String()
}

// Close moves the write-ahead log into the database, closes it and releases the lock. Only the first call has an effect.
func (s *sqliteStore) Close() (err error) {
	s.closed.Do(func() { err = s.wrap("close", s.close()) })
	return err
}

func (s *sqliteStore) close() error {
	var errs []error
	if s.readDB != nil {
		s.readStmts.close()
		errs = append(errs, s.readDB.Close())
	}
	if s.conn != nil {
		s.connLock <- struct{}{}
		s.writeStmts.close()
		if len(s.place) > 0 && s.gone == nil {
			errs = append(errs, s.checkPlace())
		}
		// A reader in another process may keep a part of the log in use; that is not an error.
		_, _ = s.conn.ExecContext(context.Background(), sqliteEmptyLog)
		errs = append(errs, s.conn.Close())
		<-s.connLock
	}
	if s.writeDB != nil {
		errs = append(errs, s.writeDB.Close())
	}
	return errors.Join(append(errs, s.locks[0].Close(), s.locks[1].Close(), s.rates.Close())...)
}

// sqliteEmptyLog moves the write-ahead log into the database, except for what a reader still needs.
const sqliteEmptyLog = "pragma wal_checkpoint(truncate)"

const sqliteSchemaVersion = `select coalesce(max(version_id), 0) from goose_db_version where is_applied`

// schemaVersion returns the version of the schema, 0 if there is none.
func (s *sqliteStore) schemaVersion(ctx context.Context) (have, want int64, err error) {
	if want, err = migrations.Latest(migrations.SQLite()); err != nil {
		return 0, 0, err
	}
	var there bool
	err = s.readDB.QueryRowContext(ctx, `select exists (select 1 from sqlite_master where type = 'table' and name = 'goose_db_version')`).Scan(&there)
	if err == nil && there {
		err = s.readDB.QueryRowContext(ctx, sqliteSchemaVersion).Scan(&have)
	}
	return have, want, s.wrap("read the schema version", err)
}

func (s *sqliteStore) CheckSchema(ctx context.Context) error {
	have, want, err := s.schemaVersion(ctx)
	return checkVersion(have, want, err)
}

func (s *sqliteStore) Migrate(ctx context.Context) (from, to int64, err error) {
	from, want, err := s.schemaVersion(ctx)
	if err != nil || from == want {
		return from, from, err
	}
	if from > want {
		return from, from, &SchemaError{Have: from, Want: want}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.releaseIfIdle()
	for _, lock := range s.locks { // nobody works while the schema changes
		if err := s.acquire(lock); err != nil {
			return 0, 0, err
		}
	}
	db, err := sql.Open("sqlite", sqliteDSN(s.path, "synchronous(full)"))
	if err != nil {
		return 0, 0, s.wrap("migrate", err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, migrations.SQLite(), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return 0, 0, s.wrap("migrate", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return 0, 0, s.wrap("migrate", err)
	}
	return from, want, nil
}

// checkVersion compares the version of a schema with the one that this program needs.
func checkVersion(have, want int64, err error) error {
	switch {
	case err != nil:
		return err
	case have == 0:
		return ErrSchemaMissing
	case have != want:
		return &SchemaError{Have: have, Want: want}
	}
	return nil
}

// acquire takes a lock that lets one process work at a time. The system releases it when the process dies. The caller holds s.mu.
func (s *sqliteStore) acquire(lock *flock.Flock) error {
	if lock.Locked() {
		return nil
	}
	ok, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock the SQLite database: %w", err)
	}
	if !ok {
		return &BusyError{Path: s.path}
	}
	return nil
}

// releaseIfIdle releases the locks that no run needs. The caller holds s.mu.
func (s *sqliteStore) releaseIfIdle() {
	for _, lock := range s.locks {
		if !slices.Contains(slices.Collect(maps.Values(s.runs)), lock) {
			_ = lock.Unlock() // if this fails, Close releases it
		}
	}
}

// wrap adds to an error what was being done, and explains some SQLite errors.
func (s *sqliteStore) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		if text, refused := refusal(lite); refused {
			return &MovedError{text}
		}
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR:
			return fmt.Errorf("%s checkpoint %s: %w (%w)", doing, s.path, ErrDiskFull, err)
		case sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("%s checkpoint: %s is not a SQLite database", doing, s.path)
		}
	}
	return fmt.Errorf("%s checkpoint %s: %w", doing, s.path, err)
}

// sqliteTime returns a time in the form that the schema stores, null for the zero time.
func sqliteTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(sqliteTimeLayout)
}

const (
	sqliteTimeLayout = "2006-01-02T15:04:05.000Z"
	sqlitePrecision  = time.Millisecond
)

// parseSQLiteTime parses what sqliteTime returns; "" is the zero time.
func parseSQLiteTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, ok := quickTime(s); ok {
		return t, nil
	}
	return time.Parse(sqliteTimeLayout, s)
}

// quickTime parses common times faster than time.Parse. It returns false for anything else, valid or not.
func quickTime(s string) (time.Time, bool) {
	if len(s) != len(sqliteTimeLayout) || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[19] != '.' || s[23] != 'Z' {
		return time.Time{}, false
	}
	ok := true
	number := func(from, to int) (n int) {
		for _, c := range []byte(s[from:to]) {
			ok = ok && c >= '0' && c <= '9'
			n = 10*n + int(c-'0')
		}
		return n
	}
	year, month, day := number(0, 4), number(5, 7), number(8, 10)
	hour, minute, second, milli := number(11, 13), number(14, 16), number(17, 19), number(20, 23)
	if !ok || month < 1 || month > 12 || day < 1 || day > 28 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false // including the 29th to 31st, which depend on the month
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, milli*int(time.Millisecond), time.UTC), true
}
