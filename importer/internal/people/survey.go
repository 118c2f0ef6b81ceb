package people

import (
	"hash/maphash"
	"slices"
	"strings"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

const (
	// sharedBy is how many names, or other identifiers of one kind, an identifier comes with before it is suspected to mean nobody.
	sharedBy = 5
	// surveyMost is how many identifiers a survey keeps in mind, in about 5 MiB. Then it forgets those that came with the fewest.
	surveyMost = 32 << 10
	// sharedMost is how many suspected identifiers a survey reports.
	sharedMost = 20
)

// SharedIdentifier is an identifier that comes with so many names or other identifiers that it may mean nobody, or several people. The
// value itself is left out: it may be a customer's.
type SharedIdentifier struct {
	Kind  checkpoint.IdentifierKind `json:"kind"`
	Place string                    `json:"place"` // of a record that has it
	With  string                    `json:"with"`  // name, external_id, email or phone: what it comes with many of
}

// Survey counts which identifiers of transcripts are ignored, and finds those that many people share. Its memory is bounded, so it may
// miss some that come up far apart. It is for one goroutine.
type Survey struct {
	Ignored Ignored
	Shared  []SharedIdentifier // the first ones
	More    int64              // how many more there are

	matcher *Matcher
	seed    maphash.Seed
	met     map[uint64]*companions
}

// companions are what an identifier came with: names, and values of the kinds.
type companions struct {
	seen     [4][sharedBy - 1]uint32
	n        [4]uint8
	reported bool
}

// NewSurvey returns a survey of people as m tells them apart.
func NewSurvey(m *Matcher) *Survey {
	return &Survey{matcher: m, seed: maphash.MakeSeed(), met: map[uint64]*companions{}}
}

// Add looks at the end-user of a transcript, whose record is at the place.
func (s *Survey) Add(t *source.Transcript, place string) { s.AddPerson(s.matcher.Person(t), place) }

// companionKinds are what is counted of an identifier, in the order of companions.n.
var companionKinds = [4]string{"name", string(checkpoint.ExternalID), string(checkpoint.Email), string(checkpoint.Phone)}

// AddPerson is Add for a person that the Matcher has read already.
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
	if len(s.Shared) >= sharedMost {
		s.More++
		return
	}
	most := slices.Index(c.n[:], slices.Max(c.n[:]))
	s.Shared = append(s.Shared, SharedIdentifier{Kind: kind, Place: place, With: companionKinds[most]})
}

func (s *Survey) hash(text string) uint64 { return maphash.String(s.seed, text) }

// companions returns what an identifier came with so far, nil if there is no room for another one.
func (s *Survey) companions(id checkpoint.Identifier) *companions {
	key := s.hash(Key(id))
	c := s.met[key]
	if c != nil {
		return c
	}
	for few := uint8(1); len(s.met) >= surveyMost && few < sharedBy; few++ {
		for k, old := range s.met {
			if !old.reported && slices.Max(old.n[:]) <= few {
				delete(s.met, k)
			}
		}
	}
	if len(s.met) >= surveyMost {
		return nil
	}
	c = &companions{}
	s.met[key] = c
	return c
}

// add notes one more companion and reports whether there are many by now.
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
