package checkpoint

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// ErrNotSQLite says that only a SQLite file can be backed up by this program.
var ErrNotSQLite = errors.New("the checkpoint is in Postgres: back it up with `pg_dump --schema dixa_import`")

// Backup writes a copy of the checkpoint to a new file, as of one moment, while runs may go on. It never replaces a file, and the backup is
// on the disk when it returns. A backup knows less than Dixa as soon as a run goes on, so the first run of a restored one is refused unless it
// looks in Dixa before every send. It returns the size of the file in bytes.
func (s *Store) Backup(ctx context.Context, path string) (size int64, err error) {
	lite, ok := s.database.(*sqliteStore)
	if !ok {
		return 0, ErrNotSQLite
	}
	if path, err = filepath.Abs(path); err != nil {
		return 0, fmt.Errorf("write the backup: %w", err)
	}
	if _, err := os.Lstat(path); err == nil {
		return 0, fmt.Errorf("there is a file %s already: name a new one for the backup", path)
	}
	behind, err := s.behind(ctx, CommandBackup)
	if err != nil {
		return 0, err
	}
	// It contains customers' identifiers, so only the owner gets access.
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return 0, fmt.Errorf("write the backup: %w", err)
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	if err := temporary.Close(); err != nil {
		return 0, err
	}
	if err := lite.vacuumInto(ctx, temporary.Name()); err != nil {
		return 0, err
	}
	if err := lite.amend(ctx, temporary.Name(), behind); err != nil {
		return 0, err
	}
	return publish(temporary.Name(), path)
}

// vacuumInto writes a consistent copy into an empty file.
func (s *sqliteStore) vacuumInto(ctx context.Context, file string) error {
	db, err := sql.Open("sqlite", sqliteDSN(s.path))
	if err != nil {
		return s.wrap("back up", err)
	}
	_, err = db.ExecContext(ctx, `vacuum into ?`, file)
	return s.wrap("back up", interrupted(ctx, errors.Join(err, db.Close())))
}

// amend runs statements in a backup, and checks that it can be read as a whole.
func (s *sqliteStore) amend(ctx context.Context, file string, changes []statement) error {
	db, err := sql.Open("sqlite", sqliteDSN(file, "journal_mode(delete)", "synchronous(full)"))
	if err != nil {
		return s.wrap("back up", err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	prepared := &statements{prepare: db.PrepareContext}
	defer prepared.close()
	tx := sqliteTx{ctx, prepared, time.Now()}
	run := func() error {
		if _, err := tx.exec("begin immediate"); err != nil {
			return err
		}
		for _, st := range changes {
			if err := tx.run(st); err != nil {
				return err
			}
		}
		if _, err := tx.exec("commit"); err != nil {
			return err
		}
		return tx.query(func(rows *sql.Rows) error {
			var found string
			if err := rows.Scan(&found); err != nil || found != "ok" {
				return errors.Join(err, fmt.Errorf("the backup is damaged (%s)", found))
			}
			return nil
		}, "pragma quick_check(1)")
	}
	return s.wrap("back up", run())
}

// publish gives a file its name, unless there is one of that name, durably.
func publish(temporary, path string) (size int64, err error) {
	f, err := os.OpenFile(temporary, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return 0, fmt.Errorf("write the backup: %w", err)
	}
	err = os.Link(temporary, path)
	if err != nil && !errors.Is(err, fs.ErrExist) { // the file system has no links: reserve the name first
		var reserved *os.File
		if reserved, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			err = errors.Join(reserved.Close(), os.Rename(temporary, path))
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return 0, fmt.Errorf("there is a file %s already: name a new one for the backup", path)
	} else if err != nil {
		return 0, fmt.Errorf("write the backup: %w", err)
	}
	if folder, err := os.Open(filepath.Dir(path)); err == nil { // some systems cannot sync a folder
		_ = folder.Sync()
		_ = folder.Close()
	}
	return info.Size(), nil
}
