// Package verify compares what is in Dixa with what was imported.
//
// One goroutine reads: it takes rows from the checkpoint and their records from the source, and hands each comparison to the workers and
// each page of comparisons to the collector, which is the caller of Run. As many workers as Config.Workers compare; the collector takes
// their results in the order of the ids, so that a mark in the checkpoint means all that is before it. The reader closes both channels,
// then the workers end, and Run awaits all of them. lead keeps the workers from running far ahead of the collector.
package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// Options say what a Verifier compares.
type Options struct {
	Sample  int    // so many transcripts, chosen at random; 0: all
	Seed    uint64 // chooses the sample: the same one from the same transcripts
	Restart bool   // compare all from the first one, although an earlier comparison was stopped on its way
	// DoublesOnly looks for transcripts that have a second conversation, and compares nothing.
	DoublesOnly bool
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
	Outcome   session.Outcome // session.OutcomeIncomplete: there are differences
	Reason    string          // why it was stopped
	Checked   int64           // transcripts that were compared
	Differing int64           // those among them that differ
	// Earlier is how many of Checked earlier parts of the comparison have looked at.
	Earlier      int64
	KnownPartial int64                    // of those that this part compared, with partial errors that the checkpoint knows
	NotHeld      int64                    // not compared, because the source no longer has the record
	Corrected    int64                    // not compared, because a corrected version of a bad record was imported
	Unknown      int64                    // not compared, because they are not imported: of those that Config.Excerpt holds
	Bad          int64                    // records that Config.Excerpt holds, and that are bad
	Kinds        map[DifferenceKind]int64 // transcripts by the kinds of their differences
	// EndUsers are those whose conversations were listed, to find second ones.
	EndUsers  int64
	Unlisted  int64 // end-users whose conversations could not be listed
	Unread    int64 // conversations that may be second ones, and could not be read
	Requests  int64
	Throttled int64
	Duration  time.Duration
}

// Progress is how far a Verifier is.
type Progress struct {
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
	s       *session.Session
	policy  rules.Policy
	memory  *reading.Memory
	opts    Options
	started time.Time

	total, checked, differing, earlier       atomic.Int64
	partial, notHeld, corrected, notImported atomic.Int64
	bad                                      atomic.Int64
	kinds                                    map[DifferenceKind]int64
	doubles                                  doubles
	lead                                     lead
	mark                                     checkpoint.VerifyMark
	marked                                   time.Time   // when the mark was recorded last
	mayRead                                  atomic.Bool // a conversation could be read
}

// markEvery is how much of a comparison is done again at most after it was killed.
const markEvery = 5 * time.Second

// New prepares a comparison.
func New(cfg session.Config, opts Options) (*Verifier, error) {
	s, err := session.New(cfg)
	if err != nil {
		return nil, err
	}
	if opts.Sample < 0 {
		return nil, errors.New("importer: Sample is negative")
	}
	if opts.Report == nil {
		opts.Report = func(Differing) {}
	}
	v := &Verifier{s: s, policy: s.Policy(0, nil), memory: reading.NewMemory(), opts: opts, kinds: map[DifferenceKind]int64{}, doubles: doubles{met: reading.NewIDSet()}}
	v.lead.most, v.lead.changed.L = 2*s.Workers, &v.lead.mu
	return v, nil
}

// Stop ends the comparison early: nothing new begins, what is on its way is finished within Config.DrainTimeout. The next
// comparison of all goes on there.
func (v *Verifier) Stop(reason string) { v.s.Stop(reason) }

// Progress returns how far the comparison is.
func (v *Verifier) Progress() Progress {
	return Progress{Checked: v.checked.Load(), Differing: v.differing.Load(), Total: v.total.Load(), Earlier: v.earlier.Load(),
		Throttled: v.s.API.Stats().Throttled, Elapsed: time.Since(v.started)}
}

// Run makes the comparison. The error says why it could not be made.
func (v *Verifier) Run(ctx context.Context) (Verification, error) {
	v.started = time.Now()
	defer v.s.Begin(ctx)()
	err := v.compareAll()
	if cause := context.Cause(v.s.Starting); cause != nil {
		err = cause
	}
	stats := v.s.API.Stats()
	s := Verification{Outcome: session.OutcomeOK, Checked: v.checked.Load(), Differing: v.differing.Load(), Earlier: v.earlier.Load(),
		KnownPartial: v.partial.Load(), NotHeld: v.notHeld.Load(), Corrected: v.corrected.Load(), Unknown: v.notImported.Load(), Bad: v.bad.Load(), Kinds: v.kinds,
		EndUsers: v.doubles.listed.Load(), Unlisted: v.doubles.unlisted.Load(), Unread: v.doubles.unread.Load(),
		Requests: stats.Requests, Throttled: stats.Throttled, Duration: time.Since(v.started)}
	var stop *session.StopError
	switch {
	case errors.As(err, &stop) || errors.Is(err, context.Canceled):
		s.Outcome, s.Reason = session.OutcomeStopped, err.Error()
	case err != nil:
		s.Outcome, s.Reason = session.OutcomeAborted, err.Error()
	case s.Differing > 0:
		s.Outcome = session.OutcomeIncomplete
	}
	if s.Outcome != session.OutcomeAborted {
		err = nil
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), session.FlushTime)
	defer cancel()
	return s, errors.Join(err, v.leaveMark(end, s.Outcome))
}

// marks reports whether the comparison can go on later where it was stopped.
func (v *Verifier) marks() bool { return v.opts.Sample == 0 && !v.s.Excerpt }

// markKey is under what the mark is kept: the search of second conversations alone has one of its own.
func (v *Verifier) markKey() string {
	if v.opts.DoublesOnly {
		return v.s.Source + ":doubles" // no name of a source
	}
	return v.s.Source
}

// leaveMark records where the next comparison goes on, or that this one is over.
func (v *Verifier) leaveMark(ctx context.Context, how session.Outcome) error {
	if !v.marks() || v.mark.After == "" {
		return nil
	}
	if how == session.OutcomeOK || how == session.OutcomeIncomplete {
		v.mark = checkpoint.VerifyMark{}
	}
	if err := v.s.Store.SetVerifyMark(ctx, v.markKey(), v.mark); err != nil {
		return fmt.Errorf("record how far the comparison is: %w", err)
	}
	return nil
}

// comparison is the work on one transcript. It is done when done is closed.
type comparison struct {
	row   checkpoint.Row
	rec   *source.Record // nil: the source does not hold it
	held  reading.Hold
	begun bool // guarded by lead
	lists bool // the conversations of its end-user are listed with it
	found []Difference
	more  []Differing   // transcripts with conversations that the checkpoint does not hold
	aside *atomic.Int64 // what it counts as if there was nothing to compare, nil if there was
	err   error         // it could not be made
	done  chan struct{}
}

func (v *Verifier) compareAll() error {
	if err := v.prepare(); err != nil {
		return err
	}
	// Workers compare side by side; the results are taken in the order of the ids, so that a mark means all before it.
	work, order, read := v.pages()
	var workers sync.WaitGroup
	for range v.s.Workers {
		workers.Go(func() {
			for c := range work {
				v.work(c)
				c.rec = nil
				c.held.Release()
				close(c.done)
			}
		})
	}
	err := v.collect(order)
	if err != nil {
		v.s.Halt(err)
	}
	workers.Wait()
	if readErr := <-read; err == nil {
		err = readErr
	}
	return err
}

// work makes a comparison.
func (v *Verifier) work(c *comparison) {
	if !v.opts.DoublesOnly {
		c.found, c.err = v.compareOne(c)
	}
	if c.err == nil && c.lists {
		c.more, c.err = v.findDoubles(c.row.EndUserID)
	}
	for i, d := range c.more { // what is wrong with one transcript is told at once
		if d.ID == c.row.ID {
			c.found = append(d.Differences, c.found...)
			c.more = slices.Delete(c.more, i, i+1)
			return
		}
	}
}

// collect takes the results until one of them could not be had.
func (v *Verifier) collect(order <-chan []*comparison) (err error) {
	for page := range order {
		err = v.collectPage(page, err)
	}
	return err
}

func (v *Verifier) collectPage(page []*comparison, err error) error {
	for _, c := range page {
		v.lead.await(c)
		if err != nil {
			continue
		}
		if err = c.err; err == nil {
			err = v.count(c)
		}
		if err != nil { // nobody needs the others any more
			v.s.Halt(err)
			v.s.Abandon()
		}
	}
	return err
}

func (v *Verifier) count(c *comparison) error {
	switch {
	case c.aside != nil && len(c.found) == 0:
		c.aside.Add(1)
	case len(c.found) > 0:
		c.aside = nil
		v.report(Differing{c.row.ID, c.row.ConversationID, c.found})
	}
	for _, d := range c.more {
		v.report(d)
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
	return v.s.Patiently(v.s.Working, "write the checkpoint", func(ctx context.Context) error {
		return v.s.Store.SetVerifyMark(ctx, v.markKey(), v.mark)
	})
}

func (v *Verifier) report(d Differing) {
	v.differing.Add(1)
	met := map[DifferenceKind]bool{}
	for _, x := range d.Differences {
		if !met[x.Kind] {
			met[x.Kind] = true
			v.kinds[x.Kind]++
		}
	}
	v.opts.Report(d)
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
	case changed && c.rec.Original.Key != "" && c.rec.Original.Key != c.row.ID:
		if is, err := v.isCorrection(c); err != nil || !is { // its id is still that of another one
			c.aside = &v.notImported
			return nil, err
		}
	case changed && t == nil && v.s.Excerpt:
		c.aside = &v.bad
		return nil, nil
	case changed && t == nil:
		c.aside = &v.corrected
		return nil, nil
	case changed && t.ClosedAt.IsZero(): // what was imported is not there, but a chat that goes on
		c.aside = &v.notHeld
		return nil, nil
	}
	if err != nil { // a stricter version of this program
		return []Difference{{Kind: DiffUnreadable, Detail: fmt.Sprintf("the record cannot be compared any more: %v", err)}}, nil
	}
	conversation, err := v.s.API.GetConversation(v.s.Working, c.row.ConversationID)
	if err != nil {
		return v.differenceOf(err)
	}
	messages, err := v.s.API.ListMessages(v.s.Working, c.row.ConversationID)
	if err != nil {
		return v.differenceOf(err)
	}
	v.mayRead.Store(true)
	if t == nil || t.ClosedAt.IsZero() {
		return []Difference{{Kind: DiffContentChanged, Detail: "the record has changed since its import, and could not be imported now"}}, nil
	}
	found := v.s.Bot().Compare(t, c.row.EndUserID, conversation, messages)
	found = append(found, v.s.Custom.Compare(t, conversation.CustomAttributes)...)
	for i := range found {
		if changed { // what is Dixa's and what is the record's cannot be told apart
			found[i].Detail += "; the record has changed since its import"
		}
	}
	return found, nil
}

// isCorrection reports whether what a record corrects was imported as the transcript of its row.
func (v *Verifier) isCorrection(c *comparison) (bool, error) {
	rows, err := v.s.Lookup(v.s.Working, rules.KeysOf(c.rec)...)
	if err != nil {
		return false, err
	}
	_, was := rules.Original(c.rec, rows)
	return rules.WasCorrectedAs(was, c.row.ID), nil
}

// differenceOf makes a difference of the answer of Dixa to a reading, unless it concerns every conversation.
func (v *Verifier) differenceOf(err error) ([]Difference, error) {
	switch {
	case v.s.Working.Err() != nil:
		return nil, session.ErrStopped
	case session.HasStatus(err, http.StatusNotFound):
		return []Difference{{Kind: DiffGone, Detail: "Dixa has no such conversation any more"}}, nil
	case session.Denied(err) && v.mayRead.Load() && v.s.TryToken(v.s.Working) == nil: // it is about this conversation: others could be read
	case session.HasStatus(err, http.StatusUnauthorized):
		return nil, session.FatalAnswer(err)
	case session.HasStatus(err, http.StatusForbidden):
		return nil, session.Advise(err, "a comparison must read conversations and their messages: put a token that may do so into dixa.token")
	}
	return []Difference{{Kind: DiffUnreadable, Detail: err.Error()}}, nil
}
