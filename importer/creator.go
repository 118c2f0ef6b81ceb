package importer

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
)

const (
	// creationMost is how many persons one request creates at most. How many Dixa takes is not documented.
	creationMost = 50
	// creationLeast is what that is lowered to where Dixa refuses whole requests. Fewer would not be worth a request that
	// is refused now and then.
	creationLeast = 8
	// creationsAtOnce is how many requests of creationMost persons may be on their way at a time.
	creationsAtOnce = 4
	// creationPatience is how many transcripts may begin to be sent before a person is created that waits for company. So
	// all creations together cost at most so small a part of a request for each transcript.
	creationPatience = 64
)

// creator creates end-users, those of many tasks in one request. A person waits for company only as long as that costs
// nothing: while there are transcripts enough whose end-users are known to keep the workers busy, or a creation is under way.
type creator struct {
	u   *resolver
	ctx context.Context // of the work

	waiting atomic.Int64 // len(queue), to be looked at without the lock
	begun   atomic.Int64 // transcripts that had their end-user and got a worker
	mu      sync.Mutex
	queue   []*wish
	under   int // requests under way
	most    int // persons in a request
}

// wish is a person that a task wants to be created. Its identifiers are locked by that task, so that no two wishes share one.
type wish struct {
	key      string // of the transcript
	ids      []checkpoint.Identifier
	user     dixa.NewEndUser
	reserved bool  // for this run
	absent   bool  // nobody had reserved it before, or it was looked for since
	alone    bool  // not to share a request
	urgent   bool  // a worker waits for it
	since    int64 // creator.begun when it was made
	done     chan creation
}

// creation is what became of a wish.
type creation struct {
	id  string
	new bool  // it was created, whatever became of recording that, rather than known to the checkpoint
	err error // one of those below, errStopped, a *userError or a fatal error
}

var (
	errCreationInDoubt = errors.New("the end-user may have been created")
	errPersonExists    = errors.New("the end-user exists")
	errPersonHeld      = errors.New("another run is creating the end-user")
	errReservationLost = errors.New("another run has taken the reservation of an end-user over")
	errPersonReserved  = errors.New("the end-user may have been created earlier")
)

func newCreator(ctx context.Context, u *resolver) *creator {
	return &creator{u: u, ctx: ctx, most: creationMost}
}

// create has a person created, or finds out in the checkpoint whose it is.
func (c *creator) create(w *wish) creation {
	w.done = make(chan creation, 1)
	c.mu.Lock()
	w.since = c.begun.Load()
	c.queue = append(c.queue, w)
	c.waiting.Add(1)
	c.next()
	c.mu.Unlock()
	select {
	case made := <-w.done:
		return made
	case <-c.u.im.fetching.Done():
	}
	c.mu.Lock()
	at := slices.Index(c.queue, w)
	if at >= 0 {
		c.queue = slices.Delete(c.queue, at, at+1)
		c.waiting.Add(-1)
	}
	c.mu.Unlock()
	if at < 0 { // on its way
		return <-w.done
	}
	return creation{err: errStopped}
}

// workerBusy says that one more transcript that has its end-user is being sent.
func (c *creator) workerBusy() {
	c.begun.Add(1)
	if c.waiting.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next()
}

// next sends requests for those who wait, if it is time. c.mu is held.
func (c *creator) next() {
	for len(c.queue) > 0 {
		full := len(c.queue) >= c.most || c.queue[0].alone
		if c.under > 0 && (!full || c.under >= creationsAtOnce) || !full && !c.wanted() {
			return
		}
		n := 1
		for !c.queue[0].alone && n < min(len(c.queue), c.most) && !c.queue[n].alone {
			n++
		}
		batch := slices.Clone(c.queue[:n])
		c.queue = slices.Delete(c.queue, 0, n)
		c.waiting.Add(int64(-n))
		c.under++
		go c.make(batch)
	}
}

// wanted says whether to wait for company would cost something. c.mu is held.
func (c *creator) wanted() bool {
	return c.u.im.ready.Load() < int64(c.u.im.cfg.Workers) || c.begun.Load()-c.queue[0].since >= creationPatience ||
		slices.ContainsFunc(c.queue, func(w *wish) bool { return w.urgent })
}

// make reserves persons, so that nobody else creates them, and creates them.
func (c *creator) make(batch []*wish) {
	for lost := true; lost; {
		began := time.Now()
		batch = c.reserve(batch)
		hold := c.holder(batch, began)
		switch {
		case len(batch) > 0 && c.u.im.fetching.Err() != nil:
			answer(batch, errStopped)
			lost = false
		case len(batch) == 1:
			lost = c.makeOne(batch[0], hold)
		case len(batch) > 1:
			lost = c.makeMany(batch, hold)
		default:
			lost = false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.under--
	c.next()
}

// holder returns what makes sure, right before a creation leaves, that the persons are still reserved, and says until when
// it may begin: another run may take over what this one held while it was suspended.
func (c *creator) holder(batch []*wish, began time.Time) func(context.Context, int, error) (time.Time, error) {
	window := c.u.im.cfg.SendWindow / 2
	return func(context.Context, int, error) (time.Time, error) {
		for passed(began) >= window {
			began = time.Now()
			reservations, err := c.ask(batch)
			if err != nil {
				return time.Time{}, err
			}
			if slices.ContainsFunc(reservations, func(r checkpoint.Reservation) bool { return !r.Kept }) {
				return time.Time{}, errReservationLost
			}
		}
		if c.u.im.fetching.Err() != nil {
			return time.Time{}, errStopped
		}
		return began.Add(window), nil
	}
}

func answer(batch []*wish, err error) {
	for _, w := range batch {
		w.done <- creation{err: err}
	}
}

// reserve reserves persons in one transaction and returns those that are to be created. The others have their answer.
func (c *creator) reserve(batch []*wish) (granted []*wish) {
	reservations, err := c.ask(batch)
	if err != nil {
		answer(batch, err)
		return nil
	}
	for i, w := range batch {
		r := reservations[i]
		if w.reserved = r.Granted; r.Granted && !r.Kept {
			w.absent = !r.Doubt
		}
		switch {
		case r.EndUserID != "":
			w.done <- creation{id: r.EndUserID}
		case !r.Granted:
			w.done <- creation{err: errPersonHeld}
		case !w.absent:
			w.done <- creation{err: errPersonReserved}
		default:
			granted = append(granted, w)
		}
	}
	return granted
}

// ask reserves persons in the checkpoint.
func (c *creator) ask(batch []*wish) (reservations []checkpoint.Reservation, err error) {
	persons := make([][]checkpoint.Identifier, len(batch))
	for i, w := range batch {
		persons[i] = w.ids
	}
	err = c.u.store("reserve end-users", func(ctx context.Context) (err error) {
		reservations, err = c.u.im.cfg.Store.ReserveEndUsers(ctx, c.u.im.organisation, c.u.im.id, persons)
		return err
	})
	return reservations, err
}

// makeOne creates a person. It says whether nothing was sent because the reservation is lost.
func (c *creator) makeOne(w *wish, hold func(context.Context, int, error) (time.Time, error)) (lost bool) {
	user, err := c.u.im.cfg.API.CreateEndUser(c.ctx, w.user, hold)
	if errors.Is(err, errReservationLost) {
		return true
	}
	if err != nil {
		if err = c.u.creationError(err); errors.Is(err, errCreationInDoubt) {
			c.u.im.log.Warn("the creation of an end-user is in doubt", "transcript", w.key)
		}
		w.done <- creation{err: err}
		return false
	}
	c.made([]*wish{w}, []string{user.ID})
	return false
}

// makeMany is makeOne for several.
func (c *creator) makeMany(batch []*wish, hold func(context.Context, int, error) (time.Time, error)) (lost bool) {
	users := make([]dixa.NewEndUser, len(batch))
	for i, w := range batch {
		users[i] = w.user
	}
	results, err := c.u.im.cfg.API.CreateEndUsers(c.ctx, users, hold)
	if errors.Is(err, errReservationLost) {
		return true
	}
	if err != nil {
		c.manyFailed(batch, err)
		return false
	}
	var created []*wish
	var ids []string
	for i, r := range results {
		if r.Err != nil {
			batch[i].done <- creation{err: c.u.creationError(r.Err)}
			continue
		}
		created, ids = append(created, batch[i]), append(ids, r.EndUser.ID)
	}
	c.made(created, ids)
	return false
}

// made records end-users that were created.
func (c *creator) made(batch []*wish, ids []string) {
	users := make([]checkpoint.EndUser, len(batch))
	for i, w := range batch {
		users[i] = checkpoint.EndUser{ID: ids[i], Identifiers: w.ids}
	}
	err := c.u.save(users...)
	for i, w := range batch {
		w.done <- creation{id: ids[i], new: true, err: err}
	}
}

// manyFailed decides about persons whose common creation failed as a whole.
func (c *creator) manyFailed(batch []*wish, err error) {
	var api *dixa.APIError
	log := c.u.im.log.With("persons", len(batch), "error", err.Error())
	switch {
	case errors.Is(err, errStopped), isFatal(err): // before it left
		answer(batch, err)
		return
	case !dixa.NotApplied(err):
		log.Warn("the creation of end-users is in doubt")
		answer(batch, errCreationInDoubt)
		return
	case !errors.As(err, &api): // nothing was sent
		answer(batch, c.u.creationError(err))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !hasStatus(err, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound):
		log.Info("Dixa refuses to create these end-users together: they are created one by one")
		c.most = min(c.most, max(len(batch)/2, creationLeast))
	case c.most > 1:
		log.Warn("the token may not create end-users together: they are created one by one")
		c.most = 1
	}
	for _, w := range batch {
		w.alone = true
	}
	c.queue = append(batch, c.queue...)
	c.waiting.Add(int64(len(batch)))
}

// creationError sorts the refusal of a creation.
func (u *resolver) creationError(err error) error {
	switch {
	case errors.Is(err, errStopped), isFatal(err): // before it left
		return err
	case dixa.AlreadyExists(err):
		return errPersonExists
	case !dixa.NotApplied(err):
		return errCreationInDoubt
	}
	return u.im.userErrorOf(err)
}
