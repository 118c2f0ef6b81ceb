package importer

import (
	"context"
	"errors"
	"slices"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// placesMost is how many places of rejected records a plan names for each reason.
const placesMost = 3

// toImport is a transcript that would be imported.
type toImport struct {
	transcript *source.Transcript
	person     person
}

// decide decides about a batch of records.
func (p *Planner) decide(batch []*item) error {
	if err := p.met.meet(batch); err != nil {
		return err
	}
	var todo []toImport
	var over error
	for _, it := range batch {
		if it.rec.EndOfFile {
			continue
		}
		t, err := p.decideOne(it)
		if errors.Is(err, errPlanOver) {
			over = err
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
	if err := p.meetPeople(todo); err != nil {
		return err
	}
	return over
}

// decideOne counts a record, and returns it if it would be imported.
func (p *Planner) decideOne(it *item) (*toImport, error) {
	rec, c := it.rec, &p.plan.Counts
	row, known := p.met.rows[rec.Key()]
	verdict := p.im.judge(rec, p.met.rows, func() (met, same bool) {
		if !p.im.seen.add(rec.ID) {
			return false, false
		}
		return true, p.contents.has(rec.ID+"\x00"+string(rec.Hash[:])) || known && sameHash(row.ContentHash, rec.Hash)
	})
	switch verdict {
	case stillOpen:
		p.plan.Open++
		c.Skipped++
	case isDuplicate:
		c.Duplicate++
	case otherContent:
		return nil, p.repeated(it)
	case isSkipped:
		c.Skipped++
		if row.ErrorCode == codeOpen {
			p.plan.Open++
		}
	case isDone:
		c.AlreadyDone++
		p.noteSettled(row)
	case inOthersHands:
		c.Pending++
	case isChanged:
		c.AlreadyDone++
		p.plan.Changed++
	case leftInDoubt:
		c.AlreadyDone++
		p.plan.InDoubt++
	case notMended:
		return nil, p.reject(rec)
	case toReject:
		p.contents.add(rec.ID + "\x00" + string(rec.Hash[:]))
		return nil, p.reject(rec)
	default:
		return p.take(rec, row, known)
	}
	return nil, nil
}

func (p *Planner) noteSettled(row checkpoint.Row) {
	switch row.Status {
	case checkpoint.Failed:
		p.plan.FailedBefore++
	case checkpoint.Rejected:
		p.plan.RejectedBefore++
	case checkpoint.InDoubt:
		p.plan.InDoubt++
	}
}

// repeated decides about the second closed record of an id, which is known by its place.
func (p *Planner) repeated(it *item) error {
	it.rec.Reject(errDuplicateID())
	if err := p.met.lookup([]*item{it}); err != nil {
		return err
	}
	if p.met.settled(it.rec) {
		if p.met.rows[it.rec.Key()].Status == checkpoint.Skipped {
			p.plan.Counts.Skipped++
			return nil
		}
		p.plan.Counts.AlreadyDone++
		p.plan.RejectedBefore++
		return nil
	}
	return p.reject(it.rec)
}

// reject counts a record that would be rejected.
func (p *Planner) reject(rec *source.Record) error {
	_, err := rec.Transcript()
	var bad *source.RejectError
	if !errors.As(err, &bad) {
		return err
	}
	p.plan.Counts.Rejected++
	list := &p.plan.Rejections
	at := slices.IndexFunc(*list, func(r PlanRejection) bool { return r.Code == bad.Code })
	if at < 0 {
		at = len(*list)
		*list = append(*list, PlanRejection{Code: bad.Code})
	}
	r := &(*list)[at]
	if r.Count++; len(r.Places) < placesMost {
		r.Places = append(r.Places, rec.Place.String()+": "+bad.Reason)
	}
	return nil
}

// take counts a transcript that would be worked on.
func (p *Planner) take(rec *source.Record, row checkpoint.Row, known bool) (*toImport, error) {
	if p.im.cfg.Limit > 0 && p.begun >= p.im.cfg.Limit {
		return nil, errPlanOver
	}
	p.begun++
	p.contents.add(rec.ID + "\x00" + string(rec.Hash[:]))
	t, err := rec.Transcript()
	if err != nil {
		return nil, err
	}
	p.note(t)
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
		w.Mended++
	}
	if row.Status != checkpoint.Sending && row.Status != checkpoint.Imported {
		person := p.im.personOf(t)
		if person.anonymous && p.im.cfg.Anonymous == AnonymousSkip {
			p.plan.Counts.Skipped++
			return nil, nil
		}
		p.plan.Requests.Imports++
		p.finish(t)
		return &toImport{t, person}, nil
	}
	p.goOn(row.Status)
	p.finish(t)
	return nil, nil
}

// looksInDoubt is how many requests it takes, about, to find a conversation that may be there: the list of the end-user's
// conversations, a candidate's messages, and both again to compare what was found.
const looksInDoubt = 4

// goOn counts what has to be found out before a transcript that an earlier run has sent can be finished.
func (p *Planner) goOn(status checkpoint.Status) {
	if status == checkpoint.Sending {
		p.plan.Requests.Looks += looksInDoubt
	}
}

// finish counts the outcome of a transcript and the request for its attributes.
func (p *Planner) finish(t *source.Transcript) {
	values, refused := p.im.attributes.valuesOf(t)
	if len(values) > 0 {
		p.plan.Requests.Patches++
	}
	for _, r := range refused {
		p.plan.Refused = addRefusal(p.plan.Refused, r)
	}
	if len(refused) > 0 {
		p.plan.Counts.Partial++
	} else {
		p.plan.Counts.Imported++
	}
}

// addRefusal counts a value that cannot be set.
func addRefusal(list []PlanRefusal, r checkpoint.PartialError) []PlanRefusal {
	at := slices.IndexFunc(list, func(x PlanRefusal) bool { return x.Attribute == r.Attribute && x.Reason == r.Message })
	if at < 0 {
		at = len(list)
		list = append(list, PlanRefusal{Attribute: r.Attribute, Reason: r.Message})
	}
	list[at].Count++
	return list
}

// sweep counts what earlier runs left in the middle and reading did not meet.
func (p *Planner) sweep() error {
	for after := ""; ; {
		var rows []checkpoint.Row
		err := p.im.patiently(p.im.fetching, "read the checkpoint", func(ctx context.Context) (err error) {
			rows, err = p.im.cfg.Store.Unfinished(ctx, p.im.cfg.Source, 0, after, siftBatch)
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].ID
		for _, row := range rows {
			if p.im.seen.has(row.ID) {
				continue
			}
			p.plan.Counts.Read++
			p.plan.Counts.Imported++
			p.goOn(row.Status)
			if row.Status == checkpoint.Sending {
				p.plan.Work.Sending++
			} else {
				p.plan.Work.Attributes++
			}
			if len(p.im.attributes) > 0 {
				p.plan.Requests.Patches++
			}
		}
	}
}
