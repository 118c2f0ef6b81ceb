package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// GoneError says that a SQLite file was deleted, moved or replaced while it was open. The system would let the process continue to write to
// a file that no other process can find.
type GoneError struct {
	Path string // of the database
	File string // the missing file: the database, its write-ahead log, the log's index, or the lock
	// Replaced says that another file is in its place.
	Replaced bool
}

func (e *GoneError) Error() string {
	how := "was deleted or moved"
	if e.Replaced {
		how = "was replaced by another file"
	}
	what := "the checkpoint database " + e.Path
	if e.File != e.Path {
		what = fmt.Sprintf("%s, which belongs to the checkpoint database %s,", e.File, e.Path)
	}
	return what + " " + how + " while this run was using it: further results would be lost. Put the database back if it was moved, and run again; " +
		"if it is lost, run with --reconcile, which looks in Dixa before every send"
}

// placeSuffixes are the suffixes of the files of a database that must stay in place during a run.
var placeSuffixes = append([]string{"", "-wal", "-shm"}, lockSuffixes[:]...)

// checkPlace returns a *GoneError if a file of the database is no longer where it was when it was first seen. The caller holds connLock.
func (s *sqliteStore) checkPlace() error {
	if s.gone != nil {
		return s.gone
	}
	for _, suffix := range placeSuffixes {
		if i := slices.Index(lockSuffixes[:], suffix); i >= 0 && !s.locks[i].Locked() { // then this process does not need it
			delete(s.place, suffix)
			continue
		}
		now, err := os.Stat(s.path + suffix)
		was, seen := s.place[suffix]
		absent := errors.Is(err, fs.ErrNotExist)
		switch {
		case absent && (seen || suffix == "") || err == nil && seen && !os.SameFile(was, now):
			s.gone = &GoneError{Path: s.path, File: s.path + suffix, Replaced: !absent}
			return s.gone
		case err == nil && !seen: // not all of them exist everywhere: without shared memory, for example, there is no log
			s.place[suffix] = now
		}
	}
	return nil
}
