package importer

import (
	"cmp"
	"context"
	"errors"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

const (
	claimBatch = 64   // transcripts claimed together
	backlogMax = 2048 // records in the backlog at which reading pauses
)

// pollEvery is how often records in the backlog are tried again.
const pollEvery = 250 * time.Millisecond

// item is a record in the triage.
type item struct {
	rec     *source.Record
	held    reading.Hold
	counted bool  // it is already counted
	kept    bool  // it is in the backlog, or waits for its claim
	done    int64 // see reading.Item
}

// readSource reads the source to its end, or until reading stops, and starts a task for each transcript that needs one. It returns an error
// if the source cannot be read.
func (im *Importer) readSource(ctx context.Context) error {
	since, moves, err := reading.Start(im.s.Starting, im.s, im.pipeline.checkpointBehind.Load())
	if err != nil {
		return im.s.CauseOf(err)
	}
	records, failed := reading.Records(im.s, im.pipeline.memory, since)
	batches := reading.Batches(im.s, records)
	s := newTriage(ctx, im)
	for ended := false; !ended; {
		var wake <-chan time.Time
		if im.pipeline.backlog.size() > 0 { // its records may hold all the memory that the next record needs
			wake = time.After(pollEvery)
		}
		var read []reading.Item
		select {
		case read, ended = <-batches:
			ended = !ended || im.s.Starting.Err() != nil
		case <-wake:
		case <-im.s.Starting.Done():
			ended = true
		}
		items := make([]item, len(read))
		batch := make([]*item, len(read))
		for i, it := range read {
			items[i] = item{rec: it.Record, held: it.Held, done: it.Done}
			batch[i] = &items[i]
		}
		if err := s.decideBatch(batch); err != nil {
			return ignoreLimit(err)
		}
		if moves {
			im.noteProgress(batch)
		}
		for !ended && im.pipeline.backlog.size() > 0 {
			if err := s.decideBacklog(); err != nil {
				return ignoreLimit(err)
			}
			if im.pipeline.backlog.size() < backlogMax || !session.Pause(im.s.Starting, pollEvery) {
				break
			}
		}
	}
	if err := <-failed; err != nil && im.s.Starting.Err() == nil {
		return err
	}
	return s.drainBacklog()
}

// errLimit means that the run has started as many transcripts as Config.Limit allows.
var errLimit = errors.New("the limit is reached")

func ignoreLimit(err error) error {
	if errors.Is(err, errLimit) || errors.Is(err, session.ErrStopped) {
		return nil
	}
	return err
}

// triage decides what to do with records, batch by batch.
type triage struct {
	im        *Importer
	ctx       context.Context // for the tasks that it starts
	known     rules.Known     // rows of the records in the batch
	claims    []pendingClaim
	touched   []string               // keys of settled records that ClearRejected must keep
	requested map[string]string      // content hashes of the batch's claims, by key
	parts     map[string]source.Hash // content hashes of the grown records whose new messages the run has claimed, by id
	started   int64                  // transcripts started, for the limit
	// waiting holds, by id, the content hash of the first closed record if it is in the backlog: the row of the id may be that of an open
	// or empty one.
	waiting map[string]source.Hash
}

func newTriage(ctx context.Context, im *Importer) *triage {
	return &triage{im: im, ctx: ctx, known: im.pipeline.known()}
}

// pendingClaim is a record that will be claimed.
type pendingClaim struct {
	it   *item
	rec  *source.Record // that of the item, or a part of it
	sent string         // of a part
	row  checkpoint.Row // Claim -1: not in the checkpoint
}

// decideBatch decides one batch. After an error, records that were counted before go back to the backlog.
func (s *triage) decideBatch(batch []*item) error {
	decided, err := s.decideUntil(batch)
	if err != nil {
		for _, it := range batch[decided:] {
			if it.counted {
				s.im.pipeline.backlog.add(it)
			} else if !it.kept {
				it.held.Release()
			}
		}
	}
	return err
}

// decideUntil decides the items of a batch until an error occurs, and returns how many it decided. Settled, unchanged records are counted
// without decoding them.
func (s *triage) decideUntil(batch []*item) (decided int, err error) {
	if len(batch) == 0 {
		return 0, nil
	}
	s.requested, s.claims = map[string]string{}, s.claims[:0]
	if err := s.lookUp(batch); err != nil {
		return 0, err
	}
	for i, it := range batch {
		it.kept = false
		if err := s.decide(it); err != nil {
			return i, errors.Join(err, s.flush())
		}
		if !it.kept {
			it.held.Release()
		}
		if len(s.claims) >= claimBatch {
			if err := s.flush(); err != nil {
				return i + 1, err
			}
		}
	}
	return len(batch), s.flush()
}

// lookUp looks up the records of a batch in the checkpoint, except for those that are done.
func (s *triage) lookUp(batch []*item) error {
	var records []*source.Record
	for _, it := range batch {
		if _, waits := s.waiting[it.rec.ID]; waits {
			it.done = 0
		}
		if it.done == 0 {
			records = append(records, it.rec)
		}
	}
	return s.known.Load(records)
}

// decide counts a record, or adds it to the claims.
func (s *triage) decide(it *item) error {
	t, rec := s.im.tally, it.rec
	if rec.EndOfFile {
		return s.endOfFile(rec.Place.Path)
	}
	if !it.counted {
		t.read.Add(1)
	}
	switch {
	case it.done != 0 && s.im.seen.AddDone(rec.ID, it.done):
		t.duplicate.Add(1)
		return nil
	case it.done != 0:
		t.alreadyDone.Add(1)
		return nil
	}
	if it.counted && s.waiting[rec.ID] == rec.Hash {
		delete(s.waiting, rec.ID)
	}
	row, known := s.known.Rows[rec.Key()]
	verdict := s.known.Policy.Judge(rec, s.known.Rows, func() (repeated, same bool) {
		if s.im.s.Live || it.counted || !s.im.seen.Add(rec.ID, row.ConversationID) { // a live transcript may come again
			return false, false
		}
		if first, ok := s.waiting[rec.ID]; ok {
			return true, first == rec.Hash
		}
		first, ours := s.requested[rec.ID]
		if !ours {
			first = row.ContentHash
		}
		part, grown := s.parts[rec.ID]
		return known || ours, rules.SameHash(first, rec.Hash) || grown && part == rec.Hash
	})
	switch verdict {
	case rules.StillOpen:
		return s.decideOpen(it, row, known)
	case rules.IsDuplicate:
		t.duplicate.Add(1)
	case rules.IDConflict:
		return s.decideRepeated(it, rules.WhyConflict(rec, row))
	case rules.IsEmpty:
		return s.decideEmpty(it)
	case rules.IsSkipped:
		t.addSkip(cmp.Or(row.ErrorCode, s.known.Rows[rec.Original.Key].ErrorCode))
	case rules.IsDone:
		s.im.countDone(rec, &row)
		s.touch(rec)
	case rules.IsClaimed:
		s.postpone(it)
	case rules.IsChanged:
		return s.decideChanged(it)
	case rules.LeftInDoubt:
		t.alreadyDone.Add(1)
	case rules.NotCorrected:
		s.im.countUncorrected(rec)
	default:
		return s.addClaim(pendingClaim{it: it, rec: rec}, verdict == rules.ToReject)
	}
	return nil
}

// decideChanged decides about a record that was imported earlier and has changed since: new messages are a transcript of their own.
func (s *triage) decideChanged(it *item) error {
	t := s.im.tally
	verdict, part, from, conflict := s.known.Policy.JudgeChanged(it.rec, s.known.Rows)
	var row checkpoint.Row
	if part != nil {
		row = s.known.Rows[part.ID]
	}
	switch verdict {
	case rules.IDConflict:
		return s.decideRepeated(it, conflict)
	case rules.IsSkipped:
		t.addSkip(row.ErrorCode)
	case rules.IsDone:
		s.im.countDone(part, &row)
	case rules.IsClaimed:
		s.postpone(it)
	case rules.LeftInDoubt:
		t.alreadyDone.Add(1)
	case rules.ToImport:
		if s.parts == nil {
			s.parts = map[string]source.Hash{}
		}
		s.parts[it.rec.ID] = it.rec.Hash
		return s.addClaim(pendingClaim{it: it, rec: part, sent: from}, false)
	default:
		t.alreadyDone.Add(1)
		t.changed.Add(1)
		if part != nil {
			t.noteGrown(it.rec.ID)
		}
	}
	return nil
}

// postpone puts a record into the backlog.
func (s *triage) postpone(it *item) {
	s.im.pipeline.backlog.add(it)
	id := it.rec.ID
	if _, other := s.waiting[id]; other || id == "" || !s.im.seen.Has(id, 0) {
		return
	}
	if s.waiting == nil {
		s.waiting = map[string]source.Hash{}
	}
	s.waiting[id] = it.rec.Hash
}

// decideOpen counts a chat that is still open. The checkpoint records it if it has no row yet, or if a run died before it could record it.
func (s *triage) decideOpen(it *item, row checkpoint.Row, known bool) error {
	begun := row.Status == checkpoint.Pending && row.ClosedAt.IsZero() && !row.Held && row.ClaimedBy != s.im.s.RunID
	if _, ours := s.requested[it.rec.Key()]; ours || known && !begun {
		s.im.tally.addSkip(rules.CodeOpen)
		return nil
	}
	return s.addClaim(pendingClaim{it: it, rec: it.rec}, true)
}

// decideEmpty claims an empty chat so that it is recorded, unless this run has read a chat with the same id that is not empty: that one
// counts.
func (s *triage) decideEmpty(it *item) error {
	if _, ours := s.requested[it.rec.Key()]; ours || s.im.seen.Has(it.rec.ID, s.known.Rows[it.rec.ID].ConversationID) {
		s.im.tally.addSkip(rules.CodeEmpty)
		return nil
	}
	return s.addClaim(pendingClaim{it: it, rec: it.rec}, true)
}

// decideRepeated rejects a closed record whose id is that of other content, which counts.
func (s *triage) decideRepeated(it *item, why *source.RejectError) error {
	it.rec.Reject(why)
	if err := s.known.Look(it.rec); err != nil {
		it.counted = true // it is counted, so an error returns it to the backlog
		return err
	}
	row, known := s.known.Rows[it.rec.Key()]
	switch s.known.Policy.JudgeRepeated(it.rec, row, known) {
	case rules.IsSkipped:
		s.im.tally.addSkip(row.ErrorCode)
	case rules.IsDone:
		s.im.countDone(it.rec, &row)
		s.touch(it.rec)
	case rules.NotCorrected:
		s.im.countUncorrected(it.rec)
	case rules.IsClaimed:
		s.im.pipeline.backlog.add(it)
	default:
		return s.addClaim(pendingClaim{it: it, rec: it.rec}, true)
	}
	return nil
}

// touch keeps the rejection of a record that is identified by its place from being cleared at the end of its file.
func (s *triage) touch(rec *source.Record) {
	if key := rec.Key(); s.known.Rows[key].Status == checkpoint.Rejected && rec.KnownByPlace() {
		s.touched = append(s.touched, key)
	}
}

// endOfFile clears the rejections of earlier versions of a file, once those of this version are claimed.
func (s *triage) endOfFile(path string) error {
	if err := s.flush(); err != nil {
		return err
	}
	return s.im.s.StoppedOr(s.im.s.Patiently(s.im.s.Starting, "write the checkpoint", func(ctx context.Context) error {
		return s.im.s.Store.ClearRejected(ctx, s.im.s.Source, s.im.s.RunID, path)
	}))
}

// noteProgress records the time up to which all closed records are decided.
func (im *Importer) noteProgress(batch []*item) {
	for i := len(batch) - 1; i >= 0; i-- {
		if at := batch[i].rec.ClosedAt; !at.IsZero() {
			im.upTo.Store(&at)
			return
		}
	}
}
