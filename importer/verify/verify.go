// Package verify compares the conversations in Dixa with what was imported.
//
// One goroutine reads rows from the checkpoint and their records from the source. It sends each comparison to the workers, and each page of
// comparisons to the collector, which is the caller of Run. Config.Workers workers compare. The collector takes their results in the order
// of the ids, so a mark in the checkpoint covers all transcripts before it. The reader closes both channels, then the workers end, and Run
// waits for all of them. lead limits how far the workers run ahead of the collector.
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
	Sample  int    // number of transcripts, chosen at random; 0: all
	Seed    uint64 // of the sample: the same seed chooses the same sample from the same transcripts
	Restart bool   // start at the first transcript, even if an earlier comparison was stopped
	// DoublesOnly looks only for second conversations of transcripts, and compares nothing.
	DoublesOnly bool
	// Bulk, if set, compares all transcripts through the Exports API first. Only those that differ there are compared one by one.
	Bulk Exports
	// Fallback compares one by one what Dixa does not let the token export.
	Fallback bool
	// Report, if set, is called for each transcript that differs, in the order of their ids, from one goroutine.
	Report func(Differing)
}

// Differing is a transcript whose conversation differs from what was imported.
type Differing struct {
	ID             string       `json:"transcript_id"`
	ConversationID int64        `json:"conversation_id"`
	Differences    []Difference `json:"differences"`
}

// Verification is the result of a Verifier. If the comparison continues an earlier one that was stopped, only Checked and Differing include
// the earlier part.
type Verification struct {
	Outcome   session.Outcome // session.OutcomeIncomplete: there are differences
	Reason    string          // why it was stopped
	Checked   int64           // transcripts that were compared
	Differing int64           // transcripts that differ
	// Earlier is the part of Checked that earlier parts of the comparison have compared.
	Earlier      int64
	KnownPartial int64                    // compared by this part, with partial errors in the checkpoint
	NotHeld      int64                    // not compared, because the source no longer has the record
	Anonymized   int64                    // not compared, because the conversation is anonymized
	Corrected    int64                    // not compared, because a corrected version of a bad record was imported
	Unknown      int64                    // with Config.Excerpt: not compared, because they are not imported
	Bad          int64                    // with Config.Excerpt: bad records
	Kinds        map[DifferenceKind]int64 // transcripts by the kinds of their differences
	// EndUsers is the number of end-users whose conversations were listed to find second ones.
	EndUsers  int64
	Unlisted  int64 // end-users whose conversations could not be listed
	Unread    int64 // possible second conversations that could not be read
	Bulk      *Bulk // nil without Options.Bulk
	Requests  int64
	Throttled int64
	Duration  time.Duration
}

// Progress is the progress of a Verifier.
type Progress struct {
	Checked, Differing int64 // including earlier parts
	Total              int64 // transcripts to check, 0 while unknown
	Earlier            int64
	Throttled          int64
	Elapsed            time.Duration
}

// Verifier compares the imported transcripts with their conversations in Dixa, once. It writes nothing to Dixa, and only its progress (the
// VerifyMark) to the checkpoint. With Config.Excerpt it compares the transcripts in the excerpt, and records no progress. It needs a token
// that may read conversations and messages.
type Verifier struct {
	s       *session.Session
	policy  rules.Policy
	memory  *reading.Memory
	opts    Options
	started time.Time

	total, checked, differing, earlier       atomic.Int64
	partial, notHeld, corrected, notImported atomic.Int64
	anonymized                               atomic.Int64
	bad                                      atomic.Int64
	kinds                                    map[DifferenceKind]int64
	doubles                                  doubles
	lead                                     lead
	mark                                     checkpoint.VerifyMark
	bulk                                     *bulk // nil: everything is compared one by one
	inBulk                                   Bulk
	marked                                   time.Time   // when the mark was last recorded
	mayRead                                  atomic.Bool // the token could read a conversation
	unreadable                               sync.Map    // DifferenceKind: Dixa does not show these, so they are not compared
}

// markEvery is the interval at which progress is recorded. After a kill, the work of at most this long is repeated.
const markEvery = 5 * time.Second

// New returns a Verifier.
func New(cfg session.Config, opts Options) (*Verifier, error) {
	s, err := session.New(cfg)
	if err != nil {
		return nil, err
	}
	if opts.Sample < 0 {
		return nil, errors.New("importer: Sample is negative")
	}
	if opts.Bulk != nil && (opts.Sample > 0 || opts.DoublesOnly || cfg.Excerpt) {
		return nil, errors.New("importer: Bulk is for a comparison of all")
	}
	if opts.Report == nil {
		opts.Report = func(Differing) {}
	}
	v := &Verifier{s: s, policy: s.Policy(0, nil), memory: reading.NewMemory(), opts: opts, kinds: map[DifferenceKind]int64{}, doubles: doubles{seen: reading.NewIDSet()}}
	v.lead.max, v.lead.changed.L = 2*s.Workers, &v.lead.mu
	return v, nil
}

// Stop ends the comparison early: nothing new begins, and requests in flight have Config.DrainTimeout to finish. The next comparison of all
// transcripts continues there.
func (v *Verifier) Stop(reason string) { v.s.Stop(reason) }

// Progress returns the current progress.
func (v *Verifier) Progress() Progress {
	return Progress{Checked: v.checked.Load(), Differing: v.differing.Load(), Total: v.total.Load(), Earlier: v.earlier.Load(),
		Throttled: v.s.API.Stats().Throttled, Elapsed: time.Since(v.started)}
}

// Run compares the transcripts. The error says why the comparison could not be completed.
func (v *Verifier) Run(ctx context.Context) (Verification, error) {
	v.started = time.Now()
	defer v.s.Begin(ctx)()
	err := v.compareAll()
	if cause := context.Cause(v.s.Starting); cause != nil {
		err = cause
	}
	stats := v.s.API.Stats()
	s := Verification{Outcome: session.OutcomeOK, Checked: v.checked.Load(), Differing: v.differing.Load(), Earlier: v.earlier.Load(),
		KnownPartial: v.partial.Load(), NotHeld: v.notHeld.Load(), Anonymized: v.anonymized.Load(), Corrected: v.corrected.Load(), Unknown: v.notImported.Load(), Bad: v.bad.Load(), Kinds: v.kinds,
		EndUsers: v.doubles.listed.Load(), Unlisted: v.doubles.unlisted.Load(), Unread: v.doubles.unread.Load(),
		Requests: stats.Requests, Throttled: stats.Throttled, Duration: time.Since(v.started)}
	if v.opts.Bulk != nil {
		s.Bulk = &v.inBulk
		s.Requests += v.inBulk.Requests
	}
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

// marks reports whether the comparison records its progress, so that a later one can continue it.
func (v *Verifier) marks() bool { return v.opts.Sample == 0 && !v.s.Excerpt }

// markKey returns the key of the mark. The search for second conversations alone has its own.
func (v *Verifier) markKey() string {
	if v.opts.DoublesOnly {
		return v.s.Source + ":doubles" // not a valid source name
	}
	return v.s.Source
}

// leaveMark records where the next comparison continues, or that this one is complete.
func (v *Verifier) leaveMark(ctx context.Context, how session.Outcome) error {
	if !v.marks() || v.mark.After == "" {
		return nil
	}
	if how == session.OutcomeOK || how == session.OutcomeIncomplete {
		v.mark = checkpoint.VerifyMark{}
	}
	if err := v.s.Store.SetVerifyMark(ctx, v.markKey(), v.mark); err != nil {
		return fmt.Errorf("record the progress of the comparison: %w", err)
	}
	return nil
}

// comparison is the work on one transcript. Its results are valid when done is closed.
type comparison struct {
	row   checkpoint.Row
	rec   *source.Record // nil: the source does not have it
	held  reading.Hold
	begun bool // guarded by lead
	lists bool // it also lists the conversations of its end-user
	found []Difference
	more  []Differing   // transcripts with conversations that are not in the checkpoint
	aside *atomic.Int64 // the counter to increment if nothing was compared, nil if something was
	err   error         // why the comparison failed
	done  chan struct{}
}

func (v *Verifier) compareAll() error {
	if err := v.prepare(); err != nil {
		return err
	}
	if v.opts.Bulk != nil {
		if err := v.compareBulk(); err != nil {
			return err
		}
	}
	work, order, read := v.pages()
	var workers sync.WaitGroup
	for range v.s.Workers {
		workers.Go(func() {
			for c := range work {
				v.compare(c)
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

// compare does the work on one transcript and stores the results in c.
func (v *Verifier) compare(c *comparison) {
	if !v.opts.DoublesOnly {
		c.found, c.err = v.compareOne(c)
	}
	if c.err == nil && c.lists {
		c.more, c.err = v.findDoubles(c.row.EndUserID)
	}
	for i, d := range c.more { // report all differences of a transcript together
		if d.ID == c.row.ID {
			c.found = append(d.Differences, c.found...)
			c.more = slices.Delete(c.more, i, i+1)
			return
		}
	}
}

// collect counts the results until a comparison fails.
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
		if err != nil { // the remaining results are not needed
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
	seen := map[DifferenceKind]bool{}
	for _, x := range d.Differences {
		if !seen[x.Kind] {
			seen[x.Kind] = true
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
	if v.bulk != nil && v.bulk.same.Has(c.row.ID) {
		return nil, nil
	}
	t, err := c.rec.Transcript()
	changed := c.rec.Hash.String() != c.row.ContentHash
	current := t
	if changed && err == nil && !t.ClosedAt.IsZero() {
		t, _ = rules.SentVersion(t, c.row)
	}
	switch {
	case changed && c.rec.Original.Key != "" && c.rec.Original.Key != c.row.ID:
		if is, err := v.isCorrection(c); err != nil || !is { // the row of this id is that of another transcript
			c.aside = &v.notImported
			return nil, err
		}
	case changed && t == nil && v.s.Excerpt:
		c.aside = &v.bad
		return nil, nil
	case changed && t == nil:
		c.aside = &v.corrected
		return nil, nil
	case changed && t.ClosedAt.IsZero(): // the source no longer has the imported record, but an open chat
		c.aside = &v.notHeld
		return nil, nil
	}
	if err != nil { // this version of the program is stricter than the one that imported the record
		return []Difference{{Kind: DiffUnreadable, Detail: fmt.Sprintf("the record cannot be compared any more: %v", err)}}, nil
	}
	conversation, err := v.s.API.GetConversation(v.s.Working, c.row.ConversationID)
	if err != nil {
		return v.differenceOf(err)
	}
	if !conversation.AnonymizedAt.IsZero() {
		c.aside = &v.anonymized
		return nil, nil
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
	if t == current { // else the record has grown, and has the attributes of its latest messages
		found = append(found, v.s.Custom.Compare(t, conversation.CustomAttributes)...)
	}
	following, err := v.compareFollowing(t, conversation)
	if err != nil {
		return nil, err
	}
	found = append(found, following...)
	for i := range found {
		if changed { // nothing shows whether Dixa or the record has changed
			found[i].Detail += "; the record has changed since its import"
		}
	}
	return found, nil
}

// isCorrection reports whether the original of a corrected record was imported as the transcript of c.row.
func (v *Verifier) isCorrection(c *comparison) (bool, error) {
	rows, err := v.s.Lookup(v.s.Working, rules.KeysOf(c.rec)...)
	if err != nil {
		return false, err
	}
	_, was := rules.Original(c.rec, rows)
	return rules.WasCorrectedAs(was, c.row.ID), nil
}

// differenceOf turns the error of a read request into a difference, or returns an error if it concerns every conversation.
func (v *Verifier) differenceOf(err error) ([]Difference, error) {
	switch {
	case v.s.Working.Err() != nil:
		return nil, session.ErrStopped
	case session.HasStatus(err, http.StatusNotFound):
		return []Difference{{Kind: DiffGone, Detail: "Dixa has no such conversation any more"}}, nil
	case session.Denied(err) && v.mayRead.Load() && v.s.TryToken(v.s.Working) == nil: // the refusal concerns this conversation alone
	case session.HasStatus(err, http.StatusUnauthorized):
		return nil, session.FatalAnswer(err)
	case session.HasStatus(err, http.StatusForbidden):
		return nil, session.Advise(err, "a comparison reads conversations and their messages: put a token that may do so into dixa.token")
	}
	return []Difference{{Kind: DiffUnreadable, Detail: err.Error()}}, nil
}
