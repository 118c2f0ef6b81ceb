package withdraw

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

// Summary is what has become of the conversations that a run imported. All figures are totals, whichever invocation did it.
type Summary struct {
	Outcome session.Outcome // session.OutcomeIncomplete: something is left, or was refused
	Reason  string          // why it was stopped
	// Of WithdrawImport: Done is anonymized, Queued waits in Dixa's queue. Of WithdrawTag: Done is tagged.
	Done, Queued int64
	Unclear      int64 // it is not known whether Dixa has taken the request
	Refused      int64
	Gone         int64 // Dixa does not have them any more
	Left         int64 // not asked yet, such as those that a run works on
	Requests     int64
	Throttled    int64
	Duration     time.Duration
}

// Anonymize asks Dixa to anonymize what a run imported, and marks its transcripts as undone. It does what is left of an earlier invocation.
func (w *Withdrawer) Anonymize(ctx context.Context, run int64) (Summary, error) {
	return w.withdraw(ctx, run, checkpoint.WithdrawImport, new(string), func() error {
		err := w.each(run, func(x checkpoint.ImportOf) error {
			switch known := x.Withdrawal; {
			case known.State == checkpoint.WithdrawalSending: // followed below
			case known.State != "" && known.State != checkpoint.WithdrawalRefused: // a run had the transcript when it was asked
				return w.write(func(ctx context.Context) error { return w.store.Undo(ctx, known) })
			case !x.Held:
				return w.ask(known)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return w.follow(func(after string) ([]checkpoint.Withdrawal, error) {
			return w.withdrawals(run, checkpoint.WithdrawImport, after, pending...)
		})
	})
}

// Tag sets a tag on what a run imported and was not undone. The tag is found by its name, and created with Config.CreateTags.
func (w *Withdrawer) Tag(ctx context.Context, run int64, name string) (Summary, error) {
	var left atomic.Int64
	suffix := "/" // which the targets of this tag end in
	s, err := w.withdraw(ctx, run, checkpoint.WithdrawTag, &suffix, func() error {
		id, err := w.s.TagID(w.s.Starting, name)
		if unknown := new(session.Unknown); errors.As(err, &unknown) {
			return &session.ConfigError{Problem: fmt.Sprintf("the tag %q: %s", name, unknown.Text)}
		} else if err != nil {
			return err
		}
		suffix += id
		return w.each(run, func(x checkpoint.ImportOf) error { return w.tag(x.Withdrawal, name, id, &left) })
	})
	if s.Left = left.Load(); s.Left > 0 && s.Outcome == session.OutcomeOK {
		s.Outcome = session.OutcomeIncomplete
	}
	return s, err
}

// tag sets a tag on one conversation, unless that is recorded. It may be repeated.
func (w *Withdrawer) tag(x checkpoint.Withdrawal, name, id string, left *atomic.Int64) error {
	x = checkpoint.Withdrawal{Organisation: x.Organisation, Action: checkpoint.WithdrawTag, Target: x.Target + "/" + id, ConversationID: x.ConversationID,
		Source: x.Source, TranscriptID: x.TranscriptID, RunID: x.RunID, Detail: name}
	err := w.read(func(ctx context.Context) error {
		known, err := w.store.Withdrawal(ctx, x.Organisation, x.Action, x.Target)
		x.State, x.Attempts = known.State, known.Attempts
		return err
	})
	if err != nil || x.State == checkpoint.WithdrawalDone {
		return err
	}
	err = w.api.AddTag(w.s.Working, x.ConversationID, id)
	state, detail := checkpoint.WithdrawalDone, name
	switch {
	case err == nil:
		w.accepted.Store(true)
	case session.ContextError(err) != nil:
		return session.ErrStopped
	case dixa.ReasonOf(err) == dixa.ReasonNotFound:
		state = checkpoint.WithdrawalGone
	case dixa.NotOffered(err) && !w.accepted.Load():
		return session.Fatal(session.Advise(err, "the token may not set tags: put a token with more rights into dixa.token"))
	case dixa.Refused(err):
		state, detail = checkpoint.WithdrawalRefused, err.Error()
	default:
		w.s.Log.Warn("a conversation could not be tagged: run the command again", "conversation", x.ConversationID, "error", err.Error())
		left.Add(1)
		return nil
	}
	err = w.write(func(ctx context.Context) error {
		_, err := w.store.BeginWithdrawal(ctx, x, w.me, 0)
		return err
	})
	if err != nil {
		return err
	}
	x.Attempts++
	return w.end(x, state, detail)
}

// withdraw does the work on a run, and counts what has become of its conversations: of the targets that end in suffix.
func (w *Withdrawer) withdraw(ctx context.Context, run int64, action checkpoint.WithdrawalAction, suffix *string, work func() error) (Summary, error) {
	started := time.Now()
	defer w.s.Begin(ctx)()
	err := w.begin()
	if err == nil {
		err = w.mayUndo(run)
	}
	if err == nil {
		err = work()
	}
	if cause := context.Cause(w.s.Starting); cause != nil {
		err = cause
	}
	stats := w.api.Stats()
	s := Summary{Outcome: session.OutcomeOK, Requests: stats.Requests, Throttled: stats.Throttled, Duration: time.Since(started)}
	var stop *session.StopError
	switch {
	case errors.As(err, &stop) || errors.Is(err, context.Canceled):
		s.Outcome, s.Reason = session.OutcomeStopped, err.Error()
	case err != nil:
		s.Outcome = session.OutcomeAborted
		return s, err
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), session.DatabaseTimeout)
	defer cancel()
	if err := w.count(end, run, action, *suffix, &s); err != nil {
		return s, err
	}
	if s.Outcome == session.OutcomeOK && s.Queued+s.Unclear+s.Refused+s.Left > 0 {
		s.Outcome = session.OutcomeIncomplete
	}
	return s, nil
}

// mayUndo requires that a run has ended.
func (w *Withdrawer) mayUndo(id int64) error {
	var run checkpoint.Run
	found := false
	err := w.read(func(ctx context.Context) (err error) {
		run, found, err = w.store.Run(ctx, id)
		return err
	})
	switch {
	case err != nil:
		return err
	case !found || run.Source != w.s.Source:
		return fmt.Errorf("source %s has no run %d: `dixa-import status` lists the last ones; a run of another source needs its configuration", w.s.Source, id)
	case run.Alive:
		return fmt.Errorf("run %d is still going on, or was killed less than %v ago: wait until it has ended, then undo it", id, checkpoint.Lease)
	}
	return nil
}

// count counts what has become of a run's conversations.
func (w *Withdrawer) count(ctx context.Context, run int64, action checkpoint.WithdrawalAction, suffix string, s *Summary) error {
	for after := ""; ; {
		page, err := w.store.WithdrawalsOf(ctx, run, w.s.Organisation, action, nil, after, pageSize)
		if err != nil || len(page) == 0 {
			if err != nil {
				return err
			}
			break
		}
		after = page[len(page)-1].Target
		for _, x := range page {
			if !strings.HasSuffix(x.Target, suffix) {
				continue
			}
			switch x.State {
			case checkpoint.WithdrawalDone:
				s.Done++
			case checkpoint.WithdrawalAsked:
				s.Queued++
			case checkpoint.WithdrawalRefused:
				s.Refused++
			case checkpoint.WithdrawalGone:
				s.Gone++
			default:
				s.Unclear++
			}
		}
	}
	for after := ""; action == checkpoint.WithdrawImport; {
		page, err := w.store.ImportsOf(ctx, w.s.Source, run, w.s.Organisation, after, pageSize)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].TranscriptID
		for _, x := range page {
			if x.Withdrawal.State == "" {
				s.Left++
			}
		}
	}
	return nil
}
