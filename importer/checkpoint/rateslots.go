package checkpoint

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// RateSlots hands out the moments at which requests may leave to all processes that use one token.
//
// Nothing of it is durable. When the database crashes, what was reserved is forgotten.
type RateSlots interface {
	// TakeSlots reserves n slots, one each interval, and returns how long it is until the first. It is negative for slots
	// that nobody took in time: they may be taken up to slack after their time. The token is a hash that names the token.
	TakeSlots(ctx context.Context, token string, n int, interval, slack time.Duration) (time.Duration, error)
	// PostponeSlots lets nobody have a slot for d from now on. It takes no slot back, and never shortens a longer wait.
	PostponeSlots(ctx context.Context, token string, d time.Duration) error
}

var _ RateSlots = (*postgresStore)(nil)

// Each is one statement in a transaction of its own. Its clock is read when the row is locked: a process that waits for the row
// does not reserve the past.
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
	if n < 1 || interval < 0 || slack < 0 {
		return 0, fmt.Errorf("take %d slots, one each %v, with a slack of %v: at least one slot, and no negative time", n, interval, slack)
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
