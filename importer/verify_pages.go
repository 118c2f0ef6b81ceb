package importer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// verifyPage is how many transcripts are taken from the checkpoint and the source at once. Files are read once for each
// page, and two pages are in memory.
const verifyPage = 2048

var verifiable = []checkpoint.Status{checkpoint.Complete, checkpoint.Partial}

// prepare asks Dixa and the checkpoint what must be known before the first comparison.
func (v *Verifier) prepare() error {
	im := v.im
	if err := im.askFirst(v.fetching, im.askOrganisation, im.resolveAttributes); err != nil {
		return err
	}
	if err := im.checkBinding(v.fetching); err != nil {
		return err
	}
	if im.cfg.Excerpt { // how many it holds shows when it is read
		return nil
	}
	return im.patiently(v.fetching, "read the checkpoint", func(ctx context.Context) error {
		totals, err := im.cfg.Store.Totals(ctx, im.cfg.Source, 0)
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
			return im.cfg.Store.SetVerifyMark(ctx, im.cfg.Source, checkpoint.VerifyMark{})
		}
		v.mark, err = im.cfg.Store.VerifyMark(ctx, im.cfg.Source)
		v.checked.Store(v.mark.Checked)
		v.earlier.Store(v.mark.Checked)
		v.differing.Store(v.mark.Differing)
		return err
	})
}

// pages yields what is to be compared, in the order of the ids. The error arrives after the pages.
func (v *Verifier) pages() (<-chan []*comparison, <-chan error) {
	pages, failed := make(chan []*comparison), make(chan error, 1)
	go func() {
		defer close(pages)
		failed <- v.read(func(rows []checkpoint.Row) error {
			page, err := v.fetch(rows)
			if err != nil {
				return err
			}
			select {
			case pages <- page:
				return nil
			case <-v.fetching.Done():
				return errStopped
			}
		})
	}()
	return pages, failed
}

// read calls use with the rows that are to be compared, page by page.
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
	for page := range slices.Chunk(sample, verifyPage) {
		if err := use(page); err != nil {
			return err
		}
	}
	return nil
}

func (v *Verifier) eachPage(after string, use func([]checkpoint.Row) error) error {
	if v.im.cfg.Excerpt {
		return v.eachHeld(use)
	}
	for {
		var rows []checkpoint.Row
		err := v.im.patiently(v.fetching, "read the checkpoint", func(ctx context.Context) (err error) {
			rows, err = v.im.cfg.Store.Select(ctx, v.im.cfg.Source, 0, checkpoint.Filter{Statuses: verifiable, After: after, Limit: verifyPage})
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

// eachHeld calls use with the rows of the transcripts that an excerpt of the source holds.
func (v *Verifier) eachHeld(use func([]checkpoint.Row) error) error {
	met := newIDSet()
	var keys []string
	flush := func() error {
		known, err := v.im.lookup(v.fetching, keys...)
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
	for rec, err := range v.im.cfg.Reader.Read(v.fetching, time.Time{}) {
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		if rec.EndOfFile {
			continue
		}
		if _, err := rec.Transcript(); err != nil {
			v.bad.Add(1)
			continue
		}
		if met.add(rec.Key()) {
			continue
		}
		if keys = append(keys, rec.Key()); len(keys) == verifyPage {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// fetch returns the comparisons of rows, with the records that the source still holds.
func (v *Verifier) fetch(rows []checkpoint.Row) ([]*comparison, error) {
	keys, byKey := make([]string, len(rows)), make(map[string]*comparison, len(rows))
	page := make([]*comparison, len(rows))
	for i, row := range rows {
		page[i] = &comparison{row: row, done: make(chan struct{})}
		keys[i], byKey[row.ID] = row.ID, page[i]
	}
	for rec, err := range v.im.cfg.Reader.Fetch(v.fetching, keys) {
		switch {
		case errors.Is(err, source.ErrCannotReread):
			return nil, errors.New("standard input cannot be read by id: name the files themselves for a comparison")
		case err != nil:
			return nil, fmt.Errorf("read the source: %w", err)
		}
		if c := byKey[rec.Key()]; c != nil {
			c.rec = rec
		}
	}
	return page, nil
}
