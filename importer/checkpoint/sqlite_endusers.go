package checkpoint

import (
	"context"
	"database/sql"
)

const sqliteEndUsers = `select value, coalesce(end_user_id, ''), coalesce(reserved_by, 0) from end_users
	where organisation = ? and not shared and kind = ? and value in (in)`

// byKind returns the values of identifiers by their kind.
func byKind(ids []Identifier) map[IdentifierKind][]string {
	values := map[IdentifierKind][]string{}
	for _, id := range ids {
		values[id.Kind] = append(values[id.Kind], id.Value)
	}
	return values
}

// sqliteEndUserRows returns the organisation's rows of the identifiers.
func sqliteEndUserRows(tx sqliteTx, organisation string, ids []Identifier) (map[Identifier]endUserRow, error) {
	found := map[Identifier]endUserRow{}
	for kind, values := range byKind(ids) {
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
	on conflict (kind, value) do update set end_user_id = null, resolved_at = null, organisation = excluded.organisation, shared = 0,
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
		organisation = excluded.organisation, reserved_by = null, reserved_at = null, shared = 0`

func (s *sqliteStore) SaveEndUsers(ctx context.Context, organisation string, users []EndUser) error {
	if ids, _ := ownerships(users); len(ids) == 0 {
		return nil
	}
	return s.writing(ctx, "record end-users in", func(tx sqliteTx) error { return sqliteSaveEndUsers(tx, organisation, users) })
}

func sqliteSaveEndUsers(tx sqliteTx, organisation string, users []EndUser) error {
	ids, owner := ownerships(users)
	for _, id := range ids {
		if _, err := tx.exec(sqliteSaveEndUser, id.Kind, id.Value, owner[id], sqliteTime(tx.now), organisation); err != nil {
			return err
		}
	}
	return nil
}

func sqliteIdentifiersOf(tx sqliteTx, organisation, endUserID string) (ids []Identifier, err error) {
	err = tx.query(func(rows *sql.Rows) error {
		var id Identifier
		err := rows.Scan(&id.Kind, &id.Value)
		ids = append(ids, id)
		return err
	}, readIdentifiers.sqlite, clean(endUserID), organisation)
	return ids, err
}

func (s *sqliteStore) JoinEndUser(ctx context.Context, organisation string, user EndUser, seen []Identifier) (joined bool, err error) {
	err = s.writing(ctx, "record an end-user in", func(tx sqliteTx) error {
		known, err := sqliteIdentifiersOf(tx, organisation, user.ID)
		if joined = err == nil && mayJoin(user, known, seen); !joined {
			return err
		}
		return sqliteSaveEndUsers(tx, organisation, []EndUser{user})
	})
	return joined && err == nil, err
}

// erase rewrites the database and empties its log. Otherwise deleted data, and old copies of moved data, would stay in the file until the
// space is reused. It temporarily needs disk space for a second copy. A reader in another process may keep the log in use while it reads.
func (s *sqliteStore) erase(ctx context.Context) error {
	s.connLock <- struct{}{}
	defer func() { <-s.connLock }()
	for _, query := range []string{"vacuum", sqliteEmptyLog} {
		if _, err := s.conn.ExecContext(ctx, query); err != nil {
			return s.wrap("erase deleted data from", interrupted(ctx, err))
		}
	}
	return nil
}
