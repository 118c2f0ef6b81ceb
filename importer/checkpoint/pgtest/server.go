package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	startPatience = 60 * time.Second
	stopPatience  = 20 * time.Second
)

// account is the user that runs a cluster instead of root, because Postgres refuses to run as root.
type account struct{ uid, gid uint32 }

// server is a cluster: a folder, a port and, while it runs, a process.
type server struct {
	bin  string
	dir  string
	as   *account // nil: the current user
	port int

	process *os.Process
	exited  chan struct{} // closed when process has ended
}

// newServer creates a cluster and starts it.
func newServer() (_ *server, err error) {
	bin, err := findPrograms()
	if err != nil {
		return nil, err
	}
	s := &server{bin: bin}
	if os.Geteuid() == 0 {
		s.as = unprivileged()
	}
	if s.dir, err = makeDir(s.as); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(s.dir))
		}
	}()
	if err := s.initdb(); err != nil {
		return nil, err
	}
	// Another process may take the free port first.
	for range 5 {
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
		if err = s.start(); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func (s *server) url(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

func (s *server) initdb() error {
	cmd := exec.Command(filepath.Join(s.bin, "initdb"), "--pgdata", s.data(), "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--no-locale", "--no-sync")
	cmd.Dir = s.dir
	cmd.SysProcAttr = attributes(s.as)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// start starts the cluster and returns when it accepts connections.
func (s *server) start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.data(), "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=100",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=24MB", "-c", "autovacuum=off", "-c", "wal_level=minimal", "-c", "max_wal_senders=0")
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes(s.as)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	s.process = cmd.Process
	exited := make(chan struct{})
	s.exited = exited
	go func() {
		defer close(exited)
		_ = cmd.Wait() // the log says why it ended
	}()
	return s.waitReady()
}

func (s *server) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgconn.Connect(ctx, s.url("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.exited:
			return fmt.Errorf("postgres has ended:\n%s", s.logTail())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("postgres does not answer: %w\n%s", err, s.logTail()), s.stop(Immediate))
		case <-tick.C:
		}
	}
}

// stop stops the process, and kills it if that takes too long.
func (s *server) stop(mode Mode) error {
	if s.process == nil {
		return nil
	}
	sig := syscall.SIGINT
	if mode == Immediate {
		sig = syscall.SIGQUIT
	}
	if err := s.process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = s.process.Kill() // on a system without signals
	}
	select {
	case <-s.exited:
	case <-time.After(stopPatience):
		_ = s.process.Kill()
		<-s.exited
		return fmt.Errorf("postgres did not stop within %v and was killed", stopPatience)
	}
	s.process = nil
	return nil
}

// remove stops the cluster and removes its folder.
func (s *server) remove() error { return errors.Join(s.stop(Immediate), os.RemoveAll(s.dir)) }

func (s *server) data() string { return filepath.Join(s.dir, "data") }

func (s *server) logTail() []byte {
	b, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	if len(b) > 4096 {
		b = b[len(b)-4096:]
	}
	return bytes.TrimSpace(b)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// unprivileged returns the account to use instead of root: postgres, else nobody.
func unprivileged() *account {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &account{uint32(uid), uint32(gid)}
		}
	}
	return &account{65534, 65534}
}

// makeDir creates a folder that the account can access.
func makeDir(as *account) (string, error) {
	base := memoryDir()
	if base == "" {
		base = os.TempDir()
	}
	if as != nil && !reachable(base) {
		base = "/tmp"
	}
	removeStale(base)
	dir, err := os.MkdirTemp(base, fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return "", err
	}
	if as != nil {
		if err := os.Chown(dir, int(as.uid), int(as.gid)); err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}

// reachable reports whether all users may enter the folder and its parents.
func reachable(dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	for {
		if fi, err := os.Stat(dir); err != nil || fi.Mode()&1 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
		dir = filepath.Dir(dir)
	}
}
