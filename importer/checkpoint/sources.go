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

// Bind ties the source to an organisation on its first run. If the source is tied to another one, it returns a *BindingError, or, with
// rebind, ties it to this one.
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

// Binding returns the organisation that the source is tied to, the zero Binding if there is none yet.
func (s *Store) Binding(ctx context.Context, source string) (b Binding, err error) {
	read := readBinding.with(source)
	read.row = b.scan
	err = s.read(ctx, "read", read)
	return b, err
}

// SourceMark is the mark of a source in Dixa: an end-user whose name says which checkpoint imports the source.
type SourceMark struct {
	ID        string // a UUID for this database and source; "" if it has none yet
	EndUserID string // of the end-user in Dixa that is the mark; "" if unknown
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

// ClaimSourceMark sets the mark id of a bound source, unless it has one, and returns the mark. Concurrent calls all return the same mark.
func (s *Store) ClaimSourceMark(ctx context.Context, source, id string) (m SourceMark, err error) {
	claim := claimMark.with(source, id)
	claim.row = m.scan
	if err = s.write(ctx, "write", claim); err == nil && m.ID == "" {
		err = fmt.Errorf("source %s is not tied to an organisation yet", source)
	}
	return m, err
}

// SetSourceMark replaces the mark of a bound source.
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

// Watermark returns the source's watermark, zero if there is none. A watermark in the future comes from records with a future closed_at and
// says nothing about records that were closed since. For such a one, Watermark returns zero and ahead.
func (s *Store) Watermark(ctx context.Context, source string) (at time.Time, ahead bool, err error) {
	read := readWatermark.with(source, present)
	read.row = func(row scanner) error { return row.Scan(instant{&at}, &ahead) }
	err = s.read(ctx, "read", read)
	return at, ahead, err
}

// AdvanceWatermark raises the watermark to upTo, the time up to which all closed records were read, and returns it. It raises it neither
// beyond the current time less overlap, nor beyond the earliest closed_at of a transcript that is Pending, Sending or Imported. It lowers
// only a watermark in the future.
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
