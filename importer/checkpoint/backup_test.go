package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"dixa-import/importer/checkpoint/pgtest"
)

// TestBackupBesideARun backs up while a run writes: each backup is one moment of the checkpoint.
func TestBackupBesideARun(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := setup(t, backends["sqlite"](t))
	populate(t, s, 200)
	run := s.start(t)
	writing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wrote := make(chan struct{})
	wg.Go(func() {
		for i := 0; writing.Err() == nil; i++ {
			if _, err := s.Claim(ctx, bot, run, []ClaimRequest{{ID: fmt.Sprintf("new-%06d", i), Seen: -1, ContentHash: "h"}}); err != nil {
				t.Error(err)
				return
			}
			if i == 0 {
				close(wrote)
			}
		}
	})
	<-wrote
	other := open(t, s.url) // as another process has it
	for i := range 3 {
		path := filepath.Join(t.TempDir(), "backup.db")
		size, err := other.Backup(ctx, path)
		if err != nil || size == 0 {
			t.Fatalf("the backup has %d bytes: %v", size, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Size() != size {
			t.Errorf("the file is %v, %v", info, err)
		}
		backup := open(t, "sqlite:"+path)
		found, err := backup.Totals(ctx, bot, 0)
		var n int64
		for _, total := range found {
			n += total.Count
		}
		if err != nil || n < 68 {
			t.Errorf("backup %d has %d transcripts, %v", i, n, err)
		}
		mark, err := backup.SourceMark(ctx, bot)
		if ours, _ := s.SourceMark(ctx, bot); err != nil || mark.ID == ours.ID || mark.ID == "" {
			t.Errorf("the backup has the mark %+v, %v", mark, err)
		}
		for _, source := range []string{bot, "other"} {
			runs, err := backup.Runs(ctx, source, 1)
			if err != nil || len(runs) != 1 || runs[0].Outcome != OutcomeLost || runs[0].Command != CommandBackup {
				t.Errorf("the last run of %s in the backup is %+v, %v", source, runs, err)
			}
		}
	}
	stop()
	wg.Wait()
	if runs, err := s.Runs(ctx, bot, 1); err != nil || runs[0].Command != "run" {
		t.Errorf("the backups changed the checkpoint: %+v, %v", runs, err)
	}
}

func TestABackupReplacesNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := setup(t, backends["sqlite"](t))
	folder := t.TempDir()
	path := filepath.Join(folder, "there")
	for name, make := range map[string]func() error{
		"an empty file":   func() error { return os.WriteFile(path, nil, 0o600) },
		"a file":          func() error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"a folder":        func() error { return os.Mkdir(path, 0o700) },
		"a dangling link": func() error { return os.Symlink("nowhere", path) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Backup(ctx, path); err == nil {
			t.Errorf("%s was replaced", name)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Backup(ctx, filepath.Join(folder, "no", "folder.db")); err == nil {
		t.Error("there is a backup in a folder that does not exist")
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("files were left behind: %v, %v", left, err)
	}
	p := setup(t, pgtest.New(t))
	if _, err := p.Backup(ctx, path); !errors.Is(err, ErrNotSQLite) {
		t.Errorf("of Postgres: %v", err)
	}
}
