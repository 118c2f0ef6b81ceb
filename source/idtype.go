package source

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

const idCure = "make it text, an integer or a uuid, such as s.id::text as id"

// idType is how the id of a query is read, compared and looked up. Whatever the type, an id is the text that Postgres writes of it.
type idType struct {
	text  string               // the expression that gives the text, of the row t
	order string               // the expression by which rows are read one after the other: two ids that differ are never equal in it
	sql   string               // the SQL type of order
	list  string               // the SQL type in which ids are looked up
	found string               // the expression that is looked up
	fits  func(id string) bool // whether an id can be one of the type list, and is written as Postgres writes it
}

var integers = []uint32{pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID}

// refusedIDs are the types whose text depends on settings, or that tell nothing apart.
var refusedIDs = []uint32{pgtype.BoolOID, pgtype.JSONOID, pgtype.JSONBOID, pgtype.XMLOID, pgtype.Float4OID, pgtype.Float8OID, pgtype.DateOID, pgtype.TimeOID,
	pgtype.TimetzOID, pgtype.TimestampOID, pgtype.TimestamptzOID, pgtype.IntervalOID}

var decimal = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

var hexBytes = regexp.MustCompile(`^\\x([0-9a-f]{2})*$`)

// idTypeOf returns how ids of a type are handled. A comparison in the column's own type can use its index. That is left where two ids may be
// equal and differ as texts (citext, numeric), for then no page could begin between them.
func idTypeOf(oid uint32, name string) idType {
	const text = `t.id::text collate "C"`
	any := func(id string) bool { return checkID(id) == "" }
	switch {
	case slices.Contains(integers, oid):
		return idType{"t.id", "t.id", "bigint", "bigint", "t.id", func(id string) bool {
			n, err := strconv.ParseInt(id, 10, 64)
			return err == nil && strconv.FormatInt(n, 10) == id
		}}
	case oid == pgtype.UUIDOID:
		return idType{"t.id", "t.id", "uuid", "uuid", "t.id", func(id string) bool {
			u, err := uuid.Parse(id)
			return err == nil && u.String() == id
		}}
	case oid == pgtype.BPCharOID: // without the blanks that fill it up
		return idType{"t.id::text", "t.id", "bpchar", "text", "t.id", any}
	case slices.Contains(textTypes, oid):
		return idType{"t.id", "t.id", "text", "text", "t.id", any}
	case oid == pgtype.NumericOID:
		return idType{"t.id", text, "text", "numeric", "t.id", decimal.MatchString}
	case oid == pgtype.ByteaOID:
		const hex = `E'\\x' || encode(t.id, 'hex')` // whatever bytea_output is
		return idType{hex, "t.id", "bytea", "bytea", "t.id", hexBytes.MatchString}
	case strings.HasSuffix(name, "citext"):
		return idType{"t.id", text, "text", name, "t.id", any}
	}
	return idType{"t.id::text", text, "text", "text", "t.id::text", any}
}

// describeID finds out how ids are handled, and whether they can be.
func (s *Postgres) describeID(ctx context.Context) error {
	at := s.position(columnID)
	if at < 0 {
		return nil // which is reported
	}
	oid := s.columns[at].oid
	if slices.Contains(refusedIDs, oid) {
		return wrongIDType()
	}
	rows, err := s.rows(ctx, "", "select pg_catalog.format_type($1::oid, null)", arg{[]byte(strconv.FormatUint(uint64(oid), 10)), false})
	if err != nil {
		return s.failure("look at the type of id", err)
	}
	if s.id = idTypeOf(oid, string(rows[0][0])); s.position(columnClosedAt) < 0 {
		return nil
	}
	// Some types have no order, or no text.
	sql, args := s.wrap(s.id.text, "order by "+s.id.order+" limit 0", s.config.Now())
	_, err = s.rows(ctx, "", sql, args...)
	var answer *pgconn.PgError
	switch {
	case errors.As(err, &answer) && answer.Code[:2] == "42":
		return wrongIDType()
	case err != nil:
		return s.failure("check the query of the source", err)
	}
	return nil
}

func wrongIDType() error {
	return fmt.Errorf("the query's column %s has the wrong type: %s", columnID, idCure)
}
