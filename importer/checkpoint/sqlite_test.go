package checkpoint

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// childEnv is the variable that tells a child of TestOneProcessWorks which database to use.
const childEnv = "CHECKPOINT_TEST_DATABASE"

// TestOneProcessWorks kills a process that is using a file, and continues in its place.
func TestOneProcessWorks(t *testing.T) {
	if url := os.Getenv(childEnv); url != "" {
		s := setup(t, url)
		run := s.start(t)
		put(t, s, run, "a", Sending, 0)
		fmt.Println("run", run)
		select {}
	}
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "checkpoint.db")
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOneProcessWorks$")
	child.Env = append(os.Environ(), childEnv+"="+url)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var dead int64
	for lines := bufio.NewScanner(out); dead == 0 && lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "run %d", &dead)
	}
	if dead == 0 {
		t.Fatal("the child did not start a run")
	}
	s := open(t, url)
	_, err = s.StartRun(t.Context(), bot, "run")
	if busy, ok := errors.AsType[*BusyError](err); !ok || "sqlite:"+busy.Path != url {
		t.Errorf("a second process: %v", err)
	}
	runs, err := s.Runs(t.Context(), "", 10)
	if err != nil || len(runs) != 1 || !runs[0].Alive {
		t.Errorf("another process meanwhile sees %+v, %v", runs, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()

	f := setup(t, url)
	run := f.start(t) // at once, without waiting for the lease
	if got := f.row(t, "a"); got.Status != Sending || got.ClaimedBy != dead || got.Held {
		t.Errorf("left by the dead process: %+v", got)
	}
	equal(t, "claim of the dead process's transcript", f.claim(t, run, "a", 1), int64(2))
	if err := f.FinishRun(t.Context(), run, "complete", Beat{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StartRun(t.Context(), bot, "run"); err != nil {
		t.Errorf("after the run has finished: %v", err)
	}
}

func TestMigrateRefusesBusyDatabase(t *testing.T) {
	t.Parallel()
	s := setup(t, "sqlite:"+filepath.Join(t.TempDir(), "checkpoint.db"))
	s.start(t)
	s.sql(t, "delete from dixa_import.goose_db_version where version_id > 0")
	if _, _, err := open(t, s.url).Migrate(t.Context()); !errors.As(err, new(*BusyError)) {
		t.Errorf("a migration while another process works: %v", err)
	}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := setup(t, "sqlite:"+filepath.Join(t.TempDir(), "checkpoint.db"))
	run := s.start(t)
	put(t, s, run, "a", Sending, 0)
	limit := func(pages int) {
		t.Helper()
		if _, err := s.database.(*sqliteStore).conn.ExecContext(t.Context(), fmt.Sprintf("pragma max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // SQLite raises this to the current size
	c := change("a", 1, GiveUp)
	c.Error = strings.Repeat("long ", 100_000)
	_, err := s.Write(t.Context(), bot, run, []Change{c})
	if !errors.Is(err, ErrDiskFull) || Retryable(err) {
		t.Fatalf("a full disk: %v", err)
	}
	equal(t, "status", s.row(t, "a").Status, Sending)
	limit(1 << 30)
	equal(t, "with room", s.do(t, run, c), []Result{{Applied: true}})
}

// TestCancelledWrite cancels a write while it waits for its turn, and during the write.
func TestCancelledWrite(t *testing.T) {
	t.Parallel()
	s := setup(t, "sqlite:"+filepath.Join(t.TempDir(), "checkpoint.db"))
	run := s.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	lite := s.database.(*sqliteStore)
	err := lite.writing(t.Context(), "test", func(sqliteTx) error {
		cancel()
		_, err := s.Claim(ctx, bot, run, []ClaimRequest{{ID: "a", Seen: -1}})
		return err
	})
	if !errors.Is(err, context.Canceled) || Retryable(err) {
		t.Errorf("cancelled while waiting: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	err = lite.writing(ctx, "test", func(tx sqliteTx) error {
		if err := sqliteSave(tx, bot, []*record{newRecord(run, ClaimRequest{ID: "a"})}); err != nil {
			return err
		}
		cancel()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while writing: %v", err)
	}
	equal(t, "after the rollback", s.row(t, "a"), Row{})
	equal(t, "next write", s.claim(t, run, "a", -1), int64(1))
}

// FuzzSQLiteTime compares quickTime with time.Parse.
func FuzzSQLiteTime(f *testing.F) {
	for _, s := range []string{"2026-11-19T08:00:00.123Z", "2024-02-29T23:59:59.999Z", "2023-02-29T00:00:00.000Z", "0001-01-01T00:00:00.000Z",
		"9999-12-31T23:59:59.999Z", "2026-11-19T08:00:60.000Z", "2026-13-01T00:00:00.000Z", "2026-00-00T24:60:00.000Z", "2026-11-19T08:00:0/.000Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quick, ok := quickTime(s)
		slow, err := time.Parse(sqliteTimeLayout, s)
		if ok && (err != nil || !quick.Equal(slow)) {
			t.Errorf("%q: %v, not %v (%v)", s, quick, slow, err)
		}
	})
}

// FuzzSQLiteRow parses invalid rows.
func FuzzSQLiteRow(f *testing.F) {
	f.Add(strings.Repeat("\x00", sqliteRowFields-1))
	f.Add("a\x00complete\x005\x00u\x001\x00\x00\x00h\x002026-11-19T08:00:00.123Z\x001\x00\x00\x00\x00\x001\x00\x00")
	f.Add("a\x00b")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseSQLiteRow(s, t0)
		if fields := strings.Count(s, "\x00") + 1; err == nil && (fields != sqliteRowFields || !strings.HasPrefix(s, r.ID+"\x00"+string(r.Status)+"\x00")) {
			t.Errorf("%q is read as %+v", s, r)
		}
	})
}
