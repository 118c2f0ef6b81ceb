package checkpoint

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// kindsAndValues returns identifiers as two arrays.
func kindsAndValues(ids []Identifier) (kinds, values []string) {
	for _, id := range ids {
		kinds, values = append(kinds, string(id.Kind)), append(values, id.Value)
	}
	return kinds, values
}

const postgresFindEndUsers = `select kind, value, end_user_id from dixa_import.end_users
	join unnest($2::text[], $3::text[]) as asked (kind, value) using (kind, value)
	where organisation = $1::text and end_user_id is not null`

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
		from unnest($3::text[], $4::text[]) as v (kind, value) where e.kind = v.kind and e.value = v.value`
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
	for _, id := range granted {
		delete(inserted, id)
	}
	if kinds, values := kindsAndValues(granted); len(kinds) > 0 {
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
	return s.writing(ctx, "record end-users in", nil, func(b *pgx.Batch) error {
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
	return s.writing(ctx, "release end-users in", nil, func(b *pgx.Batch) error {
		b.Queue(postgresReleaseEndUsers, organisation, run, kinds, values)
		return nil
	})
}

const postgresForgetEndUser = `delete from dixa_import.end_users where end_user_id = $1::text and organisation = $2::text`

func (s *postgresStore) ForgetEndUser(ctx context.Context, organisation, endUserID string) error {
	return s.writing(ctx, "forget an end-user in", nil, func(b *pgx.Batch) error {
		b.Queue(postgresForgetEndUser, clean(endUserID), organisation)
		return nil
	})
}
