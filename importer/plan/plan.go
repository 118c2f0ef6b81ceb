// Package plan finds out what a run would do, by the rules that a run goes by: with all records of a source (Planner), with one
// transcript (Explain), and with the attributes that the configuration names (CheckAttributes). It writes nothing, and asks Dixa only what
// has no effect there.
//
// A Planner works in the goroutine of its caller; one other reads the source ahead, see reading.Records.
package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/mark"
	"dixa-import/importer/internal/people"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/importer/internal/shape"
	"dixa-import/source"
)

// Plan is what a run would do. Everything that is not an estimate is found by the rules that a run goes by.
type Plan struct {
	// Counts are what the run would count: Imported what would be imported, Partial what would be with attributes that
	// cannot be set, Pending what another run works on at the moment, and Requests an estimate. Failed and InDoubt are 0.
	Counts checkpoint.Counts
	Work   Work
	// Changed, FailedBefore, RejectedBefore and InDoubt are parts of Counts.AlreadyDone.
	Changed            int64 // imported earlier, with another content now
	FailedBefore       int64 // and the same since: `retry` takes them up
	RejectedBefore     int64
	InDoubt            int64
	Open               int64 // part of Counts.Skipped
	Empty              int64 // part of Counts.Skipped, too
	Rejections         []Rejection
	People             People
	IgnoredIdentifiers people.Ignored            // of the transcripts that would be imported
	Shared             []people.SharedIdentifier // identifiers that come with many names or other identifiers, the first ones
	SharedMore         int64                     // how many more there are
	Requests           Requests
	Mark               mark.Mark     // of the source in Dixa; its State is "" without Config.Mark
	Directory          *Directory    // nil where the look-ups are few, or the list of end-users may not be read
	Refused            []Refusal     // attribute values that cannot be set
	Ignored            []string      // fields of the records that nothing reads
	Unmapped           []string      // attributes of the records that no mapping uses
	More               bool          // there are more ignored names than are listed
	Duration           time.Duration // estimate, 0 where there is nothing to do
	PerSecond          float64       // requests a second that the estimate counts on
	Examples           []Example
}

// Work counts what would be worked on by what is known of it.
type Work struct {
	New        int64 `json:"new"`        // nothing is known of it
	Pending    int64 `json:"pending"`    // an earlier run did not come to it
	Closed     int64 `json:"closed"`     // it was open, or skipped as anonymous
	Corrected  int64 `json:"mended"`     // it failed or was rejected, and is another one now
	Sending    int64 `json:"sending"`    // it may be in Dixa: it would be looked for first
	Attributes int64 `json:"attributes"` // it is imported and lacks its attributes
}

// Rejection is a reason why records would be rejected.
type Rejection struct {
	Code   source.RejectCode `json:"code"`
	Count  int64             `json:"count"`
	Places []string          `json:"places"` // of the first ones, each with the reason in words
}

// People are the end-users of the transcripts that would be imported. Found and Created are estimated from Sampled.
type People struct {
	Known   int64 `json:"known"`   // by the checkpoint
	Unknown int64 `json:"unknown"` // to be looked up in Dixa
	Sampled int64 `json:"sampled"` // of the unknown ones, looked up for this plan
	Found   int64 `json:"found"`   // of the unknown ones, in Dixa already
	Created int64 `json:"created"` // of the unknown ones
}

// Requests are the requests of a run, by what they are for.
type Requests struct {
	Start     int64 `json:"start"`     // about the organisation
	Mark      int64 `json:"mark"`      // about the mark of the source
	Directory int64 `json:"directory"` // the list of all end-users, with Config.Preload
	LookUps   int64 `json:"look_ups"`  // of end-users
	Creations int64 `json:"creations"` // of end-users, many at a time
	Looks     int64 `json:"looks"`     // for conversations that may be there
	Imports   int64 `json:"imports"`
	Patches   int64 `json:"patches"`
}

func (r Requests) total() int64 {
	return r.Start + r.Mark + r.Directory + r.LookUps + r.Creations + r.Looks + r.Imports + r.Patches
}

// Refusal is a reason why values of an attribute cannot be set.
type Refusal struct {
	Attribute string `json:"attribute"`
	Reason    string `json:"reason"`
	Count     int64  `json:"count"`
}

// UnknownEndUser stands in examples for the id of an end-user that is not known yet.
const UnknownEndUser = "<end-user>"

// Example is what Dixa would be sent of one transcript.
type Example struct {
	ID         string                         `json:"transcript_id"`
	Import     dixa.ConversationImport        `json:"import"`
	Attributes map[string]dixa.AttributeValue `json:"attributes,omitempty"` // the PATCH, by UUID
}

// Planner finds out what a run would do, once. It asks Dixa only what has no effect there, and writes nothing.
type Planner struct {
	s        *session.Session
	matcher  *people.Matcher
	memory   *reading.Memory
	seen     *reading.IDSet // ids of the records that were met
	show     int
	plan     Plan
	begun    int64
	met      rules.Known
	contents *reading.IDSet // of the records that would be claimed: id and hash
	people   peopleSample
	survey   *people.Survey
	named    names

	read    atomic.Int64
	sampled atomic.Int64
	started time.Time
}

// Progress is how far a Planner is.
type Progress struct {
	Read     int64
	Source   source.Progress
	LookedUp int64 // of the sample of end-users
	Elapsed  time.Duration
}

// New prepares a plan with show examples. Without Config.Store nothing counts as known.
func New(cfg session.Config, show int) (*Planner, error) {
	if cfg.Store == nil {
		cfg.Store = nothingKnown{}
	}
	s, err := session.New(cfg)
	if err != nil {
		return nil, err
	}
	matcher := people.NewMatcher(s.Config)
	p := &Planner{s: s, matcher: matcher, memory: reading.NewMemory(), seen: reading.NewIDSet(), show: show, contents: reading.NewIDSet(),
		people: peopleSample{met: reading.NewIDSet()}, survey: people.NewSurvey(matcher)}
	p.met.Policy = s.Policy(0, matcher.Anonymous)
	p.met.Lookup = func(keys ...string) (map[string]checkpoint.Row, error) {
		rows, err := s.Lookup(s.Starting, keys...)
		return rows, s.StoppedOr(err)
	}
	return p, nil
}

// Progress returns how far the plan is.
func (p *Planner) Progress() Progress {
	return Progress{Read: p.read.Load(), Source: p.s.Reader.Progress(), LookedUp: p.sampled.Load(), Elapsed: time.Since(p.started)}
}

// Plan makes the plan. When ctx ends, there is none.
func (p *Planner) Plan(ctx context.Context) (Plan, error) {
	p.started = time.Now()
	s := p.s
	defer s.Begin(ctx)()
	if err := s.Ask(s.Starting, s.AskOrganisation, s.ResolveAttributes); err != nil {
		return Plan{}, err
	}
	p.plan.Requests.Start = s.API.Stats().Requests
	if err := s.CheckBinding(s.Starting); err != nil {
		return Plan{}, err
	}
	if err := p.seeMark(); err != nil {
		return Plan{}, err
	}
	err := p.readAll()
	if err == nil && s.Limit == 0 && !s.Excerpt {
		err = p.countUnfinished()
	}
	if err == nil {
		err = p.estimate()
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return Plan{}, err
	}
	p.plan.IgnoredIdentifiers, p.plan.Shared, p.plan.SharedMore = p.survey.Ignored, p.survey.Shared, p.survey.More
	p.plan.Ignored, p.plan.Unmapped, p.plan.More = p.named.lists()
	slices.SortStableFunc(p.plan.Rejections, func(a, b Rejection) int { return int(b.Count - a.Count) })
	slices.SortStableFunc(p.plan.Refused, func(a, b Refusal) int { return strings.Compare(a.Attribute, b.Attribute) })
	return p.plan, nil
}

// seeMark looks whose mark of the source is in Dixa.
func (p *Planner) seeMark() error {
	s := p.s
	if !s.Mark {
		return nil
	}
	var own checkpoint.SourceMark
	err := s.Patiently(s.Starting, "read the checkpoint", func(ctx context.Context) (err error) {
		own, err = s.Store.SourceMark(ctx, s.Source)
		return err
	})
	if err == nil {
		p.plan.Mark = mark.Look(s.Starting, s.API, s.Source)(own)
	}
	return err
}

// nothingKnown is a checkpoint that holds nothing. It has no method that writes.
type nothingKnown struct{ session.Store }

func (nothingKnown) Binding(context.Context, string) (checkpoint.Binding, error) {
	return checkpoint.Binding{}, nil
}

func (nothingKnown) SourceMark(context.Context, string) (checkpoint.SourceMark, error) {
	return checkpoint.SourceMark{}, nil
}

func (nothingKnown) Watermark(context.Context, string) (time.Time, bool, error) {
	return time.Time{}, false, nil
}

func (nothingKnown) Lookup(context.Context, string, int64, []string) (map[string]checkpoint.Row, error) {
	return map[string]checkpoint.Row{}, nil
}

func (nothingKnown) Unfinished(context.Context, string, int64, string, int) ([]checkpoint.Row, error) {
	return nil, nil
}

func (nothingKnown) Conversations(context.Context, string, []int64) (map[int64]bool, error) {
	return nil, nil
}

func (nothingKnown) EndUserIdentifiers(context.Context, string, string) ([]checkpoint.Identifier, error) {
	return nil, nil
}

func (nothingKnown) FindEndUsers(context.Context, string, []checkpoint.Identifier) (map[checkpoint.Identifier]string, error) {
	return nil, nil
}

// namesMost bounds the names of a plan's lists.
const namesMost = 100

// names gathers the names of what is ignored in records.
type names struct {
	fields, attributes map[string]bool
	more               bool
}

func (n *names) add(to *map[string]bool, name string) {
	switch {
	case (*to)[name]:
	case len(*to) >= namesMost:
		n.more = true
	case *to == nil:
		*to = map[string]bool{name: true}
	default:
		(*to)[name] = true
	}
}

func (n *names) lists() (fields, attributes []string, more bool) {
	list := func(set map[string]bool) []string {
		out := []string{}
		for name := range set {
			out = append(out, name)
		}
		slices.Sort(out)
		return out
	}
	return list(n.fields), list(n.attributes), n.more
}

// note takes down what nothing reads of a transcript.
func (p *Planner) note(t *source.Transcript) {
	for _, name := range t.Unknown {
		p.named.add(&p.named.fields, name)
	}
	for name := range t.Attributes {
		if !slices.ContainsFunc(p.s.Custom, func(a shape.Attribute) bool { return a.Name == name && a.Constant == nil }) {
			p.named.add(&p.named.attributes, name)
		}
	}
}

// errPlanOver says that the plan has as many transcripts as the run may begin.
var errPlanOver = errors.New("the limit of the plan is reached")

// readAll reads the source and decides about each record.
func (p *Planner) readAll() error {
	since, _, err := reading.Start(p.s.Starting, p.s, false)
	if err != nil {
		return err
	}
	records, failed := reading.Records(p.s, p.memory, since)
	for err == nil {
		batch, ended := reading.Batch(p.s.Starting, records, nil)
		if ended {
			return <-failed
		}
		err = p.decide(batch)
		for _, it := range batch {
			it.Held.Release()
		}
	}
	if errors.Is(err, errPlanOver) {
		return nil
	}
	return fmt.Errorf("plan: %w", err)
}
