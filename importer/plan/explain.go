package plan

import (
	"context"
	"errors"
	"fmt"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/people"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// Next is what the next run does with a transcript.
type Next string

// What the next run may do.
const (
	NextImports    Next = "imports"    // imports it
	NextReconciles Next = "reconciles" // finds out whether the last import arrived
	NextFinishes   Next = "finishes"   // sets the attributes of the conversation
	NextRejects    Next = "rejects"    // rejects it: the record is bad
	NextSkips      Next = "skips"      // skips it: open, empty, or anonymous by configuration
	NextIgnores    Next = "ignores"    // leaves it as it is
	NextWaits      Next = "waits"      // leaves it to the run that is working on it
	NextFollowsUp  Next = "follows_up" // imports the messages that the chat got after its import
)

// Explanation is everything that the checkpoint and the source have about one transcript, and what the next run does with it.
type Explanation struct {
	Row     checkpoint.Row // in the checkpoint; the zero value if it is not Known
	Known   bool
	Partial []checkpoint.PartialError

	Record     *source.Record      // nil: the source does not have it, or was not read
	Rejected   *source.RejectError // why the record cannot be imported, nil if it can
	Transcript *source.Transcript  // nil if there is no record, or it is rejected or an empty chat
	Empty      bool                // an empty chat, which is skipped
	Changed    bool                // the record is not the version in the checkpoint
	// FollowUp is the id of the latest new messages if the chat went on after its import, otherwise "". FollowUps are those that the checkpoint knows.
	FollowUp  string
	FollowUps []checkpoint.Row

	Next Next
	// Request is the body of the import request, nil without a closed transcript. The requester is the recorded end-user, or
	// UnknownEndUser.
	Request *dixa.ConversationImport
	// Attributes are the values that are set after the import, by the attributes' names in the configuration.
	Attributes map[string]dixa.AttributeValue
}

// ErrUnknownTranscript says that neither the checkpoint nor the source has a transcript.
var ErrUnknownTranscript = errors.New("neither the checkpoint nor the source knows this transcript")

// Explain explains the transcript with this id, or the record whose key is this place. It writes nothing and sends no requests to Dixa:
// cfg needs no API, and no Reader if the source cannot be read.
func Explain(ctx context.Context, cfg session.Config, id string) (Explanation, error) {
	cfg = cfg.WithDefaults()
	policy := cfg.Policy(0, people.NewMatcher(cfg).Anonymous)
	var e Explanation
	rows, err := cfg.Store.Lookup(ctx, cfg.Source, 0, []string{id})
	if err != nil {
		return e, fmt.Errorf("read the checkpoint: %w", err)
	}
	e.Row, e.Known = rows[id]
	if e.Known {
		if e.Partial, err = cfg.Store.PartialErrors(ctx, cfg.Source, id); err != nil {
			return e, fmt.Errorf("read the checkpoint: %w", err)
		}
	}
	asked := e.Row
	asked.ID = id
	if e.Record, err = find(ctx, cfg.Reader, asked); err != nil {
		return e, fmt.Errorf("read the source: %w", err)
	}
	if !e.Known && e.Record == nil {
		return e, ErrUnknownTranscript
	}
	if e.Record != nil {
		e.Changed = e.Known && !rules.SameHash(e.Row.ContentHash, e.Record.Hash)
		e.Transcript, err = e.Record.Transcript()
		if err == nil && e.Row.ErrorCode == string(source.RejectDuplicateID) && !e.Changed && e.Record.Key() != id { // its key is its place
			e.Record.Reject(rules.ErrDuplicateID())
			_, err = e.Record.Transcript()
		}
		if err != nil && !errors.As(err, &e.Rejected) {
			return e, err
		}
	}
	if policy.Empty(e.Rejected) {
		e.Rejected, e.Empty = nil, true
	}
	e.Next = nextOf(e, policy)
	if e.Next == NextIgnores && e.Changed && e.Record.Whole() == e.Record {
		if err := e.follow(ctx, cfg, policy); err != nil {
			return e, err
		}
	}
	if e.Changed && e.Transcript != nil && !e.Transcript.ClosedAt.IsZero() {
		e.Transcript, _ = rules.SentVersion(e.Transcript, e.Row)
	}
	if e.Transcript != nil && !e.Transcript.ClosedAt.IsZero() {
		e.addRequest(cfg)
	}
	return e, nil
}

// follow finds the new messages of a chat that went on after its import.
func (e *Explanation) follow(ctx context.Context, cfg session.Config, policy rules.Policy) error {
	known := rules.Known{Policy: policy, Lookup: func(keys ...string) (map[string]checkpoint.Row, error) {
		return cfg.Store.Lookup(ctx, cfg.Source, 0, keys)
	}}
	if err := known.Load([]*source.Record{e.Record}); err != nil {
		return fmt.Errorf("read the checkpoint: %w", err)
	}
	verdict, part, _, conflict := policy.JudgeChanged(e.Record, known.Rows)
	switch {
	case conflict != nil:
		e.Rejected, e.Next = conflict, NextRejects
	case part != nil:
		e.FollowUp = part.ID
		if verdict == rules.ToImport {
			e.Next = NextFollowsUp
		}
	}
	for n := 2; ; n++ {
		row, ok := known.Rows[source.PartID(e.Row.ID, n)]
		if !ok || !rules.IsPart(row) {
			return nil
		}
		e.FollowUps = append(e.FollowUps, row)
	}
}

// find returns the record of a row, including that of an open chat; nil if there is none.
func find(ctx context.Context, from source.Reader, row checkpoint.Row) (*source.Record, error) {
	if from == nil {
		return nil, nil
	}
	var found *source.Record
	for rec, err := range session.Fetch(ctx, from, []checkpoint.Row{row}) {
		if err != nil {
			return nil, err
		}
		found = rec
	}
	return found, nil
}

// nextOf returns what the next run does, by the same rules as the run.
func nextOf(e Explanation, policy rules.Policy) Next {
	switch {
	case e.Row.Held:
		return NextWaits
	case e.Row.Status == checkpoint.Sending:
		return NextReconciles
	case e.Row.Status == checkpoint.Imported:
		return NextFinishes
	case e.Record == nil:
		return NextIgnores
	}
	rows := map[string]checkpoint.Row{}
	if e.Known {
		rows[e.Row.ID] = e.Row
		rules.ChooseKey(e.Record, rows)
		rows[e.Record.Key()] = e.Row
	}
	switch policy.Judge(e.Record, rows, func() (seen, same bool) { return false, false }) {
	case rules.ToReject, rules.NotCorrected:
		return NextRejects
	case rules.StillOpen, rules.IsEmpty:
		return NextSkips
	case rules.ToImport:
		if policy.SkipsPerson != nil && policy.SkipsPerson(e.Transcript) {
			return NextSkips
		}
		return NextImports
	}
	return NextIgnores
}

// addRequest adds the import request and the attributes.
func (e *Explanation) addRequest(cfg session.Config) {
	requester := e.Row.EndUserID
	if requester == "" {
		requester = UnknownEndUser
	}
	request := cfg.Bot().Payload(e.Transcript, requester, false)
	e.Request = &request
	for _, m := range cfg.Attributes {
		value, ok := e.Transcript.Attributes[m.Name]
		if m.Constant != nil {
			value, ok = *m.Constant, true
		}
		if !ok {
			continue
		}
		if e.Attributes == nil {
			e.Attributes = map[string]dixa.AttributeValue{}
		}
		e.Attributes[m.Attribute] = dixa.AttributeValue(value)
	}
}
