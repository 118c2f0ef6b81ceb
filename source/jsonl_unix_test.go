//go:build unix

package source

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestJSONLPipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mkfifo(dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	s := openFiles(t, dir+"/pipe")
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(dir+"/pipe", []byte(chat("a")), 0o600) }()
	got, err := collect(t, dir, s.Read(t.Context(), time.Time{}))
	if diff := cmp.Diff([]string{"pipe:1 a", "pipe end"}, got); diff != "" || err != nil || s.Rereadable() {
		t.Error(diff, err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}
