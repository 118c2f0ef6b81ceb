// Package remap finds the conversations whose attributes and tags are to be set again, because the configuration now maps their transcripts to
// other values than they were given last. A retry and a plan use it.
package remap

import (
	"sync/atomic"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/importer/internal/shape"
	"dixa-import/source"
)

// Transcript is a transcript that has a conversation, and what that lacks. It may be unfinished: an earlier run, or a retry of attributes, ended
// before it set them.
type Transcript struct {
	Row     checkpoint.Row
	Record  *source.Record // of the whole chat, or of the messages that the transcript is about
	Lacking shape.Lacking
	Held    reading.Hold // of the record; the caller releases it
}

// Due reports whether there is something to do about the transcript.
func (t Transcript) Due() bool { return t.Lacking.Any() || t.Row.Status == checkpoint.Imported }

// Counts counts what was read.
type Counts struct {
	Imported atomic.Int64 // transcripts that have a conversation, without Changed
	Changed  atomic.Int64 // those whose record is not provably the one that was imported: they are left alone
	Repeated atomic.Int64 // records of a transcript that was read before
	Others   atomic.Int64 // closed records that are not imported, or that another run works on
}

// Reader reads the source for Each.
type Reader struct {
	Session *session.Session
	Memory  *reading.Memory
	Known   rules.Known
	Counts  Counts
	seen    *reading.IDSet
}

// Each reads the source from Config.Since on, and calls do with the transcripts of each batch. do releases their
// reservations.
func (r *Reader) Each(do func([]Transcript) error) error {
	s := r.Session
	r.seen = reading.NewIDSet()
	since := time.Time{}
	if s.Reader.Ordered() {
		since = s.Since
	}
	records, failed := reading.Records(s, r.Memory, since)
	for {
		batch, ended := reading.Batch(s.Starting, records)
		if len(batch) > 0 {
			found, err := r.decide(batch)
			if err == nil {
				err = do(found)
			}
			if err != nil {
				return err
			}
		}
		if ended {
			break
		}
	}
	if err := <-failed; err != nil && s.Starting.Err() == nil {
		return err
	}
	return nil
}

// decide finds the transcripts of a batch. It releases the records of which there is none.
func (r *Reader) decide(batch []reading.Item) (found []Transcript, err error) {
	records := make([]*source.Record, len(batch))
	for i, it := range batch {
		records[i] = it.Record
	}
	if err := r.Known.Load(records); err != nil {
		return nil, err
	}
	for _, it := range batch {
		of := r.transcriptsOf(it.Record)
		if len(of) == 0 {
			it.Held.Release()
			continue
		}
		of[0].Held = it.Held
		found = append(found, of...)
	}
	recorded, err := r.problems(found)
	if err != nil {
		return nil, err
	}
	s := r.Session
	for i := range found {
		t, err := found[i].Record.Transcript()
		if err != nil {
			return nil, err // transcriptsOf has decoded it
		}
		found[i].Record.Forget()
		if found[i].Row.Status == checkpoint.Imported {
			found[i].Row.SetValues = "" // what an earlier run has set last is not certain
		}
		found[i].Lacking = s.Custom.Lacking(t, shape.TagsOf(s.Tags, t.Tags), shape.SetValues(found[i].Row.SetValues), recorded[found[i].Row.ID])
	}
	return found, nil
}

// problems returns the recorded problems of the partial transcripts.
func (r *Reader) problems(found []Transcript) (recorded map[string][]checkpoint.PartialError, err error) {
	var ids []string
	for _, t := range found {
		if t.Row.Status == checkpoint.Partial {
			ids = append(ids, t.Row.ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return r.Session.PartialErrorsOf(ids)
}

// transcriptsOf returns the transcripts of a record that have a conversation: its own, and those of messages that it got later.
func (r *Reader) transcriptsOf(rec *source.Record) (found []Transcript) {
	if rec.EndOfFile {
		return nil
	}
	if t, err := rec.Transcript(); err != nil || t.ClosedAt.IsZero() || !r.Session.Since.IsZero() && t.ClosedAt.Before(r.Session.Since) {
		return nil
	}
	key := rec.Key()
	row, known := r.Known.Rows[key]
	if !known || !row.Status.HasConversation() || row.Held {
		r.Counts.Others.Add(1)
		return nil
	}
	if !rules.IsOf(rec, row) {
		r.Counts.Changed.Add(1)
		return nil
	}
	if r.seen.Add(key) {
		r.Counts.Repeated.Add(1)
		return nil
	}
	found = append(found, Transcript{Row: row, Record: rec})
	for n := 2; rec.ID != ""; n++ {
		row, known := r.Known.Rows[source.PartID(rec.ID, n)]
		if !known || !rules.IsPart(row) {
			break
		}
		if !row.Status.HasConversation() || row.Held {
			continue
		}
		if part := rules.PartOf(rec, row); part != nil && rules.IsOf(part, row) {
			found = append(found, Transcript{Row: row, Record: part})
		}
	}
	r.Counts.Imported.Add(int64(len(found)))
	return found
}
