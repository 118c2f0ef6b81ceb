package reopen_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/checkpoint/pgtest"
	"dixa-import/importer/reopen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.M{M: m}) }

const agent = "11111111-2222-4333-8444-555555555555"

var backends = map[string]func(t testing.TB) string{
	"postgres": pgtest.New,
	"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "bot.db") },
}

// world is a conversation that was handed over, and closed by an agent.
type world struct {
	*sandbox.Server
	id     int64
	config reopen.Config
	store  *checkpoint.Store
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Parallel()
	for name, newURL := range backends {
		if testing.Short() && name == "postgres" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, setup(t, newURL(t)))
		})
	}
}

func setup(t *testing.T, url string) *world {
	t.Helper()
	w := &world{Server: sandbox.New(sandbox.Options{Agents: []string{agent}})}
	api := httptest.NewServer(w.Server)
	client, err := dixa.New(dixa.Config{BaseURL: api.URL, Token: w.Token(), Timeout: 300 * time.Millisecond, MaxAttempts: 2, Backoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if w.store, err = checkpoint.Open(t.Context(), url, checkpoint.Options{Create: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		api.Close()
		w.Close()
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, _, err := w.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	of := checkpoint.Binding{BaseURL: api.URL, Organisation: "o"}
	if err := w.store.Bind(t.Context(), "bot", of, false); err != nil {
		t.Fatal(err)
	}
	w.config = reopen.Config{API: client, Store: w.store, Organisation: of, Source: "bot", Timeout: 300 * time.Millisecond, Settle: 20 * time.Millisecond}
	w.importOne(t, client)
	return w
}

// importOne imports and hands over a transcript as a run does, and has an agent close its conversation.
func (w *world) importOne(t *testing.T, client *dixa.Client) {
	t.Helper()
	user, err := client.CreateEndUser(t.Context(), dixa.NewEndUser{ExternalID: "c-1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC)
	made, err := client.ImportConversation(t.Context(), dixa.ConversationImport{RequesterID: user.ID, RequesterConnectionStatus: dixa.Disconnected, Direction: dixa.Inbound, CreatedAt: dixa.At(at),
		ExternalID: "bot/t-1", Messages: []dixa.ImportMessage{{Type: dixa.InboundImport, Content: dixa.Content{Type: dixa.Text, Value: "A human, please"}, ExternalID: "bot/t-1:1", CreatedAt: dixa.At(at)}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.id = made.ID
	queue := sandbox.DefaultQueues()[1].ID
	if err := client.TransferToQueue(t.Context(), w.id, queue, nil); err != nil {
		t.Fatal(err)
	}
	run, err := w.store.StartRun(t.Context(), "bot", "run")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Claim(t.Context(), "bot", run, []checkpoint.ClaimRequest{{ID: "t-1", Seen: -1}}); err != nil {
		t.Fatal(err)
	}
	send := checkpoint.Change{ID: "t-1", Claim: 1, Event: checkpoint.Send, EndUserID: user.ID}
	found := send
	found.Event, found.ConversationID = checkpoint.Found, w.id
	if _, err := w.store.Write(t.Context(), "bot", run, []checkpoint.Change{send, found}); err != nil {
		t.Fatal(err)
	}
	saved, err := w.store.SaveStep(t.Context(), "bot", run, checkpoint.StepChange{ID: "t-1", Claim: 1, Step: checkpoint.Step{Name: checkpoint.StepTransfer, State: checkpoint.StepDone}, QueueID: queue})
	if err != nil || !saved {
		t.Fatal(saved, err)
	}
	w.AgentTakes(w.id, agent)
	w.AgentCloses(w.id, agent)
	w.event(t, "e-closed", checkpoint.EffectClosed, w.conversation().ClosedAt)
	w.wantState(t, "closed")
}

func (w *world) conversation() sandbox.Conversation { return w.Conversations()[0] }

func (w *world) event(t *testing.T, id string, effect checkpoint.EventEffect, at time.Time) {
	t.Helper()
	kind := map[checkpoint.EventEffect]string{checkpoint.EffectClosed: "conversation_closed", checkpoint.EffectAssigned: "conversation_assigned"}[effect]
	if _, err := w.store.StoreEvents(t.Context(), w.config.Organisation, []checkpoint.WebhookEvent{{ID: id, ConversationID: w.id, Type: kind, At: at, Effect: effect, AgentID: agent}},
		checkpoint.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) wantState(t *testing.T, state string) {
	t.Helper()
	h, err := w.store.Handover(t.Context(), "bot", "t-1")
	if err != nil || h.State != state || (h.ClosedBy == agent) != (state == "closed") || h.AgentClosedAt.IsZero() != (state != "closed") {
		t.Errorf("the checkpoint has %+v, %v, want %s", h, err, state)
	}
}

// wantOpen requires that the conversation was reopened so many times, and waits in its queue.
func (w *world) wantOpen(t *testing.T, times int) {
	t.Helper()
	c := w.conversation()
	if !c.ClosedAt.IsZero() || c.Transfers != 1+times || c.QueueID != sandbox.DefaultQueues()[1].ID {
		t.Errorf("Dixa has %+v, to be reopened %d times", c, times)
	}
	if v := w.Violations(); len(v) > 0 {
		t.Errorf("violations: %v", v)
	}
}

func TestReopen(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		closedAt := w.conversation().ClosedAt
		r, err := reopen.Reopen(t.Context(), w.config, "t-1")
		if err != nil || r.Already || !r.Waiting() {
			t.Fatalf("%+v, %v", r, err)
		}
		w.wantOpen(t, 1)
		w.wantState(t, "waiting")
		if r, err = reopen.Reopen(t.Context(), w.config, "t-1"); err != nil || !r.Already {
			t.Errorf("the second time: %+v, %v", r, err)
		}
		w.wantOpen(t, 1)
		// What was before arrives late, and is of no effect.
		w.event(t, "e-late", checkpoint.EffectClosed, closedAt)
		w.event(t, "e-late-assigned", checkpoint.EffectAssigned, closedAt.Add(-time.Second))
		w.wantState(t, "waiting")
		// What comes after does count.
		later := time.Now().Add(time.Second)
		w.event(t, "e-assigned", checkpoint.EffectAssigned, later)
		w.wantState(t, "assigned")
		w.AgentTakes(w.id, agent)
		w.AgentCloses(w.id, agent)
		w.event(t, "e-closed-again", checkpoint.EffectClosed, later.Add(time.Second))
		w.wantState(t, "closed")
	})
}

// TestUnseenClosing: the closing that the checkpoint never heard of arrives after the conversation was reopened.
func TestUnseenClosing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if _, err := reopen.Reopen(t.Context(), w.config, "t-1"); err != nil {
			t.Fatal(err)
		}
		w.AgentTakes(w.id, agent)
		w.AgentCloses(w.id, agent)
		closedAt := w.conversation().ClosedAt
		if r, err := reopen.Reopen(t.Context(), w.config, "t-1"); err != nil || r.Already {
			t.Fatalf("%+v, %v", r, err)
		}
		w.wantOpen(t, 2)
		w.event(t, "e-unseen", checkpoint.EffectClosed, closedAt)
		w.wantState(t, "waiting")
	})
}

func TestFaults(t *testing.T) {
	for _, kind := range []sandbox.FaultKind{sandbox.ErrorBefore, sandbox.ErrorAfter, sandbox.DropBefore, sandbox.DropAfter, sandbox.HangBefore, sandbox.HangAfter, sandbox.HTMLAfter} {
		t.Run(string(kind), func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				w.SetFaults([]sandbox.Fault{{Operation: sandbox.Reopen, Kind: kind, Times: 1}})
				r, err := reopen.Reopen(t.Context(), w.config, "t-1")
				if err != nil || r.Already || !r.Waiting() {
					t.Errorf("%+v, %v", r, err)
				}
				w.wantOpen(t, 1)
				w.wantState(t, "waiting")
			})
		})
	}
}

// TestDown: a person who repeats the command when Dixa is well again ends with one reopening, whichever request failed.
func TestDown(t *testing.T) {
	for _, faults := range [][]sandbox.Fault{
		{{Operation: sandbox.Reopen, Kind: sandbox.ErrorBefore, Status: 503}},
		{{Operation: sandbox.Reopen, Kind: sandbox.ErrorBefore, Status: 403}},
		{{Operation: sandbox.GetConversation, Kind: sandbox.ErrorBefore, Status: 500}},
	} {
		t.Run(string(faults[0].Operation)+strconv.Itoa(faults[0].Status), func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				w.SetFaults(faults)
				if r, err := reopen.Reopen(t.Context(), w.config, "t-1"); err == nil {
					t.Errorf("it succeeded: %+v", r)
				}
				w.wantState(t, "closed")
				w.SetFaults(nil)
				short := w.config
				short.Timeout = time.Millisecond
				if r, err := reopen.Reopen(t.Context(), short, "t-1"); err != nil || r.Already {
					t.Errorf("%+v, %v", r, err)
				}
				w.wantOpen(t, 1)
				w.wantState(t, "waiting")
			})
		})
	}
}

// crashing is a checkpoint that is lost right after the request: what a process that is killed there leaves behind.
type crashing struct{ reopen.Store }

func (crashing) Reopened(context.Context, string, string, checkpoint.Reopening) error {
	return errors.New("killed")
}

func TestCrash(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		crash := w.config
		crash.Store = crashing{w.store}
		if _, err := reopen.Reopen(t.Context(), crash, "t-1"); err == nil {
			t.Error("it was not killed")
		}
		w.wantState(t, "closed")
		r, err := reopen.Reopen(t.Context(), w.config, "t-1")
		if err != nil || !r.Already {
			t.Errorf("%+v, %v", r, err)
		}
		w.wantOpen(t, 1)
		w.wantState(t, "waiting")
	})
}

func TestAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if r, err := reopen.Reopen(t.Context(), w.config, "t-1"); err != nil || !r.Waiting() {
					t.Errorf("%+v, %v", r, err)
				}
			})
		}
		all.Wait()
		w.wantOpen(t, 1)
		w.wantState(t, "waiting")
	})
}

// overtaken is a store in which another process reopens the conversation before this one records that it is about to.
type overtaken struct {
	reopen.Store
	other func()
	once  sync.Once
}

func (s *overtaken) BeginReopen(ctx context.Context, source, id string, hold time.Duration) (bool, error) {
	s.once.Do(s.other)
	return s.Store.BeginReopen(ctx, source, id, hold)
}

// TestOvertaken has another process reopen the conversation after this one has looked at it, and in one case an agent take it.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprintf("taken %v", taken), func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				mine := w.config
				mine.Store = &overtaken{Store: w.config.Store, other: func() {
					if _, err := reopen.Reopen(t.Context(), w.config, "t-1"); err != nil {
						t.Error(err)
					}
					if taken && !w.AgentTakes(w.id, agent) {
						t.Error("the agent could not take it")
					}
				}}
				if _, err := reopen.Reopen(t.Context(), mine, "t-1"); err != nil {
					t.Error(err)
				}
				w.wantOpen(t, 1)
			})
		})
	}
}

func TestNotHandedOver(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if _, err := reopen.Reopen(t.Context(), w.config, "t-9"); err == nil {
			t.Error("an unknown transcript was reopened")
		}
		other := w.config
		other.Organisation.Organisation = "another"
		if _, err := reopen.Reopen(t.Context(), other, "t-1"); !errors.Is(err, reopen.ErrNotHandedOver) {
			t.Errorf("%v", err)
		}
		if w.conversation().ClosedAt.IsZero() {
			t.Error("it was reopened nevertheless")
		}
	})
}

// TestGone: Dixa has no such conversation any more.
func TestGone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.DeleteConversation(w.id)
		_, err := reopen.Reopen(t.Context(), w.config, "t-1")
		if api, ok := errors.AsType[*dixa.APIError](err); !ok || api.Status != 404 {
			t.Errorf("%v", err)
		}
		w.wantState(t, "closed")
	})
}
