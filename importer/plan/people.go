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

// sampleMost is how many look-ups a plan makes at most to learn how many of the unknown end-users Dixa has.
const sampleMost = 200

// peopleSample is a random choice among the unknown persons that were met: those whose identifiers have the smallest hashes. So
// every person has the same chance, whatever the order, and the same source gives the same sample.
type peopleSample struct {
	met     *reading.IDSet // fingerprints of identifiers, 8 bytes each
	chosen  []sampledPerson
	lookUps int64 // that the unknown persons take if none is found
	// Persons are created together with those of the transcripts that follow.
	windows int64 // of people.CreationPatience transcripts, with an unknown person each
	window  int64 // where the last one began, among the imports; 0 before the first
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
	if at >= sampleMost {
		return
	}
	s.chosen = slices.Insert(s.chosen, at, person)
	s.chosen = s.chosen[:min(len(s.chosen), sampleMost)]
}

// meetPeople counts the end-users of transcripts that were not met before.
func (p *Planner) meetPeople(todo []toImport) error {
	var unmet []checkpoint.Identifier
	for _, t := range todo {
		if len(p.plan.Examples) < p.show || !p.people.metBefore(t.person.IDs) {
			unmet = append(unmet, t.person.IDs...)
		}
	}
	if len(unmet) == 0 {
		return nil
	}
	var known map[checkpoint.Identifier]string
	err := p.s.Patiently(p.s.Starting, "read end-users", func(ctx context.Context) (err error) {
		known, err = p.s.Store.FindEndUsers(ctx, p.s.Organisation, unmet)
		return err
	})
	if err != nil {
		return err
	}
	for i, t := range todo {
		place := p.plan.Requests.Imports - int64(len(todo)-1-i) // among the imports
		id, at, err := p.knownAs(t.person.IDs, known)
		if err != nil {
			return err
		}
		p.example(t, id)
		before := p.people.metBefore(t.person.IDs)
		p.people.meet(t.person.IDs)
		switch {
		case before:
		case id != "":
			p.plan.People.Known++
			p.plan.Requests.LookUps += asksMore(at)
		default:
			p.plan.People.Unknown++
			p.people.lookUps += int64(len(t.person.IDs))
			p.people.add(t.person.IDs)
			if p.people.window == 0 || place-p.people.window >= people.CreationPatience {
				p.people.window = place
				p.people.windows++
			}
		}
	}
	return nil
}

// knownAs returns the end-user that the checkpoint knows a person as, and the place of the identifier that leads there. Somebody who has other
// identifiers of a stronger kind is another person.
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

// asksMore is how many requests it takes to tell whether an end-user that the checkpoint knows by a weaker identifier is the person: the look-ups of
// the stronger ones, and the end-user.
func asksMore(at int) int64 {
	if at == 0 {
		return 0
	}
	return int64(at) + 1
}

// meet notes a person: each identifier, and of what kinds the person has stronger ones.
func (s *peopleSample) meet(ids []checkpoint.Identifier) {
	for i, ident := range ids {
		s.met.Add(people.Key(ident))
		for _, stronger := range ids[:i] {
			s.met.Add(withStronger(ident, stronger.Kind))
		}
	}
}

// metBefore reports whether a person is one who was met: by the strongest identifier, or by another one of somebody without stronger ones of the
// same kinds.
func (s *peopleSample) metBefore(ids []checkpoint.Identifier) bool {
	for i, ident := range ids {
		differs := func(stronger checkpoint.Identifier) bool { return s.met.Has(withStronger(ident, stronger.Kind)) }
		if s.met.Has(people.Key(ident)) && !slices.ContainsFunc(ids[:i], differs) {
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

// sampled is what looking a sample up has shown.
type sampled struct {
	persons, found, lookUps int64
	candidates              int64 // conversations of those who were found that a run with Reconcile would read
	latency                 time.Duration
}

// lookUpSample asks Dixa for the persons of the sample, one after the other, so that the time of an answer shows.
func (p *Planner) lookUpSample() (s sampled, err error) {
	var took []time.Duration
chosen:
	for _, person := range p.people.chosen {
		if s.lookUps >= sampleMost {
			break
		}
		found := ""
		for i, ident := range person.ids {
			began := time.Now()
			users, err := p.s.API.FindEndUsers(p.s.Starting, people.LookUpBy[ident.Kind], ident.Value)
			if session.Denied(err) && s.lookUps > 0 && p.s.TryToken(p.s.Starting) == nil { // it is about this person
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

// candidates counts the conversations of an end-user that a look would have to read.
func (p *Planner) candidates(endUserID string) (n int64, err error) {
	listed, err := p.s.API.ListConversations(p.s.Starting, endUserID)
	if err != nil {
		return 0, fmt.Errorf("list the conversations of a sample of the end-users: %w", err)
	}
	listed, err = p.s.Candidates(p.s.Starting, listed)
	return int64(len(listed)), err
}

// estimate works out requests and time.
func (p *Planner) estimate() error {
	s, err := p.lookUpSample()
	if err != nil {
		return err
	}
	people, r := &p.plan.People, &p.plan.Requests
	people.Sampled = s.persons
	more := r.LookUps // of those whom the checkpoint knows by a weaker identifier
	r.LookUps += p.people.lookUps
	people.Created = people.Unknown
	if s.persons > 0 {
		share := float64(people.Unknown) / float64(s.persons)
		people.Found = int64(share*float64(s.found) + 0.5)
		people.Created = people.Unknown - people.Found
		r.LookUps = more + int64(share*float64(s.lookUps)+0.5)
		r.Looks += int64(share * float64(s.candidates))
	}
	r.Creations = creationRequests(people.Created, people.Unknown, p.people.windows)
	if p.s.Reconcile { // everybody's list of conversations, but theirs who were just created
		r.Looks += r.Imports - people.Created
	}
	if err := p.directory(); err != nil {
		return err
	}
	if p.plan.Mark.State != "" && r.Imports+r.Patches > 0 {
		r.Mark = 1
		if p.plan.Mark.State == mark.Absent {
			r.Mark = 3 // it is created, and looked for again
		}
	}
	p.plan.Counts.Requests = r.total()
	p.plan.PerSecond, p.plan.Duration = p.pace(r.total(), s.latency)
	if p.plan.Work.Sending > 0 || p.s.Reconcile && r.Imports > 0 {
		p.plan.Duration = max(p.plan.Duration, p.s.RequestTimeout+p.s.Settle)
	}
	return nil
}

// creationRequests is how many requests it takes to create so many of the unknown persons, who are met in so many windows.
func creationRequests(created, unknown, windows int64) int64 {
	if created == 0 {
		return 0
	}
	full := (created + people.MaxCreationBatch - 1) / people.MaxCreationBatch
	none := math.Pow(1-float64(created)/float64(unknown), float64(unknown)/float64(windows)) // created in a window, probably
	return min(created, max(full, int64(math.Ceil(float64(windows)*(1-none)))))
}

// pace returns how long so many requests take: at the rate, or at what the workers get through where an answer takes latency.
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
