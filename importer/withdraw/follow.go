package withdraw

import (
	"time"

	"github.com/cenkalti/backoff/v5"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

const (
	// unfinishedInARow is how many requests in a row may still wait before a round of questions ends: Dixa is likely to be busy with the rest, too.
	unfinishedInARow = 20
	firstPause       = 500 * time.Millisecond
	longestPause     = 30 * time.Second
)

// pending are the states of withdrawals that are followed.
var pending = []checkpoint.WithdrawalState{checkpoint.WithdrawalSending, checkpoint.WithdrawalAsked}

// round is one pass over the requests that are not done. The next round goes on where one ended early.
type round struct {
	after    string // the target that was the last to be asked about
	waiting  int    // how many still wait
	inARow   int
	progress bool
	denied   error // Dixa does not say how far requests are
}

// follow asks Dixa about requests until all are done or Options.Wait is over. pages returns those after a target, in the order of the targets.
func (w *Withdrawer) follow(pages func(after string) ([]checkpoint.Withdrawal, error)) error {
	deadline := time.Now().Add(w.opts.Wait)
	pause := &backoff.ExponentialBackOff{InitialInterval: firstPause, RandomizationFactor: 0.3, Multiplier: 2, MaxInterval: longestPause}
	for after := ""; ; {
		r := round{after: after}
		whole, err := w.round(&r, pages)
		switch {
		case err != nil:
			return err
		case r.denied != nil:
			w.s.Log.Warn("Dixa does not tell this token how far requests to anonymize are: look at the conversations in Dixa", "error", r.denied.Error())
			return nil //nolint:nilerr // err is nil here
		case r.waiting == 0 && whole && after == "":
			return nil
		}
		after = r.after
		if whole {
			after = ""
		}
		if r.progress {
			pause.Reset()
		}
		if r.waiting == 0 {
			continue // those before
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil
		}
		if !session.Pause(w.s.Starting, min(pause.NextBackOff(), left)) {
			return session.ErrStopped
		}
	}
}

// round asks about the requests once, and reports whether it came to the end.
func (w *Withdrawer) round(r *round, pages func(after string) ([]checkpoint.Withdrawal, error)) (whole bool, err error) {
	for {
		page, err := pages(r.after)
		if err != nil || len(page) == 0 {
			return true, err
		}
		for _, x := range page {
			if w.s.Starting.Err() != nil {
				return false, session.ErrStopped
			}
			r.after = x.Target
			done, err := w.advance(x, r)
			switch {
			case err != nil:
				return false, err
			case r.denied != nil:
				return false, nil //nolint:nilerr // err is nil here
			case done:
				r.progress, r.inARow = true, 0
			default:
				r.waiting++
				r.inARow++
			}
			if r.inARow >= unfinishedInARow {
				return false, nil
			}
		}
	}
}

// advance finds out how far one request is, and reports whether it needs no further questions.
func (w *Withdrawer) advance(x checkpoint.Withdrawal, r *round) (done bool, err error) {
	if x.State == checkpoint.WithdrawalSending {
		return w.settleDoubt(x)
	}
	if x.RequestID != "" {
		request, err := w.api.GetAnonymization(w.s.Starting, x.RequestID)
		switch {
		case err == nil && request.ProcessedAt.IsZero():
			return false, nil
		case err == nil:
			return true, w.end(x, checkpoint.WithdrawalDone, "")
		case w.s.Starting.Err() != nil:
			return false, session.ErrStopped
		case dixa.Transient(err):
			return false, nil
		}
	}
	seen, err := w.look(w.s.Starting, x)
	switch {
	case w.s.Starting.Err() != nil:
		return false, session.ErrStopped
	case err != nil && session.Denied(err):
		r.denied = err
		return false, nil
	case err != nil:
		return false, nil //nolint:nilerr // the next round asks again
	}
	return w.endAsSeen(x, seen)
}

// endAsSeen records what Dixa shows, if that settles the request.
func (w *Withdrawer) endAsSeen(x checkpoint.Withdrawal, seen sight) (settled bool, err error) {
	switch seen {
	case anonymized:
		return true, w.end(x, checkpoint.WithdrawalDone, "")
	case gone:
		return true, w.end(x, checkpoint.WithdrawalGone, "")
	}
	return false, nil
}

// settleDoubt looks whether a request without an answer had its effect, once it cannot arrive any more. It is sent again if Dixa shows nothing of
// it after Config.Settle.
func (w *Withdrawer) settleDoubt(x checkpoint.Withdrawal) (done bool, err error) {
	due := x.SendIn + w.s.RequestTimeout
	if due > 0 {
		return false, nil
	}
	seen, err := w.look(w.s.Starting, x)
	switch {
	case w.s.Starting.Err() != nil:
		return false, session.ErrStopped
	case err != nil:
		return false, nil //nolint:nilerr // the next round looks again
	}
	if settled, err := w.endAsSeen(x, seen); settled || err != nil {
		return settled, err
	}
	if due+w.s.Settle > 0 || x.Attempts >= w.s.MaxAttempts {
		return false, nil
	}
	return false, w.ask(x)
}
