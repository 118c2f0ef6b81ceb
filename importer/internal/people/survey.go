package people

import (
	"hash/maphash"
	"slices"
	"strings"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

const (
	// sharedBy is how many names, or other identifiers of one kind, an identifier appears with before it is reported as shared.
	sharedBy = 5
	// maxSurvey is how many identifiers a survey keeps in memory, in about 5 MiB. When it is full, it drops those with the fewest
	// companions.
	maxSurvey = 32 << 10
	// maxShared is the maximum number of shared identifiers that a survey lists.
	maxShared = 20
)

// SharedIdentifier is an identifier that appears with so many names or other identifiers that it may be a placeholder or shared by several
// people. It omits the value, which may be a customer's.
type SharedIdentifier struct {
	Kind  checkpoint.IdentifierKind `json:"kind"`
	Place string                    `json:"place"` // of a record that has it
	With  string                    `json:"with"`  // name, external_id, email or phone: the companion of which there are many
}

// Survey counts which identifiers of transcripts are ignored, and finds those that many people share. Its memory is bounded, so it may
// miss identifiers whose records are far apart. It is not safe for concurrent use.
type Survey struct {
	Ignored Ignored
	Shared  []SharedIdentifier // the first maxShared
	More    int64              // how many more there are

	matcher *Matcher
	seed    maphash.Seed
	seen    map[uint64]*companions
}

// companions counts the distinct names and other identifiers that an identifier appeared with, by the kinds in companionKinds.
type companions struct {
	seen     [4][sharedBy - 1]uint32
	n        [4]uint8
	reported bool
}

// NewSurvey returns an empty Survey that uses m to read people.
func NewSurvey(m *Matcher) *Survey {
	return &Survey{matcher: m, seed: maphash.MakeSeed(), seen: map[uint64]*companions{}}
}

// Add adds the end-user of a transcript. place is that of its record.
func (s *Survey) Add(t *source.Transcript, place string) { s.AddPerson(s.matcher.Person(t), place) }

// companionKinds lists the kinds of companions, in the order of companions.n.
var companionKinds = [4]string{"name", string(checkpoint.ExternalID), string(checkpoint.Email), string(checkpoint.Phone)}

// AddPerson is Add for a Person that the Matcher has already returned.
func (s *Survey) AddPerson(p Person, place string) {
	s.Ignored.Add(p.Ignored)
	if p.Anonymous {
		return
	}
	all := p.All()
	for _, id := range all {
		c := s.companions(id)
		if c == nil || c.reported {
			continue
		}
		many := c.add(0, s.hash(strings.Join(strings.Fields(strings.ToLower(p.Name)), " ")), p.Name != "")
		for _, other := range all {
			if at := slices.Index(companionKinds[:], string(other.Kind)); other.Kind != id.Kind && c.add(at, s.hash(other.Value), true) {
				many = true
			}
		}
		if many {
			s.report(c, id.Kind, place)
		}
	}
}

func (s *Survey) report(c *companions, kind checkpoint.IdentifierKind, place string) {
	c.reported = true
	if len(s.Shared) >= maxShared {
		s.More++
		return
	}
	most := slices.Index(c.n[:], slices.Max(c.n[:]))
	s.Shared = append(s.Shared, SharedIdentifier{Kind: kind, Place: place, With: companionKinds[most]})
}

func (s *Survey) hash(text string) uint64 { return maphash.String(s.seed, text) }

// companions returns the companions of an identifier so far, nil if there is no room for another identifier.
func (s *Survey) companions(id checkpoint.Identifier) *companions {
	key := s.hash(Key(id))
	c := s.seen[key]
	if c != nil {
		return c
	}
	for few := uint8(1); len(s.seen) >= maxSurvey && few < sharedBy; few++ {
		for k, old := range s.seen {
			if !old.reported && slices.Max(old.n[:]) <= few {
				delete(s.seen, k)
			}
		}
	}
	if len(s.seen) >= maxSurvey {
		return nil
	}
	c = &companions{}
	s.seen[key] = c
	return c
}

// add adds a companion, unless given is false, and reports whether there are now at least sharedBy of its kind.
func (c *companions) add(kind int, hash uint64, given bool) bool {
	if !given {
		return false
	}
	short := uint32(hash)
	if n := c.n[kind]; n < sharedBy && !slices.Contains(c.seen[kind][:min(int(n), sharedBy-1)], short) {
		if n < sharedBy-1 {
			c.seen[kind][n] = short
		}
		c.n[kind]++
	}
	return c.n[kind] >= sharedBy
}
