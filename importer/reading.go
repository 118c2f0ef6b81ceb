package importer

import (
	"context"
	"fmt"
	"time"

	"dixa-import/source"
)

// readingStart returns where reading starts, and whether what is read moves the watermark.
func (im *Importer) readingStart(ctx context.Context) (since time.Time, moves bool, err error) {
	if !im.cfg.Reader.Ordered() {
		return time.Time{}, false, nil
	}
	if im.cfg.Full {
		return time.Time{}, true, nil
	}
	err = im.patiently(ctx, "read the watermark", func(ctx context.Context) (err error) {
		since, err = im.cfg.Store.Watermark(ctx, im.cfg.Source)
		return err
	})
	if err != nil {
		return since, false, err
	}
	if !since.IsZero() {
		since = since.Add(-im.cfg.Overlap)
	}
	if !im.cfg.Since.IsZero() {
		return im.cfg.Since, !im.cfg.Since.After(since), nil
	}
	return since, true, nil
}

// read reads the source in a goroutine of its own. The error arrives after the records.
func (im *Importer) read(since time.Time) (<-chan *source.Record, <-chan error) {
	records, failed := make(chan *source.Record, siftBatch), make(chan error, 1)
	go func() {
		defer close(records)
		for rec, err := range im.cfg.Reader.Read(im.fetching, since) {
			if err != nil {
				failed <- fmt.Errorf("read the source: %w", err)
				return
			}
			select {
			case records <- rec:
			case <-im.fetching.Done():
				failed <- nil
				return
			}
		}
		failed <- nil
	}()
	return records, failed
}

// nextBatch waits for a record and takes what else is there. An empty batch is the end.
func nextBatch(ctx context.Context, records <-chan *source.Record) []*item {
	var batch []*item
	select {
	case rec, ok := <-records:
		if !ok || ctx.Err() != nil {
			return nil
		}
		batch = append(make([]*item, 0, siftBatch), &item{rec: rec})
	case <-ctx.Done():
		return nil
	}
	for len(batch) < siftBatch {
		select {
		case rec, ok := <-records:
			if !ok {
				return batch
			}
			batch = append(batch, &item{rec: rec})
		default:
			return batch
		}
	}
	return batch
}

func (im *Importer) noteSifted(batch []*item) {
	for i := len(batch) - 1; i >= 0; i-- {
		if at := batch[i].rec.ClosedAt; !at.IsZero() {
			im.upTo.Store(&at)
			return
		}
	}
}
