// Package pgtest gives tests empty Postgres databases on a throwaway cluster.
//
// A package that uses it needs this TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
//
// Each test process has one cluster. It starts when the first test asks for a database, and is stopped and removed
// when the tests have ended. fsync is off, so data survives a crash of Postgres but not of the machine. The cluster accepts
// connections without a password on the loopback interface.
//
// If the machine has no Postgres, the package downloads one, unless the user is root. If that fails, the tests are skipped, or fail
// if DIXA_IMPORT_REQUIRE_POSTGRES is 1.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// errNoPrograms says that the machine has no Postgres.
var errNoPrograms = errors.New("no Postgres programs (initdb, postgres) in pg_config --bindir, PATH or the usual folders")

// shared is the cluster that the tests of this process share.
var shared struct {
	once   sync.Once
	server *server
	err    error

	inMain    atomic.Bool
	databases atomic.Int64

	prepared   sync.Once
	prepareErr error
}

// M runs the tests of a package and then stops the shared cluster. It can be used with goleak:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.M{M: m}) }
type M struct{ *testing.M }

// Run returns the exit code of the tests.
func (m M) Run() int {
	shared.inMain.Store(true)
	code := m.M.Run()
	if shared.server == nil {
		return code
	}
	if err := shared.server.remove(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return max(code, 1)
	}
	return code
}

// Main runs the tests of a package, stops the shared cluster and returns the exit code.
func Main(m *testing.M) int { return M{m}.Run() }

// New returns the URL of a new, empty database. When the test ends, its connections are closed and it is dropped.
func New(t testing.TB) string {
	t.Helper()
	begin(t)
	return create(t, "template0")
}

const prepared = "prepared"

// NewPrepared returns the URL of a new database: a copy of one that the first call in the process created with prepare. All calls in a
// process must pass the same prepare, which must leave no connection open.
func NewPrepared(t testing.TB, prepare func(url string) error) string {
	t.Helper()
	begin(t)
	shared.prepared.Do(func() {
		if shared.prepareErr = shared.server.exec("create database " + prepared + " template template0"); shared.prepareErr == nil {
			shared.prepareErr = prepare(shared.server.url(prepared))
		}
	})
	if shared.prepareErr != nil {
		t.Fatalf("pgtest: prepare a database: %v", shared.prepareErr)
	}
	return create(t, prepared)
}

// begin starts the shared cluster.
func begin(t testing.TB) {
	t.Helper()
	if !shared.inMain.Load() {
		t.Fatal("pgtest.New needs a TestMain that calls pgtest.Main")
	}
	shared.once.Do(func() { shared.server, shared.err = newServer() })
	if shared.err != nil {
		skipOrFail(t, shared.err)
	}
}

func create(t testing.TB, template string) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", shared.databases.Add(1))
	if err := shared.server.exec("create database " + name + " template " + template); err != nil {
		t.Fatalf("pgtest: create database: %v", err)
	}
	t.Cleanup(func() {
		if err := shared.server.exec("drop database " + name + " with (force)"); err != nil {
			t.Errorf("pgtest: drop database: %v", err)
		}
	})
	return shared.server.url(name)
}

// Mode is how a cluster is stopped.
type Mode int

// The modes of pg_ctl stop.
const (
	Fast      Mode = iota // roll open transactions back and shut down cleanly
	Immediate             // as in a crash: the cluster recovers when it starts again
)

// Server is a cluster of one test, which may be stopped and started again. Its methods report failures as errors of the test, and
// may be called from any goroutine.
type Server struct {
	t testing.TB
	s *server
}

// Cluster starts a private cluster. It is stopped and removed when the test ends.
func Cluster(t testing.TB) *Server {
	t.Helper()
	s, err := newServer()
	if err != nil {
		skipOrFail(t, err)
	}
	t.Cleanup(func() {
		if err := s.remove(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return &Server{t: t, s: s}
}

// URL returns the URL of a database in the cluster. It stays the same when the cluster is restarted.
func (s *Server) URL() string { return s.s.url("postgres") }

// Stop stops the cluster and returns when it has ended.
func (s *Server) Stop(mode Mode) {
	s.t.Helper()
	if err := s.s.stop(mode); err != nil {
		s.t.Errorf("pgtest: %v", err)
	}
}

// Start starts a stopped cluster and returns when it accepts connections.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.s.start(); err != nil {
		s.t.Errorf("pgtest: %v", err)
	}
}

// Restart stops the cluster and starts it again.
func (s *Server) Restart(mode Mode) {
	s.t.Helper()
	s.Stop(mode)
	s.Start()
}

func skipOrFail(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errNoPrograms) && os.Getenv("DIXA_IMPORT_REQUIRE_POSTGRES") != "1" {
		t.Skipf("SKIPPED, NOT TESTED ON POSTGRES: %v", err)
	}
	t.Fatalf("pgtest: %v", err)
}

// exec runs a statement in the maintenance database.
func (s *server) exec(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	return err
}
