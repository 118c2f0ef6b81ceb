package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// pageSize is how many transcripts are read from the checkpoint at once. Files are read once for each page.
const pageSize = 2048

var verifiable = []checkpoint.Status{checkpoint.Complete, checkpoint.Partial}

// prepare reads from Dixa and the checkpoint what the comparison needs before it starts.
func (v *Verifier) prepare() error {
	s := v.s
	questions := []func(context.Context) error{s.AskOrganisation, s.ResolveAttributes}
	if v.opts.DoublesOnly {
		questions = questions[:1]
	}
	if err := s.Ask(v.s.Starting, questions...); err != nil {
		return err
	}
	if err := s.CheckBinding(v.s.Starting); err != nil {
		return err
	}
	if s.Excerpt { // the total is not known before the excerpt is read
		return nil
	}
	return s.Patiently(v.s.Starting, "read the checkpoint", func(ctx context.Context) error {
		totals, err := s.Store.Totals(ctx, s.Source, 0)
		if err != nil {
			return err
		}
		var total int64
		for _, t := range totals {
			if slices.Contains(verifiable, t.Status) {
				total += t.Count
			}
		}
		if v.opts.Sample > 0 {
			v.total.Store(min(total, int64(v.opts.Sample)))
			return nil
		}
		v.total.Store(total)
		if v.opts.Restart {
			return s.Store.SetVerifyMark(ctx, v.markKey(), checkpoint.VerifyMark{})
		}
		v.mark, err = s.Store.VerifyMark(ctx, v.markKey())
		v.checked.Store(v.mark.Checked)
		v.earlier.Store(v.mark.Checked)
		v.differing.Store(v.mark.Differing)
		return err
	})
}

// pages sends the comparisons to the workers, and pages of them, in the order of the ids, to the collector of the results. The error
// arrives after both channels are closed.
func (v *Verifier) pages() (<-chan *comparison, <-chan []*comparison, <-chan error) {
	work, order, failed := make(chan *comparison), make(chan []*comparison, 1), make(chan error, 1)
	go func() {
		err := v.read(func(rows []checkpoint.Row) error { return v.sendPage(rows, work, order) })
		close(work)
		close(order)
		failed <- err
	}()
	return work, order, failed
}

// read calls use with the rows to compare, page by page.
func (v *Verifier) read(use func([]checkpoint.Row) error) error {
	if v.opts.Sample == 0 {
		return v.eachPage(v.mark.After, use)
	}
	var sample []checkpoint.Row
	random := rand.New(rand.NewPCG(v.opts.Seed, v.opts.Seed))
	n := 0
	err := v.eachPage("", func(rows []checkpoint.Row) error {
		for _, row := range rows {
			if n++; len(sample) < v.opts.Sample {
				sample = append(sample, row)
			} else if at := random.IntN(n); at < len(sample) {
				sample[at] = row
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(sample, func(a, b checkpoint.Row) int { return strings.Compare(a.ID, b.ID) })
	for page := range slices.Chunk(sample, pageSize) {
		if err := use(page); err != nil {
			return err
		}
	}
	return nil
}

func (v *Verifier) eachPage(after string, use func([]checkpoint.Row) error) error {
	if v.s.Excerpt {
		return v.eachExcerptPage(use)
	}
	for {
		var rows []checkpoint.Row
		err := v.s.Patiently(v.s.Starting, "read the checkpoint", func(ctx context.Context) (err error) {
			rows, err = v.s.Store.Select(ctx, v.s.Source, 0, checkpoint.Filter{Statuses: verifiable, After: after, Limit: pageSize})
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].ID
		if err := use(rows); err != nil {
			return err
		}
	}
}

// eachExcerptPage calls use with the rows of the transcripts in an excerpt of the source, page by page.
func (v *Verifier) eachExcerptPage(use func([]checkpoint.Row) error) error {
	seen := reading.NewIDSet()
	var keys []string
	flush := func() error {
		known, err := v.s.Lookup(v.s.Starting, keys...)
		if err != nil {
			return err
		}
		var rows []checkpoint.Row
		for _, key := range keys {
			if row := known[key]; slices.Contains(verifiable, row.Status) {
				rows = append(rows, row)
			} else {
				v.notImported.Add(1)
			}
		}
		keys = keys[:0]
		return use(rows)
	}
	for rec, err := range v.s.Reader.Read(v.s.Starting, time.Time{}) {
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		if rec.EndOfFile {
			continue
		}
		if _, err := rec.Transcript(); err != nil {
			var why *source.RejectError
			if errors.As(err, &why) && v.policy.Empty(why) {
				v.notImported.Add(1)
			} else {
				v.bad.Add(1)
			}
			continue
		}
		if seen.Add(rec.Key()) {
			continue
		}
		if keys = append(keys, rec.Key()); len(keys) == pageSize {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// sendPage sends the comparisons of a page to the workers, each as soon as its record was read: the records of a whole page may not fit
// into memory.
func (v *Verifier) sendPage(rows []checkpoint.Row, work chan<- *comparison, order chan<- []*comparison) (err error) {
	left := make(map[string]*comparison, len(rows))
	page := make([]*comparison, len(rows))
	for i, row := range rows {
		page[i] = &comparison{row: row, done: make(chan struct{})}
		left[row.ID] = page[i]
	}
	select {
	case order <- page:
	case <-v.s.Starting.Done():
		return session.ErrStopped
	}
	defer func() {
		for _, c := range left {
			c.err = cmp.Or(err, session.ErrStopped)
			close(c.done)
		}
	}()
	begin := func(c *comparison) error {
		v.lead.begin(v.s.Starting, c)
		c.lists = (v.bulk == nil || v.bulk.lists.Has(c.row.EndUserID)) && v.doubles.needsList(c)
		select {
		case work <- c:
			delete(left, c.row.ID)
			return nil
		case <-v.s.Starting.Done():
			return session.ErrStopped
		}
	}
	if !v.opts.DoublesOnly {
		if err := v.fetch(rows, left, begin); err != nil {
			return err
		}
	}
	for _, c := range page {
		if left[c.row.ID] != nil {
			if err := begin(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetch begins the comparisons whose records the source still has.
func (v *Verifier) fetch(rows []checkpoint.Row, left map[string]*comparison, begin func(*comparison) error) error {
	for rec, err := range session.Fetch(v.s.Starting, v.s.Reader, rows) {
		switch {
		case errors.Is(err, source.ErrCannotReread):
			return errors.New("standard input cannot be read by id: name the files themselves for a comparison")
		case err != nil:
			return fmt.Errorf("read the source: %w", err)
		}
		c := left[rec.Key()]
		if c == nil {
			continue
		}
		if c.held, err = v.memory.Hold(v.s.Starting, rec.Size()); err != nil {
			return session.ErrStopped
		}
		c.rec = rec
		if err := begin(c); err != nil {
			c.held.Release()
			return err
		}
	}
	return nil
}

// lead limits how far the workers run ahead of the collector, because comparisons that are not counted when the verification stops are
// repeated. The comparison that the collector waits for may always begin, because the source determines the order of the records.
type lead struct {
	max int // comparisons begun and not collected

	mu      sync.Mutex
	changed sync.Cond // its L is mu
	ahead   int
	awaited *comparison
}

// begin waits until a comparison may begin, or until the context ends.
func (l *lead) begin(ctx context.Context, c *comparison) {
	defer context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.changed.Broadcast()
	})()
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.ahead >= l.max && (l.awaited == nil || l.awaited.begun) && ctx.Err() == nil {
		l.changed.Wait()
	}
	c.begun = true
	l.ahead++
}

// await waits for the result of a comparison.
func (l *lead) await(c *comparison) {
	l.mu.Lock()
	l.awaited = c
	l.changed.Broadcast()
	l.mu.Unlock()
	<-c.done
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ahead--
	l.changed.Broadcast()
}
