package importer

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

const (
	siftBatch  = 512  // records that are looked up together
	claimBatch = 64   // transcripts that are claimed together
	backlogMax = 2048 // records that wait for another run or for our own work, before reading waits for them
)

// pollEvery is how often the checkpoint is asked about records that somebody else holds.
const pollEvery = 250 * time.Millisecond

// item is a record on its way through the sifter.
type item struct {
	rec   *source.Record
	again bool // it was counted before
}

// sift reads the source to its end, or until fetching ends, and starts a task for each transcript that is to be worked
// on. It returns the error that makes reading impossible.
func (im *Importer) sift(ctx context.Context) error {
	since, moves, err := im.readingStart(im.fetching)
	if err != nil {
		return im.causeOf(err)
	}
	records, failed := im.read(since)
	s := &sifter{im: im, ctx: ctx}
	for {
		batch := nextBatch(im.fetching, records)
		if err := s.sift(batch); err != nil {
			return ignoreLimit(err)
		}
		if moves {
			im.noteSifted(batch)
		}
		if len(batch) == 0 {
			break
		}
		for im.backlog.size() > 0 {
			if err := s.poll(); err != nil {
				return ignoreLimit(err)
			}
			if im.backlog.size() < backlogMax || !pauseFor(im.fetching, pollEvery) {
				break
			}
		}
	}
	if err := <-failed; err != nil && im.fetching.Err() == nil {
		return err
	}
	return s.drainBacklog()
}

// errLimit says that the run has begun as many transcripts as it was told to.
var errLimit = errors.New("the limit is reached")

func ignoreLimit(err error) error {
	if errors.Is(err, errLimit) || errors.Is(err, errStopped) {
		return nil
	}
	return err
}

// sifter decides what becomes of records, batch by batch.
type sifter struct {
	im     *Importer
	ctx    context.Context // of the work that it starts
	rows   map[string]checkpoint.Row
	claims []claim
	met    []string          // keys of settled records that ClearRejected is to leave
	asked  map[string]string // content hashes of the claims of this batch, by key
	begun  int64             // transcripts that were begun, for the limit
}

// claim is the wish to work on a record.
type claim struct {
	it  *item
	row checkpoint.Row // Claim -1: unknown so far
}

// sift decides one batch. Records that were counted before and could not be decided now stay in the backlog.
func (s *sifter) sift(batch []*item) error {
	decided, err := s.siftUntil(batch)
	if err != nil {
		for _, it := range batch[decided:] {
			if it.again {
				s.im.backlog.add(it)
			}
		}
	}
	return err
}

// siftUntil decides the items of a batch until there is an error and says how many it decided: those that are settled and
// unchanged are counted by their quick scan alone, the others decoded.
func (s *sifter) siftUntil(batch []*item) (decided int, err error) {
	if len(batch) == 0 {
		return 0, nil
	}
	s.asked, s.claims = map[string]string{}, s.claims[:0]
	if err := s.meet(batch); err != nil {
		return 0, err
	}
	for i, it := range batch {
		if err := s.decide(it); err != nil {
			return i, errors.Join(err, s.flush())
		}
		if len(s.claims) >= claimBatch {
			if err := s.flush(); err != nil {
				return i + 1, err
			}
		}
	}
	return len(batch), s.flush()
}

// meet finds out what the checkpoint knows of a batch, and decodes what is not settled.
func (s *sifter) meet(batch []*item) error {
	s.rows = nil
	if err := s.lookup(batch); err != nil {
		return err
	}
	var moved []string // keys by which records are known now that they are decoded, or which they are to replace
	for _, it := range batch {
		if it.rec.EndOfFile || s.settled(it.rec) {
			continue
		}
		key := it.rec.Key()
		if _, err := it.rec.Transcript(); err != nil && it.rec.Key() != key {
			moved = append(moved, it.rec.Key())
		} else if err == nil && it.rec.Original != "" && it.rec.Original != key {
			moved = append(moved, it.rec.Original)
		}
	}
	return s.lookupKeys(moved)
}

// lookup adds what the checkpoint knows of the items to rows.
func (s *sifter) lookup(items []*item) error {
	keys := make([]string, 0, len(items))
	for _, it := range items {
		if !it.rec.EndOfFile {
			keys = append(keys, it.rec.Key())
		}
	}
	return s.lookupKeys(keys)
}

func (s *sifter) lookupKeys(keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	rows, err := s.im.lookup(s.im.fetching, keys...)
	if err != nil {
		return s.im.stoppedOr(err)
	}
	if s.rows == nil {
		s.rows = rows
		return nil
	}
	for k, row := range rows {
		s.rows[k] = row
	}
	return nil
}

// settled says that a record was settled earlier and is the same since.
func (s *sifter) settled(rec *source.Record) bool {
	row, known := s.rows[rec.Key()]
	return known && s.im.settled(rec, &row)
}

// sameHash compares without an allocation: this is done for every record of a history.
func sameHash(recorded string, h source.Hash) bool {
	var text [2 * len(h)]byte
	hex.Encode(text[:], h[:])
	return recorded == string(text[:])
}

// decide counts a record, or puts it on the list of claims.
func (s *sifter) decide(it *item) error {
	t, rec := &s.im.tally, it.rec
	if rec.EndOfFile {
		return s.endOfFile(rec.Place.Path)
	}
	if !it.again {
		t.read.Add(1)
	}
	row, known := s.rows[rec.Key()]
	verdict := s.im.judge(rec, s.rows, func() (met, same bool) {
		if it.again || !s.im.seen.add(rec.ID) {
			return false, false
		}
		first, ours := s.asked[rec.ID]
		if !ours {
			first = row.ContentHash
		}
		return known || ours, sameHash(first, rec.Hash)
	})
	switch verdict {
	case stillOpen:
		return s.decideOpen(it, row, known)
	case isDuplicate:
		t.duplicate.Add(1)
	case otherContent:
		return s.decideRepeated(it)
	case isSkipped:
		t.skipped.Add(1)
	case isDone:
		s.im.countDone(rec, &row)
		s.touch(rec)
	case inOthersHands:
		s.im.backlog.add(it)
	case isChanged:
		t.alreadyDone.Add(1)
		t.changed.Add(1)
	case leftInDoubt:
		t.alreadyDone.Add(1)
	case notMended:
		s.im.countUnmended(rec)
	default:
		return s.claim(it, known, verdict == toReject)
	}
	return nil
}

// decideOpen counts a chat that is still open, and has it recorded if nothing is known of it, or if a run died before it
// could record that.
func (s *sifter) decideOpen(it *item, row checkpoint.Row, known bool) error {
	begun := row.Status == checkpoint.Pending && row.ClosedAt.IsZero() && !row.Held && row.ClaimedBy != s.im.id
	if _, ours := s.asked[it.rec.Key()]; ours || known && !begun {
		s.im.tally.skipped.Add(1)
		return nil
	}
	return s.claim(it, known, true)
}

// decideRepeated rejects the second closed record of an id that has other content: the first one stands.
func (s *sifter) decideRepeated(it *item) error {
	it.rec.Reject(errDuplicateID())
	if err := s.lookup([]*item{it}); err != nil {
		it.again = true // it is counted, so it is left to the backlog
		return err
	}
	row, known := s.rows[it.rec.Key()]
	switch {
	case s.settled(it.rec) && row.Status == checkpoint.Skipped:
		s.im.tally.skipped.Add(1)
		return nil
	case s.settled(it.rec):
		s.im.countDone(it.rec, &row)
		s.touch(it.rec)
		return nil
	case known && it.rec.Original != "":
		s.im.countUnmended(it.rec)
		return nil
	}
	if row.Held || row.ClaimedBy == s.im.id && known {
		s.im.backlog.add(it)
		return nil
	}
	return s.claim(it, known, true)
}

func errDuplicateID() *source.RejectError {
	return &source.RejectError{Code: source.RejectDuplicateID,
		Reason: "an earlier record of this source has the same id and other content: give every transcript an id of its own, or remove one of the two"}
}

// touch keeps the rejection of a record that is known by its place from being cleared at the end of its file.
func (s *sifter) touch(rec *source.Record) {
	if key := rec.Key(); s.rows[key].Status == checkpoint.Rejected && key == rec.Place.String() {
		s.met = append(s.met, key)
	}
}

// endOfFile forgets the rejections of earlier versions of a file, once those of this one are claimed.
func (s *sifter) endOfFile(path string) error {
	if err := s.flush(); err != nil {
		return err
	}
	return s.im.stoppedOr(s.im.patiently(s.im.fetching, "write the checkpoint", func(ctx context.Context) error {
		return s.im.cfg.Store.ClearRejected(ctx, s.im.cfg.Source, s.im.id, path)
	}))
}

// stoppedOr replaces an error that comes from the end of fetching.
func (im *Importer) stoppedOr(err error) error {
	if err != nil && im.fetching.Err() != nil {
		return errStopped
	}
	return err
}

// pauseFor waits and says whether it waited to the end.
func pauseFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
