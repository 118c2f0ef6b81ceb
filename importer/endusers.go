package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
)

// resolver finds the end-user of a transcript, or creates it, once for each person whoever else meets it meanwhile.
type resolver struct {
	im      *Importer
	creator *creator
	saves   group[checkpoint.EndUser]
	lookUps chan struct{} // one for each look-up under way, so that they leave the limiter to the imports

	roster roster // with Config.Preload

	mu    sync.Mutex
	lines map[checkpoint.Identifier]chan struct{} // of the last in line for an identifier, closed when its turn is over
	cache idCache
	gone  map[string]bool // end-users that Dixa does not know any more, whoever finds their ids somewhere still
}

// saveBatch is how many end-users one transaction records at most.
const saveBatch = 256

// newResolver returns a resolver for work that ends with ctx.
func newResolver(ctx context.Context, im *Importer) *resolver {
	u := &resolver{im: im, lines: map[checkpoint.Identifier]chan struct{}{}, lookUps: make(chan struct{}, (im.cfg.Workers+1)/2)}
	u.creator = newCreator(ctx, u)
	u.saves.most, u.saves.work = saveBatch, func(users []checkpoint.EndUser) error { return u.save(users...) }
	return u
}

// userError says why a transcript has no end-user.
type userError struct {
	code    string
	err     error
	passing bool // worth another run
}

func (e *userError) Error() string { return e.err.Error() }

// resolve is the step that finds or creates the end-user.
func (im *Importer) resolve(_ context.Context, t *task) (step, error) {
	id, created, err := im.users.resolve(t)
	var failure *userError
	switch {
	case errors.As(err, &failure) && failure.passing:
		return im.settle(t, checkpoint.Release, failure.code, failure.Error())
	case errors.As(err, &failure):
		return im.settle(t, checkpoint.Fail, failure.code, failure.Error())
	case err != nil:
		return stepEnd, err
	}
	t.row.EndUserID, t.newcomer = id, created
	if !created && im.looksFirst(t) {
		return stepLookFirst, nil
	}
	return stepSend, nil
}

// resolve returns the end-user's id, and whether it was created for this transcript.
func (u *resolver) resolve(t *task) (id string, created bool, err error) {
	p := t.person
	defer u.endTurn(t)
	if id = u.cached(p.ids); id != "" {
		return id, false, nil
	}
	u.takeTurn(t)
	if err := u.awaitTurn(t); err != nil {
		return "", false, err
	}
	if id = u.cached(p.ids); id != "" {
		return id, false, nil
	}
	if !t.unknown {
		known, err := u.known(p.ids)
		if err != nil {
			return "", false, err
		}
		for _, ident := range p.ids {
			if id = known[ident]; id != "" && !u.isGone(id) {
				u.remember(id, ident)
				u.im.first.note(id)
				return id, false, nil
			}
		}
	}
	ask := u.ask
	if u.im.cfg.Preload {
		ask = u.askRoster
	}
	if id, err = u.lookUp(p.ids, ask); err != nil || id != "" {
		return id, false, err
	}
	return u.create(t)
}

// known asks the checkpoint for identifiers.
func (u *resolver) known(ids []checkpoint.Identifier) (known map[checkpoint.Identifier]string, err error) {
	err = u.store("read end-users", func(ctx context.Context) (err error) {
		known, err = u.im.cfg.Store.FindEndUsers(ctx, u.im.organisation, ids)
		return err
	})
	return known, err
}

// recall asks the checkpoint for the persons of many tasks at once. Should that fail, each task asks for itself.
func (u *resolver) recall(tasks []*task) {
	var ids []checkpoint.Identifier
	for _, t := range tasks {
		if t.unknown = len(t.person.ids) > 0 && u.cached(t.person.ids) == ""; t.unknown {
			ids = append(ids, t.person.ids...)
		}
	}
	if len(ids) == 0 {
		return
	}
	known, err := u.known(ids)
	for ident, id := range known {
		u.remember(id, ident)
		u.im.first.note(id)
	}
	for _, t := range tasks {
		t.unknown = t.unknown && err == nil && !slices.ContainsFunc(t.person.ids, func(i checkpoint.Identifier) bool { return known[i] != "" })
	}
}

// lookUp asks Dixa for the identifiers in their order, and records whose they are: the one that was found, and those before
// it, which Dixa does not know and which the transcript says belong to the same person.
func (u *resolver) lookUp(ids []checkpoint.Identifier, ask func(checkpoint.Identifier) (string, error)) (string, error) {
	for i, ident := range ids {
		id, err := ask(ident)
		if err != nil {
			return "", err
		}
		if id != "" {
			u.im.first.note(id)
			return id, u.saves.do(checkpoint.EndUser{ID: id, Identifiers: ids[:i+1]})
		}
	}
	return "", nil
}

// ask looks one identifier up in Dixa. Only an end-user that really has it counts, the oldest of several.
func (u *resolver) ask(ident checkpoint.Identifier) (string, error) {
	select {
	case u.lookUps <- struct{}{}:
	case <-u.im.fetching.Done():
		return "", errStopped
	}
	users, err := u.im.cfg.API.FindEndUsers(u.im.fetching, lookUpKinds[ident.Kind], ident.Value)
	<-u.lookUps
	if err != nil {
		return "", u.im.userErrorOf(err)
	}
	return owner(users, ident), nil
}

// lookUpKinds is how Dixa calls the kinds of identifiers.
var lookUpKinds = map[checkpoint.IdentifierKind]dixa.IdentifierKind{
	checkpoint.Email: dixa.ByEmail, checkpoint.Phone: dixa.ByPhone, checkpoint.ExternalID: dixa.ByExternalID,
}

// owner chooses among the end-users that Dixa found for an identifier, "" if none of them really has it.
func owner(users []dixa.EndUser, ident checkpoint.Identifier) string {
	users = slices.DeleteFunc(users, func(e dixa.EndUser) bool { return e.ID == "" || !hasIdentifier(e, ident) })
	if len(users) == 0 {
		return ""
	}
	oldest := slices.MinFunc(users, func(a, b dixa.EndUser) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt.Time), cmp.Compare(a.ID, b.ID))
	})
	return oldest.ID
}

func hasIdentifier(e dixa.EndUser, ident checkpoint.Identifier) bool {
	switch ident.Kind {
	case checkpoint.Email:
		same := func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), ident.Value) }
		return same(e.Email) || slices.ContainsFunc(e.AdditionalEmails, same)
	case checkpoint.Phone:
		same := func(s string) bool { return digits(s) == digits(ident.Value) }
		return same(e.PhoneNumber) || slices.ContainsFunc(e.AdditionalPhoneNumbers, same)
	default:
		return e.ExternalID == ident.Value
	}
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// create has the person created, unless the checkpoint or Dixa turn out to know it.
func (u *resolver) create(t *task) (id string, created bool, err error) {
	w := &wish{key: t.key, ids: sorted(t.person.all()), user: t.person.newEndUser()}
	held := time.Duration(0)
	for attempt := 1; ; {
		w.urgent = t.place == u.im.slots
		made := u.creator.create(w)
		switch err := made.err; {
		case made.new:
			return made.id, true, err
		case err == nil:
			return made.id, false, u.saves.do(checkpoint.EndUser{ID: made.id, Identifiers: t.person.ids})
		case errors.Is(err, errPersonHeld):
			t.leave()
			if held += pollEvery; u.im.cfg.API.Stats().Down {
				held = 0 // everybody waits
			}
			// A run that got no clear answer keeps its reservation: two such runs must not wait for each other for ever.
			if held > u.im.cfg.HeldPatience {
				return "", false, &userError{code: codeUnavailable, passing: true, err: errors.New("another run has been creating the end-user for too long")}
			}
			if !pauseFor(u.im.fetching, pollEvery) {
				return "", false, errStopped
			}
			continue
		case errors.Is(err, errPersonReserved):
		case errors.Is(err, errCreationInDoubt):
			w.absent = false
			if attempt++; attempt > u.im.cfg.MaxAttempts { // the reservation stays: whoever comes next looks first
				return "", false, &userError{code: codeUnavailable, passing: true, err: errors.New("no clear answer to the creation of the end-user")}
			}
		case errors.Is(err, errPersonExists):
			return u.existing(t, w)
		case w.reserved:
			return "", false, u.release(w.ids, err)
		default:
			return "", false, err
		}
		if id, err = u.lookOver(t); err != nil {
			return "", false, err
		}
		if id != "" { // the identifiers by which it was not found are free again
			return id, false, u.release(w.ids, nil)
		}
		w.absent = true
	}
}

// existing finds the end-user that Dixa says exists: by any identifier, and for a while, because lists may lag.
func (u *resolver) existing(t *task, w *wish) (string, bool, error) {
	id, err := u.lookOver(t)
	if err != nil {
		return "", false, err
	}
	if id == "" {
		err = &userError{code: codeEndUserConflict,
			err: errors.New("Dixa refuses to create the end-user (it exists, or an identifier is invalid) and does not find it by any identifier: " +
				"look in Dixa for an end-user with this email or phone number and correct it, or correct the record")}
	}
	return id, false, u.release(w.ids, err)
}

// lookOver looks for a person by all identifiers, at least three times over Settle.
func (u *resolver) lookOver(t *task) (string, error) {
	begin := time.Now()
	for looks := 1; ; looks++ {
		id, err := u.lookUp(t.person.all(), u.ask)
		if err != nil || id != "" {
			return id, err
		}
		if looks >= minLooks && time.Since(begin) >= u.im.cfg.Settle {
			return "", nil
		}
		t.leave()
		if !pauseFor(u.im.fetching, u.im.cfg.Settle/(minLooks-1)) {
			return "", errStopped
		}
	}
}

// save records whose identifiers are, in one transaction.
func (u *resolver) save(users ...checkpoint.EndUser) error {
	users = slices.DeleteFunc(slices.Clone(users), func(user checkpoint.EndUser) bool { return u.isGone(user.ID) })
	if len(users) == 0 {
		return nil
	}
	err := u.keep("record end-users", func(ctx context.Context) error {
		return u.im.cfg.Store.SaveEndUsers(ctx, u.im.organisation, users)
	})
	if err == nil {
		for _, user := range users {
			u.remember(user.ID, user.Identifiers...)
		}
	}
	return err
}

// release gives a reservation back and returns why, or that it could not.
func (u *resolver) release(ids []checkpoint.Identifier, why error) error {
	return errors.Join(why, u.keep("give a reservation back", func(ctx context.Context) error {
		return u.im.cfg.Store.ReleaseEndUsers(ctx, u.im.organisation, u.im.id, ids)
	}))
}

// forget drops an end-user that Dixa does not know any more.
func (u *resolver) forget(id string) error {
	u.mu.Lock()
	u.cache.drop(id)
	if u.gone == nil {
		u.gone = map[string]bool{}
	}
	u.gone[id] = true
	u.mu.Unlock()
	return u.keep("forget an end-user", func(ctx context.Context) error {
		return u.im.cfg.Store.ForgetEndUser(ctx, u.im.organisation, id)
	})
}

func (u *resolver) isGone(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.gone[id]
}

// store reads, or writes what may be left undone when the run stops.
func (u *resolver) store(doing string, do func(context.Context) error) error {
	if err := u.im.patiently(u.im.fetching, doing, do); err != nil {
		return u.im.stoppedOr(fatal(err))
	}
	return nil
}

// keep writes what is known and must not be lost, even while the run stops.
func (u *resolver) keep(doing string, do func(context.Context) error) error {
	if err := u.im.patiently(u.im.writer.ctx, doing, do); err != nil {
		return fatal(err)
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

func (u *resolver) cached(ids []checkpoint.Identifier) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, ident := range ids {
		if id := u.cache.get(ident); id != "" {
			return id
		}
	}
	return ""
}

func (u *resolver) remember(id string, ids ...checkpoint.Identifier) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.gone[id] {
		return
	}
	for _, ident := range ids {
		u.cache.put(ident, id)
	}
}

// userErrorOf sorts the refusal of a look-up or a creation.
func (im *Importer) userErrorOf(err error) error {
	switch {
	case im.fetching.Err() != nil && ctxError(err) != nil:
		return errStopped
	case stopsRun(err):
		return fatalAnswer(err)
	case dixa.Transient(err):
		return &userError{code: codeUnavailable, passing: true, err: err}
	}
	return &userError{code: codeEndUserRefused, err: fmt.Errorf("%w: correct the end-user's fields in the record", err)}
}
