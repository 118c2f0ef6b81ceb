package plan

import (
	"context"
	"errors"
	"slices"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/people"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// maxPlaces is the maximum number of places of rejected records that a plan lists for each reason.
const maxPlaces = 3

// toImport is a transcript that a run would import.
type toImport struct {
	transcript *source.Transcript
	person     people.Person
}

// decide decides about a batch of records.
func (p *Planner) decide(batch []reading.Item) error {
	if err := p.load(batch); err != nil {
		return err
	}
	var todo []toImport
	var limit error
	for _, it := range batch {
		if it.Record.EndOfFile {
			continue
		}
		if it.Done != 0 {
			p.countComplete(it)
			continue
		}
		t, err := p.decideOne(it.Record)
		if errors.Is(err, errLimit) {
			limit = err
			break
		}
		if err != nil {
			return err
		}
		p.read.Add(1)
		p.plan.Counts.Read++
		if t != nil {
			todo = append(todo, *t)
		}
	}
	if err := p.countPeople(todo); err != nil {
		return err
	}
	return limit
}

func (p *Planner) load(batch []reading.Item) error {
	var records []*source.Record
	for _, it := range batch {
		if it.Done == 0 {
			records = append(records, it.Record)
		}
	}
	return p.known.Load(records)
}

// countComplete counts a record whose transcript is complete.
func (p *Planner) countComplete(it reading.Item) {
	p.read.Add(1)
	p.plan.Counts.Read++
	if p.seen.AddDone(it.Record.ID, it.Done) {
		p.plan.Counts.Duplicate++
	} else {
		p.plan.Counts.AlreadyDone++
	}
}

// decideOne counts a record, and returns its transcript if a run would import it.
func (p *Planner) decideOne(rec *source.Record) (*toImport, error) {
	c := &p.plan.Counts
	row, known := p.known.Rows[rec.Key()]
	verdict := p.known.Policy.Judge(rec, p.known.Rows, func() (seen, same bool) {
		if !p.seen.Add(rec.ID, row.ConversationID) {
			return false, false
		}
		return true, p.contents.Has(rec.ID+"\x00"+string(rec.Hash[:])) || known && rules.SameHash(row.ContentHash, rec.Hash)
	})
	switch verdict {
	case rules.StillOpen:
		p.plan.Open++
		c.Skipped++
	case rules.IsDuplicate:
		c.Duplicate++
	case rules.IDConflict:
		return nil, p.repeated(rec, rules.WhyConflict(rec, row))
	case rules.IsEmpty:
		p.plan.Empty++
		c.Skipped++
	case rules.IsSkipped:
		c.Skipped++
		switch row.ErrorCode {
		case rules.CodeOpen:
			p.plan.Open++
		case rules.CodeEmpty:
			p.plan.Empty++
		}
	case rules.IsDone:
		c.AlreadyDone++
		p.countSettled(row)
	case rules.IsClaimed:
		c.Pending++
	case rules.IsChanged:
		return p.decideChanged(rec)
	case rules.LeftInDoubt:
		c.AlreadyDone++
		p.plan.InDoubt++
	case rules.NotCorrected:
		return nil, p.reject(rec)
	case rules.ToReject:
		p.contents.Add(rec.ID + "\x00" + string(rec.Hash[:]))
		return nil, p.reject(rec)
	default:
		return p.countWork(rec, row, known)
	}
	return nil, nil
}

// decideChanged counts a record that was imported earlier and has changed since, and returns its new messages if a run would import them.
func (p *Planner) decideChanged(rec *source.Record) (*toImport, error) {
	c := &p.plan.Counts
	verdict, part, _, conflict := p.known.Policy.JudgeChanged(rec, p.known.Rows)
	var row checkpoint.Row
	var known bool
	if part != nil {
		row, known = p.known.Rows[part.ID]
		p.seen.Add(part.ID, 0)
	}
	switch verdict {
	case rules.IDConflict:
		return nil, p.repeated(rec, conflict)
	case rules.IsSkipped:
		c.Skipped++
	case rules.IsDone:
		c.AlreadyDone++
		p.countSettled(row)
	case rules.IsClaimed:
		c.Pending++
	case rules.LeftInDoubt:
		c.AlreadyDone++
		p.plan.InDoubt++
	case rules.ToImport:
		p.contents.Add(rec.ID + "\x00" + string(rec.Hash[:]))
		if !known {
			p.plan.Work.FollowUps++
		}
		return p.countWork(part, row, known)
	default:
		c.AlreadyDone++
		p.plan.Changed++
		if part != nil {
			p.plan.Grown++
		}
	}
	return nil, nil
}

func (p *Planner) countSettled(row checkpoint.Row) {
	switch row.Status {
	case checkpoint.Failed:
		p.plan.FailedBefore++
	case checkpoint.Rejected:
		p.plan.RejectedBefore++
	case checkpoint.InDoubt:
		p.plan.InDoubt++
	}
}

// repeated decides about a closed record whose id is that of other content: its key is its place.
func (p *Planner) repeated(rec *source.Record, why *source.RejectError) error {
	rec.Reject(why)
	if err := p.known.Look(rec); err != nil {
		return err
	}
	row, known := p.known.Rows[rec.Key()]
	switch p.known.Policy.JudgeRepeated(rec, row, known) {
	case rules.IsSkipped:
		p.plan.Counts.Skipped++
	case rules.IsDone:
		p.plan.Counts.AlreadyDone++
		p.plan.RejectedBefore++
	default:
		return p.reject(rec)
	}
	return nil
}

// reject counts a record that a run would reject.
func (p *Planner) reject(rec *source.Record) error {
	_, err := rec.Transcript()
	var bad *source.RejectError
	if !errors.As(err, &bad) {
		return err
	}
	p.plan.Counts.Rejected++
	list := &p.plan.Rejections
	at := slices.IndexFunc(*list, func(r Rejection) bool { return r.Code == bad.Code })
	if at < 0 {
		at = len(*list)
		*list = append(*list, Rejection{Code: bad.Code})
	}
	r := &(*list)[at]
	if r.Count++; len(r.Places) < maxPlaces {
		r.Places = append(r.Places, rec.Place.String()+": "+bad.Reason)
	}
	return nil
}

// countWork counts a transcript that a run would work on, and returns it if the run would import it.
func (p *Planner) countWork(rec *source.Record, row checkpoint.Row, known bool) (*toImport, error) {
	if p.s.Limit > 0 && p.begun >= p.s.Limit {
		return nil, errLimit
	}
	p.begun++
	p.contents.Add(rec.ID + "\x00" + string(rec.Hash[:]))
	t, err := rec.Transcript()
	if err != nil {
		return nil, err
	}
	p.addNames(t)
	w := &p.plan.Work
	switch {
	case !known:
		w.New++
	case row.Status == checkpoint.Sending:
		w.Sending++
	case row.Status == checkpoint.Imported:
		w.Attributes++
	case row.Status == checkpoint.Pending:
		w.Pending++
	case row.Status == checkpoint.Skipped:
		w.Closed++
	default:
		w.Corrected++
	}
	if row.Status != checkpoint.Sending && row.Status != checkpoint.Imported {
		person := p.matcher.Person(t)
		p.survey.AddPerson(person, rec.Place.String())
		if person.Anonymous && p.s.Anonymous == session.AnonymousSkip {
			p.plan.Counts.Skipped++
			return nil, nil
		}
		p.plan.Requests.Imports++
		p.countOutcome(t)
		return &toImport{t, person}, nil
	}
	p.countLooks(row.Status)
	p.countOutcome(t)
	return nil, nil
}

// looksInDoubt is about how many requests it takes to find a conversation that may be in Dixa: the list of the end-user's
// conversations, a candidate's messages, and both again to confirm the result.
const looksInDoubt = 4

// countLooks counts the requests that find out whether a transcript that an earlier run sent is in Dixa.
func (p *Planner) countLooks(status checkpoint.Status) {
	if status == checkpoint.Sending {
		p.plan.Requests.Looks += looksInDoubt
	}
}

// countOutcome counts the outcome of a transcript and the request for its attributes.
func (p *Planner) countOutcome(t *source.Transcript) {
	values, refused := p.s.Custom.Values(t)
	p.addUnset(t)
	p.addRedacted(t)
	if len(values) > 0 {
		p.plan.Requests.Patches++
	}
	p.plan.Requests.Finishing += p.finishing(t)
	for _, r := range refused {
		p.plan.Refused = addRefusal(p.plan.Refused, r)
	}
	if len(refused) > 0 {
		p.plan.Counts.Partial++
	} else {
		p.plan.Counts.Imported++
	}
}

// finishing returns how many requests follow the import of a transcript, beside its attributes.
func (p *Planner) finishing(t *source.Transcript) int64 {
	n := int64(len(p.s.Tags) + len(t.Tags))
	if t.Rating != nil {
		n += 2
	}
	if len(t.Notes) > 0 {
		n++
	}
	if t.Handover != nil {
		n++
	}
	if t.FollowUpOf != "" {
		n += 2
	}
	return n
}

// addRefusal counts a value that cannot be set.
func addRefusal(list []Refusal, r checkpoint.PartialError) []Refusal {
	at := slices.IndexFunc(list, func(x Refusal) bool { return x.Attribute == r.Attribute && x.Reason == r.Message })
	if at < 0 {
		at = len(list)
		list = append(list, Refusal{Attribute: r.Attribute, Reason: r.Message})
	}
	list[at].Count++
	return list
}

// countUnfinished counts the transcripts that earlier runs left unfinished and that the plan has not read from the source.
func (p *Planner) countUnfinished() error {
	for after := ""; ; {
		var rows []checkpoint.Row
		err := p.s.Patiently(p.s.Starting, "read the checkpoint", func(ctx context.Context) (err error) {
			rows, err = p.s.Store.Unfinished(ctx, p.s.Source, 0, after, reading.BatchSize)
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].ID
		for _, row := range rows {
			if p.seen.Has(row.ID, row.ConversationID) {
				continue
			}
			p.plan.Counts.Read++
			p.plan.Counts.Imported++
			p.countLooks(row.Status)
			if row.Status == checkpoint.Sending {
				p.plan.Work.Sending++
			} else {
				p.plan.Work.Attributes++
			}
			if len(p.s.Custom) > 0 {
				p.plan.Requests.Patches++
			}
		}
	}
}
