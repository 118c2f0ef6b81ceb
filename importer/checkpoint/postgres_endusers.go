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

// postgresFindEndUsers looks each identifier up on its own, for the reason that postgresAsked gives.
const postgresFindEndUsers = `select asked_kind, asked_value, end_user_id from unnest($2::text[], $3::text[]) as asked (asked_kind, asked_value)
	cross join lateral (select end_user_id from dixa_import.end_users where kind = asked_kind and value = asked_value
		and organisation = $1::text and end_user_id is not null and not shared offset 0) as e`

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
	// postgresLockEndUsers inserts missing rows and locks existing ones, in one pass in the order of the key, which prevents deadlocks
	// between processes. The update changes nothing; it only takes the lock. An inserted row has xmax = 0.
	postgresLockEndUsers = `insert into dixa_import.end_users as e (kind, value, organisation, reserved_by, reserved_at)
		select kind, value, $1::text, $2::bigint, now()
		from unnest($3::text[], $4::text[]) with ordinality as v (kind, value, ordinal) order by ordinal
		on conflict (kind, value) do update set organisation = e.organisation
		returning kind, value, organisation, coalesce(end_user_id, ''), coalesce(reserved_by, 0), shared, xmax = 0`
	postgresReserve = `update dixa_import.end_users e set end_user_id = null, resolved_at = null, organisation = $1::text,
		reserved_by = $2::bigint, reserved_at = now(), shared = false
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
			var isNew, shared bool
			err := r.Scan(&id.Kind, &id.Value, &owner, &row.endUserID, &row.reservedBy, &shared, &isNew)
			switch {
			case isNew:
				inserted[id] = true
			case owner == organisation && !shared:
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

// queueReserve writes the granted reservations and deletes the rows that were inserted for the refused ones.
func queueReserve(b *pgx.Batch, organisation string, run int64, granted []Identifier, inserted map[Identifier]bool) {
	var taken []Identifier // rows that existed before
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
			organisation = excluded.organisation, reserved_by = null, reserved_at = null, shared = false`

func (s *postgresStore) SaveEndUsers(ctx context.Context, organisation string, users []EndUser) error {
	if ids, _ := ownerships(users); len(ids) == 0 {
		return nil
	}
	return s.writing(ctx, "record end-users in", func(b *pgx.Batch) error {
		queueSaveEndUsers(b, organisation, users)
		return nil
	})
}

func queueSaveEndUsers(b *pgx.Batch, organisation string, users []EndUser) {
	ids, owner := ownerships(users)
	kinds, values := kindsAndValues(ids)
	owners := make([]string, len(ids))
	for i, id := range ids {
		owners[i] = owner[id]
	}
	b.Queue(postgresSaveEndUsers, organisation, kinds, values, owners)
}

// postgresLockEndUser takes the lock that lets one process at a time add identifiers to an end-user. It is taken before any row lock, and
// ends with the transaction.
const postgresLockEndUser = `select pg_advisory_xact_lock(hashtextextended('dixa_import.end_users ' || $1::text, 0))`

func (s *postgresStore) JoinEndUser(ctx context.Context, organisation string, user EndUser, seen []Identifier) (joined bool, err error) {
	var known []Identifier
	err = s.writing(ctx, "record an end-user in", func(b *pgx.Batch) error {
		known = nil
		b.Queue(postgresLockEndUser, clean(user.ID))
		return nil
	}, func(b *pgx.Batch) error {
		b.Queue(readIdentifiers.postgres, clean(user.ID), organisation).Query(eachRow(func(r pgx.Rows) error {
			var id Identifier
			err := r.Scan(&id.Kind, &id.Value)
			known = append(known, id)
			return err
		}))
		return nil
	}, func(b *pgx.Batch) error {
		if joined = mayJoin(user, known, seen); joined {
			queueSaveEndUsers(b, organisation, []EndUser{user})
		}
		return nil
	})
	return joined && err == nil, err
}
