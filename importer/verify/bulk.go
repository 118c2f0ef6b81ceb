package verify

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// Exports is the Exports API; a *dixa.Client with its address implements it.
type Exports interface {
	ExportConversations(ctx context.Context, from, to time.Time, restart func(), take func(dixa.ExportedConversation)) error
	ExportMessages(ctx context.Context, from, to time.Time, restart func(), take func(dixa.ExportedMessage)) error
	Stats() dixa.Stats
}

// Bulk is what a comparison through the Exports API has done.
type Bulk struct {
	Same     int64 `json:"same"`   // transcripts that are the same in the exports; all others are compared one by one
	Differ   int64 `json:"differ"` // they differ in the exports, or are missing there
	Unfit    int64 `json:"unfit"`  // exports do not have what is to be compared: attachments, a changed record, a hand-over
	Requests int64 `json:"requests"`
	// WithoutAttributes is part of Differ: the exports have no custom attributes.
	WithoutAttributes int64 `json:"without_attributes"`
}

const (
	bulkDays = 28     // the longest time in which the transcripts of one window were closed
	bulkRows = 50_000 // transcripts of one window, unless more were closed on one day
	// longestExport leaves room for the millisecond that an export asks for on each side.
	longestExport = dixa.ExportWindow - time.Second
)

// bulk compares through the Exports API what it can, before all others are compared one by one.
type bulk struct {
	v     *Verifier
	api   Exports
	same  *reading.IDSet // transcripts
	lists *reading.IDSet // end-users who may have a second conversation
	found Bulk
}

// expected is what the exports must have of a transcript. It holds fingerprints of texts only.
type expected struct {
	row        string
	endUser    string
	created    int64 // Unix milliseconds
	last       int64 // of the last message
	direction  dixa.Direction
	attributes *source.Transcript // nil: none are mapped
	want, got  tally
	matches    bool // the conversation does
}

// tally adds up messages, whatever their order.
type tally struct {
	count, authors   int
	sum, withAuthors uint64
}

func (t *tally) add(o tally) {
	t.count += o.count
	t.authors += o.authors
	t.sum += o.sum
	t.withAuthors += o.withAuthors
}

var bulkSeed = maphash.MakeSeed()

func tallyOf(at int64, outbound bool, text, author string) tally {
	content := strconv.FormatInt(at, 10) + "\x00" + strconv.FormatBool(outbound) + "\x00" + text
	t := tally{count: 1, sum: maphash.String(bulkSeed, content)}
	if author != "" {
		t.authors, t.withAuthors = 1, maphash.String(bulkSeed, content+"\x00"+strings.ToLower(author))
	}
	return t
}

func (e *expected) same() bool {
	if !e.matches || e.got.count != e.want.count || e.got.sum != e.want.sum {
		return false
	}
	return e.got.authors != e.got.count || e.got.withAuthors == e.want.withAuthors
}

// compareBulk compares through the Exports API. Without permission, it returns what to do, or, with Options.Fallback, leaves all to the
// comparison one by one.
func (v *Verifier) compareBulk() error {
	b := &bulk{v: v, api: v.opts.Bulk, same: reading.NewIDSet(), lists: reading.NewIDSet()}
	err := b.run()
	b.found.Requests = b.api.Stats().Requests
	v.inBulk = b.found
	switch {
	case err == nil:
		v.bulk = b
		return nil
	case v.s.Starting.Err() != nil:
		return session.ErrStopped
	}
	api := new(dixa.APIError)
	refused := errors.As(err, &api)
	if refused && v.opts.Fallback {
		v.s.Log.Warn("Dixa does not let this token export: everything is compared one by one", "error", err.Error())
		return nil
	}
	if refused {
		return session.Advise(err, "to compare in bulk, the token must be allowed to use the Exports API, and dixa.exports_url must be its address; "+
			"pass --fallback to compare one by one instead, or leave --bulk out")
	}
	return err
}

func (b *bulk) run() error {
	days := map[int64]int{}
	err := b.v.eachPage(b.v.mark.After, func(rows []checkpoint.Row) error {
		for _, row := range rows {
			days[dayOf(row)]++
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, w := range windows(days) {
		if err := b.window(w[0], w[1]); err != nil {
			return err
		}
	}
	return nil
}

func dayOf(row checkpoint.Row) int64 { return row.ClosedAt.Unix() / 86400 }

// windows splits the days, with their numbers of transcripts, into ranges [first, last].
func windows(days map[int64]int) [][2]int64 {
	sorted := make([]int64, 0, len(days))
	for day := range days {
		sorted = append(sorted, day)
	}
	slices.Sort(sorted)
	var out [][2]int64
	n := 0
	for _, day := range sorted {
		if len(out) > 0 && day-out[len(out)-1][0] < bulkDays && n+days[day] <= bulkRows {
			out[len(out)-1][1] = day
			n += days[day]
			continue
		}
		out, n = append(out, [2]int64{day, day}), days[day]
	}
	return out
}

// window compares the transcripts that were closed on these days.
func (b *bulk) window(first, last int64) error {
	all := map[int64]*expected{} // by conversation
	err := b.v.eachPage(b.v.mark.After, func(rows []checkpoint.Row) error {
		rows = slices.DeleteFunc(rows, func(row checkpoint.Row) bool { return dayOf(row) < first || dayOf(row) > last })
		return b.expect(rows, all)
	})
	if err != nil || len(all) == 0 {
		return err
	}
	// An exported conversation of the same end-user that began at the same time may be a second import.
	type beginning struct {
		endUser string
		at      int64
	}
	begun := make(map[beginning]bool, len(all))
	from, to := span{}, span{}
	for _, e := range all {
		begun[beginning{e.endUser, e.created}] = true
		from.add(e.created, e.created)
		to.add(e.created, e.last)
	}
	err = from.each(func(a, z time.Time) error {
		var list []dixa.ExportedConversation // of this part: small, as it has no texts
		err := b.api.ExportConversations(b.v.s.Starting, a, z, func() { list = list[:0] }, func(c dixa.ExportedConversation) {
			if !c.CreatedAt.Before(a) && c.CreatedAt.Before(z) && (all[c.ID] != nil || begun[beginning{c.RequesterID, c.CreatedAt.UnixMilli()}]) {
				list = append(list, c)
			}
		})
		for _, c := range list {
			if e := all[c.ID]; e != nil {
				e.matches = b.matches(e, c)
			} else {
				b.lists.Add(c.RequesterID)
			}
		}
		return err
	})
	if err == nil {
		err = to.each(func(a, z time.Time) error { return b.messages(all, a, z) })
	}
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.same() {
			b.same.Add(e.row)
			b.found.Same++
		} else {
			b.found.Differ++
		}
	}
	return nil
}

// messages adds up the messages of a part of a window.
func (b *bulk) messages(all map[int64]*expected, from, to time.Time) error {
	part := map[int64]tally{}
	err := b.api.ExportMessages(b.v.s.Starting, from, to, func() { clear(part) }, func(m dixa.ExportedMessage) {
		if all[m.Conversation] == nil || m.CreatedAt.Before(from) || !m.CreatedAt.Before(to) {
			return
		}
		t := part[m.Conversation]
		t.add(tallyOf(m.CreatedAt.UnixMilli(), strings.EqualFold(m.Direction, string(dixa.Outbound)), m.Text, m.AuthorID))
		part[m.Conversation] = t
	})
	if err != nil {
		return err
	}
	for id, t := range part {
		all[id].got.add(t)
	}
	return nil
}

// expect adds what the exports must have of the transcripts that can be compared there.
func (b *bulk) expect(rows []checkpoint.Row, all map[int64]*expected) error {
	byID, keys := make(map[string]checkpoint.Row, len(rows)), make([]string, len(rows))
	for i, row := range rows {
		byID[row.ID], keys[i] = row, row.ID
	}
	if len(keys) == 0 {
		return nil
	}
	for rec, err := range b.v.s.Reader.Fetch(b.v.s.Starting, keys) {
		if err != nil {
			return err
		}
		row, ok := byID[rec.Key()]
		if !ok {
			continue
		}
		t, err := rec.Transcript()
		rec.Forget()
		fits := err == nil && rec.Hash.String() == row.ContentHash && !t.ClosedAt.IsZero() && !hasMore(t) && len(t.Messages) > 0 && row.Status == checkpoint.Complete &&
			!slices.ContainsFunc(t.Messages, func(m source.Message) bool { return len(m.Attachments) > 0 })
		if !fits {
			b.found.Unfit++
			continue
		}
		all[row.ConversationID] = b.expectation(row, t)
	}
	return nil
}

func (b *bulk) expectation(row checkpoint.Row, t *source.Transcript) *expected {
	in := b.v.s.Bot().Payload(t, row.EndUserID, false)
	e := &expected{row: row.ID, endUser: row.EndUserID, created: in.CreatedAt.UnixMilli(), direction: in.Direction}
	for _, m := range in.Messages {
		author := row.EndUserID
		if m.Type == dixa.OutboundImport {
			author = m.AgentID
		}
		at := m.CreatedAt.UnixMilli()
		e.last = max(e.last, at)
		e.want.add(tallyOf(at, m.Type == dixa.OutboundImport, m.Content.Value, author))
	}
	if len(b.v.s.Custom.Compare(t, nil)) > 0 { // it has some
		e.attributes = &source.Transcript{ID: t.ID, Attributes: t.Attributes}
	}
	return e
}

// matches compares a conversation. What an export does not say is left to the comparison one by one.
func (b *bulk) matches(e *expected, c dixa.ExportedConversation) bool {
	if e.attributes != nil && !c.HasAttributes {
		b.found.WithoutAttributes++
		return false
	}
	closed := strings.EqualFold(c.Status, "closed") || c.Status == "" && !c.ClosedAt.IsZero()
	return closed && c.AnonymizedAt.IsZero() && c.CreatedAt.UnixMilli() == e.created && !c.LastMessageAt.IsZero() && c.LastMessageAt.UnixMilli() == e.last &&
		(e.endUser == "" || strings.EqualFold(c.RequesterID, e.endUser)) && strings.EqualFold(c.Direction, string(e.direction)) &&
		strings.EqualFold(c.AssigneeID, b.v.s.AgentID) && (e.attributes == nil || len(b.v.s.Custom.Compare(e.attributes, c.Attributes)) == 0)
}

// span is a range of times in Unix milliseconds. The zero value is empty.
type span struct{ from, to int64 }

func (s *span) add(from, to int64) {
	if s.to == 0 {
		*s = span{from, to + 1}
		return
	}
	s.from, s.to = min(s.from, from), max(s.to, to+1)
}

// each calls do for the parts of a span that an export may have.
func (s *span) each(do func(from, to time.Time) error) error {
	step := longestExport.Milliseconds()
	for at := s.from; at < s.to; at += step {
		if err := do(time.UnixMilli(at).UTC(), time.UnixMilli(min(at+step, s.to)).UTC()); err != nil {
			return err
		}
	}
	return nil
}
