package checkpoint

import (
	"context"
	"database/sql"

	"github.com/jackc/pgx/v5"
)

const postgresReadBinding = `select base_url, organisation from dixa_import.sources where source = $1::text`

// Binding returns what Bind recorded, without locking it.
func (s *postgresStore) Binding(ctx context.Context, source string) (b Binding, err error) {
	err = s.query(ctx, "read", func(rows pgx.Rows) error { return rows.Scan(&b.BaseURL, &b.Organisation) }, postgresReadBinding, source)
	return b, err
}

// Binding returns what Bind recorded.
func (s *sqliteStore) Binding(ctx context.Context, source string) (b Binding, err error) {
	err = s.reading(ctx, "read", func(tx sqliteTx) error {
		return tx.query(func(rows *sql.Rows) error { return rows.Scan(&b.BaseURL, &b.Organisation) }, sqliteBinding, source)
	})
	return b, err
}
