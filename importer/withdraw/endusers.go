package withdraw

import (
	"context"
	"errors"
	"slices"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

// EndUsers is what has become of end-users that were to be anonymized.
type EndUsers struct {
	Outcome session.Outcome // session.OutcomeOK: all are anonymized, or gone from Dixa
	Reason  string          // why it was stopped
	List    []checkpoint.Withdrawal
	// Elsewhere are those of another organisation, which this token cannot ask about.
	Elsewhere []string
}

// AnonymizeEndUsers asks Dixa to anonymize end-users with all of their conversations, each once, and follows the requests. It does what is left
// of an earlier invocation.
func (w *Withdrawer) AnonymizeEndUsers(ctx context.Context, ids []string) (EndUsers, error) {
	defer w.s.Begin(ctx)()
	var out EndUsers
	err := w.begin()
	if err == nil {
		err = w.read(func(ctx context.Context) (err error) {
			out.Elsewhere, err = w.store.Elsewhere(ctx, w.s.Organisation, ids)
			return err
		})
	}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(out.Elsewhere, id) })
	slices.Sort(ids)
	if err == nil {
		err = w.anonymizeEndUsers(ids)
	}
	if cause := context.Cause(w.s.Starting); cause != nil {
		err = cause
	}
	var stop *session.StopError
	out.Outcome = session.OutcomeOK
	switch {
	case errors.As(err, &stop) || errors.Is(err, context.Canceled):
		out.Outcome, out.Reason = session.OutcomeStopped, err.Error()
	case err != nil:
		return out, err
	}
	left := len(out.Elsewhere) > 0
	for _, id := range ids {
		x, err := w.store.Withdrawal(context.WithoutCancel(ctx), w.s.Organisation, checkpoint.WithdrawEndUser, id)
		if err != nil {
			return out, err
		}
		out.List = append(out.List, x)
		left = left || x.State != checkpoint.WithdrawalDone && x.State != checkpoint.WithdrawalGone
	}
	if left && out.Outcome == session.OutcomeOK {
		out.Outcome = session.OutcomeIncomplete
	}
	return out, nil
}

// anonymizeEndUsers asks about those about whom nobody has asked yet, and follows all. The ids are sorted.
func (w *Withdrawer) anonymizeEndUsers(ids []string) error {
	known := func(id string) (x checkpoint.Withdrawal, err error) {
		err = w.read(func(ctx context.Context) (err error) {
			x, err = w.store.Withdrawal(ctx, w.s.Organisation, checkpoint.WithdrawEndUser, id)
			return err
		})
		return x, err
	}
	for _, id := range ids {
		x, err := known(id)
		if err == nil && (x.State == "" || x.State == checkpoint.WithdrawalRefused) {
			err = w.ask(x)
		}
		if err != nil {
			return err
		}
	}
	return w.follow(func(after string) (page []checkpoint.Withdrawal, err error) {
		for _, id := range ids {
			if id <= after {
				continue
			}
			x, err := known(id)
			if err != nil {
				return nil, err
			}
			if slices.Contains(pending, x.State) {
				page = append(page, x)
			}
		}
		return page, nil
	})
}
