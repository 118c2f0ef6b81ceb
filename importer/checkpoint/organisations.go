package checkpoint

import (
	"context"
	"time"
)

// ExternalIDs says whether Dixa returns the external ids of imported messages.
type ExternalIDs int

// The values of ExternalIDs.
const (
	IDsUnknown  ExternalIDs = iota
	IDsReturned             // messages come back with theirs
	IDsWithheld             // messages come back without
)

// Facts are what was observed of Dixa's behaviour for an organisation. The zero value means that nothing is known yet.
type Facts struct {
	ExternalIDs ExternalIDs
	// ListLag is the longest time for which an imported conversation was missing from its end-user's list, in milliseconds rounded up;
	// nil if not measured.
	ListLag *time.Duration
	// LookUpLag is the longest time for which a look-up did not find a new end-user; likewise.
	LookUpLag *time.Duration
}

// KnownImport is an import with a recorded conversation.
type KnownImport struct {
	ID             string
	ConversationID int64
	EndUserID      string
	Age            time.Duration // since it was recorded, by the database's clock
}

var (
	readFacts = both(`select external_ids, list_lag_ms, look_up_lag_ms from dixa_import.organisations
		where base_url = $1::text and organisation = $2::text`)
	learnFacts = both(`insert into dixa_import.organisations as known (base_url, organisation, external_ids, list_lag_ms, look_up_lag_ms, updated_at)
		values ($1::text, $2::text, $3::boolean, $4::bigint, $5::bigint, {in $6}) on conflict (base_url, organisation) do update
		set external_ids = coalesce(excluded.external_ids, known.external_ids),
			list_lag_ms = case when excluded.list_lag_ms < known.list_lag_ms then known.list_lag_ms else coalesce(excluded.list_lag_ms, known.list_lag_ms) end,
			look_up_lag_ms = case when excluded.look_up_lag_ms < known.look_up_lag_ms then known.look_up_lag_ms
				else coalesce(excluded.look_up_lag_ms, known.look_up_lag_ms) end, updated_at = excluded.updated_at
		returning external_ids, list_lag_ms, look_up_lag_ms`)
	latestImports = both(`select transcript_id, conversation_id, end_user_id, {at imported_at}, {at {in $3}}
		from dixa_import.transcripts where source = $1::text and conversation_id is not null and imported_at is not null and end_user_id is not null
		order by imported_at desc limit $2::bigint`)
)

// Facts returns what is known of Dixa's behaviour for an organisation.
func (s *Store) Facts(ctx context.Context, of Binding) (f Facts, err error) {
	read := readFacts.with(clean(of.BaseURL), clean(of.Organisation))
	read.row = f.scan
	err = s.read(ctx, "read", read)
	return f, err
}

// Learn records new facts, and returns all known ones. A lag replaces only a shorter one, and ExternalIDs the previous value. Unknown values
// replace nothing.
func (s *Store) Learn(ctx context.Context, of Binding, f Facts) (all Facts, err error) {
	set := learnFacts.with(append(append([]any{clean(of.BaseURL), clean(of.Organisation)}, factArgs(f)...), present)...)
	set.row = all.scan
	err = s.write(ctx, "write", set)
	return all, err
}

// LatestImports returns imports of the source whose end-user is known, latest first. It reads all transcripts, which may take minutes.
func (s *Store) LatestImports(ctx context.Context, source string, limit int) (list []KnownImport, err error) {
	read := latestImports.with(source, limit, present)
	read.row = func(row scanner) error {
		var k KnownImport
		var at, now time.Time
		err := row.Scan(&k.ID, &k.ConversationID, &k.EndUserID, instant{&at}, instant{&now})
		k.Age = now.Sub(at)
		list = append(list, k)
		return err
	}
	err = s.read(ctx, "read", read)
	return list, err
}

// scan scans external_ids, list_lag_ms and look_up_lag_ms.
func (f *Facts) scan(row scanner) error {
	var returned *bool
	var list, lookUp *int64
	if err := row.Scan(&returned, &list, &lookUp); err != nil {
		return err
	}
	*f = Facts{}
	if returned != nil {
		f.ExternalIDs = IDsWithheld
		if *returned {
			f.ExternalIDs = IDsReturned
		}
	}
	f.ListLag, f.LookUpLag = lagOf(list), lagOf(lookUp)
	return nil
}

// factArgs returns the arguments for the columns that scan scans.
func factArgs(f Facts) []any {
	var returned *bool
	if f.ExternalIDs != IDsUnknown {
		is := f.ExternalIDs == IDsReturned
		returned = &is
	}
	return []any{returned, lagMillis(f.ListLag), lagMillis(f.LookUpLag)}
}

func lagOf(ms *int64) *time.Duration {
	if ms == nil {
		return nil
	}
	d := time.Duration(*ms) * time.Millisecond
	return &d
}

// lagMillis returns a lag in milliseconds, rounded up so that it is never too short.
func lagMillis(d *time.Duration) *int64 {
	if d == nil {
		return nil
	}
	ms := max(0, (*d + time.Millisecond - 1).Milliseconds())
	return &ms
}
