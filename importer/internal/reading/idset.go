package reading

import "hash/maphash"

// IDSet remembers which ids a run has seen. It stores a 64-bit fingerprint of each id under a random seed, which takes 8 to 14 bytes:
// about 100 MiB for ten million ids. The probability that any two of ten million ids collide is three in a million. A caller that gets
// a hit asks the checkpoint, which stores the exact ids.
//
// Each shard grows on its own, so the whole set is never copied at once.
type IDSet struct {
	seed   maphash.Seed
	shards [64]idShard
}

type idShard struct {
	slots []uint64 // 0: free
	used  int
}

// NewIDSet returns an empty set.
func NewIDSet() *IDSet { return &IDSet{seed: maphash.MakeSeed()} }

// Add adds an id and reports whether it was there already.
func (s *IDSet) Add(id string) bool {
	shard, f := s.shardOf(id)
	if shard.used*8 >= len(shard.slots)*7 {
		shard.grow()
	}
	at := shard.place(f)
	if shard.slots[at] == f {
		return true
	}
	shard.slots[at] = f
	shard.used++
	return false
}

// Has reports whether an id was added.
func (s *IDSet) Has(id string) bool {
	shard, f := s.shardOf(id)
	return len(shard.slots) > 0 && shard.slots[shard.place(f)] == f
}

// shardOf returns the shard of an id, and the id's fingerprint.
func (s *IDSet) shardOf(id string) (*idShard, uint64) {
	f := max(maphash.String(s.seed, id), 1)
	return &s.shards[f>>58], f
}

func (s *idShard) grow() {
	old := s.slots
	s.slots = make([]uint64, max(16, len(old)+len(old)/2))
	for _, f := range old {
		if f != 0 {
			s.slots[s.place(f)] = f
		}
	}
}

// place returns the slot that holds f, or the free slot for it.
func (s *idShard) place(f uint64) int {
	at := int(f % uint64(len(s.slots)))
	for s.slots[at] != 0 && s.slots[at] != f {
		if at++; at == len(s.slots) {
			at = 0
		}
	}
	return at
}
