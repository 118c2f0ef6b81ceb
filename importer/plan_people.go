package importer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
)

// sampleMost is how many look-ups a plan makes at most to learn how many of the unknown end-users Dixa has.
const sampleMost = 200

// peopleSample is a random choice among the unknown persons that were met: those whose identifiers have the smallest hashes. So
// every person has the same chance, whatever the order, and the same source gives the same sample.
type peopleSample struct {
	met     *idSet // fingerprints of identifiers, 8 bytes each
	chosen  []sampledPerson
	lookUps int64 // that the unknown persons take if none is found
	// Persons are created together with those of the transcripts that follow.
	windows int64 // of creationPatience transcripts, with an unknown person each
	window  int64 // where the last one began, among the imports; 0 before the first
}

type sampledPerson struct {
	rank uint64
	ids  []checkpoint.Identifier
}

// add offers a person to the sample.
func (s *peopleSample) add(ids []checkpoint.Identifier) {
	sum := sha256.Sum256([]byte(identifierName(ids[0])))
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

func identifierName(id checkpoint.Identifier) string { return string(id.Kind) + "\x00" + id.Value }

// meetPeople counts the end-users of transcripts that were not met before.
func (p *Planner) meetPeople(todo []toImport) error {
	var unmet []checkpoint.Identifier
	for _, t := range todo {
		if len(p.plan.Examples) < p.show || !p.metBefore(t.person) {
			unmet = append(unmet, t.person.ids...)
		}
	}
	if len(unmet) == 0 {
		return nil
	}
	var known map[checkpoint.Identifier]string
	err := p.im.patiently(p.im.fetching, "read end-users", func(ctx context.Context) (err error) {
		known, err = p.im.cfg.Store.FindEndUsers(ctx, p.im.organisation, unmet)
		return err
	})
	if err != nil {
		return err
	}
	for i, t := range todo {
		place := p.plan.Requests.Imports - int64(len(todo)-1-i) // among the imports
		id := ""
		for _, ident := range t.person.ids {
			if id = known[ident]; id != "" {
				break
			}
		}
		p.example(t, id)
		before := p.metBefore(t.person)
		for _, ident := range t.person.ids {
			p.people.met.add(identifierName(ident))
		}
		switch {
		case before:
		case id != "":
			p.plan.People.Known++
		default:
			p.plan.People.Unknown++
			p.people.lookUps += int64(len(t.person.ids))
			p.people.add(t.person.ids)
			if p.people.window == 0 || place-p.people.window >= creationPatience {
				p.people.window = place
				p.people.windows++
			}
		}
	}
	return nil
}

func (p *Planner) metBefore(who person) bool {
	return slices.ContainsFunc(who.ids, func(id checkpoint.Identifier) bool { return p.people.met.has(identifierName(id)) })
}

func (p *Planner) example(t toImport, endUserID string) {
	if len(p.plan.Examples) >= p.show {
		return
	}
	if endUserID == "" {
		endUserID = UnknownEndUser
	}
	values, _ := p.im.attributes.valuesOf(t.transcript)
	p.plan.Examples = append(p.plan.Examples, Example{t.transcript.ID, p.im.payload(t.transcript, endUserID, false), values})
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
	for _, person := range p.people.chosen {
		if s.lookUps >= sampleMost {
			break
		}
		found := ""
		for _, ident := range person.ids {
			began := time.Now()
			users, err := p.im.cfg.API.FindEndUsers(p.im.fetching, lookUpKinds[ident.Kind], ident.Value)
			if err != nil && stopsRun(err) {
				err = fatalAnswer(err)
			}
			if err != nil {
				return s, fmt.Errorf("look up a sample of the end-users: %w", err)
			}
			found = owner(users, ident)
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
		if p.im.cfg.Reconcile {
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
	listed, err := p.im.cfg.API.ListConversations(p.im.fetching, endUserID)
	if err != nil {
		return 0, fmt.Errorf("list the conversations of a sample of the end-users: %w", err)
	}
	listed = slices.DeleteFunc(listed, func(c dixa.Conversation) bool { return !c.MayBeImported() })
	ids := make([]int64, len(listed))
	for i, c := range listed {
		ids[i] = c.ID
	}
	err = p.im.patiently(p.im.fetching, "read the checkpoint", func(ctx context.Context) error {
		held, err := p.im.cfg.Store.Conversations(ctx, p.im.cfg.Source, ids)
		n = int64(len(ids) - len(held))
		return err
	})
	return n, err
}

// estimate works out requests and time.
func (p *Planner) estimate() error {
	s, err := p.lookUpSample()
	if err != nil {
		return err
	}
	people, r := &p.plan.People, &p.plan.Requests
	people.Sampled = s.persons
	r.LookUps = p.people.lookUps
	people.Created = people.Unknown
	if s.persons > 0 {
		share := float64(people.Unknown) / float64(s.persons)
		people.Found = int64(share*float64(s.found) + 0.5)
		people.Created = people.Unknown - people.Found
		r.LookUps = int64(share*float64(s.lookUps) + 0.5)
		r.Looks += int64(share * float64(s.candidates))
	}
	r.Creations = creationRequests(people.Created, people.Unknown, p.people.windows)
	if p.im.cfg.Reconcile { // everybody's list of conversations, but theirs who were just created
		r.Looks += r.Imports - people.Created
	}
	if err := p.directory(); err != nil {
		return err
	}
	p.plan.Counts.Requests = r.total()
	p.plan.PerSecond, p.plan.Duration = p.im.pace(r.total(), s.latency)
	if p.plan.Work.Sending > 0 || p.im.cfg.Reconcile && r.Imports > 0 {
		p.plan.Duration = max(p.plan.Duration, p.im.cfg.RequestTimeout+p.im.cfg.Settle)
	}
	return nil
}

// creationRequests is how many requests it takes to create so many of the unknown persons, who are met in so many windows.
func creationRequests(created, unknown, windows int64) int64 {
	if created == 0 {
		return 0
	}
	full := (created + creationMost - 1) / creationMost
	none := math.Pow(1-float64(created)/float64(unknown), float64(unknown)/float64(windows)) // created in a window, probably
	return min(created, max(full, int64(math.Ceil(float64(windows)*(1-none)))))
}

// pace says how long so many requests take: at the rate, or at what the workers get through where an answer takes latency.
func (im *Importer) pace(requests int64, latency time.Duration) (perSecond float64, d time.Duration) {
	perSecond = im.cfg.Rate
	if latency > 0 {
		reached := float64(im.cfg.Workers) / latency.Seconds()
		if perSecond == 0 || reached < perSecond {
			perSecond = reached
		}
	}
	if perSecond == 0 || requests == 0 {
		return perSecond, 0
	}
	return perSecond, time.Duration(float64(requests) / perSecond * float64(time.Second))
}
