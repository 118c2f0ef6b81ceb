package checkpoint

import (
	"context"
	"database/sql"
	"time"

	"github.com/jackc/pgx/v5"
)

// VerifyMark is how far a comparison of all transcripts of a source with Dixa has come. The zero value is none.
type VerifyMark struct {
	After     string // every transcript up to this id has been looked at
	Checked   int64
	Differing int64
	// StartedAt is when the first of the comparison's marks was set. Setting a mark ignores it.
	StartedAt time.Time
}

const (
	postgresMark = `select after, checked, differing, (extract(epoch from started_at) * 1000000)::bigint
		from dixa_import.verify_marks where source = $1::text`
	postgresSetMark = `insert into dixa_import.verify_marks (source, after, checked, differing)
		values ($1::text, $2::text, $3::bigint, $4::bigint) on conflict (source) do update
		set after = excluded.after, checked = excluded.checked, differing = excluded.differing`
	postgresClearMark = `delete from dixa_import.verify_marks where source = $1::text`
)

func (s *postgresStore) VerifyMark(ctx context.Context, source string) (m VerifyMark, err error) {
	err = s.query(ctx, "read", func(rows pgx.Rows) error {
		var at int64
		err := rows.Scan(&m.After, &m.Checked, &m.Differing, &at)
		m.StartedAt = fromMicros(&at)
		return err
	}, postgresMark, source)
	return m, err
}

func (s *postgresStore) SetVerifyMark(ctx context.Context, source string, m VerifyMark) error {
	return s.writing(ctx, "write", func(b *pgx.Batch) error {
		if m.After == "" {
			b.Queue(postgresClearMark, source)
			return nil
		}
		b.Queue(postgresSetMark, source, clean(m.After), m.Checked, m.Differing)
		return nil
	})
}

const (
	sqliteMark    = `select after, checked, differing, started_at from verify_marks where source = ?1`
	sqliteSetMark = `insert into verify_marks (source, after, checked, differing, started_at)
		values (?1, ?2, ?3, ?4, ?5) on conflict (source) do update
		set after = excluded.after, checked = excluded.checked, differing = excluded.differing`
	sqliteClearMark = `delete from verify_marks where source = ?1`
)

func (s *sqliteStore) VerifyMark(ctx context.Context, source string) (m VerifyMark, err error) {
	err = s.reading(ctx, "read", func(tx sqliteTx) error {
		return tx.query(func(rows *sql.Rows) error {
			var at string
			err := rows.Scan(&m.After, &m.Checked, &m.Differing, &at)
			if err == nil {
				m.StartedAt, err = parseSQLiteTime(at)
			}
			return err
		}, sqliteMark, source)
	})
	return m, err
}

func (s *sqliteStore) SetVerifyMark(ctx context.Context, source string, m VerifyMark) error {
	return s.writing(ctx, "write", func(tx sqliteTx) (err error) {
		if m.After == "" {
			_, err = tx.exec(sqliteClearMark, source)
		} else {
			_, err = tx.exec(sqliteSetMark, source, clean(m.After), m.Checked, m.Differing, sqliteTime(tx.now))
		}
		return err
	})
}
