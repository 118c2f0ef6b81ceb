package checkpoint

import (
	"context"
	"time"
)

// VerifyMark is how far a comparison of all transcripts of a source with Dixa has come. The zero value is none.
type VerifyMark struct {
	After     string // every transcript up to this id has been looked at
	Checked   int64
	Differing int64
	// StartedAt is when the first of the comparison's marks was set. Setting a mark ignores it.
	StartedAt time.Time
}

var (
	readVerifyMark = both(`select after, checked, differing, {at started_at} from dixa_import.verify_marks where source = $1::text`)
	setVerifyMark  = both(`insert into dixa_import.verify_marks (source, after, checked, differing, started_at)
		values ($1::text, $2::text, $3::bigint, $4::bigint, {in $5}) on conflict (source) do update
		set after = excluded.after, checked = excluded.checked, differing = excluded.differing`)
	clearVerifyMark = both(`delete from dixa_import.verify_marks where source = $1::text`)
)

// VerifyMark returns how far a comparison of the source's transcripts with Dixa has come.
func (s *Store) VerifyMark(ctx context.Context, source string) (m VerifyMark, err error) {
	read := readVerifyMark.with(source)
	read.row = func(row scanner) error { return row.Scan(&m.After, &m.Checked, &m.Differing, instant{&m.StartedAt}) }
	err = s.read(ctx, "read", read)
	return m, err
}

// SetVerifyMark records how far a comparison has come, or with the zero mark that none is under way.
func (s *Store) SetVerifyMark(ctx context.Context, source string, m VerifyMark) error {
	set := setVerifyMark.with(source, clean(m.After), m.Checked, m.Differing, present)
	if m.After == "" {
		set = clearVerifyMark.with(source)
	}
	return s.write(ctx, "write", set)
}
