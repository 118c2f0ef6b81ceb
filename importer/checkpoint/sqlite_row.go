package checkpoint

import (
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// sqliteRow is a row in one column, its fields separated by NUL, which no text in the checkpoint has: reading a column costs
// about as much as finding the row.
const sqliteRow = `concat_ws(x'00', transcript_id, status, coalesce(conversation_id, ''), coalesce(end_user_id, ''), attempts,
	coalesce(error_code, ''), coalesce(error, ''), coalesce(content_hash, ''), coalesce(closed_at, ''), coalesce(run_id, ''),
	coalesce(imported_at, ''), created_at, updated_at, coalesce(send_before, ''), claim, coalesce(claimed_by, ''), coalesce(file, ''))`

const sqliteRowFields = 17

// scanSQLiteRow reads sqliteRow.
func scanSQLiteRow(rows *sql.Rows, now time.Time) (*record, error) {
	var packed string
	if err := rows.Scan(&packed); err != nil {
		return nil, err
	}
	return parseSQLiteRow(packed, now)
}

func parseSQLiteRow(packed string, now time.Time) (*record, error) {
	var f [sqliteRowFields]string
	n := 0
	for field := range strings.SplitSeq(packed, "\x00") {
		if n < len(f) {
			f[n] = field
		}
		n++
	}
	if n != len(f) {
		return nil, fmt.Errorf("a row has %d fields instead of %d", n, len(f))
	}
	p := fieldParser{}
	r := &record{
		Row: Row{ID: f[0], Status: Status(f[1]), ConversationID: p.int(f[2]), EndUserID: f[3], Attempts: int(p.int(f[4])), ErrorCode: f[5],
			Error: f[6], ContentHash: f[7], ClosedAt: p.time(f[8]), RunID: p.int(f[9]), ImportedAt: p.time(f[10]), CreatedAt: p.time(f[11]),
			UpdatedAt: p.time(f[12]), Claim: p.int(f[14]), ClaimedBy: p.int(f[15])},
		file: f[16],
	}
	if sendBefore := p.time(f[13]); !sendBefore.IsZero() {
		r.SendIn = sendBefore.Sub(now)
	}
	return r, p.err
}

// fieldParser reads fields and keeps the first error.
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
		p.err = errors.New("a row has a number or a time that cannot be read")
	}
}
