// Package withdraw takes imports back, as far as Dixa can: it tags or anonymizes the conversations that a run imported, and anonymizes
// end-users. Dixa deletes nothing.
//
// A request is recorded before it leaves, and so is what became of it. A request that Dixa has taken waits in Dixa's queue, and is asked about
// until it is done. What a repeated request does is not documented, so none is repeated blindly: after a doubt, Dixa is looked at once the
// first request cannot arrive any more, and again after Config.Settle. Dixa shows what is anonymized, but not what waits to be, so that a
// request which arrived without an answer may then be sent once more; that loses nothing.
//
// Requests about different targets leave side by side, from a few workers; the caller's goroutine reads pages of the checkpoint for them, and
// afterwards follows the requests alone.
package withdraw

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

// API is the part of the Dixa API that this package uses; *dixa.Client implements it.
type API interface {
	session.API
	AnonymizeConversation(ctx context.Context, id int64, force bool, before dixa.Before) (dixa.Anonymization, error)
	AnonymizeEndUser(ctx context.Context, id string, force bool, before dixa.Before) (dixa.Anonymization, error)
	GetAnonymization(ctx context.Context, requestID string) (dixa.Anonymization, error)
}

// Store is the part of the checkpoint that this package uses; *checkpoint.Store implements it.
type Store interface {
	session.Store
	Run(ctx context.Context, id int64) (checkpoint.Run, bool, error)
	ImportsOf(ctx context.Context, source string, run int64, organisation, after string, limit int) ([]checkpoint.ImportOf, error)
	WithdrawalsOf(ctx context.Context, run int64, organisation string, action checkpoint.WithdrawalAction, states []checkpoint.WithdrawalState, after string, limit int) ([]checkpoint.Withdrawal, error)
	Withdrawal(ctx context.Context, organisation string, action checkpoint.WithdrawalAction, target string) (checkpoint.Withdrawal, error)
	BeginWithdrawal(ctx context.Context, w checkpoint.Withdrawal, me string, window time.Duration) (bool, error)
	EndWithdrawal(ctx context.Context, w checkpoint.Withdrawal) error
	AbandonWithdrawal(ctx context.Context, w checkpoint.Withdrawal) error
	Undo(ctx context.Context, w checkpoint.Withdrawal) error
	Elsewhere(ctx context.Context, organisation string, endUserIDs []string) ([]string, error)
}

// Options say how to ask.
type Options struct {
	Force bool          // close conversations that are open; otherwise Dixa refuses them
	Wait  time.Duration // how long to follow requests that wait in Dixa's queue; 0: ask about each once
}

const (
	workers  = 8
	pageSize = 500
)

// errTaken means that another process asks the same.
var errTaken = errors.New("another process is asking")

// Withdrawer takes imports back. It is used once.
type Withdrawer struct {
	s     *session.Session
	store Store
	api   API
	opts  Options
	me    string // names this process in the checkpoint

	accepted atomic.Bool // Dixa has taken a request of this token
}

// New returns a Withdrawer for the organisation of the API's token. Of cfg it uses Source, BaseURL, AgentID, TokenOrganization, CreateTags,
// RequestTimeout, SendWindow, Settle, MaxAttempts, DatabasePatience, DrainTimeout and Logger.
func New(cfg session.Config, store Store, api API, opts Options) *Withdrawer {
	cfg.Store, cfg.API = store, api
	cfg = cfg.WithDefaults()
	return &Withdrawer{s: &session.Session{Config: cfg, Log: cfg.Logger}, store: store, api: api, opts: opts, me: uuid.NewString()}
}

// Stop ends the work early: no new request leaves, and those in flight have Config.DrainTimeout to finish.
func (w *Withdrawer) Stop(reason string) { w.s.Stop(reason) }

// Stats counts the requests.
func (w *Withdrawer) Stats() dixa.Stats { return w.api.Stats() }

// begin asks Dixa for the organisation and requires that the source belongs to it.
func (w *Withdrawer) begin() error {
	if err := w.s.Ask(w.s.Starting, w.s.AskOrganisation); err != nil {
		return err
	}
	return w.s.CheckBinding(w.s.Starting)
}

// read and write use the checkpoint, and wait while it is away.
func (w *Withdrawer) read(do func(ctx context.Context) error) error {
	return w.s.StoppedOr(w.s.Patiently(w.s.Starting, "read the checkpoint", do))
}

func (w *Withdrawer) write(do func(ctx context.Context) error) error {
	return w.s.Patiently(w.s.Recording, "write the checkpoint", do)
}

func (w *Withdrawer) end(x checkpoint.Withdrawal, state checkpoint.WithdrawalState, detail string) error {
	x.State, x.Detail = state, detail
	return w.write(func(ctx context.Context) error { return w.store.EndWithdrawal(ctx, x) })
}

// each calls do for the imports of a run that transcripts still have, from a few goroutines, until one fails.
func (w *Withdrawer) each(run int64, do func(checkpoint.ImportOf) error) error {
	group, ctx := errgroup.WithContext(w.s.Starting)
	group.SetLimit(workers)
	for after := ""; ctx.Err() == nil; {
		page, err := w.imports(run, after)
		if err != nil || len(page) == 0 {
			return errors.Join(group.Wait(), err)
		}
		after = page[len(page)-1].TranscriptID
		for _, x := range page {
			if ctx.Err() == nil {
				group.Go(func() error { return do(x) })
			}
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return session.ErrStopped
}

func (w *Withdrawer) imports(run int64, after string) (page []checkpoint.ImportOf, err error) {
	err = w.read(func(ctx context.Context) (err error) {
		page, err = w.store.ImportsOf(ctx, w.s.Source, run, w.s.Organisation, after, pageSize)
		return err
	})
	return page, err
}

func (w *Withdrawer) withdrawals(run int64, action checkpoint.WithdrawalAction, after string, states ...checkpoint.WithdrawalState) (page []checkpoint.Withdrawal, err error) {
	err = w.read(func(ctx context.Context) (err error) {
		page, err = w.store.WithdrawalsOf(ctx, run, w.s.Organisation, action, states, after, pageSize)
		return err
	})
	return page, err
}

// ask sends a request, once, and records what became of it. An error ends the whole work.
func (w *Withdrawer) ask(x checkpoint.Withdrawal) error {
	known, begun := x, false
	request, err := w.request(w.s.Working, x, func(context.Context, int, error) (notAfter time.Time, err error) {
		if w.s.Starting.Err() != nil {
			return notAfter, session.ErrStopped
		}
		began, mine := time.Now(), false
		err = w.write(func(ctx context.Context) (err error) {
			mine, err = w.store.BeginWithdrawal(ctx, known, w.me, w.s.SendWindow)
			return err
		})
		if err == nil && !mine {
			err = errTaken
		}
		begun = begun || err == nil
		return began.Add(w.s.SendWindow / 2), err
	})
	if begun {
		x.Attempts = known.Attempts + 1
	}
	return w.settle(x, begun, known.State == checkpoint.WithdrawalSending, request, err)
}

// settle records what became of a request. doubtful says that an earlier one may have arrived.
func (w *Withdrawer) settle(x checkpoint.Withdrawal, begun, doubtful bool, request dixa.Anonymization, err error) error {
	var database *session.DatabaseError
	switch {
	case err == nil:
		w.accepted.Store(true)
		x.RequestID = request.ID
		if !request.ProcessedAt.IsZero() {
			return w.end(x, checkpoint.WithdrawalDone, "")
		}
		return w.end(x, checkpoint.WithdrawalAsked, "")
	case errors.Is(err, errTaken):
		return nil
	case errors.As(err, &database):
		return err
	case !begun && session.ContextError(err) != nil:
		return session.ErrStopped
	case !begun:
		return nil // nothing left, and nothing is recorded
	case dixa.ReasonOf(err) == dixa.ReasonNotFound:
		return w.end(x, checkpoint.WithdrawalGone, "")
	case dixa.NotOffered(err) && !w.accepted.Load():
		return errors.Join(w.abandon(x), notOffered(err))
	case dixa.Refused(err):
		return w.refused(x, doubtful, err)
	case dixa.NotApplied(err):
		return w.abandon(x)
	}
	w.s.Log.Warn("it is unclear whether Dixa has taken a request to anonymize: it will be looked at", "target", x.Target, "error", err.Error())
	return nil
}

func (w *Withdrawer) abandon(x checkpoint.Withdrawal) error {
	return w.write(func(ctx context.Context) error { return w.store.AbandonWithdrawal(ctx, x) })
}

// notOffered is why nothing can be asked.
func notOffered(err error) error {
	return session.Fatal(session.Advise(err, "the token may not anonymize, or Dixa does not offer it: put a token with more rights into dixa.token, or anonymize in Dixa"))
}

// refused records a refusal. After a doubt, it may be that of a second request.
func (w *Withdrawer) refused(x checkpoint.Withdrawal, doubtful bool, refusal error) error {
	seen, err := w.look(w.s.Working, x)
	switch {
	case err == nil && seen == anonymized:
		return w.end(x, checkpoint.WithdrawalDone, "")
	case err == nil && seen == gone:
		return w.end(x, checkpoint.WithdrawalGone, "")
	case err == nil && seen == open:
		return w.end(x, checkpoint.WithdrawalRefused, "the conversation is open: close it in Dixa, or pass --force, which closes it")
	case doubtful && session.HasStatus(refusal, http.StatusConflict):
		return w.end(x, checkpoint.WithdrawalAsked, "")
	}
	detail := refusal.Error()
	if x.Action == checkpoint.WithdrawEndUser && session.HasStatus(refusal, http.StatusConflict) {
		detail += ": if a conversation of theirs is open, close it in Dixa, or pass --force, which closes it"
	}
	return w.end(x, checkpoint.WithdrawalRefused, detail)
}

func (w *Withdrawer) request(ctx context.Context, x checkpoint.Withdrawal, before dixa.Before) (dixa.Anonymization, error) {
	if x.Action == checkpoint.WithdrawEndUser {
		return w.api.AnonymizeEndUser(ctx, x.Target, w.opts.Force, before)
	}
	return w.api.AnonymizeConversation(ctx, x.ConversationID, w.opts.Force, before)
}

// sight is what Dixa shows of a conversation or an end-user.
type sight int

const (
	untouched  sight = iota
	open             // a conversation that is not closed
	anonymized       // done
	gone             // Dixa has it no more
)

// look finds out whether a target is anonymized.
func (w *Withdrawer) look(ctx context.Context, x checkpoint.Withdrawal) (sight, error) {
	if x.Action == checkpoint.WithdrawEndUser {
		user, err := w.api.GetEndUser(ctx, x.Target)
		switch {
		case isGone(err):
			return gone, nil
		case err != nil:
			return untouched, err
		case user.Email == "" && user.PhoneNumber == "" && user.ExternalID == "" && len(user.AdditionalEmails)+len(user.AdditionalPhoneNumbers) == 0:
			return anonymized, nil // the checkpoint knows an identifier that Dixa had
		}
		return untouched, nil
	}
	conversation, err := w.api.GetConversation(ctx, x.ConversationID)
	switch {
	case isGone(err):
		return gone, nil
	case err != nil:
		return untouched, err
	case !conversation.AnonymizedAt.IsZero():
		return anonymized, nil
	case conversation.State != "" && conversation.State != "Closed":
		return open, nil
	}
	return untouched, nil
}

// isGone reports whether Dixa answered that it does not have what was asked for.
func isGone(err error) bool {
	return session.HasStatus(err, http.StatusNotFound) && dixa.ReasonOf(err) != dixa.ReasonPage
}
