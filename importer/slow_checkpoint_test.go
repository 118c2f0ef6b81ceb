package importer_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// slowStore is a checkpoint some of whose writes are slow.
type slowStore struct {
	*checkpoint.Store
	sends, reservations time.Duration
}

func (s *slowStore) Write(ctx context.Context, source string, run int64, changes []checkpoint.Change) ([]checkpoint.Result, error) {
	results, err := s.Store.Write(ctx, source, run, changes)
	for _, c := range changes {
		if c.Event == checkpoint.Send || c.Event == checkpoint.SendAgain {
			<-time.After(s.sends)
			break
		}
	}
	return results, err
}

func (s *slowStore) ReserveEndUsers(ctx context.Context, organisation string, run int64, persons [][]checkpoint.Identifier) ([]checkpoint.Reservation, error) {
	granted, err := s.Store.ReserveEndUsers(ctx, organisation, run, persons)
	<-time.After(s.reservations)
	return granted, err
}

// TestSlowCheckpointBlocksNothingForever has every record of a request take longer than the time within which the request must then leave.
func TestSlowCheckpointBlocksNothingForever(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		path := w.file("c.jsonl", chats(40)...)
		slow := &slowStore{Store: w.open(), sends: 30 * time.Millisecond}
		s, err := w.importer(w.jsonl(path), func(c *importer.Config) {
			c.Store, c.SendWindow = slow, 50*time.Millisecond
		}).Run(t.Context())
		if err != nil || s.Outcome != importer.OutcomeOK {
			t.Fatalf("run ended as %q, %v; counts %+v", s.Outcome, err, s.Counts)
		}
		w.wantTotals(40, 7)
		if got := w.api.Counts()[sandbox.Import]; got != 40 {
			t.Errorf("%d imports were sent", got)
		}
		if n := strings.Count(w.logs.String(), "the checkpoint database is slow"); n != 1 {
			t.Errorf("the slow checkpoint is logged %d times", n)
		}
	})
}

// TestEndUsersWithSlowCheckpoint requires that a run which cannot create end-users safely stops with an error, instead of trying forever.
func TestEndUsersWithSlowCheckpoint(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 40} { // created alone and in a batch
		w := setup(t, "sqlite", sandbox.Options{})
		path := w.file("c.jsonl", chats(n)...)
		slow := &slowStore{Store: w.open(), reservations: 30 * time.Millisecond}
		s, err := w.importer(w.jsonl(path), func(c *importer.Config) {
			c.Store, c.SendWindow, c.DatabasePatience = slow, 20*time.Millisecond, 200*time.Millisecond
		}).Run(t.Context())
		if err == nil || s.Outcome != importer.OutcomeAborted || !strings.Contains(err.Error(), "took longer than 10ms to answer") {
			t.Fatalf("run ended as %q, %v; counts %+v", s.Outcome, err, s.Counts)
		}
		if len(w.api.EndUsers()) != 0 || len(w.api.Conversations()) != 0 {
			t.Errorf("%d end-users, %d conversations", len(w.api.EndUsers()), len(w.api.Conversations()))
		}
		w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
		w.wantTotals(n, min(n, 7))
	}
}
