package importer

import "hash/maphash"

// idSet remembers which ids a run has met, in 8 bytes an id: a 64-bit fingerprint under a random seed. Two of ten million
// ids collide with a probability of three in a million; whoever gets a hit asks the checkpoint, which knows ids exactly.
type idSet struct {
	seed  maphash.Seed
	slots []uint64
	used  int
}

func newIDSet() *idSet { return &idSet{seed: maphash.MakeSeed(), slots: make([]uint64, 1<<10)} }

// add adds an id and says whether it was there already.
func (s *idSet) add(id string) bool {
	if s.used*8 >= len(s.slots)*7 {
		old := s.slots
		s.slots = make([]uint64, len(old)+len(old)/2)
		for _, f := range old {
			if f != 0 {
				s.slots[s.place(f)] = f
			}
		}
	}
	f := s.fingerprint(id)
	at := s.place(f)
	if s.slots[at] == f {
		return true
	}
	s.slots[at] = f
	s.used++
	return false
}

// has says whether an id was added.
func (s *idSet) has(id string) bool {
	f := s.fingerprint(id)
	return s.slots[s.place(f)] == f
}

func (s *idSet) fingerprint(id string) uint64 {
	if f := maphash.String(s.seed, id); f != 0 {
		return f
	}
	return 1
}

// place finds the slot that holds f, or the free one where it belongs.
func (s *idSet) place(f uint64) int {
	at := int(f % uint64(len(s.slots)))
	for s.slots[at] != 0 && s.slots[at] != f {
		if at++; at == len(s.slots) {
			at = 0
		}
	}
	return at
}
