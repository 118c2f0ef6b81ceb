package people

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/batch"
	"dixa-import/importer/internal/session"
)

// Hooks connect the resolver to the rest of the run. All must be set and safe for concurrent use.
type Hooks struct {
	Admit        func() error                              // returns when the run may create end-users, or why it may not
	WorkersIdle  func() bool                               // reports whether fewer transcripts with known end-users wait for a worker than there are workers
	LookUpWindow func() (lag, spread time.Duration)        // how long look-ups may lag, and how long the looks must last that prove absence
	NeedsLag     func()                                    // called when the Resolver needs to know how long look-ups lag
	Created      func(id string, by checkpoint.Identifier) // called for one end-user of each creation
	Found        func(id string)                           // called for an end-user that the checkpoint or Dixa already had
	Succeeded    func(ops ...dixa.Operation)               // called for operations that succeeded
}

// Resolver finds or creates the end-users of transcripts. It creates each person once, however many transcripts the person has.
type Resolver struct {
	s       *session.Session
	m       *Matcher
	hooks   Hooks
	creator *creator
	saves   *batch.Group[checkpoint.EndUser, struct{}] // of end-users that were found
	lookUps chan struct{}                              // limits concurrent look-ups, so that imports get their share of the rate limit

	directory directory      // with Config.Preload
	profiles  memo[owner]    // the identifiers of end-users that were found by one that may be shared
	sharers   memo[[]string] // with Config.Reconcile: end-users that share an identifier with the key

	mu    sync.Mutex                              // guards what follows
	lines map[checkpoint.Identifier]chan struct{} // of the last Resolution in a line, closed when it leaves
	cache idCache
	gone  map[string]bool // end-users that Dixa no longer has, though look-ups or the checkpoint may still return them
}

const (
	// saveBatch is the maximum number of end-users that one transaction records.
	saveBatch = 256
	// heldPause is the interval between looks at another run's reservation.
	heldPause = 250 * time.Millisecond
)

// NewResolver returns a Resolver for a session on which Begin has been called.
func NewResolver(s *session.Session, m *Matcher, hooks Hooks) *Resolver {
	u := &Resolver{s: s, m: m, hooks: hooks, lines: map[checkpoint.Identifier]chan struct{}{}, lookUps: make(chan struct{}, (s.Workers+1)/2),
		gone: map[string]bool{}}
	u.creator = &creator{u: u, maxBatch: MaxCreationBatch}
	u.saves = batch.New(saveBatch, func(users []checkpoint.EndUser) ([]struct{}, error) {
		return make([]struct{}, len(users)), u.save(users...)
	})
	return u
}

// Wait waits until the goroutines of the Resolver have ended. It must not be called while Resolve is running.
func (u *Resolver) Wait() { u.creator.running.Wait() }

// Resolution is the search for the end-user of one transcript. The caller sets Key and Place, and Person before Recall.
type Resolution struct {
	Key    string // of the transcript, for the log
	Person Person
	Place  Place

	Others  []string                  // set by Resolve: other end-users that share an identifier with the person
	LeftOut []checkpoint.PartialError // set by Resolve: identifiers that the person was created without

	stranger bool      // Recall found that the checkpoint does not know the person
	position *position // nil: it is in no line
}

// Place is what a transcript occupies while it is in progress.
type Place interface {
	Leave()          // frees it, before a wait that may be long
	HasWorker() bool // reports whether it occupies a worker
}

// Reason is why a transcript has no end-user.
type Reason int

// The reasons for an Error.
const (
	Unavailable Reason = iota // there was no clear answer from Dixa or another run: a later run may succeed
	Refused                   // Dixa refused to look the person up or to create it
	Conflict                  // Dixa says that the person exists, but does not find it
)

// Error describes why a transcript has no end-user.
type Error struct {
	Reason Reason
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// DeniedError says that Dixa answered 401 or 403 to a look-up or a creation. The caller of Resolve, which may wait, finds out whether that
// concerns this person alone.
type DeniedError struct{ Err error }

func (e *DeniedError) Error() string { return e.Err.Error() }

func (e *DeniedError) Unwrap() error { return e.Err }

func unavailable(why string) error { return &Error{Unavailable, errors.New(why)} }

// Resolve returns the id of the end-user, and whether it was created for this transcript. An error is an *Error or a *DeniedError, which
// concern the transcript, session.ErrStopped, or a fatal error.
func (u *Resolver) Resolve(r *Resolution) (id string, created bool, err error) {
	r.Others, r.LeftOut = nil, nil
	if id, created, err = u.resolve(r); err == nil {
		err = u.findOthers(r, id)
	}
	return id, created, err
}

// resolve is Resolve without findOthers.
func (u *Resolver) resolve(r *Resolution) (id string, created bool, err error) {
	defer u.LeaveLines(r)
	if id = u.cached(r.Person.IDs[0]); id != "" {
		return id, false, nil
	}
	u.JoinLines(r)
	if err := u.awaitLines(r); err != nil {
		return "", false, err
	}
	if id = u.cached(r.Person.IDs[0]); id != "" {
		return id, false, nil
	}
	known := u.remembered(r.Person.IDs)
	if !r.stranger {
		if known, err = u.known(r.Person.IDs); err != nil {
			return "", false, err
		}
	}
	r.stranger = false // it only holds right after the transcript was claimed
	s := &search{u: u, r: r, ask: u.ask}
	if u.s.Preload {
		s.ask = u.askDirectory
	}
	if id, err = s.find(r.Person.IDs, known); err != nil || id != "" {
		return id, false, err
	}
	s.ask = u.ask
	return u.create(s)
}

// Recall reads the end-users of many transcripts from the checkpoint in one query. If that fails, each Resolve reads its own.
func (u *Resolver) Recall(all []*Resolution) {
	var ids []checkpoint.Identifier
	for _, r := range all {
		if r.stranger = len(r.Person.IDs) > 0 && u.cached(r.Person.IDs[0]) == ""; r.stranger {
			ids = append(ids, r.Person.IDs...)
		}
	}
	if len(ids) == 0 {
		return
	}
	known, err := u.known(ids)
	for ident, id := range known {
		u.remember(id, ident)
		u.hooks.Found(id)
	}
	for _, r := range all {
		r.stranger = r.stranger && err == nil && !slices.ContainsFunc(r.Person.IDs, func(i checkpoint.Identifier) bool { return known[i] != "" })
	}
}

// WorkerBusy tells the Resolver that one more transcript has its end-user and is about to be sent.
func (u *Resolver) WorkerBusy() { u.creator.workerBusy() }

// Forget removes an end-user that Dixa no longer has from the caches and the checkpoint.
func (u *Resolver) Forget(id string) error {
	u.profiles.drop(id)
	u.mu.Lock()
	u.cache.drop(id)
	u.gone[id] = true
	u.mu.Unlock()
	return u.record("forget an end-user", func(ctx context.Context) error {
		return u.s.Store.ForgetEndUser(ctx, u.s.Organisation, id)
	})
}

// known returns the end-users that the checkpoint has for identifiers.
func (u *Resolver) known(ids []checkpoint.Identifier) (known map[checkpoint.Identifier]string, err error) {
	err = u.read("read end-users", func(ctx context.Context) (err error) {
		known, err = u.s.Store.FindEndUsers(ctx, u.s.Organisation, ids)
		return err
	})
	return known, err
}

// create creates the person without the identifiers that somebody else has, unless it turns up in the checkpoint or in Dixa meanwhile.
func (u *Resolver) create(s *search) (id string, created bool, err error) {
	if err := u.hooks.Admit(); err != nil {
		return "", false, err
	}
	c := &creationRequest{key: s.r.Key}
	held := time.Duration(0)
	for attempt, known := 1, 0; ; {
		if err := u.prepare(c, s); err != nil {
			return "", false, err
		}
		c.urgent = s.r.Place.HasWorker()
		made := u.creator.create(c)
		switch err := made.err; {
		case made.new:
			s.r.LeftOut = leftOut(s.taken)
			return made.id, true, err
		case err == nil: // the checkpoint knows somebody by one of the identifiers
			if known++; known > u.s.MaxAttempts {
				return "", false, unavailable("another run keeps changing the owners of the end-user's identifiers")
			}
			if id, err = u.foundMeanwhile(s, made.id); err != nil || id != "" {
				return id, false, err
			}
			continue
		case errors.Is(err, errPersonHeld):
			s.r.Place.Leave()
			if held += heldPause; u.s.API.Stats().Down {
				held = 0 // the other run waits too
			}
			// A run that got no clear answer keeps its reservation: two such runs must not wait for each other forever.
			if held > u.s.HeldPatience {
				return "", false, unavailable("another run has been creating the end-user for too long")
			}
			if !session.Pause(u.s.Starting, heldPause) {
				return "", false, session.ErrStopped
			}
			continue
		case errors.Is(err, errPersonReserved):
		case errors.Is(err, errCreationInDoubt):
			c.absent, c.alone = false, attempt > 1    // Dixa may fail to answer creations of several end-users
			if attempt++; attempt > u.s.MaxAttempts { // the reservation stays, so that the next run looks first
				return "", false, unavailable("Dixa gave no clear answer to the creation of the end-user")
			}
		case errors.Is(err, errPersonExists):
			if id, err = u.existing(s); err != nil || id != "" {
				return id, false, u.release(c.ids, err)
			}
			continue // another end-user has some of the identifiers
		case c.reserved:
			return "", false, u.release(c.ids, err)
		default:
			return "", false, err
		}
		if id, err = u.lookAgain(s, false); err != nil {
			return "", false, err
		}
		if id != "" { // release the identifiers by which it was not found
			return id, false, u.release(c.ids, nil)
		}
		c.absent = true
	}
}

// prepare fills a creation request with the identifiers that nobody else has. It releases the reservations of the taken ones.
func (u *Resolver) prepare(c *creationRequest, s *search) error {
	dropped := slices.DeleteFunc(slices.Clone(c.ids), func(id checkpoint.Identifier) bool { return !slices.Contains(s.taken, id) })
	ids := s.free(s.r.Person.All())
	c.ids, c.user = sorted(ids), newEndUser(s.r.Person.Name, ids)
	if len(dropped) > 0 && c.reserved {
		return u.release(dropped, nil)
	}
	return nil
}

// leftOut returns the partial errors of an end-user that was created without the taken identifiers.
func leftOut(taken []checkpoint.Identifier) (partial []checkpoint.PartialError) {
	for _, id := range taken {
		partial = append(partial, checkpoint.PartialError{Kind: checkpoint.KindOther, Message: "the end-user was created without the " +
			kindNames[id.Kind] + " of the record, because another end-user with different stronger identifiers has it: if that matters, move it to the right end-user in Dixa"})
	}
	return partial
}

var kindNames = map[checkpoint.IdentifierKind]string{checkpoint.ExternalID: "external id", checkpoint.Email: "email address", checkpoint.Phone: "phone number"}

// foundMeanwhile searches again for a person after the checkpoint returned id for one of its identifiers.
func (u *Resolver) foundMeanwhile(s *search, id string) (string, error) {
	if u.isGone(id) { // another run recorded it again
		return "", u.Forget(id)
	}
	known, err := u.known(s.r.Person.All())
	if err != nil {
		return "", err
	}
	return s.find(s.r.Person.All(), known)
}

// existing searches for the end-user that Dixa says exists: by any identifier, and for a while, because look-ups may lag. It returns ""
// without an error if it found that other end-users have some of the identifiers.
func (u *Resolver) existing(s *search) (string, error) {
	before := len(s.taken)
	id, err := u.lookAgain(s, true)
	if err == nil && id == "" && len(s.taken) == before {
		err = &Error{Conflict,
			errors.New("Dixa refuses to create the end-user (it exists, or an identifier is invalid) but does not find it by any identifier")}
	}
	return id, err
}

// lookAgain looks for a person by all identifiers, at least three times over Settle and longer if look-ups lag, and returns "" if the
// person is absent. If untilTaken is set, it also ends when it finds that somebody else has one of the identifiers.
func (u *Resolver) lookAgain(s *search, untilTaken bool) (string, error) {
	u.hooks.NeedsLag()
	begin, before := time.Now(), len(s.taken)
	var seeing session.Looks // those late enough to see an end-user that was created right before begin
	for {
		lag, spread := u.hooks.LookUpWindow()
		began := time.Now()
		id, err := s.find(s.r.Person.All(), nil)
		if err != nil || id != "" || untilTaken && len(s.taken) > before {
			return id, err
		}
		if began.Sub(begin) >= lag {
			seeing.Add(began)
		}
		if seeing.Enough(spread) {
			return "", nil
		}
		s.r.Place.Leave()
		if !session.Pause(u.s.Starting, max(lag-time.Since(begin), spread/(session.MinLooks-1))) {
			return "", session.ErrStopped
		}
	}
}

// save records end-users and their identifiers in one transaction.
func (u *Resolver) save(users ...checkpoint.EndUser) error {
	users = slices.DeleteFunc(slices.Clone(users), func(user checkpoint.EndUser) bool { return u.isGone(user.ID) })
	if len(users) == 0 {
		return nil
	}
	err := u.record("record end-users", func(ctx context.Context) error {
		return u.s.Store.SaveEndUsers(ctx, u.s.Organisation, users)
	})
	if err == nil {
		for _, user := range users {
			u.remember(user.ID, user.Identifiers...)
		}
	}
	return err
}

// release releases the reservations of identifiers. It returns why, joined with the error of the release.
func (u *Resolver) release(ids []checkpoint.Identifier, why error) error {
	return errors.Join(why, u.record("release a reservation", func(ctx context.Context) error {
		return u.s.Store.ReleaseEndUsers(ctx, u.s.Organisation, u.s.RunID, ids)
	}))
}

func (u *Resolver) isGone(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.gone[id]
}

// read runs an operation on the checkpoint that may be skipped when the run stops.
func (u *Resolver) read(doing string, do func(context.Context) error) error {
	if err := u.s.Patiently(u.s.Starting, doing, do); err != nil {
		return u.s.StoppedOr(session.Fatal(err))
	}
	return nil
}

// record writes results that must not be lost, even while the run stops.
func (u *Resolver) record(doing string, do func(context.Context) error) error {
	if err := u.s.Patiently(u.s.Recording, doing, do); err != nil {
		return session.Fatal(err)
	}
	return nil
}

func sorted(ids []checkpoint.Identifier) []checkpoint.Identifier {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b checkpoint.Identifier) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	return slices.Compact(ids)
}

func (u *Resolver) cached(ident checkpoint.Identifier) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.cache.get(ident)
}

// remembered returns the cached end-users of identifiers.
func (u *Resolver) remembered(ids []checkpoint.Identifier) map[checkpoint.Identifier]string {
	known := map[checkpoint.Identifier]string{}
	for _, ident := range ids {
		if id := u.cached(ident); id != "" {
			known[ident] = id
		}
	}
	return known
}

func (u *Resolver) remember(id string, ids ...checkpoint.Identifier) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.gone[id] {
		return
	}
	for _, ident := range ids {
		u.cache.put(ident, id)
	}
}

// errorOf classifies the error of a look-up or a creation.
func (u *Resolver) errorOf(err error) error {
	switch {
	case u.s.Starting.Err() != nil && session.ContextError(err) != nil:
		return session.ErrStopped
	case session.Denied(err):
		return &DeniedError{err}
	case dixa.Refused(err) && !dixa.Absent(err):
		return &Error{Refused, err}
	}
	return &Error{Unavailable, err} // nothing is known about the person
}
