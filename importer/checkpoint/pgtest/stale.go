package pgtest

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dirPrefix is the prefix of the folders' names. The id of the process that created the folder follows.
const dirPrefix = "dixa-import-pgtest-"

// staleAfter is longer than most test processes run. Folders in memory should not stay for long.
const staleAfter = time.Hour

// removeStale removes folders that killed test processes left behind, if permissions allow that.
func removeStale(base string) {
	dirs, _ := filepath.Glob(filepath.Join(base, dirPrefix+"*"))
	for _, dir := range dirs {
		if fi, err := os.Lstat(dir); err == nil && fi.IsDir() && time.Since(fi.ModTime()) > staleAfter && !isInUse(dir) {
			_ = os.RemoveAll(dir)
		}
	}
}

// isInUse reports whether the process that created the folder may still be running.
func isInUse(dir string) bool {
	pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
	n, err := strconv.Atoi(pid)
	if err != nil {
		return false
	}
	process, err := os.FindProcess(n)
	if err != nil {
		return false
	}
	err = process.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, os.ErrPermission)
}
