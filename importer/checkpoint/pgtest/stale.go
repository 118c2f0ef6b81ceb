package pgtest

import (
	"os"
	"path/filepath"
	"time"
)

// dirPrefix begins the names of our folders.
const dirPrefix = "dixa-import-pgtest-"

// staleAfter is longer than any test process lives.
const staleAfter = 6 * time.Hour

// removeStale removes folders that killed test processes left, as far as that is allowed.
func removeStale(base string) {
	dirs, _ := filepath.Glob(filepath.Join(base, dirPrefix+"*"))
	for _, dir := range dirs {
		if fi, err := os.Lstat(dir); err == nil && fi.IsDir() && time.Since(fi.ModTime()) > staleAfter {
			_ = os.RemoveAll(dir)
		}
	}
}
