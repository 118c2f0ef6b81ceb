package checkpoint

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// RateSlots assigns the times at which requests may be sent, across all processes that use one token.
//
// It is not durable: reservations are lost when the database crashes.
type RateSlots interface {
	// TakeSlots reserves n slots, one each interval, and returns the time until the first. That is negative for unused slots in the past,
	// which may be taken up to slack after their time. token is a hash of the API token.
	TakeSlots(ctx context.Context, token string, n int, interval, slack time.Duration) (time.Duration, error)
	// PostponeSlots delays the next slots until d from now. It does not affect slots that were already taken, and never shortens a longer
	// wait.
	PostponeSlots(ctx context.Context, token string, d time.Duration) error
}

var _, _ RateSlots = (*postgresStore)(nil), (*sqliteStore)(nil)

// Each is one statement in a transaction of its own. It reads the clock after it has locked the row, so a process that waited for the lock
// does not reserve slots in the past.
const (
	postgresTakeSlots = `insert into dixa_import.rate_budgets as b (token, next_at)
		values ($1::text, clock_timestamp() + $2::bigint * interval '1 microsecond')
		on conflict (token) do update set next_at = greatest(b.next_at, clock_timestamp() - $3::bigint * interval '1 microsecond')
			+ $2::bigint * interval '1 microsecond'
		returning (extract(epoch from b.next_at - clock_timestamp()) * 1000000)::bigint - $2::bigint`
	postgresPostponeSlots = `insert into dixa_import.rate_budgets as b (token, next_at)
		values ($1::text, clock_timestamp() + $2::bigint * interval '1 microsecond')
		on conflict (token) do update set next_at = greatest(b.next_at,
			clock_timestamp() + $2::bigint * interval '1 microsecond')`
)

func (s *postgresStore) TakeSlots(ctx context.Context, token string, n int, interval, slack time.Duration) (time.Duration, error) {
	if err := checkSlots(n, interval, slack); err != nil {
		return 0, err
	}
	// Rounded up, so that the slots of two calls cannot overlap.
	total := (time.Duration(n)*interval + time.Microsecond - 1).Microseconds()
	var micros int64
	err := s.query(ctx, "take slots from", func(rows pgx.Rows) error { return rows.Scan(&micros) },
		postgresTakeSlots, token, total, slack.Microseconds())
	return time.Duration(micros) * time.Microsecond, err
}

func (s *postgresStore) PostponeSlots(ctx context.Context, token string, d time.Duration) error {
	return s.query(ctx, "postpone slots in", nil, postgresPostponeSlots, token, d.Microseconds())
}
