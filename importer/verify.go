package importer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// VerifyOptions say what a Verifier compares.
type VerifyOptions struct {
	Sample  int    // so many transcripts, chosen at random; 0: all
	Seed    uint64 // chooses the sample: the same one from the same transcripts
	Restart bool   // compare all from the first one, although an earlier comparison was stopped on its way
	// Report is called for each transcript that differs, in the order of their ids, never twice at once. Default: nothing.
	Report func(Differing)
}

// Differing is a transcript whose conversation is not what was imported.
type Differing struct {
	ID             string       `json:"transcript_id"`
	ConversationID int64        `json:"conversation_id"`
	Differences    []Difference `json:"differences"`
}

// Verification is what a Verifier has found out. Earlier parts of the same comparison, before it was stopped, count in
// Checked and Differing only.
type Verification struct {
	Outcome   Outcome // OutcomeIncomplete: there are differences
	Reason    string  // why it was stopped
	Checked   int64   // transcripts that were compared
	Differing int64   // those among them that differ
	// Earlier is how many of Checked earlier parts of the comparison have looked at.
	Earlier      int64
	KnownPartial int64                    // of those that this part compared, with partial errors that the checkpoint knows
	NotHeld      int64                    // not compared, because the source does not hold the record any more
	Mended       int64                    // not compared, because what was imported is a mended version of a record that is bad
	Unknown      int64                    // not compared, because they are not imported: of those that Config.Excerpt holds
	Bad          int64                    // records that Config.Excerpt holds, and that are bad
	Kinds        map[DifferenceKind]int64 // transcripts by the kinds of their differences
	Requests     int64
	Throttled    int64
	Duration     time.Duration
}

// VerifyProgress is how far a Verifier is.
type VerifyProgress struct {
	Checked, Differing int64 // earlier parts included
	Total              int64 // to be looked at, 0 while that is not known
	Earlier            int64
	Throttled          int64
	Elapsed            time.Duration
}

// Verifier compares the transcripts that are imported with their conversations in Dixa, once. Nothing is written to
// Dixa, and nothing but its own mark to the checkpoint. With Config.Excerpt it compares those that the reader holds, and leaves
// no mark. It needs a token that may read conversations and messages.
type Verifier struct {
	im       *Importer
	opts     VerifyOptions
	fetching context.Context // ends when nothing more is to be begun
	halt     context.CancelCauseFunc
	ctx      context.Context // ends when what was begun is given up
	giveUp   context.CancelFunc
	started  time.Time

	total, checked, differing, earlier    atomic.Int64
	partial, notHeld, mended, notImported atomic.Int64
	bad                                   atomic.Int64
	kinds                                 map[DifferenceKind]int64
	mark                                  checkpoint.VerifyMark
	marked                                time.Time // when the mark was recorded last
}

// markEvery is how much of a comparison is done again at most after it was killed.
const markEvery = 5 * time.Second

// NewVerifier prepares a comparison.
func NewVerifier(cfg Config, opts VerifyOptions) (*Verifier, error) {
	im, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if opts.Sample < 0 {
		return nil, errors.New("importer: Sample is negative")
	}
	if opts.Report == nil {
		opts.Report = func(Differing) {}
	}
	v := &Verifier{im: im, opts: opts, kinds: map[DifferenceKind]int64{}}
	v.fetching, v.halt = context.WithCancelCause(context.Background())
	im.fetching = v.fetching
	return v, nil
}

// Stop ends the comparison early: nothing new begins, what is on its way is finished within Config.DrainTimeout. The next
// comparison of all goes on there.
func (v *Verifier) Stop(reason string) { v.halt(&stopError{reason}) }

// Progress tells how far the comparison is.
func (v *Verifier) Progress() VerifyProgress {
	return VerifyProgress{Checked: v.checked.Load(), Differing: v.differing.Load(), Total: v.total.Load(), Earlier: v.earlier.Load(),
		Throttled: v.im.cfg.API.Stats().Throttled, Elapsed: time.Since(v.started)}
}

// Run makes the comparison. The error says why it could not be made.
func (v *Verifier) Run(ctx context.Context) (Verification, error) {
	v.started = time.Now()
	defer v.halt(nil)
	defer context.AfterFunc(ctx, func() { v.halt(context.Cause(ctx)) })()
	v.ctx, v.giveUp = context.WithCancel(ctx)
	defer v.giveUp()
	defer context.AfterFunc(v.fetching, func() { // what is on its way has its time
		select {
		case <-time.After(v.im.cfg.DrainTimeout):
			v.giveUp()
		case <-v.ctx.Done():
		}
	})()
	err := v.compareAll()
	if cause := context.Cause(v.fetching); cause != nil {
		err = cause
	}
	stats := v.im.cfg.API.Stats()
	s := Verification{Outcome: OutcomeOK, Checked: v.checked.Load(), Differing: v.differing.Load(), Earlier: v.earlier.Load(),
		KnownPartial: v.partial.Load(), NotHeld: v.notHeld.Load(), Mended: v.mended.Load(), Unknown: v.notImported.Load(), Bad: v.bad.Load(), Kinds: v.kinds,
		Requests: stats.Requests, Throttled: stats.Throttled, Duration: time.Since(v.started)}
	var stop *stopError
	switch {
	case errors.As(err, &stop) || errors.Is(err, context.Canceled):
		s.Outcome, s.Reason = OutcomeStopped, err.Error()
	case err != nil:
		s.Outcome, s.Reason = OutcomeAborted, err.Error()
	case s.Differing > 0:
		s.Outcome = OutcomeIncomplete
	}
	if s.Outcome != OutcomeAborted {
		err = nil
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	return s, errors.Join(err, v.leaveMark(end, s.Outcome))
}

// marks says whether the comparison can go on later where it was stopped.
func (v *Verifier) marks() bool { return v.opts.Sample == 0 && !v.im.cfg.Excerpt }

// leaveMark records where the next comparison goes on, or that this one is over.
func (v *Verifier) leaveMark(ctx context.Context, how Outcome) error {
	if !v.marks() || v.mark.After == "" {
		return nil
	}
	if how == OutcomeOK || how == OutcomeIncomplete {
		v.mark = checkpoint.VerifyMark{}
	}
	if err := v.im.cfg.Store.SetVerifyMark(ctx, v.im.cfg.Source, v.mark); err != nil {
		return fmt.Errorf("record how far the comparison is: %w", err)
	}
	return nil
}

// comparison is the work on one transcript. It is done when done is closed.
type comparison struct {
	row   checkpoint.Row
	rec   *source.Record // nil: the source does not hold it
	found []Difference
	aside *atomic.Int64 // what it counts as if there was nothing to compare, nil if there was
	err   error         // it could not be made
	done  chan struct{}
}

func (v *Verifier) compareAll() error {
	if err := v.prepare(); err != nil {
		return err
	}
	pages, read := v.pages()
	// Workers compare side by side; the results are taken in the order of the ids, so that a mark means all before it.
	work, order := make(chan *comparison), make(chan *comparison, 2*v.im.cfg.Workers)
	var workers sync.WaitGroup
	for range v.im.cfg.Workers {
		workers.Go(func() {
			for c := range work {
				c.found, c.err = v.compareOne(c)
				close(c.done)
			}
		})
	}
	go func() {
		defer close(order)
		defer close(work)
		for page := range pages {
			for _, c := range page {
				select {
				case order <- c:
				case <-v.fetching.Done():
					return
				}
				select {
				case work <- c:
				case <-v.fetching.Done():
					c.err = errStopped
					close(c.done)
				}
			}
		}
	}()
	err := v.collect(order)
	if err != nil {
		v.halt(err)
	}
	workers.Wait()
	if readErr := <-read; err == nil {
		err = readErr
	}
	return err
}

// collect takes the results until one of them could not be had.
func (v *Verifier) collect(order <-chan *comparison) (err error) {
	for c := range order {
		<-c.done
		if err != nil {
			continue
		}
		if err = c.err; err == nil {
			err = v.count(c)
		}
		if err != nil { // nobody needs the others any more
			v.halt(err)
			v.giveUp()
		}
	}
	return err
}

func (v *Verifier) count(c *comparison) error {
	switch {
	case c.aside != nil:
		c.aside.Add(1)
	case len(c.found) > 0:
		v.differing.Add(1)
		met := map[DifferenceKind]bool{}
		for _, d := range c.found {
			if !met[d.Kind] {
				met[d.Kind] = true
				v.kinds[d.Kind]++
			}
		}
		v.opts.Report(Differing{c.row.ID, c.row.ConversationID, c.found})
	}
	if c.aside == nil {
		v.checked.Add(1)
		if c.row.Status == checkpoint.Partial {
			v.partial.Add(1)
		}
	}
	v.mark = checkpoint.VerifyMark{After: c.row.ID, Checked: v.checked.Load(), Differing: v.differing.Load()}
	if !v.marks() || time.Since(v.marked) < markEvery {
		return nil
	}
	v.marked = time.Now()
	return v.im.patiently(v.ctx, "write the checkpoint", func(ctx context.Context) error {
		return v.im.cfg.Store.SetVerifyMark(ctx, v.im.cfg.Source, v.mark)
	})
}

// compareOne compares one transcript with its conversation.
func (v *Verifier) compareOne(c *comparison) ([]Difference, error) {
	if c.rec == nil {
		c.aside = &v.notHeld
		return nil, nil
	}
	t, err := c.rec.Transcript()
	changed := c.rec.Hash.String() != c.row.ContentHash
	switch {
	case changed && c.rec.Original != "" && c.rec.Original != c.row.ID:
		if is, err := v.im.isMended(v.ctx, c.rec.Original, c.row.ID); err != nil || !is { // its id is still that of another one
			c.aside = &v.notImported
			return nil, err
		}
	case changed && t == nil && v.im.cfg.Excerpt:
		c.aside = &v.bad
		return nil, nil
	case changed && t == nil:
		c.aside = &v.mended
		return nil, nil
	}
	if err != nil { // a stricter version of this program
		return []Difference{{Kind: DiffUnreadable, Detail: fmt.Sprintf("the record cannot be compared any more: %v", err)}}, nil
	}
	conversation, err := v.im.cfg.API.GetConversation(v.ctx, c.row.ConversationID)
	if err != nil {
		return differenceOf(v.ctx, err)
	}
	messages, err := v.im.cfg.API.ListMessages(v.ctx, c.row.ConversationID)
	if err != nil {
		return differenceOf(v.ctx, err)
	}
	if t == nil || t.ClosedAt.IsZero() {
		return []Difference{{Kind: DiffContentChanged, Detail: "the record has changed since its import, and could not be imported now"}}, nil
	}
	found := v.im.compareWith(t, c.row.EndUserID, conversation, messages)
	found = append(found, v.im.compareAttributes(t, conversation.CustomAttributes)...)
	for i := range found {
		if changed { // what is Dixa's and what is the record's cannot be told apart
			found[i].Detail += "; the record has changed since its import"
		}
	}
	return found, nil
}

// differenceOf makes a difference of the answer of Dixa to a reading, unless it concerns every conversation.
func differenceOf(ctx context.Context, err error) ([]Difference, error) {
	switch {
	case ctx.Err() != nil:
		return nil, errStopped
	case hasStatus(err, http.StatusNotFound):
		return []Difference{{Kind: DiffGone, Detail: "Dixa has no such conversation any more"}}, nil
	case hasStatus(err, http.StatusUnauthorized):
		return nil, fatalAnswer(err)
	case hasStatus(err, http.StatusForbidden):
		return nil, &advisedError{err, "a comparison must read conversations and their messages: put a token that may into dixa.token"}
	}
	return []Difference{{Kind: DiffUnreadable, Detail: err.Error()}}, nil
}
