package people

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"sync"

	"github.com/google/uuid"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/mark"
	"dixa-import/importer/internal/session"
)

// directoryPage is how many end-users are asked for at once; how many Dixa lists at most is not documented.
const directoryPage = 1000

// directoryMost is how many identifiers a directory holds, in 64 MiB. Those beyond are looked up.
const directoryMost = 2 << 20

// directory is who was in Dixa when it was listed. It holds 32 bytes for each identifier: a keyed hash of 120 bits, in place
// of the identifier itself, the end-user's id, and what kinds of identifiers the end-user has.
type directory struct {
	listed   sync.Once // fills what follows, which only changes in it
	key      [16]byte
	shards   [256][]listing
	size     int
	complete bool // who is not in it was not in Dixa
}

type listing struct {
	hash  [15]byte
	kinds uint8     // of the identifiers that the owner has: bits in the order of directoryKinds
	owner uuid.UUID // nil: several end-users have the identifier
}

var directoryKinds = [...]checkpoint.IdentifierKind{checkpoint.ExternalID, checkpoint.Email, checkpoint.Phone}

// find returns the end-user that has an identifier. It is not sure if only Dixa can tell.
func (d *directory) find(ident checkpoint.Identifier) (o owner, sure bool) {
	hash := d.hash(ident)
	shard := d.shards[hash[0]]
	at, found := slices.BinarySearchFunc(shard, hash, func(l listing, h [15]byte) int { return bytes.Compare(l.hash[:], h[:]) })
	if !found {
		return owner{}, d.complete
	}
	if shard[at].owner == uuid.Nil {
		return owner{}, false
	}
	o = owner{id: shard[at].owner.String(), known: true, has: []checkpoint.Identifier{ident}}
	for i, kind := range directoryKinds {
		if kind != ident.Kind && shard[at].kinds&(1<<i) != 0 {
			o.has = append(o.has, checkpoint.Identifier{Kind: kind}) // of what value is not kept
		}
	}
	return o, true
}

// hash is that of an identifier as it is compared.
func (d *directory) hash(ident checkpoint.Identifier) (short [15]byte) {
	value := compared(ident).Value
	text := make([]byte, 0, 128)
	text = append(append(append(append(text, d.key[:]...), ident.Kind...), 0), value...)
	sum := sha256.Sum256(text)
	copy(short[:], sum[:])
	return short
}

// add adds an end-user with all identifiers. What cannot be held makes the directory incomplete.
func (d *directory) add(e dixa.EndUser, m *Matcher) {
	if mark.Of(e) != "" {
		return
	}
	id, err := uuid.Parse(e.ID)
	if err != nil || id == uuid.Nil || id.String() != e.ID {
		d.complete = false
		return
	}
	has, kinds := IdentifiersIn(e), uint8(0)
	for _, ident := range has {
		if !m.MeansNobody(ident) {
			kinds |= 1 << slices.Index(directoryKinds[:], ident.Kind)
		}
	}
	for _, ident := range has {
		if d.size >= directoryMost {
			d.complete = false
			return
		}
		hash := d.hash(ident)
		d.shards[hash[0]] = append(d.shards[hash[0]], listing{hash, kinds, id})
		d.size++
	}
}

// sort makes the directory ready for find.
func (d *directory) sort() {
	for i, shard := range d.shards {
		slices.SortFunc(shard, func(a, b listing) int { return bytes.Compare(a.hash[:], b.hash[:]) })
		kept := shard[:0]
		for _, l := range shard {
			if n := len(kept); n > 0 && kept[n-1].hash == l.hash {
				if kept[n-1].owner != l.owner {
					kept[n-1].owner = uuid.Nil
				}
				continue
			}
			kept = append(kept, l)
		}
		d.shards[i] = kept
	}
}

// ListEndUsers yields the end-users of Dixa page by page.
func ListEndUsers(ctx context.Context, api session.API) iter.Seq2[[]dixa.EndUser, error] {
	return func(yield func([]dixa.EndUser, error) bool) {
		begun := false
		for page, err := range api.ListEndUsers(ctx, directoryPage) {
			if !begun && session.HasStatus(err, http.StatusBadRequest) { // so many are not given at once
				break
			}
			if begun = true; !yield(page, err) {
				return
			}
		}
		if begun {
			return
		}
		for page, err := range api.ListEndUsers(ctx, 0) {
			if !yield(page, err) {
				return
			}
		}
	}
}

// fill lists all end-users of Dixa. Those that are missing after an error are looked up one by one.
func (d *directory) fill(s *session.Session, m *Matcher) {
	_, _ = rand.Read(d.key[:])
	s.Log.Info("listing the end-users of Dixa")
	people, err := d.read(s, m)
	switch {
	case s.Starting.Err() != nil:
	case session.RefusedOptional(err):
		s.Log.Warn("the token may not list end-users: they are looked up one by one", "error", err.Error())
	case err != nil:
		s.Log.Warn("the list of end-users is incomplete: the missing ones are looked up one by one", "error", err.Error())
	case !d.complete:
		s.Log.Warn("not all listed end-users fit in memory: the others are looked up one by one", "end_users", people)
	default:
		s.Log.Info("listed the end-users of Dixa", "end_users", people)
	}
	d.sort()
}

// read reads all pages and returns how many people they had.
func (d *directory) read(s *session.Session, m *Matcher) (people int, err error) {
	d.complete = true
	for page, err := range ListEndUsers(s.Starting, s.API) {
		if err != nil {
			d.complete = false
			return people, fmt.Errorf("read the directory: %w", err)
		}
		for _, e := range page {
			d.add(e, m)
		}
		people += len(page)
	}
	return people, nil
}

// askDirectory looks an identifier up among the listed end-users, and in Dixa where that does not tell.
func (u *Resolver) askDirectory(ident checkpoint.Identifier) ([]owner, error) {
	u.directory.listed.Do(func() { u.directory.fill(u.s, u.m) })
	switch o, sure := u.directory.find(ident); {
	case !sure, o.id != "" && u.isGone(o.id):
		return u.ask(ident)
	case o.id == "":
		return nil, nil
	default:
		return []owner{o}, nil
	}
}
