package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// GoneError says that a SQLite file is not where it was opened any more, or is another one. The system lets a process go on
// writing into a file that nobody else will find.
type GoneError struct {
	Path string // of the database
	File string // the file that is concerned: the database, its write-ahead log, its index or its lock
	// Replaced says that another file is in its place now.
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
	return what + " " + how + " while this run used it: what the run records would be lost with it. Put the database back if it was moved, and run again; " +
		"if it is lost, run with --reconcile, which looks in Dixa before every send"
}

// placeSuffixes name the files of a database that must stay in their places while a run works.
var placeSuffixes = []string{"", "-wal", "-shm", ".lock"}

// checkPlace returns a *GoneError if a file of the database is not where it was when it was first met. The turn is held.
func (s *sqliteStore) checkPlace() error {
	if s.gone != nil {
		return s.gone
	}
	for _, suffix := range placeSuffixes {
		if suffix == ".lock" && !s.lock.Locked() { // then it is nobody's
			delete(s.place, suffix)
			continue
		}
		now, err := os.Stat(s.path + suffix)
		was, met := s.place[suffix]
		absent := errors.Is(err, fs.ErrNotExist)
		switch {
		case absent && (met || suffix == "") || err == nil && met && !os.SameFile(was, now):
			s.gone = &GoneError{Path: s.path, File: s.path + suffix, Replaced: !absent}
			return s.gone
		case err == nil && !met: // on file systems that cannot share memory there is no log, for example
			s.place[suffix] = now
		}
	}
	return nil
}
