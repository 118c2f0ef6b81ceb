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

// Gate lets a run send once it has seen the mark of its source. Its methods may be called from several goroutines.
type Gate struct {
	s        *session.Session
	unmarked func(Mark) // called where the mark cannot be seen or left: the run goes on without
	lost     func()     // called where the mark is another checkpoint's and will be taken over

	looking chan struct{} // a lock that a stop can break: the goroutine that looks holds it
	open    atomic.Bool
	others  Mark // with Reconcile: the one to take over; set before the gate opens
}

// NewGate returns a closed Gate.
func NewGate(s *session.Session, unmarked func(Mark), lost func()) *Gate {
	return &Gate{s: s, unmarked: unmarked, lost: lost, looking: make(chan struct{}, 1)}
}

// Admit returns when the run may send: at once, if it has seen the mark of the source. The first that asks looks for it, and creates
// it where there is none. An error ends the run.
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
	if err := g.see(g.s.Starting); err != nil {
		if err = g.s.StoppedOr(err); !errors.Is(err, session.ErrStopped) {
			err = session.Fatal(err)
			g.s.Abort(err) // before anybody else looks
		}
		return err
	}
	g.open.Store(true)
	return nil
}

// see looks for the mark, creates it where there is none, and returns an error if the run must not send.
func (g *Gate) see(ctx context.Context) error {
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
		m = g.missed(ctx, own)
	}
	if m.State == Absent {
		m, err = g.create(ctx, own)
	}
	if err != nil || ctx.Err() != nil {
		return cmp.Or(err, ctx.Err())
	}
	return g.heed(ctx, m, own)
}

// heed does what a run does about a mark.
func (g *Gate) heed(ctx context.Context, m Mark, own checkpoint.SourceMark) error {
	switch {
	case m.State == Ours:
		g.s.Log.Debug("the mark of the source is this checkpoint's", "checkpoint", own.ID)
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

// keep records what is known of the mark.
func (g *Gate) keep(ctx context.Context, m checkpoint.SourceMark) error {
	return g.s.Patiently(ctx, "write the checkpoint", func(ctx context.Context) error {
		return g.s.Store.SetSourceMark(ctx, g.s.Source, m)
	})
}

// missed asks for the mark that the checkpoint has created and that a look-up does not find: it was deleted in Dixa, or look-ups
// do not show what is there.
func (g *Gate) missed(ctx context.Context, own checkpoint.SourceMark) Mark {
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

// create creates the mark and looks who else has: of two checkpoints that create it at once the oldest mark counts. The mark is
// Absent if it cannot be created, and Unknown if what was created is not found.
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

// await looks for a mark that may have been created just now, at least three times over Settle, until our own is among those
// that are found.
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

// TakeOver has the mark name this checkpoint, once a run that looked before every send has come to the end of the whole source.
func (g *Gate) TakeOver(whole bool) error {
	others := g.others
	if others.State == "" || g.s.Starting.Err() != nil {
		return nil //nolint:nilerr // the end of fetching is told elsewhere
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
	if err := g.claim(ctx, others, own); err != nil {
		if err = g.s.StoppedOr(err); errors.Is(err, session.ErrStopped) {
			return nil
		}
		return session.Fatal(session.Advise(err, "the transcripts were looked for, but the mark still belongs to another checkpoint: run with --reconcile again"))
	}
	return nil
}

// claim makes another checkpoint's mark ours.
func (g *Gate) claim(ctx context.Context, others Mark, own checkpoint.SourceMark) error {
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
		// Then it is this checkpoint that changes its name. The other one cannot be told.
		g.s.Log.Warn("the mark in Dixa cannot be renamed, so this checkpoint takes over its id. Delete the other checkpoint: if it is used again, nothing will notice",
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
