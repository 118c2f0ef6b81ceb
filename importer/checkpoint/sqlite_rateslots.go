package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

const (
	rateLockPoll = 2 * time.Millisecond
	// farthestSlot is how far ahead a slot can be, with every pause: if one is farther, the clock was set back.
	farthestSlot = time.Hour
)

func (s *sqliteStore) TakeSlots(ctx context.Context, token string, n int, interval, slack time.Duration) (wait time.Duration, err error) {
	if err := checkSlots(n, interval, slack); err != nil {
		return 0, err
	}
	err = s.changeRate(ctx, "take slots from", token, func(next, now time.Time) time.Time {
		if earliest := now.Add(-slack); next.Before(earliest) {
			next = earliest
		}
		wait = next.Sub(now)
		return next.Add(time.Duration(n) * interval)
	})
	return wait, err
}

func (s *sqliteStore) PostponeSlots(ctx context.Context, token string, d time.Duration) error {
	return s.changeRate(ctx, "postpone slots in", token, func(next, now time.Time) time.Time {
		if later := now.Add(d); later.After(next) {
			return later
		}
		return next
	})
}

// changeRate changes the time of a token's next slot, now if there is none. These times are in a file beside the database, because they need not be
// durable and change several times a second.
func (s *sqliteStore) changeRate(ctx context.Context, doing, token string, change func(next, now time.Time) time.Time) (err error) {
	s.rateMu.Lock()
	defer s.rateMu.Unlock()
	if _, err := s.rates.TryLockContext(ctx, rateLockPoll); err != nil {
		return s.wrap(doing, err)
	}
	defer func() { err = s.wrap(doing, errors.Join(err, s.rates.Unlock())) }()
	path := s.path + ".rate"
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	slots := map[string]time.Time{}
	if json.Unmarshal(data, &slots) != nil { // a process died while it was writing
		slots = map[string]time.Time{}
	}
	now := time.Now().Round(0)
	next, ok := slots[token]
	if !ok || next.After(now.Add(farthestSlot)) {
		next = now
	}
	slots[token] = change(next, now)
	if data, err = json.Marshal(slots); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

func checkSlots(n int, interval, slack time.Duration) error {
	if n < 1 || interval < 0 || slack < 0 {
		return fmt.Errorf("take %d slots, one each %v, with a slack of %v: at least one slot, and no negative time", n, interval, slack)
	}
	return nil
}
