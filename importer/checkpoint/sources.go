package checkpoint

import (
	"context"
	"fmt"
	"time"
)

// Binding is the Dixa organisation that a source is imported into.
type Binding struct {
	BaseURL      string
	Organisation string
}

var (
	bindSource = both(`insert into dixa_import.sources (source, base_url, organisation) values ($1::text, $2::text, $3::text)
		on conflict (source) do update set base_url = excluded.base_url, organisation = excluded.organisation where $4::boolean`)
	readBinding = both(`select base_url, organisation from dixa_import.sources where source = $1::text`)
)

func (b *Binding) scan(row scanner) error { return row.Scan(&b.BaseURL, &b.Organisation) }

// Bind ties the source to an organisation at its first run. A source that is tied to another one gives a *BindingError, unless rebind is
// set, which ties it to this one.
func (s *Store) Bind(ctx context.Context, source string, b Binding, rebind bool) error {
	var bound Binding
	read := readBinding.with(source)
	read.row = bound.scan
	err := s.write(ctx, "write", bindSource.with(source, b.BaseURL, b.Organisation, rebind), read)
	if err == nil && bound != b {
		return &BindingError{Source: source, Bound: bound, Given: b}
	}
	return err
}

// Binding returns what the source is tied to, the zero Binding if it is not tied yet.
func (s *Store) Binding(ctx context.Context, source string) (b Binding, err error) {
	read := readBinding.with(source)
	read.row = b.scan
	err = s.read(ctx, "read", read)
	return b, err
}

// SourceMark is how Dixa names the checkpoint of a source.
type SourceMark struct {
	ID        string // a UUID of this database and source; "" if it has none yet
	EndUserID string // the end-user in Dixa that bears it; "" if that is not known
}

var (
	readSourceMark = both(`select coalesce(mark_id, ''), coalesce(mark_end_user_id, '') from dixa_import.sources where source = $1::text`)
	claimMark      = both(`update dixa_import.sources set mark_id = coalesce(mark_id, $2::text) where source = $1::text
		returning mark_id, coalesce(mark_end_user_id, '')`)
	setSourceMark = both(`update dixa_import.sources set mark_id = $2::text, mark_end_user_id = nullif($3::text, '') where source = $1::text`)
)

func (m *SourceMark) scan(row scanner) error { return row.Scan(&m.ID, &m.EndUserID) }

// SourceMark returns the mark of a source, the zero SourceMark if it has none yet.
func (s *Store) SourceMark(ctx context.Context, source string) (m SourceMark, err error) {
	read := readSourceMark.with(source)
	read.row = m.scan
	err = s.read(ctx, "read", read)
	return m, err
}

// ClaimSourceMark gives the mark of a source that is bound this id, unless it has one, and returns the mark. Of several that claim at
// once, all get the same.
func (s *Store) ClaimSourceMark(ctx context.Context, source, id string) (m SourceMark, err error) {
	claim := claimMark.with(source, id)
	claim.row = m.scan
	if err = s.write(ctx, "write", claim); err == nil && m.ID == "" {
		err = fmt.Errorf("source %s is tied to no organisation yet", source)
	}
	return m, err
}

// SetSourceMark replaces the mark of a source that is bound.
func (s *Store) SetSourceMark(ctx context.Context, source string, m SourceMark) error {
	return s.write(ctx, "write", setSourceMark.with(source, m.ID, m.EndUserID))
}

var (
	readWatermark = both(`select {at {past watermark $2}}, watermark is not null and {past watermark $2} is null
		from dixa_import.sources where source = $1::text`)
	advanceWatermark = both(`update dixa_import.sources set watermark = (select max(v) from (select {past watermark $2} as v union all
			select min(v) from (select $4::timestamptz as v union all select {in $3} union all
				select min(closed_at) from dixa_import.transcripts {indexed by transcripts_unfinished} where source = $1::text and unfinished) as bounds) as marks)
		where source = $1::text returning {at watermark}`)
)

// Watermark returns the source's watermark, zero if there is none. One that is later than the present was set by records that were
// closed in the future and says nothing about those closed since: it is returned as zero, with ahead true.
func (s *Store) Watermark(ctx context.Context, source string) (at time.Time, ahead bool, err error) {
	read := readWatermark.with(source, present)
	read.row = func(row scanner) error { return row.Scan(instant{&at}, &ahead) }
	err = s.read(ctx, "read", read)
	return at, ahead, err
}

// AdvanceWatermark raises the watermark to upTo (everything closed up to then has been looked at), but neither beyond the present less
// overlap nor beyond the first closed_at of a transcript that is Pending, Sending or Imported, and returns it. It lowers only a
// watermark that is later than the present.
func (s *Store) AdvanceWatermark(ctx context.Context, source string, upTo time.Time, overlap time.Duration) (watermark time.Time, err error) {
	if upTo.IsZero() {
		watermark, _, err = s.Watermark(ctx, source)
		return watermark, err
	}
	advance := advanceWatermark.with(source, present, fromNow(-overlap), upTo)
	advance.row = func(row scanner) error { return row.Scan(instant{&watermark}) }
	err = s.write(ctx, "advance the watermark in", advance)
	return watermark, err
}
