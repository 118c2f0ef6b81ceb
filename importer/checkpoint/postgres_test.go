package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dixa-import/importer/checkpoint/pgtest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
	"modernc.org/sqlite"
)

func TestOutageIsRetryable(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short")
	}
	t.Parallel()
	for name, mode := range map[string]pgtest.Mode{"shut down": pgtest.Fast, "crashed": pgtest.Immediate} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := pgtest.Cluster(t)
			s := setup(t, cluster.URL())
			run := s.start(t)
			put(t, s, run, "a", Sending, 0)
			c := change("a", 1, Found)
			c.ConversationID = 1

			cluster.Stop(mode)
			for range 3 {
				if _, err := s.Write(t.Context(), bot, run, []Change{c}); !Retryable(err) {
					t.Errorf("write to an unavailable database: %v", err)
				}
			}
			if _, err := s.Lookup(t.Context(), bot, run, []string{"a"}); !Retryable(err) {
				t.Errorf("read from an unavailable database: %v", err)
			}
			if _, err := Open(t.Context(), cluster.URL(), Options{}); !Retryable(err) {
				t.Errorf("open an unavailable database: %v", err)
			}
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := s.Write(cancelled, bot, run, []Change{c}); err == nil || Retryable(err) {
				t.Errorf("a cancelled write: %v", err)
			}
			cluster.Start()
			// The last write before the outage is there, and the store reconnects by itself.
			_, err := s.Write(t.Context(), bot, run, []Change{c})
			for i := 0; Retryable(err) && i < 10; i++ {
				_, err = s.Write(t.Context(), bot, run, []Change{c})
			}
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "status", s.row(t, "a").Status, Imported)
		})
	}
}

// TestNoAnswerIsRetryable: another client locks a row for longer than a call may take.
func TestNoAnswerIsRetryable(t *testing.T) {
	t.Parallel()
	s := setup(t, pgtest.New(t))
	run := s.start(t)
	put(t, s, run, "a", Sending, 0)
	conn := connectPostgres(t, s.url)
	if _, err := conn.Exec(t.Context(), "begin; select from dixa_import.transcripts for update", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	store := s.database.(*postgresStore)
	store.patience = 50 * time.Millisecond
	if _, err := s.Write(t.Context(), bot, run, []Change{change("a", 1, GiveUp)}); !Retryable(err) || !errors.Is(err, errNoAnswer) {
		t.Errorf("no answer: %v", err)
	}
	store.patience = postgresPatience
	if _, err := conn.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	equal(t, "then", s.do(t, run, change("a", 1, GiveUp)), []Result{{Applied: true}})
}

// TestBindingIsRead reads the binding that Bind recorded.
func TestBindingIsRead(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		want := Binding{"https://dev.dixa.io", "o-1"}
		if err := s.Bind(t.Context(), bot, want, false); err != nil {
			t.Fatal(err)
		}
		for source, want := range map[string]Binding{bot: want, "other": {}} {
			got, err := s.Binding(t.Context(), source)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, source, got, want)
		}
	})
}

// TestRestartUnderLoadLosesNothing restarts the cluster during writes: confirmed writes are there, and repeated ones took effect once.
func TestRestartUnderLoadLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short")
	}
	t.Parallel()
	cluster := pgtest.Cluster(t)
	s := setup(t, cluster.URL())
	run := s.start(t)
	var failures, written atomic.Int64
	half := make(chan struct{})
	g, ctx := errgroup.WithContext(t.Context())
	const workers, each = 4, 60
	until := func(f func() error) error {
		for {
			err := f()
			if err == nil || !Retryable(err) {
				return err
			}
			failures.Add(1)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	for w := range workers {
		g.Go(func() error {
			for i := range each {
				id := fmt.Sprintf("%d-%d", w, i)
				var claims []Row
				err := until(func() (err error) {
					claims, err = s.Claim(ctx, bot, run, []ClaimRequest{{ID: id, Seen: -1}})
					return err
				})
				if err != nil || claims[0].Claim != 1 {
					return fmt.Errorf("claims of %s are %v: %w", id, claims, err)
				}
				for _, e := range []Event{Send, Found, Finish} {
					c := change(id, 1, e)
					if e == Found {
						c.ConversationID = int64(w*each + i + 1)
					}
					var results []Result
					err := until(func() (err error) {
						results, err = s.Write(ctx, bot, run, []Change{c})
						return err
					})
					if err != nil || !results[0].Applied {
						return fmt.Errorf("%s of %s: %v: %w", e, id, results, err)
					}
				}
				if written.Add(1) == workers*each/2 {
					close(half)
				}
			}
			return nil
		})
	}
	select {
	case <-half:
	case <-ctx.Done():
	}
	cluster.Restart(pgtest.Immediate)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	totals, err := s.Totals(t.Context(), bot, run)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "totals", totals, []Total{{bot, Complete, "code", workers * each}})
	if failures.Load() == 0 {
		t.Error("no write failed during the restart")
	}
}

// TestClaimRaceHasOneWinner: runs of several processes claim the same transcripts in different orders. Each transcript gets one holder.
func TestClaimRaceHasOneWinner(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		const runs, n = 4, 300
		var got [n]atomic.Int64
		g, ctx := errgroup.WithContext(t.Context())
		for i := range runs {
			run, store := s.start(t), s.Store
			if !s.sqlite() {
				store = open(t, s.url)
			}
			g.Go(func() error {
				for start := 0; start < n; start += 20 {
					var requests []ClaimRequest
					for k := range 40 {
						j := (start + k*(1+i)) % n // overlapping batches, each in its own order
						if !hasRequest(requests, fmt.Sprint(j)) {
							requests = append(requests, ClaimRequest{ID: fmt.Sprint(j), Seen: -1})
						}
					}
					claims, err := store.Claim(ctx, bot, run, requests)
					if err != nil {
						return err // also a deadlock
					}
					var changes []Change
					for k, row := range claims {
						var j int
						_, _ = fmt.Sscan(requests[k].ID, &j)
						if row.Claim == 0 {
							continue
						}
						if holder := got[j].Swap(run); holder != 0 && holder != run {
							return fmt.Errorf("runs %d and %d both got %d", holder, run, j)
						}
						changes = append(changes, change(requests[k].ID, row.Claim, Send))
					}
					if _, err := store.Write(ctx, bot, run, changes); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		for j := range got {
			if row := s.row(t, fmt.Sprint(j)); row.ClaimedBy != got[j].Load() || row.Claim != 1 || row.Status != Sending {
				t.Fatalf("run %d got %d, but the row is %+v", got[j].Load(), j, row)
			}
		}
	})
}

func hasRequest(requests []ClaimRequest, id string) bool {
	for _, r := range requests {
		if r.ID == id {
			return true
		}
	}
	return false
}

// TestConversationRaceHasOneWinner: two processes record the same conversation for different transcripts.
func TestConversationRaceHasOneWinner(t *testing.T) {
	t.Parallel()
	s := setup(t, pgtest.New(t))
	run := s.start(t)
	stores := []*Store{s.Store, open(t, s.url)}
	for round := range 20 {
		var taken atomic.Int64
		var g errgroup.Group
		for i, store := range stores {
			id := fmt.Sprintf("%d-%d", round, i)
			c := change(id, put(t, s, run, id, Sending, 0), Found)
			c.ConversationID = int64(round + 1)
			g.Go(func() error {
				results, err := store.Write(t.Context(), bot, run, []Change{c})
				if err == nil && results[0].Holder != "" {
					taken.Add(1)
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		equal(t, "transcripts that came second", taken.Load(), int64(1))
	}
}

func TestRetryable(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		nil:              false,
		context.Canceled: false,
		fmt.Errorf("x: %w", &pgconn.PgError{Code: "57P01"}): true,
		&pgconn.PgError{Code: "08P01"}:                      true,
		&pgconn.PgError{Code: "53300"}:                      true,
		&pgconn.PgError{Code: "40001"}:                      true,
		&pgconn.PgError{Code: "40P01"}:                      true,
		&pgconn.PgError{Code: "25006"}:                      true,
		&pgconn.PgError{Code: "23505"}:                      false,
		&pgconn.PgError{Code: "42501"}:                      false,
		&pgconn.PgError{Code: "28P01"}:                      false,
		&net.OpError{Op: "read", Err: errors.New("reset")}:  true,
		&net.DNSError{IsNotFound: true}:                     false,
		&net.DNSError{IsTemporary: true}:                    true,
		errNoAnswer:                                         true,
		ErrSchemaMissing:                                    false,
		&BusyError{}:                                        false,
		fmt.Errorf("%w (%w)", ErrDiskFull, &sqlite.Error{}): false,
	} {
		if got := Retryable(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// TestErrorsHideValues: Postgres quotes a value in its message.
func TestErrorsHideValues(t *testing.T) {
	t.Parallel()
	s := setup(t, pgtest.New(t))
	err := s.database.(*postgresStore).query(t.Context(), "read", nil, "select $1::text::int", "ann@example.org")
	if err == nil || strings.Contains(fmt.Sprintf("%+v", err), "ann") || errors.As(err, new(*pgconn.PgError)) {
		t.Errorf("the error shows the value: %v", err)
	}
	if !strings.Contains(err.Error(), "22P02") {
		t.Errorf("the error does not show the reason: %v", err)
	}
}
