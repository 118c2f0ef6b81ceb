// Package plan finds out what a run would do, by the same rules as a run: with all records of a source (Planner), with one transcript
// (Explain), and with the attributes that the configuration names (CheckAttributes). It writes nothing, and sends Dixa only read requests.
//
// A Planner works in the goroutine of its caller. Other goroutines read the source ahead, see reading.Records and reading.Batches.
package plan

import (
	"cmp"
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

// Plan is what a run would do. Except for the estimates, it follows the same rules as a run.
type Plan struct {
	// Counts are what the run would count: in Imported the transcripts to import, in Partial those of them with attributes that cannot be
	// set, in Pending those that another run is working on, and in Requests an estimate. Failed and InDoubt are 0.
	Counts checkpoint.Counts
	Work   Work
	// Changed, FailedBefore, RejectedBefore and InDoubt are parts of Counts.AlreadyDone.
	Changed            int64 // imported earlier, and changed since
	Grown              int64 // part of Changed: only new messages were added, and the configuration does not import them
	FailedBefore       int64 // failed earlier, and unchanged: for `retry`
	RejectedBefore     int64
	InDoubt            int64
	Open               int64 // part of Counts.Skipped
	Empty              int64 // part of Counts.Skipped
	Rejections         []Rejection
	People             People
	IgnoredIdentifiers people.Ignored            // of the transcripts that would be imported
	Shared             []people.SharedIdentifier // identifiers that appear with many names or other identifiers, the first ones
	SharedMore         int64                     // how many more there are
	Requests           Requests
	Mark               mark.Mark        // of the source in Dixa; its State is "" without Config.Mark
	Directory          *Directory       // nil if there are few look-ups, or the token may not list end-users
	Redacted           map[string]int64 // values that would be replaced by placeholders, by kind
	Dropped            map[string]int64 // what the source's format leaves out of the transcripts, by kind
	Refused            []Refusal        // attribute values that cannot be set
	Values             []UnsetValue     // the distinct ones that no table translates, the most frequent first; customers' data
	MoreValues         bool             // Values is incomplete
	Ignored            []string         // fields of the records that the import ignores
	Unmapped           []string         // attributes of the records that no mapping uses
	More               bool             // Ignored or Unmapped is incomplete
	Duration           time.Duration    // estimate, 0 if there is nothing to do
	PerSecond          float64          // requests a second that the estimate assumes
	Examples           []Example
}

// Work counts the transcripts to work on by their state in the checkpoint.
type Work struct {
	New        int64 `json:"new"`        // not in the checkpoint
	FollowUps  int64 `json:"follow_ups"` // part of New: the new messages of chats that went on after their import
	Pending    int64 `json:"pending"`    // an earlier run did not get to it
	Closed     int64 `json:"closed"`     // it was open, or skipped as anonymous
	Corrected  int64 `json:"mended"`     // it failed or was rejected, and the record has changed
	Sending    int64 `json:"sending"`    // it may be in Dixa: the run looks for it first
	Attributes int64 `json:"attributes"` // it is imported, but its attributes are not set
}

// UnsetValue is a value of an attribute that Dixa does not take.
type UnsetValue struct {
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
	Count     int64  `json:"count"`
}

// maxValues is the maximum number of distinct values that a plan keeps.
const maxValues = 1000

// addRedacted counts the values of a transcript that are replaced.
func (p *Planner) addRedacted(t *source.Transcript) {
	for kind, n := range t.Redacted {
		if p.plan.Redacted == nil {
			p.plan.Redacted = map[string]int64{}
		}
		p.plan.Redacted[kind] += n
	}
}

// addUnset counts the values of a transcript that Dixa does not take.
func (p *Planner) addUnset(t *source.Transcript) {
	for name, value := range p.s.Custom.Unset(t) {
		key := UnsetValue{Attribute: name, Value: value}
		if _, known := p.unset[key]; !known && len(p.unset) >= maxValues {
			p.plan.MoreValues = true
			continue
		}
		p.unset[key]++
	}
}

// unsetValues returns what addUnset counted.
func (p *Planner) unsetValues() []UnsetValue {
	var list []UnsetValue
	for v, n := range p.unset {
		v.Count = n
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b UnsetValue) int {
		return cmp.Or(cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return list
}

// Rejection is a reason to reject records.
type Rejection struct {
	Code   source.RejectCode `json:"code"`
	Count  int64             `json:"count"`
	Places []string          `json:"places"` // of the first ones, each with the reason
}

// People are the end-users of the transcripts that would be imported. Found and Created are estimated from Sampled.
type People struct {
	Known   int64 `json:"known"`   // in the checkpoint
	Unknown int64 `json:"unknown"` // not in the checkpoint: looked up in Dixa
	Sampled int64 `json:"sampled"` // of the unknown ones, looked up for this plan
	Found   int64 `json:"found"`   // of the unknown ones, already in Dixa
	Created int64 `json:"created"` // of the unknown ones, not in Dixa
}

// Requests are the requests of a run, by purpose.
type Requests struct {
	Start     int64 `json:"start"`     // about the organisation
	Mark      int64 `json:"mark"`      // about the mark of the source
	Directory int64 `json:"directory"` // the list of all end-users, with Config.Preload
	LookUps   int64 `json:"look_ups"`  // of end-users
	Creations int64 `json:"creations"` // of end-users, many in one request
	Looks     int64 `json:"looks"`     // for conversations that may be in Dixa
	Imports   int64 `json:"imports"`
	Patches   int64 `json:"patches"`
	Finishing int64 `json:"finishing"` // for tags, ratings, notes, hand-overs and links
}

func (r Requests) total() int64 {
	return r.Start + r.Mark + r.Directory + r.LookUps + r.Creations + r.Looks + r.Imports + r.Patches + r.Finishing
}

// Refusal is a reason why some values of an attribute cannot be set.
type Refusal struct {
	Attribute string `json:"attribute"`
	Reason    string `json:"reason"`
	Count     int64  `json:"count"`
}

// UnknownEndUser stands in examples for an end-user whose id is not known yet.
const UnknownEndUser = "<end-user>"

// Example is what a run would send to Dixa for one transcript.
type Example struct {
	ID         string                         `json:"transcript_id"`
	Import     dixa.ConversationImport        `json:"import"`
	Attributes map[string]dixa.AttributeValue `json:"attributes,omitempty"` // the PATCH, by UUID
}

// Planner makes one Plan. It sends Dixa only read requests, and writes nothing.
type Planner struct {
	s        *session.Session
	matcher  *people.Matcher
	memory   *reading.Memory
	seen     *reading.Seen // ids of the records that were read
	show     int           // number of examples
	plan     Plan
	begun    int64 // transcripts to work on, for Config.Limit
	known    rules.Known
	contents *reading.IDSet // id and hash of the records that a run would claim or reject
	people   peopleSample
	survey   *people.Survey
	names    names
	unset    map[UnsetValue]int64 // without their counts

	read    atomic.Int64
	sampled atomic.Int64
	started time.Time
}

// Progress is the progress of a Planner.
type Progress struct {
	Read     int64
	Source   source.Progress
	LookedUp int64 // of the sample of end-users
	Elapsed  time.Duration
}

// New returns a Planner for a plan with show examples. Without Config.Store, it plans with an empty checkpoint.
func New(cfg session.Config, show int) (*Planner, error) {
	if cfg.Store == nil {
		cfg.Store = emptyStore{}
	}
	s, err := session.New(cfg)
	if err != nil {
		return nil, err
	}
	matcher := people.NewMatcher(s.Config)
	p := &Planner{s: s, matcher: matcher, memory: reading.NewMemory(), seen: reading.NewSeen(), show: show, contents: reading.NewIDSet(), unset: map[UnsetValue]int64{},
		people: peopleSample{seen: reading.NewIDSet()}, survey: people.NewSurvey(matcher)}
	p.known.Policy = s.Policy(0, matcher.Anonymous)
	p.known.Lookup = func(keys ...string) (map[string]checkpoint.Row, error) {
		rows, err := s.Lookup(s.Starting, keys...)
		return rows, s.StoppedOr(err)
	}
	return p, nil
}

// Progress returns the current progress.
func (p *Planner) Progress() Progress {
	return Progress{Read: p.read.Load(), Source: p.s.Reader.Progress(), LookedUp: p.sampled.Load(), Elapsed: time.Since(p.started)}
}

// Plan makes the plan. If ctx ends, it returns an error instead.
func (p *Planner) Plan(ctx context.Context) (Plan, error) {
	p.started = time.Now()
	s := p.s
	defer s.Begin(ctx)()
	if err := s.Ask(s.Starting, s.AskOrganisation, s.ResolveAttributes, s.CheckNames); err != nil {
		return Plan{}, err
	}
	p.plan.Requests.Start = s.API.Stats().Requests
	if err := s.CheckBinding(s.Starting); err != nil {
		return Plan{}, err
	}
	if err := p.readMark(); err != nil {
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
	p.plan.Ignored, p.plan.Unmapped, p.plan.More = p.names.lists()
	p.plan.Values = p.unsetValues()
	if counts, mapped := source.CountsOf(p.s.Reader); mapped {
		p.plan.Dropped = counts.Dropped
	}
	slices.SortStableFunc(p.plan.Rejections, func(a, b Rejection) int { return int(b.Count - a.Count) })
	slices.SortStableFunc(p.plan.Refused, func(a, b Refusal) int { return strings.Compare(a.Attribute, b.Attribute) })
	return p.plan, nil
}

// readMark looks up the mark of the source in Dixa.
func (p *Planner) readMark() error {
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

// emptyStore is an empty checkpoint. It has only the methods that a plan calls: the others panic.
type emptyStore struct{ session.Store }

func (emptyStore) Binding(context.Context, string) (checkpoint.Binding, error) {
	return checkpoint.Binding{}, nil
}

func (emptyStore) SourceMark(context.Context, string) (checkpoint.SourceMark, error) {
	return checkpoint.SourceMark{}, nil
}

func (emptyStore) Watermark(context.Context, string) (time.Time, bool, error) {
	return time.Time{}, false, nil
}

func (emptyStore) Complete(_ context.Context, _ string, ids, _ []string) ([]int64, error) {
	return make([]int64, len(ids)), nil
}

func (emptyStore) Lookup(context.Context, string, int64, []string) (map[string]checkpoint.Row, error) {
	return map[string]checkpoint.Row{}, nil
}

func (emptyStore) Unfinished(context.Context, string, int64, string, int) ([]checkpoint.Row, error) {
	return nil, nil
}

func (emptyStore) Conversations(context.Context, string, []int64) (map[int64]bool, error) {
	return nil, nil
}

func (emptyStore) EndUserIdentifiers(context.Context, string, string) ([]checkpoint.Identifier, error) {
	return nil, nil
}

func (emptyStore) FindEndUsers(context.Context, string, []checkpoint.Identifier) (map[checkpoint.Identifier]string, error) {
	return nil, nil
}

// maxNames is the maximum number of names in each of a plan's lists.
const maxNames = 100

// names collects the names of ignored fields and attributes.
type names struct {
	fields, attributes map[string]bool
	more               bool
}

func (n *names) add(to *map[string]bool, name string) {
	switch {
	case (*to)[name]:
	case len(*to) >= maxNames:
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

// addNames adds the fields and attributes of a transcript that the import ignores.
func (p *Planner) addNames(t *source.Transcript) {
	for _, name := range t.Unknown {
		p.names.add(&p.names.fields, name)
	}
	for name := range t.Attributes {
		if !slices.ContainsFunc(p.s.Custom, func(a shape.Attribute) bool { return a.Name == name && a.Constant == nil }) {
			p.names.add(&p.names.attributes, name)
		}
	}
}

// errLimit says that the plan has reached Config.Limit.
var errLimit = errors.New("the limit of the plan is reached")

// readAll reads the source and decides about each record.
func (p *Planner) readAll() error {
	since, _, err := reading.Start(p.s.Starting, p.s, false)
	if err != nil {
		return err
	}
	records, failed := reading.Records(p.s, p.memory, since)
	for batch := range reading.Batches(p.s, records) {
		err = p.decide(batch)
		for _, it := range batch {
			it.Held.Release()
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		return <-failed
	}
	if errors.Is(err, errLimit) {
		return nil
	}
	return fmt.Errorf("plan: %w", err)
}
