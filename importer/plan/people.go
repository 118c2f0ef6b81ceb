package plan

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/mark"
	"dixa-import/importer/internal/people"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/session"
)

// maxSample is the maximum number of look-ups by which a plan estimates how many of the unknown end-users Dixa has.
const maxSample = 200

// peopleSample is a random sample of the unknown persons: those whose identifiers have the smallest hashes. So every person has the same
// chance, whatever the order, and the same source gives the same sample.
type peopleSample struct {
	seen    *reading.IDSet // of identifiers
	chosen  []sampledPerson
	lookUps int64 // needed if none of the unknown persons is found
	// Each window starts with an import that has a new unknown person, and covers people.CreationPatience imports. Its persons are created
	// in the same requests.
	windows int64
	window  int64 // the number of the import that the last window starts with; 0: there is none
}

type sampledPerson struct {
	rank uint64
	ids  []checkpoint.Identifier
}

// add offers a person to the sample.
func (s *peopleSample) add(ids []checkpoint.Identifier) {
	sum := sha256.Sum256([]byte(people.Key(ids[0])))
	person := sampledPerson{binary.BigEndian.Uint64(sum[:]), ids}
	at, _ := slices.BinarySearchFunc(s.chosen, person.rank, func(c sampledPerson, rank uint64) int {
		switch {
		case c.rank < rank:
			return -1
		case c.rank > rank:
			return 1
		}
		return 0
	})
	if at >= maxSample {
		return
	}
	s.chosen = slices.Insert(s.chosen, at, person)
	s.chosen = s.chosen[:min(len(s.chosen), maxSample)]
}

// countPeople counts the end-users of transcripts whom the plan has not counted yet.
func (p *Planner) countPeople(todo []toImport) error {
	var unseen []checkpoint.Identifier
	for _, t := range todo {
		if len(p.plan.Examples) < p.show || !p.people.hasSeen(t.person.IDs) {
			unseen = append(unseen, t.person.IDs...)
		}
	}
	if len(unseen) == 0 {
		return nil
	}
	var known map[checkpoint.Identifier]string
	err := p.s.Patiently(p.s.Starting, "read end-users", func(ctx context.Context) (err error) {
		known, err = p.s.Store.FindEndUsers(ctx, p.s.Organisation, unseen)
		return err
	})
	if err != nil {
		return err
	}
	for i, t := range todo {
		number := p.plan.Requests.Imports - int64(len(todo)-1-i) // of this import
		id, at, err := p.knownAs(t.person.IDs, known)
		if err != nil {
			return err
		}
		p.example(t, id)
		before := p.people.hasSeen(t.person.IDs)
		p.people.see(t.person.IDs)
		switch {
		case before:
		case id != "":
			p.plan.People.Known++
			p.plan.Requests.LookUps += confirmRequests(at)
		default:
			p.plan.People.Unknown++
			p.people.lookUps += int64(len(t.person.IDs))
			p.people.add(t.person.IDs)
			if p.people.window == 0 || number-p.people.window >= people.CreationPatience {
				p.people.window = number
				p.people.windows++
			}
		}
	}
	return nil
}

// knownAs returns the end-user that the checkpoint has for a person, and the index of the identifier that it was found by. An end-user with
// different identifiers of a stronger kind is another person.
func (p *Planner) knownAs(ids []checkpoint.Identifier, known map[checkpoint.Identifier]string) (id string, at int, err error) {
	for i, ident := range ids {
		id := known[ident]
		if id == "" {
			continue
		}
		if i == 0 {
			return id, 0, nil
		}
		var has []checkpoint.Identifier
		err := p.s.Patiently(p.s.Starting, "read an end-user", func(ctx context.Context) (err error) {
			has, err = p.s.Store.EndUserIdentifiers(ctx, p.s.Organisation, id)
			return err
		})
		if err != nil || !p.matcher.Differ(has, ids[:i]) {
			return id, i, err
		}
	}
	return "", 0, nil
}

// confirmRequests returns how many requests a run needs to decide whether an end-user that the checkpoint has for the identifier at this
// index is the person: the look-ups of the stronger identifiers, and one to read the end-user.
func confirmRequests(at int) int64 {
	if at == 0 {
		return 0
	}
	return int64(at) + 1
}

// see adds a person to the persons seen: each identifier, and the kinds of the stronger ones.
func (s *peopleSample) see(ids []checkpoint.Identifier) {
	for i, ident := range ids {
		s.seen.Add(people.Key(ident))
		for _, stronger := range ids[:i] {
			s.seen.Add(withStronger(ident, stronger.Kind))
		}
	}
}

// hasSeen reports whether a person was seen before: with the same strongest identifier, or with the same weaker one and no stronger ones of
// the same kinds.
func (s *peopleSample) hasSeen(ids []checkpoint.Identifier) bool {
	for i, ident := range ids {
		differs := func(stronger checkpoint.Identifier) bool { return s.seen.Has(withStronger(ident, stronger.Kind)) }
		if s.seen.Has(people.Key(ident)) && !slices.ContainsFunc(ids[:i], differs) {
			return true
		}
	}
	return false
}

func withStronger(id checkpoint.Identifier, kind checkpoint.IdentifierKind) string {
	return people.Key(id) + "\x00" + string(kind)
}

func (p *Planner) example(t toImport, endUserID string) {
	if len(p.plan.Examples) >= p.show {
		return
	}
	if endUserID == "" {
		endUserID = UnknownEndUser
	}
	values, _ := p.s.Custom.Values(t.transcript)
	p.plan.Examples = append(p.plan.Examples, Example{t.transcript.ID, p.s.Bot().Payload(t.transcript, endUserID, false), values})
}

// sampled is the result of lookUpSample.
type sampled struct {
	persons, found, lookUps int64
	candidates              int64         // conversations of the found persons that a run with Reconcile would read
	latency                 time.Duration // median
}

// lookUpSample looks the persons of the sample up in Dixa, one after the other, to measure the latency.
func (p *Planner) lookUpSample() (s sampled, err error) {
	var took []time.Duration
chosen:
	for _, person := range p.people.chosen {
		if s.lookUps >= maxSample {
			break
		}
		found := ""
		for i, ident := range person.ids {
			began := time.Now()
			users, err := p.s.API.FindEndUsers(p.s.Starting, people.LookUpBy[ident.Kind], ident.Value)
			if session.Denied(err) && s.lookUps > 0 && p.s.TryToken(p.s.Starting) == nil { // the refusal concerns this person alone
				continue chosen
			}
			if session.Denied(err) {
				err = session.FatalAnswer(err)
			}
			if err != nil {
				return s, fmt.Errorf("look up a sample of the end-users: %w", err)
			}
			for _, e := range people.OwnersOf(users, ident) {
				if found = e.ID; !p.matcher.Differ(people.IdentifiersIn(e), person.ids[:i]) {
					break
				}
				found = ""
			}
			took = append(took, time.Since(began))
			s.lookUps++
			p.sampled.Add(1)
			if found != "" {
				break
			}
		}
		s.persons++
		if found == "" {
			continue
		}
		s.found++
		if p.s.Reconcile {
			n, err := p.candidates(found)
			if err != nil {
				return s, err
			}
			s.candidates += n
		}
	}
	if len(took) > 0 {
		slices.Sort(took)
		s.latency = took[len(took)/2]
	}
	return s, nil
}

// candidates returns how many conversations of an end-user a run with Reconcile would have to read.
func (p *Planner) candidates(endUserID string) (n int64, err error) {
	listed, err := p.s.API.ListConversations(p.s.Starting, endUserID)
	if err != nil {
		return 0, fmt.Errorf("list the conversations of a sample of the end-users: %w", err)
	}
	listed, err = p.s.Candidates(p.s.Starting, listed)
	return int64(len(listed)), err
}

// estimate estimates requests and time.
func (p *Planner) estimate() error {
	s, err := p.lookUpSample()
	if err != nil {
		return err
	}
	people, r := &p.plan.People, &p.plan.Requests
	people.Sampled = s.persons
	confirm := r.LookUps // of persons whom the checkpoint knows by a weaker identifier
	r.LookUps += p.people.lookUps
	people.Created = people.Unknown
	if s.persons > 0 {
		share := float64(people.Unknown) / float64(s.persons)
		people.Found = int64(share*float64(s.found) + 0.5)
		people.Created = people.Unknown - people.Found
		r.LookUps = confirm + int64(share*float64(s.lookUps)+0.5)
		r.Looks += int64(share * float64(s.candidates))
	}
	r.Creations = creationRequests(people.Created, people.Unknown, p.people.windows)
	if p.s.Reconcile { // the list of conversations of every end-user that is not new
		r.Looks += r.Imports - people.Created
	}
	if err := p.directory(); err != nil {
		return err
	}
	if p.plan.Mark.State != "" && r.Imports+r.Patches > 0 {
		r.Mark = 1
		if p.plan.Mark.State == mark.Absent {
			r.Mark = 3 // the run creates it and looks for it again
		}
	}
	p.plan.Counts.Requests = r.total()
	p.plan.PerSecond, p.plan.Duration = p.pace(r.total(), s.latency)
	if p.plan.Work.Sending > 0 || p.s.Reconcile && r.Imports > 0 {
		p.plan.Duration = max(p.plan.Duration, p.s.RequestTimeout+p.s.Settle)
	}
	return nil
}

// creationRequests estimates how many requests it takes to create some of the unknown persons, who are spread over a number of windows.
func creationRequests(created, unknown, windows int64) int64 {
	if created == 0 {
		return 0
	}
	full := (created + people.MaxCreationBatch - 1) / people.MaxCreationBatch
	none := math.Pow(1-float64(created)/float64(unknown), float64(unknown)/float64(windows)) // probability that a window creates nobody
	return min(created, max(full, int64(math.Ceil(float64(windows)*(1-none)))))
}

// pace returns the throughput and how long the requests take: at the configured rate, or at what the workers reach with this latency.
func (p *Planner) pace(requests int64, latency time.Duration) (perSecond float64, d time.Duration) {
	perSecond = p.s.Rate
	if latency > 0 {
		reached := float64(p.s.Workers) / latency.Seconds()
		if perSecond == 0 || reached < perSecond {
			perSecond = reached
		}
	}
	if perSecond == 0 || requests == 0 {
		return perSecond, 0
	}
	return perSecond, time.Duration(float64(requests) / perSecond * float64(time.Second))
}
