package checkpoint

import (
	"context"
	"database/sql"
)

const sqliteEndUsers = `select value, coalesce(end_user_id, ''), coalesce(reserved_by, 0) from end_users
	where organisation = ? and kind = ? and value in (in)`

// sqliteEndUserRows returns what the organisation's rows say of the identifiers.
func sqliteEndUserRows(tx sqliteTx, organisation string, ids []Identifier) (map[Identifier]endUserRow, error) {
	byKind := map[IdentifierKind][]string{}
	for _, id := range ids {
		byKind[id.Kind] = append(byKind[id.Kind], id.Value)
	}
	found := map[Identifier]endUserRow{}
	for kind, values := range byKind {
		err := queryIn(tx, func(rows *sql.Rows) error {
			id := Identifier{Kind: kind}
			var row endUserRow
			err := rows.Scan(&id.Value, &row.endUserID, &row.reservedBy)
			found[id] = row
			return err
		}, sqliteEndUsers, values, organisation, kind)
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (s *sqliteStore) FindEndUsers(ctx context.Context, organisation string, ids []Identifier) (map[Identifier]string, error) {
	found := map[Identifier]string{}
	err := s.reading(ctx, "read", func(tx sqliteTx) error {
		rows, err := sqliteEndUserRows(tx, organisation, storedIdentifiers(ids))
		for id, row := range rows {
			if row.endUserID != "" {
				found[id] = row.endUserID
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return byIdentifier(ids, found), nil
}

const sqliteReserve = `insert into end_users (kind, value, organisation, reserved_by, reserved_at) values (?, ?, ?, ?, ?)
	on conflict (kind, value) do update set end_user_id = null, resolved_at = null, organisation = excluded.organisation,
		reserved_by = excluded.reserved_by, reserved_at = excluded.reserved_at`

func (s *sqliteStore) ReserveEndUsers(ctx context.Context, organisation string, run int64, persons [][]Identifier) ([]Reservation, error) {
	if len(persons) == 0 {
		return nil, nil
	}
	var answers []Reservation
	err := s.writing(ctx, "reserve end-users in", func(tx sqliteTx) error {
		alive, err := sqliteAlive(tx)
		if err != nil {
			return err
		}
		rows, err := sqliteEndUserRows(tx, organisation, storedIdentifiers(persons...))
		if err != nil {
			return err
		}
		var granted []Identifier
		answers, granted = reserveAll(persons, rows, run, alive)
		for _, id := range granted {
			if _, err := tx.exec(sqliteReserve, id.Kind, id.Value, organisation, run, sqliteTime(tx.now)); err != nil {
				return err
			}
		}
		return nil
	})
	return answers, err
}

const sqliteSaveEndUser = `insert into end_users (kind, value, end_user_id, resolved_at, organisation) values (?, ?, ?, ?, ?)
	on conflict (kind, value) do update set end_user_id = excluded.end_user_id, resolved_at = excluded.resolved_at,
		organisation = excluded.organisation, reserved_by = null, reserved_at = null`

func (s *sqliteStore) SaveEndUsers(ctx context.Context, organisation string, users []EndUser) error {
	ids, owner := ownerships(users)
	if len(ids) == 0 {
		return nil
	}
	return s.writing(ctx, "record end-users in", func(tx sqliteTx) error {
		for _, id := range ids {
			_, err := tx.exec(sqliteSaveEndUser, id.Kind, id.Value, owner[id], sqliteTime(tx.now), organisation)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

const sqliteReleaseEndUser = `delete from end_users
	where kind = ? and value = ? and organisation = ? and reserved_by = ? and end_user_id is null`

func (s *sqliteStore) ReleaseEndUsers(ctx context.Context, organisation string, run int64, ids []Identifier) error {
	if len(ids) == 0 {
		return nil
	}
	return s.writing(ctx, "release end-users in", func(tx sqliteTx) error {
		for _, id := range storedIdentifiers(ids) {
			if _, err := tx.exec(sqliteReleaseEndUser, id.Kind, id.Value, organisation, run); err != nil {
				return err
			}
		}
		return nil
	})
}

const sqliteForgetEndUser = `delete from end_users where end_user_id = ? and organisation = ?`

func (s *sqliteStore) ForgetEndUser(ctx context.Context, organisation, endUserID string) error {
	return s.writing(ctx, "forget an end-user in", func(tx sqliteTx) error {
		_, err := tx.exec(sqliteForgetEndUser, clean(endUserID), organisation)
		return err
	})
}
