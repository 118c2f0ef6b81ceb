package importer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// TestStopFailsNoTranscript stops a run whose requests wait for the limiter. No transcript may fail, for any request and any limiter.
func TestStopFailsNoTranscript(t *testing.T) {
	t.Parallel()
	for _, store := range storesFor(!testing.Short()) {
		for _, op := range []sandbox.Operation{sandbox.FindEndUsers, sandbox.Import, sandbox.PatchAttributes} {
			t.Run(fmt.Sprint(store, " ", op), func(t *testing.T) {
				t.Parallel()
				const n = 60
				w := setup(t, store, sandbox.Options{})
				path := w.file("c.jsonl", chatsWithBlocked(n)...)
				db := w.open()
				shared := importer.NewSharedLimiter(db.RateSlots(), "token", 100, 1, slog.New(slog.DiscardHandler))
				im := w.importer(w.jsonl(path), func(c *importer.Config) {
					withOrders(c)
					c.Store, c.API = db, w.client(func(c *dixa.Config) { c.Limiter = shared })
				})
				w.onOperation(func(got sandbox.Operation) {
					if got == op {
						im.Stop("--for 8s is over")
					}
				})
				s, err := im.Run(t.Context())
				checkCounts(t, s)
				if err != nil || s.Outcome != importer.OutcomeStopped || s.Counts.Failed != 0 || s.Counts.Partial != 0 || s.Counts.InDoubt != 0 {
					t.Errorf("run ended as %q, %v; counts %+v", s.Outcome, err, s.Counts)
				}
				w.onOperation(func(sandbox.Operation) {})
				w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
				w.wantTotals(n, n)
			})
		}
	}
}

// oddAPI answers the first few requests of one kind with an unknown error.
type oddAPI struct {
	importer.API
	fail func() error
	what sandbox.Operation
}

func (a oddAPI) FindEndUsers(ctx context.Context, kind dixa.IdentifierKind, value string) ([]dixa.EndUser, error) {
	if a.what == sandbox.FindEndUsers {
		if err := a.fail(); err != nil {
			return nil, err
		}
	}
	return a.API.FindEndUsers(ctx, kind, value)
}

func (a oddAPI) PatchAttributes(ctx context.Context, id int64, values map[string]dixa.AttributeValue) error {
	if a.what == sandbox.PatchAttributes {
		if err := a.fail(); err != nil {
			return err
		}
	}
	return a.API.PatchAttributes(ctx, id, values)
}

func (a oddAPI) ImportConversation(ctx context.Context, in dixa.ConversationImport,
	before func(context.Context, int, error) (time.Time, error)) (dixa.ImportResult, error) {
	if a.what == sandbox.Import {
		if err := a.fail(); err != nil {
			return dixa.ImportResult{}, err
		}
	}
	return a.API.ImportConversation(ctx, in, before)
}

// TestUnknownErrorFailsNoTranscript requires that a transcript fails only because of an answer from Dixa.
func TestUnknownErrorFailsNoTranscript(t *testing.T) {
	t.Parallel()
	for _, op := range []sandbox.Operation{sandbox.FindEndUsers, sandbox.Import, sandbox.PatchAttributes} {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			path := w.file("c.jsonl", chatsWithBlocked(3)...)
			failed := false
			s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), func(c *importer.Config) {
				withOrders(c)
				c.Workers = 1
				c.API = oddAPI{w.client(nil), func() error {
					if failed {
						return nil
					}
					failed = true
					return errors.New("an unknown error")
				}, op}
			})
			if s.Counts.Imported != 2 || s.Counts.Pending != 1 {
				t.Errorf("counts %+v", s.Counts)
			}
			w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
			for i := range 3 {
				w.wantWhole(fmt.Sprintf("t-%d", i), checkpoint.Complete)
			}
			w.wantTotals(3, 3)
		})
	}
}

// TestMissingOperationFailsNoTranscript has an API that answers 404 to everything, which says nothing about a customer.
func TestMissingOperationFailsNoTranscript(t *testing.T) {
	t.Parallel()
	for _, status := range []int{404, 405, 410} {
		for _, op := range []sandbox.Operation{sandbox.FindEndUsers, sandbox.CreateEndUser} {
			t.Run(fmt.Sprint(op, " ", status), func(t *testing.T) {
				t.Parallel()
				w := setup(t, "sqlite", sandbox.Options{})
				path := w.file("c.jsonl", chatsWithBlocked(5)...)
				var faults []sandbox.Fault
				for _, f := range []sandbox.Operation{op, sandbox.CreateEndUsers} {
					faults = append(faults, sandbox.Fault{Operation: f, Kind: sandbox.ErrorBefore, Status: status, Message: "The requested resource could not be found"})
				}
				w.api.SetFaults(faults)
				s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), withOrders)
				if s.Counts.Pending != 5 || len(w.api.EndUsers()) != 0 {
					t.Errorf("%d end-users; counts %+v", len(w.api.EndUsers()), s.Counts)
				}
				w.api.SetFaults(nil)
				w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
				w.wantTotals(5, 5)
			})
		}
	}
}
