package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// moveAway moves the files of a database with these suffixes to another name.
func moveAway(t *testing.T, path string, suffixes ...string) {
	t.Helper()
	for _, suffix := range suffixes {
		if err := os.Rename(path+suffix, path+".away"+suffix); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMissingFileEndsWrites deletes, moves or replaces files of a database that is in use.
func TestMissingFileEndsWrites(t *testing.T) {
	t.Parallel()
	remove := func(suffixes ...string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			t.Helper()
			for _, suffix := range suffixes {
				if err := os.Remove(path + suffix); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, tt := range map[string]struct {
		do       func(*testing.T, string)
		file     string // suffix
		replaced bool
		kept     string // suffix of the file that has all data in the end, "-" if none has
	}{
		"deleted":           {do: remove(""), kept: "-"},
		"deleted with all":  {do: remove("", "-wal", "-shm", ".lock"), kept: "-"},
		"the log deleted":   {do: remove("-wal"), file: "-wal"},
		"the index deleted": {do: remove("-shm"), file: "-shm"},
		"the lock deleted":  {do: remove(".lock"), file: ".lock"},
		"moved":             {do: func(t *testing.T, path string) { moveAway(t, path, "") }, kept: ".away"},
		"moved with all":    {do: func(t *testing.T, path string) { moveAway(t, path, "", "-wal", "-shm") }, kept: ".away"},
		"replaced": {do: func(t *testing.T, path string) {
			moveAway(t, path, "")
			if err := os.WriteFile(path, []byte("another file"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, replaced: true, kept: ".away"},
		"its folder moved": {do: func(t *testing.T, path string) {
			if err := os.Rename(filepath.Dir(path), filepath.Dir(path)+".away"); err != nil {
				t.Fatal(err)
			}
		}, kept: "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "bot", "checkpoint.db")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			s := setup(t, "sqlite:"+path)
			run := s.start(t)
			put(t, s, run, "a", Sending, 0)
			if err := s.RenewRun(t.Context(), run, Beat{}); err != nil {
				t.Fatalf("with all files in place: %v", err)
			}
			tt.do(t, path)
			for doing, err := range map[string]error{
				"a beat":        s.RenewRun(t.Context(), run, Beat{}),
				"a reservation": s.SaveEndUsers(t.Context(), "org", []EndUser{{ID: "u", Identifiers: []Identifier{{Kind: Email, Value: "a@example.org"}}}}),
				"the end":       s.FinishRun(t.Context(), run, "ok", Beat{}),
			} {
				gone, ok := errors.AsType[*GoneError](err)
				if !ok || gone.Path != path || gone.File != path+tt.file || gone.Replaced != tt.replaced || Retryable(err) {
					t.Errorf("%s: %v", doing, err)
				} else if text := gone.Error(); !strings.Contains(text, path) || !strings.Contains(text, "--reconcile") {
					t.Errorf("%s says %q", doing, text)
				}
			}
			_ = s.Close()
			if tt.kept == "-" {
				return
			}
			kept := open(t, "sqlite:"+path+tt.kept)
			rows, err := kept.Lookup(t.Context(), bot, 0, []string{"a"})
			if err != nil || rows["a"].Status != Sending {
				t.Errorf("%s has %+v, %v", path+tt.kept, rows, err)
			}
		})
	}
}

// TestCloseSparesReplacement: closing a moved database must not damage the log of the database in its place.
func TestCloseSparesReplacement(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "checkpoint.db")
	first := setup(t, "sqlite:"+path)
	run := first.start(t)
	put(t, first, run, "a", Sending, 0)
	moveAway(t, path, "", "-wal", "-shm", ".lock")
	second := setup(t, "sqlite:"+path)
	other := second.start(t)
	put(t, second, other, "b", Sending, 0)
	if _, ok := errors.AsType[*GoneError](first.RenewRun(t.Context(), run, Beat{})); !ok {
		t.Error("the first store does not notice")
	}
	_ = first.Close()
	put(t, second, other, "c", Sending, 0)
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, "sqlite:"+path)
	rows, err := again.Lookup(t.Context(), bot, 0, []string{"a", "b", "c"})
	if err != nil || len(rows) != 2 || rows["b"].Status != Sending || rows["c"].Status != Sending {
		t.Errorf("the second database has %+v, %v", rows, err)
	}
}
