package checkpoint

import (
	"context"
	"time"
)

// VerifyMark is the progress of a comparison of all transcripts of a source with Dixa. The zero value means that there is none.
type VerifyMark struct {
	After     string // all transcripts up to this id were compared
	Checked   int64
	Differing int64
	// StartedAt is when the first mark of the comparison was set. SetVerifyMark ignores it.
	StartedAt time.Time
}

var (
	readVerifyMark = both(`select after, checked, differing, {at started_at} from dixa_import.verify_marks where source = $1::text`)
	setVerifyMark  = both(`insert into dixa_import.verify_marks (source, after, checked, differing, started_at)
		values ($1::text, $2::text, $3::bigint, $4::bigint, {in $5}) on conflict (source) do update
		set after = excluded.after, checked = excluded.checked, differing = excluded.differing`)
	clearVerifyMark = both(`delete from dixa_import.verify_marks where source = $1::text`)
)

// VerifyMark returns the progress of the source's comparison, the zero VerifyMark if there is none.
func (s *Store) VerifyMark(ctx context.Context, source string) (m VerifyMark, err error) {
	read := readVerifyMark.with(source)
	read.row = func(row scanner) error { return row.Scan(&m.After, &m.Checked, &m.Differing, instant{&m.StartedAt}) }
	err = s.read(ctx, "read", read)
	return m, err
}

// SetVerifyMark records the progress of a comparison. The zero mark says that none is in progress.
func (s *Store) SetVerifyMark(ctx context.Context, source string, m VerifyMark) error {
	set := setVerifyMark.with(source, clean(m.After), m.Checked, m.Differing, present)
	if m.After == "" {
		set = clearVerifyMark.with(source)
	}
	return s.write(ctx, "write", set)
}
