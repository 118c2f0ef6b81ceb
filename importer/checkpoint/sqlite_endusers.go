package checkpoint

import (
	"context"
	"database/sql"
	"slices"
)

const sqliteEndUsers = `select value, coalesce(end_user_id, ''), coalesce(reserved_by, 0) from end_users
	where organisation = ? and kind = ? and value in (in)`

// byKind returns the values of identifiers by their kind.
func byKind(ids []Identifier) map[IdentifierKind][]string {
	values := map[IdentifierKind][]string{}
	for _, id := range ids {
		values[id.Kind] = append(values[id.Kind], id.Value)
	}
	return values
}

// sqliteEndUserRows returns what the organisation's rows say of the identifiers.
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

const (
	sqlitePersons = `select distinct end_user_id from end_users where kind = ? and end_user_id is not null and value in (in)`
	// No index serves this: it would cost every import more than it saves the rare request to be forgotten.
	sqliteTranscriptsOf    = `select source, transcript_id, end_user_id from transcripts where ` + forgettable + ` and end_user_id in (in)`
	sqliteForgetTranscript = `update transcripts set end_user_id = null, error = null, updated_at = ?
		where source = ? and transcript_id = ? and end_user_id = ? and ` + forgettable
	sqliteForgetMessages = `update partial_errors set message = '' where source = ? and transcript_id = ? and ` + forgettableMessage
	sqliteForgetPerson   = `delete from end_users where end_user_id = ?`
	// A reservation is left to a run that is alive: it is about to create the end-user.
	sqliteForgetReservation = `delete from end_users where kind = ? and value = ? and end_user_id is null and not exists
		(select 1 from runs where id = reserved_by and finished_at is null and lease_until > ?)`
)

func (s *sqliteStore) ForgetPerson(ctx context.Context, ids []Identifier) (endUserIDs []string, removed int64, err error) {
	ids = storedIdentifiers(ids)
	var transcripts [][3]string // source, id and end-user
	err = s.reading(ctx, "read", func(tx sqliteTx) error {
		if endUserIDs, err = sqliteReadPersons(tx, ids); err != nil {
			return err
		}
		return queryIn(tx, func(rows *sql.Rows) error {
			var t [3]string
			err := rows.Scan(&t[0], &t[1], &t[2])
			transcripts = append(transcripts, t)
			return err
		}, sqliteTranscriptsOf, endUserIDs)
	})
	if err != nil {
		return endUserIDs, 0, err
	}
	err = s.writing(ctx, "forget a person in", func(tx sqliteTx) error {
		for _, t := range transcripts {
			changed, err := tx.exec(sqliteForgetTranscript, sqliteTime(tx.now), t[0], t[1], t[2])
			if err == nil && changed > 0 {
				_, err = tx.exec(sqliteForgetMessages, t[0], t[1])
			}
			if err != nil {
				return err
			}
		}
		removed, err = sqliteForgetIdentifiers(tx, endUserIDs, ids)
		return err
	})
	if err == nil {
		err = s.rewrite(ctx)
	}
	return endUserIDs, removed, err
}

// rewrite writes the database anew and empties its log: what was deleted, or moved to another place of a page, would stay in the
// file until something else needs the room. It takes as much disk again for a while. A reader in another process may keep
// the log alive for as long as it reads.
func (s *sqliteStore) rewrite(ctx context.Context) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	for _, query := range []string{"vacuum", sqliteEmptyLog} {
		if _, err := s.conn.ExecContext(ctx, query); err != nil {
			return s.wrap("erase what was deleted from", interrupted(ctx, err))
		}
	}
	return nil
}

const sqliteOfPersons = `select source, transcript_id, status, coalesce(conversation_id, 0) from transcripts
	where end_user_id in (in) order by source, transcript_id`

func (s *sqliteStore) FindPerson(ctx context.Context, ids []Identifier) (endUserIDs []string, transcripts []OfPerson, err error) {
	err = s.reading(ctx, "read", func(tx sqliteTx) error {
		if endUserIDs, err = sqliteReadPersons(tx, storedIdentifiers(ids)); err != nil {
			return err
		}
		return queryIn(tx, func(rows *sql.Rows) error {
			var t OfPerson
			err := rows.Scan(&t.Source, &t.ID, &t.Status, &t.ConversationID)
			transcripts = append(transcripts, t)
			return err
		}, sqliteOfPersons, endUserIDs)
	})
	return endUserIDs, transcripts, err
}

// sqliteReadPersons returns the end-users that identifiers belong to in any organisation, sorted and each once.
func sqliteReadPersons(tx sqliteTx, ids []Identifier) ([]string, error) {
	var endUserIDs []string
	for kind, values := range byKind(ids) {
		err := queryIn(tx, func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			endUserIDs = append(endUserIDs, id)
			return err
		}, sqlitePersons, values, kind)
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(endUserIDs)
	return slices.Compact(endUserIDs), nil
}

// sqliteForgetIdentifiers removes every identifier of the end-users, and these identifiers where they are only reserved.
func sqliteForgetIdentifiers(tx sqliteTx, endUserIDs []string, ids []Identifier) (removed int64, err error) {
	for _, user := range endUserIDs {
		changed, err := tx.exec(sqliteForgetPerson, user)
		if err != nil {
			return 0, err
		}
		removed += changed
	}
	for _, id := range ids {
		changed, err := tx.exec(sqliteForgetReservation, id.Kind, id.Value, sqliteTime(tx.now))
		if err != nil {
			return 0, err
		}
		removed += changed
	}
	return removed, nil
}
