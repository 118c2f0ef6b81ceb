package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// copyable is what a copy needs of a database.
type copyable interface {
	// hold keeps other processes from working with the database until it is closed, where one process at a time may.
	hold() error
	// shapes describes the tables.
	shapes(ctx context.Context) ([]shape, error)
	// page returns up to limit rows after a primary key, or the first ones, in the order of the key. Values have the types of their kinds.
	page(ctx context.Context, t shape, after []any, limit int) ([][]any, error)
	// insert adds rows to a table of an unfinished copy, all or none.
	insert(ctx context.Context, r CopyRecord, t shape, rows [][]any) error
	// counter selects the last number that the database gave to a row; setCounter sets it.
	counter(t shape) query
	setCounter(t shape, last int64) []statement

	// fence returns the statements that make the database refuse all writes to the tables, also those of processes that use it already and of
	// earlier versions of this program. lift returns those that end that.
	fence(tables []string, r CopyRecord) []statement
	lift(tables []string) []statement
}

// InUseError says that a run works with a checkpoint, so that it cannot be copied.
type InUseError struct {
	Run     int64 // 0: it is not known which process it is
	Command string
}

func (e *InUseError) Error() string {
	if e.Run == 0 {
		return "another process is writing to the checkpoint: stop all that use it, then copy again"
	}
	return fmt.Sprintf("run %d (%s) is working with the checkpoint: stop it, or wait until it ends. If it was killed, it counts as working for another %v", e.Run, e.Command, Lease)
}

// NotEmptyError says that a checkpoint cannot be copied to a database, because that has a checkpoint already.
type NotEmptyError struct{ Table string }

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("the database to copy to holds another checkpoint (the table %s has rows): name an empty database, or a new file", e.Table)
}

// CopyOptions are how Copy works.
type CopyOptions struct {
	FromName, ToName string // the databases, as they may be shown
	// Progress, if set, is called after every batch of rows: what is done, such as copied, the table, and the number of its rows so far.
	Progress func(doing, table string, rows int64)
}

// CopyResult is what a copy has done.
type CopyResult struct {
	Tables []CopiedTable
	Before int64 // rows that an earlier, unfinished attempt had copied
}

// CopiedTable is a table and the number of its rows.
type CopiedTable struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
}

var errSameDatabase = errors.New("both addresses are of the same database: name another one to copy to")

// copying is a copy in progress.
type copying struct {
	from, to *Store
	o        CopyOptions
	tables   []shape // with the kinds of both databases
	names    []string
	id       string     // "": it is a new one
	former   string     // the copy that was begun to another database, and is given up
	target   CopyRecord // of this copy, in the target
	coarse   bool       // times lose what is below a millisecond
	replaces string     // the copy by which the target was moved here, whose rows go
	result   CopyResult
}

// Copy copies the checkpoint from one database to another and compares the copy with it, row by row. From then on, only the other may
// be used; it has the same ids, so that the marks in Dixa stay valid. While the copy lasts, neither may be used: both refuse all writes. If
// the copy fails or the process is killed, a repetition goes on.
//
// The other database must be empty, or the unfinished copy, or the one from which this checkpoint was moved, whose rows are then replaced.
// The schema of the checkpoint must be current; the other database is migrated.
func Copy(ctx context.Context, from, to *Store, o CopyOptions) (CopyResult, error) {
	if o.Progress == nil {
		o.Progress = func(string, string, int64) {}
	}
	c := &copying{from: from, to: to, o: o}
	for _, step := range []func(context.Context) error{c.prepare, c.begin, c.fill, c.compare, c.finish} {
		if err := step(ctx); err != nil {
			return c.result, err
		}
	}
	return c.result, nil
}

// prepare checks both databases, and finds out whether this copy goes on. It changes nothing but the schema of an empty database.
func (c *copying) prepare(ctx context.Context) error {
	if err := c.from.CheckSchema(ctx); err != nil {
		return err
	}
	if a, ok := c.from.database.(*sqliteStore); ok {
		if b, ok := c.to.database.(*sqliteStore); ok && a.sameFile(b) {
			return errSameDatabase
		}
	}
	if err := errors.Join(c.from.hold(), c.to.hold()); err != nil {
		return err
	}
	source, err := c.from.Copying(ctx)
	if err != nil {
		return err
	}
	if source.State == CopyTo {
		return source.moved()
	}
	target, err := c.to.Copying(ctx)
	if err != nil {
		return err
	}
	switch {
	case target.State == CopyTo && target.ID == source.ID:
		c.id = source.ID
	case source.State == CopyMoved:
		return source.moved()
	default:
		c.former = source.ID
	}
	if err = c.to.CheckSchema(ctx); errors.Is(err, ErrSchemaMissing) {
		_, _, err = c.to.Migrate(ctx)
	}
	if err != nil {
		return fmt.Errorf("the database to copy to: %w", err)
	}
	if c.tables, err = c.from.shapes(ctx); err != nil {
		return err
	}
	other, err := c.to.shapes(ctx)
	if err == nil {
		err = sameShapes(c.tables, other)
	}
	if err != nil {
		return err
	}
	c.names = names(c.tables)
	_, fromSQLite := c.from.database.(*sqliteStore)
	_, toSQLite := c.to.database.(*sqliteStore)
	c.coarse = toSQLite && !fromSQLite
	return c.admit(ctx, target)
}

// admit returns an error unless the target may be filled.
func (c *copying) admit(ctx context.Context, target CopyRecord) error {
	if c.id != "" {
		return nil
	}
	if target.State == CopyMoved {
		mine, err := c.from.copies(ctx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(mine, func(r CopyRecord) bool { return r.ID == target.ID && r.State == copyDone }) {
			c.replaces = target.ID
			return nil
		}
	}
	if target.State != noSuchCopy {
		return fmt.Errorf("the database to copy to: %w", target.moved())
	}
	for _, t := range c.tables {
		rows, err := c.to.page(ctx, t, nil, 1)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			return &NotEmptyError{t.name}
		}
	}
	return nil
}

// begin fences both databases.
func (c *copying) begin(ctx context.Context) error {
	if c.id == "" {
		c.id = uuid.NewString()
		alive := readAlive.with(present)
		alive.row = func(row scanner) error {
			e := &InUseError{}
			return errors.Join(row.Scan(&e.Run, &e.Command), e)
		}
		record := CopyRecord{c.id, CopyFrom, c.o.ToName, time.Now()}
		err := c.mark(ctx, c.from, record, append(c.from.fence(c.names, record), dropCopy.with(c.former)), alive)
		if lockedOut(err) {
			err = &InUseError{}
		}
		if err != nil {
			return err
		}
	}
	target, err := c.to.copies(ctx)
	if err != nil {
		return err
	}
	c.target = CopyRecord{c.id, CopyTo, c.o.FromName, time.Now()}
	var statements []statement
	for _, r := range target {
		switch {
		case r.ID == c.id && r.State == CopyTo:
			c.target = r
			return nil
		case r.ID == c.id:
			return errors.Join(errSameDatabase, c.from.write(ctx, "release", append(c.from.lift(c.names), dropCopy.with(c.id))...))
		case r.ID == c.replaces:
			statements = append(c.to.lift(c.names), dropCopy.with(r.ID))
			for _, t := range c.names {
				statements = append(statements, both(`delete from dixa_import."`+t+`"`).with())
			}
		}
	}
	return c.mark(ctx, c.to, c.target, append(statements, c.to.fence(c.names, c.target)...))
}

// mark saves a record and the statements that belong to it. The transaction ends with an error if the check returns a row.
func (c *copying) mark(ctx context.Context, s *Store, r CopyRecord, statements []statement, checks ...statement) error {
	if err := s.write(ctx, "begin to copy", createCopies.with()); err != nil {
		return err
	}
	save := saveCopy.with(r.ID, string(r.State), r.Other, present)
	save.changed = func(int64) error { return nil } // the commit waits for the checks
	return s.write(ctx, "begin to copy", append(append(statements, checks...), save)...)
}

// finish makes the copy usable, after the checkpoint that it was made of is not any more.
func (c *copying) finish(ctx context.Context) error {
	record := CopyRecord{c.id, CopyMoved, c.o.ToName, time.Now()}
	if err := c.mark(ctx, c.from, record, c.from.fence(c.names, record)); err != nil {
		return err
	}
	record = CopyRecord{ID: c.id, State: copyDone, Other: c.o.FromName}
	return c.mark(ctx, c.to, record, c.to.lift(c.names))
}
