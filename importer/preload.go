package importer

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
)

// rosterMost is how many identifiers a roster holds, in 64 MiB. Those beyond are looked up.
const rosterMost = 2 << 20

// roster is who was in Dixa when it was listed. It holds 32 bytes for each identifier: a keyed hash of 128 bits, in place
// of the identifier itself, and the end-user's id.
type roster struct {
	listed   sync.Once
	key      [16]byte
	shards   [256][]listing
	size     int
	complete bool // who is not in it was not in Dixa
}

type listing struct {
	hash  [16]byte
	owner uuid.UUID // zero: several end-users have the identifier
}

// find returns the end-user who has an identifier. sure is false if only Dixa can tell.
func (r *roster) find(ident checkpoint.Identifier) (id string, sure bool) {
	hash := r.hash(ident)
	shard := r.shards[hash[0]]
	at, found := slices.BinarySearchFunc(shard, hash, func(l listing, h [16]byte) int { return bytes.Compare(l.hash[:], h[:]) })
	if !found {
		return "", r.complete
	}
	owner := shard[at].owner
	if owner == uuid.Nil {
		return "", false
	}
	return owner.String(), true
}

// hash is that of an identifier as it is compared: addresses in lower case, the digits of phone numbers.
func (r *roster) hash(ident checkpoint.Identifier) (short [16]byte) {
	value := ident.Value
	switch ident.Kind {
	case checkpoint.Email:
		value = strings.ToLower(strings.TrimSpace(value))
	case checkpoint.Phone:
		value = digits(value)
	}
	text := make([]byte, 0, 128)
	text = append(append(append(append(text, r.key[:]...), ident.Kind...), 0), value...)
	sum := sha256.Sum256(text)
	copy(short[:], sum[:])
	return short
}

// add adds an end-user with all identifiers. What cannot be held makes the roster incomplete.
func (r *roster) add(e dixa.EndUser) {
	owner, err := uuid.Parse(e.ID)
	if err != nil || owner == uuid.Nil || owner.String() != e.ID {
		r.complete = false
		return
	}
	put := func(kind checkpoint.IdentifierKind, values ...string) {
		for _, v := range values {
			if v == "" {
				continue
			}
			if r.size >= rosterMost {
				r.complete = false
				return
			}
			hash := r.hash(checkpoint.Identifier{Kind: kind, Value: v})
			r.shards[hash[0]] = append(r.shards[hash[0]], listing{hash, owner})
			r.size++
		}
	}
	put(checkpoint.ExternalID, e.ExternalID)
	put(checkpoint.Email, e.Email)
	put(checkpoint.Email, e.AdditionalEmails...)
	put(checkpoint.Phone, e.PhoneNumber)
	put(checkpoint.Phone, e.AdditionalPhoneNumbers...)
}

// sort makes the roster ready for find.
func (r *roster) sort() {
	for i, shard := range r.shards {
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
		r.shards[i] = kept
	}
}

// list reads the whole directory. Whatever goes wrong, people are looked up one by one instead.
func (r *roster) list(ctx context.Context, im *Importer) {
	_, _ = rand.Read(r.key[:])
	im.log.Info("the end-users of Dixa are being listed")
	people, err := r.read(ctx, im.cfg.API, directoryPage)
	if people == 0 && hasStatus(err, http.StatusBadRequest) { // so many are not given at once
		people, err = r.read(ctx, im.cfg.API, 0)
	}
	switch {
	case ctx.Err() != nil:
	case refusedOptional(err):
		im.log.Warn("the token may not list end-users: they are looked up one by one", "error", err.Error())
	case err != nil:
		im.log.Warn("the end-users could not be listed to the end: those that are missing are looked up one by one", "error", err.Error())
	case !r.complete:
		im.log.Warn("not all end-users that are listed can be kept in memory: the others are looked up one by one", "end_users", people)
	default:
		im.log.Info("the end-users of Dixa are listed", "end_users", people)
	}
	r.sort()
}

// read reads all pages and says how many people they had.
func (r *roster) read(ctx context.Context, api API, pageLimit int) (people int, err error) {
	r.complete = true
	for page, err := range api.ListEndUsers(ctx, pageLimit) {
		if err != nil {
			r.complete = false
			return people, fmt.Errorf("read the directory: %w", err)
		}
		for _, e := range page {
			r.add(e)
		}
		people += len(page)
	}
	return people, nil
}

// askRoster looks an identifier up among the listed end-users, and in Dixa where that does not tell.
func (u *resolver) askRoster(ident checkpoint.Identifier) (string, error) {
	u.roster.listed.Do(func() { u.roster.list(u.im.fetching, u.im) })
	if id, sure := u.roster.find(ident); sure && !u.isGone(id) {
		return id, nil
	}
	return u.ask(ident)
}
