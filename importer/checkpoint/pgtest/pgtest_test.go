package pgtest_test

import (
	"bufio"
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"dixa-import/importer/checkpoint/pgtest"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

const childEnv = "PGTEST_CHILD"

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.M{M: m}) }

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestDatabasesAreSeparate(t *testing.T) {
	t.Parallel()
	a, b := connect(t, pgtest.New(t)), connect(t, pgtest.New(t))
	for _, conn := range []*pgx.Conn{a, b} {
		if _, err := conn.Exec(t.Context(), "create table x ()"); err != nil {
			t.Error(err)
		}
	}
}

func TestRestartKeepsData(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short")
	}
	t.Parallel()
	cluster := pgtest.Cluster(t)
	for name, mode := range map[string]pgtest.Mode{"fast": pgtest.Fast, "immediate": pgtest.Immediate} {
		t.Run(name, func(t *testing.T) {
			if _, err := connect(t, cluster.URL()).Exec(t.Context(), "drop table if exists x; create table x (); checkpoint", pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Fatal(err)
			}
			cluster.Stop(mode)
			if _, err := pgx.Connect(t.Context(), cluster.URL()); err == nil {
				t.Error("a stopped cluster answers")
			}
			cluster.Start()
			if _, err := connect(t, cluster.URL()).Exec(t.Context(), "select from x"); err != nil {
				t.Error(err)
			}
			cluster.Restart(mode)
			connect(t, cluster.URL())
		})
	}
}

// TestKilledProcessLeavesNoServer runs the child below, kills it and waits until its cluster no longer listens.
func TestKilledProcessLeavesNoServer(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		_, _ = os.Stdout.WriteString("url " + pgtest.New(t) + "\n")
		select {}
	}
	if testing.Short() {
		t.Skip("with -short")
	}
	t.Parallel()
	pgtest.New(t) // skips the test if there is no Postgres
	if !endsWithParent {
		t.Skip("this system does not end the children of a killed process")
	}
	dir, err := os.MkdirTemp("/tmp", "pgtest-killed-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledProcessLeavesNoServer$")
	cmd.Env = append(os.Environ(), childEnv+"=1", "TMPDIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := ""
	for lines := bufio.NewScanner(out); address == "" && lines.Scan(); {
		if s, ok := strings.CutPrefix(lines.Text(), "url "); ok {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			address = u.Host
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if address == "" {
		t.Fatal("the child printed no database URL")
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the cluster outlives the process that started it")
		}
	}
}
