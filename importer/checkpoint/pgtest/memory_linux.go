package pgtest

import (
	"os"
	"syscall"
)

const (
	tmpfsMagic = 0x01021994
	// memoryNeeded is more than the databases of a package's tests need: about 10 MB each, and the log.
	memoryNeeded = 4 << 30
)

// memoryDir returns a folder in memory with room for a cluster, "" if there is none. Each database has about 300 files. On a disk,
// creating and removing them takes longer than the tests themselves. If TMPDIR is set, it takes precedence.
func memoryDir() string {
	const dir = "/dev/shm"
	var fs syscall.Statfs_t
	if os.Getenv("TMPDIR") != "" || syscall.Statfs(dir, &fs) != nil || fs.Type != tmpfsMagic || fs.Bavail*uint64(fs.Bsize) < memoryNeeded || !writable(dir) {
		return ""
	}
	return dir
}

func writable(dir string) bool {
	f, err := os.CreateTemp(dir, dirPrefix+"*")
	if err != nil {
		return false
	}
	_ = f.Close()
	return os.Remove(f.Name()) == nil
}
