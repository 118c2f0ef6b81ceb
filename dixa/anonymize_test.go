package dixa

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
)

func TestAnonymize(t *testing.T) {
	t.Parallel()
	s := onStage(t, sandbox.Options{AnonymizeDelay: -1})
	_, err := s.c.AnonymizeConversation(t.Context(), s.id, false, nil)
	if !Refused(err) || NotOffered(err) || !strings.Contains(err.Error(), "409") {
		t.Errorf("an open conversation: %v", err)
	}
	asked, err := s.c.AnonymizeConversation(t.Context(), s.id, true, nil)
	if err != nil || asked.ID == "" || asked.Target != fmt.Sprint(s.id) || !asked.ProcessedAt.IsZero() {
		t.Fatal(asked, err)
	}
	if got, err := s.c.GetConversation(t.Context(), s.id); err != nil || !got.AnonymizedAt.IsZero() || got.State != "Closed" {
		t.Errorf("before the queue: %+v, %v", got, err)
	}
	if s.api.ProcessAnonymizations() != 1 {
		t.Error("the request is not in the queue")
	}
	if again, err := s.c.GetAnonymization(t.Context(), asked.ID); err != nil || again.ID != asked.ID || again.ProcessedAt.IsZero() {
		t.Errorf("the request: %+v, %v", again, err)
	}
	if got, err := s.c.GetConversation(t.Context(), s.id); err != nil || got.AnonymizedAt.IsZero() {
		t.Errorf("after the queue: %+v, %v", got, err)
	}
	user, err := s.c.AnonymizeEndUser(t.Context(), s.user, false, nil)
	if err != nil || user.Target != s.user {
		t.Fatal(user, err)
	}
	s.api.ProcessAnonymizations()
	if people, err := s.c.FindEndUsers(t.Context(), ByEmail, testEmail); err != nil || len(people) != 0 {
		t.Errorf("the end-user is found: %+v, %v", people, err)
	}
	for what, err := range map[string]error{
		"a conversation": second(s.c.AnonymizeConversation(t.Context(), missingID, false, nil)),
		"an end-user":    second(s.c.AnonymizeEndUser(t.Context(), humanAgent, false, nil)),
		"a request":      second(s.c.GetAnonymization(t.Context(), humanAgent)),
	} {
		if ReasonOf(err) != ReasonNotFound || NotOffered(err) {
			t.Errorf("%s that is not there: %v", what, err)
		}
	}
	for _, err := range []error{second(s.c.AnonymizeEndUser(t.Context(), "", false, nil)), second(s.c.GetAnonymization(t.Context(), ".."))} {
		if !NotApplied(err) {
			t.Errorf("without an id: %v", err)
		}
	}
	s.clean()
}

func second[T any](_ T, err error) error { return err }

// TestAnonymizeIsNotRepeated requires that a request leaves once after every answer that leaves doubt, and again after proof that it had no effect.
func TestAnonymizeIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault sandbox.FaultKind
		sent  int
	}{{sandbox.ErrorAfter, 1}, {sandbox.ErrorBefore, 1}, {sandbox.DropAfter, 1}, {sandbox.HangAfter, 1}, {sandbox.CutBody, 1}, {sandbox.BrokenBody, 1},
		{sandbox.EmptyBody, 1}, {sandbox.HTMLAfter, 1}, {sandbox.Throttle, 2}} {
		s := onStage(t, sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.AnonymizeConversation, Kind: tt.fault, Times: 1}}},
			func(c *Config) { c.Timeout = time.Second })
		attempts := 0
		_, err := s.c.AnonymizeConversation(t.Context(), s.id, true, func(context.Context, int, error) (time.Time, error) {
			attempts++
			return time.Time{}, nil
		})
		if n := s.api.Counts()[sandbox.AnonymizeConversation]; n != tt.sent || attempts != tt.sent {
			t.Errorf("%s: %d requests, %d attempts, want %d", tt.fault, n, attempts, tt.sent)
		}
		if (err == nil) != (tt.fault == sandbox.Throttle) || err != nil && NotApplied(err) {
			t.Errorf("%s: %v", tt.fault, err)
		}
		s.clean()
	}
	s := onStage(t, sandbox.Options{})
	refusal := errors.New("not now")
	if _, err := s.c.AnonymizeEndUser(t.Context(), s.user, true, func(context.Context, int, error) (time.Time, error) { return time.Time{}, refusal }); !errors.Is(err, refusal) {
		t.Error(err)
	}
	if n := len(s.api.Anonymizations()); n != 0 {
		t.Errorf("%d requests left", n)
	}
}
