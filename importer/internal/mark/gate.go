package mark

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

// Gate keeps a run from sending until it has checked the mark of its source. Its methods may be called from several goroutines.
type Gate struct {
	s        *session.Session
	unmarked func(Mark) // called if the mark cannot be read or created: the run continues without it
	lost     func()     // called if the mark is another checkpoint's and will be taken over

	looking chan struct{} // a lock that a stop can interrupt: the goroutine that checks the mark holds it
	open    atomic.Bool
	others  Mark // with Reconcile: the mark to take over; set before the gate opens
}

// NewGate returns a closed Gate.
func NewGate(s *session.Session, unmarked func(Mark), lost func()) *Gate {
	return &Gate{s: s, unmarked: unmarked, lost: lost, looking: make(chan struct{}, 1)}
}

// Admit returns when the run may send. The first caller looks for the mark and creates it if there is none; later calls return at once.
// An error ends the run.
func (g *Gate) Admit() error {
	if !g.s.Mark || g.open.Load() {
		return nil
	}
	select {
	case g.looking <- struct{}{}:
	case <-g.s.Starting.Done():
		return session.ErrStopped
	}
	defer func() { <-g.looking }()
	switch {
	case g.s.Starting.Err() != nil:
		return session.ErrStopped
	case g.open.Load():
		return nil
	}
	if err := g.check(g.s.Starting); err != nil {
		if err = g.s.StoppedOr(err); !errors.Is(err, session.ErrStopped) {
			err = session.Fatal(err)
			g.s.Abort(err) // before the next caller checks
		}
		return err
	}
	g.open.Store(true)
	return nil
}

// check looks for the mark, creates it if there is none, and returns an error if the run must not send.
func (g *Gate) check(ctx context.Context) error {
	var own checkpoint.SourceMark
	fresh := uuid.NewString()
	err := g.s.Patiently(ctx, "write the checkpoint", func(ctx context.Context) (err error) {
		own, err = g.s.Store.ClaimSourceMark(ctx, g.s.Source, fresh)
		return err
	})
	if err != nil {
		return err
	}
	m := Look(ctx, g.s.API, g.s.Source)(own)
	if m.State == Absent && own.EndUserID != "" {
		m = g.recheck(ctx, own)
	}
	if m.State == Absent {
		m, err = g.create(ctx, own)
	}
	if err != nil || ctx.Err() != nil {
		return cmp.Or(err, ctx.Err())
	}
	return g.handle(ctx, m, own)
}

// handle acts on the mark that was found, and returns an error if the run must not send.
func (g *Gate) handle(ctx context.Context, m Mark, own checkpoint.SourceMark) error {
	switch {
	case m.State == Ours:
		g.s.Log.Debug("the mark of the source names this checkpoint", "checkpoint", own.ID)
		if m.EndUserID == own.EndUserID {
			return nil
		}
		return g.keep(ctx, checkpoint.SourceMark{ID: own.ID, EndUserID: m.EndUserID})
	case m.State == Unknown || m.State == Absent:
		g.unmarked(m)
		return nil
	case g.s.Reconcile:
		g.s.Log.Info("the mark of the source belongs to another checkpoint: this run takes it over once it has read the whole source", "mark", m.Checkpoint, "checkpoint", own.ID)
		g.others = m
		g.lost()
		return nil
	}
	return m.Err(g.s.Source)
}

// keep records the mark in the checkpoint.
func (g *Gate) keep(ctx context.Context, m checkpoint.SourceMark) error {
	return g.s.Patiently(ctx, "write the checkpoint", func(ctx context.Context) error {
		return g.s.Store.SetSourceMark(ctx, g.s.Source, m)
	})
}

// recheck reads the mark by its end-user id after a look-up by external id did not find it. Either it was deleted in Dixa, or the look-up
// is wrong.
func (g *Gate) recheck(ctx context.Context, own checkpoint.SourceMark) Mark {
	e, err := g.s.API.GetEndUser(ctx, own.EndUserID)
	switch {
	case session.HasStatus(err, http.StatusNotFound):
		return Mark{State: Absent}
	case err != nil:
		return Mark{State: Unknown, Cause: err}
	case e.ExternalID == Name(g.s.Source) && Of(e) == own.ID:
		return Mark{State: Unknown, Cause: errors.New("Dixa has the mark of the source, but a look-up by its external id does not find it")}
	}
	return Mark{State: Absent}
}

// create creates the mark, then checks whether another checkpoint created one at the same time: the oldest mark counts. The mark is
// Absent if it cannot be created, and Unknown if it was created but is not found.
func (g *Gate) create(ctx context.Context, own checkpoint.SourceMark) (Mark, error) {
	created := ""
	for attempt := 1; ; attempt++ {
		user, err := g.s.API.CreateEndUser(ctx, dixa.NewEndUser{DisplayName: Display(g.s.Source, own.ID), ExternalID: Name(g.s.Source)}, nil)
		switch {
		case ctx.Err() != nil:
			return Mark{}, ctx.Err()
		case err == nil:
			g.s.Log.Info("left the mark of the source in Dixa", "end_user", user.ID, "checkpoint", own.ID)
			created = user.ID
			if err := g.keep(ctx, checkpoint.SourceMark{ID: own.ID, EndUserID: created}); err != nil {
				return Mark{}, err
			}
		case dixa.NotApplied(err) && !dixa.AlreadyExists(err):
			return Mark{State: Absent, Cause: fmt.Errorf("create the mark of the source: %w", err)}, nil
		}
		m := g.await(ctx, checkpoint.SourceMark{ID: own.ID, EndUserID: created})
		if ctx.Err() != nil {
			return m, ctx.Err()
		}
		switch {
		case m.State != Absent:
			return m, nil
		case created != "" || dixa.AlreadyExists(err):
			return Mark{State: Unknown, Cause: errors.New("Dixa says that the mark of the source exists, but a look-up by its external id does not find it")}, nil
		case attempt >= g.s.MaxAttempts:
			return Mark{State: Unknown, Cause: fmt.Errorf("create the mark of the source: %w", err)}, nil
		}
	}
}

// await looks for a mark that may just have been created, until it finds our own, or has looked at least three times over Settle.
func (g *Gate) await(ctx context.Context, own checkpoint.SourceMark) Mark {
	began, pause := time.Now(), 250*time.Millisecond
	for looks := 1; ; looks++ {
		bearers, err := Find(ctx, g.s.API, g.s.Source)
		ours := slices.ContainsFunc(bearers, func(e dixa.EndUser) bool { return Of(e) == own.ID || e.ID == own.EndUserID })
		if err == nil && (ours || looks >= session.MinLooks && time.Since(began) >= g.s.Settle) {
			return Judge(bearers, own)
		}
		if err != nil && (session.RefusedOptional(err) || looks >= session.MinLooks && time.Since(began) >= g.s.Settle) {
			return Mark{State: Unknown, Cause: err}
		}
		if !session.Pause(ctx, min(pause, g.s.Settle/(session.MinLooks-1))) {
			return Mark{State: Unknown, Cause: ctx.Err()}
		}
		pause *= 2
	}
}

// TakeOver makes the mark name this checkpoint, after a run that looked before every send has read the whole source.
func (g *Gate) TakeOver(whole bool) error {
	others := g.others
	if others.State == "" || g.s.Starting.Err() != nil {
		return nil //nolint:nilerr // the caller reports why the run stopped
	}
	if !whole {
		g.s.Log.Warn("the mark of the source still belongs to another checkpoint, because this run did not look for all transcripts of the source. Run with --reconcile over the whole source",
			"mark", others.Checkpoint)
		return nil
	}
	ctx := g.s.Starting
	var own checkpoint.SourceMark
	err := g.s.Patiently(ctx, "read the checkpoint", func(ctx context.Context) (err error) {
		own, err = g.s.Store.SourceMark(ctx, g.s.Source)
		return err
	})
	if err != nil {
		return g.s.StoppedOr(err)
	}
	if err := g.rename(ctx, others, own); err != nil {
		if err = g.s.StoppedOr(err); errors.Is(err, session.ErrStopped) {
			return nil
		}
		return session.Fatal(session.Advise(err, "the transcripts were looked for, but the mark still belongs to another checkpoint: run with --reconcile again"))
	}
	return nil
}

// rename makes another checkpoint's mark ours.
func (g *Gate) rename(ctx context.Context, others Mark, own checkpoint.SourceMark) error {
	if others.State == Unreadable {
		m, err := g.create(ctx, own)
		if err == nil && m.State != Ours {
			err = cmp.Or(m.Err(g.s.Source), m.Cause, errors.New("the mark could not be created"))
		}
		return err
	}
	_, err := g.s.API.RenameEndUser(ctx, others.EndUserID, Display(g.s.Source, own.ID))
	switch {
	case err != nil && (dixa.Transient(err) || !dixa.NotApplied(err)):
		return fmt.Errorf("take over the mark of the source: %w", err)
	case err != nil:
		// So this checkpoint takes the id that the mark names. The other checkpoint will not notice.
		g.s.Log.Warn("the mark in Dixa cannot be renamed, so this checkpoint takes over its id. Delete the other checkpoint: if it is used again, nothing will detect that",
			"checkpoint", others.Checkpoint, "error", err.Error())
		return g.keep(ctx, checkpoint.SourceMark{ID: others.Checkpoint, EndUserID: others.EndUserID})
	}
	if err := g.keep(ctx, checkpoint.SourceMark{ID: own.ID, EndUserID: others.EndUserID}); err != nil {
		return err
	}
	if m := g.await(ctx, checkpoint.SourceMark{ID: own.ID}); m.State != Ours {
		g.s.Log.Warn("took over the mark of the source, but Dixa does not show that yet: a run that starts now may stop")
	}
	g.s.Log.Info("took over the mark of the source", "end_user", others.EndUserID, "from", others.Checkpoint, "checkpoint", own.ID)
	return nil
}
