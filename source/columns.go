package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// The columns of a query that are read.
const (
	columnID         = "id"
	columnClosedAt   = "closed_at"
	columnMessages   = "messages"
	columnCreatedAt  = "created_at"
	columnAttributes = "attributes"
	columnTags       = "tags"
	columnRating     = "rating"
	columnNotes      = "notes"
	columnHandover   = "handover"
	columnFollowUpOf = "follow_up_of"
	columnExternalID = "end_user_external_id"
	columnEmail      = "end_user_email"
	columnPhone      = "end_user_phone"
	columnName       = "end_user_name"
)

// rule describes which types a column may have.
type rule struct {
	required bool
	types    []uint32 // nil: any
	cure     string
}

var jsonTypes = append([]uint32{pgtype.JSONOID, pgtype.JSONBOID}, textTypes...)

var textTypes = []uint32{pgtype.TextOID, pgtype.VarcharOID}

var numberTypes = []uint32{pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.NumericOID, pgtype.Float4OID, pgtype.Float8OID}

var timeTypes = []uint32{pgtype.TimestamptzOID, pgtype.TimestampOID}

var rules = map[string]rule{
	columnID: {true, nil, idCure}, // see describeID
	columnClosedAt: {true, timeTypes,
		"make it timestamptz, such as s.ended_at::timestamptz as closed_at"},
	columnMessages: {true, jsonTypes,
		"make it json or jsonb, such as (select jsonb_agg(...) from ...) as messages"},
	columnCreatedAt: {false, slices.Concat(timeTypes, textTypes, numberTypes),
		"make it timestamptz, such as s.started_at::timestamptz as created_at"},
	columnAttributes: {false, jsonTypes,
		"make it json or jsonb, such as jsonb_build_object(...) as attributes"},
	columnTags: {false, append([]uint32{pgtype.TextArrayOID, pgtype.VarcharArrayOID}, jsonTypes...),
		"make it json, jsonb or text[], such as array_agg(...) as tags"},
	columnRating: {false, jsonTypes,
		"make it json or jsonb, such as jsonb_build_object('type', 'csat', 'value', s.stars) as rating"},
	columnNotes: {false, jsonTypes,
		"make it json or jsonb, such as (select jsonb_agg(...) from ...) as notes"},
	columnHandover: {false, append([]uint32{pgtype.BoolOID}, jsonTypes...),
		"make it boolean, json or jsonb, such as s.needs_human as handover"},
	columnFollowUpOf: {},
	columnExternalID: {},
	columnEmail:      {},
	columnPhone:      {},
	columnName:       {},
}

// column is a column of the query that is read.
type column struct {
	name string
	oid  uint32
}

// describe asks the database for the columns of the query and checks them.
func (s *Postgres) describe(ctx context.Context) error {
	conn, err := s.acquire(ctx)
	if err != nil {
		return s.failure("connect to the source database", err)
	}
	sql, args := s.wrap("t.*", "limit 0", time.Time{})
	var description *pgconn.StatementDescription
	_, err = conn.Exec(ctx, "begin transaction read only;"+s.settings).ReadAll()
	if err == nil {
		description, err = conn.Prepare(ctx, "", sql, nil)
	}
	if err == nil {
		err = run(ctx, conn, sql, args, nil).Read().Err // the rights are checked only now
	}
	if err == nil {
		_, err = conn.Exec(ctx, "commit").ReadAll()
	}
	s.release(conn, err)
	if err != nil {
		return s.failure("check the query of the source", err)
	}
	return errors.Join(s.take(description.Fields), s.describeID(ctx))
}

func (s *Postgres) take(fields []pgconn.FieldDescription) error {
	var problems []error
	seen := map[string]bool{}
	for _, f := range fields {
		r, known := rules[f.Name]
		switch {
		case !known:
			if !slices.Contains(s.unknown, f.Name) {
				s.unknown = append(s.unknown, f.Name)
			}
			continue
		case seen[f.Name]:
			problems = append(problems, fmt.Errorf("the query returns the column %s twice: keep one of them", f.Name))
			continue
		case r.types != nil && !slices.Contains(r.types, f.DataTypeOID):
			problems = append(problems, fmt.Errorf("the query's column %s has the wrong type: %s", f.Name, r.cure))
		}
		seen[f.Name] = true
		s.columns = append(s.columns, column{f.Name, f.DataTypeOID})
	}
	for _, name := range []string{columnID, columnClosedAt, columnMessages} {
		if !seen[name] {
			problems = append(problems, fmt.Errorf("the query returns no column %s: %s", name, rules[name].cure))
		}
	}
	slices.SortFunc(s.columns, func(a, b column) int { return strings.Compare(a.name, b.name) })
	slices.Sort(s.unknown)
	return errors.Join(problems...)
}

// position returns where a column is among those read, -1 if the query does not have it.
func (s *Postgres) position(name string) int {
	return slices.IndexFunc(s.columns, func(c column) bool { return c.name == name })
}

// timeType returns the SQL type in which closed_at is compared, so that its index can be used.
func (s *Postgres) timeType() string {
	if s.columns[s.position(columnClosedAt)].oid == pgtype.TimestampOID {
		return "timestamp"
	}
	return "timestamptz"
}
