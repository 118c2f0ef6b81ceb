package checkpoint

import (
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// sqliteRow selects a row as one column. The fields are separated by NUL, which no stored text contains. Reading a column costs about as much
// as finding the row.
var sqliteRow = `concat_ws(x'00', ` + perColumn(columns, 0, column.sqliteRead) + `, coalesce(send_before, ''))`

var sqliteRowFields = len(columns) + 1

// scanSQLiteRow scans sqliteRow.
func scanSQLiteRow(rows *sql.Rows, now time.Time) (*record, error) {
	var packed string
	if err := rows.Scan(&packed); err != nil {
		return nil, err
	}
	return parseSQLiteRow(packed, now)
}

func parseSQLiteRow(packed string, now time.Time) (*record, error) {
	r, p, n := &record{}, fieldParser{}, 0
	for field := range strings.SplitSeq(packed, "\x00") {
		switch {
		case n < len(columns):
			columns[n].parse(r, field, &p)
		case n == len(columns):
			if sendBefore := p.time(field); !sendBefore.IsZero() {
				r.SendIn = sendBefore.Sub(now)
			}
		}
		n++
	}
	if n != sqliteRowFields {
		return nil, fmt.Errorf("a row has %d fields instead of %d", n, sqliteRowFields)
	}
	r.ErrorCode = currentCode(r.ErrorCode)
	return r, p.err
}

// fieldParser parses fields and keeps the first error.
type fieldParser struct{ err error }

func (p *fieldParser) int(s string) int64 {
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	p.keep(err)
	return n
}

func (p *fieldParser) time(s string) time.Time {
	t, err := parseSQLiteTime(s)
	p.keep(err)
	return t
}

func (p *fieldParser) keep(err error) {
	if err != nil && p.err == nil {
		p.err = errors.New("a row has an invalid number or time")
	}
}
