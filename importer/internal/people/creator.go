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
	// CreationMost is how many persons one request creates at most. How many Dixa takes is not documented.
	CreationMost = 50
	// creationLeast is what that is lowered to where Dixa refuses whole requests. Fewer would not be worth a request that
	// is refused now and then.
	creationLeast = 8
	// creationsAtOnce is how many requests of CreationMost persons may be on their way at a time.
	creationsAtOnce = 4
	// CreationPatience is how many transcripts may begin to be sent before a person is created that waits for others. So
	// all creations together cost at most so small a part of a request for each transcript.
	CreationPatience = 64
)

// creator creates end-users, those of many transcripts in one request. A person waits for others only as long as that costs nothing: while
// there are transcripts enough whose end-users are known to keep the workers busy, or a creation is on its way.
type creator struct {
	u *Resolver

	waiting atomic.Int64   // len(queue), which can be read without the lock
	begun   atomic.Int64   // transcripts that had their end-user and got a worker
	hurried atomic.Int64   // transcripts that have a worker and wait in a line, perhaps for a person in the queue
	running sync.WaitGroup // the goroutines of serve

	mu       sync.Mutex // guards what follows
	queue    []*creationRequest
	underWay int // goroutines of serve
	maxBatch int // persons in a request to Dixa
}

// creationRequest is a person that a transcript needs created. Its transcript is first in the lines for its identifiers, so that no two
// requests share one.
type creationRequest struct {
	key      string // of the transcript
	ids      []checkpoint.Identifier
	user     dixa.NewEndUser
	reserved bool          // for this run
	absent   bool          // nobody had reserved it before, or it was looked for since
	alone    bool          // not to share a request to Dixa
	urgent   bool          // a worker waits for it
	since    int64         // creator.begun when it was made
	done     chan creation // has room for the answer
}

// creation is what became of a creationRequest.
type creation struct {
	id  string
	new bool  // it was created, whatever became of recording that, rather than known to the checkpoint
	err error // one of those below, session.ErrStopped, an *Error, a *DeniedError or a fatal error
}

var (
	errCreationInDoubt = errors.New("the end-user may have been created")
	errPersonExists    = errors.New("the end-user exists")
	errPersonHeld      = errors.New("another run is creating the end-user")
	errReservationLost = errors.New("another run took over the reservation of an end-user")
	errPersonReserved  = errors.New("the end-user may have been created earlier")
)

// create has a person created, or finds out in the checkpoint whose it is.
func (c *creator) create(r *creationRequest) creation {
	r.done = make(chan creation, 1)
	c.mu.Lock()
	r.since = c.begun.Load()
	c.queue = append(c.queue, r)
	c.waiting.Add(1)
	c.next()
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
	if at < 0 { // on its way
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
	c.next()
}

// hurry counts n more transcripts that have a worker and wait in a line: no person waits for others then.
func (c *creator) hurry(n int64) {
	if c.hurried.Add(n); n < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next()
}

// next starts creations for those in the queue, if it is time. c.mu is held.
func (c *creator) next() {
	for len(c.queue) > 0 {
		full := len(c.queue) >= c.maxBatch || c.queue[0].alone
		if c.underWay > 0 && (!full || c.underWay >= creationsAtOnce) || !full && !c.waitingCosts() {
			return
		}
		n := 1
		for !c.queue[0].alone && n < min(len(c.queue), c.maxBatch) && !c.queue[n].alone {
			n++
		}
		batch := slices.Clone(c.queue[:n])
		c.queue = slices.Delete(c.queue, 0, n)
		c.waiting.Add(int64(-n))
		c.underWay++
		c.running.Go(func() { c.serve(batch) })
	}
}

// waitingCosts reports whether it would cost something to wait for others. c.mu is held.
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
	c.underWay--
	c.next()
}

// beforeRequest is what the API client calls right before each attempt at a request: it returns until when the attempt may begin.
type beforeRequest = func(ctx context.Context, attempt int, previous error) (notAfter time.Time, err error)

// reservationCheck makes sure, right before a creation leaves, that the persons are still reserved: another run may take over what this one
// held while its machine was suspended.
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
			reservations, err := c.ask(batch)
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

// reserve reserves persons in one transaction and returns those to create. The others have their answer.
func (c *creator) reserve(batch []*creationRequest) (granted []*creationRequest) {
	reservations, err := c.ask(batch)
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

// ask reserves persons in the checkpoint.
func (c *creator) ask(batch []*creationRequest) (reservations []checkpoint.Reservation, err error) {
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

// createOne creates a person. It reports whether nothing was sent because the reservation is lost.
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
	c.created([]*creationRequest{r}, []string{user.ID})
	return false
}

// createTogether is createOne for several persons.
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
		c.togetherFailed(batch, err)
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
	c.created(created, ids)
	return false
}

// created records end-users that were created.
func (c *creator) created(batch []*creationRequest, ids []string) {
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

// togetherFailed decides about persons whose creation together failed as a whole.
func (c *creator) togetherFailed(batch []*creationRequest, err error) {
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
	case resting: // single creations may be well
	case !session.HasStatus(err, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound) || api.Reason == dixa.ReasonPage: // a firewall objects to one of them
		log.Info("Dixa refuses to create these end-users together: they are created one by one")
		c.maxBatch = min(c.maxBatch, max(len(batch)/2, creationLeast))
	case c.maxBatch > 1:
		log.Warn("the token may not create end-users together: they are created one by one")
		c.maxBatch = 1
	}
	for _, r := range batch {
		r.alone = true
	}
	c.queue = append(batch, c.queue...)
	c.waiting.Add(int64(len(batch)))
}

// creationError sorts the refusal of a creation.
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
