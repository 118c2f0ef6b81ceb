package people

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

const (
	// MaxCreationBatch is the maximum number of persons that one request creates. Dixa's own limit is not documented.
	MaxCreationBatch = 50
	// minCreationBatch is the lowest number that the maximum is reduced to when Dixa refuses whole requests. Smaller batches would cost
	// more than the occasional refusal.
	minCreationBatch = 8
	// maxCreations is the maximum number of full creation requests in flight at once.
	maxCreations = 4
	// CreationPatience is how many transcripts may begin to be sent while a person waits for others to be created with. It limits the
	// cost of creations to 1/64 of a request for each transcript.
	CreationPatience = 64
)

// creator creates end-users, many in one request. A person waits for others only while that costs no time: while enough transcripts have
// their end-users to keep the workers busy, or while a creation is in flight.
type creator struct {
	u *Resolver

	waiting atomic.Int64   // len(queue), readable without the lock
	begun   atomic.Int64   // transcripts that had their end-user and got a worker
	hurried atomic.Int64   // transcripts that have a worker and wait in a line, perhaps for a person in the queue
	running sync.WaitGroup // the goroutines of serve

	mu       sync.Mutex // guards what follows
	queue    []*creationRequest
	serving  int // goroutines of serve
	maxBatch int // persons in a request to Dixa
}

// creationRequest asks for the creation of a transcript's person. The transcript is first in the lines for the identifiers, so no two
// requests have an identifier in common.
type creationRequest struct {
	key      string // of the transcript
	ids      []checkpoint.Identifier
	user     dixa.NewEndUser
	reserved bool          // by this run
	absent   bool          // no run had reserved it before, or a search since has found nothing
	alone    bool          // it must not share a request to Dixa
	urgent   bool          // a worker waits for it
	since    int64         // creator.begun when it was queued
	done     chan creation // buffered: receives the result
}

// creation is the result of a creationRequest.
type creation struct {
	id  string
	new bool  // Dixa created it, even if recording that failed; otherwise the checkpoint knew it
	err error // one of those below, session.ErrStopped, an *Error, a *DeniedError or a fatal error
}

var (
	errCreationInDoubt = errors.New("the end-user may have been created")
	errPersonExists    = errors.New("the end-user exists")
	errPersonHeld      = errors.New("another run is creating the end-user")
	errReservationLost = errors.New("another run took over the reservation of an end-user")
	errPersonReserved  = errors.New("the end-user may have been created earlier")
)

// create queues a person for creation and returns the result: a new end-user, one that the checkpoint knows, or an error.
func (c *creator) create(r *creationRequest) creation {
	r.done = make(chan creation, 1)
	c.mu.Lock()
	r.since = c.begun.Load()
	c.queue = append(c.queue, r)
	c.waiting.Add(1)
	c.dispatch()
	c.mu.Unlock()
	select {
	case made := <-r.done:
		return made
	case <-c.u.s.Starting.Done():
	}
	c.mu.Lock()
	at := slices.Index(c.queue, r)
	if at >= 0 {
		c.queue = slices.Delete(c.queue, at, at+1)
		c.waiting.Add(-1)
	}
	c.mu.Unlock()
	if at < 0 { // in flight
		return <-r.done
	}
	return creation{err: session.ErrStopped}
}

// workerBusy counts one more transcript that has its end-user and is being sent.
func (c *creator) workerBusy() {
	c.begun.Add(1)
	if c.waiting.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dispatch()
}

// hurry adds n to the number of transcripts that have a worker and wait in a line. While it is positive, creations start at once.
func (c *creator) hurry(n int64) {
	if c.hurried.Add(n); n < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dispatch()
}

// dispatch starts creations of queued persons that should not wait any longer. The caller holds c.mu.
func (c *creator) dispatch() {
	for len(c.queue) > 0 {
		full := len(c.queue) >= c.maxBatch || c.queue[0].alone
		if c.serving > 0 && (!full || c.serving >= maxCreations) || !full && !c.waitingCosts() {
			return
		}
		n := 1
		for !c.queue[0].alone && n < min(len(c.queue), c.maxBatch) && !c.queue[n].alone {
			n++
		}
		batch := slices.Clone(c.queue[:n])
		c.queue = slices.Delete(c.queue, 0, n)
		c.waiting.Add(int64(-n))
		c.serving++
		c.running.Go(func() { c.serve(batch) })
	}
}

// waitingCosts reports whether waiting for others would delay transcripts. The caller holds c.mu.
func (c *creator) waitingCosts() bool {
	return c.hurried.Load() > 0 || c.u.hooks.WorkersIdle() || c.begun.Load()-c.queue[0].since >= CreationPatience ||
		slices.ContainsFunc(c.queue, func(r *creationRequest) bool { return r.urgent })
}

// serve reserves persons, so that no other run creates them, and creates them.
func (c *creator) serve(batch []*creationRequest) {
	for again := true; again; {
		began := time.Now()
		batch = c.reserve(batch)
		check := c.reservationCheck(batch, began)
		switch {
		case len(batch) > 0 && c.u.s.Starting.Err() != nil:
			answer(batch, session.ErrStopped)
			again = false
		case len(batch) == 1:
			again = c.createOne(batch[0], check)
		case len(batch) > 1:
			again = c.createTogether(batch, check)
		default:
			again = false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serving--
	c.dispatch()
}

// beforeRequest is the function that the API client calls right before each attempt at a request. It returns the time after which the
// attempt must not begin.
type beforeRequest = func(ctx context.Context, attempt int, previous error) (notAfter time.Time, err error)

// reservationCheck returns a beforeRequest that checks that the persons are still reserved: another run may have taken the reservations
// over while this machine was suspended. The reservations were made at began.
func (c *creator) reservationCheck(batch []*creationRequest, began time.Time) beforeRequest {
	s := c.u.s
	window := s.SendWindow / 2
	return func(context.Context, int, error) (time.Time, error) {
		var first time.Time
		for session.Since(began) >= window {
			if !first.IsZero() { // the checkpoint did not answer within the window
				s.WarnSlowCheckpoint(session.Since(began))
				if session.Since(first) > s.DatabasePatience {
					return time.Time{}, session.Fatal(&session.DatabaseError{Doing: "reserve end-users",
						Err: fmt.Errorf("the database took longer than %v to answer, for %v", window, s.DatabasePatience)})
				}
			}
			began = time.Now()
			if first.IsZero() {
				first = began
			}
			reservations, err := c.requestReservations(batch)
			if err != nil {
				return time.Time{}, err
			}
			if slices.ContainsFunc(reservations, func(r checkpoint.Reservation) bool { return !r.Kept }) {
				return time.Time{}, errReservationLost
			}
		}
		if s.Starting.Err() != nil {
			return time.Time{}, session.ErrStopped
		}
		return began.Add(window), nil
	}
}

func answer(batch []*creationRequest, err error) {
	for _, r := range batch {
		r.done <- creation{err: err}
	}
}

// reserve reserves persons in one transaction and returns those to create. It answers the rest.
func (c *creator) reserve(batch []*creationRequest) (granted []*creationRequest) {
	reservations, err := c.requestReservations(batch)
	if err != nil {
		answer(batch, err)
		return nil
	}
	for i, r := range batch {
		got := reservations[i]
		if r.reserved = got.Granted; got.Granted && !got.Kept {
			r.absent = !got.Doubt
		}
		switch {
		case got.EndUserID != "":
			r.done <- creation{id: got.EndUserID}
		case !got.Granted:
			r.done <- creation{err: errPersonHeld}
		case !r.absent:
			r.done <- creation{err: errPersonReserved}
		default:
			granted = append(granted, r)
		}
	}
	return granted
}

// requestReservations reserves persons in the checkpoint.
func (c *creator) requestReservations(batch []*creationRequest) (reservations []checkpoint.Reservation, err error) {
	persons := make([][]checkpoint.Identifier, len(batch))
	for i, r := range batch {
		persons[i] = r.ids
	}
	err = c.u.read("reserve end-users", func(ctx context.Context) (err error) {
		reservations, err = c.u.s.Store.ReserveEndUsers(ctx, c.u.s.Organisation, c.u.s.RunID, persons)
		return err
	})
	return reservations, err
}

// createOne creates a person. lost says that nothing was sent, because this run no longer has the reservation.
func (c *creator) createOne(r *creationRequest, check beforeRequest) (lost bool) {
	user, err := c.u.s.API.CreateEndUser(c.u.s.Working, r.user, check)
	if errors.Is(err, errReservationLost) {
		return true
	}
	if err != nil {
		if err = c.u.creationError(err); errors.Is(err, errCreationInDoubt) {
			c.u.s.Log.Warn("the creation of an end-user is in doubt", "transcript", r.key)
		}
		r.done <- creation{err: err}
		return false
	}
	c.u.hooks.Succeeded(dixa.OpCreateEndUser)
	c.recordCreated([]*creationRequest{r}, []string{user.ID})
	return false
}

// createTogether is createOne for several persons in one request.
func (c *creator) createTogether(batch []*creationRequest, check beforeRequest) (lost bool) {
	users := make([]dixa.NewEndUser, len(batch))
	for i, r := range batch {
		users[i] = r.user
	}
	results, err := c.u.s.API.CreateEndUsers(c.u.s.Working, users, check)
	if errors.Is(err, errReservationLost) {
		return true
	}
	if err != nil {
		c.handleBatchError(batch, err)
		return false
	}
	c.u.hooks.Succeeded(dixa.OpCreateEndUsers)
	var created []*creationRequest
	var ids []string
	for i, result := range results {
		if result.Err != nil {
			batch[i].done <- creation{err: c.u.creationError(result.Err)}
			continue
		}
		created, ids = append(created, batch[i]), append(ids, result.EndUser.ID)
	}
	c.recordCreated(created, ids)
	return false
}

// recordCreated records new end-users in the checkpoint and answers their requests.
func (c *creator) recordCreated(batch []*creationRequest, ids []string) {
	users := make([]checkpoint.EndUser, len(batch))
	for i, r := range batch {
		users[i] = checkpoint.EndUser{ID: ids[i], Identifiers: r.ids}
	}
	if len(batch) > 0 {
		c.u.hooks.Created(ids[0], batch[0].ids[0])
	}
	err := c.u.save(users...)
	for i, r := range batch {
		r.done <- creation{id: ids[i], new: true, err: err}
	}
}

// handleBatchError decides what to do with persons whose common request failed.
func (c *creator) handleBatchError(batch []*creationRequest, err error) {
	var api *dixa.APIError
	_, resting := errors.AsType[*dixa.RestingError](err)
	log := c.u.s.Log.With("persons", len(batch), "error", err.Error())
	switch {
	case errors.Is(err, session.ErrStopped), session.IsFatal(err): // before it left
		answer(batch, err)
		return
	case !dixa.NotApplied(err):
		log.Warn("the creation of end-users is in doubt")
		answer(batch, errCreationInDoubt)
		return
	case !errors.As(err, &api) && !resting: // nothing was sent
		answer(batch, c.u.creationError(err))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case resting: // single creations may work
	case !session.HasStatus(err, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound) || api.Reason == dixa.ReasonPage: // a firewall blocks one of them
		log.Info("Dixa refused to create these end-users in one request: creating them one by one")
		c.maxBatch = min(c.maxBatch, max(len(batch)/2, minCreationBatch))
	case c.maxBatch > 1:
		log.Warn("the token may not create several end-users in one request: creating them one by one")
		c.maxBatch = 1
	}
	for _, r := range batch {
		r.alone = true
	}
	c.queue = append(batch, c.queue...)
	c.waiting.Add(int64(len(batch)))
}

// creationError classifies the error of a creation.
func (u *Resolver) creationError(err error) error {
	switch {
	case errors.Is(err, session.ErrStopped), session.IsFatal(err): // before it left
		return err
	case dixa.AlreadyExists(err):
		return errPersonExists
	case !dixa.NotApplied(err):
		return errCreationInDoubt
	}
	return u.errorOf(err)
}
