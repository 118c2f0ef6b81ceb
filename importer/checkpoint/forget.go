package checkpoint

import (
	"context"
	"slices"
	"time"
)

// forgetPatience is how long a scan of all transcripts may take.
const forgetPatience = 10 * time.Minute

const (
	// forgettable matches the transcripts that need their end-user no longer.
	forgettable = `status in ('complete', 'partial', 'failed', 'rejected', 'skipped')`
	// forgettableMessage matches the partial errors whose message may come from Dixa.
	forgettableMessage = `kind not in ('adopted', 'duplicate')`
)

var (
	readIdentifiers = both(`select kind, value from dixa_import.end_users
		where end_user_id = $1::text and organisation = $2::text and not shared order by kind, value`)
	releaseReserved = both(`delete from dixa_import.end_users
		where kind = $1::text and value = $2::text and organisation = $3::text and reserved_by = $4::bigint and end_user_id is null`)
	forgetEndUser = both(`delete from dixa_import.end_users where end_user_id = $1::text and organisation = $2::text`)
	ownerOf       = both(`select end_user_id from dixa_import.end_users where kind = $1::text and value = $2::text and end_user_id is not null`)
	// This query has no index: an index would slow down every import, and requests to be forgotten are rare.
	transcriptsOf = both(`select source, transcript_id, status, coalesce(conversation_id, 0) from dixa_import.transcripts
		where end_user_id {any $1} order by source, transcript_id`)
	forgetTranscript = both(`update dixa_import.transcripts set end_user_id = null, error = null, updated_at = {in $4}
		where source = $1::text and transcript_id = $2::text and end_user_id {any $3} and ` + forgettable)
	forgetMessages = both(`update dixa_import.partial_errors set message = '' where source = $1::text and transcript_id = $2::text and ` + forgettableMessage + `
		and exists (select 1 from dixa_import.transcripts where source = $1::text and transcript_id = $2::text and end_user_id is null and ` + forgettable + `)`)
	forgetPerson = apart(`delete from dixa_import.end_users e using (select kind, value from dixa_import.end_users
			where end_user_id {any $1} order by kind, value for update) as theirs
		where e.kind = theirs.kind and e.value = theirs.value`,
		`delete from end_users where end_user_id {any $1}`)
	// Reservations of runs that are alive stay: they are about to create the end-user.
	forgetReservation = both(`delete from dixa_import.end_users where kind = $1::text and value = $2::text and end_user_id is null and not exists
		(select 1 from dixa_import.runs where id = reserved_by and finished_at is null and lease_until > {in $3})`)
)

// EndUserIdentifiers returns the recorded identifiers of an end-user, in stored form.
func (s *Store) EndUserIdentifiers(ctx context.Context, organisation, endUserID string) (ids []Identifier, err error) {
	read := readIdentifiers.with(clean(endUserID), organisation)
	read.row = func(row scanner) error {
		var id Identifier
		err := row.Scan(&id.Kind, &id.Value)
		ids = append(ids, id)
		return err
	}
	err = s.read(ctx, "read", read)
	return ids, err
}

// ReleaseEndUsers deletes the run's reservations of these identifiers.
func (s *Store) ReleaseEndUsers(ctx context.Context, organisation string, run int64, ids []Identifier) error {
	var list []statement
	for _, id := range storedIdentifiers(ids) { // in the order of the key, which prevents deadlocks between processes
		list = append(list, releaseReserved.with(string(id.Kind), id.Value, organisation, run))
	}
	if len(list) == 0 {
		return nil
	}
	return s.write(ctx, "release end-users in", list...)
}

// ForgetEndUser deletes all identifiers of an end-user that no longer exists in Dixa.
func (s *Store) ForgetEndUser(ctx context.Context, organisation, endUserID string) error {
	return s.write(ctx, "forget an end-user in", forgetEndUser.with(clean(endUserID), organisation))
}

// FindPerson returns the ids of the end-users that these identifiers belong to, in all organisations, and their transcripts in all
// sources. It reads all transcripts, which may take minutes.
func (s *Store) FindPerson(ctx context.Context, ids []Identifier) (endUserIDs []string, list []OfPerson, err error) {
	for _, id := range storedIdentifiers(ids) {
		read := ownerOf.with(string(id.Kind), id.Value)
		read.row = func(row scanner) error {
			var user string
			err := row.Scan(&user)
			endUserIDs = append(endUserIDs, user)
			return err
		}
		if err := s.read(ctx, "read", read); err != nil {
			return nil, nil, err
		}
	}
	if len(endUserIDs) == 0 {
		return nil, nil, nil
	}
	slices.Sort(endUserIDs)
	endUserIDs = slices.Compact(endUserIDs)
	read := transcriptsOf.with(endUserIDs)
	read.patience = forgetPatience
	read.row = func(row scanner) error {
		var t OfPerson
		err := row.Scan(&t.Source, &t.ID, &t.Status, &t.ConversationID)
		list = append(list, t)
		return err
	}
	err = s.read(ctx, "read", read)
	return endUserIDs, list, err
}

// ForgetPerson erases a person in all sources and organisations: it deletes all identifiers of the end-users that these identifiers belong
// to, removes what was written in the events of their conversations, and clears the end-user and the error messages on their transcripts that are Complete, Partial, Failed, Rejected or Skipped.
// Unfinished transcripts keep their end-user: call it again when they are done. It reads all transcripts, which may take minutes. It
// returns the ids of the end-users, who remain in Dixa, and the number of deleted identifiers. The ids are valid even with an error: what
// was erased cannot be found again.
func (s *Store) ForgetPerson(ctx context.Context, ids []Identifier) (endUserIDs []string, removed int64, err error) {
	endUserIDs, transcripts, err := s.FindPerson(ctx, ids)
	if err != nil {
		return endUserIDs, 0, err
	}
	var list []statement
	for _, t := range transcripts {
		list = append(list, forgetTranscript.with(t.Source, t.ID, endUserIDs, present), forgetMessages.with(t.Source, t.ID), forgetEvents.with(t.Source, t.ID))
	}
	count := func(changed int64) error {
		removed += changed
		return nil
	}
	theirs := forgetPerson.with(endUserIDs)
	theirs.changed = count
	list = append(list, theirs)
	for _, id := range storedIdentifiers(ids) {
		reserved := forgetReservation.with(string(id.Kind), id.Value, present)
		reserved.changed = count
		list = append(list, reserved)
	}
	if err = s.write(ctx, "forget a person in", list...); err == nil {
		err = s.erase(ctx)
	}
	return endUserIDs, removed, err
}
