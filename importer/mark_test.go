package importer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

const testMark = "dixa-import/" + testSource

func marked(c *importer.Config)     { c.Mark = true }
func reconciled(c *importer.Config) { c.Mark, c.Reconcile = true, true }

func markOf(id string) string {
	return fmt.Sprintf("dixa-import: source %s, checkpoint %s. Do not delete.", testSource, id)
}

// marks returns the end-users with the external id of the mark, in the order of their creation.
func (w *world) marks() []sandbox.EndUser {
	return slices.DeleteFunc(w.api.EndUsers(), func(u sandbox.EndUser) bool { return u.ExternalID != testMark })
}

// ownMark returns the mark as stored in the checkpoint.
func (w *world) ownMark() checkpoint.SourceMark {
	w.Helper()
	s := w.open()
	defer func() { _ = s.Close() }()
	m, err := s.SourceMark(w.Context(), testSource)
	if err != nil {
		w.Fatal(err)
	}
	return m
}

// mustBeLost performs a run that must abort because of another checkpoint, before it sends or creates anything.
func (w *world) mustBeLost(reader source.Reader, change func(*importer.Config)) *importer.LostCheckpointError {
	w.Helper()
	before := w.writes()
	s, err := w.run(reader, change)
	lost, ok := errors.AsType[*importer.LostCheckpointError](err)
	if !ok || s.Run != 0 && s.Outcome != importer.OutcomeAborted {
		w.Fatalf("the run ended as %q with %v, counts %+v", s.Outcome, err, s.Counts)
	}
	if n := w.writes() - before; n != 0 {
		w.Errorf("the run sent %d writing requests", n)
	}
	return lost
}

// writes returns the number of requests that change something in Dixa, apart from marks.
func (w *world) writes() int {
	c := w.api.Counts()
	return c[sandbox.Import] + c[sandbox.CreateEndUser] + c[sandbox.CreateEndUsers] + c[sandbox.PatchAttributes]
}

func (w *world) wantConversations(n int) {
	w.Helper()
	if got := len(w.api.Conversations()); got != n {
		w.Errorf("there are %d conversations, want %d", got, n)
	}
	if twice := w.api.Duplicates(); len(twice) > 0 {
		w.Errorf("duplicates: %v", twice)
	}
}

// answerMark answers look-ups of the mark with f.
func (w *world) answerMark(f func(rw http.ResponseWriter)) {
	inner := w.http.Config.Handler
	w.http.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Query().Get("externalId") == testMark {
			f(rw)
			return
		}
		inner.ServeHTTP(rw, r)
	})
}

func refusing(status int) func(http.ResponseWriter) {
	return func(rw http.ResponseWriter) {
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte(`{"message":"no"}`))
	}
}

// isMarkBody distinguishes the creation of the mark from those of customers.
func isMarkBody(body []byte) bool { return bytes.Contains(body, []byte(testMark)) }

func TestMarkIsLeftAndChecked(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		var first atomic.Pointer[string]
		w.onOperation(func(op sandbox.Operation) {
			if op == sandbox.Import || op == sandbox.CreateEndUsers {
				known := fmt.Sprint(w.marks())
				first.CompareAndSwap(nil, &known)
			}
		})
		patient := func(c *importer.Config) { // a slow machine must not repeat counted requests
			marked(c)
			c.API = w.client(func(c *dixa.Config) { c.Timeout = time.Minute })
		}
		path := w.file("c.jsonl", chats(7)...)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), patient)
		w.setFacts(checkpoint.IDsReturned, 0) // on a slow machine the first run may not find it out
		marks, own := w.marks(), w.ownMark()
		if len(marks) != 1 || own.EndUserID != marks[0].ID || marks[0].DisplayName != markOf(own.ID) || uuid.Validate(own.ID) != nil {
			t.Fatalf("the marks are %+v, the checkpoint has %+v", marks, own)
		}
		if first.Load() == nil || !strings.Contains(*first.Load(), own.ID) {
			t.Error("something was sent before the mark existed")
		}
		if s := w.mustRun(importer.OutcomeOK, w.jsonl(path), patient); s.Counts.Requests != 1 {
			t.Errorf("a run without work took %d requests, want 1: for the organisation", s.Counts.Requests)
		}
		if s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(w.file("c.jsonl", append(chats(7), "{")...)), patient); s.Counts.Requests != 1 {
			t.Errorf("a bad record took %d requests, want 1", s.Counts.Requests)
		}
		if s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(8)...)), patient); s.Counts.Requests != 3 {
			t.Errorf("another chat took %d requests, want 3: for the organisation, the mark, the import", s.Counts.Requests)
		}
		if n := len(w.marks()); n != 1 {
			t.Errorf("there are %d marks", n)
		}
	})
}

// TestMarkOfAnotherCheckpointStopsTheRun requires that a lost checkpoint sends nothing, even if searches fail or show nothing.
func TestMarkOfAnotherCheckpointStopsTheRun(t *testing.T) {
	t.Parallel()
	empty := func(op sandbox.Operation) func(*world) {
		return func(w *world) {
			f := tap(func(got sandbox.Operation, rw http.ResponseWriter, serve func(http.ResponseWriter)) {
				if got != op {
					serve(rw)
					return
				}
				rw.Header().Set("Content-Type", "application/json")
				_, _ = rw.Write([]byte(`{"data":[],"meta":{"previous":null,"next":null}}`))
			})
			w.tap.Store(&f)
		}
	}
	forbid := func(op sandbox.Operation, status int) func(*world) {
		return func(w *world) { w.api.Forbid(op, status) }
	}
	for name, disrupt := range map[string]func(*world){
		"nothing fails":           func(*world) {},
		"lists are forbidden":     forbid(sandbox.ListConversations, 403),
		"lists are missing":       forbid(sandbox.ListConversations, 404),
		"lists fail":              forbid(sandbox.ListConversations, 500),
		"lists are empty":         empty(sandbox.ListConversations),
		"messages are forbidden":  forbid(sandbox.ListMessages, 403),
		"messages are empty":      empty(sandbox.ListMessages),
		"creation is forbidden":   forbid(sandbox.CreateEndUser, 403),
		"the directory is closed": forbid(sandbox.ListEndUsers, 403),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			lines := chats(40)
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", lines...)), marked)
			was := w.ownMark()
			w.loseCheckpoint()
			var fresh []string
			for i := range 60 { // of customers in Dixa, for whom searches find nothing
				w.api.AddEndUser(sandbox.EndUser{ExternalID: fmt.Sprintf("new-%d", i)})
				fresh = append(fresh, chat(fmt.Sprintf("new-%d", i), fields{"end_user": fields{"external_id": fmt.Sprintf("new-%d", i)}}))
			}
			path := w.file("c.jsonl", append(fresh, lines...)...)
			disrupt(w)
			if lost := w.mustBeLost(w.jsonl(path), marked); lost.Mark != was.ID {
				t.Errorf("the error is %+v, want the mark of %s", lost, was.ID)
			}
			_ = w.mustBeLost(w.jsonl(path), marked)
			_ = w.mustBeLost(w.jsonl(path), func(c *importer.Config) {
				c.Mark, c.Retry = true, &importer.Selection{Statuses: []checkpoint.Status{checkpoint.Pending}}
			})
			w.wantConversations(40)
		})
	}
}

// TestReconcileTakesOverTheMark requires that only a run that searched for everything takes over the mark, and that the other checkpoint
// sends nothing from then on.
func TestReconcileTakesOverTheMark(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		lines := chats(20)
		path := w.file("c.jsonl", lines[:15]...)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), marked)
		first, was := w.url, w.ownMark()
		w.loseCheckpoint()
		path = w.file("c.jsonl", lines...)
		for name, part := range map[string]func(*importer.Config){
			"a limit": func(c *importer.Config) { reconciled(c); c.Limit = 3 },
			"an excerpt": func(c *importer.Config) {
				reconciled(c)
				c.Excerpt = true
				c.Reader = w.jsonl(w.file("part.jsonl", lines[:2]...))
			},
		} {
			w.mustRun(importer.OutcomeOK, w.jsonl(path), part)
			_ = w.mustBeLost(w.jsonl(path), marked)
			if got := w.marks()[0].DisplayName; got != markOf(was.ID) {
				t.Errorf("after %s the mark is %q", name, got)
			}
		}
		// A run that is stopped, and one that cannot search.
		w.onOperation(func(op sandbox.Operation) {
			if op == sandbox.ListConversations {
				w.onOperation(nil)
				w.api.SetFaults([]sandbox.Fault{{Operation: sandbox.ListConversations, Kind: sandbox.ErrorBefore, Status: 400}})
			}
		})
		if _, err := w.run(w.jsonl(path), reconciled); err != nil {
			t.Error(err)
		}
		w.onOperation(nil)
		w.api.SetFaults(nil)
		_ = w.mustBeLost(w.jsonl(path), marked)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), reconciled)
		own := w.ownMark()
		if marks := w.marks(); len(marks) != 1 || marks[0].DisplayName != markOf(own.ID) || own.ID == was.ID || own.EndUserID != marks[0].ID {
			t.Errorf("the marks are %+v, the checkpoint has %+v", marks, own)
		}
		w.wantConversations(20)
		path = w.file("c.jsonl", chats(22)...)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), marked)
		w.wantConversations(22)

		w.url = first
		if lost := w.mustBeLost(w.jsonl(path), marked); lost.Mark != own.ID {
			t.Errorf("the first checkpoint got %+v", lost)
		}
		w.mustRun(importer.OutcomeOK, w.jsonl(path), reconciled) // takes it back
		w.wantConversations(22)
	})
}

// TestReconcileWithAMarkThatCannotBeRenamed requires that the checkpoint adopts the id in the mark.
func TestReconcileWithAMarkThatCannotBeRenamed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{403, 404, 405} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{Forbidden: map[sandbox.Operation]int{sandbox.PatchEndUser: status}})
			path := w.file("c.jsonl", chats(5)...)
			w.mustRun(importer.OutcomeOK, w.jsonl(path), marked)
			was := w.ownMark()
			w.loseCheckpoint()
			w.mustRun(importer.OutcomeOK, w.jsonl(path), reconciled)
			if own := w.ownMark(); own != was {
				t.Errorf("the checkpoint has %+v, want %+v", own, was)
			}
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(9)...)), marked)
			w.wantConversations(9)
		})
	}
	t.Run("temporarily", func(t *testing.T) {
		t.Parallel()
		w := setup(t, "sqlite", sandbox.Options{})
		path := w.file("c.jsonl", chats(5)...)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), marked)
		w.loseCheckpoint()
		w.api.SetFaults([]sandbox.Fault{{Operation: sandbox.PatchEndUser, Kind: sandbox.ErrorBefore, Status: 500}})
		if _, err := w.run(w.jsonl(path), reconciled); err == nil || !strings.Contains(err.Error(), "run with --reconcile again") {
			t.Errorf("the run ended with %v", err)
		}
		w.api.SetFaults(nil)
		path = w.file("c.jsonl", chats(9)...)
		_ = w.mustBeLost(w.jsonl(path), marked)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), reconciled)
		w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(10)...)), marked)
		w.wantConversations(10)
	})
}

// TestFailedCreationOfTheMark requires that all resulting marks name one checkpoint, however the answer is lost.
func TestFailedCreationOfTheMark(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	for _, kind := range []sandbox.FaultKind{sandbox.ErrorBefore, sandbox.ErrorAfter, sandbox.DropBefore, sandbox.DropAfter, sandbox.HangAfter,
		sandbox.EmptyBody, sandbox.HTMLAfter, sandbox.Throttle} {
		for _, opts := range []sandbox.Options{{}, {UniqueExternalID: true}, {EndUserLag: 50 * time.Millisecond}} {
			t.Run(fmt.Sprintf("%s/unique=%v lag=%v", kind, opts.UniqueExternalID, opts.EndUserLag), func(t *testing.T) {
				t.Parallel()
				w := setup(t, "sqlite", opts)
				w.api.SetFaults([]sandbox.Fault{{Name: "mark", Operation: sandbox.CreateEndUser, Kind: kind, Match: isMarkBody, Times: 2}})
				path := w.file("c.jsonl", chats(7)...)
				w.mustRun(importer.OutcomeOK, w.jsonl(path), marked)
				w.wantFired("mark")
				own, marks := w.ownMark(), w.marks()
				if len(marks) == 0 {
					t.Error("there is no mark")
				}
				for _, m := range marks {
					if m.DisplayName != markOf(own.ID) {
						t.Errorf("a mark says %q, the checkpoint is %s", m.DisplayName, own.ID)
					}
				}
				w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(9)...)), marked)
				w.wantConversations(9)
			})
		}
	}
}

// TestOneOfTwoCheckpointsGetsTheMark has two checkpoints that find no mark and leave one each. The older mark counts.
func TestOneOfTwoCheckpointsGetsTheMark(t *testing.T) {
	t.Parallel()
	for name, older := range map[string]bool{"the other is older": true, "the other is younger": false} {
		for _, lag := range []time.Duration{0, 30 * time.Millisecond} {
			t.Run(fmt.Sprint(name, lag), func(t *testing.T) {
				t.Parallel()
				w := setup(t, "sqlite", sandbox.Options{EndUserLag: lag})
				other := sandbox.EndUser{ExternalID: testMark, DisplayName: markOf(uuid.NewString()), CreatedAt: time.Now().Add(time.Hour)}
				if older {
					other.CreatedAt = time.Now().Add(-time.Second)
				}
				var seen atomic.Bool
				w.onOperation(func(op sandbox.Operation) {
					if op == sandbox.CreateEndUser && seen.CompareAndSwap(false, true) {
						w.api.AddEndUser(other)
					}
				})
				path := w.file("c.jsonl", chats(7)...)
				if !older {
					w.mustRun(importer.OutcomeOK, w.jsonl(path), marked)
					w.wantConversations(7)
					return
				}
				_, err := w.run(w.jsonl(path), marked)
				if _, lost := errors.AsType[*importer.LostCheckpointError](err); !lost {
					t.Errorf("the run ended with %v", err)
				}
				_ = w.mustBeLost(w.jsonl(path), marked)
				w.wantConversations(0)
			})
		}
	}
}

// TestKillBeforeTheMarkIsRecorded requires that the mark in Dixa is recognized.
func TestKillBeforeTheMarkIsRecorded(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		var died atomic.Bool
		ctx, kill := context.WithCancel(t.Context())
		w.onOperation(func(op sandbox.Operation) {
			if op == sandbox.Import && died.CompareAndSwap(false, true) {
				kill()
			}
		})
		s := w.open()
		_, _ = w.importer(w.jsonl(w.file("c.jsonl", chats(7)...)), func(c *importer.Config) { marked(c); c.Store = s }).Run(ctx)
		if own := w.ownMark(); own.ID == "" || own.EndUserID == "" {
			t.Fatalf("the checkpoint has %+v", own)
		} else if err := s.SetSourceMark(t.Context(), testSource, checkpoint.SourceMark{ID: own.ID}); err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(8)...)), marked) // one more: the rest may be in Dixa already
		if n := len(w.marks()); n != 1 || w.ownMark().EndUserID != w.marks()[0].ID {
			t.Errorf("there are %d marks, the checkpoint has %+v", n, w.ownMark())
		}
		w.wantConversations(8)
	})
}

// TestRunWithoutAccessToTheMark requires that every transcript is searched for, so that a lost checkpoint is noticed without the mark.
func TestRunWithoutAccessToTheMark(t *testing.T) {
	t.Parallel()
	for name, disrupt := range map[string]func(*world){
		"look-ups are unauthorized": func(w *world) { w.answerMark(refusing(401)) },
		"look-ups are forbidden":    func(w *world) { w.answerMark(refusing(403)) },
		"look-ups are missing":      func(w *world) { w.answerMark(refusing(404)) },
		"look-ups fail":             func(w *world) { w.answerMark(refusing(500)) },
		"look-ups are broken":       func(w *world) { w.answerMark(func(rw http.ResponseWriter) { _, _ = rw.Write([]byte("{")) }) },
		"look-ups find nothing": func(w *world) {
			w.answerMark(func(rw http.ResponseWriter) { _, _ = rw.Write([]byte(`{"data":[],"meta":{}}`)) })
		},
		"it cannot be created": func(w *world) {
			w.api.SetFaults([]sandbox.Fault{{Operation: sandbox.CreateEndUser, Kind: sandbox.ErrorBefore, Status: 403, Match: isMarkBody}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			disrupt(w)
			lines := chats(40)
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", lines...)), marked)
			if log := w.logs.String(); strings.Count(log, "Dixa does not show whether another checkpoint imports this source") != 1 {
				t.Error("the log does not warn once about the mark")
			}
			s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", append(lines, chat("more", nil))...)), marked)
			if s.Counts.Imported+s.Counts.Partial != 1 {
				t.Errorf("the next run counts %+v", s.Counts)
			}
			w.loseCheckpoint()
			var fresh []string
			for i := range 60 {
				w.api.AddEndUser(sandbox.EndUser{ExternalID: fmt.Sprintf("new-%d", i)})
				fresh = append(fresh, chat(fmt.Sprintf("new-%d", i), fields{"end_user": fields{"external_id": fmt.Sprintf("new-%d", i)}}))
			}
			path := w.file("c.jsonl", append(fresh, lines...)...)
			_, err := w.run(w.jsonl(path), func(c *importer.Config) { marked(c); c.Workers = 2 })
			if lost, ok := errors.AsType[*importer.LostCheckpointError](err); !ok || lost.Conversation == 0 {
				t.Errorf("the run ended with %v", err)
			}
			if twice := w.api.Duplicates(); len(twice) > 0 {
				t.Errorf("duplicates: %v", twice)
			}
		})
	}
}

// TestRunWithoutAccessToMarkAndLists has a token that can read neither the mark nor conversations.
func TestRunWithoutAccessToMarkAndLists(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	for name, status := range map[string]int{"forbidden": 403, "missing": 404, "failing": 500} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			path := w.file("c.jsonl", chats(7)...)
			w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
			first := w.url
			w.loseCheckpoint()
			w.answerMark(refusing(403))
			w.api.Forbid(sandbox.ListConversations, status)
			for range 2 { // one failed search does not allow the next run to send
				s, err := w.run(w.jsonl(path), marked)
				switch {
				case status == 403 && (err == nil || !strings.Contains(err.Error(), "dixa.mark")):
					t.Errorf("the run ended with %v", err)
				case status != 403 && (err != nil || s.Counts.Pending != 7):
					t.Errorf("the run ended with %v, counts %+v", err, s.Counts)
				}
			}
			w.wantConversations(7)
			// A checkpoint with a completed run continues without searching, as before there were marks.
			w.url = first
			s, err := w.run(w.jsonl(w.file("c.jsonl", chats(8)...)), marked)
			if status == 403 && (err != nil || s.Counts.Imported+s.Counts.Partial != 1) || status != 403 && s.Counts.Pending != 1 {
				t.Errorf("a later run ended with %v, counts %+v", err, s.Counts)
			}
		})
	}
}

// TestUnreadableMarkStopsTheRun has an end-user with the mark's external id and another name.
func TestUnreadableMarkStopsTheRun(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a customer": "Ann Lee", "no name": "", "of another source": "dixa-import: source other, checkpoint " + uuid.NewString() + ". Do not delete.",
		"cut": markOf(uuid.NewString())[:60],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			id := w.api.AddEndUser(sandbox.EndUser{ExternalID: testMark, DisplayName: text})
			path := w.file("c.jsonl", chats(4)...)
			for range 2 {
				_, err := w.run(w.jsonl(path), marked)
				if _, ok := errors.AsType[*importer.MarkError](err); !ok || text != "" && strings.Contains(err.Error(), text) {
					t.Fatalf("the run ended with %v", err)
				}
			}
			w.wantConversations(0)
			w.mustRun(importer.OutcomeOK, w.jsonl(path), reconciled)
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(6)...)), marked)
			for _, m := range w.marks() {
				if m.ID == id && m.DisplayName != text {
					t.Errorf("the end-user was renamed to %q", m.DisplayName)
				}
			}
			if n := len(w.marks()); n != 2 {
				t.Errorf("%d end-users have its external id", n)
			}
			w.wantConversations(6)
		})
	}
}

// TestRenamedMarkIsRecognized has an agent rename the mark of this checkpoint.
func TestRenamedMarkIsRecognized(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(4)...)), marked)
	client := w.client(nil)
	if _, err := client.RenameEndUser(t.Context(), w.ownMark().EndUserID, "what is this?"); err != nil {
		t.Fatal(err)
	}
	w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(6)...)), marked)
	w.api.DeleteEndUser(w.ownMark().EndUserID) // and delete it
	w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(8)...)), marked)
	if marks := w.marks(); len(marks) != 1 || marks[0].DisplayName != markOf(w.ownMark().ID) {
		t.Errorf("the marks are %+v", marks)
	}
	w.wantConversations(8)
}

// TestCheckpointsOlderThanTheMark requires that they leave a mark before they send something.
func TestCheckpointsOlderThanTheMark(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		w.setFacts(checkpoint.IDsReturned, 0) // a loaded machine might measure a lag, which is not tested here
		w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(7)...)), nil)
		w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(7)...)), marked)
		if len(w.marks()) != 0 {
			t.Error("a run that sent nothing has left a mark")
		}
		looks := w.api.Counts()[sandbox.ListConversations]
		w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(12)...)), marked)
		if len(w.marks()) != 1 || w.api.Counts()[sandbox.ListConversations] != looks {
			t.Errorf("%d marks, %d searches", len(w.marks()), w.api.Counts()[sandbox.ListConversations]-looks)
		}
		if warnings := w.warnings(); len(warnings) != 0 {
			t.Errorf("the run logged warnings: %q", warnings)
		}
	})
}

// TestMarkIsNotACustomer has a customer with the external id of the mark. They must not share an end-user.
func TestMarkIsNotACustomer(t *testing.T) {
	t.Parallel()
	for name, preload := range map[string]bool{"looked up": false, "listed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			line := chat("t-1", fields{"end_user": fields{"external_id": testMark}})
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chat("t-0", nil), line)), func(c *importer.Config) { marked(c); c.Preload = preload })
			if got := w.wantOnce("t-1").RequesterID; got == w.ownMark().EndUserID {
				t.Error("the conversation belongs to the mark")
			}
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chat("t-2", nil))), marked)
			w.wantConversations(3)
		})
	}
}

// TestProcessesShareOneMark has several processes with one database.
func TestProcessesShareOneMark(t *testing.T) {
	t.Parallel()
	w := setup(t, "postgres", sandbox.Options{EndUserLag: 20 * time.Millisecond})
	path := w.file("c.jsonl", chats(40)...)
	failed := make(chan error, 4)
	for range cap(failed) {
		store := w.open()
		go func() {
			_, err := w.importer(w.jsonl(path), func(c *importer.Config) { marked(c); c.Store = store }).Run(context.Background())
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	for _, m := range w.marks() {
		if m.DisplayName != markOf(w.ownMark().ID) {
			t.Errorf("a mark says %q", m.DisplayName)
		}
	}
	w.wantConversations(40)
}

// TestMarkIsTakenOverAfterTheWholeSource has a checkpoint that was out of use for a while, so that its watermark is too high.
func TestMarkIsTakenOverAfterTheWholeSource(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	url, db := botDatabase(t, 60)
	overlap := func(change func(*importer.Config)) func(*importer.Config) {
		return func(c *importer.Config) { change(c); withOrders(c); c.Overlap = time.Minute }
	}
	s := w.mustRun(importer.OutcomeOK, w.postgres(url), overlap(marked))
	n := int(s.Counts.Imported)
	first := w.url
	w.loseCheckpoint()
	w.mustRun(importer.OutcomeOK, w.postgres(url), overlap(reconciled))
	exec(t, db, `insert into sessions select 1000, started_at, ended_at, customer, order_no from sessions where id = 2`) // closed late, far below the watermark
	exec(t, db, `insert into messages (session_id, sender, body, sent_at) select 1000, sender, body, sent_at from messages where session_id = 2`)
	w.mustRun(importer.OutcomeOK, w.postgres(url), overlap(func(c *importer.Config) { marked(c); c.Full = true }))
	w.wantConversations(n + 1)
	w.url = first
	s = w.mustRun(importer.OutcomeOK, w.postgres(url), overlap(reconciled))
	if s.Counts.Read != int64(n+1) || s.Counts.Partial+s.Counts.Imported != 1 {
		t.Errorf("the run that takes the mark counts %+v", s.Counts)
	}
	w.mustRun(importer.OutcomeOK, w.postgres(url), overlap(func(c *importer.Config) { marked(c); c.Full = true }))
	w.wantConversations(n + 1)
}

// TestFailedSearchKeepsTheMark requires that a failed search with Reconcile sends nothing and does not change the mark.
func TestFailedSearchKeepsTheMark(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	for _, status := range []int{404, 410, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			path := w.file("c.jsonl", chats(7)...)
			w.mustRun(importer.OutcomeOK, w.jsonl(path), marked)
			was := w.marks()
			w.loseCheckpoint()
			w.api.Forbid(sandbox.ListConversations, status)
			if _, err := w.run(w.jsonl(path), reconciled); err != nil {
				t.Error(err)
			}
			w.wantConversations(7)
			if now := w.marks(); len(now) != 1 || now[0].DisplayName != was[0].DisplayName {
				t.Errorf("the marks are %+v", now)
			}
			_ = w.mustBeLost(w.jsonl(path), marked)
			w.api.Forbid(sandbox.ListConversations, 0)
			w.mustRun(importer.OutcomeOK, w.jsonl(path), reconciled)
			w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", chats(9)...)), marked)
			w.wantConversations(9)
		})
	}
}
