package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

const (
	copyPage      = 2000    // rows that are read or written at once, at most
	copyPageBytes = 8 << 20 // and about so many bytes
)

// rows yields the rows of a table in the order of the key, as the target stores them.
func (c *copying) rows(ctx context.Context, s *Store, t shape) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		var after, before []any
		for limit := 64; ; {
			page, err := s.page(ctx, t, after, limit)
			if err != nil {
				yield(nil, err)
				return
			}
			bytes := 0
			for _, row := range page {
				after = t.keyOf(row)
				for _, value := range row {
					text, _ := value.(string)
					bytes += 16 + len(text)
				}
				if c.coarse && s == c.from {
					t.coarsen(row, before)
					before = row
				}
				if !yield(row, nil) {
					return
				}
			}
			if len(page) < limit {
				return
			}
			limit = min(copyPage, max(1, copyPageBytes*len(page)/bytes))
		}
	}
}

// fill copies what the target does not have yet: since rows are added in the order of the key, that is the rest of each table.
func (c *copying) fill(ctx context.Context) error {
	for _, t := range c.tables {
		var have int64
		count := both(`select count(*) from dixa_import."` + t.name + `"`).with()
		count.row = func(row scanner) error { return row.Scan(&have) }
		count.patience = forgetPatience
		if err := c.to.read(ctx, "count", count); err != nil {
			return err
		}
		c.result.Before += have
		if err := c.fillTable(ctx, t, have); err != nil {
			return err
		}
		if err := c.copyCounter(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (c *copying) fillTable(ctx context.Context, t shape, have int64) error {
	var batch [][]any
	var n int64
	bytes := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := c.to.insert(ctx, c.target, t, batch)
		batch, bytes = batch[:0], 0
		c.o.Progress("copied", t.name, n)
		return err
	}
	for row, err := range c.rows(ctx, c.from, t) {
		if err != nil {
			return err
		}
		if n++; n <= have {
			continue
		}
		batch = append(batch, row)
		for _, value := range row {
			text, _ := value.(string)
			bytes += len(text)
		}
		if len(batch) == copyPage || bytes > copyPageBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// copyCounter makes the target number its rows where the other database would go on.
func (c *copying) copyCounter(ctx context.Context, t shape) error {
	if t.counter == "" {
		return nil
	}
	last, err := lastNumber(ctx, c.from, t)
	if err != nil {
		return err
	}
	return c.to.write(ctx, "copy into", c.to.setCounter(t, last)...)
}

func lastNumber(ctx context.Context, s *Store, t shape) (last int64, err error) {
	read := s.counter(t).with()
	read.row = func(row scanner) error { return row.Scan(&last) }
	err = s.read(ctx, "read", read)
	return last, err
}

// compare compares all rows of both databases. It names no values: they may be a person's.
func (c *copying) compare(ctx context.Context) error {
	for _, t := range c.tables {
		n, err := c.compareTable(ctx, t)
		if err != nil {
			return err
		}
		c.result.Tables = append(c.result.Tables, CopiedTable{t.name, n})
		if t.counter == "" {
			continue
		}
		a, errA := lastNumber(ctx, c.from, t)
		b, errB := lastNumber(ctx, c.to, t)
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
		if a != b {
			return differs(t, n, "the numbers of new rows differ")
		}
	}
	return nil
}

func (c *copying) compareTable(ctx context.Context, t shape) (n int64, err error) {
	next, stop := iter.Pull2(c.rows(ctx, c.to, t))
	defer stop()
	for want, err := range c.rows(ctx, c.from, t) {
		if err != nil {
			return n, err
		}
		got, err, ok := next()
		if err != nil {
			return n, err
		}
		n++
		if !ok {
			return n, differs(t, n, "the copy does not have it")
		}
		for i := range want {
			if !sameCell(want[i], got[i]) {
				return n, differs(t, n, "the column "+t.columns[i].name+" has another value")
			}
		}
		if n%copyPage == 0 {
			c.o.Progress("compared", t.name, n)
		}
	}
	if _, err, more := next(); err != nil || more {
		return n, errors.Join(err, differs(t, n+1, "only the copy has it"))
	}
	return n, nil
}

func differs(t shape, row int64, how string) error {
	return fmt.Errorf("the copy differs in row %d of the table %s (%s): nothing was moved. Delete the copy, run `dixa-import checkpoint reclaim`, and copy again", row, t.name, how)
}
