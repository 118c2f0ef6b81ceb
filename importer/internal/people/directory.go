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

// directoryPage is how many end-users one request asks for; Dixa's own limit is not documented.
const directoryPage = 1000

// maxDirectory is how many identifiers a directory holds, in 64 MiB. Further ones are looked up.
const maxDirectory = 2 << 20

// directory holds the end-users that Dixa listed. It takes 32 bytes for each identifier: a keyed hash of 120 bits in place
// of the identifier itself, the end-user's id, and the kinds of identifiers that the end-user has.
type directory struct {
	listed   sync.Once // fills the fields below, which do not change afterwards
	key      [16]byte
	shards   [256][]listing
	size     int
	complete bool // an identifier that is missing here was not in Dixa
}

type listing struct {
	hash  [15]byte
	kinds uint8     // of the owner's identifiers: bits in the order of directoryKinds
	owner uuid.UUID // nil: several end-users have the identifier
}

var directoryKinds = [...]checkpoint.IdentifierKind{checkpoint.ExternalID, checkpoint.Email, checkpoint.Phone}

// find returns the end-user that has an identifier, no id if there is none. sure is false if only a look-up in Dixa can answer.
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
			o.has = append(o.has, checkpoint.Identifier{Kind: kind}) // the directory does not store values
		}
	}
	return o, true
}

// hash returns the keyed hash of an identifier in its compared form.
func (d *directory) hash(ident checkpoint.Identifier) (short [15]byte) {
	value := compared(ident).Value
	text := make([]byte, 0, 128)
	text = append(append(append(append(text, d.key[:]...), ident.Kind...), 0), value...)
	sum := sha256.Sum256(text)
	copy(short[:], sum[:])
	return short
}

// add adds an end-user with all identifiers. If there is no room, or the id is not a UUID, the directory is incomplete.
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
		if !m.IsPlaceholder(ident) {
			kinds |= 1 << slices.Index(directoryKinds[:], ident.Kind)
		}
	}
	for _, ident := range has {
		if d.size >= maxDirectory {
			d.complete = false
			return
		}
		hash := d.hash(ident)
		d.shards[hash[0]] = append(d.shards[hash[0]], listing{hash, kinds, id})
		d.size++
	}
}

// sort sorts the shards for find, and merges the listings of each identifier.
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
			if !begun && session.HasStatus(err, http.StatusBadRequest) { // directoryPage is too large
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

// fill lists all end-users of Dixa. After an error, the missing ones are looked up one by one.
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
		s.Log.Warn("not all listed end-users fit in memory: the rest are looked up one by one", "end_users", people)
	default:
		s.Log.Info("listed the end-users of Dixa", "end_users", people)
	}
	d.sort()
}

// read reads all pages and returns the number of end-users on them.
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

// askDirectory looks an identifier up in the directory, and in Dixa if the directory has no sure answer.
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
