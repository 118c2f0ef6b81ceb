package people

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

// search looks for the end-user that has the identifiers of a person. An end-user with one of them is that person, unless the person has a
// stronger identifier and the end-user has a different one of that kind: then it is somebody else, perhaps a family member, and the
// identifier is taken.
type search struct {
	u     *Resolver
	r     *Resolution
	ask   func(checkpoint.Identifier) ([]owner, error) // queries Dixa or the directory
	taken []checkpoint.Identifier                      // somebody else has them
}

// owner is an end-user that has an identifier.
type owner struct {
	id    string
	known bool                    // has is complete
	has   []checkpoint.Identifier // its identifiers in Dixa
}

// free returns the identifiers that are not taken.
func (s *search) free(ids []checkpoint.Identifier) []checkpoint.Identifier {
	return slices.DeleteFunc(slices.Clone(ids), func(id checkpoint.Identifier) bool { return slices.Contains(s.taken, id) })
}

// find returns the end-user that has one of the identifiers, "" if there is none. It tries the strongest first, in known, which is what the
// checkpoint has, and then in Dixa. It records the result.
func (s *search) find(ids []checkpoint.Identifier, known map[checkpoint.Identifier]string) (string, error) {
	for i, ident := range ids {
		if slices.Contains(s.taken, ident) {
			continue
		}
		owners, err := s.owners(ident, ids[:i], known[ident])
		if err != nil {
			return "", err
		}
		for _, o := range owners {
			person, err := s.isPerson(o, ids[:i], ident)
			if err != nil || person {
				return o.id, err
			}
			s.r.Others = append(s.r.Others, o.id)
		}
		if len(owners) > 0 {
			s.take(ident)
		}
	}
	return "", nil
}

// owners returns the end-users that have an identifier: the one that the checkpoint has for it, else those in Dixa, oldest first.
func (s *search) owners(ident checkpoint.Identifier, stronger []checkpoint.Identifier, knownAs string) ([]owner, error) {
	switch {
	case knownAs == "" || s.u.isGone(knownAs):
	case len(stronger) == 0:
		s.u.remember(knownAs, ident)
		return []owner{{id: knownAs, known: true}}, nil
	default:
		o, err := s.u.profile(knownAs, ident, stronger)
		if err != nil || o.id != "" {
			return []owner{o}, err
		}
	}
	return s.ask(ident)
}

// isPerson reports whether an end-user that was found by an identifier is the person. If it is, isPerson records that.
func (s *search) isPerson(o owner, stronger []checkpoint.Identifier, ident checkpoint.Identifier) (bool, error) {
	s.u.hooks.Found(o.id)
	if len(stronger) == 0 {
		_, err := s.u.saves.Do(checkpoint.EndUser{ID: o.id, Identifiers: []checkpoint.Identifier{ident}})
		return true, err
	}
	if !o.known || s.u.m.Differ(o.has, stronger) {
		return false, nil
	}
	theirs := append(s.free(stronger), ident)
	for {
		seen, err := s.u.identifiersOf(o.id)
		if err != nil || s.u.m.Differ(seen, stronger) {
			return false, err
		}
		joined := false
		err = s.u.record("record an end-user", func(ctx context.Context) (err error) {
			joined, err = s.u.s.Store.JoinEndUser(ctx, s.u.s.Organisation, checkpoint.EndUser{ID: o.id, Identifiers: theirs}, seen)
			return err
		})
		if err != nil || joined {
			s.u.remember(o.id, theirs...)
			return joined, err
		}
		// Another process recorded an identifier of that end-user meanwhile: compare again.
	}
}

// take marks an identifier as somebody else's and leaves its line, so that the next transcript continues.
func (s *search) take(ident checkpoint.Identifier) {
	s.taken = append(s.taken, ident)
	s.u.leaveLine(s.r, ident)
}

// identifiersOf returns the identifiers that the checkpoint has for an end-user.
func (u *Resolver) identifiersOf(id string) (ids []checkpoint.Identifier, err error) {
	err = u.read("read an end-user", func(ctx context.Context) (err error) {
		ids, err = u.s.Store.EndUserIdentifiers(ctx, u.s.Organisation, id)
		return err
	})
	return ids, err
}

// profile returns an end-user that the checkpoint has for an identifier, with enough of its identifiers to decide whether it is the person
// with the stronger ones. It reads them from the checkpoint, and from Dixa if those do not suffice. The id is "" if Dixa no longer has the
// end-user.
func (u *Resolver) profile(id string, ident checkpoint.Identifier, stronger []checkpoint.Identifier) (o owner, err error) {
	has, err := u.identifiersOf(id)
	if err != nil || u.m.Differ(has, stronger) {
		return owner{id: id, known: true, has: has}, err
	}
	if o, ok := u.profiles.get(id); ok {
		return o, nil
	}
	user, err := u.get(id)
	switch {
	case session.HasStatus(err, http.StatusNotFound):
		return owner{}, u.Forget(id)
	case session.Denied(err): // the token may still look it up
		owners, err := u.ask(ident)
		at := slices.IndexFunc(owners, func(o owner) bool { return o.id == id })
		if err != nil || at < 0 { // its identifiers cannot be read
			return owner{id: id}, err
		}
		o = owners[at]
	case err != nil:
		return owner{}, u.errorOf(err)
	default:
		o = ownerOf(user)
		o.id = id
	}
	u.profiles.put(id, o)
	return o, nil
}

// findOthers finds, for a run with Reconcile, the other end-users that have identifiers of the person. Earlier versions treated people who
// share an identifier as one person, so the transcript may be under one of those end-users in Dixa.
func (u *Resolver) findOthers(r *Resolution, id string) error {
	if !u.s.Reconcile {
		return nil
	}
	key := fmt.Sprint(id, r.Person.All())
	if o, ok := u.sharers.get(key); ok {
		r.Others = o
		return nil
	}
	for _, ident := range r.Person.All()[1:] {
		owners, err := u.ask(ident)
		if err != nil {
			return err
		}
		for _, o := range owners {
			if o.id != id && !slices.Contains(r.Others, o.id) {
				r.Others = append(r.Others, o.id)
			}
		}
	}
	u.sharers.put(key, r.Others)
	return nil
}

// get reads one end-user.
func (u *Resolver) get(id string) (user dixa.EndUser, err error) {
	select {
	case u.lookUps <- struct{}{}:
	case <-u.s.Starting.Done():
		return user, session.ErrStopped
	}
	defer func() { <-u.lookUps }()
	return u.s.API.GetEndUser(u.s.Starting, id)
}

// ask looks an identifier up in Dixa and returns the end-users that really have it.
func (u *Resolver) ask(ident checkpoint.Identifier) ([]owner, error) {
	select {
	case u.lookUps <- struct{}{}:
	case <-u.s.Starting.Done():
		return nil, session.ErrStopped
	}
	users, err := u.s.API.FindEndUsers(u.s.Starting, LookUpBy[ident.Kind], ident.Value)
	<-u.lookUps
	if err != nil {
		return nil, u.errorOf(err)
	}
	u.hooks.Succeeded(dixa.OpLookUpEndUser)
	var owners []owner
	for _, e := range OwnersOf(users, ident) {
		owners = append(owners, ownerOf(e))
	}
	return owners, nil
}

func ownerOf(e dixa.EndUser) owner { return owner{id: e.ID, known: true, has: IdentifiersIn(e)} }
