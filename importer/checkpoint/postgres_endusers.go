package checkpoint

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// kindsAndValues returns identifiers as two arrays.
func kindsAndValues(ids []Identifier) (kinds, values []string) {
	for _, id := range ids {
		kinds, values = append(kinds, string(id.Kind)), append(values, id.Value)
	}
	return kinds, values
}

// Each identifier is looked up by itself, as postgresAsked does it.
const postgresFindEndUsers = `select asked_kind, asked_value, end_user_id from unnest($2::text[], $3::text[]) as asked (asked_kind, asked_value)
	cross join lateral (select end_user_id from dixa_import.end_users where kind = asked_kind and value = asked_value
		and organisation = $1::text and end_user_id is not null offset 0) as e`

func (s *postgresStore) FindEndUsers(ctx context.Context, organisation string, ids []Identifier) (map[Identifier]string, error) {
	found := map[Identifier]string{}
	if len(ids) == 0 {
		return found, nil
	}
	kinds, values := kindsAndValues(storedIdentifiers(ids))
	err := s.query(ctx, "read", func(rows pgx.Rows) error {
		var id Identifier
		var user string
		err := rows.Scan(&id.Kind, &id.Value, &user)
		found[id] = user
		return err
	}, postgresFindEndUsers, organisation, kinds, values)
	if err != nil {
		return nil, err
	}
	return byIdentifier(ids, found), nil
}

const (
	// postgresLockEndUsers inserts what is missing and locks what is there, in one pass in the order of the key, so that
	// processes wait for each other and never in a circle. The update changes nothing: it is what locks. A row that was
	// inserted has no xmax.
	postgresLockEndUsers = `insert into dixa_import.end_users as e (kind, value, organisation, reserved_by, reserved_at)
		select kind, value, $1::text, $2::bigint, now()
		from unnest($3::text[], $4::text[]) with ordinality as v (kind, value, ordinal) order by ordinal
		on conflict (kind, value) do update set organisation = e.organisation
		returning kind, value, organisation, coalesce(end_user_id, ''), coalesce(reserved_by, 0), xmax = 0`
	postgresReserve = `update dixa_import.end_users e set end_user_id = null, resolved_at = null, organisation = $1::text,
		reserved_by = $2::bigint, reserved_at = now()
		from (select place from unnest($3::text[], $4::text[]) as asked (asked_kind, asked_value)
			cross join lateral (select ctid as place from dixa_import.end_users
				where kind = asked_kind and value = asked_value offset 0) as l) as v
		where e.ctid = v.place`
	postgresUnreserve = `delete from dixa_import.end_users e using unnest($1::text[], $2::text[]) as v (kind, value)
		where e.kind = v.kind and e.value = v.value`
)

func (s *postgresStore) ReserveEndUsers(ctx context.Context, organisation string, run int64, persons [][]Identifier) ([]Reservation, error) {
	if len(persons) == 0 {
		return nil, nil
	}
	kinds, values := kindsAndValues(storedIdentifiers(persons...))
	var answers []Reservation
	inserted, rows, alive := map[Identifier]bool{}, map[Identifier]endUserRow{}, map[int64]bool{}
	err := s.writing(ctx, "reserve end-users in", func(b *pgx.Batch) error {
		b.Queue(postgresLockEndUsers, organisation, run, kinds, values).Query(eachRow(func(r pgx.Rows) error {
			var id Identifier
			var row endUserRow
			var owner string
			var isNew bool
			err := r.Scan(&id.Kind, &id.Value, &owner, &row.endUserID, &row.reservedBy, &isNew)
			switch {
			case isNew:
				inserted[id] = true
			case owner == organisation:
				rows[id] = row
			}
			return err
		}))
		queueAlive(b, alive)
		return nil
	}, func(b *pgx.Batch) error {
		var granted []Identifier
		answers, granted = reserveAll(persons, rows, run, alive)
		queueReserve(b, organisation, run, granted, inserted)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

// queueReserve writes what is granted and takes back what was inserted for the others.
func queueReserve(b *pgx.Batch, organisation string, run int64, granted []Identifier, inserted map[Identifier]bool) {
	var taken []Identifier // rows that were there
	for _, id := range granted {
		if !inserted[id] {
			taken = append(taken, id)
		}
		delete(inserted, id)
	}
	if kinds, values := kindsAndValues(taken); len(kinds) > 0 {
		b.Queue(postgresReserve, organisation, run, kinds, values)
	}
	var refused []Identifier
	for id := range inserted {
		refused = append(refused, id)
	}
	if kinds, values := kindsAndValues(refused); len(kinds) > 0 {
		b.Queue(postgresUnreserve, kinds, values)
	}
}

const postgresSaveEndUsers = `insert into dixa_import.end_users (kind, value, end_user_id, resolved_at, organisation)
		select kind, value, end_user_id, now(), $1::text
		from unnest($2::text[], $3::text[], $4::text[]) with ordinality as v (kind, value, end_user_id, ordinal) order by ordinal
		on conflict (kind, value) do update set end_user_id = excluded.end_user_id, resolved_at = excluded.resolved_at,
			organisation = excluded.organisation, reserved_by = null, reserved_at = null`

func (s *postgresStore) SaveEndUsers(ctx context.Context, organisation string, users []EndUser) error {
	ids, owner := ownerships(users)
	if len(ids) == 0 {
		return nil
	}
	kinds, values := kindsAndValues(ids)
	owners := make([]string, len(ids))
	for i, id := range ids {
		owners[i] = owner[id]
	}
	return s.writing(ctx, "record end-users in", func(b *pgx.Batch) error {
		b.Queue(postgresSaveEndUsers, organisation, kinds, values, owners)
		return nil
	})
}

const postgresReleaseEndUsers = `delete from dixa_import.end_users e using (
		select kind, value from dixa_import.end_users
		where (kind, value) in (select kind, value from unnest($3::text[], $4::text[]) as asked (kind, value))
			and organisation = $1::text and reserved_by = $2::bigint and end_user_id is null
		order by kind, value for update) as mine
	where e.kind = mine.kind and e.value = mine.value`

func (s *postgresStore) ReleaseEndUsers(ctx context.Context, organisation string, run int64, ids []Identifier) error {
	if len(ids) == 0 {
		return nil
	}
	kinds, values := kindsAndValues(storedIdentifiers(ids))
	return s.writing(ctx, "release end-users in", func(b *pgx.Batch) error {
		b.Queue(postgresReleaseEndUsers, organisation, run, kinds, values)
		return nil
	})
}

const postgresForgetEndUser = `delete from dixa_import.end_users where end_user_id = $1::text and organisation = $2::text`

func (s *postgresStore) ForgetEndUser(ctx context.Context, organisation, endUserID string) error {
	return s.writing(ctx, "forget an end-user in", func(b *pgx.Batch) error {
		b.Queue(postgresForgetEndUser, clean(endUserID), organisation)
		return nil
	})
}

// forgetPatience is how long it may take to look through all transcripts.
const forgetPatience = 10 * time.Minute

const (
	postgresPersons = `select distinct end_user_id from dixa_import.end_users
		join unnest($1::text[], $2::text[]) as asked (kind, value) using (kind, value)
		where end_user_id is not null order by end_user_id`
	// No index serves this: it would cost every import more than it saves the rare request to be forgotten.
	postgresTranscriptsOf = `select source, transcript_id from dixa_import.transcripts
		where end_user_id = any($1::text[]) and ` + forgettable
	postgresForgetTranscripts = `with theirs as (
			select source, transcript_id from dixa_import.transcripts
			join unnest($2::text[], $3::text[]) as found (source, transcript_id) using (source, transcript_id)
			where end_user_id = any($1::text[]) and ` + forgettable + `
			order by source, transcript_id for update of transcripts
		), forgotten as (
			update dixa_import.transcripts t set end_user_id = null, error = null, updated_at = now() from theirs
			where t.source = theirs.source and t.transcript_id = theirs.transcript_id returning t.source, t.transcript_id
		) update dixa_import.partial_errors p set message = '' from forgotten
			where p.source = forgotten.source and p.transcript_id = forgotten.transcript_id and ` + forgettableMessage
	// A reservation is left to a run that is alive: it is about to create the end-user.
	postgresForgetIdentifiers = `delete from dixa_import.end_users e using (
			select kind, value from dixa_import.end_users where end_user_id = any($1::text[])
				or (kind, value) in (select kind, value from unnest($2::text[], $3::text[]) as asked (kind, value))
				and end_user_id is null and not exists (select from dixa_import.runs
					where id = reserved_by and finished_at is null and lease_until > clock_timestamp())
			order by kind, value for update of end_users) as theirs
		where e.kind = theirs.kind and e.value = theirs.value`
)

const postgresOfPersons = `select source, transcript_id, status, coalesce(conversation_id, 0) from dixa_import.transcripts
	where end_user_id = any($1::text[]) order by source, transcript_id`

func (s *postgresStore) FindPerson(ctx context.Context, ids []Identifier) (endUserIDs []string, transcripts []OfPerson, err error) {
	endUserIDs, err = s.persons(ctx, ids)
	if err != nil || len(endUserIDs) == 0 {
		return endUserIDs, nil, err
	}
	patient := postgresStore{pool: s.pool, patience: forgetPatience}
	err = patient.query(ctx, "read", func(rows pgx.Rows) error {
		var t OfPerson
		err := rows.Scan(&t.Source, &t.ID, &t.Status, &t.ConversationID)
		transcripts = append(transcripts, t)
		return err
	}, postgresOfPersons, endUserIDs)
	return endUserIDs, transcripts, err
}

// persons returns the end-users that identifiers belong to in any organisation.
func (s *postgresStore) persons(ctx context.Context, ids []Identifier) (endUserIDs []string, err error) {
	kinds, values := kindsAndValues(storedIdentifiers(ids))
	err = s.query(ctx, "read", func(rows pgx.Rows) error {
		var id string
		err := rows.Scan(&id)
		endUserIDs = append(endUserIDs, id)
		return err
	}, postgresPersons, kinds, values)
	return endUserIDs, err
}

func (s *postgresStore) ForgetPerson(ctx context.Context, ids []Identifier) (endUserIDs []string, removed int64, err error) {
	kinds, values := kindsAndValues(storedIdentifiers(ids))
	if endUserIDs, err = s.persons(ctx, ids); err != nil {
		return nil, 0, err
	}
	var sources, transcripts []string
	if len(endUserIDs) > 0 {
		patient := postgresStore{pool: s.pool, patience: forgetPatience}
		err = patient.query(ctx, "read", func(rows pgx.Rows) error {
			var source, id string
			err := rows.Scan(&source, &id)
			sources, transcripts = append(sources, source), append(transcripts, id)
			return err
		}, postgresTranscriptsOf, endUserIDs)
		if err != nil {
			return endUserIDs, 0, err
		}
	}
	err = s.writing(ctx, "forget a person in", func(b *pgx.Batch) error {
		b.Queue(postgresForgetTranscripts, endUserIDs, sources, transcripts)
		b.Queue(postgresForgetIdentifiers, endUserIDs, kinds, values).Exec(func(tag pgconn.CommandTag) error {
			removed = tag.RowsAffected()
			return nil
		})
		return nil
	})
	return endUserIDs, removed, err
}
